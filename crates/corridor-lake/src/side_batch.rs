//! Side batches: the redacted originals and the rejected records, in columns.
//!
//! - In: redacted records beside their events, and rejections.
//! - Out: record batches in [`records_schema`] and [`rejects_schema`].
//! - Invariants: everything that comes in is already redacted.

use crate::columns::{records_columns, rejects_columns};
use crate::encode_error::EncodeError;
use crate::event_columns::{OFFSET_LENGTH_MAX, time_builder, to_int};
use crate::event_row::to_stored_time;
use crate::event_rows::event_at;
use crate::rows::{FinalRow, StoredRows};
use crate::schema::{records_schema, rejects_schema};
use crate::text_column::TextColumn;
use arrow_array::RecordBatch;
use arrow_array::builder::{Int32Builder, TimestampMicrosecondBuilder};
use corridor_model::{EventId, Micros, Origin, RecordDigest, Rejection, Side};
use std::sync::Arc;

/// Batches of the `records` table, at most `batch_rows` rows each. `records` has the redacted record of each event
/// at the event's place; what is not UTF-8 is decoded lossily.
pub fn record_batches<'a>(
    events: &'a StoredRows,
    records: &'a StoredRows,
    rows: &'a [FinalRow],
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, EncodeError>> + 'a {
    let text = |name| TextColumn::new(records_columns(), name);
    let (mut event_id, mut record) = (text("event_id"), text("record"));
    let mut event_time = time_builder();
    rows.chunks(batch_rows.max(1)).map(move |rows| {
        for row in rows {
            let damaged = EncodeError::DamagedRow { batch: row.batch, row: row.row };
            let event = event_at(events, *row).zip(records.get(*row));
            let (event, bytes) = event.ok_or(damaged)?;
            event_id.append(event.event_id().as_hex(&mut [0; 64]));
            event_time.append_value(event.event_time().0);
            match std::str::from_utf8(bytes) {
                Ok(text) => record.append(text),
                Err(_) => record.append(&String::from_utf8_lossy(bytes)),
            }
        }
        let texts = [&mut event_id, &mut record].map(TextColumn::finish);
        let [event_id, record] = texts.map(|text| text.map_err(EncodeError::Gather));
        let columns = vec![event_id?, Arc::new(event_time.finish()), record?];
        RecordBatch::try_new(records_schema(), columns).map_err(EncodeError::Gather)
    })
}

/// A rejected record and where it was.
#[derive(Debug, Clone, Copy)]
pub struct RejectRow<'a> {
    /// What was wrong.
    pub rejection: &'a Rejection,
    /// The side it was read from.
    pub side: Side,
    /// Where its bytes were.
    pub origin: &'a Origin,
    /// Position in its batch or envelope.
    pub record_index: u32,
    /// Digest of its bytes, if they could be cut out.
    pub record_sha256: Option<&'a RecordDigest>,
    /// For a conflict of ids: the id.
    pub event_id: Option<&'a EventId>,
    /// When it happened, if the record tells.
    pub event_time: Option<Micros>,
}

/// Builds batches of the `rejects` table.
#[derive(Debug)]
pub struct RejectsBuilder {
    code: TextColumn,
    detail: TextColumn,
    preview: TextColumn,
    side: TextColumn,
    origin: TextColumn,
    record_index: Int32Builder,
    record_sha256: TextColumn,
    event_id: TextColumn,
    event_time: TimestampMicrosecondBuilder,
    row_count: usize,
}

impl Default for RejectsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RejectsBuilder {
    /// Without rows.
    pub fn new() -> Self {
        let text = |name| TextColumn::new(rejects_columns(), name);
        Self {
            code: text("code"),
            detail: text("detail"),
            preview: text("preview"),
            side: text("side"),
            origin: text("origin"),
            record_index: Int32Builder::new(),
            record_sha256: text("record_sha256"),
            event_id: text("event_id"),
            event_time: time_builder(),
            row_count: 0,
        }
    }

    /// Adds one rejected record.
    pub fn append(&mut self, row: &RejectRow<'_>) {
        let mut hex = [0; 64];
        self.code.append(row.rejection.code.as_str());
        self.detail.append(&row.rejection.detail);
        self.preview.append(&row.rejection.preview);
        self.side.append(row.side.as_str());
        self.origin.append_display(row.origin, row.origin.path.len() + OFFSET_LENGTH_MAX);
        self.record_index.append_value(to_int(row.record_index));
        self.record_sha256.append_option(row.record_sha256.map(|digest| digest.as_hex(&mut hex)));
        self.event_id.append_option(row.event_id.map(|id| id.as_hex(&mut hex)));
        self.event_time.append_option(row.event_time.and_then(to_stored_time));
        self.row_count += 1;
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// The rows so far as a batch; the builder starts anew.
    pub fn finish(&mut self) -> RecordBatch {
        self.row_count = 0;
        let text = |column: &mut TextColumn| column.finish().expect("the builder takes only text");
        let columns = vec![
            text(&mut self.code),
            text(&mut self.detail),
            text(&mut self.preview),
            text(&mut self.side),
            text(&mut self.origin),
            Arc::new(self.record_index.finish()),
            text(&mut self.record_sha256),
            text(&mut self.event_id),
            Arc::new(self.event_time.finish()),
        ];
        RecordBatch::try_new(rejects_schema(), columns).expect("the builders have the types of the schema")
    }
}
