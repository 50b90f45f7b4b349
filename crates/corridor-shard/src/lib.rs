//! Shard: the state of one ordered partition of the log, from its records to the rows of a claim.
//!
//! - In: records of the shard's log with offset and append time; what recovery learned from the chain.
//! - Out: final rows, duplicates, rejects, introductions and ticks owed, and the state that a claim carries.
//! - Invariants: pure and synchronous, no I/O, no clock, no randomness: replaying the log gives the same rows.
//!
//! Modules stand in the order in which a record meets them.

pub mod record;

pub mod open_set;

pub mod shard;

pub use open_set::OpenSet;
pub use record::{LoggedEvent, LoggedReject, RecordError, ShardRecord};
pub use shard::{At, ClaimState, Effect, Place, Resume, Shard, ShardConfig, Totals};
