//! Pairs: names with values: an object, a list of `{name, value}`, or either as JSON text.
//!
//! - In: headers, user properties: a value of any form.
//! - Out: pairs of name and text in the record's list.
//! - Invariants: an unexpected form never fails the record; values that are no scalars are empty.

use super::{Copied, Keep, Pair, Raw, TEXTS_MAX, ignore_bare_values, looks_like_json};
use crate::azure::fields::PairList;
use crate::scalar::Scalar;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Where the pairs go.
pub(super) struct PairsOf<'r, 'a, K> {
    pub(super) raw: &'r mut Raw<'a>,
    pub(super) list: PairList,
    pub(super) texts: u8,
    pub(super) keep: PhantomData<K>,
}

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for PairsOf<'_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for PairsOf<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<Text<'de>>()?;
            let kept = |text: Text<'de>| match text.0 {
                Cow::Borrowed(text) => K::keep(text),
                Cow::Owned(text) => Cow::Owned(text),
            };
            let pair = (kept(name), kept(value));
            self.raw.pairs(self.list).push(pair);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { raw, list, texts, .. } = self;
        loop {
            let before = raw.pairs(list).len();
            if seq
                .next_element_seed(PairsOf::<K> { raw: &mut *raw, list, texts, keep: PhantomData })?
                .is_none()
            {
                return Ok(());
            }
            fold_name_and_value(raw.pairs(list), before);
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if looks_like_json(text) && self.texts < TEXTS_MAX {
            let mut json = serde_json::Deserializer::from_str(text);
            let inner = PairsOf::<Copied> {
                raw: self.raw,
                list: self.list,
                texts: self.texts + 1,
                keep: PhantomData,
            };
            // What is no list of names holds nothing to keep.
            inner.deserialize(&mut json).unwrap_or_default();
        }
        Ok(())
    }

    ignore_bare_values!();
}

/// `{name: "a", value: "b"}` becomes the pair (a, b).
fn fold_name_and_value(pairs: &mut Vec<Pair<'_>>, from: usize) {
    let of = |wanted: &str| {
        pairs[from..]
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.clone())
    };
    if let (Some(name), Some(value)) = (of("name"), of("value")) {
        pairs.truncate(from);
        pairs.push((name, value));
    }
}

/// A scalar's text; empty for anything else.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = Scalar::deserialize(deserializer)?;
        Ok(Self(match scalar {
            Scalar::Text(text) => text,
            other => other.as_text().map_or(Cow::Borrowed(""), |text| Cow::Owned(text.into_owned())),
        }))
    }
}
