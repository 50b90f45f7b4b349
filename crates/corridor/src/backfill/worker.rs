//! Worker: refines the frames of a chunk and spills the events by slice.
//!
//! - In: chunks of any file and side.
//! - Out: batches in the spill; counts and the digest of what was read.
//! - Keeps: one batch of rows, their facts, and the rejects of one chunk.
//! - Invariants: a record is counted exactly once. Rejects go to the slice of their neighbours in the chunk, so
//!   that the choice does not depend on threads.

use super::Range;
use super::digest::InputDigest;
use super::read::{ReadPlan, Work};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use corridor_intake::frame::{Defect, Frame};
use corridor_lake::spill::{Position, Spill, SpillError, SpilledFacts};
use corridor_lake::{EventBatchBuilder, RecordsBuilder, RejectRow, RejectsBuilder};
use corridor_model::{Origin, RecordDigest, RejectCode, Rejection, Side, Slice, time};
use corridor_refine::{Context, Outcome, Refined, redact, refine, reject};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of a spilled batch.
const BATCH_ROWS: usize = 8_192;

/// Bytes of records after which a batch is spilled, however few its rows.
const BATCH_RECORD_BYTES: usize = 32 * 1024 * 1024;

/// Events this far outside the asked range are still looked at as partners. Longer than any horizon.
const CONTEXT_MARGIN: i64 = 6 * time::HOUR;

/// Slice of rejects without a neighbour that is an event; they go to the first hour of the run.
pub const NO_SLICE: Slice = Slice(i64::MIN);

/// Sums of the records of each file, by file index.
pub type Digests = BTreeMap<u32, InputDigest>;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events inside the range, by side (Kong, Azure).
    pub events: [u64; 2],
    /// Rejects by code.
    pub rejects: BTreeMap<RejectCode, u64>,
    /// Events outside the asked range.
    pub outside: u64,
    /// Values withheld or masked.
    pub redactions: u64,
}

impl Counts {
    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        self.events[0] += other.events[0];
        self.events[1] += other.events[1];
        for (code, count) in &other.rejects {
            *self.rejects.entry(*code).or_default() += count;
        }
        self.outside += other.outside;
        self.redactions += other.redactions;
    }

    /// All rejects.
    pub fn reject_count(&self) -> u64 {
        self.rejects.values().sum()
    }
}

/// A rejected record with its place, until the slice of its chunk is known.
struct PendingReject {
    rejection: Rejection,
    origin: Origin,
    index: u32,
    digest: RecordDigest,
    slice: Option<Slice>,
}

/// What a worker counts, and the rejects of its chunk.
#[derive(Default)]
struct Tally {
    counts: Counts,
    digests: Digests,
    rejects: Vec<PendingReject>,
}

impl Tally {
    fn reject(
        &mut self,
        rejection: Rejection,
        bytes: &[u8],
        origin: &Origin,
        index: u32,
        slice: Option<Slice>,
    ) {
        let digest = RecordDigest::of(bytes);
        self.digests.entry(origin.file_index).or_default().add(&digest);
        *self.counts.rejects.entry(rejection.code).or_default() += 1;
        self.rejects.push(PendingReject { rejection, origin: origin.clone(), index, digest, slice });
    }
}

/// One worker.
pub struct Worker<'p> {
    context: &'p Context,
    spill: &'p Spill,
    batch: Batch,
    tally: Tally,
}

impl<'p> Worker<'p> {
    /// A worker with nothing to do yet.
    pub fn new(plan: &ReadPlan<'p>, spill: &'p Spill) -> Self {
        Self { context: plan.context, spill, batch: Batch::new(plan), tally: Tally::default() }
    }

    /// Refines one chunk.
    pub fn process(&mut self, work: &Work) -> Result<(), SpillError> {
        let (mut first_slice, mut slice) = (None, None);
        for frame in work.chunk.frames() {
            let path = Arc::clone(&work.path);
            let origin = Origin { file_index: work.file_index, path, byte_offset: frame.byte_offset };
            self.process_frame(work.side, &frame, &origin, &mut slice);
            first_slice = first_slice.or(slice);
            if self.batch.is_full() {
                self.batch.flush(self.spill)?;
            }
        }
        self.flush_rejects(work.side, first_slice)
    }

    /// Spills what is left.
    pub fn finish(mut self) -> Result<(Counts, Digests), SpillError> {
        self.batch.flush(self.spill)?;
        Ok((self.tally.counts, self.tally.digests))
    }

    fn process_frame(&mut self, side: Side, frame: &Frame<'_>, origin: &Origin, slice: &mut Option<Slice>) {
        let Self { context, batch, tally, .. } = self;
        if let Some(defect) = frame.defect {
            let (code, detail) = match defect {
                Defect::TooLarge => {
                    (RejectCode::RecordTooLarge, "the record is longer than the limit of 16 MiB")
                }
                Defect::Truncated => {
                    (RejectCode::Truncated, "the file ends inside this record or its envelope")
                }
            };
            return tally.reject(reject(code, detail, frame.bytes), frame.bytes, origin, frame.index, *slice);
        }
        refine(side, frame.bytes, context, &mut |outcome| match outcome {
            Outcome::Rejected(rejection, index) => {
                tally.reject(rejection, frame.bytes, origin, frame.index + index, *slice);
            }
            Outcome::Event(mut refined, text) => {
                refined.event.record_index += frame.index;
                *slice = Some(refined.event.event_time.slice());
                tally.digests.entry(origin.file_index).or_default().add(&refined.event.record_sha256);
                if batch.append(side, &refined, text, origin, context) {
                    tally.counts.events[side as usize] += 1;
                    tally.counts.redactions += u64::from(refined.event.redactions);
                } else {
                    tally.counts.outside += 1;
                }
            }
        });
    }

    /// Spills the chunk's rejects, each in the slice of the event before it, else of the first event after it.
    fn flush_rejects(&mut self, side: Side, first_slice: Option<Slice>) -> Result<(), SpillError> {
        let mut by_slice: BTreeMap<Slice, RejectsBuilder> = BTreeMap::new();
        for pending in self.tally.rejects.drain(..) {
            let slice = pending.slice.or(first_slice).unwrap_or(NO_SLICE);
            by_slice.entry(slice).or_insert_with(|| RejectsBuilder::new(16)).append(&RejectRow {
                rejection: &pending.rejection,
                side,
                origin: &pending.origin,
                record_index: pending.index,
                record_sha256: Some(&pending.digest),
                event_id: None,
                event_time: None,
            });
        }
        by_slice
            .into_iter()
            .try_for_each(|(slice, mut rejects)| self.spill.write_rejects(slice, &rejects.finish()))
    }
}

/// The rows that are not spilled yet.
struct Batch {
    range: Range,
    directory_version: Option<String>,
    events: EventBatchBuilder,
    records: Option<RecordsBuilder>,
    facts: Vec<SpilledFacts>,
    /// Events outside the range that may be partners.
    context: Vec<SpilledFacts>,
    /// Scratch for one redacted record.
    record: Vec<u8>,
}

impl Batch {
    fn new(plan: &ReadPlan<'_>) -> Self {
        Self {
            range: plan.range,
            directory_version: plan.context.directory.version().map(String::from),
            events: EventBatchBuilder::new(BATCH_ROWS),
            records: plan.keeps_records.then(|| RecordsBuilder::new(BATCH_ROWS)),
            facts: Vec::with_capacity(BATCH_ROWS),
            context: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Takes an event; false when it is outside the asked range.
    fn append(
        &mut self,
        side: Side,
        refined: &Refined<'_>,
        text: &str,
        origin: &Origin,
        context: &Context,
    ) -> bool {
        let event = &refined.event;
        let position = Position {
            file_index: origin.file_index,
            byte_offset: origin.byte_offset,
            record_index: event.record_index,
            time: event.event_time,
            batch: Position::NO_ROW,
            row: 0,
        };
        let spilled = SpilledFacts { position, facts: refined.facts.clone() };
        if !self.range.contains(event.event_time) {
            if self.range.distance(event.event_time) <= CONTEXT_MARGIN {
                self.context.push(spilled);
            }
            return false;
        }
        self.events.append(event, origin, self.directory_version.as_deref());
        if let Some(records) = &mut self.records {
            self.record.clear();
            redact::record(side, text, context.pseudonyms.as_ref(), &mut self.record);
            records.append(&event.event_id, event.event_time, &self.record);
        }
        self.facts.push(spilled);
        true
    }

    fn is_full(&self) -> bool {
        let record_bytes = self.records.as_ref().map_or(0, RecordsBuilder::byte_size);
        self.facts.len() >= BATCH_ROWS
            || self.context.len() >= BATCH_ROWS
            || record_bytes >= BATCH_RECORD_BYTES
    }

    fn flush(&mut self, spill: &Spill) -> Result<(), SpillError> {
        announce(spill, self.facts.iter().chain(&self.context))?;
        for (slice, facts) in by_slice(std::mem::take(&mut self.context)) {
            spill.write_context(slice, &facts)?;
        }
        if self.facts.is_empty() {
            return Ok(());
        }
        let events = self.events.finish();
        let records = self.records.as_mut().map(RecordsBuilder::finish);
        let mut facts = std::mem::replace(&mut self.facts, Vec::with_capacity(BATCH_ROWS));
        let first = facts[0].position.time.slice();
        if facts.iter().all(|spilled| spilled.position.time.slice() == first) {
            return spill.write(first, &events, records.as_ref(), &mut facts);
        }
        let mut rows_by_slice: BTreeMap<Slice, Vec<u32>> = BTreeMap::new();
        for (row, spilled) in (0..).zip(&facts) {
            rows_by_slice.entry(spilled.position.time.slice()).or_default().push(row);
        }
        for (slice, rows) in rows_by_slice {
            let mut part: Vec<_> = rows.iter().map(|row| facts[*row as usize].clone()).collect();
            let rows = UInt32Array::from(rows);
            let records = records.as_ref().map(|records| rows_of(records, &rows));
            spill.write(slice, &rows_of(&events, &rows), records.as_ref(), &mut part)?;
        }
        Ok(())
    }
}

fn rows_of(batch: &RecordBatch, rows: &UInt32Array) -> RecordBatch {
    take_record_batch(batch, rows).expect("the rows are of this batch")
}

fn by_slice(facts: Vec<SpilledFacts>) -> BTreeMap<Slice, Vec<SpilledFacts>> {
    let mut slices: BTreeMap<Slice, Vec<SpilledFacts>> = BTreeMap::new();
    for spilled in facts {
        slices.entry(spilled.position.time.slice()).or_default().push(spilled);
    }
    slices
}

/// Announces activities that began in an earlier slice, so that the Kong events of that slice find them.
fn announce<'f>(spill: &Spill, facts: impl Iterator<Item = &'f SpilledFacts>) -> Result<(), SpillError> {
    let mut slices: BTreeMap<Slice, Vec<SpilledFacts>> = BTreeMap::new();
    for spilled in facts {
        let start = spilled.facts.start.slice();
        if spilled.facts.side == Side::Azure
            && spilled.facts.is_eligible
            && start < spilled.position.time.slice()
        {
            slices.entry(start).or_default().push(spilled.clone());
        }
    }
    slices.into_iter().try_for_each(|(slice, facts)| spill.write_candidates(slice, &facts))
}
