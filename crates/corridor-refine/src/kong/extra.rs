//! Extra: leftovers of an entry that have no column, as a small JSON object without secrets.
//!
//! - In: the unknown top-level fields, as raw JSON.
//! - Out: JSON text of at most [`EXTRA_BYTES_MAX`] bytes; the number of values withheld.
//! - Invariants: fields whose name says secret, body or prompt are left out; texts are masked and cut, queries dropped.

use super::entry::Entry;
use crate::redact;
use crate::scalar::Raw;
use serde_json::{Map, Value};

/// Longest JSON text.
const EXTRA_BYTES_MAX: usize = 4_000;
/// Longest text inside.
const TEXT_CHARS_MAX: usize = 256;
/// Deepest nesting that is kept.
const DEPTH_MAX: u8 = 4;
/// Longest raw field that is looked at.
const FIELD_BYTES_MAX: usize = 16_384;

/// The leftovers. None when there are none. Adds withheld values to `withheld`.
pub(super) fn extra_of(entry: &Entry<'_>, withheld: &mut u32) -> Option<String> {
    let mut kept = Map::new();
    if let Some(verify) = entry.tls().client_verify.as_str().filter(|verify| *verify != "NONE") {
        kept.insert("client_verify".into(), clean_text(verify, withheld));
    }
    let mut size = 2;
    for (name, Raw(raw)) in &entry.leftovers {
        let Some(value) = clean_field(name, raw, withheld) else { continue };
        let bytes = name.len() + value.to_string().len() + 4;
        if size + bytes <= EXTRA_BYTES_MAX - 200 && name.len() <= 64 {
            size += bytes;
            kept.insert(redact::mask_text(name, withheld).into_owned(), value);
        }
    }
    (!kept.is_empty()).then(|| Value::Object(kept).to_string())
}

fn clean_field(name: &str, raw: &str, withheld: &mut u32) -> Option<Value> {
    if is_withheld_name(name) {
        *withheld += 1;
        return None;
    }
    if raw.len() > FIELD_BYTES_MAX {
        return None;
    }
    // Nesting beyond the parser's limit is not kept.
    let value = serde_json::from_str(raw).ok()?;
    clean(value, 0, withheld)
}

/// Secrets by name, and fields that hold bodies or prompts.
fn is_withheld_name(name: &str) -> bool {
    const TEXTS: [&str; 10] = [
        "body",
        "payload",
        "prompt",
        "completion",
        "messages",
        "content",
        "querystring",
        "headers",
        "statement",
        "sql",
    ];
    let holds = |word: &str| {
        name.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    redact::is_secret_name(name) || TEXTS.iter().any(|word| holds(word))
}

fn clean(value: Value, depth: u8, withheld: &mut u32) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) => Some(value),
        Value::String(text) => Some(clean_text(&text, withheld)),
        _ if depth >= DEPTH_MAX => None,
        Value::Array(items) => Some(Value::Array(
            items.into_iter().filter_map(|item| clean(item, depth + 1, withheld)).collect(),
        )),
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (name, field) in fields {
                if is_withheld_name(&name) {
                    *withheld += 1;
                } else if let Some(field) = clean(field, depth + 1, withheld) {
                    kept.insert(redact::mask_text(&name, withheld).into_owned(), field);
                }
            }
            Some(Value::Object(kept))
        }
    }
}

/// A masked, short text. JSON inside text and queries of URLs are not looked into but dropped.
fn clean_text(text: &str, withheld: &mut u32) -> Value {
    let trimmed = text.trim_start();
    if trimmed.starts_with('{') || trimmed.starts_with('[') {
        *withheld += 1;
        return Value::String(redact::MASK.into());
    }
    let is_url = trimmed.starts_with('/') || trimmed.contains("://");
    let text = match text.split_once('?') {
        Some((head, _)) if is_url => {
            *withheld += 1;
            head
        }
        _ => text,
    };
    let masked = redact::mask_text(text, withheld);
    Value::String(masked.chars().take(TEXT_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_kept_without_bodies_and_queries() {
        let json = r#"{"request":{},"team":"finance","n":1.2345678901235e+19,"none":null,"request_body":"secret",
            "deep":{"a":{"b":{"c":{"d":{"e":1}}}}},"link":"https://h/a?sig=secret","nested":"{\"x\":\"secret\"}"}"#;
        let entry: Entry<'_> = serde_json::from_str(json).unwrap();
        let mut withheld = 0;
        let extra = extra_of(&entry, &mut withheld).unwrap();
        assert!(!extra.contains("secret"), "{extra}");
        assert!(extra.contains("finance") && extra.contains("https://h/a"), "{extra}");
        assert!(withheld >= 3);
    }

    #[test]
    fn extra_stays_small() {
        let fields: String = (0..60).map(|n| format!(r#","f{n}":"{}""#, "x".repeat(300))).collect();
        let json = format!(r#"{{"request":{{}}{fields}}}"#);
        let entry: Entry<'_> = serde_json::from_str(&json).unwrap();
        assert!(extra_of(&entry, &mut 0).unwrap().len() <= EXTRA_BYTES_MAX);
        assert_eq!(extra_of(&Entry::default(), &mut 0), None);
    }
}
