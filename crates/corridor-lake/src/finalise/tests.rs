use super::*;
use crate::event_batch::EventBatchBuilder;
use crate::sample_events::{batch, event, matched_denial, origin, rows_of, unmatched};
use corridor_model::Micros;

fn text(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let values = batch.column_by_name(name).expect(name).as_string::<i32>();
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

#[test]
fn rows_leave_in_the_given_order_with_their_outcomes() {
    let batches = [batch(0..3), batch([]), batch(3..7)];
    let mut rows = rows_of(&batches);
    rows.reverse();
    let outcomes: Vec<_> = (0..7).map(|row| if row == 4 { matched_denial() } else { unmatched() }).collect();
    let out: Vec<_> = evidence_batches(&batches, &rows, &outcomes, 4).collect::<Result<_, _>>().unwrap();
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
    let batches = [batch([0, 1]), batch([2])];
    let rows = rows_of(&batches);
    let outcomes = vec![unmatched(); 3];
    let out: Vec<_> = evidence_batches(&batches, &rows, &outcomes, 2).collect::<Result<_, _>>().unwrap();
    assert_eq!(text(&out[0], "pipeline_name"), [None, None]);
    assert_eq!(text(&out[1], "pipeline_name"), [Some("nightly".to_owned())]);
    let whole = evidence_batches(&batches, &rows, &outcomes, 8).next().unwrap().unwrap();
    assert_eq!(text(&whole, "pipeline_name"), [None, None, Some("nightly".to_owned())]);
}

#[test]
fn an_hour_without_rows_gives_no_batch() {
    assert_eq!(evidence_batches(&[], &[], &[], 100).count(), 0);
}

#[test]
fn copies_differ_only_in_how_they_came_here() {
    let one = |change: fn(&mut corridor_model::Event<'_>), offset| {
        let mut builder = EventBatchBuilder::new(1);
        let mut event = event(5);
        change(&mut event);
        builder.append(&event, &origin(offset), Some("v1"));
        builder.finish()
    };
    let original = one(|_| {}, 1);
    let copy = one(|event| (event.record_index, event.received_time) = (9, Some(Micros(1))), 2);
    let other_digest = one(|event| event.record_sha256.0[0] ^= 1, 1);
    assert!(same_content(&original, 0, &copy, 0) && same_content(&original, 0, &other_digest, 0));
    let other_text = one(|event| event.pipeline_name = Some("other".into()), 1);
    let no_text = one(|event| event.pipeline_name = None, 1);
    let other_number = one(|event| event.duration_ms = Some(-1), 1);
    for other in [other_text, no_text, other_number] {
        assert!(!same_content(&original, 0, &other, 0) && !same_content(&other, 0, &original, 0));
    }
    let both = batch([1, 5]);
    assert!(same_content(&both, 1, &batch([5]), 0), "rows stand at other places in their batches");
}
