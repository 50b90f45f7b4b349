//! Segment: the files of a log that are open, shared by writer and readers.
//!
//! - In: what the writer publishes.
//! - Out: the segment that holds an offset; groups and bytes at positions.
//! - Keeps: one open file for each segment, and the floors.
//! - Invariants: segments are consecutive. A deleted segment leaves the list at once; who reads it then looks for its place again, so
//!   nobody keeps the space of a deleted file.

use super::format::{Defect, GROUP_FIXED_LEN, GroupHeader, SegmentHeader};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Name ending of segment files.
pub(super) const EXTENSION: &str = "segment";

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) header: SegmentHeader,
    /// Its final length, once it takes no more.
    pub(super) sealed_len: OnceLock<u64>,
}

impl Segment {
    pub(super) fn path_of(folder: &Path, sequence: u64) -> PathBuf {
        folder.join(format!("{sequence:020}.{EXTENSION}"))
    }

    /// Where the first group begins.
    pub(super) fn first_group(&self) -> u64 {
        SegmentHeader::encoded_len(self.header.next_offsets.len()) as u64
    }

    /// The header of the group at a position.
    pub(super) fn group_at(
        &self,
        window: &mut Window,
        position: u64,
    ) -> io::Result<Result<GroupHeader, Defect>> {
        let shard_count = self.header.next_offsets.len();
        let fixed = window.bytes(&self.file, position, GROUP_FIXED_LEN)?;
        let len = match GroupHeader::len_of(fixed, shard_count) {
            Ok(len) => len,
            Err(defect) => return Ok(Err(defect)),
        };
        let bytes = window.bytes(&self.file, position, len)?;
        Ok(GroupHeader::decode(bytes, self.header.sequence, position))
    }
}

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    state: RwLock<State>,
    /// For each shard the offset after its last durable record.
    pub(super) ends: Vec<watch::Receiver<u64>>,
}

/// Segments, oldest first, and what may be deleted.
#[derive(Debug)]
pub(super) struct State {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) floors: Vec<u64>,
    /// Bytes of all segments, for the operator.
    pub(super) byte_count: u64,
}

impl Shared {
    pub(super) fn new(state: State, ends: Vec<watch::Receiver<u64>>) -> Self {
        Self { state: RwLock::new(state), ends }
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offset after the last durable record of a shard.
    pub(super) fn end(&self, shard: u32) -> u64 {
        *self.ends[shard as usize].borrow()
    }
}

impl State {
    /// Offset of the first record of a shard that is kept.
    pub(super) fn start(&self, shard: u32) -> u64 {
        let shard = shard as usize;
        let first = self.segments.front().map_or(0, |segment| segment.header.next_offsets[shard]);
        self.floors[shard].max(first)
    }

    /// The segment of this number.
    pub(super) fn segment(&self, sequence: u64) -> Option<Arc<Segment>> {
        let first = self.segments.front()?.header.sequence;
        let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
        self.segments.get(index).map(Arc::clone)
    }

    /// The segment in which the record of this offset stands, or would.
    pub(super) fn segment_of(&self, shard: u32, offset: u64) -> Option<Arc<Segment>> {
        let after = self.segments.partition_point(|it| it.header.next_offsets[shard as usize] <= offset);
        self.segments.get(after.checked_sub(1)?).map(Arc::clone)
    }
}

/// A piece of a file in memory, so that neighbouring small reads are one call.
#[derive(Debug)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
    size: usize,
}

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self { start: 0, bytes: Vec::new(), size }
    }

    /// Forgets what was read: the next bytes are of another file.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// `len` bytes from `at` on; fewer only at the end of the file.
    pub(super) fn bytes(&mut self, file: &File, at: u64, len: usize) -> io::Result<&[u8]> {
        if let Some(range) = self.range(at, len) {
            return Ok(&self.bytes[range]);
        }
        self.start = at;
        self.bytes.resize(len.max(self.size), 0);
        let mut filled = 0;
        while filled < self.bytes.len() {
            match file.read_at(&mut self.bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(&self.bytes[..len.min(filled)])
    }

    /// Where the asked bytes are, when all of them are here.
    fn range(&self, at: u64, len: usize) -> Option<std::ops::Range<usize>> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let until = from.checked_add(len)?;
        (until <= self.bytes.len()).then_some(from..until)
    }
}
