//! Object: lenient reading of JSON objects, each where it stands.
//!
//! - In: any JSON value where an object is expected.
//! - Out: structs declared by [`lenient_object!`], and other types that are [`FromObject`].
//! - Invariants: a value of another form counts as missing and never fails the record; of a repeated key the last
//!   value counts.

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What reads itself from the members of an object. Every other JSON value, also `[]` where an object was expected,
/// counts as missing and leaves the default.
pub(crate) trait FromObject<'de>: Default {
    /// A name of its own for a type whose objects repeat, byte for byte, in many records.
    const COPIED: Option<&'static str> = None;

    /// Whether members were read; if not, it is the default.
    fn is_object(&self) -> bool;

    /// Reads the members.
    fn read_members<A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error>;
}

/// Reads an object where it stands: objects are large, and handing them on by value means copying them.
pub(crate) struct Place<'p, T>(pub(crate) &'p mut T);

impl<'de, T: FromObject<'de>> DeserializeSeed<'de> for Place<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // Of a repeated key the last value counts.
        if self.0.is_object() {
            *self.0 = T::default();
        }
        match T::COPIED {
            Some(name) => deserializer.deserialize_newtype_struct(name, self),
            None => deserializer.deserialize_any(self),
        }
    }
}

impl<'de, T: FromObject<'de>> Visitor<'de> for Place<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.read_members(map)
    }
}

/// A field of an object: reads the value of the member whose name was read last.
pub(crate) trait Field<'de> {
    /// Replaces the field by the value.
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error>;
}

impl<'de, T: FromObject<'de>> Field<'de> for T {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(Place(self))
    }
}

/// Fields that are read by value.
macro_rules! field_by_value {
    ($($name:ident),*) => {
        $(impl<'de> $crate::object::Field<'de> for $name<'de> {
            fn read<A: serde::de::MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
                *self = map.next_value()?;
                Ok(())
            }
        })*
    };
}
pub(crate) use field_by_value;

/// `Deserialize` for what reads itself from an object.
macro_rules! deserialize_object {
    ($($name:ident),*) => {
        $(impl<'de> serde::de::Deserialize<'de> for $name<'de> {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut object = Self::default();
                serde::de::DeserializeSeed::deserialize($crate::object::Place(&mut object), deserializer)?;
                Ok(object)
            }
        })*
    };
}
pub(crate) use deserialize_object;

/// Declares a struct that reads the named keys of a JSON object and skips the rest. `copied as` gives the name of
/// [`FromObject::COPIED`].
macro_rules! lenient_object {
    ($(#[$meta:meta])* $vis:vis struct $name:ident<$lt:lifetime> $(copied as $copied:literal)? {
        $($(#[$doc:meta])* $field:ident: $ty:ty = $($key:literal)|+,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $name<$lt> {
            /// Whether the value was an object.
            $vis is_object: bool,
            $($(#[$doc])* $vis $field: $ty,)*
        }

        impl<$lt> $crate::object::FromObject<$lt> for $name<$lt> {
            $(const COPIED: Option<&'static str> = Some($copied);)?

            fn is_object(&self) -> bool {
                self.is_object
            }

            fn read_members<A: serde::de::MapAccess<$lt>>(&mut self, mut map: A) -> Result<(), A::Error> {
                self.is_object = true;
                while let Some(key) = map.next_key::<$crate::scalar::Key<$lt>>()? {
                    match key.0.as_bytes() {
                        $($($key)|+ => $crate::object::Field::read(&mut self.$field, &mut map)?,)*
                        _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                    }
                }
                Ok(())
            }
        }

        $crate::object::deserialize_object!($name);
    };
}
pub(crate) use lenient_object;

#[cfg(test)]
mod tests {
    use crate::scalar::Scalar;

    lenient_object! {
        struct Sample<'a> {
            name: Scalar<'a> = b"name" | b"Name",
        }
    }

    #[test]
    fn objects_take_the_last_of_repeated_keys_and_skip_what_they_do_not_know() {
        let sample: Sample<'_> =
            serde_json::from_str(r#"{"x": {"y": [1]}, "name": "a", "n\u0061me": "b", "Name": "c"}"#).unwrap();
        assert!(sample.is_object);
        assert_eq!(sample.name.as_str(), Some("c"));
        for json in ["[]", "[1,{}]", "null", "1", "-1", "1.5", "true", r#""{}""#, r#""\n""#] {
            let sample: Sample<'_> = serde_json::from_str(json).unwrap();
            assert!(!sample.is_object && sample.name.is_null(), "{json}");
        }
    }
}
