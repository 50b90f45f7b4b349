//! Worker: refines the frames of a chunk and spills the events by slice.
//!
//! - In: chunks of any file and side.
//! - Out: batches in the spill; counts and the digest of what was read.
//! - Keeps: the rows that are not spilled yet, and the rejects of one chunk.
//! - Invariants: a record is counted exactly once. Rejects go to the slice of their neighbours in the chunk, so
//!   that the choice does not depend on threads.

use super::digest::InputDigest;
use super::feed::Work;
use super::read::ReadPlan;
use super::waiting::Waiting;
use corridor_intake::frame::{Defect, Frame};
use corridor_lake::spill::{Spill, SpillError};
use corridor_lake::{RejectRow, RejectsBuilder};
use corridor_model::{Origin, RecordDigest, RejectCode, Rejection, Side, Slice};
use corridor_refine::{Context, Outcome, refine, reject};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Slice of rejects without a neighbour that is an event; they go to the first hour of the run.
pub const NO_SLICE: Slice = Slice(i64::MIN);

/// Preview of every reject when client IPs and user names are to be pseudonyms.
const PREVIEW_WITHHELD: &str = "withheld, because pseudonyms are on";

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
    waiting: Waiting,
    tally: Tally,
}

impl<'p> Worker<'p> {
    /// A worker with nothing to do yet.
    pub fn new(plan: &ReadPlan<'p>, spill: &'p Spill) -> Self {
        Self { context: plan.context, spill, waiting: Waiting::new(plan), tally: Tally::default() }
    }

    /// Refines one chunk.
    pub fn process(&mut self, work: &Work) -> Result<(), SpillError> {
        let (mut first_slice, mut slice) = (None, None);
        for frame in work.chunk.frames() {
            let path = Arc::clone(&work.path);
            let origin = Origin { file_index: work.file_index, path, byte_offset: frame.byte_offset };
            self.process_frame(work.side, &frame, &origin, &mut slice);
            first_slice = first_slice.or(slice);
            self.waiting.relieve(self.spill)?;
        }
        self.flush_rejects(work.side, first_slice)
    }

    /// Spills what is left.
    pub fn finish(mut self) -> Result<(Counts, Digests), SpillError> {
        self.waiting.flush(self.spill)?;
        Ok((self.tally.counts, self.tally.digests))
    }

    fn process_frame(&mut self, side: Side, frame: &Frame<'_>, origin: &Origin, slice: &mut Option<Slice>) {
        let Self { context, waiting, tally, .. } = self;
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
                let redactions = refined.event.redactions;
                if waiting.append(side, *refined, text, origin, context) {
                    tally.counts.events[side as usize] += 1;
                    tally.counts.redactions += u64::from(redactions);
                } else {
                    tally.counts.outside += 1;
                }
            }
        });
    }

    /// Spills the chunk's rejects, each in the slice of the event before it, else of the first event after it.
    fn flush_rejects(&mut self, side: Side, first_slice: Option<Slice>) -> Result<(), SpillError> {
        let mut by_slice: BTreeMap<Slice, RejectsBuilder> = BTreeMap::new();
        for mut pending in self.tally.rejects.drain(..) {
            if self.context.pseudonyms.is_some() {
                // What could not be read cannot be searched for addresses and names either.
                pending.rejection.preview = PREVIEW_WITHHELD.into();
            }
            let slice = pending.slice.or(first_slice).unwrap_or(NO_SLICE);
            by_slice.entry(slice).or_default().append(&RejectRow {
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
