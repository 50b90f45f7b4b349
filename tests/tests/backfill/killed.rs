//! Killed: a run may die at any moment; no half day is visible, and the next run makes the undisturbed lake.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, text};
use corridor_tests::landed::{assert_same_files, current_events, current_generations, keys, parquet_files};
use corridor_tests::program::{corridor_command, watch};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Starts a backfill, kills it as soon as `is_due`, and says whether it was still running.
fn kill_when(lake: &Path, mut is_due: impl FnMut() -> bool) -> bool {
    let mut command = corridor_command();
    command.args(THREE_DAYS.arguments(text(lake), &[])).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What a killed run spilled stays behind; here it goes with the test's folder.
    command.env("CORRIDOR_SPILL", lake.parent().expect("the lake has a parent"));
    let child = command.spawn().expect("the program starts");
    let ended = watch(child, Duration::from_micros(300), |child| {
        if is_due() {
            child.kill().expect("the child is ours");
        }
    });
    ended.code.is_none()
}

/// Every visible day must be whole, as the undisturbed run made it.
fn assert_no_half_day(lake: &Path) {
    if !lake.join("seals").exists() {
        return;
    }
    let whole = current_events(&UNDISTURBED);
    let visible = current_generations(lake);
    let day_of = |row: &serde_json::Map<String, serde_json::Value>| {
        row["event_time"].as_str().map(|t| t[..10].to_owned())
    };
    let expected: std::collections::BTreeMap<_, _> = whole
        .into_iter()
        .filter(|(_, row)| day_of(row).is_some_and(|day| visible.contains_key(&day)))
        .collect();
    assert_eq!(current_events(lake), expected, "visible are {visible:?}");
}

fn assert_completes(lake: &Path) {
    assert_no_half_day(lake);
    let summary = THREE_DAYS.backfill(lake, &[]).exits(0).json();
    if summary["status"] == "landed" {
        assert_counts_of(&THREE_DAYS, &summary);
    }
    assert_same_files(&parquet_files(lake), &parquet_files(&UNDISTURBED));
    let generations = current_generations(lake);
    assert_eq!(generations, current_generations(&UNDISTURBED), "a second generation is visible");
    let summary = THREE_DAYS.backfill(lake, &[]).exits(0).json();
    assert_eq!(summary["status"], "already_landed");
}

/// Whether a file whose path contains all of these parts exists.
fn has_file(lake: &Path, parts: &[&str]) -> bool {
    keys(lake).iter().any(|key| parts.iter().all(|part| key.contains(part)))
}

#[test]
fn run_killed_at_any_step_of_landing_is_resumed() {
    let moments: [(&str, &[&str]); 6] = [
        ("first-open", &["open.json"]),
        ("first-events", &["events/gen=001"]),
        ("last-day", &["events/gen=001/date=2026-03-04"]),
        ("first-closed", &["closed.json"]),
        ("last-closed", &["date=2026-03-04", "closed.json"]),
        ("first-seal", &["seals/", "2026-03-02"]),
    ];
    let mut killed = Vec::new();
    for (name, parts) in moments {
        let lake = fresh_folder(&format!("killed-{name}")).join("lake");
        if kill_when(&lake, || has_file(&lake, parts)) {
            killed.push(name);
        }
        assert_completes(&lake);
    }
    // Close and seal follow each other so fast that the test may come too late, but not always.
    assert!(killed.len() >= 3, "only these runs were killed in time: {killed:?}");
}

#[test]
fn run_killed_after_any_time_is_resumed() {
    let folder = fresh_folder("killed-timed");
    let started = Instant::now();
    THREE_DAYS.backfill(&folder.join("measure"), &[]).exits(0);
    let whole = started.elapsed();
    for eighth in 1..8 {
        let lake = folder.join(format!("{eighth}")).join("lake");
        std::fs::create_dir_all(lake.parent().expect("it has a parent")).expect("the folder can be made");
        let started = Instant::now();
        kill_when(&lake, || started.elapsed() >= whole * eighth / 8);
        assert_completes(&lake);
    }
}

#[test]
fn run_killed_again_and_again_still_completes() {
    let lake = fresh_folder("killed-often").join("lake");
    for count in [1, 5, 20, 60] {
        let is_far =
            || keys(&lake.join("events")).iter().filter(|key| key.contains("gen=001")).count() >= count;
        kill_when(&lake, is_far);
        assert_no_half_day(&lake);
    }
    assert_completes(&lake);
}
