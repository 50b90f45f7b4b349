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

/// Why only a part of a body, or nothing of it, could be read. The sender would repeat it for ever, so it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// For the reject: what was declared, what was found. Never holds bytes of the body.
    pub detail: String,
}

/// The ways in which a body can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefectKind {
    /// Larger than a limit: the body holds what is below it.
    TooLarge,
    /// The compressed stream ends before its end: the body holds what came.
    CutOff,
    /// The compressed stream is damaged: the body holds what came out before, which nobody vouches for.
    Corrupt,
    /// An encoding that nobody here can read: the body is empty, because compressed secrets cannot be redacted.
    UnknownEncoding,
}

impl DefectKind {
    /// True if the records that are complete in the body are events; otherwise they must not be taken for evidence.
    pub fn keeps_records(self) -> bool {
        match self {
            Self::TooLarge | Self::CutOff => true,
            Self::Corrupt | Self::UnknownEncoding => false,
        }
    }
}

/// Takes deliveries: refines them and makes them durable in the log.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Returns when every record inside, and all its hints, are durable.
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, Refusal>;

    /// Like [`Accept::accept`] for a body with a defect: exactly one reject for the defect, with its detail and the (redacted)
    /// end or head of the body, and the complete records before it if [`DefectKind::keeps_records`]. Who does not
    /// implement it promises nothing, so the sender keeps the body.
    async fn accept_broken(&self, delivery: Delivery, defect: Defect) -> Result<Accepted, Refusal> {
        Err(Refusal::Log(format!("no place for a broken body ({}) of {}", defect.detail, delivery.origin)))
    }
}
