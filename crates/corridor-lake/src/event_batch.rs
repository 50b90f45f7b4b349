//! Event batch: events that wait for their join, in columns.
//!
//! - In: events with their origin, one by one, from any thread's own builder.
//! - Out: record batches in [`event_schema`], without verdict and findings (those travel in the join facts).
//! - Invariants: nothing is allocated per value; ids are printed through a stack buffer. Every stored time fits
//!   T-SQL `datetime2`.

use crate::columns::evidence_columns;
use crate::schema::event_schema;
use crate::text_column::TextColumn;
use arrow_array::builder::{BooleanBuilder, Int32Builder, Int64Builder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use corridor_model::{Event, Micros, Origin};
use std::collections::HashMap;
use std::sync::Arc;

/// Columns by name, as the builders give them.
pub(crate) type NamedArrays = HashMap<&'static str, ArrayRef>;
/// `@` and the digits of a byte offset.
pub(crate) const OFFSET_LENGTH_MAX: usize = 21;
/// Rough size of a row without its texts: offsets, null bits and numbers of all columns.
const ROW_OVERHEAD_BYTES: usize = 400;
/// 0001-01-01T00:00:00Z, the first moment of T-SQL `datetime2`.
const DATETIME2_MIN: i64 = -62_135_596_800_000_000;

macro_rules! declare_optional_columns {
    (text: [$($text:ident),*] bool: [$($bool:ident),*] int: [$($int:ident),*] long: [$($long:ident),*] time: [$($time:ident),*]) => {
        /// One builder per optional column of [`Event`].
        struct OptionalColumns {
            $($text: TextColumn,)*
            $($bool: BooleanBuilder,)*
            $($int: Int32Builder,)*
            $($long: Int64Builder,)*
            $($time: TimestampMicrosecondBuilder,)*
        }

        impl OptionalColumns {
            fn new(rows: usize) -> Self {
                Self {
                    $($text: TextColumn::new(evidence_columns(), stringify!($text), rows),)*
                    $($bool: BooleanBuilder::with_capacity(rows),)*
                    $($int: Int32Builder::with_capacity(rows),)*
                    $($long: Int64Builder::with_capacity(rows),)*
                    $($time: time_builder(rows),)*
                }
            }

            /// Adds the event's values and returns the bytes of its texts.
            fn append(&mut self, event: &Event<'_>) -> usize {
                let mut text_bytes = 0;
                $(
                    let text = event.$text.as_deref();
                    text_bytes += text.map_or(0, str::len);
                    self.$text.append_option(text);
                )*
                $(self.$bool.append_option(event.$bool);)*
                $(self.$int.append_option(event.$int);)*
                $(self.$long.append_option(event.$long);)*
                $(self.$time.append_option(event.$time.and_then(to_stored_time));)*
                text_bytes
            }

            fn finish(&mut self, arrays: &mut NamedArrays) {
                $(arrays.insert(stringify!($text), self.$text.finish());)*
                $(arrays.insert(stringify!($bool), Arc::new(self.$bool.finish()));)*
                $(arrays.insert(stringify!($int), Arc::new(self.$int.finish()));)*
                $(arrays.insert(stringify!($long), Arc::new(self.$long.finish()));)*
                $(arrays.insert(stringify!($time), Arc::new(self.$time.finish()));)*
            }
        }
    };
}
corridor_model::for_each_event_column!(declare_optional_columns);

/// Builds batches of events.
pub struct EventBatchBuilder {
    event_id: TextColumn,
    source: TextColumn,
    category: TextColumn,
    event_time: TimestampMicrosecondBuilder,
    received_time: TimestampMicrosecondBuilder,
    correlation_origin: TextColumn,
    optional: OptionalColumns,
    record_index: Int32Builder,
    origin: TextColumn,
    record_sha256: TextColumn,
    redactions: Int32Builder,
    directory_version: TextColumn,
    row_count: usize,
    byte_size: usize,
}

impl std::fmt::Debug for EventBatchBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBatchBuilder")
            .field("row_count", &self.row_count)
            .field("byte_size", &self.byte_size)
            .finish_non_exhaustive()
    }
}

impl EventBatchBuilder {
    /// With room for `capacity` rows; more rows make it grow.
    pub fn new(capacity: usize) -> Self {
        let text = |name| TextColumn::new(evidence_columns(), name, capacity);
        Self {
            event_id: text("event_id"),
            source: text("source"),
            category: text("category"),
            event_time: time_builder(capacity),
            received_time: time_builder(capacity),
            correlation_origin: text("correlation_origin"),
            optional: OptionalColumns::new(capacity),
            record_index: Int32Builder::with_capacity(capacity),
            origin: text("origin"),
            record_sha256: text("record_sha256"),
            redactions: Int32Builder::with_capacity(capacity),
            directory_version: text("directory_version"),
            row_count: 0,
            byte_size: 0,
        }
    }

    /// Adds one event.
    pub fn append(&mut self, event: &Event<'_>, origin: &Origin, directory_version: Option<&str>) {
        let mut hex = [0; 64];
        self.event_id.append(event.event_id.as_hex(&mut hex));
        self.source.append(event.source.as_str());
        self.category.append(&event.category);
        self.event_time.append_value(event.event_time.0);
        self.received_time.append_option(event.received_time.and_then(to_stored_time));
        self.correlation_origin.append(event.correlation_origin.as_str());
        let text_bytes = self.optional.append(event);
        self.record_index.append_value(to_int(event.record_index));
        let origin_bytes = origin.path.len() + OFFSET_LENGTH_MAX;
        self.origin.append_display(origin, origin_bytes);
        self.record_sha256.append(event.record_sha256.as_hex(&mut hex));
        self.redactions.append_value(to_int(event.redactions));
        self.directory_version.append_option(directory_version);
        self.row_count += 1;
        self.byte_size +=
            ROW_OVERHEAD_BYTES + 2 * hex.len() + event.category.len() + text_bytes + origin_bytes;
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// About how many bytes the rows take in memory.
    pub fn byte_size(&self) -> usize {
        self.byte_size
    }

    /// The rows so far as a batch; the builder starts anew.
    pub fn finish(&mut self) -> RecordBatch {
        let mut arrays = NamedArrays::from([
            ("event_id", self.event_id.finish()),
            ("source", self.source.finish()),
            ("category", self.category.finish()),
            ("event_time", Arc::new(self.event_time.finish()) as ArrayRef),
            ("received_time", Arc::new(self.received_time.finish())),
            ("correlation_origin", self.correlation_origin.finish()),
            ("record_index", Arc::new(self.record_index.finish())),
            ("origin", self.origin.finish()),
            ("record_sha256", self.record_sha256.finish()),
            ("redactions", Arc::new(self.redactions.finish())),
            ("directory_version", self.directory_version.finish()),
        ]);
        self.optional.finish(&mut arrays);
        self.row_count = 0;
        self.byte_size = 0;
        let schema = event_schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| arrays.remove(field.name().as_str()).expect("a test compares builders and schema"))
            .collect();
        RecordBatch::try_new(schema, columns).expect("the builders have the types of the schema")
    }
}

/// A builder of UTC times.
pub(crate) fn time_builder(capacity: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(capacity).with_timezone("UTC")
}

/// A time as a column value. A forged token can name any time, and one outside the range of T-SQL `datetime2`
/// would fail every query that reads its column: such a time is not stored.
pub(crate) fn to_stored_time(time: Micros) -> Option<i64> {
    (DATETIME2_MIN..=Micros::MAX_EVENT.0).contains(&time.0).then_some(time.0)
}

/// A count as a column value; counts above the type's range stop at its end.
pub(crate) fn to_int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
