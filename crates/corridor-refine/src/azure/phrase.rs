//! Phrase: finding words, numbers and ids inside texts that people and programs wrote.
//!
//! - In: error texts, SQL statements, XML fragments.
//! - Out: the wanted part, borrowed.
//! - Invariants: ASCII case does not count; JSON quotes may be escaped; nothing found is None, never a panic.

/// The text behind the first occurrence of `needle`.
pub(super) fn after<'t>(text: &'t str, needle: &str) -> Option<&'t str> {
    let (haystack, wanted) = (text.as_bytes(), needle.as_bytes());
    let first = wanted.first()?;
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, haystack).find_map(|at| {
        let end = at.checked_add(wanted.len())?;
        let is_match = haystack.get(at..end)?.eq_ignore_ascii_case(wanted);
        is_match.then(|| text.get(end..)).flatten()
    })
}

/// Whether `needle` occurs.
pub(super) fn contains(text: &str, needle: &str) -> bool {
    after(text, needle).is_some()
}

/// The first run of digits, if it begins within a few signs and blanks.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '<');
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The first integer anywhere in the text.
pub(super) fn first_number(text: &str) -> Option<u32> {
    leading_number(text.get(text.find(|c: char| c.is_ascii_digit())?..)?)
}

/// The string value of a JSON key, also when the JSON stands escaped inside another text. Ends at the first quote
/// or escape inside the value.
pub(super) fn json_text<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut rest = text;
    while let Some(tail) = after(rest, key) {
        rest = tail;
        let value = tail.trim_start_matches(['\\', '"', '\'']);
        let value = value.trim_start().strip_prefix([':', '=']).unwrap_or("");
        let value = value.trim_start().trim_start_matches(['\\', '"', '\'']);
        let value = &value[..value.find(['"', '\\', '\n', '\r']).unwrap_or(value.len())];
        if !value.trim().is_empty() {
            return Some(value);
        }
    }
    None
}

/// Kong's request id behind the key `request_id`: 32 hex digits.
pub(super) fn request_ids(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = after(rest, "request_id")?;
            let value = rest.trim_start_matches(|c: char| {
                matches!(c, '\\' | '"' | '\'' | ':' | '=') || c.is_whitespace()
            });
            let length = value.bytes().take_while(u8::is_ascii_hexdigit).count();
            if length == 32 {
                return Some(&value[..32]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_any_case_and_escape() {
        assert_eq!(after("HTTPStatusCode - '401", "httpstatuscode").and_then(leading_number), Some(401));
        assert_eq!(json_text(r#"x '{\"Message\": \"Unauthorized\"}'"#, "message"), Some("Unauthorized"));
        assert_eq!(json_text(r#"{"message":"","request_id":"a"}"#, "request_id"), Some("a"));
        assert_eq!(first_number("Succeeded.201"), Some(201));
        assert_eq!(after("né", "É"), None);
    }

    #[test]
    fn request_ids_are_found_plain_and_escaped() {
        let id = "7c2f0e9b1a4d4b6e8f3a5c7d9e1b2f40";
        for text in [
            format!("{{\n \"request_id\":\"{id}\"\n}}"),
            format!(r#"message - '{{\"message\":\"x\",\"request_id\":\"{id}\"}}'"#),
            format!(r#"{{\\\"Request_Id\\\": \\\"{id}\\\"}}"#),
            format!("request_id: none; request_id={id}"),
        ] {
            assert_eq!(request_ids(&text).collect::<Vec<_>>(), [id], "{text}");
        }
        assert_eq!(request_ids("request_id: 12").count(), 0);
    }
}
