//! Floors: what nobody will read again, kept over a restart.
//!
//! - In: one offset for each shard.
//! - Out: the same after a restart.
//! - Invariants: only advice. Without the file every record that still exists counts as needed.

use super::disk::{self, Disk};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const NAME: &str = "floors.json";

#[derive(Debug, Serialize, Deserialize)]
struct Floors {
    floors: Vec<u64>,
}

/// Replaces the file.
pub(super) fn write(disk: &mut dyn Disk, folder: &Path, floors: &[u64]) -> io::Result<()> {
    let content = serde_json::to_vec(&Floors { floors: floors.to_vec() })?;
    disk::replace_file(disk, &folder.join(NAME), &content)
}

/// The floors, or zeros when they are not known.
pub(super) fn read(folder: &Path, shard_count: usize) -> Vec<u64> {
    let path = folder.join(NAME);
    let Ok(content) = std::fs::read(&path) else { return vec![0; shard_count] };
    match serde_json::from_slice::<Floors>(&content) {
        Ok(found) if found.floors.len() == shard_count => found.floors,
        _ => {
            tracing::warn!(path = %path.display(), "the file cannot be used; the log keeps what is there until the next release");
            vec![0; shard_count]
        }
    }
}
