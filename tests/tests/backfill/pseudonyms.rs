//! Pseudonyms: with a key, no client address and no user name lands in clear, and everything else is as without.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, text};
use corridor_tests::landed::{current_events, current_rows};
use corridor_tests::program::{Ended, corridor_command};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Addresses and user names of the traffic, read from what lands without a key and from the directory.
fn clear_values() -> BTreeSet<String> {
    let events = current_events(&UNDISTURBED);
    let addresses = events.values().filter_map(|row| row["client_ip"].as_str().map(String::from));
    let principals =
        fs::read_to_string(THREE_DAYS.folder.join("directory/principals.csv")).expect("it is generated");
    let names = principals.split([',', '\n']).filter(|cell| cell.contains('@')).map(str::to_ascii_lowercase);
    addresses.chain(names).collect()
}

fn assert_hidden(lake: &Path, table: &str, clear: &BTreeSet<String>) {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || "@.:-_#'".contains(c);
    for row in current_rows(lake, table, &[]) {
        for (column, value) in &row {
            let Some(text) = value.as_str() else { continue };
            let lower = text.to_ascii_lowercase();
            let found = lower.split(|c: char| !is_of_a_word(c)).find(|word| clear.contains(*word));
            assert_eq!(found, None, "in {table}.{column}: {text}");
        }
    }
}

#[test]
fn key_hides_addresses_and_names_and_changes_no_decision_and_no_match() {
    let folder = fresh_folder("pseudonyms");
    let (key, lake) = (folder.join("key"), folder.join("lake"));
    fs::write(&key, "a key of the test that is long enough").expect("the folder is writable");
    let mut command = corridor_command();
    command.args(THREE_DAYS.arguments(text(&lake), &[]));
    command.env("CORRIDOR_PSEUDONYM_KEY_FILE", &key).env("CORRIDOR_PSEUDONYM_KEY_ID", "test-2026");
    let ended = Ended::from(command.output().expect("the program starts")).exits(0);
    assert_counts_of(&THREE_DAYS, &ended.json());

    let clear = clear_values();
    assert!(clear.len() > 100, "the traffic has only {} addresses and names", clear.len());
    for table in ["events", "records", "rejects"] {
        assert_hidden(&lake, table, &clear);
    }
    let (with, without) = (current_events(&lake), current_events(&UNDISTURBED));
    assert_eq!(with.len(), without.len());
    let said = |row: &Map<String, Value>| {
        let columns = [
            "decision",
            "reason_code",
            "join_state",
            "join_method",
            "peer_event_id",
            "identity_match",
            "findings",
        ];
        columns.map(|column| row[column].clone())
    };
    for (id, row) in &with {
        assert_eq!(said(row), said(&without[id]), "{id}");
        assert_eq!(row["pseudonym_key_id"], "test-2026");
    }
}
