//! Machine: what the state machines of a chain ask of a store, what they are told, and why they stop.
//!
//! - In: replies.
//! - Out: requests, one at a time; at the end an output, or the reason to stop the shard.
//! - Invariants: a request may be sent again at any time, also after a reply was lost: every request is idempotent. An error of
//!   the store is no reply; the driver repeats the request or gives up, and giving up decides nothing.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::generation::EntryError;
use crate::open_set::OpenSetError;
use bytes::Bytes;
use corridor_model::LogIdentity;

/// One thing to do with the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Make the key hold these bytes, by the rule of [`crate::create_once`]. Answer: [`Reply::Created`].
    Create {
        /// Where.
        key: String,
        /// What.
        bytes: Bytes,
    },
    /// Read an object. Answer: [`Reply::Read`].
    Read {
        /// Which.
        key: String,
    },
    /// Whether an object exists. Answer: [`Reply::Exists`].
    Exists {
        /// Which.
        key: String,
    },
    /// Digest of the bytes of an object. Answer: [`Reply::Digest`].
    Digest {
        /// Which.
        key: String,
    },
    /// Make `to` hold the staged bytes, if they have this digest. Answer: [`Reply::Copied`].
    Copy {
        /// Staged.
        from: String,
        /// Final.
        to: String,
        /// Of the bytes.
        sha256: ContentDigest,
    },
    /// Delete staged bytes. Leaving some behind costs room and nothing else. Answer: [`Reply::Deleted`].
    DeleteStaged {
        /// Which.
        keys: Vec<String>,
    },
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Who holds the key.
    Created(Created),
    /// The bytes; None when nothing is there.
    Read(Option<Bytes>),
    /// Whether it is there.
    Exists(bool),
    /// The digest; None when nothing is there.
    Digest(Option<ContentDigest>),
    /// What the copy found.
    Copied(Copied),
    /// Deleted, or tried to.
    Deleted,
}

/// What a copy found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// The staged bytes are as claimed, and this became of the final key.
    To(Created),
    /// There are no staged bytes.
    SourceMissing,
    /// The staged bytes are not those of the claim.
    SourceDiffers,
}

/// A state machine that a driver feeds.
pub trait Machine {
    /// What it is for.
    type Output;

    /// The request it waits for. The same one until it is answered.
    fn request(&self) -> Request;

    /// Takes the answer to [`Machine::request`]. Some output ends the machine.
    fn answer(&mut self, reply: Reply) -> Result<Option<Self::Output>, Stop>;
}

/// Why a shard must stop until a person has looked. Nothing was changed by finding out.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// An entry cannot be used.
    #[error("read {key}; the chain is damaged or written by a later build, and nothing is guessed")]
    Entry {
        /// Its key.
        key: String,
        /// Why.
        source: EntryError,
    },
    /// The digests do not link.
    #[error(
        "{key} does not follow the entry before it: their digests differ, so one of them was changed after it was written"
    )]
    BrokenLink {
        /// The later one of the two.
        key: String,
    },
    /// The store says that the key is taken, or has told of it, and then there is nothing.
    #[error(
        "{key} was there and is not any more; nothing in ctl/ may be deleted: restore it, then start the worker again"
    )]
    Vanished {
        /// The key.
        key: String,
    },
    /// The log has another number of shards.
    #[error(
        "the chain of shard {shard} was made for {was} shards and the log has {now}; a lake keeps its number of shards: \
         restore the log's partitions, or use a new lake"
    )]
    ShardCount {
        /// The shard.
        shard: u32,
        /// In entry 0.
        was: u32,
        /// In the log.
        now: u32,
    },
    /// The log is another one.
    #[error(
        "the chain of shard {shard} belongs to topic {} of cluster {}, and the worker reads topic {} of cluster {}; \
         point it at the log it was made for, or use a new lake", was.topic, was.cluster, now.topic, now.cluster
    )]
    OtherLog {
        /// The shard.
        shard: u32,
        /// In the chain.
        was: LogIdentity,
        /// Of the worker.
        now: LogIdentity,
    },
    /// A claimed file exists neither staged nor final.
    #[error(
        "{path} was claimed and does not exist, nor do its staged bytes {staged}; restore either of them from a copy, \
         then start the worker again"
    )]
    FileLost {
        /// Final key.
        path: String,
        /// Staged key.
        staged: String,
    },
    /// A final key holds other bytes than were claimed.
    #[error("{path} holds other bytes than its claim names; nothing else may write there: find out who did")]
    FileDiffers {
        /// Final key.
        path: String,
    },
    /// The open set beside an entry is missing or damaged.
    #[error("read the open set {key} of the last claim; restore the file, then start the worker again")]
    OpenSet {
        /// Its key.
        key: String,
        /// What is wrong with its content; None when it is missing or has another digest.
        source: Option<OpenSetError>,
    },
    /// Two writers use one name, or the store gave an answer to another question.
    #[error("{0}")]
    Misuse(String),
}

impl Stop {
    pub(crate) fn misuse(request: &Request, reply: &Reply) -> Self {
        Self::Misuse(format!("the driver answered {request:?} with {reply:?}"))
    }
}
