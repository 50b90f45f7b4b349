//! Ids: what makes an event the same event, and how ids of both systems are compared.

use sha2::{Digest, Sha256};
use std::fmt;
use std::num::NonZeroU128;

/// Identity of an event: SHA-256 of its natural key, or of its canonical JSON. The same event has the
/// same id however often and by whatever path it arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 32]);

impl EventId {
    /// From the parts of a natural key. `domain` keeps kinds of keys apart; parts are length-prefixed, so
    /// that no two different keys hash the same bytes.
    pub fn from_natural_key(domain: &str, parts: &[&str]) -> Self {
        // One update of a small buffer is much quicker than many tiny ones.
        let mut buffer = [0; 512];
        let mut length = 0;
        let mut hasher = Sha256::new();
        for part in std::iter::once(&domain).chain(parts) {
            for bytes in [&(part.len() as u64).to_le_bytes()[..], part.as_bytes()] {
                match buffer.get_mut(length..length + bytes.len()) {
                    Some(place) => {
                        place.copy_from_slice(bytes);
                        length += bytes.len();
                    }
                    None => {
                        hasher.update(&buffer[..length]);
                        hasher.update(bytes);
                        length = 0;
                    }
                }
            }
        }
        hasher.update(&buffer[..length]);
        Self(hasher.finalize().into())
    }

    /// From canonical JSON: sorted keys, no insignificant white space. Equals `sha256sum` of that text.
    pub fn from_canonical_json(json: &[u8]) -> Self {
        Self(Sha256::digest(json).into())
    }

    /// 64 lower-case hex digits, written into `buffer`.
    pub fn as_hex<'b>(&self, buffer: &'b mut [u8; 64]) -> &'b str {
        to_hex(&self.0, buffer)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_hex(&mut [0; 64]))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of a record's original bytes, before redaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordDigest(pub [u8; 32]);

impl RecordDigest {
    /// Digest of the bytes as received.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// 64 lower-case hex digits, written into `buffer`.
    pub fn as_hex<'b>(&self, buffer: &'b mut [u8; 64]) -> &'b str {
        to_hex(&self.0, buffer)
    }
}

impl fmt::Debug for RecordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_hex(&mut [0; 64]))
    }
}

fn to_hex<'b>(bytes: &[u8; 32], buffer: &'b mut [u8; 64]) -> &'b str {
    hex::encode_to_slice(bytes, buffer).expect("the buffer is twice the digest");
    std::str::from_utf8(buffer).expect("hex digits are ASCII")
}

/// A join key: 128 bits of an id after normalisation. GUIDs and 32-digit hex ids are their own value;
/// other text is the head of its SHA-256.
/// Never 0, so that an optional key takes no more room than a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key128(NonZeroU128);

impl Key128 {
    /// A key of this value. A digest of 0, which nobody will ever see, counts as 1.
    pub const fn new(value: u128) -> Self {
        match NonZeroU128::new(value) {
            Some(value) => Self(value),
            None => Self(NonZeroU128::MIN),
        }
    }

    /// Its value.
    pub const fn value(self) -> u128 {
        self.0.get()
    }

    /// Key of one id: trimmed, braces dropped, GUIDs compared without case and hyphens. None for an empty
    /// id and for the all-zero GUID, which mean "missing".
    pub fn of_id(raw: &str) -> Option<Self> {
        let id = trim_id(raw);
        if id.is_empty() {
            return None;
        }
        match parse_hex_id(id) {
            Some(0) => None,
            Some(value) => Some(Self::new(value)),
            None => Some(Self::of_text(&[id])),
        }
    }

    /// Key of several texts together, length-prefixed, for instance method and path.
    pub fn of_text(parts: &[&str]) -> Self {
        let id = EventId::from_natural_key("key", parts);
        let mut head = [0; 16];
        head.copy_from_slice(&id.0[..16]);
        Self::new(u128::from_be_bytes(head))
    }
}

/// An id without surrounding blanks and braces.
pub fn trim_id(raw: &str) -> &str {
    // Few ids have either, and the ends tell.
    if let [first, .., last] = raw.as_bytes()
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
    {
        return raw;
    }
    raw.trim().trim_start_matches('{').trim_end_matches('}').trim()
}

/// The value of a GUID (36 characters with hyphens at 8, 13, 18, 23) or of 32 hex digits; else None.
pub fn parse_hex_id(id: &str) -> Option<u128> {
    let bytes = id.as_bytes();
    let hyphens = match bytes.len() {
        32 => false,
        36 => true,
        _ => return None,
    };
    let word = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    // Two groups of four digits, hyphens left out.
    let pair = |one: usize, other: usize| Some(word(one)? & !0xffff_ffff | word(other)? >> 32);
    if !hyphens {
        return hex_value([word(0)?, word(8)?, word(16)?, word(24)?]);
    }
    if bytes[8] != b'-' || bytes[13] != b'-' || bytes[18] != b'-' || bytes[23] != b'-' {
        return None;
    }
    hex_value([word(0)?, pair(9, 14)?, pair(19, 24)?, word(28)?])
}

/// Eight times the same byte.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The value of 32 hex digits, eight in a word, the first one highest. All are converted before any is judged: ids are
/// hex far more often than not.
fn hex_value(words: [u64; 4]) -> Option<u128> {
    const HIGH: u64 = each(0x80);
    let mut value = 0;
    let mut wrong = 0;
    for word in words {
        // The additions stay inside each byte: what they look at has no highest bit.
        let low = word & !HIGH;
        let digit = low ^ each(b'0');
        let letter = (low | each(0x20)) ^ each(0x60);
        let is_no_digit = digit + each(0x80 - 10);
        let is_no_letter = (letter + each(0x80 - 7)) | !(letter + each(0x7f));
        wrong |= word | (is_no_digit & is_no_letter);
        let nibbles = (low & each(0x0f)) + (low >> 6 & each(1)) * 9;
        let nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
        let nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
        value = value << 32 | u128::from((nibbles | nibbles >> 16) as u32);
    }
    (wrong & HIGH == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_without_braces_case_and_hyphens() {
        let key = Key128::of_id("5d3c7e10-9b2f-4f6a-8c41-72e0a9d4b618");
        assert_eq!(key, Key128::of_id(" {5D3C7E10-9B2F-4F6A-8C41-72E0A9D4B618} "));
        assert_eq!(key, Key128::of_id("5d3c7e109b2f4f6a8c4172e0a9d4b618"));
        assert_ne!(key, Key128::of_id("5d3c7e10-9b2f-4f6a-8c41-72e0a9d4b619"));
    }

    #[test]
    fn only_hex_digits_make_a_value() {
        let plain = "0123456789abcdefABCDEF9876543210";
        assert_eq!(parse_hex_id(plain), u128::from_str_radix(plain, 16).ok());
        assert_eq!(
            parse_hex_id("01234567-89ab-cdef-ABCD-EF9876543210"),
            u128::from_str_radix(plain, 16).ok()
        );
        for at in 0..32 {
            for byte in 0..=255_u8 {
                let mut changed = plain.as_bytes().to_vec();
                changed[at] = byte;
                let Ok(text) = std::str::from_utf8(&changed) else { continue };
                let want = byte.is_ascii_hexdigit().then(|| u128::from_str_radix(text, 16).unwrap());
                assert_eq!(parse_hex_id(text), want, "{text}");
            }
        }
        assert_eq!(parse_hex_id("0123456789abcdefABCDEF98765432é"), None);
        assert_eq!(parse_hex_id("01234567-89ab-cdef-ABCD-EF98765432-0"), None);
    }

    #[test]
    fn missing_ids_have_no_key() {
        for raw in ["", "  ", "{}", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(Key128::of_id(raw), None, "{raw:?}");
        }
        assert!(Key128::of_id("order-7").is_some());
        assert_ne!(Key128::of_id("Order-7"), Key128::of_id("order-7"), "opaque text keeps its case");
    }

    #[test]
    fn natural_keys_do_not_run_together() {
        let id = |parts: &[&str]| EventId::from_natural_key("kong", parts);
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_eq!(id(&["a"]).to_string().len(), 64);
    }
}
