//! Chain errors: why a shard could not be opened or a claim not be made.
//!
//! - In: errors of the store, stops of the machines, drafts that do not fit.
//! - Out: one error type; whether to try again.
//! - Invariants: a lost race is no error.

use crate::store::StoreError;
use corridor_chain::{DraftError, Stop};
use std::fmt;

/// What was done when the store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Opening the chain.
    Recover,
    /// Staging a file.
    Stage,
    /// Claiming, or creating the claimed files.
    Claim {
        /// The number.
        seq: u64,
    },
    /// Appending a note.
    Note,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover => f.write_str("open the chain"),
            Self::Stage => f.write_str("stage a file"),
            Self::Claim { seq } => write!(f, "make claim {seq}"),
            Self::Note => f.write_str("append an entry"),
        }
    }
}

/// Why the chain could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The store failed. What was done may or may not stand; doing the same again finds out.
    #[error("{doing} of shard {shard}; it is tried again, and nothing is lost or doubled by that")]
    Store {
        /// What was done.
        doing: Doing,
        /// For which shard.
        shard: u32,
        /// What the store said.
        source: StoreError,
    },
    /// A person must look.
    #[error(transparent)]
    Stop(#[from] Stop),
    /// The draft does not fit the shard.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A claim is on its way.
    #[error("claim {seq} of shard {shard} is not settled; settle it before the next one")]
    Unsettled {
        /// The shard.
        shard: u32,
        /// The number.
        seq: u64,
    },
    /// No claim is on its way.
    #[error("shard {shard} has no claim on its way")]
    NothingToSettle {
        /// The shard.
        shard: u32,
    },
    /// A name that cannot be part of a key.
    #[error("{id:?} cannot name a writer; use 1 to 64 lower-case letters, digits and hyphens")]
    WriterId {
        /// As given.
        id: String,
    },
    /// Two processes have the same name.
    #[error(
        "{key} was staged by another process under our name; start the worker again, so that it takes another one"
    )]
    WriterTwice {
        /// The staged key.
        key: String,
    },
}

impl ChainError {
    /// Whether doing the same again may help. Everything else stops the shard until a person has looked.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store { .. } => true,
            Self::Stop(_)
            | Self::Draft(_)
            | Self::Unsettled { .. }
            | Self::NothingToSettle { .. }
            | Self::WriterId { .. }
            | Self::WriterTwice { .. } => false,
        }
    }
}
