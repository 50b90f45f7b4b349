//! Full disk: a clear error, nothing visible, and the run after the repair makes the undisturbed lake.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, text};
use corridor_tests::landed::{assert_same_files, current_generations, files, parquet_files};
use corridor_tests::program::{Ended, corridor_binary};
use corridor_tests::small_disk::SmallDisk;
use std::path::Path;
use std::process::Command;

/// Backfills while no file may grow beyond this; what a full disk is where none can be mounted.
fn backfill_with_small_files(lake: &Path, kib: u32, more: &[&str]) -> Ended {
    // The signal is ignored, so that the write fails as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    let output = Command::new("bash")
        .args(["-c", &script, "bash"])
        .arg(corridor_binary())
        .args(THREE_DAYS.arguments(text(lake), more))
        .output();
    Ended::from(output.expect("bash starts"))
}

fn assert_nothing_is_visible(lake: &Path) {
    assert!(current_generations(lake).is_empty(), "a day is visible");
    assert!(files(lake).keys().all(|key| !key.ends_with("closed.json")), "a day is closed");
}

#[test]
fn full_lake_shows_nothing_and_completes_after_the_repair() {
    let lake = fresh_folder("full-lake");
    let Some(disk) = SmallDisk::mount(&lake, 2_000) else {
        eprintln!("no disk can be mounted here; only the other tests of full disks count");
        return;
    };
    let ended = THREE_DAYS.backfill(&lake, &[]).fails_saying("No space left on device");
    assert!(ended.stderr.contains("full-lake"), "the error names the place: {}", ended.stderr);
    assert_nothing_is_visible(&lake);
    // A second run meets the same full disk.
    THREE_DAYS.backfill(&lake, &[]).fails_saying("No space left on device");
    assert_nothing_is_visible(&lake);
    disk.grow(64_000);
    let summary = THREE_DAYS.backfill(&lake, &[]).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    assert_same_files(&parquet_files(&lake), &parquet_files(&UNDISTURBED));
}

#[test]
fn run_whose_files_cannot_grow_shows_nothing_and_completes_after_the_repair() {
    let lake = fresh_folder("small-files").join("lake");
    let ended = backfill_with_small_files(&lake, 40, &[]).fails_saying("File too large");
    assert_eq!(
        ended.stderr.matches("File too large").count(),
        1,
        "the reason is told once: {}",
        ended.stderr
    );
    assert_nothing_is_visible(&lake);
    let summary = THREE_DAYS.backfill(&lake, &[]).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    assert_same_files(&parquet_files(&lake), &parquet_files(&UNDISTURBED));
}

#[test]
fn full_spill_folder_names_the_flag_and_leaves_the_lake_alone() {
    let folder = fresh_folder("full-spill");
    let (spill, lake) = (folder.join("spill"), folder.join("lake"));
    std::fs::create_dir(&spill).expect("the folder can be made");
    let disk = SmallDisk::mount(&spill, 3_000);
    let ended = match &disk {
        Some(_) => THREE_DAYS.backfill(&lake, &["--spill", text(&spill)]),
        None => backfill_with_small_files(&lake, 40, &["--spill", text(&spill)]),
    };
    ended.fails_saying("--spill");
    assert!(files(&lake).is_empty(), "the lake is touched");
    assert!(files(&spill).is_empty(), "the spill is left behind");
    drop(disk);
    let summary = THREE_DAYS.backfill(&lake, &["--spill", text(&spill)]).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    assert!(files(&spill).is_empty(), "the spill is left behind");
}
