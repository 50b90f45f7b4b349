//! Bad input: a clear error or a reject, never a lost record, never a half-visible day.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_conserved, fresh_folder, number, text};
use corridor_tests::landed::{current_events, current_generations, current_rows, files};
use corridor_tests::program::{Ended, corridor, corridor_command, run_and_measure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The bound on memory while one record is far too long. The limit of a record is 16 MiB.
const MEMORY_MAX: u64 = 600 * 1024 * 1024;

/// A good entry in front of and behind what is bad.
const GOOD: &str = r#"{"request":{"method":"GET","uri":"/a","url":"http://gw.example:8000/a","headers":{"host":"gw.example"}},"response":{"status":200,"headers":{}},"latencies":{"request":5,"proxy":4,"kong":1},"started_at":1772614800123,"client_ip":"203.0.113.9"}"#;

fn good(number: u32) -> String {
    GOOD.replace("/a", &format!("/a{number}"))
}

fn backfill(kong: &Path, lake: &Path) -> Ended {
    corridor(["backfill", "--json", "--kong", text(kong), "--lake", text(lake)])
}

/// Lines of one Kong file; all must be read, with these rows and these rejects by code.
fn lands(name: &str, content: &[u8], rows: u64, rejects: &[(&str, u64)]) -> PathBuf {
    let folder = fresh_folder(name);
    let (file, lake) = (folder.join("kong.log"), folder.join("lake"));
    fs::write(&file, content).expect("the folder is writable");
    let summary = backfill(&file, &lake).exits(0).json();
    assert_conserved(&summary);
    assert_eq!(number(&summary, "rows"), rows, "{summary}");
    let found = summary["rejects_by_code"].as_object().expect("it is a map");
    let wanted: serde_json::Map<String, Value> =
        rejects.iter().map(|(code, count)| ((*code).to_owned(), Value::from(*count))).collect();
    assert_eq!(*found, wanted, "{summary}");
    assert_eq!(current_events(&lake).len() as u64, rows);
    let stored = current_rows(&lake, "rejects", &[]).len() as u64;
    assert_eq!(stored, rejects.iter().map(|(_, count)| count).sum::<u64>(), "rejects in the lake");
    lake
}

/// The run must fail with this message, and the lake must show nothing.
fn refused(kong: &Path, lake: &Path, message: &str) {
    backfill(kong, lake).fails_saying(message);
    assert!(current_generations(lake).is_empty(), "nothing may be visible");
    assert!(
        files(&lake.join("events")).keys().all(|key| key.contains("gen=000")),
        "no events may be written"
    );
}

#[test]
fn garbage_lines_and_invalid_utf8_reject_or_mark_only_themselves() {
    let mut content = Vec::new();
    for (number, line) in
        [&b"not json"[..], b"{\"a\":1}", b"[1,2", b"\xff\xfe\x00", b"null", b"\"text\""].iter().enumerate()
    {
        content.extend(good(u32::try_from(number).expect("few")).bytes().chain([b'\n']));
        content.extend(line.iter().chain(b"\r\n\n"));
    }
    content.extend(good(90).replace("GET", "G\u{1}T").replace('\u{1}', "X").bytes());
    content.push(b'\n');
    let mut latin = good(91).replace("gw.example\"}", "m\u{1}nchen.example\"}").into_bytes();
    latin.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xfc);
    content.extend(latin);
    let folder = fresh_folder("garbage");
    let (file, lake) = (folder.join("kong.log"), folder.join("lake"));
    fs::write(&file, &content).expect("the folder is writable");
    let summary = backfill(&file, &lake).exits(0).json();
    assert_conserved(&summary);
    // The torn array has one whole element, which is no record, and one cut off.
    assert_eq!((number(&summary, "rows"), number(&summary, "rejects")), (8, 7), "{summary}");
    let marked = current_events(&lake)
        .into_values()
        .filter(|row| row["findings"].to_string().contains("INVALID_UTF8"));
    assert_eq!(marked.count(), 1);
}

#[test]
fn empty_file_is_nothing_to_land() {
    let folder = fresh_folder("empty");
    let (file, lake) = (folder.join("kong.log"), folder.join("lake"));
    File::create(&file).expect("the folder is writable");
    let ended = backfill(&file, &lake).exits(0);
    assert_conserved(&ended.json());
    assert_eq!(number(&ended.json(), "records_in"), 0);
    assert_eq!(ended.json()["status"], "nothing_to_land", "{}", ended.stdout);
    // Beside other files it does not disturb.
    fs::write(folder.join("more.log"), good(1)).expect("the folder is writable");
    let summary = corridor([
        "backfill",
        "--json",
        "--kong",
        text(&file),
        text(&folder.join("more.log")),
        "--lake",
        text(&lake),
    ]);
    assert_eq!(number(&summary.exits(0).json(), "rows"), 1);
}

#[test]
fn only_rejects_still_land_as_rejects() {
    lands("only-rejects", b"rubbish\nmore rubbish\n", 0, &[("NOT_JSON", 2)]);
}

#[test]
fn torn_line_and_torn_envelope_are_one_reject_each() {
    let line = [good(1), good(2)[..60].to_owned()].join("\n");
    lands("torn-line", line.as_bytes(), 1, &[("NOT_JSON", 1)]);
    let envelope = format!("[{},\n{},\n{}", good(1), good(2), &good(3)[..60]);
    lands("torn-envelope", envelope.as_bytes(), 2, &[("TRUNCATED", 1)]);
}

#[test]
fn line_of_200_mb_is_one_reject_in_bounded_memory() {
    let folder = fresh_folder("long-line");
    let openings = [("text", "x"), ("string", "{\"request\":{\"uri\":\""), ("fields", "{\"a\":[")];
    for (name, opening) in openings {
        let (file, lake) = (folder.join(format!("{name}.log")), folder.join(name));
        let mut writer = BufWriter::new(File::create(&file).expect("the folder is writable"));
        let block = if name == "fields" { "[1],".repeat(1 << 18) } else { "x".repeat(1 << 20) };
        write!(writer, "{}\n{opening}", good(1)).expect("there is room");
        (0..200).for_each(|_| writer.write_all(block.as_bytes()).expect("there is room"));
        write!(writer, "\n{}\n", good(2)).expect("there is room");
        writer.flush().expect("there is room");
        drop(writer);
        let mut command = corridor_command();
        command.args(["backfill", "--json", "--kong", text(&file), "--lake", text(&lake)]);
        let (ended, peak) = run_and_measure(&mut command);
        fs::remove_file(&file).expect("it was written above");
        let summary = ended.exits(0).json();
        assert_conserved(&summary);
        assert!(peak < MEMORY_MAX, "{name}: {} MB were resident", peak / 1_000_000);
        assert!(number(&summary, "rows") >= 1, "{name}: {summary}");
        assert!(number(&summary, "rejects") >= 1, "{name}: {summary}");
        assert!(number(&summary, "rejects") <= 2, "{name}: {summary}");
    }
}

#[test]
fn long_line_in_a_small_gzip_file_is_bounded_too() {
    let folder = fresh_folder("long-gzip");
    let (file, lake) = (folder.join("kong.log.gz"), folder.join("lake"));
    let encoder = flate2::write::GzEncoder::new(
        File::create(&file).expect("it is writable"),
        flate2::Compression::fast(),
    );
    let mut writer = BufWriter::with_capacity(1 << 20, encoder);
    write!(writer, "{}\n{{\"request\":\"", good(1)).expect("there is room");
    (0..200).for_each(|_| writer.write_all(&[b'x'; 1 << 20]).expect("there is room"));
    write!(writer, "\"}}\n{}\n", good(2)).expect("there is room");
    writer.into_inner().expect("it is flushed").finish().expect("there is room");
    let mut command = corridor_command();
    command.args(["backfill", "--json", "--kong", text(&file), "--lake", text(&lake)]);
    let (ended, peak) = run_and_measure(&mut command);
    let summary = ended.exits(0).json();
    assert_conserved(&summary);
    assert_eq!((number(&summary, "rows"), number(&summary, "rejects")), (2, 1), "{summary}");
    assert!(peak < MEMORY_MAX, "{} MB were resident", peak / 1_000_000);
}

#[test]
fn truncated_gzip_shows_nothing_and_the_repaired_file_completes() {
    let folder = fresh_folder("torn-gzip");
    let (kong, lake) = (folder.join("kong"), folder.join("lake"));
    fs::create_dir_all(&kong).expect("the folder can be made");
    for entry in fs::read_dir(THREE_DAYS.kong()).expect("it is a folder") {
        let from = entry.expect("it is listed").path();
        fs::copy(&from, kong.join(from.file_name().expect("it has a name"))).expect("there is room");
    }
    let last =
        fs::read_dir(&kong).expect("it is a folder").map(|entry| entry.expect("it is listed").path()).max();
    let last = last.expect("there are files");
    let plain = fs::read(&last).expect("it can be read");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).expect("memory can be written");
    let whole = encoder.finish().expect("memory can be written");
    fs::write(&last, &whole[..whole.len() * 2 / 3]).expect("there is room");
    let (synapse, directory) = (THREE_DAYS.synapse(), THREE_DAYS.folder.join("directory"));
    let arguments = [
        "backfill",
        "--json",
        "--kong",
        text(&kong),
        "--synapse",
        text(&synapse),
        "--directory",
        text(&directory),
        "--lake",
        text(&lake),
    ];
    let ended = corridor(arguments).fails_saying("incomplete");
    let problem = ended.json()["problems"][0].as_str().expect("it is told").to_owned();
    assert!(problem.contains(text(&last)), "the problem names the file: {problem}");
    assert!(files(&lake).is_empty(), "nothing may be written");
    fs::write(&last, &whole).expect("there is room");
    assert_conserved(&corridor(arguments).exits(0).json());
    assert_eq!(current_events(&lake), current_events(&UNDISTURBED));
}

#[test]
fn missing_and_unreadable_files_are_named() {
    let folder = fresh_folder("missing");
    let lake = folder.join("lake");
    refused(&folder.join("no-such.log"), &lake, "no-such.log");
    refused(&folder.join("*.none"), &lake, "*.none");
    let link = folder.join("dangling.log");
    symlink(folder.join("gone"), &link).expect("links can be made");
    refused(&link, &lake, "dangling.log");
    let inside = folder.join("inside");
    fs::create_dir(&inside).expect("the folder can be made");
    symlink(folder.join("gone"), inside.join("dangling.log")).expect("links can be made");
    fs::write(inside.join("good.log"), good(1)).expect("the folder is writable");
    refused(&inside, &lake, "dangling.log");
    let locked = folder.join("locked.log");
    fs::write(&locked, good(1)).expect("the folder is writable");
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("it is ours");
    // Root reads everything.
    if File::open(&locked).is_err() {
        refused(&locked, &lake, "locked.log");
    }
    let nothing = corridor(["backfill", "--lake", text(&lake)]).exits(2);
    assert!(nothing.stderr.contains("nothing to read"), "{}", nothing.stderr);
}

#[test]
fn folder_without_files_is_an_error_and_a_pipe_does_not_hang() {
    let folder = fresh_folder("folders");
    let (empty, lake) = (folder.join("empty.log"), folder.join("lake"));
    fs::create_dir(&empty).expect("the folder can be made");
    refused(&empty, &lake, "empty.log");
    let pipe = folder.join("pipe.log");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        refused(&folder, &lake, "pipe.log");
        refused(&folder.join("p*.log"), &lake, "pipe.log");
    }
}

#[test]
fn lake_that_cannot_be_written_is_named() {
    let folder = fresh_folder("no-lake");
    let (file, way) = (folder.join("kong.log"), folder.join("file-in-the-way"));
    fs::write(&file, good(1)).expect("the folder is writable");
    fs::write(&way, "x").expect("the folder is writable");
    for lake in [way.join("lake"), way.clone()] {
        backfill(&file, &lake).fails_saying("file-in-the-way");
    }
    let ended = corridor(["backfill", "--kong", text(&file), "--lake", "ftp://host/lake"]);
    ended.fails_saying("ftp://host/lake");
    let ended = corridor([
        "backfill",
        "--kong",
        text(&file),
        "--lake",
        text(&folder.join("lake")),
        "--spill",
        text(&way),
    ]);
    ended.fails_saying("file-in-the-way");
    let missing = folder.join("no-directory");
    let ended = corridor([
        "backfill",
        "--kong",
        text(&file),
        "--lake",
        text(&folder.join("lake")),
        "--directory",
        text(&missing),
    ]);
    ended.exits(2);
}
