use super::*;
use crate::event_columns::{EventColumns, NamedArrays};
use crate::event_row::same_content;
use crate::sample_events::{batch, event, origin, stored};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use corridor_model::Micros;

fn columns(builder: EventRows) -> NamedArrays {
    let (events, rows) = stored([builder]);
    let mut columns = EventColumns::new();
    rows.iter().for_each(|row| columns.append(&events, *row).unwrap());
    columns.finish().unwrap()
}

fn text<'b>(columns: &'b NamedArrays, name: &str, row: usize) -> Option<&'b str> {
    let values = columns.get(name)?.as_string::<i32>();
    values.is_valid(row).then(|| values.value(row))
}

#[test]
fn an_event_arrives_under_its_column_names() {
    let mut builder = EventRows::default();
    let first = event(0);
    builder.append(&first, &origin(4096), Some(&"v1".into()));
    builder.append(&event(2), &origin(0), None);
    assert_eq!((builder.len(), builder.is_empty()), (2, false));
    assert!(builder.byte_size() > 300);
    let columns = columns(builder);
    assert_eq!(text(&columns, "event_id", 0), Some(first.event_id.to_string().as_str()));
    assert_eq!(text(&columns, "source", 1), Some("synapse"));
    assert_eq!(text(&columns, "url_path", 0), Some("/orders/{id}/größe-😀"));
    assert_eq!(text(&columns, "pipeline_name", 0), None);
    assert_eq!(text(&columns, "origin", 0), Some("kong/2026-03-04/kong.ndjson.gz@4096"));
    let versions = [0, 1].map(|row| text(&columns, "directory_version", row));
    assert_eq!(versions, [Some("v1"), None]);
    let status = columns["http_status"].as_primitive::<Int32Type>();
    assert_eq!((status.value(0), status.is_null(1)), (403, true));
    assert!(!columns.contains_key("ai_model"), "a column without values is not built");
}

#[test]
fn a_builder_is_empty_after_it_was_cleared() {
    let mut builder = EventRows::default();
    builder.append(&event(1), &origin(1), None);
    assert_eq!(builder.finish().len(), 2, "the event and the name of its file");
    builder.clear();
    assert_eq!((builder.len(), builder.byte_size()), (0, 0));
    builder.append(&event(3), &origin(1), None);
    assert_eq!(builder.finish().len(), 2);
}

#[test]
fn a_forged_token_time_is_not_stored() {
    let mut builder = EventRows::default();
    let mut forged = event(0);
    forged.token_expires_at = Some(Micros(i64::MAX));
    forged.token_issued_at = Some(Micros(-1));
    builder.append(&forged, &origin(1), None);
    let columns = columns(builder);
    assert!(!columns.contains_key("token_expires_at"));
    let issued = columns["token_issued_at"].as_primitive::<TimestampMicrosecondType>();
    assert_eq!(issued.value(0), -1, "before 1970, but a time that SQL can hold");
}

#[test]
fn a_text_above_its_limit_is_cut_and_marked() {
    let mut builder = EventRows::default();
    let mut long = event(0);
    long.http_method = Some("0123456789abc😀x".into());
    builder.append(&long, &origin(1), None);
    builder.append(&event(0), &origin(1), None);
    let columns = columns(builder);
    assert_eq!(text(&columns, "http_method", 0), Some("0123456789abc…"));
    assert_eq!(text(&columns, "http_method", 1), Some("POST"));
}

#[test]
fn a_damaged_row_is_an_error_and_not_a_wrong_event() {
    let whole = batch([0]).finish().body().to_vec();
    let names_length = origin(0).path.len() + "directory-1".len();
    let row = &whole[..whole.len() - names_length];
    assert!(EventRow::read(row).is_some_and(|row| row.event_id() == event(0).event_id));
    let texts = |length: usize| EventRow::read(&row[..length]).map_or(0, |row| row.texts().count());
    let all = texts(row.len());
    assert!((0..row.len()).all(|length| texts(length) < all));
}

#[test]
fn copies_differ_only_in_how_they_came_here() {
    let one = |change: fn(&mut Event<'_>), offset| {
        let mut builder = EventRows::default();
        let mut event = event(5);
        change(&mut event);
        builder.append(&event, &origin(offset), Some(&"v1".into()));
        let (events, rows) = stored([builder]);
        events.get(rows[0]).unwrap().to_vec()
    };
    let original = one(|_| {}, 1);
    let copy = one(|event| (event.record_index, event.received_time) = (9, Some(Micros(1))), 2);
    let other_digest = one(|event| event.record_sha256.0[0] ^= 1, 1);
    assert!(same_content(&original, &copy) && same_content(&original, &other_digest));
    let other_text = one(|event| event.pipeline_name = Some("other".into()), 1);
    let no_text = one(|event| event.pipeline_name = None, 1);
    let other_number = one(|event| event.duration_ms = Some(-1), 1);
    for other in [other_text, no_text, other_number] {
        assert!(!same_content(&original, &other) && !same_content(&other, &original));
    }
}
