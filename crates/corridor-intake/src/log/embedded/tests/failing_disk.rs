//! Failing disks: each write, sync and cut can fail.

use super::*;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Mutex;

/// What the next operations answer; without a plan they succeed.
#[derive(Clone, Default)]
struct FailingDisk {
    plan: Arc<Mutex<Plan>>,
    /// Syncs wait while a test holds it.
    gate: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Plan {
    /// The write stops after so many bytes.
    writes: VecDeque<(usize, ErrorKind)>,
    syncs: VecDeque<ErrorKind>,
    truncates: VecDeque<ErrorKind>,
    sync_count: usize,
}

impl FailingDisk {
    fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan.lock().unwrap());
    }

    fn sync_count(&self) -> usize {
        self.plan.lock().unwrap().sync_count
    }
}

impl Disk for FailingDisk {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.plan.lock().unwrap().writes.pop_front() {
            None => RealDisk.write(file, bytes, at),
            Some((count, kind)) => {
                RealDisk.write(file, &bytes[..count.min(bytes.len())], at)?;
                Err(kind.into())
            }
        }
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        let failure = {
            let mut plan = self.plan.lock().unwrap();
            plan.sync_count += 1;
            plan.syncs.pop_front()
        };
        drop(self.gate.lock());
        failure.map_or_else(|| RealDisk.sync(file), |kind| Err(kind.into()))
    }

    fn truncate(&mut self, file: &File, len: u64) -> io::Result<()> {
        match self.plan.lock().unwrap().truncates.pop_front() {
            None => RealDisk.truncate(file, len),
            Some(kind) => Err(kind.into()),
        }
    }
}

fn open(folder: &Path) -> (EmbeddedLog, FailingDisk) {
    let disk = FailingDisk::default();
    let log = EmbeddedLog::open_on(small_config(folder, 2, 1 << 20), Box::new(disk.clone())).unwrap();
    (log, disk)
}

async fn append(log: &EmbeddedLog, text: &str) -> Result<(), LogError> {
    log.append(vec![record(0, text.to_owned()), record(1, "x")]).await
}

async fn reopened_texts(log: EmbeddedLog, folder: &Path) -> Vec<String> {
    drop(log);
    texts(&read_all(&open(folder).0, 0).await)
}

#[tokio::test]
async fn full_disk_refuses_the_append_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open(folder.path());
    append(&log, "a").await.unwrap();
    let len = log.disk_bytes();
    for count in [0, 1, 50, 90, 10_000] {
        disk.plan(|plan| plan.writes.push_back((count, ErrorKind::StorageFull)));
        let error = append(&log, "refused").await.unwrap_err();
        assert!(matches!(error, LogError::Full(_)), "{error}");
        assert_eq!(log.shared.state().segments[0].file.metadata().unwrap().len(), len);
    }
    disk.plan(|plan| plan.syncs.push_back(ErrorKind::QuotaExceeded));
    assert!(matches!(append(&log, "refused").await, Err(LogError::Full(_))));
    append(&log, "b").await.unwrap();
    assert_eq!(texts(&read_all(&log, 0).await), ["a", "b"]);
    assert_eq!(reopened_texts(log, folder.path()).await, ["a", "b"]);
}

#[tokio::test]
async fn failed_sync_ends_the_log_and_readers_do_not_see_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open(folder.path());
    append(&log, "a").await.unwrap();
    disk.plan(|plan| {
        plan.syncs.push_back(ErrorKind::Other);
        plan.truncates.push_back(ErrorKind::Other);
    });
    let error = append(&log, "unknown").await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable(_)), "{error}");
    let error = append(&log, "later").await.unwrap_err();
    assert!(matches!(error, LogError::Unusable(_)), "{error}");
    assert!(error.to_string().contains("takes no more records"), "{error}");
    assert_eq!(texts(&read_all(&log, 0).await), ["a"]);
    assert_eq!(reopened_texts(log, folder.path()).await, ["a", "unknown"], "its outcome was unknown");
}

#[tokio::test]
async fn failed_write_or_failed_cut_ends_the_log_and_keeps_what_was_acknowledged() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        let folder = tempfile::tempdir().unwrap();
        let (log, disk) = open(folder.path());
        append(&log, "a").await.unwrap();
        disk.plan(|plan| {
            plan.writes.push_back((60, kind));
            plan.truncates.push_back(ErrorKind::Other);
        });
        assert!(matches!(append(&log, "torn").await, Err(LogError::Unavailable(_))));
        assert!(matches!(append(&log, "later").await, Err(LogError::Unusable(_))));
        assert_eq!(reopened_texts(log, folder.path()).await, ["a"]);
    }
}

#[tokio::test]
async fn segment_that_cannot_be_made_is_tried_again_at_the_next_append() {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open(folder.path());
    append(&log, &"a".repeat(2_000)).await.unwrap();
    disk.plan(|plan| plan.writes.push_back((10, ErrorKind::StorageFull)));
    assert!(matches!(append(&log, "refused").await, Err(LogError::Full(_))));
    disk.plan(|plan| plan.syncs.push_back(ErrorKind::Other));
    assert!(matches!(append(&log, "refused").await, Err(LogError::Unavailable(_))));
    append(&log, "b").await.unwrap();
    assert_eq!(log.shared.state().segments.len(), 2);
    assert_eq!(reopened_texts(log, folder.path()).await, ["a".repeat(2_000), "b".to_owned()]);
}

#[tokio::test]
async fn readers_and_appenders_learn_that_the_log_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = open(folder.path());
    append(&log, "a").await.unwrap();
    let mut reader = log.reader(0, 0).await.unwrap();
    drop(log);
    assert_eq!(texts(&reader.read(100, LONG).await.unwrap()), ["a"], "what is there can still be read");
    assert!(matches!(reader.read(100, LONG).await, Err(LogError::Unavailable(_))));
}

#[tokio::test]
async fn log_is_not_opened_before_its_last_group_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = open(folder.path());
    append(&log, "a").await.unwrap();
    drop(log);
    let disk = FailingDisk::default();
    disk.plan(|plan| plan.syncs.push_back(ErrorKind::Other));
    let error = EmbeddedLog::open_on(small_config(folder.path(), 2, 1 << 20), Box::new(disk)).err().unwrap();
    assert!(error.to_string().starts_with("sync "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_or_shown_before_its_sync_and_one_sync_serves_all_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (log, disk) = open(folder.path());
    let log = Arc::new(log);
    let mut reader = log.reader(0, 0).await.unwrap();
    let before = disk.sync_count();
    let spawn = |text: String| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { append(&log, &text).await })
    };
    let appends = {
        let gate = disk.gate.lock().unwrap();
        let mut appends = vec![spawn("first".to_owned())];
        while disk.sync_count() == before {
            std::thread::yield_now();
        }
        appends.extend((0..100).map(|index| spawn(index.to_string())));
        while log.requests.as_ref().unwrap().capacity() > WAITING_MAX - 100 {
            std::thread::yield_now();
        }
        assert!(appends.iter().all(|append| !append.is_finished()));
        assert_eq!(log.shared.end(0), 0, "readers do not see it");
        drop(gate);
        appends
    };
    for append in appends {
        append.await.unwrap().unwrap();
    }
    assert_eq!(disk.sync_count(), before + 2, "one for the first, one for the hundred");
    let mut seen = 0;
    while seen < 101 {
        seen += reader.read(1_000, LONG).await.unwrap().len();
    }
}
