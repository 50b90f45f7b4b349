//! Tests of the embedded log on real files; `torn.rs` damages them, `failing_disk.rs` fails the writes.

mod failing_disk;
mod torn;

use super::*;
use crate::log::StoredRecord;
use bytes::Bytes;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const NO_PATIENCE: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

/// A clock that goes on by one microsecond at each look.
fn ticking_clock() -> Clock {
    let now = AtomicI64::new(1_000);
    Arc::new(move || Micros(now.fetch_add(1, Ordering::Relaxed)))
}

fn config(folder: &Path, shard_count: u32) -> EmbeddedLogConfig {
    EmbeddedLogConfig::new(folder, shard_count, ticking_clock())
}

/// A log that begins a new segment after each kilobyte.
fn small_config(folder: &Path, shard_count: u32, bytes_max: u64) -> EmbeddedLogConfig {
    EmbeddedLogConfig { bytes_max, segment_bytes: 1_000, ..config(folder, shard_count) }
}

fn record(shard: u32, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord { shard, key: Bytes::new(), payload: payload.into() }
}

async fn read_from(log: &EmbeddedLog, shard: u32, from: u64, bytes_max: usize) -> Vec<StoredRecord> {
    let end = log.bounds(shard).await.unwrap().end;
    let mut reader = log.reader(shard, from).await.unwrap();
    let mut records = Vec::new();
    while records.last().is_none_or(|last: &StoredRecord| last.offset + 1 < end) && from < end {
        let found = reader.read(bytes_max, LONG).await.unwrap();
        assert!(!found.is_empty(), "records up to {end} are promised");
        records.extend(found);
    }
    records
}

async fn read_all(log: &EmbeddedLog, shard: u32) -> Vec<StoredRecord> {
    let start = log.bounds(shard).await.unwrap().start;
    read_from(log, shard, start, 1 << 20).await
}

fn texts(records: &[StoredRecord]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_appends_keep_the_order_of_each_task_in_each_shard() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(small_config(folder.path(), 3, 1 << 20)).unwrap());
    let tasks = (0..8).map(|task| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for index in 0..20 {
                let records = (0..3).map(|shard| record(shard, format!("{task}/{index:03}"))).collect();
                log.append(records).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for shard in 0..3 {
        let records = read_all(&log, shard).await;
        assert!(records.iter().map(|record| record.offset).eq(0..160));
        assert!(records.is_sorted_by_key(|record| record.append_time));
        for task in 0..8 {
            let prefix = format!("{task}/");
            let mine: Vec<String> =
                texts(&records).into_iter().filter(|text| text.starts_with(&prefix)).collect();
            assert_eq!(mine.len(), 20);
            assert!(mine.is_sorted());
        }
    }
    assert!(log.shared.state().segments.len() > 3, "the test covers several segments");
}

#[tokio::test]
async fn reopened_log_gives_the_same_records_times_and_offsets_and_continues() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = Vec::new();
    let mut identity = None;
    for round in 0..4 {
        let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
        assert_eq!(*identity.get_or_insert_with(|| log.identity()), log.identity());
        assert_eq!(read_all(&log, 1).await, before, "round {round}");
        for index in 0..30 {
            log.append(vec![record(0, "other"), record(1, format!("{round} {index} {}", "x".repeat(index)))])
                .await
                .unwrap();
        }
        before = read_all(&log, 1).await;
        assert!(before.is_sorted_by_key(|record| record.append_time));
        assert_eq!(log.bounds(1).await.unwrap(), Bounds { start: 0, end: 30 * (round + 1) });
    }
}

#[tokio::test]
async fn reading_from_any_offset_with_any_size_gives_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
    for count in 0..12_usize {
        let records = (0..count * 3).map(|index| record((index % 2) as u32, vec![count as u8; index * 7]));
        log.append(records.collect()).await.unwrap();
    }
    let all = read_all(&log, 1).await;
    for from in 0..all.len() {
        for bytes_max in [0, 1, 50, 1_000, 100_000] {
            assert_eq!(read_from(&log, 1, from as u64, bytes_max).await, all[from..], "{from} {bytes_max}");
        }
    }
}

#[tokio::test]
async fn calls_are_bounded_but_a_record_larger_than_the_bound_comes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(config(folder.path(), 1)).unwrap();
    let small = || (0..10).map(|_| record(0, vec![1; 100]));
    let large = record(0, vec![2; PAYLOAD_BYTES_MAX]);
    log.append(small().chain([large]).chain(small()).collect()).await.unwrap();
    let mut reader = log.reader(0, 0).await.unwrap();
    let mut counts = Vec::new();
    for _ in 0..7 {
        counts.push(reader.read(400, NO_PATIENCE).await.unwrap().len());
    }
    assert_eq!(counts, [4, 4, 2, 1, 4, 4, 2]);
    let too_large = vec![record(0, vec![2; PAYLOAD_BYTES_MAX + 1])];
    assert!(matches!(log.append(too_large).await, Err(LogError::Unusable(_))));
}

#[tokio::test]
async fn reader_waits_for_a_record_and_loses_none_when_its_call_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(config(folder.path(), 2)).unwrap());
    let mut reader = log.reader(1, 0).await.unwrap();
    assert!(reader.read(1_000, NO_PATIENCE).await.unwrap().is_empty());
    let appender = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for index in 0..200 {
                log.append(vec![record(0, "other"), record(1, index.to_string())]).await.unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 200 {
        // Some calls are dropped in the middle of their work.
        let call = tokio::time::timeout(Duration::from_micros(200), reader.read(64, LONG)).await;
        seen.extend(call.unwrap_or(Ok(Vec::new())).unwrap());
    }
    appender.await.unwrap();
    assert_eq!(texts(&seen), (0..200).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn second_opener_and_other_shard_count_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(config(folder.path(), 2)).unwrap();
    let error = EmbeddedLog::open(config(folder.path(), 2)).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(log);
    let error = EmbeddedLog::open(config(folder.path(), 3)).err().unwrap().to_string();
    assert!(error.contains("made with 2 shards and cannot be opened with 3"), "{error}");
    EmbeddedLog::open(config(folder.path(), 2)).unwrap();
}

#[tokio::test]
async fn full_log_refuses_until_a_release_makes_room_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 10_000)).unwrap();
    let mut appended = 0;
    let error = loop {
        match log.append(vec![record(0, vec![7; 300]), record(1, "x")]).await {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full(_)), "{error}");
    assert!(appended > 20 && log.disk_bytes() <= 10_000, "{appended} appends, {} bytes", log.disk_bytes());
    assert_eq!(read_all(&log, 0).await.len(), appended);
    log.release(0, 15).await.unwrap();
    assert!(log.append(vec![record(0, vec![7; 300])]).await.is_err(), "the other shard still needs them");
    log.release(1, 15).await.unwrap();
    log.append(vec![record(0, vec![7; 300])]).await.unwrap();
    assert_eq!(log.bounds(0).await.unwrap(), Bounds { start: 15, end: appended as u64 + 1 });
    let file_bytes: u64 = recovery::segment_paths(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert_eq!(file_bytes, log.disk_bytes());
}

#[tokio::test]
async fn small_log_that_is_released_whole_takes_records_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(small_config(folder.path(), 1, 2_000)).unwrap();
    for offset in 0..50 {
        log.append(vec![record(0, vec![7; 1_200])]).await.unwrap();
        log.release(0, offset + 1).await.unwrap();
    }
    assert_eq!(log.bounds(0).await.unwrap(), Bounds { start: 50, end: 50 });
    let never = log.append(vec![record(0, vec![7; 2_000])]).await;
    assert!(matches!(never, Err(LogError::Unusable(_))));
}

#[tokio::test]
async fn released_offsets_are_gone_for_new_and_old_readers_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
    for _ in 0..40 {
        log.append(vec![record(0, vec![7; 100]), record(1, vec![7; 100])]).await.unwrap();
    }
    let mut slow = log.reader(0, 3).await.unwrap();
    let mut ahead = log.reader(0, 30).await.unwrap();
    assert_eq!(ahead.read(100, NO_PATIENCE).await.unwrap()[0].offset, 30);
    log.release(0, 31).await.unwrap();
    log.release(1, 31).await.unwrap();
    log.release(0, 5).await.unwrap();
    let gone = slow.read(1_000, NO_PATIENCE).await.unwrap_err();
    assert!(matches!(gone, LogError::Gone { shard: 0, asked: 3, start: 31 }), "{gone}");
    assert_eq!(ahead.read(100, NO_PATIENCE).await.unwrap()[0].offset, 31);
    drop(log);
    let log = EmbeddedLog::open(small_config(folder.path(), 2, 1 << 20)).unwrap();
    assert_eq!(log.bounds(0).await.unwrap(), Bounds { start: 31, end: 40 });
    let gone = log.reader(0, 30).await.err().unwrap();
    assert!(matches!(gone, LogError::Gone { shard: 0, asked: 30, start: 31 }), "{gone}");
    assert_eq!(read_all(&log, 1).await.len(), 9);
    assert!(log.shared.state().segments[0].header.next_offsets[0] > 20, "released segments are deleted");
}

#[tokio::test]
async fn offset_beyond_the_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(config(folder.path(), 1)).unwrap();
    let error = log.reader(0, 1).await.err().unwrap();
    assert!(error.to_string().contains("ends at offset 0, and offset 1 is asked for"), "{error}");
}

#[tokio::test]
async fn append_times_never_fall_though_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let times = [50, 70, 60, 10, 80];
    let mut seen = Vec::new();
    for time in times {
        let config = EmbeddedLogConfig::new(folder.path(), 1, Arc::new(move || Micros(time)));
        let log = EmbeddedLog::open(config).unwrap();
        log.append(vec![record(0, "x")]).await.unwrap();
        seen = read_all(&log, 0).await;
    }
    let seen: Vec<i64> = seen.iter().map(|record| record.append_time.0).collect();
    assert_eq!(seen, [50, 70, 70, 70, 80]);
}
