//! Small disk: a folder that is full after a few megabytes.
//!
//! - In: a folder and a size.
//! - Out: a real file system of that size, where the system lets us mount one.
//! - Keeps: the mount, until it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system in memory.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one over an existing folder; None where that is not permitted.
    pub fn mount(folder: &Path, kib: u64) -> Option<Self> {
        let options = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "corridor-test"]).arg(folder);
        succeeds(&mut mount).then(|| Self { folder: folder.to_owned() })
    }

    /// Makes it larger.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn grow(&self, kib: u64) {
        let options = format!("remount,size={kib}k");
        assert!(
            succeeds(Command::new("mount").args(["-o", &options]).arg(&self.folder)),
            "the disk cannot grow"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        succeeds(Command::new("umount").arg(&self.folder));
    }
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
