use super::*;
use crate::finalise::evidence_batches;
use crate::reader::read_bytes;
use crate::roll::FileRoller;
use crate::rows::{RowBatch, StoredRows};
use crate::sample_events::{batch, matched_denial, origin, stored, unmatched};
use crate::side_batch::{RejectRow, RejectsBuilder, record_batches};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use corridor_model::{EventId, Micros, RejectCode, Rejection, Side};
use parquet::basic::{Encoding, LogicalType, TimeUnit, Type};
use parquet::column::page::Page;
use parquet::file::reader::{FileReader, SerializedFileReader};

fn evidence() -> RecordBatch {
    let (events, rows) = stored([batch(0..40)]);
    let outcomes: Vec<_> =
        (0..40).map(|row| if row % 2 == 0 { matched_denial() } else { unmatched() }).collect();
    evidence_batches(&events, &rows, &outcomes, 100).next().unwrap().unwrap()
}

fn encode(table: Table, batch: &RecordBatch) -> Bytes {
    let mut roller = FileRoller::new(table, RollConfig::default());
    assert!(roller.write(batch).unwrap().is_none());
    roller.finish().unwrap().unwrap().bytes
}

#[test]
fn physical_and_logical_types_are_those_of_the_serverless_table() {
    for table in [Table::Events, Table::Records, Table::Rejects] {
        let reader = SerializedFileReader::new(seed_file(table).unwrap()).unwrap();
        let schema = reader.metadata().file_metadata().schema_descr();
        assert_eq!(schema.num_columns(), table_schema(table).fields().len());
        for column in schema.columns() {
            assert_eq!(column.max_rep_level(), 0, "no nested column");
            let logical = column.logical_type_ref().cloned();
            let is_known = match column.physical_type() {
                Type::BOOLEAN | Type::INT32 => logical.is_none(),
                Type::BYTE_ARRAY => logical == Some(LogicalType::String),
                Type::INT64 => {
                    logical.is_none() || logical == Some(LogicalType::timestamp(true, TimeUnit::MICROS))
                }
                _ => false,
            };
            assert!(is_known, "{} {logical:?}", column.name());
            let is_time =
                table_schema(table).field_with_name(column.name()).unwrap().data_type().is_temporal();
            assert_eq!(is_time, matches!(logical, Some(LogicalType::Timestamp(_))), "{}", column.name());
        }
    }
}

#[test]
fn pages_are_v1_with_safe_encodings_and_snappy() {
    let reader = SerializedFileReader::new(encode(Table::Events, &evidence())).unwrap();
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().version(), 1);
    assert!(metadata.file_metadata().created_by().unwrap().starts_with("Corridor version "));
    let safe = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
    let group = reader.get_row_group(0).unwrap();
    for (index, column) in group.metadata().columns().iter().enumerate() {
        assert_eq!(column.compression(), Compression::SNAPPY);
        assert!(column.bloom_filter_offset().is_none());
        assert!(column.column_index_offset().is_none() && column.offset_index_offset().is_none());
        assert!(column.encodings().all(|encoding| safe.contains(&encoding)), "{}", column.column_path());
        for page in group.get_column_page_reader(index).unwrap() {
            let page = page.unwrap();
            assert!(matches!(page, Page::DataPage { .. } | Page::DictionaryPage { .. }), "{page:?}");
            assert!(safe.contains(&page.encoding()), "{page:?}");
        }
    }
    let sorting = group.metadata().sorting_columns().unwrap();
    let sorted_by: Vec<_> = sorting
        .iter()
        .map(|by| group.metadata().column(by.column_idx as usize).column_path().string())
        .collect();
    assert_eq!(sorted_by, ["event_time", "event_id"]);
}

#[test]
fn text_statistics_are_exact() {
    let reader = SerializedFileReader::new(encode(Table::Events, &evidence())).unwrap();
    for column in reader.metadata().row_group(0).columns() {
        let name = column.column_path().string();
        let Some(statistics) = column.statistics() else {
            assert!(COLUMNS_WITHOUT_STATISTICS.contains(&name.as_str()), "{name}");
            continue;
        };
        let is_empty = statistics.null_count_opt() == Some(40);
        assert!(is_empty || (statistics.min_is_exact() && statistics.max_is_exact()), "{name}");
    }
}

#[test]
fn evidence_survives_the_round_trip() {
    let written = evidence();
    let read = read_bytes(encode(Table::Events, &written)).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].schema().fields(), written.schema().fields());
    assert_eq!(read[0].columns(), written.columns());
}

#[test]
fn records_and_rejects_survive_the_round_trip() {
    let (events, rows) = stored([batch(0..2)]);
    let mut records = RowBatch::default();
    records.push_with(|bytes| bytes.extend_from_slice("{\"path\":\"/😀\"}".as_bytes()));
    records.push_with(|bytes| bytes.extend_from_slice(&[b'"', 0xff, b'"']));
    let records = StoredRows::of([&records]);
    let written = record_batches(&events, &records, &rows, 8).next().unwrap().unwrap();
    let read = read_bytes(encode(Table::Records, &written)).unwrap();
    assert_eq!(read[0].columns(), written.columns());
    assert_eq!(read[0].column(2).as_string::<i32>().value(1), "\"\u{fffd}\"");

    let mut rejects = RejectsBuilder::new();
    let rejection =
        Rejection { code: RejectCode::IdConflict, detail: "d".repeat(5_000), preview: String::new() };
    let row = RejectRow {
        rejection: &rejection,
        side: Side::Azure,
        origin: &origin(7),
        record_index: 3,
        record_sha256: None,
        event_id: Some(&EventId([3; 32])),
        event_time: Some(Micros(5)),
    };
    rejects.append(&row);
    rejects.append(&RejectRow { event_id: None, event_time: None, ..row });
    assert_eq!(rejects.len(), 2);
    let written = rejects.finish();
    let read = read_bytes(encode(Table::Rejects, &written)).unwrap();
    assert_eq!(read[0].columns(), written.columns());
    assert_eq!(read[0].column(1).as_string::<i32>().value(0).len(), 1024);
}

#[test]
fn a_seed_file_has_all_columns_and_no_row() {
    let seed = seed_file(Table::Events).unwrap();
    assert!(read_bytes(seed.clone()).unwrap().iter().all(|batch| batch.num_rows() == 0));
    assert_eq!(seed, seed_file(Table::Events).unwrap());
}
