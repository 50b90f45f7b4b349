//! Write: joined hours become Parquet files of their days, slice by slice.
//!
//! - In: hours of [`JoinedSlice`]s, and their rows in the spill.
//! - Out: files in the lake (none in a dry run), and the counts of each day.
//! - Keeps: for each thread the rows of one slice, and the open files of one hour.
//! - Invariants: rows are sorted by event time, then event id. A copy with other content is a reject ID_CONFLICT.

mod conflicts;
mod sink;

use super::joined::JoinedSlice;
use super::progress::Progress;
use super::statistics::Statistics;
use anyhow::Result;
use conflicts::conflicts_of;
use corridor_chain::Day;
use corridor_lake::landing::NewFile;
use corridor_lake::spill::Spill;
use corridor_model::{HourBucket, Ledger, Slice};
use sink::{FileSink, SliceRows};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender};

/// Where files go.
pub struct Target {
    /// Days whose rows are wanted: none in a dry run, nor those that a stopped run has written.
    pub days: BTreeSet<Day>,
    /// Takes the files.
    pub files: SyncSender<NewFile>,
}

/// What writing counted.
#[derive(Debug, Default)]
pub struct Written {
    /// The equation of each day.
    pub ledgers: BTreeMap<Day, Ledger>,
    /// Encoded bytes by table.
    pub bytes: BTreeMap<&'static str, u64>,
    /// Files created.
    pub files: u64,
    /// What the rows say.
    pub statistics: Statistics,
}

impl Written {
    /// The equation of the whole run.
    pub fn total(&self) -> Ledger {
        let mut total = Ledger::default();
        self.ledgers.values().for_each(|ledger| total += *ledger);
        total
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: Self) {
        for (day, ledger) in other.ledgers {
            *self.ledgers.entry(day).or_default() += ledger;
        }
        for (table, bytes) in other.bytes {
            *self.bytes.entry(table).or_default() += bytes;
        }
        self.files += other.files;
        self.statistics.add(&other.statistics);
    }
}

/// An hour to write.
pub struct HourWork {
    /// The hour.
    pub hour: HourBucket,
    /// Its joined slices, ascending.
    pub slices: Vec<JoinedSlice>,
    /// Slices of the spill whose rejects belong here.
    pub reject_slices: Vec<Slice>,
}

/// Writes hours until the queue ends.
pub fn write_hours(
    spill: &Spill,
    target: &Target,
    queue: &Mutex<Receiver<HourWork>>,
    progress: &Progress,
) -> Result<Written> {
    let mut written = Written::default();
    let mut rows = SliceRows::default();
    loop {
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok(work) = next else { return Ok(written) };
        let (hour, has_rows) = (work.hour, !work.slices.is_empty());
        if let Err(error) = write_hour(spill, target, work, &mut rows, &mut written) {
            // Taking the rest keeps the join from waiting for ever; the run fails all the same.
            while queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().is_ok() {}
            return Err(error.context(format!("write hour {} of {}", hour.hour_of_day(), hour.date())));
        }
        progress.advance(u64::from(has_rows));
    }
}

fn write_hour(
    spill: &Spill,
    target: &Target,
    work: HourWork,
    rows: &mut SliceRows,
    written: &mut Written,
) -> Result<()> {
    let mut ledger = Ledger::default();
    let mut sink = FileSink::open(target, work.hour)?;
    let mut rejects = Vec::new();
    // Before the slices are removed, and their rejects with them.
    for slice in work.reject_slices {
        rejects.extend(spill.read_rejects(slice)?);
    }
    for joined in work.slices {
        spill.read_events(joined.slice, &mut rows.events)?;
        let conflicts = conflicts_of(&rows.events, &joined.copies);
        let conflict_count = conflicts.num_rows() as u64;
        ledger.rows += joined.rows.len() as u64;
        ledger.duplicates += joined.copies.len() as u64 - conflict_count;
        written.statistics.conflicts += conflict_count;
        joined.outcomes.iter().for_each(|outcome| written.statistics.count(outcome));
        rejects.push(conflicts);
        if let Some(sink) = &mut sink {
            spill.read_records(joined.slice, &mut rows.records)?;
            sink.write_slice(rows, &joined)?;
        }
        spill.remove(joined.slice);
    }
    ledger.rejects = rejects.iter().map(|batch| batch.num_rows() as u64).sum();
    ledger.records_in = ledger.rows + ledger.duplicates + ledger.rejects;
    *written.ledgers.entry(Day::of(work.hour)?).or_default() += ledger;
    match sink {
        Some(sink) => sink.finish(&rejects, written),
        None => Ok(()),
    }
}
