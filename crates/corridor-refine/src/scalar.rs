//! Scalar: lenient reading of JSON values, borrowed from the record's text where they can be.
//!
//! - In: any JSON value where a text, number or object is expected; sources mix the forms.
//! - Out: [`Scalar`] (text, number, boolean or nothing; the first item of an array), [`List`], [`Key`], [`Raw`].
//! - Invariants: a value of an unexpected form counts as missing and never fails the record; of a repeated key the
//!   last value counts. `Option<Cow<str>>` with `#[serde(borrow)]` always allocates, hence these types.

use crate::object::{Field, field_by_value};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// One JSON value seen as text, number or boolean. Objects, `null` and empty arrays are [`Scalar::Null`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Scalar<'a> {
    /// Missing, `null`, an object or an empty array.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string, or a number too long for `Int`.
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// A number; as text when it is too long.
    fn of_u64(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(Cow::Owned(value.to_string())), Self::Int)
    }

    /// Whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The trimmed text, if it is a string that is not blank.
    #[inline]
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(trim(text)).filter(|text| !text.is_empty()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => None,
        }
    }

    /// The trimmed text of a string, number or boolean; strings are borrowed. None for blanks.
    #[inline]
    pub(crate) fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Int(value) => Some(Cow::Owned(value.to_string())),
            Self::Float(value) => Some(Cow::Owned(value.to_string())),
            Self::Text(_) => self.as_str().map(Cow::Borrowed),
        }
    }

    /// The number as an integer, rounded; also of a string that holds a number. None outside the range.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Float(value) => round_to_i64(*value),
            Self::Text(_) => {
                let text = self.as_str()?;
                text.parse().ok().or_else(|| round_to_i64(text.parse().ok()?))
            }
            Self::Null | Self::Bool(_) => None,
        }
    }

    /// The number, also of a string that holds one. Never infinite, never NaN.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        let value = match self {
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Text(_) => self.as_str()?.parse().ok()?,
            Self::Null | Self::Bool(_) => return None,
        };
        value.is_finite().then_some(value)
    }

    /// The boolean, also of the strings `true` and `false` in any case.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            Self::Null | Self::Int(_) | Self::Float(_) | Self::Text(_) => None,
        }
    }
}

/// Without surrounding blanks. Few texts have any, and the ends tell.
#[inline]
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [one] if one.is_ascii_graphic() => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

fn round_to_i64(value: f64) -> Option<i64> {
    // Every f64 strictly inside these bounds fits; the bounds themselves are not times or sizes.
    (value.is_finite() && value.abs() < 9.2e18).then(|| value.round() as i64)
}

/// Reads a scalar where it stands: handed on by value it would be copied more slowly than read.
struct ScalarPlace<'p, 'de>(&'p mut Scalar<'de>);

impl<'de> ScalarPlace<'_, 'de> {
    fn put<E>(self, scalar: Scalar<'de>) -> Result<(), E> {
        *self.0 = scalar;
        Ok(())
    }
}

impl<'de> Visitor<'de> for ScalarPlace<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    #[inline]
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Owned(text)))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.put(Scalar::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.put(Scalar::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.put(Scalar::of_u64(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.put(Scalar::Float(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.put(Scalar::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.put(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let first = seq.next_element::<Scalar<'de>>()?.unwrap_or_default();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.put(first)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.put(Scalar::Null)
    }
}

impl<'de> DeserializeSeed<'de> for ScalarPlace<'_, 'de> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut scalar = Scalar::Null;
        deserializer.deserialize_any(ScalarPlace(&mut scalar))?;
        Ok(scalar)
    }
}

/// An object's key, borrowed unless it holds escapes.
#[derive(Debug)]
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The texts of an array, or of a single value. Objects and `null` inside are left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct List<'a>(pub(crate) Vec<Scalar<'a>>);

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::Text(Cow::Borrowed(text))]))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::Text(Cow::Owned(text.to_owned()))]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::Bool(value)]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::Int(value)]))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::of_u64(value)]))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(List(vec![Scalar::Float(value)]))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Scalar<'de>>()? {
                    if !item.is_null() {
                        items.push(item);
                    }
                }
                Ok(List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}

/// A value as it is written, for fields that are looked at later or not at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(pub(crate) &'a str);

/// Asks a deserializer for [`Raw`]. Only our own reader knows the name.
pub(crate) const RAW: &str = "corridor::Raw";

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Raw(text))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
            }
        }
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

impl<'de> Field<'de> for Scalar<'de> {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(ScalarPlace(self))
    }
}

field_by_value!(List);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_not() {
        assert!(matches!(read(r#""abc""#), Scalar::Text(Cow::Borrowed("abc"))));
        assert!(matches!(read(r#""a\/b""#), Scalar::Text(Cow::Owned(text)) if text == "a/b"));
    }

    #[test]
    fn numbers_and_texts_stand_for_each_other() {
        let cases = [
            ("7", Some(7), Some("7")),
            (r#""7""#, Some(7), Some("7")),
            (r#"" 7.4 ""#, Some(7), Some("7.4")),
            ("1.7267838395395e+18", Some(1_726_783_839_539_500_032), None),
            ("1e300", None, None),
            ("18446744073709551615", None, Some("18446744073709551615")),
            ("true", None, Some("true")),
            (r#"["9","8"]"#, Some(9), Some("9")),
            ("{}", None, None),
            ("[]", None, None),
            ("null", None, None),
            (r#""  ""#, None, None),
        ];
        for (json, number, text) in cases {
            assert_eq!(read(json).as_i64(), number, "{json}");
            if let Some(text) = text {
                assert_eq!(read(json).as_text().as_deref(), Some(text), "{json}");
            }
        }
        assert_eq!(read(r#""6.75e-06""#).as_f64(), Some(6.75e-06));
        assert_eq!(read(r#""NaN""#).as_f64(), None);
        assert_eq!(read(r#""TRUE""#).as_bool(), Some(true));
    }

    #[test]
    fn lists_accept_single_values_and_skip_objects() {
        let list: List<'_> = serde_json::from_str(r#"["a", 1, {}, null, ["b", "c"]]"#).unwrap();
        let texts: Vec<_> = list.0.iter().filter_map(Scalar::as_text).collect();
        assert_eq!(texts, ["a", "1", "b"]);
        assert_eq!(serde_json::from_str::<List<'_>>(r#""a""#).unwrap().0.len(), 1);
        assert_eq!(serde_json::from_str::<List<'_>>("{}").unwrap(), List::default());
    }
}
