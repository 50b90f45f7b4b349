//! Reader: Parquet files back into batches, for `demo`, verification and tests.
//!
//! - In: a whole file, as bytes or by path.
//! - Out: its batches in file order.

use crate::encode_error::EncodeError;
use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use std::fs::File;
use std::path::Path;

/// All rows of a file in memory.
pub fn read_bytes(bytes: Bytes) -> Result<Vec<RecordBatch>, EncodeError> {
    read(bytes)
}

/// All rows of a local file.
pub fn read_file(path: &Path) -> Result<Vec<RecordBatch>, EncodeError> {
    let file = File::open(path).map_err(|source| EncodeError::Open { path: path.to_owned(), source })?;
    read(file)
}

fn read(input: impl ChunkReader + 'static) -> Result<Vec<RecordBatch>, EncodeError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(input)
        .and_then(|builder| builder.with_batch_size(8192).build())
        .map_err(EncodeError::Decode)?;
    reader.collect::<Result<_, _>>().map_err(EncodeError::DecodeBatch)
}
