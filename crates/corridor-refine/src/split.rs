//! Split: one line, document or message becomes the records inside it.
//!
//! - In: bytes: one JSON value or several in a row, with or without a byte-order mark: a record, an array of
//!   records, an Azure envelope `{"records":[…]}`, an array of envelopes, records as JSON strings.
//! - Out: pieces in order, numbered from 0 inside the bytes.
//! - Keeps: nothing; pieces borrow the input, except records that were JSON strings.
//! - Invariants: never panics; complete records before a cut are records, what follows the cut is one broken piece.
//!   A bare object is handed on unread unless it could be an envelope: its parser finds what is wrong with it.

use corridor_model::RejectCode;
use memchr::{memchr_iter, memmem};
use scan::{End, array_end, skip_blank, value_end};
use std::sync::LazyLock;

mod scan;

/// A piece of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The bytes of one record.
    Record {
        /// The record, without surrounding blanks.
        bytes: &'a [u8],
        /// Position inside the input, from 0.
        index: u32,
    },
    /// Bytes that hold no record.
    Broken {
        /// The bytes.
        bytes: &'a [u8],
        /// Position inside the input, from 0.
        index: u32,
        /// Why.
        code: RejectCode,
        /// For a person.
        detail: &'static str,
    },
}

/// Arrays and envelopes inside each other: an array of envelopes is the deepest form any sender uses.
const LEVELS_MAX: u8 = 2;
/// JSON texts inside JSON strings.
const TEXTS_MAX: u8 = 2;

/// Cuts `bytes` into pieces. Blank input yields none.
pub fn split(bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
    Splitter { next_index: 0, was_cut: false, sink }.values(trimmed(bytes), Nesting { level: 0, texts: 0 });
}

/// The bytes without a byte-order mark and the blanks round them.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii()
}

/// How deep the splitter is.
#[derive(Clone, Copy)]
struct Nesting {
    level: u8,
    texts: u8,
}

impl Nesting {
    fn may_open(self) -> bool {
        self.level < LEVELS_MAX
    }

    fn inside(self) -> Self {
        Self { level: self.level + 1, ..self }
    }
}

struct Splitter<'s> {
    next_index: u32,
    /// Whether the cut is reported: every open array and envelope ends there, but it is one piece.
    was_cut: bool,
    sink: &'s mut dyn FnMut(Piece<'_>),
}

impl Splitter<'_> {
    /// Values in a row.
    fn values(&mut self, bytes: &[u8], nesting: Nesting) {
        let mut rest = bytes.trim_ascii();
        let mut is_first = true;
        while let Some(first) = rest.first() {
            let used = match first {
                b'{' if nesting.may_open() && may_be_envelope(rest) => {
                    self.envelope(rest, nesting).unwrap_or_else(|| self.object(rest, is_first))
                }
                b'{' => self.object(rest, is_first),
                b'[' if nesting.may_open() => self.array(rest, 1, nesting.inside()),
                _ => self.other(rest, nesting),
            };
            rest = rest[used..].trim_ascii_start();
            is_first = false;
        }
    }

    /// A bare object; returns how many bytes it used. A cut one that stands alone is left to the record's parser.
    fn object(&mut self, rest: &[u8], is_first: bool) -> usize {
        if is_first && !may_hold_several(rest) {
            self.record(rest);
            return rest.len();
        }
        match value_end(rest, 0) {
            End::Complete(end) => {
                self.record(&rest[..end]);
                end
            }
            End::Cut if is_first => self.whole(rest),
            End::Cut => self.cut(rest),
            End::Garbage(_) => self.whole(rest),
        }
    }

    /// A text, a number, a word, or no JSON at all.
    fn other(&mut self, rest: &[u8], nesting: Nesting) -> usize {
        match value_end(rest, 0) {
            End::Complete(end) if rest[0] == b'"' => {
                self.element(&rest[..end], nesting);
                end
            }
            _ if is_json(rest) => self.whole(rest),
            _ => {
                self.broken(rest, RejectCode::NotJson, "the text is not JSON");
                rest.len()
            }
        }
    }

    /// The members of an envelope; returns how many bytes it used, or None when it is none.
    fn envelope(&mut self, object: &[u8], nesting: Nesting) -> Option<usize> {
        let mut at = 1;
        let mut was_envelope = false;
        loop {
            at = skip_blank(object, at);
            match object.get(at) {
                Some(b'}') => return was_envelope.then_some(at + 1),
                Some(b',') => {
                    at += 1;
                    continue;
                }
                Some(b'"') => {}
                Some(_) if was_envelope => return Some(self.garbage_tail(&object[at..])),
                None if was_envelope => return Some(at + self.cut(&object[at..])),
                _ => return None,
            }
            let End::Complete(key_end) = value_end(object, at) else {
                return was_envelope.then(|| at + self.cut(&object[at..]));
            };
            let is_records = object[at + 1..key_end - 1].eq_ignore_ascii_case(b"records");
            at = skip_blank(object, key_end);
            if object.get(at) != Some(&b':') {
                return was_envelope.then(|| at + self.cut(&object[at..]));
            }
            at = skip_blank(object, at + 1);
            if is_records && object.get(at) == Some(&b'[') {
                was_envelope = true;
                at = self.array(object, at + 1, nesting.inside());
                continue;
            }
            match value_end(object, at) {
                End::Complete(end) => {
                    if is_records && matches!(object[at], b'{' | b'"') {
                        was_envelope = true;
                        self.element(&object[at..end], nesting.inside());
                    }
                    at = end;
                }
                _ => return was_envelope.then(|| at + self.cut(&object[at..])),
            }
        }
    }

    /// The elements of an array that opened before `at`; returns where its bytes end.
    fn array(&mut self, bytes: &[u8], mut at: usize, nesting: Nesting) -> usize {
        loop {
            at = skip_blank(bytes, at);
            match bytes.get(at) {
                None => return at + self.cut(&bytes[at..]),
                Some(b']') => return at + 1,
                Some(b',') => {
                    at += 1;
                    continue;
                }
                Some(_) => {}
            }
            match value_end(bytes, at) {
                End::Complete(end) => {
                    self.element(&bytes[at..end], nesting);
                    at = end;
                }
                End::Cut => return at + self.cut_element(&bytes[at..], nesting),
                End::Garbage(seen) => {
                    let end = array_end(bytes, seen);
                    self.broken(bytes[at..end].trim_ascii(), RejectCode::NotJson, "an element is not JSON");
                    at = end;
                }
            }
        }
    }

    /// One complete element.
    fn element(&mut self, element: &[u8], nesting: Nesting) {
        match element.first() {
            Some(b'{') if nesting.may_open() && may_be_envelope(element) => {
                if self.envelope(element, nesting).is_none() {
                    self.record(element);
                }
            }
            Some(b'[') if nesting.may_open() => {
                self.array(element, 1, nesting.inside());
            }
            Some(b'"') if nesting.texts < TEXTS_MAX => self.text(element, nesting),
            _ => self.record(element),
        }
    }

    /// A JSON string: the JSON text inside it, or the string itself when it holds none.
    fn text(&mut self, element: &[u8], nesting: Nesting) {
        match serde_json::from_slice::<Unescaped>(element) {
            Ok(Unescaped(inner)) if matches!(inner.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) => {
                self.values(&inner, Nesting { texts: nesting.texts + 1, ..nesting });
                self.was_cut = false;
            }
            Ok(_) => self.record(element),
            Err(_) => self.broken(element, RejectCode::NotJson, "a text element is not a JSON string"),
        }
    }

    /// The last element of a cut array: complete records of an envelope inside it still count.
    fn cut_element(&mut self, rest: &[u8], nesting: Nesting) -> usize {
        let salvaged = rest[0] == b'{' && nesting.may_open() && may_be_envelope(rest);
        if salvaged && let Some(used) = self.envelope(rest, nesting) {
            return used;
        }
        if rest[0] == b'[' && nesting.may_open() {
            return self.array(rest, 1, nesting.inside());
        }
        self.cut(rest)
    }

    fn garbage_tail(&mut self, rest: &[u8]) -> usize {
        self.broken(rest, RejectCode::NotJson, "the envelope goes on with something that is not JSON");
        rest.len()
    }

    fn cut(&mut self, rest: &[u8]) -> usize {
        if !std::mem::replace(&mut self.was_cut, true) {
            self.broken(rest, RejectCode::Truncated, "the batch ends before its closing bracket");
        }
        rest.len()
    }

    fn whole(&mut self, rest: &[u8]) -> usize {
        self.record(rest);
        rest.len()
    }

    fn record(&mut self, bytes: &[u8]) {
        let index = self.take_index();
        (self.sink)(Piece::Record { bytes: bytes.trim_ascii(), index });
    }

    fn broken(&mut self, bytes: &[u8], code: RejectCode, detail: &'static str) {
        let index = self.take_index();
        (self.sink)(Piece::Broken { bytes, index, code, detail });
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        index
    }
}

/// Whether a key `records` can be somewhere in the bytes.
fn may_be_envelope(bytes: &[u8]) -> bool {
    static FINDERS: LazyLock<[memmem::Finder<'static>; 2]> =
        LazyLock::new(|| [memmem::Finder::new(b"ecords\""), memmem::Finder::new(b"ECORDS\"")]);
    FINDERS.iter().any(|finder| finder.find(bytes).is_some())
}

/// Whether the bytes can hold a second value behind the first object.
fn may_hold_several(bytes: &[u8]) -> bool {
    memchr_iter(b'}', bytes).any(|at| matches!(bytes.get(skip_blank(bytes, at + 1)), Some(b'{' | b'[')))
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// The bytes of a JSON string without its escapes; need not be UTF-8.
struct Unescaped(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Unescaped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Unescaped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests;
