//! Spill folder: a temporary folder that goes with its run, also when the run was killed.
//!
//! - In: the parent folder.
//! - Out: a new folder, locked for the life of the process that made it.
//! - Invariants: a folder is swept only when its lock is free: its run was killed and cannot come back.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use tempfile::TempDir;

const PREFIX: &str = "corridor-spill-";

/// Held locked while the folder is in use.
const LOCK: &str = "lock";

/// A locked temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    folder: TempDir,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

impl SpillFolder {
    /// Makes `parent` if needed, sweeps what killed runs left there, and makes a new folder.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Locked before it has the name that others look for, so that nobody takes a new folder for a left one.
        let unnamed = folder.path().join("new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        std::fs::rename(&unnamed, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of killed runs. What cannot be looked at or removed is left: it only costs disk.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_spill = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        let is_left = !matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)));
        if is_spill && is_left && std::fs::remove_dir_all(entry.path()).is_ok() {
            tracing::info!(folder = %entry.path().display(), "removed the spill of a run that was killed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_killed_run_is_swept_and_one_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("corridor-spill-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        let foreign = parent.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join(LOCK), "").unwrap();
        let first = SpillFolder::create(parent.path()).unwrap();
        let second = SpillFolder::create(parent.path()).unwrap();
        assert!(!left.exists() && foreign.exists());
        assert!(first.path().exists() && second.path().exists());
        drop((first, second));
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
