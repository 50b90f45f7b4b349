//! A process that appends is killed again and again; what it was told to be durable is there.

use bytes::Bytes;
use corridor_intake::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use corridor_intake::log::{Log, NewRecord};
use corridor_model::Micros;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const CHILD: &str = "CORRIDOR_TEST_LOG_FOLDER";
const ROUND: &str = "CORRIDOR_TEST_LOG_ROUND";
const SHARDS: u32 = 3;
const TASKS: u32 = 4;

fn open(folder: &Path) -> EmbeddedLog {
    let mut config = EmbeddedLogConfig::new(folder, SHARDS, Arc::new(|| Micros(1)));
    config.segment_bytes = 100_000;
    EmbeddedLog::open(config).expect("the log opens after every kill")
}

/// Not a test by itself: the process that is killed. It tells each append that returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var(CHILD), std::env::var(ROUND)) else { return };
    let log = Arc::new(open(Path::new(&folder)));
    let tasks =
        (0..TASKS).map(|task| tokio::spawn(append_for_ever(Arc::clone(&log), format!("{round}/{task}"))));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn append_for_ever(log: Arc<EmbeddedLog>, name: String) {
    for index in 0_usize.. {
        let text = format!("{name}/{index}\n{}", "x".repeat(index * 37 % 3_000));
        let record = |shard| NewRecord { shard, key: Bytes::new(), payload: text.clone().into() };
        log.append((0..SHARDS).map(record).collect()).await.expect("there is room");
        // In one write, so that lines of several tasks do not mix.
        let line = format!("acked {name}/{index}\n");
        std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
    }
}

/// Kills the child after so many acknowledgements; gives all that were told.
fn acked_before_kill(folder: &Path, round: usize, kill_after: usize) -> HashSet<String> {
    let mut child = Command::new(std::env::current_exe().expect("a test knows its program"))
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut acked = HashSet::new();
    for line in lines {
        // The last line may be cut by the kill.
        let Some(name) = line.ok().and_then(|line| line.strip_prefix("acked ").map(str::to_owned)) else {
            continue;
        };
        acked.insert(name);
        if acked.len() == kill_after {
            child.kill().expect("the child can be killed");
        }
    }
    child.wait().expect("the child ended");
    acked
}

/// Names of the records of a shard from an offset on.
async fn names(log: &EmbeddedLog, shard: u32, from: u64) -> Vec<String> {
    let end = log.bounds(shard).await.expect("the shard exists").end;
    let mut reader = log.reader(shard, from).await.expect("it is kept");
    let mut names = Vec::new();
    while from + (names.len() as u64) < end {
        for record in reader.read(50_000, Duration::from_secs(20)).await.expect("it can be read") {
            let text = String::from_utf8(record.payload.to_vec()).expect("what was written is text");
            names.push(text.lines().next().unwrap_or_default().to_owned());
        }
    }
    names
}

#[tokio::test]
async fn every_acknowledged_record_is_there_after_kills_and_none_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let mut ends = [0; SHARDS as usize];
    for (round, kill_after) in [1, 40, 400, 900, 7].into_iter().enumerate() {
        let acked = acked_before_kill(folder.path(), round, kill_after);
        assert!(acked.len() >= kill_after, "round {round}: {} acknowledged", acked.len());
        let log = open(folder.path());
        let first = names(&log, 0, ends[0]).await;
        let found: HashSet<&String> = first.iter().collect();
        assert_eq!(found.len(), first.len(), "round {round}: doubled");
        assert!(acked.iter().all(|name| found.contains(name)), "round {round}: lost");
        assert!(found.len() <= acked.len() + 2 * TASKS as usize, "round {round}: more than was asked for");
        for shard in 0..SHARDS {
            let end = &mut ends[shard as usize];
            assert_eq!(names(&log, shard, *end).await, first, "an append is whole in every shard or in none");
            *end += first.len() as u64;
            log.release(shard, *end / 2).await.unwrap();
        }
    }
}
