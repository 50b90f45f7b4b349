//! Waiting: the rows of one worker that are not spilled yet, by slice of event time.
//!
//! - In: refined events in any order of time.
//! - Out: batches of one slice each, so that nothing is copied again before it is spilled.
//! - Keeps: at most [`WAITING_BYTES`] and [`OPEN_SLICES`] slices, one more frame's rows aside.
//! - Invariants: an event is in one batch, or is only a partner (outside the asked range), or is left out.

use super::Range;
use super::read::ReadPlan;
use corridor_lake::spill::{FactsBatch, Position, Spill, SpillError};
use corridor_lake::{EventRows, RowBatch};
use corridor_model::{JoinFacts, Origin, Side, Slice, time};
use corridor_refine::{Context, Refined, redact};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of rows of a full batch: few enough to stay in the cache of a core until they are written.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes of rows that wait in all batches together before the largest is spilled.
const WAITING_BYTES: usize = 32 << 20;

/// Slices with waiting rows before the one that waited longest is spilled. Late records and copies keep old
/// slices open with a few rows each; more would cost memory, fewer would make tiny batches.
const OPEN_SLICES: usize = 64;

/// Emptied batches that are kept.
const SPARE_BATCHES: usize = 8;

/// Partners outside the range that wait before they are spilled.
const CONTEXT_EVENTS: usize = 8_192;

/// Events this far outside the asked range are still looked at as partners. Longer than any horizon.
const CONTEXT_MARGIN: i64 = 6 * time::HOUR;

/// The rows of one slice.
struct Batch {
    slice: Slice,
    events: EventRows,
    /// The redacted record of each event, if they are kept.
    records: RowBatch,
    facts: FactsBatch,
}

impl Batch {
    fn new(slice: Slice) -> Self {
        Self {
            slice,
            events: EventRows::default(),
            records: RowBatch::default(),
            facts: FactsBatch::default(),
        }
    }

    fn is_full(&self) -> bool {
        self.byte_size() >= BATCH_BYTES || self.events.is_full()
    }

    fn byte_size(&self) -> usize {
        self.events.byte_size() + self.records.byte_size() + self.facts.byte_size()
    }

    fn clear(&mut self) {
        self.events.clear();
        self.records.clear();
        self.facts.clear();
    }
}

/// The rows that are not spilled yet.
pub struct Waiting {
    range: Range,
    directory_version: Option<Arc<str>>,
    keeps_records: bool,
    /// The slice used last stands last.
    open: Vec<Batch>,
    /// Emptied batches, to be filled again: fresh pages cost more than the rows.
    spare: Vec<Batch>,
    /// Of all open batches.
    bytes: usize,
    /// Events outside the range that may be partners.
    context: WithoutRow,
    /// Activities that began in an earlier slice: announced there, so that its Kong events find them.
    announced: WithoutRow,
}

/// Facts of events that have no row in the slice, by slice.
#[derive(Default)]
struct WithoutRow {
    slices: BTreeMap<Slice, FactsBatch>,
    count: usize,
}

impl WithoutRow {
    fn push(&mut self, slice: Slice, position: &Position, facts: &JoinFacts) {
        self.slices.entry(slice).or_default().push(position, facts);
        self.count += 1;
    }

    fn flush(
        &mut self,
        mut write: impl FnMut(Slice, &FactsBatch) -> Result<(), SpillError>,
    ) -> Result<(), SpillError> {
        self.count = 0;
        std::mem::take(&mut self.slices).into_iter().try_for_each(|(slice, facts)| write(slice, &facts))
    }
}

impl Waiting {
    /// Nothing waits yet.
    pub fn new(plan: &ReadPlan<'_>) -> Self {
        Self {
            range: plan.range,
            directory_version: plan.context.directory.version().map(Arc::from),
            keeps_records: plan.keeps_records,
            open: Vec::new(),
            spare: Vec::new(),
            bytes: 0,
            context: WithoutRow::default(),
            announced: WithoutRow::default(),
        }
    }

    /// Takes an event; false when it is outside the asked range.
    pub fn append(
        &mut self,
        side: Side,
        refined: Refined<'_>,
        text: &str,
        origin: &Origin,
        context: &Context,
    ) -> bool {
        let Refined { event, facts, .. } = refined;
        let position = Position {
            file_index: origin.file_index,
            byte_offset: origin.byte_offset,
            record_index: event.record_index,
            time: event.event_time,
            batch: Position::NO_ROW,
            row: 0,
        };
        let slice = event.event_time.slice();
        let is_inside = self.range.contains(event.event_time);
        if !is_inside && self.range.distance(event.event_time) > CONTEXT_MARGIN {
            return false;
        }
        let first = facts.start.slice();
        if side == Side::Azure && facts.is_eligible && first < slice {
            self.announced.push(first, &position, &facts);
        }
        if !is_inside {
            self.context.push(slice, &position, &facts);
            return false;
        }
        let version = self.directory_version.clone();
        let keeps_records = self.keeps_records;
        let batch = self.batch_of(slice);
        let bytes_before = batch.byte_size();
        batch.events.append(&event, origin, version.as_ref());
        if keeps_records {
            let pseudonyms = context.pseudonyms.as_ref();
            batch.records.push_with(|bytes| {
                redact::record(side, text, pseudonyms, bytes);
            });
        }
        batch.facts.push(&position, &facts);
        let bytes = batch.byte_size() - bytes_before;
        self.bytes += bytes;
        true
    }

    /// The open batch of a slice.
    fn batch_of(&mut self, slice: Slice) -> &mut Batch {
        let last = self.open.len().wrapping_sub(1);
        match self.open.iter().rposition(|batch| batch.slice == slice) {
            Some(index) if index == last => {}
            Some(index) => {
                let batch = self.open.remove(index);
                self.open.push(batch);
            }
            None => {
                let mut batch = self.spare.pop().unwrap_or_else(|| Batch::new(slice));
                batch.slice = slice;
                self.open.push(batch);
            }
        }
        self.open.last_mut().expect("a batch was found or pushed")
    }

    /// Spills what is full, or the largest when too much waits.
    pub fn relieve(&mut self, spill: &Spill) -> Result<(), SpillError> {
        if self.context.count + self.announced.count >= CONTEXT_EVENTS {
            self.flush_without_row(spill)?;
        }
        if self.open.last().is_some_and(Batch::is_full) {
            self.flush_batch(self.open.len() - 1, spill)?;
        }
        while self.open.len() > OPEN_SLICES {
            self.flush_batch(0, spill)?;
        }
        while self.bytes > WAITING_BYTES {
            let largest = (0..self.open.len()).max_by_key(|index| self.open[*index].byte_size());
            let Some(largest) = largest else { break };
            self.flush_batch(largest, spill)?;
        }
        Ok(())
    }

    /// Spills everything.
    pub fn flush(&mut self, spill: &Spill) -> Result<(), SpillError> {
        self.flush_without_row(spill)?;
        while !self.open.is_empty() {
            self.flush_batch(self.open.len() - 1, spill)?;
        }
        Ok(())
    }

    fn flush_batch(&mut self, index: usize, spill: &Spill) -> Result<(), SpillError> {
        let mut batch = self.open.remove(index);
        self.bytes -= batch.byte_size();
        let records = self.keeps_records.then_some(&batch.records);
        spill.write(batch.slice, batch.events.finish(), records, &batch.facts)?;
        batch.clear();
        if self.spare.len() < SPARE_BATCHES {
            self.spare.push(batch);
        }
        Ok(())
    }

    fn flush_without_row(&mut self, spill: &Spill) -> Result<(), SpillError> {
        self.announced.flush(|slice, facts| spill.write_candidates(slice, facts))?;
        self.context.flush(|slice, facts| spill.write_context(slice, facts))
    }
}
