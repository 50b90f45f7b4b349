use super::*;
use crate::sample_events::{event, origin};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};

fn text<'b>(batch: &'b RecordBatch, name: &str, row: usize) -> Option<&'b str> {
    let values = batch.column_by_name(name).expect(name).as_string::<i32>();
    values.is_valid(row).then(|| values.value(row))
}

#[test]
fn an_event_arrives_under_its_column_names() {
    let mut builder = EventBatchBuilder::new(4);
    let first = event(0);
    builder.append(&first, &origin(4096), Some("v1"));
    builder.append(&event(2), &origin(0), None);
    assert_eq!((builder.len(), builder.is_empty()), (2, false));
    assert!(builder.byte_size() > 1_000);
    let batch = builder.finish();
    assert_eq!(text(&batch, "event_id", 0), Some(first.event_id.to_string().as_str()));
    assert_eq!(text(&batch, "source", 1), Some("synapse"));
    assert_eq!(text(&batch, "url_path", 0), Some("/orders/{id}/größe-😀"));
    assert_eq!(text(&batch, "pipeline_name", 0), None);
    assert_eq!(text(&batch, "origin", 0), Some("kong/2026-03-04/kong.ndjson.gz@4096"));
    assert_eq!(
        (text(&batch, "directory_version", 0), text(&batch, "directory_version", 1)),
        (Some("v1"), None)
    );
    let status = batch.column_by_name("http_status").unwrap().as_primitive::<Int32Type>();
    assert_eq!((status.value(0), status.is_null(1)), (403, true));
}

#[test]
fn a_builder_is_empty_after_a_batch() {
    let mut builder = EventBatchBuilder::new(1);
    builder.append(&event(1), &origin(1), None);
    builder.finish();
    assert_eq!((builder.len(), builder.byte_size(), builder.finish().num_rows()), (0, 0, 0));
    builder.append(&event(3), &origin(1), None);
    assert_eq!(builder.finish().num_rows(), 1);
}

#[test]
fn a_forged_token_time_is_not_stored() {
    let mut builder = EventBatchBuilder::new(2);
    let mut forged = event(0);
    forged.token_expires_at = Some(Micros(i64::MAX));
    forged.token_issued_at = Some(Micros(-1));
    builder.append(&forged, &origin(1), None);
    let batch = builder.finish();
    let time = |name| batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().clone();
    assert!(time("token_expires_at").is_null(0));
    assert_eq!(time("token_issued_at").value(0), -1, "before 1970, but a time that SQL can hold");
}
