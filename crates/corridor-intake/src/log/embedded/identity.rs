//! Identity: whose folder this is.
//!
//! - In: the folder, and the number of shards that is asked for.
//! - Out: its lock, its cluster id, or why it cannot be used.
//! - Invariants: a folder serves one process at a time, and keeps its id and number of shards for ever. The id is written last when a log is
//!   made, so a folder with an id and without segments has lost them.

use super::disk::{self, RealDisk};
use crate::log::LogError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

const NAME: &str = "log.json";
const LOCK_NAME: &str = "lock";
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    format: u32,
    cluster: String,
    shard_count: u32,
}

/// Takes the folder for this process, until the file is dropped. Makes it when it does not exist.
pub(super) fn lock(folder: &Path) -> Result<File, LogError> {
    make(folder).map_err(|error| unusable("make the folder of the embedded log", folder, &error))?;
    let path = folder.join(LOCK_NAME);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| unusable("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Unusable(format!(
            "{} is in use by another process: stop that one, or give this one a folder of its own",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable("lock", &path, &error)),
    }
}

/// Makes a folder whose name survives a crash: each new name is synced in the folder above it.
fn make(folder: &Path) -> std::io::Result<()> {
    let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<&Path> = folder.ancestors().take_while(is_new).collect();
    fs::create_dir_all(folder)?;
    made.into_iter().try_for_each(|path| disk::sync_folder(disk::folder_of(path)))
}

/// The cluster id of the folder, or None while no log was made in it.
pub(super) fn read(folder: &Path, shard_count: u32) -> Result<Option<[u8; 16]>, LogError> {
    let path = folder.join(NAME);
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable("read", &path, &error)),
    };
    let identity: Identity = serde_json::from_slice(&content).map_err(|error| {
        LogError::Unusable(format!(
            "{} is no description of an embedded log: {error}; restore it from a copy",
            path.display()
        ))
    })?;
    if identity.format != FORMAT {
        return Err(LogError::Unusable(format!(
            "{} has format {}, and this version reads format {FORMAT}: use the version that wrote it until it is drained",
            path.display(),
            identity.format
        )));
    }
    if identity.shard_count != shard_count {
        return Err(LogError::Unusable(format!(
            "{} was made with {} shards and cannot be opened with {shard_count}: set the number back, or use a new folder",
            folder.display(),
            identity.shard_count
        )));
    }
    let mut cluster = [0; 16];
    hex::decode_to_slice(&identity.cluster, &mut cluster).map_err(|error| {
        LogError::Unusable(format!(
            "the cluster id in {} cannot be read: {error}; restore it from a copy",
            path.display()
        ))
    })?;
    Ok(Some(cluster))
}

/// An id for a new log.
pub(super) fn draw_cluster() -> Result<[u8; 16], LogError> {
    let mut cluster = [0; 16];
    getrandom::fill(&mut cluster)
        .map_err(|error| LogError::Unavailable(format!("draw an id for the embedded log: {error}")))?;
    Ok(cluster)
}

/// Completes a new log: from now on the folder has one.
pub(super) fn write(folder: &Path, cluster: [u8; 16], shard_count: u32) -> Result<(), LogError> {
    let path = folder.join(NAME);
    let identity = Identity { format: FORMAT, cluster: hex::encode(cluster), shard_count };
    let content = serde_json::to_vec_pretty(&identity)
        .map_err(|error| LogError::Unusable(format!("describe the embedded log: {error}")))?;
    disk::replace_file(&mut RealDisk, &path, &content).map_err(|error| unusable("write", &path, &error))
}

pub(super) fn unusable(tried: &str, path: &Path, error: &std::io::Error) -> LogError {
    LogError::Unusable(format!("{tried} {}: {error}", path.display()))
}
