//! Tokens: who may post.
//!
//! - In: a file with one bearer token per line; blank lines and lines that begin with `#` are skipped.
//! - Out: whether an `authorization` header holds one of them.
//! - Keeps: SHA-256 of each token, and of the file to see changes.
//! - Invariants: comparing takes the same time whatever matches. A file that becomes unreadable or empty changes nothing
//!   but the log: half-written files must not lock everybody out. Tokens are never printed.

use super::HttpError;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use subtle::{Choice, ConstantTimeEq};

type Hash = [u8; 32];

/// The valid tokens, and where they come from.
pub(super) struct TokenKeeper {
    path: PathBuf,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    file: Hash,
    tokens: Vec<Hash>,
}

impl TokenKeeper {
    /// Reads the file; a file without tokens is an error, because nobody could post.
    pub(super) async fn load(path: &Path) -> Result<Self, HttpError> {
        let failed = |reason: String| HttpError::File { path: path.to_owned(), reason };
        let text = tokio::fs::read(path).await.map_err(|error| failed(error.to_string()))?;
        let tokens = parse(&text).map_err(failed)?;
        let loaded = RwLock::new(Loaded { file: Sha256::digest(&text).into(), tokens });
        Ok(Self { path: path.to_owned(), loaded })
    }

    /// Reads the file again. The old tokens stay when it cannot be used.
    pub(super) async fn reload(&self) {
        let text = match tokio::fs::read(&self.path).await {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "read tokens again; the old ones stay valid");
                return;
            }
        };
        let file: Hash = Sha256::digest(&text).into();
        let mut loaded = self.loaded.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if loaded.file == file {
            return;
        }
        loaded.file = file;
        match parse(&text) {
            Ok(tokens) => {
                tracing::info!(path = %self.path.display(), tokens = tokens.len(), "tokens changed");
                loaded.tokens = tokens;
            }
            Err(reason) => {
                tracing::error!(path = %self.path.display(), reason, "tokens not changed; the old ones stay valid");
            }
        }
    }

    /// True if the header holds a valid token.
    pub(super) fn allows(&self, header: Option<&[u8]>) -> bool {
        let Some(token) = header.and_then(bearer) else { return false };
        let presented: Hash = Sha256::digest(token).into();
        let loaded = self.loaded.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let compare = |found: Choice, valid: &Hash| found | valid.ct_eq(&presented);
        loaded.tokens.iter().fold(Choice::from(0), compare).into()
    }
}

/// The token of `Bearer <token>`, in any case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn parse(text: &[u8]) -> Result<Vec<Hash>, String> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let tokens: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).collect();
    if tokens.is_empty() {
        return Err(
            "no token in it; write one per line, or remove http.token_file to let everybody post".into()
        );
    }
    if let Some(index) = tokens.iter().position(|token| token.iter().any(u8::is_ascii_whitespace)) {
        return Err(format!("token {} has white space inside; write one per line", index + 1));
    }
    Ok(tokens.into_iter().map(|token| Sha256::digest(token).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn tokens_follow_the_file_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "# old and new\nfirst\n\n  second \r\n").unwrap();
        let keeper = TokenKeeper::load(&path).await.unwrap();
        for (header, allowed) in [
            (Some("Bearer first"), true),
            (Some("bearer second"), true),
            (Some("Bearer third"), false),
            (Some("Bearer "), false),
            (Some("Basic first"), false),
            (Some("first"), false),
            (None, false),
        ] {
            assert_eq!(keeper.allows(header.map(str::as_bytes)), allowed, "{header:?}");
        }
        fs::write(&path, "").unwrap();
        keeper.reload().await;
        assert!(keeper.allows(Some(b"Bearer first")));
        fs::write(&path, "third").unwrap();
        keeper.reload().await;
        assert!(!keeper.allows(Some(b"Bearer first")) && keeper.allows(Some(b"Bearer third")));
    }

    #[tokio::test]
    async fn a_file_without_tokens_is_a_clear_error_that_shows_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        for (text, want) in [("# none\n", "no token in it"), ("secret value\n", "white space")] {
            fs::write(&path, text).unwrap();
            let error = TokenKeeper::load(&path).await.err().unwrap().to_string();
            assert!(error.contains(want) && !error.contains("secret"), "{error}");
        }
    }
}
