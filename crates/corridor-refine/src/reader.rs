//! Reader: reads a record's JSON through `serde`, quicker than `serde_json` because it gives up on what is unusual.
//!
//! - In: the text of one record, and the object to fill.
//! - Out: what `serde_json` reads from the same text, or its error.
//! - Keeps: a position; ends of objects that repeat, see [`tail`].
//! - Invariants: it accepts only what `serde_json` accepts, and gives the same values (a property test compares them).
//!   Whatever else a text holds, `serde_json` reads it again from the start, and its answer stands.

mod scan;
mod tail;

use crate::object::{FromObject, Place};
use crate::scalar::RAW;
use scan::{blank_end, number_end, plain_end, value_end};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Fills `object`, which is empty, from the text's members. JSON of another kind leaves it empty.
pub(crate) fn read_object<'j, T: FromObject<'j>>(text: &'j str, object: &mut T) -> serde_json::Result<()> {
    if read_usual(text, Place(object)).is_some() {
        return Ok(());
    }
    *object = T::default();
    let mut thorough = serde_json::Deserializer::from_str(text);
    Place(object).deserialize(&mut thorough)?;
    thorough.end()
}

/// What the seed reads from the text. None when the reader gives up, perhaps after the seed has read a part.
pub(crate) fn read_usual<'j, S: DeserializeSeed<'j>>(text: &'j str, seed: S) -> Option<S::Value> {
    let mut reader = Reader { text, at: 0, depth: 0, copied: None };
    let value = seed.deserialize(&mut reader).ok()?;
    (blank_end(text.as_bytes(), reader.at) == text.len()).then_some(value)
}

/// Given up: the text is unusual, or no JSON.
#[derive(Debug, Clone, Copy)]
struct Unusual;

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unusual JSON")
    }
}

impl std::error::Error for Unusual {}

impl serde::de::Error for Unusual {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Objects and arrays inside each other; `serde_json` itself refuses 128.
const DEPTH_MAX: u8 = 64;

/// A position in JSON text.
struct Reader<'j> {
    text: &'j str,
    at: usize,
    depth: u8,
    /// Whose copy the value that comes next is, if it is one.
    copied: Option<&'static str>,
}

impl<'j> Reader<'j> {
    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Result<u8, Unusual> {
        self.at = blank_end(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().ok_or(Unusual)
    }

    /// Passes over the byte if it comes next.
    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), Unusual> {
        if self.peek()? != wanted {
            return Err(Unusual);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over one value.
    fn skip(&mut self) -> Result<&'j str, Unusual> {
        self.peek()?;
        let start = self.at;
        self.at = value_end(self.text.as_bytes(), start).ok_or(Unusual)?;
        self.text.get(start..self.at).ok_or(Unusual)
    }

    /// A string at its opening quote: borrowed when it holds no escape. Inlined, so that the text stays in registers.
    #[inline(always)]
    fn string<V: Visitor<'j>>(&mut self, visitor: V) -> Result<V::Value, Unusual> {
        let start = self.at + 1;
        let end = plain_end(self.text.as_bytes(), start);
        match self.text.as_bytes().get(end) {
            Some(b'"') => {
                self.at = end + 1;
                visitor.visit_borrowed_str(self.text.get(start..end).ok_or(Unusual)?)
            }
            Some(b'\\') => visitor.visit_string(self.unescaped(start, end)?),
            _ => Err(Unusual),
        }
    }

    /// The string whose content begins at `start` and whose first escape is at `escape`. Surrogates are unusual.
    fn unescaped(&mut self, start: usize, mut escape: usize) -> Result<String, Unusual> {
        let bytes = self.text.as_bytes();
        let mut text = String::with_capacity((escape - start) * 2 + 16);
        let mut from = start;
        loop {
            text.push_str(self.text.get(from..escape).ok_or(Unusual)?);
            match bytes.get(escape) {
                Some(b'"') => {
                    self.at = escape + 1;
                    return Ok(text);
                }
                Some(b'\\') => {}
                _ => return Err(Unusual),
            }
            from = escape + 2;
            text.push(match bytes.get(escape + 1).ok_or(Unusual)? {
                simple @ (b'"' | b'\\' | b'/') => char::from(*simple),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let digits = self.text.get(from..from + 4).ok_or(Unusual)?;
                    from += 4;
                    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let unit = u32::from_str_radix(digits, 16).map_err(|_| Unusual)?;
                    char::from_u32(unit).filter(|_| is_hex).ok_or(Unusual)?
                }
                _ => return Err(Unusual),
            });
            escape = plain_end(bytes, from);
        }
    }

    /// A number. Those with a fraction, an exponent or many digits are left to `serde_json`, to have the same rounding.
    fn number<V: Visitor<'j>>(&mut self, visitor: V) -> Result<V::Value, Unusual> {
        let start = self.at;
        self.at = number_end(self.text.as_bytes(), start).ok_or(Unusual)?;
        let written = self.text.get(start..self.at).ok_or(Unusual)?;
        if is_short_integer(written) {
            return if written.starts_with('-') {
                visitor.visit_i64(written.parse().map_err(|_| Unusual)?)
            } else {
                visitor.visit_u64(written.parse().map_err(|_| Unusual)?)
            };
        }
        serde_json::Deserializer::from_str(written).deserialize_any(visitor).map_err(|_| Unusual)
    }

    /// A value that is no string.
    fn other_value<V: Visitor<'j>>(&mut self, visitor: V) -> Result<V::Value, Unusual> {
        match self.peek()? {
            b'{' => self.enclosed(b'}', |reader| visitor.visit_map(Members::of(reader))),
            b'[' => self.enclosed(b']', |reader| visitor.visit_seq(Items { reader, is_first: true })),
            b'-' | b'0'..=b'9' => self.number(visitor),
            b't' => visitor.visit_bool(self.word("true", true)?),
            b'f' => visitor.visit_bool(self.word("false", false)?),
            b'n' => {
                self.word("null", ())?;
                visitor.visit_unit()
            }
            _ => Err(Unusual),
        }
    }

    fn word<T>(&mut self, word: &str, value: T) -> Result<T, Unusual> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(value)
    }

    /// Passes over the opening bracket and, behind what `read` reads, over the closing one.
    fn enclosed<T>(
        &mut self,
        close: u8,
        read: impl FnOnce(&mut Self) -> Result<T, Unusual>,
    ) -> Result<T, Unusual> {
        if self.depth == DEPTH_MAX {
            return Err(Unusual);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.expect(close)?;
        self.depth -= 1;
        Ok(value)
    }
}

/// Whether the number is an integer that fits in 64 bits with room to spare. `-0` is a fraction to `serde_json`.
fn is_short_integer(written: &str) -> bool {
    const DIGITS_MAX: usize = 18;
    written.len() <= DIGITS_MAX
        && written != "-0"
        && written.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unusual;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        // Most values are strings.
        if self.peek()? == b'"' { self.string(visitor) } else { self.other_value(visitor) }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        if name == RAW {
            return visitor.visit_borrowed_str(self.skip()?);
        }
        self.copied = Some(name);
        let value = visitor.visit_newtype_struct(&mut *self);
        self.copied = None;
        value
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The name of a member. Unlike a value, it is decoded even when nobody wants it.
struct Name<'r, 'j>(&'r mut Reader<'j>);

impl<'de> Deserializer<'de> for Name<'_, 'de> {
    type Error = Unusual;

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        if self.0.peek()? == b'"' { self.0.string(visitor) } else { Err(Unusual) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The members of an object.
struct Members<'r, 'j> {
    reader: &'r mut Reader<'j>,
    is_first: bool,
    /// Where the object's first member begins.
    start: usize,
    /// Whose copy the object is, if it is one.
    copied: Option<&'static str>,
    /// Where the value of the first of the unwanted members begins, if the last one read was unwanted.
    tail: Option<usize>,
}

impl<'r, 'j> Members<'r, 'j> {
    fn of(reader: &'r mut Reader<'j>) -> Self {
        let (start, copied) = (reader.at, reader.copied.take());
        Self { reader, is_first: true, start, copied, tail: None }
    }

    /// What stands in the object before its tail, and the text from there on.
    fn at_tail(&self, tail: usize) -> Option<(&'j str, &'j str)> {
        Some((self.reader.text.get(self.start..tail)?, self.reader.text.get(tail..)?))
    }

    /// Passes over a value that nobody wants, and with it over all members behind it if they are known.
    fn skip_unwanted(&mut self) -> Result<(), Unusual> {
        if let (None, Some(kind)) = (self.tail, self.copied) {
            let at = self.reader.at;
            self.tail = Some(at);
            let known = self.at_tail(at).and_then(|(head, rest)| tail::known_length(kind, head, rest));
            if let Some(length) = known {
                self.reader.at += length;
                self.tail = None;
                return Ok(());
            }
        }
        self.reader.skip().map(drop)
    }

    fn remember_tail(&self) {
        if let (Some(kind), Some(start)) = (self.copied, self.tail)
            && let Some((head, rest)) = self.at_tail(start)
            && let Some(tail) = rest.get(..self.reader.at - start)
        {
            tail::remember(kind, head, tail);
        }
    }
}

impl<'j> MapAccess<'j> for Members<'_, 'j> {
    type Error = Unusual;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'j>>(&mut self, seed: K) -> Result<Option<K::Value>, Unusual> {
        if self.reader.peek()? == b'}' {
            self.remember_tail();
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) {
            self.reader.expect(b',')?;
        }
        seed.deserialize(Name(self.reader)).map(Some)
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'j>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        self.reader.expect(b':')?;
        seed.deserialize(Member(self))
    }
}

/// The value of a member.
struct Member<'m, 'r, 'j>(&'m mut Members<'r, 'j>);

impl<'de> Deserializer<'de> for Member<'_, '_, 'de> {
    type Error = Unusual;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.0.tail = None;
        self.0.reader.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.0.skip_unwanted()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.0.tail = None;
        self.0.reader.deserialize_newtype_struct(name, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The items of an array.
struct Items<'r, 'j> {
    reader: &'r mut Reader<'j>,
    is_first: bool,
}

impl<'j> SeqAccess<'j> for Items<'_, 'j> {
    type Error = Unusual;

    fn next_element_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        if self.reader.peek()? == b']' {
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) {
            self.reader.expect(b',')?;
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

#[cfg(test)]
mod tests;
