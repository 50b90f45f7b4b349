//! Write: joined hours become Parquet files of their days.
//!
//! - In: [`JoinedHour`]s and the rows in the spill.
//! - Out: files in the lake (none in a dry run), and the counts of each day.
//! - Keeps: the rows of the hours in work, one for each thread.
//! - Invariants: rows are sorted by event time, then event id. A copy with other content is a reject ID_CONFLICT.

use super::joined::{Copied, JoinedHour};
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
use corridor_model::{EventId, HourBucket, Ledger, Origin, RejectCode, Rejection, Side};
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
    pub runtime: tokio::runtime::Handle,
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

/// An hour to write, with the hours whose rejects go along.
pub struct HourWork {
    /// The joined rows.
    pub joined: JoinedHour,
    /// Hours of the spill whose rejects belong here.
    pub reject_hours: Vec<HourBucket>,
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
        let hour = work.joined.hour;
        if let Err(error) = write_hour(spill, target, &work, &mut written) {
            // Taking the rest keeps the join from waiting for ever; the run fails all the same.
            while queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().is_ok() {}
            return Err(error.context(format!("write hour {} of {}", hour.hour_of_day(), hour.date())));
        }
        spill.remove(hour);
        progress.advance(u64::from(!work.joined.rows.is_empty()));
    }
}

fn write_hour(spill: &Spill, target: &Target<'_>, work: &HourWork, written: &mut Written) -> Result<()> {
    let HourWork { joined, reject_hours } = work;
    let day = Day::of(joined.hour)?;
    let events = spill.read_events(joined.hour)?;
    let mut conflicts = RejectsBuilder::new(16);
    for copy in &joined.copies {
        if !is_true_copy(&events, copy) {
            reject_conflict(&events, copy, &mut conflicts);
        }
    }
    let conflict_count = conflicts.len() as u64;
    let mut rejects = vec![conflicts.finish()];
    for hour in reject_hours {
        rejects.extend(spill.read_rejects(*hour)?);
    }
    let ledger = {
        let rows = joined.rows.len() as u64;
        let rejects = rejects.iter().map(|batch| batch.num_rows() as u64).sum();
        let duplicates = joined.copies.len() as u64 - conflict_count;
        Ledger { records_in: rows + duplicates + rejects, rows, duplicates, rejects, pending: 0 }
    };
    *written.ledgers.entry(day.clone()).or_default() += ledger;
    written.statistics.conflicts += conflict_count;
    joined.outcomes.iter().for_each(|outcome| written.statistics.count(outcome));
    let Some(landing) = target.landing else { return Ok(()) };
    let needs_rows = landing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).needs_rows(&day);
    if !needs_rows {
        return Ok(());
    }
    let mut sink = FileSink { landing, target, day, hour: joined.hour, written };
    sink.write_rows(spill, &events, joined)?;
    drop(events);
    sink.write_rejects(&rejects)
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

/// Turns batches of one hour into files of the lake.
struct FileSink<'s> {
    landing: &'s Mutex<Landing>,
    target: &'s Target<'s>,
    day: Day,
    hour: HourBucket,
    written: &'s mut Written,
}

impl FileSink<'_> {
    fn write_rows(&mut self, spill: &Spill, events: &[RecordBatch], joined: &JoinedHour) -> Result<()> {
        let batches = evidence_batches(events, &joined.rows, &joined.outcomes, BATCH_ROWS);
        self.write_table(Table::Events, batches)?;
        let records = spill.read_records(joined.hour)?;
        if !records.is_empty() {
            self.write_table(Table::Records, gather(&records, &joined.rows, BATCH_ROWS))?;
        }
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[RecordBatch]) -> Result<()> {
        let rows = sorted_rejects(rejects);
        self.write_table(Table::Rejects, gather(rejects, &rows, BATCH_ROWS))
    }

    fn write_table(
        &mut self,
        table: Table,
        batches: impl Iterator<Item = Result<RecordBatch, corridor_lake::EncodeError>>,
    ) -> Result<()> {
        let mut roller = FileRoller::new(table, RollConfig::default());
        let mut part = 0;
        for batch in batches {
            if let Some(file) = roller.write(&batch?)? {
                self.put(table, &mut part, file)?;
            }
        }
        roller.finish()?.map_or(Ok(()), |file| self.put(table, &mut part, file))
    }

    fn put(&mut self, table: Table, part: &mut u32, file: EncodedFile) -> Result<()> {
        *self.written.bytes.entry(table.as_str()).or_default() += file.bytes.len() as u64;
        self.written.files += 1;
        let new = NewFile {
            table,
            day: self.day.clone(),
            hour: u8::try_from(self.hour.0.rem_euclid(24)).context("hour of day")?,
            part: *part,
            rows: file.rows,
            sha256: file.sha256,
            rolled_by: file.rolled_by.as_str().into(),
            bytes: file.bytes,
        };
        *part += 1;
        let mut landing = self.landing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.target.runtime.block_on(landing.put_file(new))?;
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
