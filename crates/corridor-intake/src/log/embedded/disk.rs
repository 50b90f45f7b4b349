//! Disk: the file operations on which durability rests.
//!
//! - In: files, bytes, positions.
//! - Out: what the system said.
//! - Invariants: writes of the log go through [`Disk`], so that tests can fail each of them. A file is published by renaming a synced one
//!   and syncing its folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Name ending of a file that is not published yet.
pub(super) const UNPUBLISHED: &str = "tmp";

/// Writes, and makes durable.
pub(super) trait Disk: Send + 'static {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
    fn sync(&mut self, file: &File) -> io::Result<()>;
    fn truncate(&mut self, file: &File, len: u64) -> io::Result<()>;
}

/// The file system of this machine.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn truncate(&mut self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)?;
        file.sync_all()
    }
}

/// Whether the error means that there is no room, which passes.
pub(super) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A new file with this content beside `path`, durable but not published. It is removed when that fails.
pub(super) fn prepare_file(disk: &mut dyn Disk, path: &Path, content: &[u8]) -> io::Result<File> {
    let unpublished = path.with_extension(UNPUBLISHED);
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&unpublished)?;
    let written = disk.write(&file, content, 0).and_then(|()| disk.sync(&file));
    if let Err(error) = written {
        // Best effort: what stays is removed when the log is opened.
        fs::remove_file(&unpublished).ok();
        return Err(error);
    }
    Ok(file)
}

/// Gives a prepared file its name.
pub(super) fn publish_file(path: &Path) -> io::Result<()> {
    fs::rename(path.with_extension(UNPUBLISHED), path)
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a small file so that after a crash it is there whole, or as it was before.
pub(super) fn replace_file(disk: &mut dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    prepare_file(disk, path, content)?;
    publish_file(path)?;
    sync_folder(folder_of(path))
}

/// The folder that holds the name.
pub(super) fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
