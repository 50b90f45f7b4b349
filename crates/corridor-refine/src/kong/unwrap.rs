//! Unwrap: agents put the entry into a field of their own, as an object or as text.
//!
//! - In: the text of one record.
//! - Out: the entry inside and its own text, or why there is none.
//! - Invariants: at most [`DEPTH_MAX`] wrappers; `message` and `log` are looked at before other fields.

use super::entry::Entry;
use crate::reader::read_object;
use crate::scalar::Raw;
use corridor_model::RejectCode;

/// Deepest nesting of wrappers: an agent around a forwarder around a recipe.
const DEPTH_MAX: u8 = 4;

/// Why a record holds no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoEntry {
    /// Code of the rejection.
    pub(super) code: RejectCode,
    /// For a person; holds nothing of the record.
    pub(super) detail: String,
}

/// Calls `found` with the entry and its text, once, or says why not.
pub(super) fn with_entry(text: &str, found: &mut dyn FnMut(&str, &Entry<'_>)) -> Result<(), NoEntry> {
    let mut entry = Entry::default();
    match read_object(text, &mut entry) {
        Ok(()) => accept(text, &entry, found),
        Err(error) => match repair_surrogates(text) {
            Some(repaired) => {
                let mut entry = Entry::default();
                read_object(&repaired, &mut entry).map_err(not_json)?;
                accept(&repaired, &entry, found)
            }
            None => Err(not_json(error)),
        },
    }
}

fn not_json(error: serde_json::Error) -> NoEntry {
    NoEntry {
        code: RejectCode::NotJson,
        // The position only: an error's own text can quote the record.
        detail: format!("not JSON at line {}, column {}", error.line(), error.column()),
    }
}

/// Calls `found` with the entry that was read, or with the one inside it.
pub(super) fn accept(
    text: &str,
    entry: &Entry<'_>,
    found: &mut dyn FnMut(&str, &Entry<'_>),
) -> Result<(), NoEntry> {
    if look_into(text, entry, 0, found) {
        return Ok(());
    }
    Err(NoEntry {
        code: RejectCode::NotARecord,
        detail: "JSON without a request or session object, also not inside message or log".into(),
    })
}

/// Forwarders escape bytes that were no UTF-8 as lone surrogates (`\\udcff`), which JSON allows and text does not. They
/// become the replacement character. None when there is none.
fn repair_surrogates(text: &str) -> Option<String> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(step) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest.as_bytes())) {
        at += step;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                repaired.push_str(&text[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            // Past the escaped character, which may be a backslash; it is ASCII in valid JSON.
            _ => at += 2,
        }
    }
    if copied == 0 {
        return None;
    }
    repaired.push_str(&text[copied..]);
    Some(repaired)
}

fn parse(text: &str) -> serde_json::Result<Entry<'_>> {
    let mut entry = Entry::default();
    read_object(text, &mut entry).map(|()| entry)
}

fn look_into(text: &str, entry: &Entry<'_>, depth: u8, found: &mut dyn FnMut(&str, &Entry<'_>)) -> bool {
    if entry.is_entry() {
        found(text, entry);
        return true;
    }
    if depth >= DEPTH_MAX {
        return false;
    }
    if text.trim_start().starts_with('"') {
        return look_into_text(text, depth, found);
    }
    let is_usual = |name: &str| matches!(name, "message" | "log");
    let usual = entry.leftovers.iter().filter(|(name, _)| is_usual(name));
    let others = entry.leftovers.iter().filter(|(name, _)| !is_usual(name));
    usual.chain(others).any(|(_, Raw(raw))| look_into_field(raw, depth, found))
}

fn look_into_field(raw: &str, depth: u8, found: &mut dyn FnMut(&str, &Entry<'_>)) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => parse(raw).is_ok_and(|entry| look_into(raw, &entry, depth + 1, found)),
        Some(b'"') if raw.contains("request") || raw.contains("session") => look_into_text(raw, depth, found),
        _ => false,
    }
}

/// A JSON string that holds JSON.
fn look_into_text(quoted: &str, depth: u8, found: &mut dyn FnMut(&str, &Entry<'_>)) -> bool {
    let Ok(inner) = serde_json::from_str::<String>(quoted) else { return false };
    let inner = inner.trim();
    if !inner.starts_with(['{', '"']) {
        return false;
    }
    parse(inner).is_ok_and(|entry| look_into(inner, &entry, depth + 1, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap_method(text: &str) -> Result<Option<String>, RejectCode> {
        let mut method = None;
        with_entry(text, &mut |_, entry| method = entry.request.method.as_str().map(str::to_owned))
            .map(|()| method)
            .map_err(|no_entry| no_entry.code)
    }

    #[test]
    fn entry_is_found_in_every_wrapper() {
        let entry = r#"{"request":{"method":"GET"}}"#;
        let quoted = serde_json::to_string(entry).unwrap();
        let wrapped = format!(r#"{{"stream":"stdout","log":{quoted}}}"#);
        let twice =
            format!(r#"{{"kubernetes":{{}},"message":{}}}"#, serde_json::to_string(&wrapped).unwrap());
        let odd = format!(r#"{{"a":1,"event":{{"body":{entry}}}}}"#);
        let object = format!(r#"{{"message":{entry},"n":null}}"#);
        for text in [entry, &quoted, &wrapped, &twice, &odd, &object] {
            assert_eq!(unwrap_method(text), Ok(Some("GET".into())), "{text}");
        }
    }

    #[test]
    fn lone_surrogates_do_not_lose_the_entry() {
        let text = r#"{"request":{"method":"A\udcff\ud83d\ude00\\udcff\uD83D"}}"#;
        assert_eq!(unwrap_method(text), Ok(Some("A\u{fffd}\u{1f600}\\udcff\u{fffd}".into())));
        for text in ["\\", "\\u", r"\udcff", "\\é", r#"{"a":"\ud800"#] {
            assert_eq!(unwrap_method(text), Err(RejectCode::NotJson), "{text}");
        }
    }

    #[test]
    fn other_json_is_not_a_record_and_other_text_is_not_json() {
        for text in [
            "{}",
            "[]",
            "7",
            r#""x""#,
            r#"{"request":"GET /"}"#,
            r#"{"message":"request"}"#,
            r#"{"log":"{"}"#,
        ] {
            assert_eq!(unwrap_method(text), Err(RejectCode::NotARecord), "{text}");
        }
        for text in ["", "{", "GET / 200", r#"{"request":{}"#, "{}{}"] {
            assert_eq!(unwrap_method(text), Err(RejectCode::NotJson), "{text}");
        }
    }
}
