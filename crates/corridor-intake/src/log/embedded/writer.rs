//! Writer: the one thread that changes the log.
//!
//! - In: appends and releases, in the order of their arrival.
//! - Out: groups on the disk, and the shards' new ends.
//! - Keeps: the end of the log, and one encoded group.
//! - Invariants: an append is answered, and readers see it, only after the sync that made it durable. What a failed write left behind is cut
//!   off before anything else is written; where that cannot be proved, the log takes nothing more. A commit number is used by one durable
//!   group only.

use super::EmbeddedLogConfig;
use super::disk::{self, Disk};
use super::floors;
use super::format::{self, GroupHeader, RECORD_HEADER_LEN, Section, SegmentHeader};
use super::segment::{Segment, Shared};
use crate::log::{LogError, NewRecord};
use corridor_model::Micros;
use std::fs::{self, File};
use std::io;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot, watch};

/// A group takes no further append beyond this, so that one sync stays short.
const COMMIT_BYTES_MAX: u64 = 16 << 20;
/// The reserve is this part of the disk bound.
const RESERVE_PART: u64 = 16;
/// The buffer is given back when a group was larger.
const BUFFER_BYTES_KEPT: usize = 32 << 20;

/// Tells how a request ended.
pub(super) type Reply = oneshot::Sender<Result<(), LogError>>;

/// What the writer is asked to do.
pub(super) enum Request {
    /// Make records durable.
    Append(Append),
    /// Nothing below `floor` of `shard` is needed any more.
    Release { shard: u32, floor: u64, reply: Reply },
}

/// How much of the disk bound an append may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All but a reserve.
    Outside,
    /// The reserve, too: what shards tell each other is small, and makes the log shorter.
    Whole,
}

impl Room {
    /// Of a log with this bound.
    pub(super) fn of(self, bytes_max: u64) -> u64 {
        match self {
            Self::Outside => bytes_max - bytes_max / RESERVE_PART,
            Self::Whole => bytes_max,
        }
    }
}

/// Records that become durable together.
pub(super) struct Append {
    pub(super) records: Vec<NewRecord>,
    pub(super) room: Room,
    pub(super) reply: Reply,
}

impl Append {
    fn byte_count(&self) -> u64 {
        byte_count(&self.records)
    }
}

/// Bytes of the records in a file.
pub(super) fn byte_count(records: &[NewRecord]) -> u64 {
    records.iter().map(|record| (RECORD_HEADER_LEN + record.payload.len()) as u64).sum()
}

/// The log's end and everything that moves it.
pub(super) struct Writer {
    pub(super) config: EmbeddedLogConfig,
    pub(super) disk: Box<dyn Disk>,
    pub(super) shared: Arc<Shared>,
    pub(super) active: Arc<Segment>,
    /// Length of the active segment up to its last durable group.
    pub(super) len: u64,
    /// Bytes of the segments before it.
    pub(super) sealed_bytes: u64,
    pub(super) commit: u64,
    pub(super) time_max: Micros,
    /// For each shard the offset of its next record.
    pub(super) next_offsets: Vec<u64>,
    pub(super) ends: Vec<watch::Sender<u64>>,
    pub(super) buffer: Vec<u8>,
    /// Whether something was written since the last closing mark.
    pub(super) is_dirty: bool,
    /// Why the log takes nothing more.
    pub(super) failed: Option<String>,
    /// Locked while the log is open.
    pub(super) _lock: File,
}

impl Writer {
    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        // A crash may have come between noting a floor and deleting below it.
        self.delete_released();
        while let Some(first) = requests.blocking_recv() {
            let mut appends = Vec::new();
            let mut bytes = self.take(first, &mut appends);
            while bytes < COMMIT_BYTES_MAX
                && let Ok(request) = requests.try_recv()
            {
                bytes += self.take(request, &mut appends);
            }
            self.append(appends);
        }
        self.close();
    }

    /// Carries out a release at once, since it makes room; gives the bytes of an append.
    fn take(&mut self, request: Request, appends: &mut Vec<Append>) -> u64 {
        match request {
            Request::Append(append) => {
                let bytes = append.byte_count();
                appends.push(append);
                bytes
            }
            Request::Release { shard, floor, reply } => {
                // Who asked may have gone; the release stands.
                reply.send(self.release(shard, floor)).ok();
                0
            }
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut admitted = Vec::with_capacity(appends.len());
        let mut bytes = 0;
        for append in appends {
            match self.admit(bytes + append.byte_count(), append.room) {
                Ok(()) => {
                    bytes += append.byte_count();
                    admitted.push(append);
                }
                // Who asked may have gone; then nobody needs the answer.
                Err(error) => drop(append.reply.send(Err(error))),
            }
        }
        if admitted.is_empty() {
            return;
        }
        let records: Vec<&NewRecord> = admitted.iter().flat_map(|append| &append.records).collect();
        let outcome = self.commit(&records);
        for append in admitted {
            append.reply.send(outcome.clone()).ok();
        }
    }

    /// Whether a group of so many bytes may be written.
    fn admit(&mut self, bytes: u64, room: Room) -> Result<(), LogError> {
        if let Some(reason) = &self.failed {
            return Err(LogError::Unusable(reason.clone()));
        }
        if !self.fits(bytes, room) && self.is_all_released() {
            self.rotate()?;
            self.delete_released();
        }
        if self.fits(bytes, room) {
            return Ok(());
        }
        Err(LogError::Full(format!(
            "{} holds {} of at most {} bytes, and none of it may be deleted before its rows are in the lake; senders must wait, or the \
             bound must be raised",
            self.config.folder.display(),
            self.sealed_bytes + self.len,
            room.of(self.config.bytes_max)
        )))
    }

    fn fits(&self, bytes: u64, room: Room) -> bool {
        let header = GroupHeader::encoded_len(self.next_offsets.len()) as u64;
        // A full active segment is followed by a new one, with a header of its own.
        let total = self.sealed_bytes + self.len + self.active.first_group() + header + bytes;
        total <= room.of(self.config.bytes_max)
    }

    /// Whether the active segment holds records, and nobody needs them.
    fn is_all_released(&self) -> bool {
        let state = self.shared.state();
        self.len > self.active.first_group()
            && state.floors.iter().zip(&self.next_offsets).all(|(floor, next)| floor >= next)
    }

    /// Makes records durable and shows them to readers.
    fn commit(&mut self, records: &[&NewRecord]) -> Result<(), LogError> {
        if self.len >= self.config.segment_bytes {
            self.rotate()?;
        }
        let time = (self.config.clock)().max(self.time_max);
        let next_offsets = self.encode(records, time);
        self.persist()?;
        self.is_dirty = true;
        self.time_max = time;
        for (end, (old, new)) in self.ends.iter().zip(self.next_offsets.iter().zip(&next_offsets)) {
            if old != new {
                end.send_replace(*new);
            }
        }
        self.next_offsets = next_offsets;
        Ok(())
    }

    /// Fills the buffer with one group; gives the offsets after it.
    fn encode(&mut self, records: &[&NewRecord], append_time: Micros) -> Vec<u64> {
        let mut by_shard: Vec<&NewRecord> = records.to_vec();
        // Stable, so that a shard keeps the order of arrival.
        by_shard.sort_by_key(|record| record.shard);
        let mut next_offsets = self.next_offsets.clone();
        let mut sections = Vec::new();
        for section in by_shard.chunk_by(|left, right| left.shard == right.shard) {
            let shard = section[0].shard;
            let next = &mut next_offsets[shard as usize];
            let byte_len = section.iter().map(|it| (RECORD_HEADER_LEN + it.payload.len()) as u64).sum();
            let record_count =
                u32::try_from(section.len()).expect("an append of so many records is refused before");
            sections.push(Section { shard, record_count, first_offset: *next, byte_len });
            *next += u64::from(record_count);
        }
        let (segment, position) = (self.active.header.sequence, self.len);
        let header = GroupHeader { segment, position, commit: self.commit + 1, append_time, sections };
        self.buffer.clear();
        header.encode(&mut self.buffer);
        let mut records = by_shard.iter();
        for section in &header.sections {
            for (index, record) in (0..u64::from(section.record_count)).zip(&mut records) {
                format::encode_record(section.first_offset + index, &record.payload, &mut self.buffer);
            }
        }
        next_offsets
    }

    /// Writes the buffer behind the last durable group, and syncs.
    fn persist(&mut self) -> Result<(), LogError> {
        let written = self.disk.write(&self.active.file, &self.buffer, self.len);
        let synced = written.and_then(|()| self.disk.sync(&self.active.file));
        if let Err(error) = synced {
            return Err(self.undo(&error));
        }
        self.len += self.buffer.len() as u64;
        self.commit += 1;
        self.shared.state_mut().byte_count = self.sealed_bytes + self.len;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// After a failed write: a full disk is cut back to its last durable group and may go on; any other error ends the log, because
    /// nobody knows which of its pages reached the disk, and a second sync would not tell.
    fn undo(&mut self, error: &io::Error) -> LogError {
        let path = self.active.path.display().to_string();
        let cut = self.disk.truncate(&self.active.file, self.len);
        match cut {
            Ok(()) if disk::is_out_of_space(error) => LogError::Full(format!(
                "write {path}: {error}; make room on its disk, nothing acknowledged is lost"
            )),
            _ => {
                let reason = format!(
                    "write {path}: {error}; the log takes no more records, check the disk and start again: what was acknowledged is kept"
                );
                tracing::error!(%reason, "the embedded log stops");
                self.failed = Some(reason.clone());
                LogError::Unavailable(reason)
            }
        }
    }

    /// Seals the active segment and begins another.
    fn rotate(&mut self) -> Result<(), LogError> {
        let header = SegmentHeader {
            sequence: self.active.header.sequence + 1,
            cluster: self.active.header.cluster,
            time_max: self.time_max,
            commit: self.commit,
            previous_len: self.len,
            next_offsets: self.next_offsets.clone(),
        };
        let path = Segment::path_of(&self.config.folder, header.sequence);
        let prepared = disk::prepare_file(&mut *self.disk, &path, &header.encode());
        let file = prepared.map_err(|error| {
            let reason = format!("make {}: {error}", path.display());
            if disk::is_out_of_space(&error) { LogError::Full(reason) } else { LogError::Unavailable(reason) }
        })?;
        let published = disk::publish_file(&path).and_then(|()| disk::sync_folder(&self.config.folder));
        if let Err(error) = published {
            // The name may or may not be durable, so the old segment must not grow.
            return Err(self.undo(&io::Error::other(format!("publish {}: {error}", path.display()))));
        }
        self.sealed_bytes += self.len;
        self.active.sealed_len.set(self.len).expect("a segment is sealed once, when the next one begins");
        self.active = Arc::new(Segment { path, file, header, sealed_len: OnceLock::new() });
        self.len = self.active.first_group();
        let mut state = self.shared.state_mut();
        state.segments.push_back(Arc::clone(&self.active));
        state.byte_count = self.sealed_bytes + self.len;
        Ok(())
    }

    fn release(&mut self, shard: u32, floor: u64) -> Result<(), LogError> {
        let index = shard as usize;
        let floor = floor.min(self.next_offsets[index]);
        if floor <= self.shared.state().floors[index] {
            return Ok(());
        }
        self.shared.state_mut().floors[index] = floor;
        self.delete_released();
        // After the deletion: on a full disk it makes the room for this file.
        let floors = self.shared.state().floors.clone();
        floors::write(&mut *self.disk, &self.config.folder, &floors)
            .map_err(|error| LogError::Unavailable(format!("note what may be deleted: {error}")))
    }

    /// Deletes the segments in front that lie wholly below all floors. The active one stays.
    fn delete_released(&mut self) {
        let mut deleted = 0;
        loop {
            let state = self.shared.state();
            let Some(after) = state.segments.get(1) else { break };
            let mut pairs = state.floors.iter().zip(&after.header.next_offsets);
            if !pairs.all(|(floor, base)| floor >= base) {
                break;
            }
            let segment = Arc::clone(&state.segments[0]);
            drop(state);
            if let Err(error) = fs::remove_file(&segment.path) {
                tracing::warn!(path = %segment.path.display(), %error, "a released segment cannot be deleted; it is tried again at the next release");
                break;
            }
            self.sealed_bytes -= segment.sealed_len.get().copied().unwrap_or(0);
            let mut state = self.shared.state_mut();
            state.segments.pop_front();
            state.byte_count = self.sealed_bytes + self.len;
            deleted += 1;
        }
        if deleted > 0
            && let Err(error) = disk::sync_folder(&self.config.folder)
        {
            // A segment that comes back after a crash is only deleted again.
            tracing::warn!(%error, "the deletion of released segments is not durable yet");
        }
    }

    /// Ends with an empty group, which proves at the next opening that the group before it was durable.
    fn close(&mut self) {
        if self.failed.is_some() || !self.is_dirty {
            return;
        }
        let time = self.time_max;
        self.encode(&[], time);
        if let Err(error) = self.persist() {
            tracing::warn!(%error, "the embedded log is closed without its mark; nothing is lost");
        }
    }
}
