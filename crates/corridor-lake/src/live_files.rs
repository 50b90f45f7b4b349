//! Live files: the final rows of one hour of a shard become the files of a claim.
//!
//! - In: rows in any order, each with its outcome and its offset; rejects.
//! - Out: encoded files by table.
//! - Keeps: the rows of one hour as bytes, and the open file of one table.
//! - Invariants: rows are sorted by event time, then event id, as in a backfill. A row that is damaged fails the whole
//!   claim: it is never left out.

use crate::encode_error::EncodeError;
use crate::event_row::EventRow;
use crate::event_rows::EventRows;
use crate::finalise::{LiveRows, live_evidence_batches};
use crate::roll::{EncodedFile, FileRoller, RollConfig, RollReason};
use crate::rows::{FinalRow, RowBatch, StoredRows};
use crate::side_batch::{RejectRow, RejectsBuilder, record_batches};
use corridor_chain::Table;
use corridor_model::JoinOutcome;
use std::sync::Arc;

/// Rows of an encoded batch.
const BATCH_ROWS: usize = 8_192;

/// Rows of an encoded batch of records, which are long.
const RECORD_BATCH_ROWS: usize = 256;

/// A final row, as the log held it.
#[derive(Debug, Clone)]
pub struct LiveRow<'r> {
    /// Offset of its record.
    pub offset: u64,
    /// What the join says.
    pub outcome: JoinOutcome,
    /// The event, as [`crate::event_row::write_alone`] wrote it.
    pub row: &'r [u8],
    /// Its redacted record, if records are kept.
    pub record: Option<&'r [u8]>,
    /// Where the record came from.
    pub origin: &'r str,
    /// The directory with which it was refined.
    pub directory_version: Option<&'r str>,
}

/// How the files of a claim are made.
#[derive(Debug, Clone, Copy)]
pub struct LiveFileConfig {
    /// The shard.
    pub shard: u32,
    /// Whether the rows' day was sealed before they came.
    pub is_late: bool,
    /// When a file is closed before the rows end.
    pub roll: RollConfig,
    /// Why the claim is made now; the last file of each table says so.
    pub reason: RollReason,
}

/// Files of the tables `events` and `records`, in the order of their rows.
pub fn live_files(
    mut rows: Vec<LiveRow<'_>>,
    config: &LiveFileConfig,
) -> Result<Vec<(Table, EncodedFile)>, EncodeError> {
    sort(&mut rows)?;
    let collected = Collected::of(&rows)?;
    let outcomes: Vec<JoinOutcome> = rows.iter().map(|row| row.outcome.clone()).collect();
    let offsets: Vec<u64> = rows.iter().map(|row| row.offset).collect();
    let live = LiveRows { shard: config.shard, offsets: &offsets, is_late: config.is_late };
    let mut files = Files { files: Vec::new(), config };
    let batches = live_evidence_batches(&collected.events, &collected.places, &outcomes, live, BATCH_ROWS);
    files.write(Table::Events, batches)?;
    // Records may be switched on or off while rows wait: those that have one are written.
    let kept: Vec<FinalRow> = rows
        .iter()
        .zip(&collected.places)
        .filter(|(row, _)| row.record.is_some())
        .map(|(_, place)| *place)
        .collect();
    let batches = record_batches(&collected.events, &collected.records, &kept, RECORD_BATCH_ROWS);
    files.write(Table::Records, batches)?;
    Ok(files.files)
}

/// Files of the table `rejects`.
pub fn live_reject_files<'r>(
    rejects: impl IntoIterator<Item = RejectRow<'r>>,
    config: &LiveFileConfig,
) -> Result<Vec<(Table, EncodedFile)>, EncodeError> {
    let mut builder = RejectsBuilder::new();
    rejects.into_iter().for_each(|row| builder.append(&row));
    let mut files = Files { files: Vec::new(), config };
    files.write(Table::Rejects, [Ok(builder.finish())])?;
    Ok(files.files)
}

/// By event time, then event id.
fn sort(rows: &mut [LiveRow<'_>]) -> Result<(), EncodeError> {
    if let Some(index) = rows.iter().position(|row| EventRow::read(row.row).is_none()) {
        return Err(damaged(index));
    }
    rows.sort_by_cached_key(|row| {
        EventRow::read(row.row).map(|event| (event.event_time(), event.event_id(), row.offset))
    });
    Ok(())
}

fn damaged(index: usize) -> EncodeError {
    EncodeError::DamagedRow { batch: 0, row: u32::try_from(index).unwrap_or(u32::MAX) }
}

/// The rows as the encoders take them.
struct Collected {
    events: StoredRows,
    records: StoredRows,
    places: Vec<FinalRow>,
}

impl Collected {
    fn of(rows: &[LiveRow<'_>]) -> Result<Self, EncodeError> {
        let mut events = vec![EventRows::default()];
        let mut records = vec![RowBatch::default()];
        let mut places = Vec::with_capacity(rows.len());
        let mut names = Names::default();
        for (index, row) in rows.iter().enumerate() {
            if events.last().is_some_and(EventRows::is_full) {
                events.push(EventRows::default());
                records.push(RowBatch::default());
            }
            let batch = events.len() - 1;
            let (open, open_records) = (&mut events[batch], &mut records[batch]);
            let place = FinalRow { batch: batch as u32, row: open.len() as u32 };
            let origin = names.shared(row.origin);
            let version = row.directory_version.map(|version| names.shared(version));
            open.append_alone(row.row, &origin, version.as_ref()).ok_or_else(|| damaged(index))?;
            open_records.push_with(|bytes| bytes.extend_from_slice(row.record.unwrap_or_default()));
            places.push(place);
        }
        let batches: Vec<&RowBatch> = events.iter_mut().map(|events| events.finish()).collect();
        Ok(Self { events: StoredRows::of(batches), records: StoredRows::of(&records), places })
    }
}

/// Names that were used last: neighbours share theirs.
#[derive(Default)]
struct Names {
    last: [Option<Arc<str>>; 2],
}

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.last.iter().flatten().find(|known| &***known == name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.last.swap(0, 1);
        self.last[1] = Some(Arc::clone(&new));
        new
    }
}

/// The files so far.
struct Files<'c> {
    files: Vec<(Table, EncodedFile)>,
    config: &'c LiveFileConfig,
}

impl Files<'_> {
    fn write(
        &mut self,
        table: Table,
        batches: impl IntoIterator<Item = Result<arrow_array::RecordBatch, EncodeError>>,
    ) -> Result<(), EncodeError> {
        let mut roller = FileRoller::new(table, self.config.roll);
        for batch in batches {
            let file = roller.write(&batch?)?;
            self.files.extend(file.map(|file| (table, file)));
        }
        let last = roller.finish_because(self.config.reason)?;
        self.files.extend(last.map(|file| (table, file)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_row::write_alone;
    use crate::reader::read_bytes;
    use crate::sample_events::{event, unmatched};
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int32Type, Int64Type};

    fn config() -> LiveFileConfig {
        LiveFileConfig { shard: 3, is_late: false, roll: RollConfig::default(), reason: RollReason::Age }
    }

    fn bytes_of(index: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_alone(&event(index), u64::from(index), &mut bytes);
        bytes
    }

    fn row<'r>(index: u32, bytes: &'r [u8], origin: &'r str) -> LiveRow<'r> {
        LiveRow {
            offset: 1_000 + u64::from(index),
            outcome: unmatched(),
            row: bytes,
            record: Some(b"{}"),
            origin,
            directory_version: Some("v1"),
        }
    }

    #[test]
    fn rows_in_any_order_leave_sorted_with_their_offsets_and_origins() {
        let bytes: Vec<_> = (0..70_000).map(|index| (index, bytes_of(index % 7))).collect();
        let origins: Vec<_> = (0..70_000).map(|index| format!("http:kong/{index}")).collect();
        let rows =
            bytes.iter().rev().zip(&origins).map(|((index, bytes), origin)| row(*index, bytes, origin));
        let files = live_files(rows.collect(), &config()).unwrap();
        assert_eq!(
            files.iter().map(|(table, _)| *table).collect::<Vec<_>>(),
            [Table::Events, Table::Records]
        );
        assert_eq!(files[0].1.rows, 70_000);
        assert_eq!(files[0].1.rolled_by, RollReason::Age);
        let batches = read_bytes(files[0].1.bytes.clone()).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut times = Vec::new();
        for batch in &batches {
            let offsets = batch.column_by_name("log_offset").unwrap().as_primitive::<Int64Type>();
            let origins = batch.column_by_name("origin").unwrap().as_string::<i32>();
            let shards = batch.column_by_name("shard").unwrap().as_primitive::<Int32Type>();
            let event_times = batch
                .column_by_name("event_time")
                .unwrap()
                .as_primitive::<arrow_array::types::TimestampMicrosecondType>();
            for index in 0..batch.num_rows() {
                let number = offsets.value(index) - 1_000;
                let origin = format!("http:kong/{}@{}", 69_999 - number, number % 7);
                assert_eq!(origins.value(index), origin);
                assert_eq!(shards.value(index), 3);
                seen.insert(number);
                times.push(event_times.value(index));
            }
            assert_eq!(batch.column_by_name("directory_version").unwrap().null_count(), 0);
        }
        assert_eq!(seen.len(), 70_000);
        assert!(times.is_sorted());
    }

    #[test]
    fn a_damaged_row_fails_the_claim() {
        let (good, mut bad) = (bytes_of(1), bytes_of(2));
        bad.truncate(100);
        let rows = vec![row(1, &good, "a"), row(2, &bad, "a")];
        assert!(live_files(rows, &config()).is_err());
    }

    #[test]
    fn late_rows_say_so_and_rows_without_a_record_make_no_records_file() {
        let bytes = bytes_of(1);
        let mut rows = vec![row(1, &bytes, "a")];
        rows[0].record = None;
        let files = live_files(rows, &LiveFileConfig { is_late: true, ..config() }).unwrap();
        assert_eq!(files.len(), 1);
        let batch = &read_bytes(files[0].1.bytes.clone()).unwrap()[0];
        assert!(batch.column_by_name("is_late").unwrap().as_boolean().value(0));
    }

    #[test]
    fn a_claim_without_rows_makes_no_file() {
        assert!(live_files(Vec::new(), &config()).unwrap().is_empty());
        assert!(live_reject_files([], &config()).unwrap().is_empty());
    }
}
