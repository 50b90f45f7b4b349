//! Slot: one value of a record that is wanted as a text.
//!
//! - In: a value of any form.
//! - Out: the text of its field. Of an object the telling members are taken, of a list all texts.
//! - Invariants: an unexpected form never fails the record.

use super::{Keep, Raw};
use crate::azure::fields::{Field, Scope};
use crate::scalar;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Where the value goes.
pub(super) struct Slot<'r, 'a, K> {
    pub(super) raw: &'r mut Raw<'a>,
    pub(super) field: Field,
    pub(super) scope: Scope,
    pub(super) keep: PhantomData<K>,
}

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for Slot<'_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Slot<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.raw.set(self.field, self.scope, K::keep(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.raw.set(self.field, self.scope, Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.raw.set(self.field, self.scope, Cow::Borrowed(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.visit_str(&value.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut joined = String::new();
        while let Some(item) = seq.next_element::<scalar::Raw<'de>>()? {
            let Ok(text) = serde_json::from_str::<Cow<'_, str>>(item.0) else { continue };
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&text);
        }
        self.visit_str(&joined)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let field = match key.to_ascii_lowercase().as_str() {
                "value" | "name" | "localizedvalue" | "message" => self.field,
                "errorcode" | "code" | "number" => Field::ErrorCode,
                "failurereason" => Field::FailureReason,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(Slot::<K> { raw: self.raw, field, scope: self.scope, keep: PhantomData })?;
        }
        Ok(())
    }
}
