//! Owner: the shards that are given to this worker run, and no others.
//!
//! - In: which shards the worker owns, as that changes.
//! - Out: one running task for each of them.
//! - Invariants: a shard that is taken away has ended before that is confirmed. A task that lost its shard to another
//!   writer, or failed on something outside, begins again from its chain as long as the shard is owned.

use super::shard_task::{ShardEnd, ShardTask};
use super::status::{ShardPhase, ShardStatus};
use super::stop::{Stop, Stopper, stopper};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Pause before a task begins again, doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LONGEST: Duration = Duration::from_secs(15);

/// What the membership says.
#[derive(Debug)]
pub enum Assignment {
    /// The worker owns these, too.
    Given(BTreeSet<u32>),
    /// The worker shall let these go, and say when it has.
    Taken(BTreeSet<u32>, oneshot::Sender<()>),
}

/// The running shards.
pub struct Owner {
    task: Arc<ShardTask>,
    running: BTreeMap<u32, Running>,
}

struct Running {
    stopper: Stopper,
    handle: JoinHandle<()>,
}

impl Owner {
    /// Without shards; `task` runs each of them.
    pub fn new(task: ShardTask) -> Self {
        Self { task: Arc::new(task), running: BTreeMap::new() }
    }

    /// Follows the assignments until they end or the stop is asked; then every shard ends.
    pub async fn run(mut self, mut assignments: tokio::sync::mpsc::Receiver<Assignment>, mut stop: Stop) {
        loop {
            let assignment = tokio::select! {
                assignment = assignments.recv() => assignment,
                () = stop.asked() => None,
            };
            match assignment {
                Some(Assignment::Given(shards)) => shards.into_iter().for_each(|shard| self.begin(shard)),
                Some(Assignment::Taken(shards, done)) => {
                    self.end(&shards).await;
                    // Whoever asked may have given up waiting.
                    let _ = done.send(());
                }
                None => break,
            }
        }
        let all = self.running.keys().copied().collect();
        self.end(&all).await;
    }

    fn begin(&mut self, shard: u32) {
        if self.running.contains_key(&shard) {
            return;
        }
        let (stopper, stop) = stopper();
        let handle = tokio::spawn(keep_running(Arc::clone(&self.task), shard, stop));
        self.running.insert(shard, Running { stopper, handle });
    }

    /// Ends these at the same time.
    async fn end(&mut self, shards: &BTreeSet<u32>) {
        let ending: Vec<_> = shards.iter().filter_map(|shard| self.running.remove(shard)).collect();
        ending.iter().for_each(|running| running.stopper.stop());
        for running in ending {
            if let Err(error) = running.handle.await {
                tracing::error!(%error, "a shard's task broke off; its chain tells the next owner where it was");
            }
        }
        shards.iter().for_each(|shard| self.task.board.remove(*shard));
    }
}

/// Runs a shard until it is taken away, beginning again after every end that is not final.
async fn keep_running(task: Arc<ShardTask>, shard: u32, mut stop: Stop) {
    let mut pause = PAUSE_FIRST;
    loop {
        let began = tokio::time::Instant::now();
        let (phase, message) = match task.run(shard, stop.clone()).await {
            ShardEnd::Asked => return,
            ShardEnd::Lost => {
                (ShardPhase::Recovering, "another writer has claimed; recovering from the chain".to_owned())
            }
            ShardEnd::Failed(error) => (ShardPhase::Retrying, format!("{error:#}")),
            ShardEnd::Stopped(error) => (ShardPhase::Stopped, format!("{error:#}")),
        };
        match phase {
            ShardPhase::Recovering => tracing::warn!(shard, "{message}"),
            _ => tracing::error!(shard, "{message}"),
        }
        task.board.put(ShardStatus { phase, message: Some(message), ..ShardStatus::new(shard) });
        if phase == ShardPhase::Stopped {
            return stop.asked().await;
        }
        if began.elapsed() > PAUSE_LONGEST {
            pause = PAUSE_FIRST;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_LONGEST),
            () = stop.asked() => return,
        }
    }
}
