//! Parquet file: how our files are written, so that Synapse serverless reads them as meant.
//!
//! - In: a table and its limits.
//! - Out: writer properties, and the empty file that keeps a new lake queryable.
//! - Invariants: format 1.0, V1 pages, PLAIN or dictionary encoding, SNAPPY, exact statistics, no Bloom filter, no page
//!   index. The same rows give the same bytes.

use crate::columns::schema_version;
use crate::encode_error::EncodeError;
use crate::roll::RollConfig;
use crate::schema::table_schema;
use bytes::Bytes;
use corridor_chain::Table;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

/// Columns whose values hardly repeat: a dictionary would only be built to be thrown away.
const UNIQUE_COLUMNS: [&str; 17] = [
    "event_id",
    "event_time",
    "received_time",
    "correlation_id",
    "request_id",
    "trace_id",
    "azure_correlation_id",
    "activity_run_id",
    "activity_start",
    "activity_end",
    "peer_event_id",
    "peer_time",
    "log_offset",
    "origin",
    "record_sha256",
    "record",
    "preview",
];
/// Texts that nobody can prune by. The bounds of random ids cover every other id, and those of long free texts
/// would stand in every footer; both would be compared value by value while writing.
const COLUMNS_WITHOUT_STATISTICS: [&str; 14] = [
    "event_id",
    "correlation_id",
    "request_id",
    "trace_id",
    "azure_correlation_id",
    "activity_run_id",
    "peer_event_id",
    "origin",
    "record_sha256",
    "error_message",
    "extra",
    "record",
    "detail",
    "preview",
];
/// A row group is closed at this many encoded bytes; it bounds the writer's memory.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Columns by which the rows of a table are sorted, as the writers of the table promise.
fn sort_columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Events | Table::Records => &["event_time", "event_id"],
        Table::Rejects => &[],
    }
}

/// How files of the table are written.
pub fn writer_properties(table: Table, config: &RollConfig) -> WriterProperties {
    let schema = table_schema(table);
    let sorting = sort_columns(table)
        .iter()
        .filter_map(|name| schema.index_of(name).ok().and_then(|index| i32::try_from(index).ok()))
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect::<Vec<_>>();
    let metadata = vec![
        KeyValue::new("corridor.table".to_owned(), table.as_str().to_owned()),
        KeyValue::new("corridor.schema_version".to_owned(), schema_version().to_string()),
    ];
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(config.row_group_rows_max.max(1)))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_created_by(concat!("Corridor version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_key_value_metadata(Some(metadata));
    for name in UNIQUE_COLUMNS {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in COLUMNS_WITHOUT_STATISTICS {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    builder.build()
}

/// A writer of one file of the table. The Arrow schema is left out of the file: the Parquet types say everything.
pub(crate) fn open_writer(table: Table, config: &RollConfig) -> Result<ArrowWriter<Vec<u8>>, EncodeError> {
    let options = ArrowWriterOptions::new()
        .with_properties(writer_properties(table, config))
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), table_schema(table), options).map_err(EncodeError::Encode)
}

/// The file without rows that keeps a root of a new lake queryable.
pub fn seed_file(table: Table) -> Result<Bytes, EncodeError> {
    let writer = open_writer(table, &RollConfig::default())?;
    writer.into_inner().map(Bytes::from).map_err(EncodeError::Encode)
}

#[cfg(test)]
mod tests;
