//! Live rows: the evidence of a live lake, compared row by row with that of a backfill.
//!
//! - In: the files of a live lake; the folder of a lake that backfills filled with the same traffic.
//! - Out: [`Comparison`]: what was lost, doubled, made up or changed.
//! - Keeps: nothing.
//! - Invariants: every file that a reader's glob finds counts, late rows too.

use crate::landed::{current_events, current_rows};
use corridor_lake::cell::cell;
use corridor_lake::reader::read_bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Where an event came in and what it met there; everything else is evidence.
const PROVENANCE: [&str; 6] = ["shard", "log_offset", "origin", "received_time", "record_index", "is_late"];

type Row = Map<String, Value>;

/// How a live lake differs from a batch lake.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Events of the batch lake.
    pub events: usize,
    /// Those that the live lake has not.
    pub lost: Vec<String>,
    /// Rows too many for one event.
    pub doubled: usize,
    /// Events that the batch lake has not.
    pub made_up: Vec<String>,
    /// Columns that differ, with an example and its two values.
    pub changed: BTreeMap<String, (usize, String)>,
    /// Redacted originals that are missing, twice there, or different.
    pub records_wrong: usize,
}

impl Comparison {
    /// Nothing may differ.
    ///
    /// # Panics
    /// When anything does.
    #[track_caller]
    pub fn assert_equal(&self, name: &str) {
        let Self { events, lost, doubled, made_up, changed, records_wrong } = self;
        eprintln!("{name}: {events} events, lost {}, doubled {doubled}", lost.len());
        assert!(*events > 0, "{name}: there is nothing to compare");
        let is_equal = lost.is_empty() && *doubled == 0 && made_up.is_empty() && changed.is_empty();
        assert!(
            is_equal && *records_wrong == 0,
            "{name}: lost {lost:?}, doubled {doubled}, made up {made_up:?}, records wrong {records_wrong}, changed {changed:#?}"
        );
    }
}

/// Compares the files of a live lake with the current generations of a batch lake.
pub fn compare(live: &BTreeMap<String, Vec<u8>>, batch: &Path) -> Comparison {
    let batch_events = current_events(batch);
    let live_events = by_id(rows_of(live, "events"));
    let mut comparison = Comparison { events: batch_events.len(), ..Comparison::default() };
    comparison.doubled = live_events.values().map(|rows| rows.len() - 1).sum();
    for (id, want) in &batch_events {
        match live_events.get(id) {
            None => comparison.lost.push(id.clone()),
            Some(rows) => rows.iter().for_each(|row| note_changes(id, want, row, &mut comparison.changed)),
        }
    }
    comparison.made_up = live_events.into_keys().filter(|id| !batch_events.contains_key(id)).collect();
    let live_records = by_id(rows_of(live, "records"));
    let batch_records = by_id(current_rows(batch, "records", &[]));
    let ids: std::collections::BTreeSet<_> = live_records.keys().chain(batch_records.keys()).collect();
    let differs = |id: &&&String| live_records.get(**id) != batch_records.get(**id);
    comparison.records_wrong = ids.iter().filter(differs).count();
    comparison
}

/// Rows of a table, live and late.
pub fn rows_of(live: &BTreeMap<String, Vec<u8>>, table: &str) -> Vec<Row> {
    let late = if table == "events" { "late/".into() } else { format!("late_{table}/") };
    let folders = [format!("{table}/gen=000/"), late];
    let is_ours =
        |key: &str| folders.iter().any(|folder| key.starts_with(folder)) && key.ends_with(".parquet");
    let mut rows = Vec::new();
    for (key, bytes) in live.iter().filter(|(key, _)| is_ours(key)) {
        for batch in read_bytes(bytes.clone().into()).unwrap_or_else(|error| panic!("{key}: {error}")) {
            let schema = batch.schema();
            let names = || schema.fields().iter().map(|field| field.name());
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| names().map(|name| (name.clone(), cell(&batch, name, row))).collect::<Row>()),
            );
        }
    }
    rows
}

fn by_id(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut found = BTreeMap::<_, Vec<Row>>::new();
    for row in rows {
        let id = row["event_id"].as_str().unwrap_or_default().to_owned();
        found.entry(id).or_default().push(row);
    }
    found
}

fn note_changes(id: &str, want: &Row, found: &Row, changed: &mut BTreeMap<String, (usize, String)>) {
    for (column, value) in want.iter().filter(|(column, _)| !PROVENANCE.contains(&column.as_str())) {
        let other = found.get(column).unwrap_or(&Value::Null);
        if other != value {
            let example = || (0, format!("{id}: batch {value}, live {other}"));
            changed.entry(column.clone()).or_insert_with(example).0 += 1;
        }
    }
}
