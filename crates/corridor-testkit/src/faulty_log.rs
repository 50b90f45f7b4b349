//! Faulty log: a real log whose calls fail, before they are done and after.
//!
//! - In: a log, and how often each fault comes.
//! - Out: the same log, with errors, lost replies, partial appends, copies and delays.
//! - Keeps: the random sequence, and how often each fault came.
//! - Invariants: an append that returns Ok was done whole, at least once. A read that fails has not moved its reader. The records of an
//!   append keep their order.

#[cfg(test)]
mod tests;

use crate::seeded::Seeded;
use async_trait::async_trait;
use corridor_intake::log::{Bounds, Log, LogError, LogIdentity, LogReader, NewRecord, StoredRecord};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often each fault comes, in 1,000 calls. The default has none.
#[derive(Debug, Clone, Default)]
pub struct LogFaults {
    /// The append is not done, and fails.
    pub append_refused: u32,
    /// The append is not done, and says that the log is full.
    pub append_full: u32,
    /// The append is done, and fails: the reply was lost.
    pub append_reply_lost: u32,
    /// Some of the records are appended, and the append fails.
    pub append_partial: u32,
    /// The append is done twice.
    pub append_doubled: u32,
    /// A read fails.
    pub read_failed: u32,
    /// A call waits first.
    pub delayed: u32,
    /// How long at most.
    pub delay_max: Duration,
}

impl LogFaults {
    /// Every kind of fault, `per_mille` of each.
    pub fn all(per_mille: u32, delay_max: Duration) -> Self {
        Self {
            append_refused: per_mille,
            append_full: per_mille,
            append_reply_lost: per_mille,
            append_partial: per_mille,
            append_doubled: per_mille,
            read_failed: per_mille,
            delayed: per_mille,
            delay_max,
        }
    }
}

/// How often each fault came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the fault of the same name in `LogFaults`")]
pub struct InjectedFaults {
    pub append_refused: u64,
    pub append_full: u64,
    pub append_reply_lost: u64,
    pub append_partial: u64,
    pub append_doubled: u64,
    pub read_failed: u64,
    pub delayed: u64,
}

/// A log with faults. Copies share plan and counts.
#[derive(Clone)]
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    plan: Arc<Mutex<Plan>>,
}

struct Plan {
    faults: LogFaults,
    random: Seeded,
    injected: InjectedFaults,
}

enum AppendFault {
    Refused,
    Full,
    ReplyLost,
    /// With the number of records that are appended.
    Partial(usize),
    Doubled,
}

impl FaultyLog {
    /// Puts faults in front of a log.
    pub fn new(inner: Arc<dyn Log>, seed: u64, faults: LogFaults) -> Self {
        let plan = Plan { faults, random: Seeded::new(seed), injected: InjectedFaults::default() };
        Self { inner, plan: Arc::new(Mutex::new(plan)) }
    }

    /// From now on other faults; with the default ones the log is as good as the real one.
    pub fn set_faults(&self, faults: LogFaults) {
        self.plan().faults = faults;
    }

    /// What was injected so far.
    pub fn injected(&self) -> InjectedFaults {
        self.plan().injected
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn delay(&self) {
        let delay = self.plan().delay();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
    }
}

impl Plan {
    fn delay(&mut self) -> Option<Duration> {
        if !self.random.happens(self.faults.delayed) {
            return None;
        }
        self.injected.delayed += 1;
        let micros = u64::try_from(self.faults.delay_max.as_micros()).unwrap_or(u64::MAX);
        Some(Duration::from_micros(self.random.below(micros.saturating_add(1))))
    }

    fn append_fault(&mut self, record_count: usize) -> Option<AppendFault> {
        let Self { faults, random, injected } = self;
        if random.happens(faults.append_refused) {
            injected.append_refused += 1;
            Some(AppendFault::Refused)
        } else if random.happens(faults.append_full) {
            injected.append_full += 1;
            Some(AppendFault::Full)
        } else if random.happens(faults.append_reply_lost) {
            injected.append_reply_lost += 1;
            Some(AppendFault::ReplyLost)
        } else if random.happens(faults.append_partial) {
            injected.append_partial += 1;
            Some(AppendFault::Partial(random.below(record_count as u64) as usize))
        } else if random.happens(faults.append_doubled) {
            injected.append_doubled += 1;
            Some(AppendFault::Doubled)
        } else {
            None
        }
    }

    fn read_fails(&mut self) -> bool {
        let fails = self.random.happens(self.faults.read_failed);
        self.injected.read_failed += u64::from(fails);
        fails
    }
}

fn unavailable(what: &str) -> LogError {
    LogError::Unavailable(format!("injected fault: {what}"))
}

#[async_trait]
impl Log for FaultyLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity()
    }

    fn shard_count(&self) -> u32 {
        self.inner.shard_count()
    }

    async fn append(&self, mut records: Vec<NewRecord>) -> Result<(), LogError> {
        self.delay().await;
        let fault = self.plan().append_fault(records.len());
        match fault {
            None => self.inner.append(records).await,
            Some(AppendFault::Refused) => Err(unavailable("the append was refused")),
            Some(AppendFault::Full) => Err(LogError::Full("injected fault".to_owned())),
            Some(AppendFault::ReplyLost) => {
                self.inner.append(records).await?;
                Err(unavailable("the reply to an append was lost"))
            }
            Some(AppendFault::Partial(count)) => {
                records.truncate(count);
                self.inner.append(records).await?;
                Err(unavailable("an append was interrupted"))
            }
            Some(AppendFault::Doubled) => {
                self.inner.append(records.clone()).await?;
                self.inner.append(records).await
            }
        }
    }

    async fn bounds(&self, shard: u32) -> Result<Bounds, LogError> {
        self.delay().await;
        self.inner.bounds(shard).await
    }

    async fn reader(&self, shard: u32, from: u64) -> Result<Box<dyn LogReader>, LogError> {
        let inner = self.inner.reader(shard, from).await?;
        Ok(Box::new(FaultyReader { inner, log: self.clone() }))
    }

    async fn release(&self, shard: u32, floor: u64) -> Result<(), LogError> {
        self.delay().await;
        self.inner.release(shard, floor).await
    }
}

struct FaultyReader {
    inner: Box<dyn LogReader>,
    log: FaultyLog,
}

#[async_trait]
impl LogReader for FaultyReader {
    async fn read(&mut self, bytes_max: usize, patience: Duration) -> Result<Vec<StoredRecord>, LogError> {
        self.log.delay().await;
        let fails = self.log.plan().read_fails();
        if fails {
            return Err(unavailable("a read was interrupted"));
        }
        self.inner.read(bytes_max, patience).await
    }
}
