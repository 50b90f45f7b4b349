//! Sources: what an operator names becomes a sorted list of files.
//!
//! - In: a path, a glob, a folder (all files below it), or a URL of an object store (a prefix).
//! - Out: [`SourceFile`]s, sorted and without repeats.
//! - Invariants: a name that matches nothing is an error, never an empty success.

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum Location {
    /// A local file.
    Local(PathBuf),
    /// An object in a store.
    Object(Arc<dyn ObjectStore>, ObjectPath),
}

/// A file to read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path or URL as shown to people and stored in `origin`.
    pub name: Arc<str>,
    /// Where its bytes are.
    pub location: Location,
    /// Stored size in bytes (compressed).
    pub size: u64,
}

/// Why a name could not be turned into files.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("no file matches {0}; name an existing file, folder, glob or object-store URL")]
    NothingFound(String),
    /// The glob is not one.
    #[error("{0} is not a valid glob: {1}")]
    BadGlob(String, glob::PatternError),
    /// The file system refused.
    #[error("list {path}")]
    List {
        /// What was listed.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The object store refused.
    #[error("list {url}")]
    ListObjects {
        /// What was listed.
        url: String,
        /// What the store said.
        source: object_store::Error,
    },
}

/// Expands a local path, folder or glob.
pub fn expand(name: &str) -> Result<Vec<SourceFile>, SourceError> {
    let path = Path::new(name);
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, &mut files)?;
    } else if path.exists() {
        files.push(local_file(path)?);
    } else {
        let matches = glob::glob(name).map_err(|error| SourceError::BadGlob(name.into(), error))?;
        for entry in matches {
            let path = entry.map_err(|error| SourceError::List {
                path: error.path().display().to_string(),
                source: error.into(),
            })?;
            if path.is_dir() { walk(&path, &mut files)? } else { files.push(found_file(&path)?) }
        }
    }
    sorted(files, name)
}

/// Expands a prefix of an object store. `base` is the URL up to the store's root, for the files' names.
pub async fn expand_objects(
    store: Arc<dyn ObjectStore>,
    prefix: &ObjectPath,
    base: &str,
) -> Result<Vec<SourceFile>, SourceError> {
    let url = format!("{base}/{prefix}");
    let to_error = |source| SourceError::ListObjects { url: url.clone(), source };
    let mut files = Vec::new();
    let mut objects = store.list(Some(prefix));
    while let Some(object) = objects.try_next().await.map_err(to_error)? {
        files.push(source_object(&store, base, object));
    }
    if files.is_empty() {
        let object = store.head_object(prefix).await.map_err(to_error)?;
        files.push(source_object(&store, base, object));
    }
    sorted(files, &url)
}

/// `head` under a name that does not clash with the extension trait's.
trait HeadObject {
    async fn head_object(&self, path: &ObjectPath) -> object_store::Result<object_store::ObjectMeta>;
}

impl HeadObject for Arc<dyn ObjectStore> {
    async fn head_object(&self, path: &ObjectPath) -> object_store::Result<object_store::ObjectMeta> {
        object_store::ObjectStoreExt::head(self.as_ref(), path).await
    }
}

fn source_object(store: &Arc<dyn ObjectStore>, base: &str, object: object_store::ObjectMeta) -> SourceFile {
    SourceFile {
        name: format!("{base}/{}", object.location).into(),
        size: object.size,
        location: Location::Object(Arc::clone(store), object.location),
    }
}

fn sorted(mut files: Vec<SourceFile>, name: &str) -> Result<Vec<SourceFile>, SourceError> {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.dedup_by(|a, b| a.name == b.name);
    if files.is_empty() { Err(SourceError::NothingFound(name.into())) } else { Ok(files) }
}

fn walk(folder: &Path, files: &mut Vec<SourceFile>) -> Result<(), SourceError> {
    let to_error = |source| SourceError::List { path: folder.display().to_string(), source };
    for entry in std::fs::read_dir(folder).map_err(to_error)? {
        let entry = entry.map_err(to_error)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() { walk(&path, files)? } else { files.push(found_file(&path)?) }
    }
    Ok(())
}

/// A file that was found, not named: a pipe or a socket is none, and opening it would wait for ever.
fn found_file(path: &Path) -> Result<SourceFile, SourceError> {
    let file = local_file(path)?;
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(file);
    }
    let source =
        io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; move it away, or name it itself");
    Err(SourceError::List { path: path.display().to_string(), source })
}

fn local_file(path: &Path) -> Result<SourceFile, SourceError> {
    let metadata = std::fs::metadata(path)
        .map_err(|source| SourceError::List { path: path.display().to_string(), source })?;
    Ok(SourceFile {
        name: path.display().to_string().into(),
        location: Location::Local(path.to_owned()),
        size: metadata.len(),
    })
}

impl SourceFile {
    /// Opens the stored bytes. Objects are read in blocks through `runtime`.
    pub fn open(&self, runtime: &tokio::runtime::Handle) -> io::Result<Box<dyn Read + Send>> {
        match &self.location {
            Location::Local(path) => Ok(Box::new(std::fs::File::open(path)?)),
            Location::Object(store, path) => Ok(Box::new(ObjectReader {
                store: Arc::clone(store),
                path: path.clone(),
                runtime: runtime.clone(),
                position: 0,
                size: self.size,
                block: bytes::Bytes::new(),
            })),
        }
    }
}

/// Bytes asked of the object store at once.
const OBJECT_BLOCK_BYTES: u64 = 8 * 1024 * 1024;

/// Reads an object block by block. Must not be used on a thread of the runtime itself.
struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    runtime: tokio::runtime::Handle,
    position: u64,
    size: u64,
    block: bytes::Bytes,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() && self.position < self.size {
            let end = self.size.min(self.position + OBJECT_BLOCK_BYTES);
            let range = self.position..end;
            let get = object_store::ObjectStoreExt::get_range(self.store.as_ref(), &self.path, range);
            self.block = self.runtime.block_on(get).map_err(io::Error::other)?;
            self.position = end;
        }
        let count = buffer.len().min(self.block.len());
        buffer[..count].copy_from_slice(&self.block.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_gives_all_files_below_it_sorted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("y=2026/m=03")).unwrap();
        for name in ["y=2026/m=03/PT1H.json", "a.ndjson", ".hidden"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let files = expand(folder.path().to_str().unwrap()).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.name.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.ndjson", "PT1H.json"]);
        let pattern = format!("{}/*.ndjson", folder.path().display());
        assert_eq!(expand(&pattern).unwrap().len(), 1);
    }

    #[test]
    fn name_without_files_is_an_error() {
        assert!(matches!(expand("/no/such/place/*.json"), Err(SourceError::NothingFound(_))));
    }

    #[tokio::test]
    async fn objects_read_like_files() {
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let path = ObjectPath::from("in/a.ndjson");
        object_store::ObjectStoreExt::put(store.as_ref(), &path, "line\n".into()).await.unwrap();
        let files = expand_objects(store, &ObjectPath::from("in"), "mem://x").await.unwrap();
        assert_eq!(&*files[0].name, "mem://x/in/a.ndjson");
        let handle = tokio::runtime::Handle::current();
        let file = files[0].clone();
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            file.open(&handle).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(text.await.unwrap(), "line\n");
    }
}
