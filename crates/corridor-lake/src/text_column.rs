//! Text column: the builder of a text column, which keeps the length limit of its column.
//!
//! - In: texts of any length, for rows in ascending order.
//! - Out: a Utf8 array.
//! - Invariants: no value is longer than the column's `max_length` in bytes; a text that was cut ends with `…`. Rows that
//!   are passed over are null and cost nothing.
//!
//! Arrow's own builder costs half again as much, most of it for rows without a value, and most texts have many.

use crate::columns::ColumnSpec;
use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use corridor_model::text::cut;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

/// Builder of one text column.
#[derive(Debug)]
pub(crate) struct TextColumn {
    values: Vec<u8>,
    /// Where the value of each row ends.
    ends: Vec<i32>,
    /// One bit per row, set for rows with a value. It may stop before the last rows.
    present: Vec<u8>,
    present_count: usize,
    length_max: usize,
}

impl TextColumn {
    /// For the column `name` of `columns`.
    pub(crate) fn new(columns: &[ColumnSpec], name: &str) -> Self {
        let column = columns.iter().find(|column| column.name == name);
        debug_assert!(column.is_some(), "{name} is not in the contract");
        let length_max = column.and_then(|column| column.max_length).unwrap_or(usize::MAX);
        Self { values: Vec::new(), ends: Vec::new(), present: Vec::new(), present_count: 0, length_max }
    }

    /// Adds a value.
    pub(crate) fn append(&mut self, text: &str) {
        if text.len() <= self.length_max {
            self.append_fitting(text.as_bytes());
        } else {
            self.append_cut(text);
        }
    }

    /// Adds the value of row number `row`, which fits the column; rows before it that have none are null.
    pub(crate) fn append_at(&mut self, row: usize, text: &[u8]) {
        self.pass_over(row);
        self.append_fitting(text);
    }

    /// Adds a value or a null.
    pub(crate) fn append_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.append(text),
            None => self.pass_over(self.ends.len() + 1),
        }
    }

    /// Prints a value straight into the column. `length_bound` must not be below the printed length.
    pub(crate) fn append_display(&mut self, value: &impl Display, length_bound: usize) {
        if length_bound > self.length_max {
            return self.append(&value.to_string());
        }
        write!(self.values, "{value}").expect("memory takes every text");
        self.end_value();
    }

    /// The column so far; the builder starts anew, with room for as much as this time.
    ///
    /// # Errors
    /// When the values are no UTF-8.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let row_count = self.ends.len();
        let mut offsets = Vec::with_capacity(row_count + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let next = Vec::with_capacity(self.values.len() + self.values.len() / 8);
        let values = std::mem::replace(&mut self.values, next);
        let mut present = std::mem::take(&mut self.present);
        let nulls = (std::mem::take(&mut self.present_count) < row_count).then(|| {
            present.resize(row_count.div_ceil(8), 0);
            NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(present), 0, row_count))
        });
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(values), nulls)?))
    }

    /// The column up to row number `row_count`; None if no row has a value.
    pub(crate) fn finish_at(&mut self, row_count: usize) -> Result<Option<ArrayRef>, ArrowError> {
        if self.present_count == 0 {
            self.ends.clear();
            return Ok(None);
        }
        self.pass_over(row_count);
        self.finish().map(Some)
    }

    /// Rows before `row` that have no value are null.
    fn pass_over(&mut self, row: usize) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.ends.resize(row, end);
    }

    fn append_fitting(&mut self, text: &[u8]) {
        self.values.extend_from_slice(text);
        self.end_value();
    }

    fn end_value(&mut self) {
        let row = self.ends.len();
        if self.present.len() <= row / 8 {
            self.present.resize(row / 8 + 1, 0);
        }
        self.present[row / 8] |= 1 << (row % 8);
        self.present_count += 1;
        let end = i32::try_from(self.values.len()).expect("a batch has far less than 2 GiB of texts");
        self.ends.push(end);
    }

    #[cold]
    fn append_cut(&mut self, text: &str) {
        let [head, mark] = cut(text, self.length_max);
        self.values.extend_from_slice(head.as_bytes());
        self.append_fitting(mark.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::evidence_columns;
    use arrow_array::{Array, cast::AsArray};

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        let mut column = TextColumn::new(evidence_columns(), "http_method");
        column.append("0123456789abcdef");
        column.append("0123456789abc😀x");
        column.append_option(None);
        column.append_display(&"0123456789abcdefg", 17);
        column.append_display(&"PUT", 3);
        let values = column.finish().unwrap();
        let values: Vec<_> = values.as_string::<i32>().iter().collect();
        let cut = Some("0123456789abc…");
        assert_eq!(values, [Some("0123456789abcdef"), cut, None, cut, Some("PUT")]);
        assert_eq!(column.finish().unwrap().len(), 0);
    }

    #[test]
    fn rows_that_are_passed_over_are_null() {
        let mut column = TextColumn::new(evidence_columns(), "http_method");
        assert!(column.finish_at(5).unwrap().is_none());
        column.append_at(9, b"GET");
        column.append_at(10, b"");
        let values = column.finish_at(12).unwrap().unwrap();
        let values = values.as_string::<i32>();
        assert_eq!((values.len(), values.null_count()), (12, 10));
        assert_eq!((values.value(9), values.is_valid(10), values.value(10)), ("GET", true, ""));
        column.append_at(0, b"PUT");
        assert_eq!(column.finish_at(1).unwrap().unwrap().null_count(), 0);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        let mut column = TextColumn::new(evidence_columns(), "http_method");
        column.append_at(0, &[0xff]);
        assert!(column.finish().is_err());
    }
}
