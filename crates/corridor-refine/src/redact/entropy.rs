//! Entropy: long strings that look random, such as base64 of a key.
//!
//! - In: a text and the spans already found.
//! - Out: more spans, in order with the others.
//! - Invariants: GUIDs, hex digests, paths, resource ids and long names are never taken.

use super::span::{Span, is_escape_tail};

/// Shortest run that counts: base64 of 30 bytes.
const RUN_BYTES_MIN: usize = 40;

/// How much of a run must look random.
const RANDOM_BYTES_MIN: usize = 28;

fn is_run_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// Adds the random-looking runs outside of `spans`.
pub(super) fn add_spans(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let known_count = spans.len();
    let mut next_known = 0;
    let mut start = 0;
    // A run of the least length covers one of every RUN_BYTES_MIN bytes: look backwards from there.
    while start + RUN_BYTES_MIN <= bytes.len() {
        let window = &bytes[start..start + RUN_BYTES_MIN];
        if let Some(broken) = window.iter().rposition(|byte| !is_run_byte(*byte)) {
            start += broken + 1;
            continue;
        }
        let mut end = start + RUN_BYTES_MIN;
        while end < bytes.len() && is_run_byte(bytes[end]) {
            end += 1;
        }
        let mut from = start;
        while from < end && is_escape_tail(bytes, from) {
            from += 1;
        }
        while next_known < known_count && spans[next_known].end <= from {
            next_known += 1;
        }
        let known = spans[..known_count].get(next_known).copied().filter(|span| span.start < end);
        let part_end = known.map_or(end, |span| span.start.max(from));
        if part_end - from >= RUN_BYTES_MIN && is_random(&bytes[from..part_end]) {
            spans.push(Span::plain(from, part_end));
        }
        if let Some(span) = known {
            start = span.end.max(start + 1);
            continue;
        }
        start = end + 1;
    }
    if spans.len() > known_count {
        spans.sort_by_key(|span| span.start);
    }
}

/// Whether most of the run consists of pieces with upper case, lower case and digits mixed, as words,
/// GUIDs and digests never are.
fn is_random(run: &[u8]) -> bool {
    if !run.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    let pieces = run.split(|byte| !byte.is_ascii_alphanumeric());
    let random: usize = pieces.filter(|piece| is_mixed(piece)).map(<[u8]>::len).sum();
    random >= RANDOM_BYTES_MIN
}

fn is_mixed(piece: &[u8]) -> bool {
    const WORD_BYTES: usize = 8;
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let mut counts = [0_usize; 3];
    let (mut longest, mut current, mut digit_groups, mut previous) = (0, 0, 0, None);
    for byte in piece {
        let class = class(*byte);
        counts[class] += 1;
        if previous == Some(class) {
            current += 1;
        } else {
            current = 1;
            digit_groups += usize::from(class == 2);
        }
        longest = longest.max(current);
        previous = Some(class);
    }
    piece.len() >= 8
        && counts.iter().all(|count| *count > 0)
        && longest < WORD_BYTES
        && digit_groups * 24 >= piece.len()
        && !is_name_with_version(piece)
}

/// Short names in camel case with one number, such as `LoadSalesV2`.
fn is_name_with_version(piece: &[u8]) -> bool {
    piece.len() < 24 && piece.iter().filter(|byte| byte.is_ascii_digit()).count() < 2
}

/// Whether `Basic` is followed by base64 of `user:password`, or by something as long.
pub(super) fn is_basic_credential(credential: &str) -> bool {
    let bytes = credential.replace("%3D", "=").replace("%3d", "=");
    let bytes = bytes.trim_end_matches('=').as_bytes().to_vec();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    if bytes.len() < 4 || !bytes.iter().all(is_base64) {
        return false;
    }
    let holds_colon = decode(&bytes).contains(&b':');
    holds_colon || bytes.len() >= 24
}

fn decode(base64: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(base64.len());
    let (mut bits, mut bit_count) = (0_u32, 0);
    for byte in base64 {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            decoded.push((bits >> bit_count & 0xff) as u8);
        }
    }
    decoded
}
