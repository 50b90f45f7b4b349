//! Repeats: the same input changes nothing, other input for a landed day is refused, a dry run writes nothing.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, number, text};
use corridor_tests::landed::{
    assert_same_files, current_events, current_generations, current_rows, files, parquet_files,
};
use corridor_tests::program::corridor;
use std::path::PathBuf;

fn copied_lake(name: &str) -> PathBuf {
    let lake = fresh_folder(name).join("lake");
    for (key, bytes) in files(&UNDISTURBED) {
        let path = lake.join(key);
        std::fs::create_dir_all(path.parent().expect("keys have folders")).expect("the folder can be made");
        std::fs::write(path, bytes).expect("the folder is writable");
    }
    lake
}

#[test]
fn same_input_again_is_already_landed_and_changes_no_byte() {
    let lake = copied_lake("again");
    let before = files(&lake);
    let ended = THREE_DAYS.backfill(&lake, &[]).exits(0);
    let summary = ended.json();
    assert_eq!(summary["status"], "already_landed", "{summary}");
    assert_counts_of(&THREE_DAYS, &summary);
    assert_eq!(summary["files"], 0);
    // Other files and threads, but the same records.
    let summary = THREE_DAYS.backfill(&lake, &["--threads", "1", "--dry-run"]).exits(0).json();
    assert_eq!(number(&summary, "files"), 0, "{summary}");
    assert_same_files(&files(&lake), &before);
}

#[test]
fn people_are_told_that_it_is_already_landed() {
    let lake = copied_lake("again-text");
    let arguments: Vec<_> =
        THREE_DAYS.arguments(text(&lake), &[]).into_iter().filter(|a| a != "--json").collect();
    let ended = corridor(arguments).exits(0);
    assert!(ended.stdout.contains("already landed"), "{}", ended.stdout);
    assert!(ended.stdout.contains("+ 0 pending"), "{}", ended.stdout);
}

#[test]
fn other_input_for_a_landed_day_is_refused_and_changes_nothing() {
    let lake = copied_lake("other");
    let before = files(&lake);
    for change in [&["--records", "off"][..], &["--from", "2026-03-02T05:00:00Z"], &["--to", "2026-03-03"]] {
        let ended = THREE_DAYS.backfill(&lake, change).fails_saying("2026-03-02");
        assert!(ended.stderr.contains("nothing was written"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{change:?}");
        assert_same_files(&files(&lake), &before);
    }
    let kong = THREE_DAYS.kong();
    corridor(["backfill", "--kong", text(&kong), "--lake", text(&lake)]).fails_saying("2026-03-03");
    assert_same_files(&files(&lake), &before);
}

#[test]
fn two_runs_at_once_land_the_days_once() {
    let lake = fresh_folder("at-once").join("lake");
    let run = || THREE_DAYS.backfill(&lake, &[]).exits(0).json();
    let summaries = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        [run(), other.join().expect("the other run is right, too")]
    });
    for summary in summaries {
        assert_counts_of(&THREE_DAYS, &summary);
    }
    assert_same_files(&parquet_files(&lake), &parquet_files(&UNDISTURBED));
    assert_eq!(current_generations(&lake), current_generations(&UNDISTURBED));
}

#[test]
fn of_two_different_runs_at_once_each_day_shows_one() {
    let lake = fresh_folder("rivals").join("lake");
    let ended = std::thread::scope(|scope| {
        let other = scope.spawn(|| THREE_DAYS.backfill(&lake, &["--records", "off"]));
        [THREE_DAYS.backfill(&lake, &[]), other.join().expect("the program starts")]
    });
    let winners = ended.iter().filter(|ended| ended.code == Some(0)).count();
    assert!(winners <= 1, "both say that they landed the days");
    for loser in ended.into_iter().filter(|ended| ended.code != Some(0)) {
        loser.fails_saying("2026-03-0");
    }
    if winners == 1 {
        assert_eq!(current_events(&lake), current_events(&UNDISTURBED));
    }
}

#[test]
fn dry_run_counts_everything_and_writes_nothing() {
    let lake = fresh_folder("dry").join("lake");
    let summary = THREE_DAYS.backfill(&lake, &["--dry-run"]).exits(0).json();
    assert_eq!(summary["status"], "dry_run");
    assert_counts_of(&THREE_DAYS, &summary);
    assert_eq!(number(&summary, "files"), 0);
    let days: Vec<_> = summary["days"].as_object().expect("it is a map").keys().collect();
    assert_eq!(days, ["2026-03-02", "2026-03-03", "2026-03-04"]);
    assert!(!lake.exists(), "a dry run makes no lake");
}

#[test]
fn records_off_leaves_records_out_and_nothing_else() {
    let lake = fresh_folder("records-off").join("lake");
    let summary = THREE_DAYS.backfill(&lake, &["--records", "off"]).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    let kept: Vec<_> = parquet_files(&lake).into_keys().filter(|key| key.starts_with("records/")).collect();
    assert_eq!(kept, ["records/gen=000/date=1900-01-01/hour=00/seed.parquet"]);
    let without_records = |lake| {
        let mut files = parquet_files(lake);
        files.retain(|key, _| !key.starts_with("records/"));
        files
    };
    assert_same_files(&without_records(&lake), &without_records(&UNDISTURBED));
    assert!(current_rows(&lake, "records", &[]).is_empty());
}
