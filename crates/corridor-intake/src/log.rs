//! Log: the durable, replayable, ordered record log between intake and join.
//!
//! - In: records for shards.
//! - Out: each shard's records in order, from any position that is still kept.
//! - Invariants: an append that returned Ok is durable. Offsets of a shard ascend, append times never fall, and both are the same
//!   at every reading. Two implementations: a folder of this machine, and a Kafka topic.

pub mod embedded;

pub mod kafka;

use async_trait::async_trait;
use bytes::Bytes;
pub use corridor_model::LogIdentity;
use corridor_model::Micros;
use std::time::Duration;

/// A record to append.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// The shard it belongs to.
    pub shard: u32,
    /// Key of the Kafka message. The shard does not follow from it.
    pub key: Bytes,
    /// The record.
    pub payload: Bytes,
}

/// A record of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset. Offsets ascend, and some may be missing.
    pub offset: u64,
    /// When the log took it; never before the record in front of it.
    pub append_time: Micros,
    /// The record.
    pub payload: Bytes,
}

/// The offsets that a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Offset of the first record that is kept, or of the next one when there is none.
    pub start: u64,
    /// Offset of the next record.
    pub end: u64,
}

/// What went wrong with the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// It takes no more until somebody makes room: back-pressure.
    #[error("the log is full: {0}")]
    Full(String),
    /// The asked offset is not kept any more.
    #[error(
        "shard {shard} of the log begins at offset {start}, and offset {asked} is asked for: records were deleted before they were read"
    )]
    Gone {
        /// The shard.
        shard: u32,
        /// The asked offset.
        asked: u64,
        /// The first that is kept.
        start: u64,
    },
    /// It could not be reached, or refused; the outcome of an append is unknown. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot be used as it is; trying again does not help.
    #[error("{0}")]
    Unusable(String),
}

/// A log of a fixed number of shards.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Which log this is.
    fn identity(&self) -> LogIdentity;

    /// Number of shards.
    fn shard_count(&self) -> u32;

    /// Bytes of the longest record that it takes.
    fn record_bytes_max(&self) -> usize {
        16 << 20
    }

    /// Appends records; returns when all are durable. After an error some of them may be there.
    async fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError>;

    /// Appends what shards tell each other (introductions and ticks). Without it no row becomes final, and the log never gets
    /// shorter: a log that is full for records still takes it.
    async fn append_own(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.append(records).await
    }

    /// The offsets that a shard holds.
    async fn bounds(&self, shard: u32) -> Result<Bounds, LogError>;

    /// Reads a shard from an offset on.
    async fn reader(&self, shard: u32, from: u64) -> Result<Box<dyn LogReader>, LogError>;

    /// Nothing below `floor` will be read again. Advice: the log may delete it.
    async fn release(&self, shard: u32, floor: u64) -> Result<(), LogError>;
}

/// Reads one shard in order.
#[async_trait]
pub trait LogReader: Send {
    /// The next records, about `bytes_max` at most; waits for the first at most `patience`. Empty when none came. May be dropped
    /// while it waits, and loses nothing.
    async fn read(&mut self, bytes_max: usize, patience: Duration) -> Result<Vec<StoredRecord>, LogError>;
}
