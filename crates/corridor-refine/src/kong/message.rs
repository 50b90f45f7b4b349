//! Message: the sentence inside a captured error body.
//!
//! - In: the custom field `denial.message`: JSON, HTML, XML or plain text, often cut off.
//! - Out: the sentence, without markup and request id.

use crate::object::lenient_object;
use crate::redact;
use crate::scalar::Scalar;
use std::borrow::Cow;

/// Longest sentence that is kept, in bytes.
const SENTENCE_BYTES_MAX: usize = 1_000;

lenient_object! {
    struct InnerError<'a> {
        message: Scalar<'a> = b"message",
    }
}

lenient_object! {
    struct ErrorBody<'a> {
        message: Scalar<'a> = b"message" | b"Message",
        error: Scalar<'a> = b"error",
        error_description: Scalar<'a> = b"error_description",
        exp: Scalar<'a> = b"exp",
        nbf: Scalar<'a> = b"nbf",
    }
}

lenient_object! {
    struct NestedBody<'a> {
        error: InnerError<'a> = b"error",
    }
}

/// The sentence of an error body. None when there is none.
pub(super) fn sentence(body: &str) -> Option<Cow<'_, str>> {
    let body = body.trim();
    let text = if body.starts_with('{') {
        from_json(body).map_or(Cow::Borrowed(body), Cow::Owned)
    } else if body.starts_with('<') {
        Cow::Owned(from_markup(body))
    } else {
        Cow::Borrowed(body)
    };
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("request_id"))?;
    let cut = (0..=line.len().min(SENTENCE_BYTES_MAX)).rev().find(|&at| line.is_char_boundary(at))?;
    let line = &line[..cut];
    match &text {
        Cow::Borrowed(_) => body.find(line).map(|at| Cow::Borrowed(&body[at..at + line.len()])),
        Cow::Owned(_) => Some(Cow::Owned(line.to_owned())),
    }
}

/// The sentence as it may be stored.
pub(super) fn stored(sentence: &str) -> Option<String> {
    let line = redact::preview(sentence);
    (!line.is_empty()).then_some(line)
}

fn from_json(body: &str) -> Option<String> {
    let read: ErrorBody<'_> = serde_json::from_str(body).ok()?;
    let own = [&read.message, &read.error_description, &read.error, &read.exp, &read.nbf];
    if let Some(text) = own.into_iter().find_map(Scalar::as_str) {
        return Some(text.to_owned());
    }
    let nested: NestedBody<'_> = serde_json::from_str(body).ok()?;
    nested.error.message.as_str().map(str::to_owned)
}

/// Kong's HTML has the sentence in the first paragraph, its XML in `message`; of other markup the texts remain.
fn from_markup(body: &str) -> String {
    for (open, close) in [("<p>", "</p>"), ("<message>", "</message>")] {
        if let Some((_, rest)) = body.split_once(open) {
            let end = rest.find(close).or_else(|| rest.find('<')).unwrap_or(rest.len());
            return rest[..end].trim().to_owned();
        }
    }
    let mut text = String::new();
    let mut is_tag = false;
    for c in body.chars() {
        match c {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            _ if !is_tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_is_found_in_every_form_of_body() {
        let cases = [
            (r#"{"exp":"token expired"}"#, Some("token expired")),
            (r#"{"message":"Unauthorized","request_id":"x"}"#, Some("Unauthorized")),
            (r#"{"error":{"message":"bad request"}}"#, Some("bad request")),
            (r#"{"message":"cut o"#, Some(r#"{"message":"cut o"#)),
            (
                "<!doctype html><html><h1>Error</h1><p>No API key.</p><p>request_id: 1</p>",
                Some("No API key."),
            ),
            ("<?xml version=\"1.0\"?>\n<error>\n <message>Denied</message>\n</error>", Some("Denied")),
            ("<b>a</b> <i>b", Some("a b")),
            ("Bad request\nrequest_id: 850\n", Some("Bad request")),
            ("  ", None),
            ("request_id: 1", None),
        ];
        for (body, want) in cases {
            assert_eq!(sentence(body).as_deref(), want, "{body}");
        }
    }
}
