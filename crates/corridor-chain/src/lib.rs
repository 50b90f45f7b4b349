//! Exactly once: which keys a lake has, what the entries under `ctl/` say, and what follows from them.
//!
//! - In: the facts found in a lake (entries, seals, keys), as text.
//! - Out: keys, entries as bytes, and decisions for the crate that talks to the store.
//! - Invariants: no I/O, no async, no clock; times are arguments. Keys of the lake are built in `paths` only.
//!
//! Modules stand in the order of a landing and then of a live claim: where things go, what is written down, what to do next.

pub mod paths;

pub mod generation;

pub mod decide;

pub mod content_digest;

pub mod open_set;

pub mod day_set;

pub mod entry;

pub mod create_once;

pub mod machine;

pub mod position;

mod finish;

pub mod recover;

pub mod log_check;

pub mod claim;

pub mod note;

#[cfg(test)]
mod memory;

pub use claim::{Claim, ClaimDraft, ClaimOutcome, DraftError, DraftFile};
pub use content_digest::ContentDigest;
pub use create_once::{CreateOnce, CreateStep, Created, Found, PutReply};
pub use day_set::DaySet;
pub use decide::{DayDecision, DayFacts, GenerationFacts, Refusal, RunIdentity, decide_day};
pub use entry::{
    Append, Body, CLAIM_FILES_MAX, ChainEntry, ClaimReason, ClaimedFile, Expire, Gap, LastRecord,
    OpenOffsets, Seal, Start, Totals, WriterMark,
};
pub use generation::{
    ClosedEntry, ENTRY_FORMAT, Entry, EntryError, FileEntry, InputEntry, OpenEntry, Outcome, SealFact,
};
pub use log_check::{LogFacts, LogRefusal, check_log};
pub use machine::{Copied, Machine, Reply, Request, Stop};
pub use note::Note;
pub use open_set::{OpenSet, OpenSetError};
pub use paths::{Day, Generation, Lane, LivePlace, PathError, Table};
pub use position::Position;
pub use recover::{ChainIdentity, Recover, Signature};
