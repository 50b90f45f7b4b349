//! Write: joined hours become Parquet files of their days, slice by slice.
//!
//! - In: hours of [`JoinedSlice`]s, and their rows in the spill.
//! - Out: files in the lake (none in a dry run), and the counts of each day.
//! - Keeps: for each thread the rows of one slice, and the open files of one hour.
//! - Invariants: rows are sorted by event time, then event id. A copy with other content is a reject ID_CONFLICT.

use super::joined::{Copied, JoinedSlice};
use super::progress::Progress;
use super::statistics::Statistics;
use anyhow::{Context as _, Result};
use arrow_array::RecordBatch;
use corridor_chain::{Day, Table};
use corridor_lake::landing::{Landing, NewFile};
use corridor_lake::spill::Spill;
use corridor_lake::{
    EncodedFile, FileRoller, FinalRow, RejectRow, RejectsBuilder, RollConfig, evidence_batches, gather,
    same_content,
};
use corridor_model::{EventId, HourBucket, Ledger, Origin, RejectCode, Rejection, Side, Slice};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

/// Rows of an encoded batch.
const BATCH_ROWS: usize = 8_192;

/// Where files go.
pub struct Target<'t> {
    /// The landing; None in a dry run.
    pub landing: Option<&'t Mutex<Landing>>,
    /// Runs the store's requests.
    pub runtime: &'t tokio::runtime::Handle,
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
    target: &Target<'_>,
    queue: &Mutex<Receiver<HourWork>>,
    progress: &Progress,
) -> Result<Written> {
    let mut written = Written::default();
    loop {
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok(work) = next else { return Ok(written) };
        let (hour, has_rows) = (work.hour, !work.slices.is_empty());
        if let Err(error) = write_hour(spill, target, work, &mut written) {
            // Taking the rest keeps the join from waiting for ever; the run fails all the same.
            while queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().is_ok() {}
            return Err(error.context(format!("write hour {} of {}", hour.hour_of_day(), hour.date())));
        }
        progress.advance(u64::from(has_rows));
    }
}

fn write_hour(spill: &Spill, target: &Target<'_>, work: HourWork, written: &mut Written) -> Result<()> {
    let mut ledger = Ledger::default();
    let mut sink = FileSink::open(target, work.hour)?;
    let mut rejects = Vec::new();
    // Before the slices are removed, and their rejects with them.
    for slice in work.reject_slices {
        rejects.extend(spill.read_rejects(slice)?);
    }
    for joined in work.slices {
        let events = spill.read_events(joined.slice)?;
        let conflicts = conflicts_of(&events, &joined.copies);
        let conflict_count = conflicts.num_rows() as u64;
        ledger.rows += joined.rows.len() as u64;
        ledger.duplicates += joined.copies.len() as u64 - conflict_count;
        written.statistics.conflicts += conflict_count;
        joined.outcomes.iter().for_each(|outcome| written.statistics.count(outcome));
        rejects.push(conflicts);
        if let Some(sink) = &mut sink {
            sink.write_slice(spill, &events, &joined)?;
        }
        drop(events);
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

/// Those copies of a slice that say something else than their rows, as rejects.
fn conflicts_of(events: &[RecordBatch], copies: &[Copied]) -> RecordBatch {
    let mut conflicts = RejectsBuilder::new(16);
    for copy in copies {
        if !is_true_copy(events, copy) {
            reject_conflict(events, copy, &mut conflicts);
        }
    }
    conflicts.finish()
}

/// Whether a copy says the same as its row.
fn is_true_copy(events: &[RecordBatch], copy: &Copied) -> bool {
    let at =
        |position: corridor_lake::spill::Position| (&events[position.batch as usize], position.row as usize);
    copy.of.is_some_and(|of| {
        let ((copy_batch, copy_row), (batch, row)) = (at(copy.position), at(of));
        same_content(copy_batch, copy_row, batch, row)
    })
}

fn reject_conflict(events: &[RecordBatch], copy: &Copied, rejects: &mut RejectsBuilder) {
    let row = CopiedRow { batch: &events[copy.position.batch as usize], row: copy.position.row as usize };
    let kept = copy.of.map(|of| CopiedRow { batch: &events[of.batch as usize], row: of.row as usize });
    let kept = kept.map_or_else(|| "an event of another hour".into(), |kept| kept.text("origin"));
    let rejection = Rejection {
        code: RejectCode::IdConflict,
        detail: format!(
            "the event id is that of {kept}, and the content is another; compare the two records"
        ),
        preview: String::new(),
    };
    let text = row.text("origin");
    let (path, offset) = text.rsplit_once('@').unwrap_or((&text, "0"));
    let origin = Origin {
        file_index: copy.position.file_index,
        path: path.into(),
        byte_offset: offset.parse().unwrap_or(copy.position.byte_offset),
    };
    rejects.append(&RejectRow {
        rejection: &rejection,
        side: if row.text("source") == "kong" { Side::Kong } else { Side::Azure },
        origin: &origin,
        record_index: copy.position.record_index,
        record_sha256: None,
        event_id: row.event_id().as_ref(),
        event_time: Some(copy.position.time),
    });
}

/// Reads columns of one spilled row.
struct CopiedRow<'b> {
    batch: &'b RecordBatch,
    row: usize,
}

impl CopiedRow<'_> {
    fn text(&self, column: &str) -> String {
        use arrow_array::cast::AsArray;
        let column = self.batch.column_by_name(column).and_then(|column| column.as_string_opt::<i32>());
        column.map(|column| column.value(self.row).to_owned()).unwrap_or_default()
    }

    fn event_id(&self) -> Option<EventId> {
        let mut id = [0; 32];
        hex::decode_to_slice(self.text("event_id"), &mut id).ok()?;
        Some(EventId(id))
    }
}

/// Turns the slices of one hour into files of the lake.
struct FileSink<'s> {
    landing: &'s Mutex<Landing>,
    runtime: &'s tokio::runtime::Handle,
    day: Day,
    hour: u8,
    events: TableSink,
    records: TableSink,
    rejects: TableSink,
}

/// The open file of one table, and what was written before it.
struct TableSink {
    table: Table,
    roller: FileRoller,
    files: u32,
    bytes: u64,
}

impl TableSink {
    fn new(table: Table) -> Self {
        Self { table, roller: FileRoller::new(table, RollConfig::default()), files: 0, bytes: 0 }
    }
}

impl<'s> FileSink<'s> {
    /// None in a dry run, and for a day whose rows were written by a run that was stopped later.
    fn open(target: &Target<'s>, hour: HourBucket) -> Result<Option<FileSink<'s>>> {
        let Some(landing) = target.landing else { return Ok(None) };
        let day = Day::of(hour)?;
        if !landing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).needs_rows(&day) {
            return Ok(None);
        }
        Ok(Some(FileSink {
            landing,
            runtime: target.runtime,
            day,
            hour: u8::try_from(hour.0.rem_euclid(24)).context("hour of day")?,
            events: TableSink::new(Table::Events),
            records: TableSink::new(Table::Records),
            rejects: TableSink::new(Table::Rejects),
        }))
    }

    fn write_slice(&mut self, spill: &Spill, events: &[RecordBatch], joined: &JoinedSlice) -> Result<()> {
        for batch in evidence_batches(events, &joined.rows, &joined.outcomes, BATCH_ROWS) {
            let file = self.events.roller.write(&batch?)?;
            self.put(Table::Events, file)?;
        }
        let records = spill.read_records(joined.slice)?;
        if records.is_empty() {
            return Ok(());
        }
        for batch in gather(&records, &joined.rows, BATCH_ROWS) {
            let file = self.records.roller.write(&batch?)?;
            self.put(Table::Records, file)?;
        }
        Ok(())
    }

    fn finish(mut self, rejects: &[RecordBatch], written: &mut Written) -> Result<()> {
        for batch in gather(rejects, &sorted_rejects(rejects), BATCH_ROWS) {
            let file = self.rejects.roller.write(&batch?)?;
            self.put(Table::Rejects, file)?;
        }
        for table in Table::ALL {
            let file = self.sink(table).roller.finish()?;
            self.put(table, file)?;
            let sink = self.sink(table);
            written.files += u64::from(sink.files);
            *written.bytes.entry(table.as_str()).or_default() += sink.bytes;
        }
        Ok(())
    }

    fn sink(&mut self, table: Table) -> &mut TableSink {
        match table {
            Table::Events => &mut self.events,
            Table::Records => &mut self.records,
            Table::Rejects => &mut self.rejects,
        }
    }

    fn put(&mut self, table: Table, file: Option<EncodedFile>) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        let (day, hour) = (self.day.clone(), self.hour);
        let sink = self.sink(table);
        let new = NewFile {
            table: sink.table,
            day,
            hour,
            part: sink.files,
            rows: file.rows,
            sha256: file.sha256,
            rolled_by: file.rolled_by.as_str().into(),
            bytes: file.bytes,
        };
        sink.files += 1;
        sink.bytes += new.bytes.len() as u64;
        let mut landing = self.landing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.runtime.block_on(landing.put_file(new))?;
        Ok(())
    }
}

/// The rejects in an order that does not depend on threads: by origin, then index.
fn sorted_rejects(rejects: &[RecordBatch]) -> Vec<FinalRow> {
    let mut keyed = Vec::new();
    for (batch, rejects) in (0..).zip(rejects) {
        for row in 0..rejects.num_rows() {
            let reader = CopiedRow { batch: rejects, row };
            let text = reader.text("origin");
            let (path, offset) = text.rsplit_once('@').unwrap_or((&text, ""));
            let key = (path.to_owned(), offset.parse::<u64>().unwrap_or(0), reader.text("code"), row);
            keyed.push((key, FinalRow { batch, row: u32::try_from(row).unwrap_or(u32::MAX) }));
        }
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, row)| row).collect()
}
