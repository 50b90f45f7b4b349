//! Refine: raw records become classified events, and classified events meet their partners.
//!
//! - In: the bytes of one line, document or message, and the [`Context`] (directory, settings, pseudonyms).
//! - Out: [`Refined`] events with their join facts, or rejections; then, from [`join`], final outcomes.
//! - Keeps: nothing outside the join operator.
//! - Invariants: pure and synchronous, no I/O, no clock, no randomness; nothing secret leaves this crate.
//!
//! Modules stand in flow order: split → parse → identify → classify → redact → facts → join.

mod object;
mod reader;
mod scalar;

mod call;

pub mod canonical;
mod cursor;
pub mod directory;
pub mod redact;

pub mod split;

pub mod identify;

pub mod kong;

pub mod azure;

pub mod column_limit;

pub mod join;

mod refiner;

pub use refiner::{Context, Explanation, Outcome, Record, Refined, Settings, refine, reject};
