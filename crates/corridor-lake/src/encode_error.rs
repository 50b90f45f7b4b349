//! Encode error: what can go wrong between columns and Parquet bytes.
//!
//! - Invariants: none of these is a bad record; each means that this process could not do its work.

use std::path::PathBuf;

/// Columns could not become a file, or a file could not become columns.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A spilled row is not as it was written.
    #[error(
        "read row {row} of batch {batch} of a slice: its bytes are damaged; check the disk of the spill folder and run again"
    )]
    DamagedRow {
        /// Number of the batch in the slice.
        batch: u32,
        /// Number of the row in the batch.
        row: u32,
    },
    /// The rows of several batches could not be put together.
    #[error("gather rows into one batch")]
    Gather(#[source] arrow_schema::ArrowError),
    /// Parquet refused the rows.
    #[error("encode rows as parquet")]
    Encode(#[source] parquet::errors::ParquetError),
    /// The bytes are not the Parquet we wrote.
    #[error("read parquet rows")]
    Decode(#[source] parquet::errors::ParquetError),
    /// The bytes are Parquet, but a batch could not be built of them.
    #[error("read a parquet batch")]
    DecodeBatch(#[source] arrow_schema::ArrowError),
    /// The file could not be opened.
    #[error("open parquet file {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
