//! Scan: where strings, numbers and whole values end in JSON text.
//!
//! - In: the bytes of UTF-8 text and the position of a first byte.
//! - Out: the position behind the last byte; None for what is no JSON, or nested too deep.

/// Position of the next byte that is no white space.
#[inline]
pub(super) fn blank_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Position of the first quote, backslash or control character.
#[inline]
pub(super) fn plain_end(bytes: &[u8], start: usize) -> usize {
    let (words, rest) = bytes.get(start..).unwrap_or_default().as_chunks::<8>();
    let mut at = start;
    for word in words {
        let marks = special_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len())
}

/// The highest bit of each byte that ends a plain string; exact up to the first one.
#[inline]
fn special_marks(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let escapes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | escapes | controls) & (ONES << 7)
}

/// Behind the string whose opening quote stands at `start`.
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape_end(bytes, at)?,
            _ => return None,
        }
    }
}

/// Behind an escape. Which character it stands for does not matter here.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

/// Behind the number that begins at `start`.
#[inline]
pub(super) fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut at = digits_end(bytes, first);
    let has_leading_zero = bytes.get(first) == Some(&b'0') && at > first + 1;
    if at == first || has_leading_zero {
        return None;
    }
    if bytes.get(at) == Some(&b'.') {
        at = some_digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let has_sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = some_digits_end(bytes, at + 1 + usize::from(has_sign))?;
    }
    Some(at)
}

fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn some_digits_end(bytes: &[u8], start: usize) -> Option<usize> {
    Some(digits_end(bytes, start)).filter(|end| *end > start)
}

/// The brackets that are open, innermost last.
#[derive(Default)]
struct Open {
    /// A bit for each, set for an object.
    kinds: u64,
    depth: u32,
}

impl Open {
    fn push(&mut self, is_object: bool) -> Option<()> {
        if self.depth == u64::BITS {
            return None;
        }
        self.kinds = self.kinds << 1 | u64::from(is_object);
        self.depth += 1;
        Some(())
    }

    fn is_object(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.kinds & 1 == 1)
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.depth -= 1;
    }
}

/// Behind the value that begins at `start`.
pub(super) fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut open = Open::default();
    let mut at = start;
    loop {
        at = blank_end(bytes, at);
        at = match bytes.get(at)? {
            b'"' => string_end(bytes, at)?,
            b'{' => {
                open.push(true)?;
                at = blank_end(bytes, at + 1);
                if bytes.get(at) != Some(&b'}') {
                    at = name_end(bytes, at)?;
                    continue;
                }
                at
            }
            b'[' => {
                open.push(false)?;
                at = blank_end(bytes, at + 1);
                if bytes.get(at) != Some(&b']') {
                    continue;
                }
                at
            }
            b'-' | b'0'..=b'9' => number_end(bytes, at)?,
            _ => word_end(bytes, at)?,
        };
        loop {
            let Some(is_object) = open.is_object() else { return Some(at) };
            at = blank_end(bytes, at);
            match (bytes.get(at)?, is_object) {
                (b',', true) => {
                    at = name_end(bytes, blank_end(bytes, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at += 1;
                    break;
                }
                (b'}', true) | (b']', false) => {
                    open.pop();
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

/// Behind the colon of the member whose name begins at `at`.
#[inline]
fn name_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let at = blank_end(bytes, string_end(bytes, at)?);
    (bytes.get(at) == Some(&b':')).then_some(at + 1)
}

fn word_end(bytes: &[u8], at: usize) -> Option<usize> {
    let words: [&[u8]; 3] = [b"true", b"false", b"null"];
    words.iter().find(|word| bytes[at..].starts_with(word)).map(|word| at + word.len())
}
