//! Canonical JSON: sorted keys, no insignificant white space. The content that fallback event ids hash.
//!
//! - In: one JSON text.
//! - Out: what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes.
//! - Invariants: white space, order of members, escapes and the spelling of fractions do not matter; of members
//!   with the same name the last one counts.

use crate::cursor::{Cursor, DEPTH_MAX, Token, write_string};
use std::borrow::Cow;
use std::ops::Range;

/// The canonical form of one JSON text. None when it is not JSON.
pub fn canonical_json(text: &str) -> Option<Vec<u8>> {
    let mut cursor = Cursor::over(text)?;
    let mut out = Vec::with_capacity(text.len());
    write_value(&mut cursor, &mut out, 0)?;
    Some(out)
}

fn write_value(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: u32) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match cursor.token()? {
        Token::Object => write_object(cursor, out, depth)?,
        Token::Array => {
            out.push(b'[');
            let mut is_first = true;
            while cursor.element()? {
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                write_value(cursor, out, depth + 1)?;
            }
            out.push(b']');
        }
        Token::String(raw) => write_string(&cursor.unescape(raw)?, out),
        Token::Scalar(raw) => write_scalar(raw, out),
    }
    Some(())
}

/// Writes the members as they come, then puts them in order.
fn write_object(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: u32) -> Option<()> {
    let start = out.len();
    let mut members: Vec<(Cow<'_, str>, Range<usize>)> = Vec::new();
    while let Some(name) = cursor.member()? {
        let name = cursor.unescape(name)?;
        let member_start = out.len() - start;
        write_string(&name, out);
        out.push(b':');
        write_value(cursor, out, depth + 1)?;
        members.push((name, member_start..out.len() - start));
    }
    members.sort_by(|one, other| one.0.cmp(&other.0));
    let written = out.split_off(start);
    out.push(b'{');
    for (index, (name, range)) in members.iter().enumerate() {
        // The sort is stable: the last of equal names came last in the text.
        if members.get(index + 1).is_some_and(|next| next.0 == *name) {
            continue;
        }
        out.extend_from_slice(written.get(range.clone())?);
        out.push(b',');
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
    Some(())
}

fn write_scalar(raw: &str, out: &mut Vec<u8>) {
    let is_fraction = raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match raw {
        "true" | "false" | "null" => out.extend_from_slice(raw.as_bytes()),
        "-0" => out.push(b'0'),
        _ if is_fraction => match raw.parse() {
            Ok(value) => write_fraction(value, out),
            Err(_) => out.extend_from_slice(raw.as_bytes()),
        },
        _ => out.extend_from_slice(raw.as_bytes()),
    }
}

/// The shortest digits that give the value back; an exponent below 1e-4 and from 1e16 on.
fn write_fraction(value: f64, out: &mut Vec<u8>) {
    let scientific = format!("{value:e}");
    let parts =
        scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse().ok()?)));
    let Some((digits, exponent)) = parts else {
        let infinite = if value < 0.0 { "-Infinity" } else { "Infinity" };
        out.extend_from_slice(infinite.as_bytes());
        return;
    };
    let exponent: i32 = exponent;
    let text = if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_is_what_python_writes() {
        let cases = [
            (r#" { "b" : 1, "a" : [ ] , "B":{} } "#, r#"{"B":{},"a":[],"b":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (
                r#"{"é":"\u00e9\/\u001F","z":"\b\f\n\r\t\"\\"}"#,
                "{\"z\":\"\\b\\f\\n\\r\\t\\\"\\\\\",\"é\":\"é/\\u001f\"}",
            ),
            (
                "[1.0,0.1,1e5,6.75e-06,1.2345678901235e+19,-0.0,1E16,0.0001,123456789.125,-0]",
                "[1.0,0.1,100000.0,6.75e-06,1.2345678901235e+19,-0.0,1e+16,0.0001,123456789.125,0]",
            ),
            ("[12345678901234567890123,-7,true,null]", "[12345678901234567890123,-7,true,null]"),
            ("\"x\"", "\"x\""),
        ];
        for (text, want) in cases {
            let got = canonical_json(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            assert_eq!(got.as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_has_no_canonical_form() {
        for text in ["", "{", "{'a':1}", "[1,]", "nul", "{\"a\":1} x", "\"\\ud800\""] {
            assert_eq!(canonical_json(text), None, "{text}");
        }
        assert_eq!(canonical_json(&"[".repeat(100_000)), None);
        assert_eq!(canonical_json(&("[".repeat(500) + &"]".repeat(500))), None, "deeper than records are");
    }
}
