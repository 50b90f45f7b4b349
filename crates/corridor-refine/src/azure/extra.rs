//! Extra: what has no column, as one JSON object without secrets.
//!
//! - In: names and JSON texts of the leftovers, in any order.
//! - Out: an object with sorted names, at most [`EXTRA_BYTES_MAX`] long; None when nothing is left.
//! - Invariants: values under secret names, bodies and statements are withheld and counted; token shapes are masked;
//!   with pseudonyms switched on, no address and no name with `@` is stored here.

use crate::redact;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use serde_json::Value;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

/// Longest object. What does not fit is left out, and `records` still has it.
const EXTRA_BYTES_MAX: usize = 4_096;
/// Most objects are smaller.
const OBJECT_BYTES_USUAL: usize = 512;
/// Longest text inside.
const TEXT_CHARS_MAX: usize = 512;
/// Objects inside each other.
const LEVELS_MAX: u8 = 4;

/// What may be stored of personal texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Personal {
    /// In clear.
    Clear,
    /// Not at all, because pseudonyms are switched on.
    Withheld,
}

/// Names whose values are texts that people wrote or that travelled as payload.
const PAYLOAD_WORDS: [&str; 12] = [
    "body",
    "statement",
    "querytext",
    "command",
    "prompt",
    "payload",
    "content",
    "script",
    "message",
    "text",
    "header",
    "cookie",
];

/// All of [`PAYLOAD_WORDS`] at once, in any case.
static PAYLOADS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .prefilter(false)
        .kind(Some(AhoCorasickKind::DFA))
        .build(PAYLOAD_WORDS)
        .expect("the words are few and short")
});

/// Writes the leftovers. Adds to `redactions` what was withheld or masked.
pub(super) fn write_extra<'p>(
    pairs: impl Iterator<Item = (&'p str, Cow<'p, str>)>,
    personal: Personal,
    redactions: &mut u32,
) -> Option<String> {
    let mut pairs: Vec<_> = pairs.filter(|(_, json)| !is_blank(json)).collect();
    pairs.sort();
    pairs.dedup_by(|later, earlier| later.0 == earlier.0);
    let mut out = String::with_capacity(OBJECT_BYTES_USUAL);
    let mut value = String::new();
    for (name, json) in pairs {
        value.clear();
        if clean(name, &json, personal, redactions, &mut value).is_none() {
            continue;
        }
        let before = out.len();
        out.push(if before == 0 { '{' } else { ',' });
        push_name(name, &mut out);
        if out.len() + value.len() + 1 > EXTRA_BYTES_MAX {
            out.truncate(before);
            continue;
        }
        out.push(':');
        out.push_str(&value);
    }
    if out.is_empty() {
        return None;
    }
    out.push('}');
    Some(out)
}

/// Nothing that a reader would miss.
fn is_blank(json: &str) -> bool {
    matches!(json, "" | "null" | r#""""# | r#""null""# | "{}" | "[]" | r#""{}""# | r#""[]""#)
}

/// Appends a name as a JSON string. Short plain words are no secrets; other names are masked like values.
fn push_name(name: &str, out: &mut String) {
    if name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        out.push('"');
        out.push_str(name);
        out.push('"');
    } else {
        push_quoted(&masked_name(name), out);
    }
}

fn masked_name(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    redact::mask_text(&short, &mut 0).into_owned()
}

/// Appends a text as a JSON string.
fn push_quoted(text: &str, out: &mut String) {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        out.push_str(&Value::String(text.to_owned()).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

fn is_withheld_name(name: &str) -> bool {
    PAYLOADS.is_match(name) || redact::is_secret_name(name)
}

/// Appends the JSON text of one value without secrets; None, with `out` in any state, when it is withheld.
fn clean(name: &str, json: &str, personal: Personal, redactions: &mut u32, out: &mut String) -> Option<()> {
    if is_withheld_name(name) {
        *redactions += 1;
        return None;
    }
    let mut write = |value| {
        let value = clean_value(name, value, personal, redactions, 0)?;
        out.push_str(&value.to_string());
        Some(())
    };
    match json.as_bytes().first()? {
        b'"' => {
            let text: Cow<'_, str> = match json.get(1..json.len().checked_sub(1)?) {
                Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
                _ => Cow::Owned(serde_json::from_str(json).ok()?),
            };
            if text.trim_start().starts_with(['{', '[']) {
                return write(serde_json::from_str(&text).ok()?);
            }
            push_quoted(&clean_text(&text, personal, redactions)?, out);
        }
        b'{' | b'[' => return write(serde_json::from_str(json).ok()?),
        _ => out.push_str(json),
    }
    Some(())
}

fn clean_value(
    name: &str,
    value: Value,
    personal: Personal,
    redactions: &mut u32,
    level: u8,
) -> Option<Value> {
    if is_withheld_name(name) || level > LEVELS_MAX {
        *redactions += 1;
        return None;
    }
    match value {
        Value::String(text) => {
            clean_text(&text, personal, redactions).map(|text| Value::String(text.into_owned()))
        }
        Value::Array(items) => {
            let items =
                items.into_iter().filter_map(|item| clean_value(name, item, personal, redactions, level + 1));
            Some(Value::Array(items.collect()))
        }
        Value::Object(members) => {
            let members = members.into_iter().filter_map(|(name, value)| {
                let value = clean_value(&name, value, personal, redactions, level + 1)?;
                Some((masked_name(&name), value))
            });
            Some(Value::Object(members.collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value),
    }
}

fn clean_text<'t>(text: &'t str, personal: Personal, redactions: &mut u32) -> Option<Cow<'t, str>> {
    let is_personal = || text.contains('@') || text.parse::<IpAddr>().is_ok();
    if personal == Personal::Withheld && is_personal() {
        *redactions += 1;
        return None;
    }
    let text = match without_queries(text, redactions) {
        Cow::Borrowed(text) => redact::mask_text(text, redactions),
        Cow::Owned(text) => Cow::Owned(redact::mask_text(&text, redactions).into_owned()),
    };
    if text.len() <= TEXT_CHARS_MAX {
        return Some(text);
    }
    Some(Cow::Owned(text.chars().take(TEXT_CHARS_MAX).collect()))
}

/// A text in which URLs have lost their queries.
pub(super) fn without_queries<'t>(text: &'t str, redactions: &mut u32) -> Cow<'t, str> {
    let has_query = memchr::memchr(b'?', text.as_bytes()).is_some();
    if !has_query || !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let is_end =
            |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>' | ')' | '\\' | ']' | '}');
        let tail = &rest[at + 3..];
        let url_end = at + 3 + tail.find(is_end).unwrap_or(tail.len());
        let url = &rest[..url_end];
        match url[at..].find('?') {
            Some(query) => {
                out.push_str(&url[..at + query]);
                *redactions += 1;
            }
            None => out.push_str(url),
        }
        rest = &rest[url_end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(pairs: &[(&str, &str)], personal: Personal) -> (Option<String>, u32) {
        let mut redactions = 0;
        let pairs = pairs.iter().map(|(name, json)| (*name, Cow::Borrowed(*json)));
        (write_extra(pairs, personal, &mut redactions), redactions)
    }

    #[test]
    fn leftovers_are_sorted_and_payloads_stay_out() {
        let pairs = [
            ("b", "1"),
            ("a", r#"{"x":[1,"y"],"requestBody":"secret"}"#),
            ("statement", r#""SELECT 1""#),
            ("empty", r#""""#),
            ("c", r#""{\"d\":2}""#),
            ("u", r#""https://h/p?sig=1 and more""#),
        ];
        let (text, redactions) = extra(&pairs, Personal::Clear);
        assert_eq!(
            text.as_deref(),
            Some(r#"{"a":{"x":[1,"y"]},"b":1,"c":{"d":2},"u":"https://h/p and more"}"#)
        );
        assert_eq!(redactions, 3);
        assert_eq!(extra(&[("x", "null")], Personal::Clear), (None, 0));
    }

    #[test]
    fn personal_texts_stay_out_with_pseudonyms() {
        let pairs = [("who", r#""a@b.example""#), ("ip", r#""192.0.2.7""#), ("n", r#""x""#)];
        assert_eq!(extra(&pairs, Personal::Withheld), (Some(r#"{"n":"x"}"#.into()), 2));
    }

    #[test]
    fn long_leftovers_do_not_grow_the_column() {
        let long = format!("\"{}\"", "x".repeat(3_000));
        let pairs: Vec<(String, &str)> = (0..40).map(|n| (format!("f{n}"), long.as_str())).collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, json)| (name.as_str(), *json)).collect();
        assert!(extra(&pairs, Personal::Clear).0.unwrap().len() <= EXTRA_BYTES_MAX + 1);
    }
}
