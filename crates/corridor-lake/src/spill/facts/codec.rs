//! Codec: facts as bytes. They never leave the run that wrote them, so that there is no version.
//!
//! - In and out: batches of facts.
//! - Form: a [`Head`], the records, then the texts of all records in one block, which all facts of the batch
//!   share when they are read. A record is its position, told as the difference from the one before, its flags,
//!   its event id, and what the flags announce.
//! - Invariants: bytes that no encoder wrote give None, never a panic.

use super::SpilledFacts;
use crate::spill::Position;
use corridor_model::{JoinFacts, Micros};
use corridor_refine::join::facts_codec::{ByteReader, put_difference, put_facts};
use std::sync::Arc;

/// Bytes of a [`Head`].
pub(super) const HEAD_SIZE: usize = 16;

/// What a batch begins with.
#[derive(Debug)]
pub(super) struct Head {
    /// Number of the batch in its slice.
    batch: u32,
    count: u32,
    record_bytes: u32,
    text_bytes: u32,
}

impl Head {
    /// From its bytes.
    pub(super) fn of(bytes: [u8; HEAD_SIZE]) -> Self {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { batch: number(0), count: number(4), record_bytes: number(8), text_bytes: number(12) }
    }

    /// Number of bytes that follow it.
    pub(super) fn byte_size(&self) -> usize {
        self.record_bytes as usize + self.text_bytes as usize
    }
}

/// Facts that are written together, as bytes from the start: as values they would fill the caches.
#[derive(Debug, Default)]
pub struct FactsBatch {
    count: u32,
    records: Vec<u8>,
    texts: String,
    /// Source and time of the last record.
    before: Option<Position>,
}

impl FactsBatch {
    /// Adds those of one event. Batch and row of its position are told when the batch is written.
    pub fn push(&mut self, position: &Position, facts: &JoinFacts) {
        put_position(position, &self.before.unwrap_or(ORIGIN), &mut self.records);
        put_facts(facts, position.time, &mut self.records);
        self.texts.push_str(facts.summary.texts.all());
        self.before = Some(*position);
        self.count += 1;
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes it takes.
    pub fn byte_size(&self) -> usize {
        self.records.len() + self.texts.len()
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        (self.count, self.before) = (0, None);
        self.records.clear();
        self.texts.clear();
    }

    /// All bytes, as the batch of this number.
    pub(super) fn parts(&self, batch: u32) -> ([u8; HEAD_SIZE], [&[u8]; 2]) {
        let size = |bytes: usize| u32::try_from(bytes).expect("a batch of rows is far below 4 GiB");
        let mut head = [0; HEAD_SIZE];
        let numbers = [batch, self.count, size(self.records.len()), size(self.texts.len())];
        for (place, number) in head.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        (head, [&self.records, self.texts.as_bytes()])
    }
}

/// Before the first position of a batch.
const ORIGIN: Position =
    Position { file_index: 0, byte_offset: 0, record_index: 0, time: Micros(0), batch: 0, row: 0 };

fn put_position(position: &Position, before: &Position, out: &mut Vec<u8>) {
    put_difference(position.file_index.into(), before.file_index.into(), out);
    put_difference(position.byte_offset as i64, before.byte_offset as i64, out);
    put_difference(position.record_index.into(), before.record_index.into(), out);
    put_difference(position.time.0, before.time.0, out);
}

/// Calls `visit` with the facts of a batch. None if the bytes are not those of a [`FactsBatch`].
pub(super) fn decode(head: &Head, bytes: &[u8], visit: &mut impl FnMut(SpilledFacts)) -> Option<()> {
    let (records, texts) = bytes.split_at_checked(head.record_bytes as usize)?;
    let mut records = ByteReader::new(records);
    let texts: Arc<str> = std::str::from_utf8(texts).ok()?.into();
    let mut at = 0;
    let mut before = ORIGIN;
    for row in 0..head.count {
        let position = read_position(&mut records, &before)?;
        let facts = records.facts(position.time, &texts, &mut at)?;
        before = position;
        let row = if head.batch == Position::NO_ROW { 0 } else { row };
        visit(SpilledFacts { position: Position { batch: head.batch, row, ..position }, facts });
    }
    Some(())
}

fn read_position(records: &mut ByteReader<'_>, before: &Position) -> Option<Position> {
    Some(Position {
        file_index: records.difference(before.file_index.into())?.try_into().ok()?,
        byte_offset: records.difference(before.byte_offset as i64)? as u64,
        record_index: records.difference(before.record_index.into())?.try_into().ok()?,
        time: Micros(records.difference(before.time.0)?),
        batch: 0,
        row: 0,
    })
}
