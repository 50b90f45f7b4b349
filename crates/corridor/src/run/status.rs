//! Status: what a worker tells about itself.
//!
//! - In: what shards and intake report as they go.
//! - Out: one value for `/status`, `/readyz`, `/metrics` and `corridor status`.
//! - Invariants: numbers of one shard belong together: they are replaced as a whole.

use super::accept::IntakeCounts;
use chrono::{DateTime, Utc};
use corridor_model::{Ledger, Micros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// What a shard is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardPhase {
    /// It reads its chain and completes its last claim.
    Recovering,
    /// It reads the log again to find candidates and ids.
    Replaying,
    /// It takes new records.
    Running,
    /// Something outside refuses, and it tries again.
    Retrying,
    /// It cannot go on without an operator.
    Stopped,
}

/// The last claim of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastClaim {
    /// Its number in the chain.
    pub seq: u64,
    /// When it was complete.
    pub at: DateTime<Utc>,
}

/// What a shard tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Which shard.
    pub shard: u32,
    /// What it is doing.
    pub phase: ShardPhase,
    /// Why, when it does not run.
    pub message: Option<String>,
    /// The next offset it takes.
    pub next_offset: u64,
    /// The next offset of its log.
    pub log_end: u64,
    /// Records it has not taken yet.
    pub lag_records: u64,
    /// Seconds since the append of what it takes now; 0 when nothing waits.
    pub lag_seconds: u64,
    /// Its clock.
    pub clock: Option<Micros>,
    /// The last claim of this process.
    pub last_claim: Option<LastClaim>,
    /// Everything since its chain began.
    pub ledger: Ledger,
    /// Rows that are final and not yet in a claim; among the pending of the equation's claims.
    pub ready_rows: u64,
    /// Bytes of its join state.
    pub memory_bytes: u64,
    /// Bytes of records that wait on the local disk.
    pub scratch_bytes: u64,
}

impl ShardStatus {
    /// Of a shard that was just given to this worker.
    pub fn new(shard: u32) -> Self {
        Self {
            shard,
            phase: ShardPhase::Recovering,
            message: None,
            next_offset: 0,
            log_end: 0,
            lag_records: 0,
            lag_seconds: 0,
            clock: None,
            last_claim: None,
            ledger: Ledger::default(),
            ready_rows: 0,
            memory_bytes: 0,
            scratch_bytes: 0,
        }
    }
}

/// What intake tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntakeStatus {
    /// Deliveries that were accepted since the process started.
    pub deliveries: u64,
    /// Events in them.
    pub events: u64,
    /// Rejects in them.
    pub rejects: u64,
    /// Deliveries that were refused, to be sent again.
    pub refused: u64,
}

/// What a Kafka source tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its table in the configuration.
    pub name: String,
    /// Messages that were accepted since the process started.
    pub messages: u64,
    /// Messages that were refused and offered again.
    pub refused: u64,
    /// Messages behind the committed positions.
    pub lag: u64,
    /// Partitions that it owns.
    pub partitions: u64,
    /// Partitions that wait for a refused message.
    pub held: u64,
}

/// What a worker tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name.
    pub worker: String,
    /// Version of the program.
    pub build: String,
    /// Version of the directory with which records are refined now.
    pub directory_version: Option<String>,
    /// What intake did, if the worker has that role.
    pub intake: Option<IntakeStatus>,
    /// Its Kafka sources.
    pub sources: Vec<SourceStatus>,
    /// Its shards.
    pub shards: Vec<ShardStatus>,
    /// The equation over its shards.
    pub ledger: Ledger,
}

/// Where shards and intake leave what they have to tell.
#[derive(Debug, Default)]
pub struct StatusBoard {
    shards: Mutex<BTreeMap<u32, ShardStatus>>,
    intake: Mutex<Option<Arc<IntakeCounts>>>,
}

impl StatusBoard {
    /// Replaces what a shard told.
    pub fn put(&self, status: ShardStatus) {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).insert(status.shard, status);
    }

    /// Forgets a shard that was given away.
    pub fn remove(&self, shard: u32) {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    /// The shards that this worker has now.
    pub fn shards(&self) -> Vec<ShardStatus> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// From now on intake counts here.
    pub fn set_intake(&self, counts: Arc<IntakeCounts>) {
        *self.intake.lock().unwrap_or_else(PoisonError::into_inner) = Some(counts);
    }

    /// What intake did.
    pub fn intake(&self) -> Option<IntakeStatus> {
        let intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        intake.as_ref().map(|counts| IntakeStatus {
            deliveries: counts.deliveries.load(Ordering::Relaxed),
            events: counts.events.load(Ordering::Relaxed),
            rejects: counts.rejects.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        })
    }

    /// Everything, for this worker.
    pub fn report(&self, worker: &str, directory_version: Option<String>) -> WorkerStatus {
        let shards = self.shards();
        let mut ledger = Ledger::default();
        shards.iter().for_each(|shard| ledger += shard.ledger);
        WorkerStatus {
            worker: worker.into(),
            build: build(),
            directory_version,
            intake: self.intake(),
            sources: Vec::new(),
            shards,
            ledger,
        }
    }

    /// Why the worker is not ready; empty when it is.
    pub fn problems(&self) -> Vec<String> {
        let told = |shard: ShardStatus| {
            let why = shard.message.unwrap_or_default();
            match shard.phase {
                ShardPhase::Stopped => Some(format!("shard {} has stopped: {why}", shard.shard)),
                ShardPhase::Retrying => Some(format!("shard {} tries again: {why}", shard.shard)),
                ShardPhase::Recovering | ShardPhase::Replaying | ShardPhase::Running => None,
            }
        };
        self.shards().into_iter().filter_map(told).collect()
    }
}

/// How this program calls itself in entries.
pub fn build() -> String {
    format!("corridor {}", env!("CARGO_PKG_VERSION"))
}
