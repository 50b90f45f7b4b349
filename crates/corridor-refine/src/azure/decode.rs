//! Decode: the JSON of one record becomes the fields that Corridor reads, in one pass over borrowed text.
//!
//! - In: the record's text.
//! - Out: [`Raw`]: field values, header lists and leftovers; texts borrow the record unless they had escapes.
//! - Invariants: keys in any case, repeated keys never fail a record; `null`, `""` and `"null"` are missing; JSON
//!   inside strings is read at most two levels deep; an unexpected form of a value never fails the record.

mod pairs;
mod slot;

use super::fields::{Action, FIELD_COUNT, Field, PairList, Scope, action};
use crate::reader::read_usual;
use crate::scalar;
use pairs::PairsOf;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use slot::Slot;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// JSON texts inside strings are read this deep.
const TEXTS_MAX: u8 = 2;

/// A record's values.
pub(super) struct Raw<'a> {
    fields: [Option<Cow<'a, str>>; FIELD_COUNT],
    /// Bit of each field whose value stood in the record itself: it wins over one in `properties`.
    from_top: u128,
    /// Request headers of an activity.
    pub(super) input_headers: Vec<Pair<'a>>,
    /// Response headers of a web activity.
    pub(super) response_headers: Vec<Pair<'a>>,
    /// User properties of an activity.
    pub(super) user_properties: Vec<Pair<'a>>,
    /// Name and JSON text of what no table names.
    pub(super) leftovers: Vec<Pair<'a>>,
    /// Values that were left behind because they may be secret or personal.
    pub(super) withheld: u32,
}

/// Visits of a visitor that looks for members only: numbers, words and `null` hold none.
macro_rules! ignore_bare_values {
    () => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E: Error>(self) -> Result<(), E> {
            Ok(())
        }
    };
}
use ignore_bare_values;

/// A name with its value.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

impl<'a> Raw<'a> {
    fn empty() -> Self {
        Self {
            fields: [const { None }; FIELD_COUNT],
            from_top: 0,
            input_headers: Vec::new(),
            response_headers: Vec::new(),
            user_properties: Vec::new(),
            leftovers: Vec::new(),
            withheld: 0,
        }
    }

    /// Reads a record, which must be a JSON object.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut raw = Self::empty();
        if text.starts_with('{') && read_usual(text, raw.walk()).is_some() {
            return Ok(raw);
        }
        raw = Self::empty();
        let mut json = serde_json::Deserializer::from_str(text);
        raw.walk().deserialize(&mut json)?;
        json.end()?;
        Ok(raw)
    }

    fn walk(&mut self) -> Walk<'_, 'a, Borrowed> {
        Walk { raw: self, scope: Scope::Top, texts: 0, keep: PhantomData }
    }

    /// A value, trimmed.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        self.fields[field as usize].as_deref()
    }

    /// A value for a column; borrows the record where it can.
    pub(super) fn text(&self, field: Field) -> Option<Cow<'a, str>> {
        self.fields[field as usize].clone()
    }

    /// The first of several values.
    pub(super) fn first(&self, fields: &[Field]) -> Option<&str> {
        fields.iter().find_map(|field| self.get(*field))
    }

    fn set(&mut self, field: Field, scope: Scope, value: Cow<'a, str>) {
        let value = match value {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if value.is_empty() || value.eq_ignore_ascii_case("null") {
            return;
        }
        let bit = 1 << field as u32;
        let is_top = scope == Scope::Top;
        let slot = &mut self.fields[field as usize];
        if slot.is_none() || (is_top && self.from_top & bit == 0) {
            *slot = Some(value);
            self.from_top |= if is_top { bit } else { 0 };
        }
    }

    fn pairs(&mut self, list: PairList) -> &mut Vec<Pair<'a>> {
        match list {
            PairList::InputHeaders => &mut self.input_headers,
            PairList::ResponseHeaders => &mut self.response_headers,
            PairList::UserProperties => &mut self.user_properties,
        }
    }
}

/// How a text of the JSON in work lives as long as the record: borrowed, or copied when it stood inside a string.
trait Keep<'de, 'a> {
    fn keep(text: &'de str) -> Cow<'a, str>;
}

struct Borrowed;
impl<'a> Keep<'a, 'a> for Borrowed {
    fn keep(text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}

struct Copied;
impl<'a> Keep<'_, 'a> for Copied {
    fn keep(text: &str) -> Cow<'a, str> {
        Cow::Owned(text.to_owned())
    }
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Reads the members of an object at a place.
struct Walk<'r, 'a, K> {
    raw: &'r mut Raw<'a>,
    scope: Scope,
    texts: u8,
    keep: PhantomData<K>,
}

impl<'a, K> Walk<'_, 'a, K> {
    fn reborrow(&mut self, scope: Scope) -> Walk<'_, 'a, K> {
        Walk { raw: self.raw, scope, texts: self.texts, keep: PhantomData }
    }

    /// JSON inside a string, or a plain text where an object was expected.
    fn read_text(&mut self, text: &str) {
        if looks_like_json(text) && self.texts < TEXTS_MAX {
            let mut json = serde_json::Deserializer::from_str(text);
            let inner =
                Walk::<Copied> { raw: self.raw, scope: self.scope, texts: self.texts + 1, keep: PhantomData };
            if inner.deserialize(&mut json).is_ok() {
                return;
            }
        }
        match self.scope {
            Scope::Identity => self.raw.set(Field::IdentityText, self.scope, Cow::Owned(text.to_owned())),
            Scope::Error => self.raw.set(Field::ErrorMessage, self.scope, Cow::Owned(text.to_owned())),
            Scope::Properties | Scope::Input | Scope::Claims if !text.trim().is_empty() => {
                self.raw.withheld += 1
            }
            _ => {}
        }
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for Walk<'_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.scope == Scope::Top {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Walk<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a diagnostic record, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((action, name)) = map.next_key_seed(Name { scope: self.scope })? {
            match action {
                Action::Keep(field) => {
                    let scope = self.scope;
                    map.next_value_seed(Slot::<K> { raw: self.raw, field, scope, keep: PhantomData })?;
                }
                Action::Enter(scope) => map.next_value_seed(self.reborrow(scope))?,
                Action::Pairs(list) => {
                    let texts = self.texts;
                    map.next_value_seed(PairsOf::<K> { raw: self.raw, list, texts, keep: PhantomData })?;
                }
                Action::Leftover => {
                    let value = map.next_value::<scalar::Raw<'de>>()?;
                    let name = match name {
                        Cow::Borrowed(name) => K::keep(name),
                        Cow::Owned(name) => Cow::Owned(name),
                    };
                    self.raw.leftovers.push((name, K::keep(value.0)));
                }
                Action::Skip => {
                    map.next_value::<IgnoredAny>()?;
                }
                Action::Withhold => {
                    map.next_value::<IgnoredAny>()?;
                    self.raw.withheld = self.raw.withheld.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let scope = self.scope;
            if seq.next_element_seed(self.reborrow(scope))?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.read_text(text);
        Ok(())
    }

    ignore_bare_values!();
}

/// A key: what to do with its value, and its text for leftovers.
struct Name {
    scope: Scope,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = (Action, Cow<'de, str>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = (Action, Cow<'de, str>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok((action(self.scope, key), Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((action(self.scope, key), Cow::Owned(key.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_key_never_fail_the_record() {
        let raw =
            Raw::parse(r#"{"Level":4,"level":"x","TIME":"t","time":"u","Properties":{"time":"v"}}"#).unwrap();
        assert_eq!(raw.get(Field::Time), Some("t"));
    }

    #[test]
    fn json_inside_strings_is_read() {
        let text = r#"{"properties":"{\"Input\":\"{\\\"url\\\":\\\"https://x/y\\\",\\\"headers\\\":{\\\"A\\\":1}}\"}"}"#;
        let raw = Raw::parse(text).unwrap();
        assert_eq!(raw.get(Field::Url), Some("https://x/y"));
        assert_eq!(raw.input_headers[0].1, "1");
    }

    #[test]
    fn missing_words_are_missing() {
        let raw = Raw::parse(r#"{"status":"null","category":"","time":null,"runId":"  "}"#).unwrap();
        for field in [Field::Status, Field::Category, Field::Time, Field::RunId] {
            assert_eq!(raw.get(field), None, "{field:?}");
        }
    }

    #[test]
    fn lists_of_name_and_value_are_pairs() {
        let raw = Raw::parse(
            r#"{"userProperties":"[{\"name\":\"kongCorrelationId\",\"value\":\"v\"}]",
                "properties":{"Input":{"headers":[{"name":"A","value":"b"}]},"status":{"errorCode":7}}}"#,
        )
        .unwrap();
        assert_eq!(raw.user_properties, [("kongCorrelationId".into(), "v".into())]);
        assert_eq!(raw.input_headers, [("A".into(), "b".into())]);
        assert_eq!(raw.get(Field::ErrorCode), Some("7"));
    }

    #[test]
    fn top_level_values_win_over_properties() {
        let raw = Raw::parse(r#"{"properties":{"resultType":"a","x":[1]},"resultType":"b"}"#).unwrap();
        assert_eq!(raw.get(Field::ResultType), Some("b"));
        assert_eq!(raw.leftovers, [("x".into(), "[1]".into())]);
    }
}
