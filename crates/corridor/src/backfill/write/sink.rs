//! Sink: the slices of one hour become files of its day.
//!
//! - In: slices with their rows; at the end the hour's rejects.
//! - Out: files for the landing, table by table.
//! - Keeps: the open file of each table.
//! - Invariants: files are numbered in the order of their rows. Rejects are sorted, so that threads do not show.

use super::{Target, Written};
use crate::backfill::joined::JoinedSlice;
use anyhow::{Context as _, Result, anyhow};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use corridor_chain::{Day, Table};
use corridor_lake::landing::NewFile;
use corridor_lake::{
    EncodedFile, FileRoller, FinalRow, RollConfig, StoredRows, evidence_batches, gather, record_batches,
};
use corridor_model::HourBucket;
use std::sync::mpsc::SyncSender;

/// Rows of an encoded batch.
const BATCH_ROWS: usize = 8_192;

/// Rows of an encoded batch of records, which are long.
const RECORD_BATCH_ROWS: usize = 256;

/// The spilled rows of one slice.
#[derive(Debug, Default)]
pub struct SliceRows {
    /// Events.
    pub events: StoredRows,
    /// Their redacted records; none when they are not kept.
    pub records: StoredRows,
}

/// Turns the slices of one hour into files of the lake.
pub struct FileSink<'s> {
    files: &'s SyncSender<NewFile>,
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
    /// None for a day whose rows are not wanted.
    pub fn open(target: &'s Target, hour: HourBucket) -> Result<Option<FileSink<'s>>> {
        let day = Day::of(hour)?;
        if !target.days.contains(&day) {
            return Ok(None);
        }
        Ok(Some(FileSink {
            files: &target.files,
            day,
            hour: u8::try_from(hour.0.rem_euclid(24)).context("hour of day")?,
            events: TableSink::new(Table::Events),
            records: TableSink::new(Table::Records),
            rejects: TableSink::new(Table::Rejects),
        }))
    }

    /// Writes the rows of a slice, and their records if they are kept.
    pub fn write_slice(&mut self, rows: &SliceRows, joined: &JoinedSlice) -> Result<()> {
        for batch in evidence_batches(&rows.events, &joined.rows, &joined.outcomes, BATCH_ROWS) {
            let file = self.events.roller.write(&batch?)?;
            self.put(Table::Events, file)?;
        }
        if rows.records.batch_count() == 0 {
            return Ok(());
        }
        for batch in record_batches(&rows.events, &rows.records, &joined.rows, RECORD_BATCH_ROWS) {
            let file = self.records.roller.write(&batch?)?;
            self.put(Table::Records, file)?;
        }
        Ok(())
    }

    /// Writes the rejects and closes the files.
    pub fn finish(mut self, rejects: &[RecordBatch], written: &mut Written) -> Result<()> {
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
        self.files.send(new).map_err(|_| anyhow!("files are not stored any more"))
    }
}

/// The rejects in an order that does not depend on threads: by origin, then index.
fn sorted_rejects(rejects: &[RecordBatch]) -> Vec<FinalRow> {
    let mut keyed = Vec::new();
    for (batch, rejects) in (0..).zip(rejects) {
        for row in 0..rejects.num_rows() {
            let text = |name| text_of(rejects, name, row);
            let origin = text("origin");
            let (path, offset) = origin.rsplit_once('@').unwrap_or((origin, ""));
            let key = (path, offset.parse::<u64>().unwrap_or(0), text("code"), row);
            keyed.push((key, FinalRow { batch, row: u32::try_from(row).unwrap_or(u32::MAX) }));
        }
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, row)| row).collect()
}

fn text_of<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> &'b str {
    let column = batch.column_by_name(column).and_then(|column| column.as_string_opt::<i32>());
    column.map_or("", |column| column.value(row))
}
