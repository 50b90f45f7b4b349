//! Staged bytes: from the staging area to their final key, and out of the way.
//!
//! - In: keys.
//! - Out: what became of the final key.
//! - Invariants: only bytes with the claimed digest are copied, and only keys of the staging area are ever deleted.

use super::error::Action;
use super::{Lake, Problem, StoreError};
use bytes::Bytes;
use corridor_chain::paths::is_stage_key;
use corridor_chain::{ContentDigest, Copied};
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};

impl Lake {
    /// Digest of the bytes at `key`; None when nothing is there.
    pub async fn digest(&self, key: &str) -> Result<Option<ContentDigest>, StoreError> {
        let mut chunks = match self.read_chunks(key).await {
            Ok(chunks) => chunks,
            Err(error) if error.problem() == Some(Problem::Missing) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut hasher = Sha256::new();
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
        }
        Ok(Some(ContentDigest(hasher.finalize().into())))
    }

    /// Makes `to` hold the bytes at `from`, once, if they have this digest. The copy goes through this process: a copy
    /// inside the store may be reported before it is complete.
    pub async fn copy_create(
        &self,
        from: &str,
        to: &str,
        sha256: ContentDigest,
    ) -> Result<Copied, StoreError> {
        match self.read(from).await? {
            None => Ok(Copied::SourceMissing),
            Some(bytes) => self.create_verified(to, bytes, sha256).await,
        }
    }

    /// Makes `to` hold these bytes, if they have this digest.
    pub(crate) async fn create_verified(
        &self,
        to: &str,
        bytes: Bytes,
        sha256: ContentDigest,
    ) -> Result<Copied, StoreError> {
        match ContentDigest::of(&bytes) == sha256 {
            true => Ok(Copied::To(self.create(to, bytes).await?)),
            false => Ok(Copied::SourceDiffers),
        }
    }

    /// Deletes staged bytes; keys outside the staging area are left alone. What was not there is no error.
    pub async fn delete_staged(&self, keys: &[String]) -> Result<(), StoreError> {
        let paths: Vec<_> =
            keys.iter().filter(|key| is_stage_key(key)).map(|key| Ok(self.path_of(key))).collect();
        let mut deleted = self.store().delete_stream(futures::stream::iter(paths).boxed());
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(self.failed(Action::Delete, "stage", source)),
            }
        }
        Ok(())
    }
}
