//! Roll: batches become files of a bounded size.
//!
//! - In: batches of one table, in the order in which the rows shall stand.
//! - Out: encoded files with their digest, row count and times, and why each was closed.
//! - Keeps: the encoded bytes of one file, and one open row group.
//! - Invariants: every row is in exactly one file; the same batches give the same files.

use crate::encode_error::EncodeError;
use crate::parquet_file::open_writer;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use corridor_chain::Table;
use corridor_model::Micros;
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// When an open file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollConfig {
    /// Encoded bytes after which a file is closed. The last batch may reach over it.
    pub file_bytes_max: usize,
    /// Rows in one row group at most.
    pub row_group_rows_max: usize,
}

impl Default for RollConfig {
    fn default() -> Self {
        Self { file_bytes_max: 128 << 20, row_group_rows_max: 1_000_000 }
    }
}

/// Why a file was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollReason {
    /// It reached its size.
    Bytes,
    /// There were no more rows.
    End,
    /// Its oldest row had waited long enough to be seen (live).
    Age,
    /// The rows that waited took too much memory (live).
    Memory,
    /// The worker stops or gives the shard away (live).
    Shutdown,
}

impl RollReason {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::End => "end",
            Self::Age => "age",
            Self::Memory => "memory",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A whole file, ready to be stored.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its bytes, 64 lower-case hex digits.
    pub sha256: String,
    /// Earliest event time in it; None when no row has one.
    pub first_event_time: Option<Micros>,
    /// Latest event time in it.
    pub last_event_time: Option<Micros>,
    /// Why it was closed.
    pub rolled_by: RollReason,
}

/// Writes batches of one table into files.
pub struct FileRoller {
    table: Table,
    config: RollConfig,
    open: Option<OpenFile>,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    times: Option<(i64, i64)>,
}

impl std::fmt::Debug for FileRoller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileRoller")
            .field("table", &self.table)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl FileRoller {
    /// For one folder of the table.
    pub fn new(table: Table, config: RollConfig) -> Self {
        Self { table, config, open: None }
    }

    /// Adds a batch. Gives a file when the batch filled it.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Option<EncodedFile>, EncodeError> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => self.open.insert(OpenFile::new(self.table, &self.config)?),
        };
        file.write(batch)?;
        match file.encoded_bytes() >= self.config.file_bytes_max {
            true => self.close(RollReason::Bytes),
            false => Ok(None),
        }
    }

    /// The last file, if there are rows that no file has yet.
    pub fn finish(&mut self) -> Result<Option<EncodedFile>, EncodeError> {
        self.finish_because(RollReason::End)
    }

    /// The last file, closed for another reason than the end of the rows.
    pub fn finish_because(&mut self, reason: RollReason) -> Result<Option<EncodedFile>, EncodeError> {
        self.close(reason)
    }

    /// Memory that the open file takes.
    pub fn memory_size(&self) -> usize {
        self.open.as_ref().map_or(0, |file| file.writer.bytes_written() + file.writer.memory_size())
    }

    fn close(&mut self, rolled_by: RollReason) -> Result<Option<EncodedFile>, EncodeError> {
        self.open.take().map(|file| file.close(rolled_by)).transpose()
    }
}

impl OpenFile {
    fn new(table: Table, config: &RollConfig) -> Result<Self, EncodeError> {
        Ok(Self { writer: open_writer(table, config)?, rows: 0, times: None })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.writer.write(batch).map_err(EncodeError::Encode)?;
        self.rows += batch.num_rows() as u64;
        let times = batch.column_by_name("event_time").and_then(time_range);
        self.times = match (self.times, times) {
            (Some(old), Some(new)) => Some((old.0.min(new.0), old.1.max(new.1))),
            (old, new) => old.or(new),
        };
        Ok(())
    }

    fn encoded_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn close(self, rolled_by: RollReason) -> Result<EncodedFile, EncodeError> {
        let bytes = self.writer.into_inner().map_err(EncodeError::Encode)?;
        Ok(EncodedFile {
            rows: self.rows,
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes: bytes.into(),
            first_event_time: self.times.map(|(first, _)| Micros(first)),
            last_event_time: self.times.map(|(_, last)| Micros(last)),
            rolled_by,
        })
    }
}

/// Earliest and latest time of a column that may hold nulls.
fn time_range(column: &arrow_array::ArrayRef) -> Option<(i64, i64)> {
    let times = column.as_primitive_opt::<TimestampMicrosecondType>()?;
    let present = || (0..times.len()).filter(|row| times.is_valid(*row)).map(|row| times.value(row));
    present().min().zip(present().max())
}

#[cfg(test)]
mod tests;
