//! Glance: one quick pass that tells of most texts that they hold nothing, without the automaton.
//!
//! - In: any text.
//! - Out: whether a trigger of `shape` could make a span, and whether a random run could.
//! - Invariants: never says no where `shape` would find a span (a property test compares them). In doubt yes.

use super::span::is_base64_url;

/// What a text could hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    /// A trigger that could make a span.
    pub(super) may_trigger: bool,
    /// A run of upper case, lower case and digits mixed.
    pub(super) may_be_random: bool,
}

/// `:` or `=`: a name may stand before it.
const SEPARATOR: u8 = 1;
/// What may stand between a scheme and its credential.
const BLANK: u8 = 2;
/// The last byte of a maker's prefix or of a PEM marker.
const JOINT: u8 = 4;
/// `J` of `eyJ`, `I` of `AKIA` and its like.
const CAPITAL: u8 = 8;
/// Escapes and queries: the automaton decides.
const HARD: u8 = 16;
const SPECIAL: u8 = SEPARATOR | BLANK | JOINT | CAPITAL | HARD;
const UPPER: u8 = 32;
const LOWER: u8 = 64;
const DIGIT: u8 = 128;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b':' | b'=' => SEPARATOR,
            b' ' | b'\t' | b'+' => BLANK,
            b'-' | b'_' | b'.' => JOINT,
            b'%' | b'\\' | b'?' => HARD,
            b'I' | b'J' => CAPITAL | UPPER,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Looks at a text. `has_trigger` runs the automaton over a name before a separator.
pub(super) fn glance(text: &str, has_trigger: impl Fn(&[u8]) -> bool) -> Glance {
    const STEP: usize = 8;
    let bytes = text.as_bytes();
    let mut seen = 0;
    let mut start = 0;
    for chunk in bytes.chunks(STEP) {
        let here = chunk.iter().fold(0, |classes, byte| classes | CLASSES[usize::from(*byte)]);
        seen |= here;
        if here & SPECIAL != 0 {
            let mut places = (start..).zip(chunk);
            if places.any(|(at, byte)| is_suspect(bytes, at, CLASSES[usize::from(*byte)], &has_trigger)) {
                return Glance { may_trigger: true, may_be_random: true };
            }
        }
        start += STEP;
    }
    const MIXED: u8 = UPPER | LOWER | DIGIT;
    Glance { may_trigger: false, may_be_random: seen & MIXED == MIXED }
}

/// Whether the byte at `at` could end a trigger that makes a span.
fn is_suspect(bytes: &[u8], at: usize, class: u8, has_trigger: impl Fn(&[u8]) -> bool) -> bool {
    if class & SPECIAL == 0 {
        return false;
    }
    let before = &bytes[..at];
    match class & SPECIAL {
        SEPARATOR => is_suspect_separator(bytes, at, has_trigger),
        BLANK => ends_with_scheme(before),
        JOINT => ends_with_prefix(before, bytes[at]) || is_pem(bytes, at),
        CAPITAL => {
            let two = |from: usize, word: &[u8]| bytes.get(from..from + word.len()) == Some(word);
            before.ends_with(b"ey")
                || at.checked_sub(2).is_some_and(|from| two(from, b"AKIA") || two(from, b"ASIA"))
                || at.checked_sub(1).is_some_and(|from| two(from, b"AIza"))
        }
        _ => true,
    }
}

/// Whether a user's password could stand behind the separator, or a secret whose name stands before it.
pub(super) fn is_suspect_separator(bytes: &[u8], at: usize, has_trigger: impl Fn(&[u8]) -> bool) -> bool {
    is_authority(bytes, at) || names_secret(&bytes[..at], has_trigger)
}

/// `://` with an `@` somewhere behind it.
fn is_authority(bytes: &[u8], at: usize) -> bool {
    bytes[at..].starts_with(b"://") && memchr::memchr(b'@', &bytes[at..]).is_some()
}

/// Whether the name before a separator, which may be quoted, holds a trigger.
fn names_secret(before: &[u8], has_trigger: impl Fn(&[u8]) -> bool) -> bool {
    let mut end = before.len();
    while end > 0 && before[end - 1] == b' ' {
        end -= 1;
    }
    if end > 0 && matches!(before[end - 1], b'"' | b'\'' | b'`') {
        end -= 1;
    }
    let start = before[..end].iter().rposition(|byte| !is_base64_url(*byte)).map_or(0, |at| at + 1);
    let name = &before[start..end];
    let letter_count = name.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    // No trigger has fewer than two letters.
    letter_count >= 2 && !matches!(name, b"http" | b"https") && has_trigger(name)
}

fn ends_with_scheme(before: &[u8]) -> bool {
    let is_last = before.last().is_some_and(|byte| matches!(byte | 0x20, b'c' | b'r' | b'e' | b'm' | b'y'));
    is_last
        && [&b"bearer"[..], b"basic", b"negotiate", b"ntlm", b"sharedkey"]
            .iter()
            .any(|scheme| ends_ignoring_case(before, scheme))
}

fn ends_with_prefix(before: &[u8], joint: u8) -> bool {
    let prefixes: &[&[u8]] = match joint {
        b'-' => &[b"glpat", b"xoxb", b"xoxp", b"sk"],
        b'_' => &[b"ghp", b"gho", b"ghs", b"github_pat", b"sk_live"],
        _ => &[b"hvs"],
    };
    let Some(last) = before.last().map(|byte| byte | 0x20) else { return false };
    prefixes.iter().any(|prefix| prefix.last() == Some(&last) && ends_ignoring_case(before, prefix))
}

/// The last hyphen of `-----BEGIN`.
fn is_pem(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'-'
        && bytes[..at].ends_with(b"----")
        && bytes.get(at + 1..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"BEGIN"))
}

fn ends_ignoring_case(bytes: &[u8], end: &[u8]) -> bool {
    bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end)
}

#[cfg(test)]
mod tests {
    use super::super::shape;
    use super::super::shape_parts::PARTS;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn glance_never_overlooks_what_the_shapes_find(
            parts in prop::collection::vec(prop::sample::select(PARTS), 0..12),
        ) {
            let text = parts.concat();
            prop_assert_eq!(shape::spans(&text), shape::spans_without_glance(&text), "{}", text);
        }
    }
}
