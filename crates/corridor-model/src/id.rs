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
    let digits = |range: std::ops::Range<usize>| hex_value(&bytes[range]);
    if !hyphens {
        return Some(u128::from(digits(0..16)?) << 64 | u128::from(digits(16..32)?));
    }
    if bytes[8] != b'-' || bytes[13] != b'-' || bytes[18] != b'-' || bytes[23] != b'-' {
        return None;
    }
    let head = digits(0..8)? << 32 | digits(9..13)? << 16 | digits(14..18)?;
    let tail = digits(19..23)? << 48 | digits(24..36)?;
    Some(u128::from(head) << 64 | u128::from(tail))
}

/// The digit that each byte stands for; [`NO_DIGIT`] for the rest.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

const NO_DIGIT: u8 = 0x80;

/// The value of at most 16 hex digits. Looks at all of them before it judges: ids are hex far more often than not.
fn hex_value(bytes: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for byte in bytes {
        let digit = DIGITS[usize::from(*byte)];
        seen |= digit;
        value = value << 4 | u64::from(digit & 0xf);
    }
    (seen & NO_DIGIT == 0).then_some(value)
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
