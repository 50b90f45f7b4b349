//! The lake: evidence rows as Parquet in a folder layout that Synapse serverless reads.
//!
//! - In: events with their join outcomes, redacted originals, rejections.
//! - Out: files, and reading them back.
//! - Invariants: `schemas/evidence.toml` is the contract; nothing here knows a column that is not in it.
//!
//! Modules stand in the order in which rows meet them.

pub mod columns;

pub mod schema;

pub mod cell;

mod text_column;

pub mod rows;

pub mod event_row;

pub mod event_rows;

pub mod spill;

mod event_columns;

pub mod finalise;

pub mod side_batch;

pub mod gather;

pub mod parquet_file;

pub mod roll;

pub mod scratch;

pub mod live_files;

pub mod reader;

pub mod published;

pub mod encode_error;

pub mod store;

pub mod chain;

pub mod landing;

#[cfg(test)]
mod sample_events;

pub use encode_error::EncodeError;
pub use event_row::{EventRow, content_digest, same_content, write_alone};
pub use event_rows::{EventRows, event_at, origin_of};
pub use finalise::{LiveRows, evidence_batches, live_evidence_batches};
pub use gather::gather;
pub use live_files::{LiveFileConfig, LiveRow, live_files, live_reject_files};
pub use parquet_file::seed_file;
pub use roll::{EncodedFile, FileRoller, RollConfig, RollReason};
pub use rows::{FinalRow, RowBatch, StoredRows};
pub use side_batch::{RejectRow, RejectsBuilder, record_batches};
