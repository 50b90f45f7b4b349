//! The faulty log in front of an embedded one.

use super::*;
use bytes::Bytes;
use corridor_intake::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use corridor_model::Micros;
use std::collections::HashMap;
use std::path::Path;

fn faulty(folder: &Path, seed: u64, faults: LogFaults) -> FaultyLog {
    let config = EmbeddedLogConfig::new(folder, 2, Arc::new(|| Micros(1)));
    FaultyLog::new(Arc::new(EmbeddedLog::open(config).unwrap()), seed, faults)
}

/// Three records, told apart by the number and their place.
fn records(number: usize) -> Vec<NewRecord> {
    let record = |part: u32| NewRecord {
        shard: part % 2,
        key: Bytes::new(),
        payload: format!("{number}/{part}").into(),
    };
    (0..3).map(record).collect()
}

/// How often each payload is in the log, read through all faults.
async fn counts(log: &FaultyLog) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for shard in 0..2 {
        let mut reader = log.reader(shard, 0).await.unwrap();
        let mut next = 0;
        while next < log.bounds(shard).await.unwrap().end {
            for record in reader.read(100, Duration::from_secs(20)).await.unwrap_or_default() {
                assert_eq!(record.offset, next, "a failed read has not moved the reader");
                next += 1;
                *counts.entry(String::from_utf8(record.payload.to_vec()).unwrap()).or_default() += 1;
            }
        }
    }
    counts
}

async fn run(seed: u64) -> (Vec<bool>, HashMap<String, usize>, InjectedFaults) {
    let folder = tempfile::tempdir().unwrap();
    let log = faulty(folder.path(), seed, LogFaults::all(100, Duration::from_micros(50)));
    let mut outcomes = Vec::new();
    for number in 0..200 {
        outcomes.push(log.append(records(number)).await.is_ok());
    }
    let counts = counts(&log).await;
    (outcomes, counts, log.injected())
}

#[tokio::test]
async fn every_fault_comes_and_what_was_acknowledged_is_there() {
    let (outcomes, counts, injected) = run(7).await;
    let InjectedFaults {
        append_refused,
        append_full,
        append_reply_lost,
        append_partial,
        append_doubled,
        read_failed,
        delayed,
    } = injected;
    for count in
        [append_refused, append_full, append_reply_lost, append_partial, append_doubled, read_failed, delayed]
    {
        assert!(count > 0, "{injected:?}");
    }
    for number in (0..outcomes.len()).filter(|number| outcomes[*number]) {
        assert!((0..3).all(|part| counts.contains_key(&format!("{number}/{part}"))), "{number}");
    }
    assert_eq!(counts.values().filter(|count| **count == 2).count() as u64, append_doubled * 3);
}

#[tokio::test]
async fn same_seed_gives_the_same_faults() {
    assert_eq!(run(1).await.0, run(1).await.0);
    assert_ne!(run(1).await.0, run(2).await.0);
}

#[tokio::test]
async fn each_append_fault_does_what_its_name_says() {
    let cases = [
        ("refused", LogFaults { append_refused: 1_000, ..LogFaults::default() }, false, 0..=0),
        ("full", LogFaults { append_full: 1_000, ..LogFaults::default() }, false, 0..=0),
        ("reply lost", LogFaults { append_reply_lost: 1_000, ..LogFaults::default() }, false, 3..=3),
        ("partial", LogFaults { append_partial: 1_000, ..LogFaults::default() }, false, 0..=2),
        ("doubled", LogFaults { append_doubled: 1_000, ..LogFaults::default() }, true, 6..=6),
        ("none", LogFaults::default(), true, 3..=3),
    ];
    for (name, faults, is_ok, appended) in cases {
        let folder = tempfile::tempdir().unwrap();
        let log = faulty(folder.path(), 3, faults);
        let outcome = log.append(records(0)).await;
        assert_eq!(outcome.is_ok(), is_ok, "{name}");
        assert_eq!(matches!(outcome, Err(LogError::Full(_))), name == "full");
        log.set_faults(LogFaults::default());
        let found: usize = counts(&log).await.values().sum();
        assert!(appended.contains(&found), "{name}: {found}");
    }
}
