//! Record: the bytes of one log record.
//!
//! - In: an event, a reject, or one of the facts that shards tell each other.
//! - Out: bytes that begin with a version and a kind; and the same values back, borrowed from the bytes.
//! - Invariants: bytes that nobody wrote give an error, never a panic. Decoding touches neither the row nor the redacted
//!   record of an event, so that a replay that only rebuilds candidates does not read them. Logs hold these bytes: another
//!   form needs another version, and old versions stay readable for as long as a log may keep them.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub use encode::{encode_event, encode_hint, encode_introduction, encode_reject, encode_tick};

use corridor_model::{EventId, JoinFacts, Micros, RecordDigest, RejectCode, Side};
use corridor_refine::join::ShardId;

/// First byte of every record.
const VERSION: u8 = 1;

/// Second byte.
mod kind {
    pub(super) const EVENT: u8 = 1;
    pub(super) const REJECT: u8 = 2;
    pub(super) const HINT: u8 = 3;
    pub(super) const INTRODUCTION: u8 = 4;
    pub(super) const TICK: u8 = 5;
}

/// One record of a shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardRecord<'r> {
    /// An event that has its home in this shard.
    Event(LoggedEvent<'r>),
    /// A record that could not become an event.
    Reject(LoggedReject<'r>),
    /// An Azure event whose home is another shard.
    Hint {
        /// What the join needs of it.
        facts: JoinFacts,
        /// Its home.
        home: ShardId,
    },
    /// A Kong event of another shard that matches an Azure event of this one.
    Introduction {
        /// The Azure event.
        to: EventId,
        /// The Kong event.
        peer: JoinFacts,
    },
    /// The clock of a shard, after all that it owed up to then.
    Tick {
        /// Whose clock.
        shard: ShardId,
        /// The clock.
        clock: Micros,
    },
}

/// An event in the log: what the join needs, and what its evidence row is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent<'r> {
    /// What the join needs.
    pub facts: JoinFacts,
    /// Digest of what makes two copies the same event: equal for a copy that came by another path. It must follow from
    /// the event alone; what a directory says of it may change between two copies.
    pub content: [u8; 16],
    /// The event row, opaque here.
    pub row: &'r [u8],
    /// The redacted original.
    pub record: Option<&'r [u8]>,
    /// Path of its origin; the offset is in the row.
    pub path: &'r str,
    /// The directory version that identified it.
    pub directory_version: Option<&'r str>,
}

/// A reject in the log. All texts are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedReject<'r> {
    /// Machine-readable cause.
    pub code: RejectCode,
    /// What stood in the way.
    pub detail: &'r str,
    /// Head of the record.
    pub preview: &'r str,
    /// The side it came in on.
    pub side: Side,
    /// Path of its origin.
    pub path: &'r str,
    /// Offset in that origin.
    pub byte_offset: u64,
    /// Its number in its batch.
    pub record_index: u32,
    /// Digest of the original bytes.
    pub record_sha256: RecordDigest,
    /// When it arrived.
    pub received_time: Micros,
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another program, or a newer one, wrote it.
    #[error(
        "log record has version {found}, and this build reads up to {VERSION}; read it with the build that wrote it or a newer one"
    )]
    Version {
        /// Its first byte.
        found: u8,
    },
    /// The kind is not known.
    #[error("log record of version {VERSION} has kind {found}, which stands for nothing")]
    Kind {
        /// Its second byte.
        found: u8,
    },
    /// The bytes end too early, go on too long, or hold a value that stands for nothing.
    #[error("log record ({kind}) is damaged: {part} cannot be read")]
    Damaged {
        /// Which kind of record.
        kind: &'static str,
        /// What stands there.
        part: &'static str,
    },
}

impl<'r> ShardRecord<'r> {
    /// From its bytes.
    pub fn decode(bytes: &'r [u8]) -> Result<Self, RecordError> {
        decode::decode(bytes)
    }

    /// Whether it is an event or a reject: the records that the conservation equation counts.
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Event(_) | Self::Reject(_) => true,
            Self::Hint { .. } | Self::Introduction { .. } | Self::Tick { .. } => false,
        }
    }
}
