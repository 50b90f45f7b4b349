//! Preview: the head of bytes that are no record, or of an error text, fit to be stored and logged.
//!
//! - In: any text, perhaps cut off.
//! - Out: at most 512 characters on one line, without secrets.
//! - Invariants: content that a whole record would lose (bodies, query values, statements) is lost here too.

use super::{MASK, mask_text, secret_name};
use std::borrow::Cow;

const CHARS_MAX: usize = 512;

/// Only the head is looked at; what could straddle its end is dropped.
const BYTES_MAX: usize = 8_192;

/// Longer names are no names of withheld members.
const NAME_BYTES_MAX: usize = 128;

/// JSON members whose values no preview shows.
const WITHHELD: &[&str] = &[
    "querystring",
    "query",
    "body",
    "payload",
    "prompt",
    "messages",
    "content",
    "statement",
    "queryText",
    "command",
    "claims",
    "Input",
    "Output",
    "Parameters",
    "ExplainOutput",
    "requestBody",
    "responseBody",
    "request_body",
    "response_body",
    "text",
    "script",
];

pub(super) fn head(text: &str) -> String {
    let mut end = text.len();
    if end > BYTES_MAX {
        end = BYTES_MAX - 64;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
    }
    let withheld = withhold_members(&unescape(&text[..end]));
    let masked = mask_text(&withheld, &mut 0);
    let is_hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    masked.chars().take(CHARS_MAX).map(|c| if is_hostile(c) { ' ' } else { c }).collect()
}

/// Letters and digits that JSON escapes hide from the search for names and tokens. Other escapes stay.
fn unescape(text: &str) -> Cow<'_, str> {
    const MARK: &str = "\\u00";
    let mut parts = text.split(MARK);
    let Some(first) = parts.next().filter(|first| first.len() < text.len()) else {
        return Cow::Borrowed(text);
    };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(first);
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii_alphanumeric) {
            Some(letter) => {
                plain.push(char::from(letter));
                plain.push_str(&part[2..]);
            }
            None => plain.extend([MARK, part]),
        }
    }
    Cow::Owned(plain)
}

/// Replaces the value after each withheld name, to its end or, when it is cut off, to the end of the text.
fn withhold_members(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(value) = next_member(rest) {
        out.push_str(&rest[..value]);
        out.push('"');
        out.push_str(MASK);
        out.push('"');
        rest = &rest[value + value_length(&rest[value..])..];
    }
    out.push_str(rest);
    out
}

/// Where the value of the next withheld member starts.
fn next_member(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'"', &text.as_bytes()[from..]) {
        let name = from + found + 1;
        from = name;
        let tail = &text[name..];
        let Some((close, is_secret)) = name_end(tail) else { continue };
        let after = &tail[close..];
        let colon = after.len() - after.trim_start().len();
        if !after[colon..].starts_with(':') {
            continue;
        }
        let blanks = &after[colon + 1..];
        let value = name + close + colon + 1 + (blanks.len() - blanks.trim_start().len());
        let is_told =
            ["null", "\"\"", "{}", "\"[redacted]\""].iter().any(|told| text[value..].starts_with(told));
        // A secret that is no list is masked by its shape, which tells counts from values.
        let is_hidden = !is_secret || text[value..].starts_with(['[', '{']);
        if value < text.len() && !is_told && is_hidden {
            return Some(value);
        }
    }
    None
}

/// Where the name at the head of `tail` ends, its quote included, if its value may not be shown: because it is
/// withheld, or (true) because the name is that of a secret.
fn name_end(tail: &str) -> Option<(usize, bool)> {
    let length = tail.bytes().take(NAME_BYTES_MAX).position(|byte| matches!(byte, b'"' | b'\\'))?;
    let name = &tail[..length];
    let is_withheld = WITHHELD.iter().any(|known| name.eq_ignore_ascii_case(known));
    if !is_withheld && !secret_name::is_secret_header(name) {
        return None;
    }
    let quote = ["\"", "\\\""].into_iter().find(|quote| tail[length..].starts_with(quote))?;
    Some((length + quote.len(), !is_withheld))
}

fn value_length(value: &str) -> usize {
    let bytes = value.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = at + 1 + string_length(&bytes[at + 1..]),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth <= 1 => return if depth == 0 { at } else { at + 1 },
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b',' if depth == 0 => return at,
            _ => at += 1,
        }
    }
    value.len()
}

/// Length to and with the closing quote.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_content_are_withheld_even_when_cut_off() {
        assert_eq!(
            head(r#"{"a":1,"body":{"x":["s",{"y":"}"}]},"b":2}"#),
            r#"{"a":1,"body":"[redacted]","b":2}"#
        );
        assert_eq!(head(r#"{"QueryString":{"card":"4111"#), r#"{"QueryString":"[redacted]""#);
        assert_eq!(
            head(r#"{"\u0062ody":"x","n":"\u0065yJ\u00e9\u002""#),
            r#"{"body":"[redacted]","n":"eyJ\u00e9\u002""#
        );
        assert!(memchr::memmem::find(head("a\r\nb\u{202e}c\0").as_bytes(), b"\n").is_none());
        assert_eq!(head(&"é".repeat(20_000)).chars().count(), CHARS_MAX);
    }
}
