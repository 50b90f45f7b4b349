//! Ids: the ids of Kong that an Azure record carries.
//!
//! - In: headers, user properties, client correlation ids, labels, statements, error texts.
//! - Out: correlation ids in order of preference, without repeats; Kong's request ids.
//! - Invariants: header and property names count without case; empty and all-zero ids are missing.

use super::decode::{Pair, Raw};
use super::fields::Field;
use super::{phrase, sql};
use corridor_model::join::CorrelationKey;
use corridor_model::{CorrelationOrigin, Key128};
use std::borrow::Cow;

/// Kong's ids in one record.
#[derive(Default)]
pub(super) struct KongIds<'a> {
    /// Correlation ids, the one for the column first.
    pub(super) correlation: Vec<Cow<'a, str>>,
    /// Who made the first of them.
    pub(super) origin: Option<CorrelationOrigin>,
    /// Request ids.
    pub(super) request: Vec<Cow<'a, str>>,
}

/// User properties that carry the correlation id, without case, `-` and `_`.
const PROPERTY_NAMES: [&str; 3] = ["kongcorrelationid", "correlationid", "xcorrelationid"];

/// Reads Kong's ids. `headers` are the configured header names, in order of preference.
pub(super) fn read_ids<'a>(raw: &Raw<'a>, statement: Option<&str>, headers: &[String]) -> KongIds<'a> {
    let mut ids = KongIds::default();
    for name in headers {
        ids.add_all(values(&raw.input_headers, name), CorrelationOrigin::Client);
    }
    for wanted in PROPERTY_NAMES {
        let of_name = raw.user_properties.iter().filter(|(name, _)| is_property(name, wanted));
        ids.add_all(of_name.map(|(_, value)| value.clone()), CorrelationOrigin::Client);
    }
    ids.add_all(raw.text(Field::ClientCorrelationId), CorrelationOrigin::Client);
    let owned = |id: &str| Cow::Owned(id.to_owned());
    ids.add_all(raw.get(Field::Label).and_then(sql::label_id).map(owned), CorrelationOrigin::Client);
    ids.add_all(
        raw.get(Field::SessionContext).and_then(sql::session_id).map(owned),
        CorrelationOrigin::Client,
    );
    ids.add_all(
        statement.map(sql::planted_ids).unwrap_or_default().into_iter().map(owned),
        CorrelationOrigin::Client,
    );
    for name in headers {
        ids.add_all(values(&raw.response_headers, name), CorrelationOrigin::Gateway);
    }
    ids.request = values(&raw.response_headers, "x-kong-request-id").collect();
    let text = raw.get(Field::ErrorMessage).unwrap_or("");
    ids.request.extend(phrase::request_ids(text).map(owned));
    ids.request.retain(|id| Key128::of_id(id).is_some());
    ids
}

impl<'a> KongIds<'a> {
    fn add_all(&mut self, found: impl IntoIterator<Item = Cow<'a, str>>, origin: CorrelationOrigin) {
        for id in found {
            let Some(key) = CorrelationKey::of(&id) else { continue };
            if self.correlation.iter().any(|known| CorrelationKey::of(known) == Some(key)) {
                continue;
            }
            // Only the gateway numbers its ids.
            let origin = if key.counter.is_some() { CorrelationOrigin::Gateway } else { origin };
            self.origin.get_or_insert(origin);
            self.correlation.push(id);
        }
    }
}

fn values<'p, 'a>(pairs: &'p [Pair<'a>], wanted: &'p str) -> impl Iterator<Item = Cow<'a, str>> + 'p {
    pairs
        .iter()
        .filter(move |(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| trimmed(value))
}

fn trimmed<'a>(value: &Cow<'a, str>) -> Cow<'a, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

fn is_property(name: &str, wanted: &str) -> bool {
    let letters =
        name.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b' ')).map(|byte| byte.to_ascii_lowercase());
    letters.eq(wanted.bytes())
}
