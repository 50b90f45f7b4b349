use super::*;
use crate::sample_events::{batch, event, matched_denial, stored, unmatched};
use arrow_array::Array;
use arrow_array::cast::AsArray;

fn text(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let values = batch.column_by_name(name).expect(name).as_string::<i32>();
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

#[test]
fn rows_leave_in_the_given_order_with_their_outcomes() {
    let (events, mut rows) = stored([batch(0..3), batch([]), batch(3..7)]);
    rows.reverse();
    let outcomes: Vec<_> = (0..7).map(|row| if row == 4 { matched_denial() } else { unmatched() }).collect();
    let out: Vec<_> = evidence_batches(&events, &rows, &outcomes, 4).collect::<Result<_, _>>().unwrap();
    assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 3]);
    let ids: Vec<_> = out.iter().flat_map(|batch| text(batch, "event_id")).flatten().collect();
    let expected: Vec<_> = (0..7).rev().map(|index| event(index).event_id.to_string()).collect();
    assert_eq!(ids, expected);
    let second = &out[1];
    assert_eq!(text(second, "decision"), ["denied", "allowed", "allowed"].map(|text| Some(text.to_owned())));
    assert_eq!(text(second, "reason_code")[..2], [Some("AUTHZ_ACL".to_owned()), None]);
    assert_eq!(text(second, "peer_operation")[..2], [Some("POST /orders".to_owned()), None]);
    assert_eq!(text(second, "peer_principal_id")[0], None);
    assert_eq!(
        text(second, "findings")[..2],
        [Some("CLOCK_AHEAD,UNKNOWN_PRINCIPAL".to_owned()), Some(String::new())]
    );
    assert_eq!(text(second, "directory_version")[0].as_deref(), Some("directory-1"));
    let denied = second.column_by_name("denied").unwrap().as_boolean();
    assert_eq!(denied.iter().collect::<Vec<_>>(), [Some(true), Some(false), Some(false)]);
    for name in ["shard", "log_offset", "received_time", "ai_model"] {
        assert_eq!(second.column_by_name(name).unwrap().null_count(), 3, "{name}");
    }
}

#[test]
fn a_column_of_one_side_only_keeps_its_values_in_a_mixed_chunk() {
    let (events, rows) = stored([batch([0, 1]), batch([2])]);
    let outcomes = vec![unmatched(); 3];
    let out: Vec<_> = evidence_batches(&events, &rows, &outcomes, 2).collect::<Result<_, _>>().unwrap();
    assert_eq!(text(&out[0], "pipeline_name"), [None, None]);
    assert_eq!(text(&out[1], "pipeline_name"), [Some("nightly".to_owned())]);
    let whole = evidence_batches(&events, &rows, &outcomes, 8).next().unwrap().unwrap();
    assert_eq!(text(&whole, "pipeline_name"), [None, None, Some("nightly".to_owned())]);
}

#[test]
fn an_hour_without_rows_gives_no_batch() {
    assert_eq!(evidence_batches(&StoredRows::default(), &[], &[], 100).count(), 0);
}
