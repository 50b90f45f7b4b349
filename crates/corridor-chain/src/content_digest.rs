//! Content digest: SHA-256 of an object's bytes, written as 64 lower-case hex digits.
//!
//! - In: bytes, or the text of a digest.
//! - Out: the digest.
//! - Invariants: there is one text for each digest.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 of the bytes of an object or of a log record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest(pub [u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 in 64 lower-case hex digits")]
pub struct DigestError(String);

impl ContentDigest {
    /// Digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads exactly 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let mut digest = [0; 32];
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut digest) {
            Ok(()) if is_lower => Ok(Self(digest)),
            Ok(()) | Err(_) => Err(DigestError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for ContentDigest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<ContentDigest> for String {
    fn from(digest: ContentDigest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_text() {
        let digest = ContentDigest::of(b"abc");
        let text = digest.to_string();
        assert!(text.starts_with("ba7816bf") && text.len() == 64);
        assert_eq!(ContentDigest::parse(&text), Ok(digest));
        for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('b', "g")] {
            assert!(ContentDigest::parse(bad).is_err(), "{bad}");
        }
    }
}
