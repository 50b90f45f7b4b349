//! Copier: a walk over JSON text that copies it in long runs, but for what is replaced and the blanks between tokens.
//!
//! - In: any text.
//! - Out: compact JSON; None from the first step that meets what is no JSON.
//! - Keeps: a position, and where the run that is not yet copied starts.
//! - Invariants: what it accepts is what `serde_json` accepts.

use super::sift::{Traits, sift};
use crate::cursor::{unescape, write_string};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A position in JSON text, and what becomes of the text before it.
pub(super) struct Copier<'j, 'o> {
    text: &'j str,
    at: usize,
    /// Everything before was copied or replaced.
    kept: usize,
    out: &'o mut Vec<u8>,
}

/// A string that was read.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'j> {
    /// Where its opening quote stands.
    pub(super) start: usize,
    /// What stands between its quotes, escapes and all.
    pub(super) raw: &'j str,
    pub(super) has_escape: bool,
}

impl<'j> Quoted<'j> {
    /// The text without escapes. None for broken ones (a lone surrogate).
    pub(super) fn text(self) -> Option<Cow<'j, str>> {
        if self.has_escape { unescape(self.raw) } else { Some(Cow::Borrowed(self.raw)) }
    }
}

impl<'j, 'o> Copier<'j, 'o> {
    pub(super) fn over(text: &'j str, out: &'o mut Vec<u8>) -> Self {
        Self { text, at: 0, kept: 0, out }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'j [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// A part of the text.
    pub(super) fn part(&self, start: usize, end: usize) -> &'j str {
        &self.text[start..end]
    }

    /// The next byte of a token, which is not read.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.pass_blanks(),
        }
    }

    #[cold]
    fn pass_blanks(&mut self) -> Option<u8> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))?;
        self.copy_until(self.at);
        self.at += length;
        self.kept = self.at;
        Some(rest[length])
    }

    /// Whether all that was read since `start` is copied as it stands.
    pub(super) fn is_kept_since(&self, start: usize) -> bool {
        self.kept <= start
    }

    /// Reads bytes that are known.
    pub(super) fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// Reads one byte if it is the next of a token.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Option<Traits> {
        self.expect(b'"')?;
        let rest = self.rest();
        let (mut length, mut traits) = sift(rest)?;
        if rest[length] != b'"' {
            (length, traits) = (escaped_length(rest, length)?, Traits::ESCAPED);
        }
        self.at += length + 1;
        Some(traits)
    }

    /// The string that was read since `start`.
    pub(super) fn quoted(&self, start: usize, traits: Traits) -> Quoted<'j> {
        Quoted { start, raw: &self.text[start + 1..self.at - 1], has_escape: traits.has_escape() }
    }

    /// Reads a number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self) -> Option<&'j str> {
        let rest = self.rest();
        let length = match rest.first()? {
            b't' if rest.starts_with(b"true") => 4,
            b'n' if rest.starts_with(b"null") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            _ => number_length(rest)?,
        };
        self.at += length;
        Some(&self.text[self.at - length..self.at])
    }

    /// Reads a value of any kind.
    pub(super) fn skip(&mut self) -> Option<&'j str> {
        let first = self.next()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => {
                let mut values =
                    serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                self.at += values.byte_offset();
            }
            _ => {
                self.scalar()?;
            }
        }
        Some(&self.text[start..self.at])
    }

    /// Puts a string in the place of what was read since `start`.
    pub(super) fn replace(&mut self, start: usize, text: &str) {
        self.copy_until(start);
        write_string(text, self.out);
        self.kept = self.at;
    }

    /// Ends the walk, if only blanks are left.
    pub(super) fn finish(mut self) -> Option<()> {
        self.next().is_none().then(|| self.copy_until(self.at))
    }

    fn copy_until(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text.as_bytes()[self.kept..end]);
    }
}

/// Length up to the closing quote of a string whose first escape stands at `at`.
fn escaped_length(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += escape_length(&bytes[at..])?,
            _ => return None,
        }
        at += sift(&bytes[at..])?.0;
    }
}

fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits_end = |at: usize| {
        let count = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(at + count)
    };
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let mut at = if bytes.get(sign) == Some(&b'0') { sign + 1 } else { digits_end(sign)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(at + 1 + sign)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walked(text: &str) -> Option<String> {
        let mut out = Vec::new();
        let mut copier = Copier::over(text, &mut out);
        walk(&mut copier)?;
        copier.finish()?;
        Some(String::from_utf8(out).expect("parts of a text"))
    }

    fn walk(copier: &mut Copier<'_, '_>) -> Option<()> {
        match copier.next()? {
            b'"' => copier.string().map(|_| ()),
            b'[' => {
                copier.pass(1);
                if copier.next()? == b']' {
                    copier.pass(1);
                    return Some(());
                }
                loop {
                    walk(copier)?;
                    if copier.next()? == b']' {
                        copier.pass(1);
                        return Some(());
                    }
                    copier.expect(b',')?;
                }
            }
            b'{' => copier.skip().map(|_| ()),
            _ => copier.scalar().map(|_| ()),
        }
    }

    const PARTS: &[&str] = &[
        "[", "]", "{", "}", ",", ":", "\"", "a", "\\", "\\\"", "\\u00e", "9", "\\/", " ", "\n", "\u{c}",
        "\u{b}", "\t", "0", "-", "1", ".", "e", "E+", "true", "null", "fals", "e", "é", "\u{7f}", "\u{1}",
        "\"x\"", "\\ud800", "\u{2028}", "\u{a0}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn accepts_what_serde_json_accepts(parts in prop::collection::vec(prop::sample::select(PARTS), 0..10)) {
            let text = parts.concat();
            let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(walked(&text).is_some(), is_json, "{}", text);
        }
    }

    #[test]
    fn runs_are_copied_without_blanks_between_tokens() {
        assert_eq!(
            walked(" [ 1 , \"a b\\\" \" ,[ ] , -0.5e+7 ]\n").as_deref(),
            Some("[1,\"a b\\\" \",[],-0.5e+7]")
        );
    }
}
