//! Ranges: `--from` and `--to` choose rows by event time, and partners across the boundary are still found.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_conserved, fresh_folder, number};
use corridor_tests::landed::current_events;
use serde_json::Value;
use std::collections::BTreeMap;

type Row = serde_json::Map<String, Value>;

fn time<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    row[column].as_str()
}

/// A range whose two ends each part a pair: the row is inside and its partner is not.
fn range_that_parts_pairs(rows: &BTreeMap<String, Row>) -> (String, String) {
    let mut times: Vec<_> =
        rows.values().filter_map(|row| Some((time(row, "event_time")?, time(row, "peer_time")?))).collect();
    times.sort_unstable();
    let third = times.len() / 3;
    let from = times[third..].iter().find(|(own, peer)| peer < own).expect("a partner is earlier").0;
    let to = times[2 * third..].iter().find(|(own, peer)| own < peer).expect("a partner is later").1;
    (from.to_owned(), to.to_owned())
}

#[test]
fn range_takes_the_same_rows_as_the_whole_and_no_others() {
    let whole = current_events(&UNDISTURBED);
    let (from, to) = range_that_parts_pairs(&whole);
    let is_inside = |time: &str| from.as_str() <= time && time < to.as_str();
    let lake = fresh_folder("range").join("lake");
    let summary = THREE_DAYS.backfill(&lake, &["--from", &from, "--to", &to]).exits(0).json();
    assert_conserved(&summary);
    let inside: BTreeMap<_, _> =
        whole.into_iter().filter(|(_, row)| time(row, "event_time").is_some_and(is_inside)).collect();
    assert_eq!(number(&summary, "rows"), inside.len() as u64);
    assert!(number(&summary, "outside_range") > 0);
    let parted = inside.values().filter(|row| time(row, "peer_time").is_some_and(|time| !is_inside(time)));
    assert!(parted.count() >= 2, "both ends part a pair");
    assert_eq!(current_events(&lake), inside);
}

#[test]
fn days_land_one_after_another_and_together_are_the_whole() {
    let lake = fresh_folder("day-by-day").join("lake");
    let days = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"];
    let mut rows = 0;
    for window in days.windows(2) {
        let summary = THREE_DAYS.backfill(&lake, &["--from", window[0], "--to", window[1]]).exits(0).json();
        assert_conserved(&summary);
        rows += number(&summary, "rows");
    }
    assert_eq!(rows, THREE_DAYS.count("/rows"));
    assert_eq!(current_events(&lake), current_events(&UNDISTURBED));
}

#[test]
fn range_without_any_event_says_so() {
    let lake = fresh_folder("empty-range").join("lake");
    let ended = THREE_DAYS.backfill(&lake, &["--from", "2027-01-01", "--dry-run"]).exits(0);
    assert_conserved(&ended.json());
    THREE_DAYS.backfill(&lake, &["--from", "2027-01-02", "--to", "2027-01-01"]).exits(2);
}
