//! Redact: secrets and personal text are removed before anything is stored or logged.
//!
//! - In: column texts, whole records, SQL statements, rejected bytes.
//! - Out: the same without secrets, and how many values were withheld or masked.
//! - Rules: `soc2-evidence.md` §5. Never panics; when in doubt a value is withheld.

mod agent;
mod copier;
mod decided;
mod entropy;
mod glance;
mod preview;
mod pseudonym;
mod record;
mod rule;
mod secret_name;
mod shape;
#[cfg(test)]
mod shape_parts;
mod sift;
mod span;
mod sql;

use corridor_model::{Event, Side};
use decided::Decided;
use record::Transcoder;
use rule::Rule;
use span::Quotes;
use std::borrow::Cow;

/// What stands in place of a removed value.
pub const MASK: &str = "[redacted]";

/// Masks token shapes inside one text (JWTs, bearer tokens, `sig=`, account keys, PEM …). Borrowed when clean.
/// Adds the number of masked values to `count`.
pub fn mask_text<'t>(text: &'t str, count: &mut u32) -> Cow<'t, str> {
    if is_plain_id(text) {
        return Cow::Borrowed(text);
    }
    let spans = shape::spans(text);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    for span in spans {
        if span.start < kept {
            kept = kept.max(span.end);
            continue;
        }
        masked.push_str(&text[kept..span.start]);
        let quote = match span.quotes {
            Quotes::Bare => "",
            Quotes::Plain => "\"",
            Quotes::Escaped => "\\\"",
        };
        for part in [quote, MASK, quote] {
            masked.push_str(part);
        }
        kept = span.end;
        *count = count.saturating_add(1);
    }
    masked.push_str(&text[kept..]);
    Cow::Owned(masked)
}

/// GUIDs, digests, numbers and times hold no secret shape; neither does what is too short for one.
fn is_plain_id(text: &str) -> bool {
    // Digits and what separates them, a slash too: without capitals nothing looks random, and no trigger is made of
    // these. No early end: the compiler then looks at many bytes at once.
    let is_lower_hex = |byte: u8| matches!(byte, b'-'..=b':') | matches!(byte, b'a'..=b'f');
    let is_id_byte = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-' | b'.' | b':' | b'T' | b'Z');
    match text.as_bytes() {
        short if short.len() < 5 => true,
        [first, ..] if !is_lower_hex(*first) && !is_id_byte(*first) => false,
        bytes => {
            bytes.iter().fold(true, |is_plain, byte| is_plain & is_lower_hex(*byte))
                || bytes.iter().all(|byte| is_id_byte(*byte))
        }
    }
}

/// Whether a header, property or field name says that its value is a secret (`authorization`, `cookie`,
/// `*token*`, `*secret*`, `*key*` …). Compared without case, `-` and `_`.
pub fn is_secret_name(name: &str) -> bool {
    secret_name::is_secret(name)
}

/// Masks token shapes in every text column of the event and adds to `event.redactions`.
pub fn sweep(event: &mut Event<'_>) {
    let mut count = 0;
    event.for_each_text_mut(|column, text| {
        let is_code = matches!(
            column,
            "principal_type"
                | "identity_basis"
                | "response_source"
                | "statement_hash"
                | "statement_verb"
                | "ai_verdict"
                | "pseudonym_key_id"
        );
        // Codes of our own and hashes. Every other column holds what somebody sent: an id, a method or a version
        // may be anything.
        if is_code {
            return;
        }
        if let Cow::Owned(masked) = mask_text(text, &mut count) {
            *text = Cow::Owned(masked);
        }
    });
    if let Cow::Owned(masked) = mask_text(&event.category, &mut count) {
        event.category = Cow::Owned(masked);
    }
    event.redactions = event.redactions.saturating_add(count);
}

/// Appends the whole record to `out` as compact JSON without secrets, for the `records` table: secret header
/// values, cookies, query values, SQL literals, prompts and bodies, token shapes. With pseudonyms, client addresses
/// and UPNs are hashed too. Returns the number of masked values.
/// When the text is not JSON, appends a JSON string of its masked preview.
pub fn record(side: Side, text: &str, pseudonyms: Option<&Pseudonymiser>, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    out.reserve(text.len());
    let count = Decided::with(|decided| {
        let mut transcoder = Transcoder { side, pseudonyms, decided, count: 0, nested: 0 };
        transcoder.transcode(text, Rule::Plain, out).map(|()| transcoder.count)
    });
    if let Some(count) = count {
        return count;
    }
    out.truncate(start);
    let head = preview(text);
    let hidden = pseudonyms.and_then(|pseudonyms| pseudonyms.hide_in_text(&head, true));
    crate::cursor::write_string(hidden.as_deref().unwrap_or(&head), out);
    1
}

/// A SQL statement with every literal replaced by `?` and white space folded: what may be hashed and stored.
pub fn normalise_sql(statement: &str) -> String {
    sql::normalise(statement).0
}

/// The leading verb of a statement, upper case (`SELECT`, `CREATE LOGIN` → `CREATE`); None when there is none.
pub fn sql_verb(statement: &str) -> Option<&'static str> {
    sql::verb(statement)
}

/// Head of rejected bytes or of an error text that may be stored and logged: masked, one line.
pub fn preview(text: &str) -> String {
    preview::head(text)
}

/// A user agent reduced to family and major version, for instance `azure-synapse/1`.
pub fn user_agent_family(user_agent: &str) -> Cow<'_, str> {
    agent::family(user_agent)
}

/// Keyed pseudonyms (HMAC-SHA-256) for personal values. The key never prints.
pub struct Pseudonymiser {
    key: Box<[u8]>,
    key_id: String,
}

impl std::fmt::Debug for Pseudonymiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pseudonymiser").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Pseudonymiser {
    /// From a key of at least 16 bytes and the id under which it is known. None when the key is too short.
    pub fn new(key: &[u8], key_id: &str) -> Option<Self> {
        (key.len() >= 16).then(|| Self { key: key.into(), key_id: key_id.into() })
    }
}

#[cfg(test)]
mod tests;
