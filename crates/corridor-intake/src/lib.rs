//! Intake: archive files become chunks of whole lines or records, and live records become durable in a log.
//!
//! - In: paths, globs, folders and object-store URLs; plain, gzip or zstd bytes. Live: records for the shards of a [`log`].
//! - Out: [`Chunk`]s with the offset of every frame, in file order, or the [`ReadProblem`] of a file. Live: each shard's records in order.
//! - Keeps: one block and one unfinished record for each file being read; what its log keeps.
//! - Invariants: memory is bounded by [`RECORD_BYTES_MAX`], whatever a file holds; no byte is skipped silently. What is live is acknowledged
//!   only when it is durable.

pub mod source;

pub mod decompress;

pub mod scan;

pub mod frame;

pub mod delivery;

pub mod log;

pub mod kafka;

pub mod http;

pub use delivery::{Accept, Accepted, Defect, DefectKind, Delivery, Refusal};
pub use frame::{Chunk, Frame, FrameReader, RECORD_BYTES_MAX};
pub use source::{Location, SourceError, SourceFile, expand};

/// A file that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error(
    "read {path} at byte {byte_offset} (decompressed): {source}; repair or remove the file and run again"
)]
pub struct ReadProblem {
    /// The file as the operator named it.
    pub path: String,
    /// Decompressed bytes that were read before the problem.
    pub byte_offset: u64,
    /// What the system said.
    pub source: std::io::Error,
}
