//! Gather: rows of many batches in a new order.
//!
//! - In: batches of one schema, and the rows wanted, in the order wanted.
//! - Out: batches with those rows.
//! - Invariants: every wanted row leaves once. A column that is empty in all batches of a chunk costs nothing.

use crate::encode_error::EncodeError;
use crate::rows::FinalRow;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_select::interleave::interleave;

/// The rows of `batches` in the order of `rows`, at most `batch_rows` of them in a batch.
pub fn gather<'a>(
    batches: &'a [RecordBatch],
    rows: &'a [FinalRow],
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, EncodeError>> + 'a {
    let mut gatherer = Gatherer::new(batches);
    rows.chunks(batch_rows.max(1)).map(move |chunk| {
        let columns = gatherer.columns(chunk)?;
        RecordBatch::try_new(batches[0].schema(), columns).map_err(EncodeError::Gather)
    })
}

/// The columns of all batches, side by side.
struct Gatherer<'a> {
    columns: Vec<Vec<&'a dyn Array>>,
    is_touched: Vec<bool>,
    indices: Vec<(usize, usize)>,
}

impl<'a> Gatherer<'a> {
    fn new(batches: &'a [RecordBatch]) -> Self {
        let column_count = batches.first().map_or(0, RecordBatch::num_columns);
        let column = |index| batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        Self {
            columns: (0..column_count).map(column).collect(),
            is_touched: vec![false; batches.len()],
            indices: Vec::new(),
        }
    }

    /// All columns of one chunk of rows.
    fn columns(&mut self, rows: &[FinalRow]) -> Result<Vec<ArrayRef>, EncodeError> {
        self.indices.clear();
        self.is_touched.fill(false);
        for row in rows {
            self.is_touched[row.batch as usize] = true;
            self.indices.push((row.batch as usize, row.row as usize));
        }
        self.columns.iter().map(|arrays| self.column(arrays)).collect()
    }

    fn column(&self, arrays: &[&'a dyn Array]) -> Result<ArrayRef, EncodeError> {
        let mut touched = arrays.iter().zip(&self.is_touched).filter(|(_, is_touched)| **is_touched);
        if touched.all(|(array, _)| array.null_count() == array.len()) {
            return Ok(new_null_array(arrays[0].data_type(), self.indices.len()));
        }
        interleave(arrays, &self.indices).map_err(EncodeError::Gather)
    }
}
