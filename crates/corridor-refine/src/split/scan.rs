//! Scan: finds where a JSON value ends by its brackets and quotes, without reading what is inside.
//!
//! - In: bytes and the position of a value's first byte.
//! - Out: where the value ends, that the input ends first, or that this is no value.
//! - Invariants: works on bytes, so that broken UTF-8 inside strings does not matter; strings are skipped with SIMD.

use memchr::memchr2;

/// Where a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Behind its last byte.
    Complete(usize),
    /// The input ends before the value does.
    Cut,
    /// No value; seen at this position.
    Garbage(usize),
}

/// Position of the next byte that is not white space.
pub(super) fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// End of the value that begins at `at`.
pub(super) fn value_end(bytes: &[u8], at: usize) -> End {
    match bytes.get(at) {
        None => End::Cut,
        Some(b'"') => string_end(bytes, at + 1).map_or(End::Cut, End::Complete),
        Some(b'{' | b'[') => bracket_end(bytes, at),
        Some(_) => word_end(bytes, at),
    }
}

/// Position behind the closing quote of a string whose content begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// End of an object or array.
fn bracket_end(bytes: &[u8], start: usize) -> End {
    let mut open = Vec::with_capacity(16);
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => match string_end(bytes, at + 1) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return End::Cut,
            },
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => {
                if open.pop() != Some(byte) {
                    return End::Garbage(at);
                }
                if open.is_empty() {
                    return End::Complete(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    End::Cut
}

/// End of a number or a word. Without a delimiter behind it nobody knows whether it is complete.
fn word_end(bytes: &[u8], at: usize) -> End {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b'"');
    let Some(length) = bytes[at..].iter().position(is_end) else { return End::Cut };
    let word = &bytes[at..at + length];
    match serde_json::from_slice::<serde::de::IgnoredAny>(word) {
        Ok(_) => End::Complete(at + length),
        Err(_) => End::Garbage(at),
    }
}

/// End of a piece of garbage inside an array: before the comma that leads to a next object, array or text,
/// or before the array's last bracket.
pub(super) fn array_end(bytes: &[u8], garbage: usize) -> usize {
    for at in garbage + 1..bytes.len() {
        let is_next = bytes[at] == b','
            && matches!(bytes.get(skip_blank(bytes, at + 1)), Some(b'{' | b'[' | b'"') | None);
        let is_last =
            bytes[at] == b']' && !matches!(bytes.get(skip_blank(bytes, at + 1)), Some(b',' | b'}' | b']'));
        let is_envelope_end = bytes[at] == b']'
            && bytes.get(skip_blank(bytes, at + 1)) == Some(&b'}')
            && skip_blank(bytes, skip_blank(bytes, at + 1) + 1) == bytes.len();
        if is_next || is_last || is_envelope_end {
            return at;
        }
    }
    bytes.len()
}
