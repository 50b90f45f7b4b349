//! Reader: the records of one shard, in order.
//!
//! - In: the segments, and the shard's durable end.
//! - Out: records with offset and append time, each with its checksum verified.
//! - Keeps: a cursor; between two calls no buffer and no file.
//! - Invariants: only durable records are read. The cursor moves when a call returns, so a dropped call loses nothing.

use super::format::{self, Defect, GroupHeader, RECORD_HEADER_LEN};
use super::segment::{Segment, Shared, Window};
use crate::log::{LogError, LogReader, StoredRecord};
use async_trait::async_trait;
use bytes::Bytes;
use corridor_model::Micros;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Headers of neighbouring small groups come with one call; larger would copy sections of other shards for nothing.
const WINDOW_BYTES: usize = 16 << 10;
/// Least that is read of a section at once.
const CHUNK_BYTES_MIN: u64 = 64 << 10;

/// Reads one shard of an embedded log.
pub(super) struct EmbeddedReader {
    shared: Arc<Shared>,
    end: watch::Receiver<u64>,
    shard: u32,
    cursor: Cursor,
}

/// Where the next record is.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    next: u64,
    /// None: to be looked for.
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u64,
    /// Position of the next group.
    group: u64,
    /// What is left of the shard's section in the group before.
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    at: u64,
    until: u64,
    append_time: Micros,
}

impl EmbeddedReader {
    pub(super) fn new(shared: Arc<Shared>, shard: u32, from: u64) -> Self {
        let end = shared.ends[shard as usize].clone();
        Self { shared, end, shard, cursor: Cursor { next: from, place: None } }
    }
}

#[async_trait]
impl LogReader for EmbeddedReader {
    async fn read(&mut self, bytes_max: usize, patience: Duration) -> Result<Vec<StoredRecord>, LogError> {
        let next = self.cursor.next;
        let end = match timeout(patience, self.end.wait_for(|end| *end > next)).await {
            Err(_) => return Ok(Vec::new()),
            Ok(Ok(end)) => *end,
            Ok(Err(_)) => return Err(LogError::Unavailable("the embedded log was closed".to_owned())),
        };
        let mut reading = Reading {
            shared: Arc::clone(&self.shared),
            shard: self.shard,
            cursor: self.cursor,
            end,
            bytes_left: bytes_max,
            window: Window::new(WINDOW_BYTES),
            found: Vec::new(),
        };
        let work =
            tokio::task::spawn_blocking(move || reading.run().map(|()| (reading.found, reading.cursor)));
        let (found, cursor) = work.await.map_err(|error| {
            LogError::Unavailable(format!("reading the embedded log was interrupted: {error}"))
        })??;
        self.cursor = cursor;
        Ok(found)
    }
}

/// One call, on a thread that may block.
struct Reading {
    shared: Arc<Shared>,
    shard: u32,
    cursor: Cursor,
    end: u64,
    bytes_left: usize,
    window: Window,
    found: Vec<StoredRecord>,
}

impl Reading {
    fn run(&mut self) -> Result<(), LogError> {
        let mut segment = self.segment()?;
        while self.cursor.next < self.end && !self.is_enough() {
            let mut place = self.place(&segment);
            match place.rest.take() {
                Some(rest) => {
                    place.rest = self.read_section(&segment, rest)?;
                    self.cursor.place = Some(place);
                }
                None if segment.sealed_len.get() == Some(&place.group) => {
                    place = Place { segment: place.segment + 1, group: 0, rest: None };
                    self.cursor.place = Some(place);
                    segment = self.segment()?;
                    self.window.clear();
                }
                None => self.enter_group(&segment, place)?,
            }
        }
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.bytes_left == 0 && !self.found.is_empty()
    }

    /// The cursor's place, which for a new segment is its first group.
    fn place(&self, segment: &Segment) -> Place {
        let at_start = Place { segment: segment.header.sequence, group: segment.first_group(), rest: None };
        let known =
            self.cursor.place.filter(|place| place.segment == segment.header.sequence && place.group > 0);
        known.unwrap_or(at_start)
    }

    /// The segment of the cursor; the one of its offset when that is deleted or unknown.
    fn segment(&self) -> Result<Arc<Segment>, LogError> {
        let state = self.shared.state();
        let (asked, start) = (self.cursor.next, state.start(self.shard));
        let gone = LogError::Gone { shard: self.shard, asked, start };
        if asked < start {
            return Err(gone);
        }
        let known = self.cursor.place.and_then(|place| state.segment(place.segment));
        known.or_else(|| state.segment_of(self.shard, asked)).ok_or(gone)
    }

    fn enter_group(&mut self, segment: &Segment, mut place: Place) -> Result<(), LogError> {
        let group = segment
            .group_at(&mut self.window, place.group)
            .map_err(|error| unreadable(segment, place.group, &error))?
            .map_err(|defect| damaged(segment, place.group, defect))?;
        place.group = group.end();
        place.rest = self.rest_of(segment, &group)?;
        self.cursor.place = Some(place);
        Ok(())
    }

    /// The shard's section, without the records in front of the cursor.
    fn rest_of(&mut self, segment: &Segment, group: &GroupHeader) -> Result<Option<Rest>, LogError> {
        let mut at = group.body_position();
        for section in &group.sections {
            let until = at + section.byte_len;
            let after = section.first_offset + u64::from(section.record_count);
            if section.shard == self.shard && self.cursor.next < after {
                for _ in section.first_offset..self.cursor.next {
                    at += self.record_len(segment, at)?;
                }
                return Ok(Some(Rest { at, until, append_time: group.append_time }));
            }
            at = until;
        }
        Ok(None)
    }

    fn record_len(&mut self, segment: &Segment, at: u64) -> Result<u64, LogError> {
        let header = self
            .window
            .bytes(&segment.file, at, RECORD_HEADER_LEN)
            .map_err(|error| unreadable(segment, at, &error))?;
        let len = format::payload_len(header).map_err(|defect| damaged(segment, at, defect))?;
        Ok((RECORD_HEADER_LEN + len) as u64)
    }

    /// Takes records while there is room; what is left of the section comes back.
    fn read_section(&mut self, segment: &Segment, mut rest: Rest) -> Result<Option<Rest>, LogError> {
        let first_len = self.record_len(segment, rest.at)?;
        if first_len > rest.until - rest.at {
            return Err(damaged(segment, rest.at, "a record reaches past its section"));
        }
        let wanted = self.bytes_left.saturating_add(RECORD_HEADER_LEN) as u64;
        let mut chunk_len = wanted.max(CHUNK_BYTES_MIN).min(rest.until - rest.at);
        if self.found.is_empty() {
            chunk_len = chunk_len.max(first_len);
        }
        let started_at = rest.at;
        let mut chunk = Window::new(0);
        let mut bytes = chunk
            .bytes(&segment.file, rest.at, chunk_len as usize)
            .map_err(|error| unreadable(segment, rest.at, &error))?;
        while let Some((header, _)) = bytes.split_at_checked(RECORD_HEADER_LEN) {
            let payload_len =
                format::payload_len(header).map_err(|defect| damaged(segment, rest.at, defect))?;
            if payload_len > self.bytes_left && !self.found.is_empty() {
                self.bytes_left = 0;
                return Ok(Some(rest));
            }
            let Some((record, after)) = bytes.split_at_checked(RECORD_HEADER_LEN + payload_len) else {
                break;
            };
            let payload = format::checked_payload(record, self.cursor.next)
                .map_err(|defect| damaged(segment, rest.at, defect))?;
            self.found.push(StoredRecord {
                offset: self.cursor.next,
                append_time: rest.append_time,
                // A copy: a slice would keep the whole chunk while one small record lives.
                payload: Bytes::copy_from_slice(payload),
            });
            self.bytes_left = self.bytes_left.saturating_sub(payload_len);
            self.cursor.next += 1;
            rest.at += record.len() as u64;
            bytes = after;
            if self.is_enough() {
                break;
            }
        }
        if rest.at == started_at {
            return Err(damaged(segment, rest.at, "the file ends inside a record"));
        }
        Ok((rest.at < rest.until).then_some(rest))
    }
}

/// What a person does about a damaged file.
pub(super) const ADVICE: &str = "the disk changed or lost bytes that were durable: restore the file from a copy, or set the folder aside and let \
     the senders deliver again what it held";

/// A frame that was durable and is not what was written.
pub(super) fn damaged(segment: &Segment, position: u64, defect: Defect) -> LogError {
    LogError::Unusable(format!("{} at byte {position}: {defect}; {ADVICE}", segment.path.display()))
}

pub(super) fn unreadable(segment: &Segment, position: u64, error: &std::io::Error) -> LogError {
    LogError::Unavailable(format!("read {} at byte {position}: {error}", segment.path.display()))
}
