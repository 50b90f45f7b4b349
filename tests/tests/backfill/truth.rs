//! What lands is what the generator says it planted, by the summary and by independent readers of the lake.

use crate::scene::{Traffic, assert_counts_of, fresh_folder, generate, text};
use corridor_tests::python::python_succeeds;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the generator leaves open: see the notes in its `truth.json`.
const OPEN_FINDINGS: [&str; 2] = ["UNKNOWN_PRINCIPAL", "TOKEN_TOO_LONG"];

type Counts = BTreeMap<String, u64>;

fn counts(value: &Value) -> Counts {
    let object = value.as_object().unwrap_or_else(|| panic!("no counts: {value}"));
    object.iter().map(|(code, count)| (code.clone(), count.as_u64().unwrap_or_default())).collect()
}

fn both_sides(truth: &Value, name: &str) -> Counts {
    let mut sum = counts(&truth["kong"][name]);
    for (code, count) in counts(&truth["azure"][name]) {
        *sum.entry(code).or_default() += count;
    }
    sum
}

fn assert_summary_agrees(traffic: &Traffic, summary: &Value) {
    assert_counts_of(traffic, summary);
    let (truth, by) = (&traffic.truth, &summary["rows_by"]);
    assert_eq!(counts(&by["decisions"]), counts(&truth["rows_by_decision"]));
    assert_eq!(counts(&by["join_methods"]), both_sides(truth, "matched_by_method"));
    let denials = counts(&by["denials"]);
    assert_eq!(denials.values().sum::<u64>(), traffic.count("/rows_by_decision/denied"));
    let reasons = counts(&truth["rows_by_reason"]);
    for (code, count) in &denials {
        assert_eq!(reasons.get(code), Some(count), "denials by {code}");
    }
    let (found, planted) = (counts(&by["findings"]), both_sides(truth, "rows_by_finding"));
    for code in found.keys().chain(planted.keys()).filter(|code| !OPEN_FINDINGS.contains(&code.as_str())) {
        assert_eq!(found.get(code), planted.get(code), "rows with the finding {code}");
    }
}

fn land_and_check(traffic: &Traffic, name: &str) {
    let lake = fresh_folder(name).join("lake");
    let ended = traffic.backfill(&lake, &[]).exits(0);
    assert_summary_agrees(traffic, &ended.json());
    for canary in traffic.truth["canaries"].as_array().expect("there are canaries") {
        let canary = canary.as_str().expect("canaries are text");
        assert!(!ended.stdout.contains(canary) && !ended.stderr.contains(canary), "{canary} was printed");
    }
    // The reader also looks for the canaries in every file of the lake.
    let truth = traffic.folder.join("truth.json");
    python_succeeds("readers/check_lake.py", [&lake, &truth]);
    let answers = python_succeeds("readers/evidence_queries.py", [&lake]);
    let answers: Value = serde_json::from_str(&answers).expect("the script prints JSON");
    assert_eq!(answers["EQ-01"]["list"]["rows"], traffic.count("/rows_by_decision/denied"), "denials");
    let mismatches = &answers["EQ-05"]["list"]["rows"];
    assert_eq!(*mismatches, traffic.count("/kong/rows_by_finding/IDENTITY_MISMATCH"), "mismatches");
}

#[test]
fn envelopes_land_as_the_truth_says() {
    let traffic = generate("truth-envelopes", &["--kong", "12000"]);
    land_and_check(&traffic, "truth-envelopes-lake");
}

#[test]
fn archive_of_hourly_blobs_lands_as_the_truth_says() {
    let traffic = generate("truth-archive", &["--kong", "8000", "--pt1h", "--seed", "3", "--hours", "30"]);
    let blob = glob_one(text(&traffic.synapse()));
    assert!(blob.ends_with("PT1H.json"), "{blob}");
    land_and_check(&traffic, "truth-archive-lake");
}

fn glob_one(folder: &str) -> String {
    let files = corridor_tests::landed::files(std::path::Path::new(folder));
    files.into_keys().next().expect("there is a blob")
}
