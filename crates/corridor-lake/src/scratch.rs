//! Scratch: records that wait for their join are kept on the local disk, by their offset.
//!
//! - In: records of one shard, in the order of their offsets.
//! - Out: each of them, until it is let go.
//! - Keeps: where each record stands; one block that is not written yet. The files lie in a temporary folder, which goes
//!   with the process, also when that was killed: the log has everything.
//! - Invariants: what is read is what was put. A file is removed when none of its records is wanted any more.

use crate::spill::SpillFolder;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a file; one record may reach over it.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes that are written together.
const BLOCK_BYTES: usize = 1 << 20;

/// The local disk refused.
#[derive(Debug, thiserror::Error)]
#[error("{action} scratch file {path}; free space there or name another folder with --scratch")]
pub struct ScratchError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    file: u64,
    at: u64,
    length: u32,
}

#[derive(Debug)]
struct ScratchFile {
    file: File,
    path: PathBuf,
    /// Bytes of it that are written.
    written: u64,
    /// Records that are still wanted.
    wanted: u64,
}

/// Records on the local disk.
#[derive(Debug)]
pub struct Scratch {
    folder: SpillFolder,
    /// The last one is open.
    files: VecDeque<ScratchFile>,
    /// Number of the first of them.
    first_file: u64,
    /// What is behind the written bytes of the open file.
    block: Vec<u8>,
    places: HashMap<u64, Place, RandomState>,
}

impl Scratch {
    /// An empty one, in a new folder below `parent`.
    pub fn create(parent: &Path) -> Result<Self, ScratchError> {
        let folder = SpillFolder::create(parent);
        let folder =
            folder.map_err(|source| ScratchError { action: "create", path: parent.to_owned(), source })?;
        Ok(Self {
            folder,
            files: VecDeque::new(),
            first_file: 0,
            block: Vec::new(),
            places: HashMap::default(),
        })
    }

    /// Keeps a record. One that is there already stays as it is.
    pub fn put(&mut self, offset: u64, record: &[u8]) -> Result<(), ScratchError> {
        if self.places.contains_key(&offset) {
            return Ok(());
        }
        let length = u32::try_from(record.len()).map_err(|_| ScratchError {
            action: "write a record of more than 4 GiB to",
            path: self.folder.path().to_owned(),
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        let is_full = self.files.back().is_none_or(|file| self.end_of(file) >= FILE_BYTES);
        if is_full {
            self.write_block()?;
            self.open_file()?;
        }
        let number = self.first_file + self.files.len() as u64 - 1;
        let file = self.files.back_mut().expect("a file was opened above when there was none");
        let at = file.written + self.block.len() as u64;
        file.wanted += 1;
        self.block.extend_from_slice(record);
        self.places.insert(offset, Place { file: number, at, length });
        if self.block.len() >= BLOCK_BYTES { self.write_block() } else { Ok(()) }
    }

    /// The record of an offset. None if it was not kept.
    pub fn get(&self, offset: u64) -> Result<Option<Vec<u8>>, ScratchError> {
        let Some(place) = self.places.get(&offset) else { return Ok(None) };
        let file = &self.files[(place.file - self.first_file) as usize];
        let length = place.length as usize;
        if let Some(behind) = place.at.checked_sub(file.written) {
            let start = behind as usize;
            return Ok(Some(self.block[start..start + length].to_vec()));
        }
        let mut record = vec![0; length];
        let read = file.file.read_exact_at(&mut record, place.at);
        read.map_err(|source| ScratchError { action: "read", path: file.path.clone(), source })?;
        Ok(Some(record))
    }

    /// Bytes of the record of an offset; 0 if it was not kept.
    pub fn length(&self, offset: u64) -> usize {
        self.places.get(&offset).map_or(0, |place| place.length as usize)
    }

    /// Lets a record go.
    pub fn remove(&mut self, offset: u64) {
        let Some(place) = self.places.remove(&offset) else { return };
        self.files[(place.file - self.first_file) as usize].wanted -= 1;
        while self.files.len() > 1 && self.files.front().is_some_and(|file| file.wanted == 0) {
            let gone = self.files.pop_front();
            self.first_file += 1;
            // A file that stays only costs disk until the folder goes.
            gone.into_iter().for_each(|gone| drop(std::fs::remove_file(gone.path)));
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes on the disk and in the block.
    pub fn disk_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.written).sum::<u64>() + self.block.len() as u64
    }

    /// Estimate of the memory in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.block.capacity() + self.places.capacity() * (size_of::<(u64, Place)>() + 1)
    }

    /// Where the open file ends, with the block.
    fn end_of(&self, open: &ScratchFile) -> u64 {
        open.written + self.block.len() as u64
    }

    fn open_file(&mut self) -> Result<(), ScratchError> {
        let number = self.first_file + self.files.len() as u64;
        let path = self.folder.path().join(format!("{number}.records"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|source| ScratchError { action: "create", path: path.clone(), source })?;
        self.files.push_back(ScratchFile { file, path, written: 0, wanted: 0 });
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), ScratchError> {
        let Some(file) = self.files.back_mut() else { return Ok(()) };
        let written = file.file.write_all_at(&self.block, file.written);
        written.map_err(|source| ScratchError { action: "write", path: file.path.clone(), source })?;
        file.written += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64) -> Vec<u8> {
        vec![offset as u8; (offset % 5_000) as usize]
    }

    #[test]
    fn records_come_back_whether_written_or_not_and_empty_files_go() {
        let parent = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::create(parent.path()).unwrap();
        (0..60_000).for_each(|offset| scratch.put(offset, &record(offset)).unwrap());
        assert!(scratch.files.len() > 2);
        for offset in (0..60_000).step_by(777).chain([59_999]) {
            assert_eq!(scratch.get(offset).unwrap(), Some(record(offset)));
        }
        let before = scratch.disk_bytes();
        (0..50_000).for_each(|offset| scratch.remove(offset));
        assert!(scratch.disk_bytes() < before * 2 / 3);
        assert_eq!((scratch.get(4).unwrap(), scratch.len()), (None, 10_000));
        assert_eq!(scratch.get(50_123).unwrap(), Some(record(50_123)));
        (50_000..60_000).for_each(|offset| scratch.remove(offset));
        scratch.put(70_000, b"x").unwrap();
        assert_eq!(scratch.get(70_000).unwrap(), Some(b"x".to_vec()));
        drop(scratch);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_record_that_is_put_twice_stays_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::create(parent.path()).unwrap();
        scratch.put(1, b"first").unwrap();
        scratch.put(1, b"second").unwrap();
        assert_eq!(scratch.get(1).unwrap(), Some(b"first".to_vec()));
        scratch.remove(1);
        scratch.remove(1);
        assert!(scratch.is_empty());
    }
}
