//! Cursor: a walk over JSON text that was checked before, token by token, without a tree.
//!
//! - In: text that `serde_json` accepts; anything else ends the walk with None, never with a panic.
//! - Out: raw tokens, borrowed: strings between their quotes, numbers as written.
//! - Keeps: a position.

use memchr::memchr2;
use std::borrow::Cow;

/// Deepest nesting walked.
pub(crate) const DEPTH_MAX: u32 = 120;

/// A position in JSON text.
pub(crate) struct Cursor<'j> {
    text: &'j str,
    at: usize,
    /// Whether the string read last holds an escape.
    has_escape: bool,
}

/// The start of a value, or a whole scalar.
pub(crate) enum Token<'j> {
    /// `{` was read.
    Object,
    /// `[` was read.
    Array,
    /// A string, as between its quotes, escapes and all.
    String(&'j str),
    /// A number, `true`, `false` or `null`, as written.
    Scalar(&'j str),
}

impl<'j> Cursor<'j> {
    /// At the start of a text; None when it is not JSON.
    pub(crate) fn over(text: &'j str) -> Option<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        Some(Self { text, at: 0, has_escape: false })
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads the start of a value.
    pub(crate) fn token(&mut self) -> Option<Token<'j>> {
        match self.peek()? {
            b'{' => {
                self.at += 1;
                Some(Token::Object)
            }
            b'[' => {
                self.at += 1;
                Some(Token::Array)
            }
            b'"' => self.string().map(Token::String),
            _ => {
                let rest = &self.text[self.at..];
                let length = rest
                    .bytes()
                    .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
                    .unwrap_or(rest.len());
                self.at += length;
                (length > 0).then(|| Token::Scalar(&rest[..length]))
            }
        }
    }

    /// Inside an object: the next member's raw name; Some(None) at the end.
    pub(crate) fn member(&mut self) -> Option<Option<&'j str>> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Some(None);
            }
            b',' => self.at += 1,
            _ => {}
        }
        self.peek().filter(|byte| *byte == b'"')?;
        let name = self.string()?;
        self.peek().filter(|byte| *byte == b':')?;
        self.at += 1;
        Some(Some(name))
    }

    /// Inside an array: whether another element follows; the end is read.
    pub(crate) fn element(&mut self) -> Option<bool> {
        match self.peek()? {
            b']' => {
                self.at += 1;
                return Some(false);
            }
            b',' => self.at += 1,
            _ => {}
        }
        Some(true)
    }

    /// The string that was read last, without its escapes. None for broken escapes.
    pub(crate) fn unescape(&self, raw: &'j str) -> Option<Cow<'j, str>> {
        if self.has_escape { unescape(raw) } else { Some(Cow::Borrowed(raw)) }
    }

    /// A string at its opening quote.
    fn string(&mut self) -> Option<&'j str> {
        let start = self.at + 1;
        let mut at = start;
        let bytes = self.text.as_bytes();
        self.has_escape = false;
        loop {
            at += quote_or_escape(bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Some(&self.text[start..at]);
            }
            self.has_escape = true;
            at += 2;
        }
    }
}

/// The first `"` or `\`. Names and most texts are short: eight bytes at a time find their end sooner than a
/// vectorised search has begun.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 32;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (steps, _) = bytes[..bytes.len().min(SHORT)].as_chunks::<8>();
    for (index, step) in steps.iter().enumerate() {
        let word = u64::from_le_bytes(*step);
        // A byte that equals the wanted one becomes zero, and the lowest zero byte sets the lowest mark.
        let marks = |wanted: u8| {
            let zeroed = word ^ (ONES * u64::from(wanted));
            zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7)
        };
        let found = marks(b'"') | marks(b'\\');
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let searched = steps.len() * 8;
    memchr2(b'"', b'\\', &bytes[searched..]).map(|at| searched + at)
}

/// A raw string without its escapes. None for broken escapes (a lone surrogate).
pub(crate) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Some(Cow::Borrowed(raw));
    }
    let mut quoted = String::with_capacity(raw.len() + 2);
    quoted.push('"');
    quoted.push_str(raw);
    quoted.push('"');
    serde_json::from_str(&quoted).ok().map(Cow::Owned)
}

/// Appends a text as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Without an early end the compiler looks at many bytes at once.
    let is_plain = !text.bytes().fold(false, |found, byte| found | is_special(byte));
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("text always becomes a JSON string in memory");
    }
}
