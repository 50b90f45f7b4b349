//! Delivery: what a receiver or consumer hands on, and what it gets back.
//!
//! - In: the bytes of one HTTP body or one message, with its side, origin and arrival time.
//! - Out: that everything inside is durable in the log, or why nothing was promised.
//! - Invariants: a receiver acknowledges only after [`Accept::accept`] returned Ok. Content is never a reason to refuse: what
//!   cannot be read becomes a reject.

use async_trait::async_trait;
use bytes::Bytes;
use corridor_model::{Micros, Origin, Side};
use std::time::Duration;

/// One HTTP body or message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which side's records it holds.
    pub side: Side,
    /// Where it came from: topic, partition and offset, or the HTTP batch.
    pub origin: Origin,
    /// When it arrived.
    pub received_time: Micros,
    /// The bytes, decompressed.
    pub body: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Records that are events.
    pub events: u64,
    /// Records that are rejects.
    pub rejects: u64,
}

/// Why a delivery was not taken. Whoever sent it must send it again; copies do no harm.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// Too much is waiting, or the log is full.
    #[error("{reason}; send it again in {} s", retry_after.as_secs())]
    Busy {
        /// When to try again.
        retry_after: Duration,
        /// What is full.
        reason: String,
    },
    /// The log could not take it, or nobody knows whether it did.
    #[error("append to the log: {0}")]
    Log(String),
    /// The process is shutting down.
    #[error("shutting down")]
    Stopping,
}

/// Takes deliveries: refines them and makes them durable in the log.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Returns when every record inside, and all its hints, are durable.
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, Refusal>;
}
