//! Store: one lake (or one source of inputs) in a folder or an object store, with create as the only way to write.
//!
//! - In: keys relative to the root of the lake, built by `corridor_chain::paths`; bytes.
//! - Out: whether this content is now there, and what is there.
//! - Keeps: the client and the prefix of the lake inside its container.
//! - Invariants: nothing is overwritten or renamed here, and nothing outside the staging area is deleted. A lost reply is
//!   not a failure: the same request is repeated and what stands there is compared with what was to be written.

mod error;
mod open;
mod staged;

pub use corridor_chain::Created;
pub use error::{Action, ClientMessage, Problem, StoreError};
pub use open::{open_lake, open_lake_to_plan, open_source};

use bytes::Bytes;
use corridor_chain::{CreateOnce, CreateStep, Found, PutReply};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where a lake lies; decides how soon what was written is seen by every reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A folder of this machine: a reply is never lost.
    LocalFolder,
    /// A service across a network.
    ObjectStore,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectFacts {
    /// Key relative to the root of the lake.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// What the store says identifies this version of it.
    pub version_tag: Option<String>,
}

/// A place that holds keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    kind: StoreKind,
    url: Arc<str>,
    repeat_pause: Duration,
}

impl Lake {
    /// A lake under `prefix` of an opened store; `url` is how messages name it.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, kind: StoreKind, url: &str) -> Self {
        Self { store, prefix, kind, url: url.into(), repeat_pause: Duration::ZERO }
    }

    /// The same lake, waiting this long before a create is repeated.
    pub fn with_repeat_pause(self, repeat_pause: Duration) -> Self {
        Self { repeat_pause, ..self }
    }

    /// Whether it is a folder or a service.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// How the operator named it, made absolute.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client, for readers that need ranges.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Where a key of the lake lies in the store.
    pub fn path_of(&self, key: &str) -> Path {
        key.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Makes `key` hold `bytes`, once. Safe to repeat after any error and from two processes at once.
    ///
    /// An error leaves open whether the object exists; the next create of the same bytes finds out.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let mut create = CreateOnce::default();
        let mut step = CreateStep::Put;
        let mut last_error = None;
        loop {
            step = match step {
                CreateStep::Put => {
                    self.pause(create.attempts()).await;
                    let (reply, error) = self.put(key, &bytes).await?;
                    last_error = error.or(last_error);
                    create.after_put(reply)
                }
                CreateStep::Look => match self.compare(key, &bytes).await {
                    Ok(found) => create.after_look(found),
                    Err(error) => {
                        let next = create.after_look(Found::Unreadable);
                        if next == CreateStep::GiveUp {
                            return Err(error);
                        }
                        next
                    }
                },
                CreateStep::Done(created) => return Ok(created),
                CreateStep::GiveUp => {
                    let unknown =
                        || object_store::Error::Generic { store: "lake", source: "no answer".into() };
                    return Err(self.failed(Action::Create, key, last_error.unwrap_or_else(unknown)));
                }
            };
        }
    }

    async fn pause(&self, attempts: u32) {
        if attempts > 0 && !self.repeat_pause.is_zero() {
            tokio::time::sleep(self.repeat_pause * attempts).await;
        }
    }

    /// One put on a free key. A refusal for good is an error; everything else is an answer, with the client's words.
    async fn put(
        &self,
        key: &str,
        bytes: &Bytes,
    ) -> Result<(PutReply, Option<object_store::Error>), StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let sent = self.store.put_opts(&self.path_of(key), PutPayload::from(bytes.clone()), options).await;
        match sent {
            Ok(_) => Ok((PutReply::Written, None)),
            Err(error) if error::is_taken(&error) => Ok((PutReply::Taken, Some(error))),
            Err(error) if error::is_ambiguous(self.kind, &error) => {
                tracing::warn!(key, %error, "the outcome of a create is unknown; look, then repeat it");
                Ok((PutReply::Unknown, Some(error)))
            }
            Err(error) => Err(self.failed(Action::Create, key, error)),
        }
    }

    /// What stands at `key`, compared with `want`.
    async fn compare(&self, key: &str, want: &Bytes) -> Result<Found, StoreError> {
        let found = match self.store.get(&self.path_of(key)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(Found::Nothing),
            Err(source) => return Err(self.failed(Action::Read, key, source)),
        };
        if found.meta.size != want.len() as u64 {
            return Ok(Found::Other);
        }
        let mut rest = want.as_ref();
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|e| self.failed(Action::Read, key, e))? {
            match rest.strip_prefix(chunk.as_ref()) {
                Some(after) => rest = after,
                None => return Ok(Found::Other),
            }
        }
        Ok(if rest.is_empty() { Found::Same } else { Found::Other })
    }

    /// The bytes at `key`; None when nothing is there.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let found = match self.store.get(&self.path_of(key)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(self.failed(Action::Read, key, source)),
        };
        found.bytes().await.map(Some).map_err(|source| self.failed(Action::Read, key, source))
    }

    /// The bytes at `key` in chunks, for inputs larger than memory.
    pub async fn read_chunks(
        &self,
        key: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let found = self.store.get(&self.path_of(key)).await;
        let found = found.map_err(|source| self.failed(Action::Read, key, source))?;
        let (lake, key) = (self.clone(), key.to_owned());
        let chunks = found.into_stream();
        Ok(chunks.map(move |chunk| chunk.map_err(|e| lake.failed(Action::Read, &key, e))).boxed())
    }

    /// Whether something stands at `key`.
    pub async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        match self.store.head(&self.path_of(key)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed(Action::Read, key, source)),
        }
    }

    /// Every object under the folder `key` (the whole lake for an empty key), sorted by key.
    pub async fn list(&self, key: &str) -> Result<Vec<ObjectFacts>, StoreError> {
        let mut found: Vec<ObjectFacts> = self.list_stream(key).try_collect().await?;
        found.sort();
        Ok(found)
    }

    /// Whether the folder `key` holds anything, without listing all of it.
    pub async fn has_any(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.list_stream(key).try_next().await?.is_some())
    }

    /// The objects that a source means: the object itself when its URL names one, else all under it.
    pub async fn find_inputs(&self) -> Result<Vec<ObjectFacts>, StoreError> {
        if !self.prefix.is_root() {
            match self.store.head(&self.prefix).await {
                Ok(meta) => {
                    let facts = ObjectFacts { key: String::new(), bytes: meta.size, version_tag: meta.e_tag };
                    return Ok(vec![facts]);
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(self.failed(Action::Read, "", source)),
            }
        }
        self.list("").await
    }

    fn list_stream(&self, key: &str) -> BoxStream<'static, Result<ObjectFacts, StoreError>> {
        let (lake, key, folder) = (self.clone(), key.to_owned(), self.path_of(key));
        let prefix_length = match self.prefix.as_ref().len() {
            0 => 0,
            length => length + 1,
        };
        let found = self.store.list((!folder.is_root()).then_some(&folder));
        found
            .map(move |object| match object {
                Ok(meta) => Ok(ObjectFacts {
                    key: meta.location.as_ref()[prefix_length..].to_owned(),
                    bytes: meta.size,
                    version_tag: meta.e_tag,
                }),
                Err(source) => Err(lake.failed(Action::List, &key, source)),
            })
            .boxed()
    }

    fn failed(&self, action: Action, key: &str, source: object_store::Error) -> StoreError {
        StoreError::failed(action, key, &self.url, source)
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests;
