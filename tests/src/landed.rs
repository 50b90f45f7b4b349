//! Landed: what a local lake holds, as bytes and as rows.
//!
//! - In: the folder of a lake.
//! - Out: [`files`]: every file; [`current_rows`]: what the views show, without the column that names the input file.
//! - Keeps: nothing.
//! - Invariants: which generation counts is read from the seals here, not by the product.

use corridor_lake::cell::cell;
use corridor_lake::reader::read_file;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders with rows.
pub const TABLES: [&str; 3] = ["events", "records", "rejects"];

/// Every file of a folder by its path below it; nothing when there is no folder.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(folder, "", &mut found);
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("the folder can be listed")) {
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if entry.path().is_dir() {
            collect(&entry.path(), &key, found);
        } else {
            found.insert(key, fs::read(entry.path()).expect("the file can be read"));
        }
    }
}

/// The paths of all files below a folder, which somebody may be writing to.
pub fn keys(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                found.extend(keys(&entry.path()).into_iter().map(|key| format!("{name}/{key}")));
            }
            _ => found.push(name),
        }
    }
    found
}

/// The Parquet files by path. What a stopped write left behind under another name is not among them.
pub fn parquet_files(lake: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_table = |key: &str| TABLES.iter().any(|table| key.starts_with(&format!("{table}/")));
    files(lake).into_iter().filter(|(key, _)| is_table(key) && key.ends_with(".parquet")).collect()
}

/// Two lakes must hold the same Parquet files, byte by byte.
///
/// # Panics
/// When they do not, naming the files that differ.
#[track_caller]
pub fn assert_same_files(left: &BTreeMap<String, Vec<u8>>, right: &BTreeMap<String, Vec<u8>>) {
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let differing: Vec<_> = keys.into_iter().filter(|key| left.get(*key) != right.get(*key)).collect();
    assert!(differing.is_empty(), "these files differ: {differing:?}");
}

/// The current generation of each day by the seals whose moment has passed; the seed aside.
pub fn current_generations(lake: &Path) -> BTreeMap<String, String> {
    let now = now_as_in_seals();
    let mut current = BTreeMap::new();
    for (_, bytes) in files(&lake.join("seals")) {
        let text = String::from_utf8(bytes).expect("seals are UTF-8");
        for line in text.lines().skip(1) {
            let [date, generation, activate_at] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("not a seal: {line}")
            };
            if activate_at <= now.as_str() && date != "1900-01-01" {
                let highest = current.entry(date.to_owned()).or_insert_with(|| generation.to_owned());
                *highest = generation.to_owned().max(highest.clone());
            }
        }
    }
    current
}

/// The time in the form of the seals.
fn now_as_in_seals() -> String {
    let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    let micros = i64::try_from(since.as_micros()).expect("the clock is before the year 290000");
    let text = corridor_model::Micros(micros).to_string();
    text[..19].replace('T', " ")
}

/// The rows of a table that the views show, by file order; the columns `origin` and those of `without` are left out.
pub fn current_rows(lake: &Path, table: &str, without: &[&str]) -> Vec<Map<String, Value>> {
    let mut rows = Vec::new();
    for (date, generation) in current_generations(lake) {
        let folder = lake.join(format!("{table}/gen={generation}/date={date}"));
        for key in files(&folder).keys().filter(|key| key.ends_with(".parquet")) {
            for batch in read_file(&folder.join(key)).expect("the file is Parquet") {
                for row in 0..batch.num_rows() {
                    let schema = batch.schema();
                    let names = schema.fields().iter().map(|field| field.name());
                    let kept = names.filter(|name| *name != "origin" && !without.contains(&name.as_str()));
                    rows.push(kept.map(|name| (name.clone(), cell(&batch, name, row))).collect());
                }
            }
        }
    }
    rows
}

/// The events that the views show, by event id.
///
/// # Panics
/// When an event is shown twice.
pub fn current_events(lake: &Path) -> BTreeMap<String, Map<String, Value>> {
    let rows = current_rows(lake, "events", &[]);
    let count = rows.len();
    let by_id: BTreeMap<_, _> =
        rows.into_iter().map(|row| (row["event_id"].as_str().unwrap_or_default().to_owned(), row)).collect();
    assert_eq!(by_id.len(), count, "an event id is shown twice");
    by_id
}
