//! Damaged files: what a crash leaves is cut, anything else is named.

use super::super::segment::Segment;
use super::*;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

/// A log of one segment after a crash: no closing mark. Gives the file, the ends of its groups, and its records.
async fn crashed_log(folder: &Path, sizes: &[usize]) -> (PathBuf, Vec<u64>, Vec<StoredRecord>) {
    let log = EmbeddedLog::open(config(folder, 2)).unwrap();
    let mut ends = vec![log.disk_bytes()];
    for (index, size) in sizes.iter().enumerate() {
        let payload = |shard: u8| vec![index as u8 ^ shard; *size];
        log.append(vec![record(0, payload(0)), record(1, payload(1)), record(0, payload(2))]).await.unwrap();
        ends.push(log.disk_bytes());
    }
    let records = read_all(&log, 0).await;
    drop(log);
    let path = recovery::segment_paths(folder).unwrap().remove(0);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(*ends.last().unwrap()).unwrap();
    (path, ends, records)
}

#[tokio::test]
async fn file_cut_at_any_length_keeps_every_whole_group_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends, records) = crashed_log(folder.path(), &[10, 0, 33, 5]).await;
    let whole = fs::read(&path).unwrap();
    for len in ends[0]..=ends[4] {
        fs::write(&path, &whole[..len as usize]).unwrap();
        let groups = ends.iter().filter(|end| **end <= len).count() - 1;
        let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
        assert_eq!(read_all(&log, 0).await, records[..groups * 2], "cut at {len}");
        log.append(vec![record(0, "after")]).await.unwrap();
        assert_eq!(read_all(&log, 0).await.last().unwrap().payload, "after");
    }
}

#[tokio::test]
async fn file_cut_inside_its_header_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends, _) = crashed_log(folder.path(), &[10]).await;
    let whole = fs::read(&path).unwrap();
    for len in 0..ends[0] {
        fs::write(&path, &whole[..len as usize]).unwrap();
        let error = EmbeddedLog::open(config(folder.path(), 2)).err().unwrap().to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
    }
}

/// What a log may do with a file in which bytes were changed.
fn assert_nothing_acknowledged_is_lost_silently(
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    records: &[StoredRecord],
    whole_groups: usize,
) -> Result<(), TestCaseError> {
    match EmbeddedLog::open(config(folder, 2)) {
        Ok(log) => {
            let found = runtime.block_on(read_all(&log, 0));
            prop_assert!(found.len() >= whole_groups * 2, "{} of {whole_groups} groups", found.len());
            prop_assert_eq!(&found[..], &records[..found.len()]);
        }
        Err(error) => prop_assert!(error.to_string().contains("at byte"), "{}", error),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn changed_bytes_never_give_a_record_that_was_not_written(
        sizes in prop::collection::vec(0..300_usize, 1..6),
        at in 0.0..1.0_f64,
        change in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, ends, records) = runtime.block_on(crashed_log(folder.path(), &sizes));
        let mut bytes = fs::read(&path).unwrap();
        let last = ends[ends.len() - 1];
        let at = ends[0] + ((last - ends[0]) as f64 * at) as u64;
        for (byte, change) in bytes[at as usize..].iter_mut().zip(&change) {
            *byte ^= change;
        }
        fs::write(&path, &bytes).unwrap();
        // All groups but the last one in front of the damage were followed by another: they must all be there, or it is an error.
        let whole_groups = ends.iter().filter(|end| **end <= at).count() - 1;
        assert_nothing_acknowledged_is_lost_silently(&runtime, folder.path(), &records, whole_groups)?;
    }

    #[test]
    fn anything_behind_the_last_group_is_cut(tail in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, _, records) = runtime.block_on(crashed_log(folder.path(), &[10, 20]));
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(&tail);
        fs::write(&path, &bytes).unwrap();
        let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
        prop_assert_eq!(runtime.block_on(read_all(&log, 0)), records);
    }
}

/// Changes one byte of a file.
fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn damage_before_durable_groups_is_an_error_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends, _) = crashed_log(folder.path(), &[10, 4, 4]).await;
    for at in ends[0]..ends[1] {
        flip(&path, at);
        let error = EmbeddedLog::open(config(folder.path(), 2)).err().unwrap().to_string();
        assert!(error.contains(&format!("at byte {}", ends[0])), "{error}");
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        flip(&path, at);
    }
    EmbeddedLog::open(config(folder.path(), 2)).unwrap();
}

#[tokio::test]
async fn damage_of_the_last_group_is_an_error_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends, _) = crashed_log(folder.path(), &[10, 4]).await;
    let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
    log.append(vec![record(0, "the last")]).await.unwrap();
    drop(log);
    flip(&path, ends[2] + 70);
    let error = EmbeddedLog::open(config(folder.path(), 2)).err().unwrap().to_string();
    assert!(error.contains(&format!("at byte {}", ends[2])), "{error}");
}

/// Three segments and more.
async fn several_segments(folder: &Path) -> Vec<PathBuf> {
    let log = EmbeddedLog::open(small_config(folder, 2, 1 << 20)).unwrap();
    for _ in 0..30 {
        log.append(vec![record(0, vec![7; 100])]).await.unwrap();
    }
    drop(log);
    recovery::segment_paths(folder).unwrap()
}

#[tokio::test]
async fn damage_in_an_earlier_segment_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let paths = several_segments(folder.path()).await;
    flip(&paths[1], 500);
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
    let mut reader = log.reader(0, 0).await.unwrap();
    let error = loop {
        match reader.read(100, NO_PATIENCE).await {
            Ok(records) => assert!(records.iter().all(|record| record.payload == vec![7; 100])),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Unusable(_)));
    assert!(error.to_string().contains(&format!("{} at byte", paths[1].display())), "{error}");
}

#[tokio::test]
async fn earlier_segment_that_is_cut_or_missing_or_renamed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let paths = several_segments(folder.path()).await;
    let open =
        || EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).err().map(|error| error.to_string());
    let whole = fs::read(&paths[1]).unwrap();
    fs::write(&paths[1], &whole[..whole.len() - 1]).unwrap();
    assert!(open().unwrap().contains("another length than when it was finished"));
    fs::rename(&paths[1], folder.path().join("aside")).unwrap();
    assert!(open().unwrap().contains("segments between them are missing"));
    fs::copy(&paths[2], &paths[1]).unwrap();
    assert!(open().unwrap().contains("the segment was renamed"));
    fs::write(&paths[1], whole).unwrap();
    assert_eq!(open(), None);
}

#[tokio::test]
async fn crash_while_a_segment_is_made_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let paths = several_segments(folder.path()).await;
    let unpublished =
        Segment::path_of(folder.path(), paths.len() as u64 + 1).with_extension(disk::UNPUBLISHED);
    fs::write(&unpublished, b"half a head").unwrap();
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
    assert_eq!(read_all(&log, 0).await.len(), 30);
    assert!(!unpublished.exists());
}

#[tokio::test]
async fn payload_that_holds_a_copy_of_the_log_is_no_group() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _, _) = crashed_log(folder.path(), &[10, 4, 4]).await;
    let copy = fs::read(&path).unwrap();
    let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
    log.append(vec![record(0, copy)]).await.unwrap();
    let len = log.disk_bytes();
    drop(log);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(len - 1).unwrap();
    let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
    assert_eq!(log.bounds(0).await.unwrap().end, 6, "the torn copy is cut, not taken for durable groups");
}

#[tokio::test]
async fn making_that_was_interrupted_is_done_again_but_lost_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedLog::open(config(folder.path(), 2));
    let log = open().unwrap();
    let before = log.identity();
    drop(log);
    let description = folder.path().join("log.json");
    fs::remove_file(&description).unwrap();
    let log = open().unwrap();
    assert_ne!(log.identity(), before, "nothing was in it, so another log is made");
    log.append(vec![record(0, "x")]).await.unwrap();
    drop(log);
    let aside = folder.path().join("aside");
    fs::rename(&description, &aside).unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("the description of its log is missing"), "{error}");
    fs::rename(&aside, &description).unwrap();
    open().unwrap();
    fs::remove_file(&recovery::segment_paths(folder.path()).unwrap()[0]).unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("segments are missing"), "{error}");
}
