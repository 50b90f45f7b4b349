//! Inputs: however the same records are stored and named, the same rows land.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, text};
use corridor_tests::landed::{assert_same_files, current_events, current_rows, parquet_files};
use corridor_tests::program::corridor;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("it is a folder")
        .map(|entry| entry.expect("it is listed").path())
        .collect();
    files.sort();
    files
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Copies of the files of a folder, each changed by `store`, which also gives the new name.
fn stored_as(from: &Path, to: &Path, store: impl Fn(usize, &str, Vec<u8>) -> (String, Vec<u8>)) {
    fs::create_dir_all(to).expect("the folder can be made");
    for (index, file) in sorted_files(from).into_iter().enumerate() {
        let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
        let (name, bytes) = store(index, &name, fs::read(&file).expect("it can be read"));
        fs::write(to.join(name), bytes).expect("the folder is writable");
    }
}

fn backfill(kong: &[&str], synapse: &[&str], lake: &Path, more: &[&str]) -> serde_json::Value {
    let directory = THREE_DAYS.folder.join("directory");
    let head = ["backfill", "--json", "--directory", text(&directory), "--lake", text(lake)];
    let sources = [&["--kong"][..], kong, &["--synapse"], synapse].concat();
    corridor([&head[..], &sources, more].concat()).exits(0).json()
}

/// The rows are those of the undisturbed lake, but for the column that names the input file.
fn assert_same_rows(lake: &Path) {
    assert_eq!(current_events(lake), current_events(&UNDISTURBED));
    assert_eq!(current_rows(lake, "records", &[]), current_rows(&UNDISTURBED, "records", &[]));
    // The order of rejects and the hour they are kept in go by the files.
    let rejects = |lake: &Path| {
        let mut rows: Vec<_> = current_rows(lake, "rejects", &["record_index"])
            .into_iter()
            .map(|row| serde_json::to_string(&row).expect("it is JSON"))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(rejects(lake), rejects(&UNDISTURBED));
}

#[test]
fn gzip_zstd_and_plain_files_in_one_folder_give_the_same_rows() {
    let folder = fresh_folder("compressed");
    for side in ["kong", "synapse"] {
        // Two gzip members in one file, as log rotation makes them.
        stored_as(&THREE_DAYS.folder.join(side), &folder.join(side), |index, name, bytes| match index % 3 {
            0 => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                (format!("{name}.gz"), [gzip(first), gzip(second)].concat())
            }
            1 => (format!("{name}.zst"), zstd::encode_all(&bytes[..], 1).expect("memory can be written")),
            _ => (name.to_owned(), bytes),
        });
    }
    let (kong, synapse, lake) = (folder.join("kong"), folder.join("synapse"), folder.join("lake"));
    let summary = backfill(&[text(&kong)], &[text(&synapse)], &lake, &[]);
    assert_counts_of(&THREE_DAYS, &summary);
    assert_same_rows(&lake);
}

#[test]
fn globs_urls_and_single_files_name_the_same_files() {
    let folder = fresh_folder("names");
    let undisturbed = parquet_files(&UNDISTURBED);
    let (kong, synapse) = (THREE_DAYS.kong(), THREE_DAYS.synapse());
    let glob = format!("{}/*.ndjson", kong.display());
    let (kong_url, synapse_url) =
        (format!("file://{}", kong.display()), format!("file://{}", synapse.display()));
    let singles = sorted_files(&kong);
    // Backwards, and the first once more: neither order nor repetition changes a byte.
    let backwards: Vec<_> = singles.iter().rev().chain(&singles[..1]).map(|file| text(file)).collect();
    let namings: [(&str, Vec<&str>, &str); 3] = [
        ("glob", vec![&glob], text(&synapse)),
        ("url", vec![&kong_url], &synapse_url),
        ("single", backwards, text(&synapse)),
    ];
    for (name, kong, synapse) in namings {
        let lake = folder.join(name);
        assert_counts_of(&THREE_DAYS, &backfill(&kong, &[synapse], &lake, &[]));
        assert_same_files(&parquet_files(&lake), &undisturbed);
    }
}

#[test]
fn number_of_threads_does_not_change_a_byte() {
    let folder = fresh_folder("threads");
    for threads in ["1", "4"] {
        let lake = folder.join(threads);
        THREE_DAYS.backfill(&lake, &["--threads", threads]).exits(0);
        assert_same_files(&parquet_files(&lake), &parquet_files(&UNDISTURBED));
    }
}

#[test]
fn other_cuts_of_the_same_lines_give_the_same_rows() {
    let folder = fresh_folder("cuts");
    for side in ["kong", "synapse"] {
        let (from, to) = (THREE_DAYS.folder.join(side), folder.join(side));
        fs::create_dir_all(&to).expect("the folder can be made");
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for file in sorted_files(&from) {
            let bytes = fs::read(file).expect("it can be read");
            lines.extend(
                bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec),
            );
        }
        // A torn end swallows what follows it, so it must stay at an end.
        let (whole, torn): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| is_json(line));
        for (index, part) in whole.chunks(whole.len() / 3 + 1).enumerate() {
            fs::write(to.join(format!("part-{index}.log")), part.join(&b'\n'))
                .expect("the folder is writable");
        }
        for (index, line) in torn.iter().enumerate() {
            fs::write(to.join(format!("torn-{index}.log")), line).expect("the folder is writable");
        }
    }
    let (kong, synapse, lake) = (folder.join("kong"), folder.join("synapse"), folder.join("lake"));
    assert_counts_of(&THREE_DAYS, &backfill(&[text(&kong)], &[text(&synapse)], &lake, &[]));
    assert_eq!(current_events(&lake), current_events(&UNDISTURBED));
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(line).is_ok()
}
