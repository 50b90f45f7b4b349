//! Exactly once: which keys a lake has, what the entries under `ctl/` say, and what follows from them.
//!
//! - In: the facts found in a lake (entries, seals, keys), as text.
//! - Out: keys, entries as bytes, and decisions for the crate that talks to the store.
//! - Invariants: no I/O, no async, no clock; times are arguments. Keys of the lake are built in `paths` only.
//!
//! Modules stand in the order of a landing: where things go, what is written down, what to do next.

pub mod paths;

pub mod generation;

pub mod decide;

pub use decide::{DayDecision, DayFacts, GenerationFacts, Refusal, RunIdentity, decide_day};
pub use generation::{
    ClosedEntry, ENTRY_FORMAT, Entry, EntryError, FileEntry, InputEntry, OpenEntry, Outcome, SealFact,
};
pub use paths::{Day, Generation, PathError, Table};
