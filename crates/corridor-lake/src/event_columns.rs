//! Event columns: rows of events become the columns of the evidence that an event fills itself.
//!
//! - In: event rows in their final order, and the names of their batches.
//! - Out: one array per column, by name.
//! - Keeps: the builders.
//! - Invariants: a column costs nothing in rows that leave it out: missing values are filled up when the next value
//!   or the end comes. A column without any value is not built.

use crate::columns::evidence_columns;
use crate::encode_error::EncodeError;
use crate::event_row::{BOOLS, EventRow, INTS, LONGS, NO_NAME, TEXTS, TIMES};
use crate::event_rows::name_of;
use crate::rows::{FinalRow, StoredRows};
use crate::text_column::TextColumn;
use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Int32Builder, Int64Builder, TimestampMicrosecondBuilder,
};
use arrow_schema::ArrowError;
use std::collections::HashMap;
use std::sync::Arc;

/// Columns by name, as the builders give them.
pub(crate) type NamedArrays = HashMap<&'static str, ArrayRef>;

/// `@` and the digits of a byte offset.
pub(crate) const OFFSET_LENGTH_MAX: usize = 21;

/// One builder per column of an event.
pub(crate) struct EventColumns {
    row_count: usize,
    event_id: TextColumn,
    source: TextColumn,
    event_time: TimestampMicrosecondBuilder,
    received_time: TimestampMicrosecondBuilder,
    correlation_origin: TextColumn,
    texts: Vec<TextColumn>,
    bools: Vec<BooleanBuilder>,
    ints: Vec<Int32Builder>,
    longs: Vec<Int64Builder>,
    times: Vec<TimestampMicrosecondBuilder>,
    record_index: Int32Builder,
    origin: TextColumn,
    record_sha256: TextColumn,
    redactions: Int32Builder,
    directory_version: TextColumn,
}

/// Fills up what a builder lacks before a row.
macro_rules! fill_up {
    ($builder:expr, $row_count:expr) => {
        let missing = $row_count - $builder.len();
        $builder.append_nulls(missing);
    };
}

impl EventColumns {
    /// Without rows.
    pub(crate) fn new() -> Self {
        let text = |name: &str| TextColumn::new(evidence_columns(), name);
        Self {
            row_count: 0,
            event_id: text("event_id"),
            source: text("source"),
            event_time: time_builder(),
            received_time: time_builder(),
            correlation_origin: text("correlation_origin"),
            texts: TEXTS.iter().map(|name| text(name)).collect(),
            bools: BOOLS.iter().map(|_| BooleanBuilder::new()).collect(),
            ints: INTS.iter().map(|_| Int32Builder::new()).collect(),
            longs: LONGS.iter().map(|_| Int64Builder::new()).collect(),
            times: TIMES.iter().map(|_| time_builder()).collect(),
            record_index: Int32Builder::new(),
            origin: text("origin"),
            record_sha256: text("record_sha256"),
            redactions: Int32Builder::new(),
            directory_version: text("directory_version"),
        }
    }

    /// Adds the event at a place.
    pub(crate) fn append(&mut self, events: &StoredRows, at: FinalRow) -> Result<(), EncodeError> {
        self.append_row(events, at).ok_or(EncodeError::DamagedRow { batch: at.batch, row: at.row })
    }

    fn append_row(&mut self, events: &StoredRows, at: FinalRow) -> Option<()> {
        let event = EventRow::read(events.get(at)?)?;
        let mut hex = [0; 64];
        self.event_id.append(event.event_id().as_hex(&mut hex));
        self.source.append(event.source()?.as_str());
        self.event_time.append_value(event.event_time().0);
        if let Some(time) = event.received_time() {
            fill_up!(self.received_time, self.row_count);
            self.received_time.append_value(time);
        }
        self.correlation_origin.append(event.correlation_origin()?.as_str());
        self.append_numbers(&event);
        for (column, text) in event.texts() {
            self.texts[column].append_at(self.row_count, text);
        }
        self.record_index.append_value(to_int(event.record_index()));
        self.append_provenance(events, at.batch, &event)?;
        self.record_sha256.append(event.record_sha256().as_hex(&mut hex));
        self.redactions.append_value(to_int(event.redactions()));
        self.row_count += 1;
        Some(())
    }

    fn append_numbers(&mut self, event: &EventRow<'_>) {
        const INTS_AT: usize = BOOLS.len();
        const LONGS_AT: usize = INTS_AT + INTS.len();
        const TIMES_AT: usize = LONGS_AT + LONGS.len();
        for (column, number) in event.numbers() {
            if column >= TIMES_AT {
                fill_up!(self.times[column - TIMES_AT], self.row_count);
                self.times[column - TIMES_AT].append_value(number);
            } else if column >= LONGS_AT {
                fill_up!(self.longs[column - LONGS_AT], self.row_count);
                self.longs[column - LONGS_AT].append_value(number);
            } else if column >= INTS_AT {
                fill_up!(self.ints[column - INTS_AT], self.row_count);
                // It was 32 bits when it was written.
                self.ints[column - INTS_AT].append_value(number as i32);
            } else {
                fill_up!(self.bools[column], self.row_count);
                self.bools[column].append_value(number != 0);
            }
        }
    }

    fn append_provenance(&mut self, events: &StoredRows, batch: u32, event: &EventRow<'_>) -> Option<()> {
        let provenance = event.provenance();
        let path = name_of(events, batch, provenance.path)?;
        let origin = OriginText { path, byte_offset: provenance.byte_offset };
        self.origin.append_display(&origin, path.len() + OFFSET_LENGTH_MAX);
        if provenance.directory_version != NO_NAME {
            let version = name_of(events, batch, provenance.directory_version)?;
            self.directory_version.append_at(self.row_count, version.as_bytes());
        }
        Some(())
    }

    /// The columns so far; a column without any value is left out. The builders start anew.
    pub(crate) fn finish(&mut self) -> Result<NamedArrays, EncodeError> {
        let mut arrays = NamedArrays::new();
        self.finish_texts(&mut arrays).map_err(EncodeError::Gather)?;
        self.finish_numbers(&mut arrays);
        self.row_count = 0;
        Ok(arrays)
    }

    fn finish_texts(&mut self, arrays: &mut NamedArrays) -> Result<(), ArrowError> {
        let required = [
            ("event_id", &mut self.event_id),
            ("source", &mut self.source),
            ("correlation_origin", &mut self.correlation_origin),
            ("origin", &mut self.origin),
            ("record_sha256", &mut self.record_sha256),
            ("directory_version", &mut self.directory_version),
        ];
        for (name, column) in required.into_iter().chain(TEXTS.iter().copied().zip(&mut self.texts)) {
            if let Some(array) = column.finish_at(self.row_count)? {
                arrays.insert(name, array);
            }
        }
        Ok(())
    }

    fn finish_numbers(&mut self, arrays: &mut NamedArrays) {
        let rows = self.row_count;
        macro_rules! put {
            ($name:expr, $builder:expr) => {
                if !$builder.is_empty() {
                    fill_up!($builder, rows);
                    arrays.insert($name, Arc::new($builder.finish()));
                }
            };
        }
        put!("event_time", self.event_time);
        put!("received_time", self.received_time);
        put!("record_index", self.record_index);
        put!("redactions", self.redactions);
        BOOLS.iter().zip(&mut self.bools).for_each(|(name, column)| put!(name, column));
        INTS.iter().zip(&mut self.ints).for_each(|(name, column)| put!(name, column));
        LONGS.iter().zip(&mut self.longs).for_each(|(name, column)| put!(name, column));
        TIMES.iter().zip(&mut self.times).for_each(|(name, column)| put!(name, column));
    }
}

/// Prints as [`corridor_model::Origin`] does.
struct OriginText<'r> {
    path: &'r str,
    byte_offset: u64,
}

impl std::fmt::Display for OriginText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.path, self.byte_offset)
    }
}

/// A builder of UTC times.
pub(crate) fn time_builder() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// A count as a column value; counts above the type's range stop at its end.
pub(crate) fn to_int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
