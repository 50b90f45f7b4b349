//! Answer: what a web activity got back, read from its response or its error text.
//!
//! - In: the status in the output, the error text.
//! - Out: the HTTP status, where it stood, and whether Kong wrote the text.
//! - Invariants: the order of synapse-diagnostics.md §2.7: templated status, status word, JSON body, Kong's texts.

use super::phrase::{after, contains, json_text, leading_number, request_ids};

/// What the activity got back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status, if known.
    pub(super) status: Option<u16>,
    /// Whether the status comes from the error text.
    pub(super) is_from_text: bool,
    /// Whether the text is Kong's.
    pub(super) is_kongs: bool,
}

/// Messages that Kong and its plugins write, and the status that goes with them.
const KONG_TEXTS: &[(&str, u16)] = &[
    ("You cannot consume this service", 403),
    ("API rate limit exceeded", 429),
    ("Unauthorized", 401),
    ("No API key found in request", 401),
    ("Invalid authentication credentials", 401),
    ("No credentials found for given", 401),
    ("Invalid signature", 401),
    ("No mandatory", 401),
    ("token expired", 401),
    ("IP address not allowed", 403),
    ("Your IP address is not allowed", 403),
    ("AI token rate limit exceeded", 429),
    ("Request size limit exceeded", 413),
    ("no Route matched with those values", 404),
];

/// Status words of .NET.
const STATUS_WORDS: &[(&str, u16)] = &[
    ("Unauthorized", 401),
    ("Forbidden", 403),
    ("TooManyRequests", 429),
    ("NotFound", 404),
    ("BadRequest", 400),
    ("MethodNotAllowed", 405),
    ("ProxyAuthenticationRequired", 407),
    ("RequestTimeout", 408),
    ("Conflict", 409),
    ("PreconditionFailed", 412),
    ("RequestEntityTooLarge", 413),
    ("UnsupportedMediaType", 415),
    ("InternalServerError", 500),
    ("NotImplemented", 501),
    ("BadGateway", 502),
    ("ServiceUnavailable", 503),
    ("GatewayTimeout", 504),
];

/// The status of a number or a .NET word.
pub(super) fn status_of_word(word: &str) -> Option<u16> {
    let word = word.trim();
    let known =
        STATUS_WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, status)| *status);
    known.or_else(|| word.parse().ok()).filter(|status| (100..=599).contains(status))
}

/// Reads what the activity got back.
pub(super) fn read_answer(output_status: Option<&str>, error_text: Option<&str>) -> Answer {
    let text = error_text.unwrap_or("");
    let stated = output_status.and_then(status_of_word);
    let told = status_in_text(text);
    Answer {
        status: told.or(stated),
        is_from_text: told.is_some(),
        is_kongs: request_ids(text).next().is_some() || kong_message(text).is_some(),
    }
}

fn status_in_text(text: &str) -> Option<u16> {
    let templated = after(text, "HttpStatusCode - ").and_then(leading_number).and_then(as_status);
    templated
        .or_else(|| after(text, "Response status code").and_then(status_behind))
        .or_else(|| kong_message(text))
        .or_else(|| KONG_TEXTS.iter().find(|(known, _)| contains(text, known)).map(|(_, status)| *status))
}

fn as_status(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|status| (100..=599).contains(status))
}

/// The status behind a label: a number or a word, quoted or not.
fn status_behind(text: &str) -> Option<u16> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    status_of_word(&text[..end])
}

/// Status of the message in a JSON body, if it is one of Kong's.
fn kong_message(text: &str) -> Option<u16> {
    let body = text.find('{').map_or("", |at| &text[at..]);
    let message = json_text(body, "message")?.trim();
    KONG_TEXTS
        .iter()
        .find(|(known, _)| message.get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known)))
        .map(|(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_follows_the_order_of_the_reference() {
        let id = "7c2f0e9b1a4d4b6e8f3a5c7d9e1b2f40";
        let with_id = format!(r#"{{"message":"upstream words","request_id":"{id}"}}"#);
        let escaped = format!(
            r#"Invoking Web Activity failed with HttpStatusCode - '403 : Forbidden', message - '{{\"message\":\"You cannot consume this service\",\"request_id\":\"{id}\"}}'"#
        );
        let cases = [
            (
                "Invoking Web Activity failed with HttpStatusCode - '401 : Unauthorized', message - ''",
                Some(401),
                false,
            ),
            (escaped.as_str(), Some(403), true),
            ("Error calling the endpoint 'https://a/b'. Response status code: '429'", Some(429), false),
            ("Error calling the endpoint 'https://a/b'. Response status code: 'Forbidden'", Some(403), false),
            (r#"{"message":"Unauthorized"}"#, Some(401), true),
            (r#"{"message":"API rate limit exceeded"}"#, Some(429), true),
            (with_id.as_str(), None, true),
            ("Unauthorized", Some(401), false),
            ("No response from the endpoint. Possible causes: network connectivity.", None, false),
            ("", None, false),
        ];
        for (text, status, is_kongs) in cases {
            let got = read_answer(None, Some(text));
            assert_eq!((got.status, got.is_kongs), (status, is_kongs), "{text}");
        }
        let stated = read_answer(Some("200"), None);
        assert_eq!((stated.status, stated.is_from_text), (Some(200), false));
    }
}
