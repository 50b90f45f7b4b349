//! The embedded log on a file system that is really full.

use corridor_intake::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use corridor_intake::log::{Log, LogError, NewRecord};
use corridor_model::Micros;
use corridor_tests::small_disk::SmallDisk;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn open(folder: &Path) -> EmbeddedLog {
    let mut config = EmbeddedLogConfig::new(folder, 1, Arc::new(|| Micros(1)));
    config.segment_bytes = 200_000;
    EmbeddedLog::open(config).expect("the log opens")
}

async fn append(log: &EmbeddedLog, number: u8) -> Result<(), LogError> {
    let record = NewRecord { shard: 0, key: Vec::new().into(), payload: vec![number; 3_000].into() };
    log.append(vec![record]).await
}

/// Appends until the log refuses; gives how many it took, and the error.
async fn fill(log: &EmbeddedLog, taken: usize) -> (usize, LogError) {
    for number in taken.. {
        if let Err(error) = append(log, number as u8).await {
            return (number, error);
        }
    }
    unreachable!("numbers do not end")
}

async fn assert_holds(log: &EmbeddedLog, from: usize, until: usize) {
    let mut reader = log.reader(0, from as u64).await.expect("it is kept");
    let mut next = from;
    while next < until {
        for record in reader.read(100_000, Duration::from_secs(20)).await.expect("it can be read") {
            assert_eq!((record.offset, &record.payload[..]), (next as u64, &[next as u8; 3_000][..]));
            next += 1;
        }
    }
    assert_eq!(log.bounds(0).await.expect("the shard exists").end, until as u64);
}

/// Where nothing can be mounted, the same is shown with injected errors beside the log itself.
#[tokio::test]
async fn full_disk_refuses_appends_until_there_is_room_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 1_000) else { return };
    let log = open(folder.path());
    let (first, error) = fill(&log, 0).await;
    assert!(matches!(error, LogError::Full(_)) && first > 200, "{first}: {error}");
    assert!(append(&log, 0).await.is_err(), "it is still full");
    disk.grow(2_000);
    let (second, error) = fill(&log, first).await;
    assert!(matches!(error, LogError::Full(_)) && second > first + 200, "{second}: {error}");
    assert_holds(&log, 0, second).await;
    drop(log);
    let log = open(folder.path());
    assert_holds(&log, 0, second).await;
    log.release(0, 300).await.expect("a release works on a full disk");
    let (third, _) = fill(&log, second).await;
    assert!(third > second + 200, "{third}");
    assert_holds(&log, 300, third).await;
    drop(log);
    assert_holds(&open(folder.path()), 300, third).await;
    drop(disk);
}
