//! Text column: an Arrow string builder that keeps the length limit of its column.
//!
//! - In: texts of any length.
//! - Out: a Utf8 array.
//! - Invariants: no value is longer than the column's `max_length` in bytes; a text that was cut ends with `…`.

use crate::columns::ColumnSpec;
use arrow_array::ArrayRef;
use arrow_array::builder::{ArrayBuilder, StringBuilder};
use std::fmt::{Display, Write};
use std::sync::Arc;

/// What stands at the end of a text that was cut.
const CUT_MARK: &str = "…";

/// Builder of one text column.
#[derive(Debug)]
pub(crate) struct TextColumn {
    values: StringBuilder,
    length_max: usize,
}

impl TextColumn {
    /// For the column `name` of `columns`.
    pub(crate) fn new(columns: &[ColumnSpec], name: &str) -> Self {
        let column = columns.iter().find(|column| column.name == name);
        debug_assert!(column.is_some(), "{name} is not in the contract");
        let length_max = column.and_then(|column| column.max_length).unwrap_or(usize::MAX);
        Self { values: StringBuilder::with_capacity(0, 0), length_max }
    }

    /// Adds a value.
    pub(crate) fn append(&mut self, text: &str) {
        if text.len() <= self.length_max {
            self.values.append_value(text);
        } else {
            self.append_cut(text);
        }
    }

    /// Adds the value of row number `row`; rows before it that have none are null.
    pub(crate) fn append_at(&mut self, row: usize, text: &str) {
        self.values.append_nulls(row - self.values.len());
        self.append(text);
    }

    /// Adds a value or a null.
    pub(crate) fn append_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.append(text),
            None => self.values.append_null(),
        }
    }

    /// Prints a value straight into the column. `length_bound` must not be below the printed length.
    pub(crate) fn append_display(&mut self, value: &impl Display, length_bound: usize) {
        if length_bound > self.length_max {
            return self.append(&value.to_string());
        }
        write!(self.values, "{value}").expect("a string builder takes every text");
        self.values.append_value("");
    }

    /// The column so far; the builder starts anew, with room for as much as this time. Most columns are
    /// empty on one side, so a fixed guess would waste more memory than the rows take.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let text_bytes = self.values.values_slice().len();
        let next = StringBuilder::with_capacity(self.values.len(), text_bytes + text_bytes / 8);
        let mut full = std::mem::replace(&mut self.values, next);
        Arc::new(full.finish())
    }

    /// The column up to row number `row_count`; None if no row has a value.
    pub(crate) fn finish_at(&mut self, row_count: usize) -> Option<ArrayRef> {
        if self.values.is_empty() {
            return None;
        }
        self.values.append_nulls(row_count - self.values.len());
        Some(self.finish())
    }

    #[cold]
    fn append_cut(&mut self, text: &str) {
        let [head, mark] = cut(text, self.length_max);
        self.values.write_str(head).expect("a string builder takes every text");
        self.values.append_value(mark);
    }
}

/// A text that is longer than `length_max` bytes: what stays of it, and the mark behind it.
#[cold]
pub(crate) fn cut(text: &str, length_max: usize) -> [&str; 2] {
    let room = length_max.saturating_sub(CUT_MARK.len());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    [&text[..end], CUT_MARK]
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
        let values = column.finish();
        let values: Vec<_> = values.as_string::<i32>().iter().collect();
        let cut = Some("0123456789abc…");
        assert_eq!(values, [Some("0123456789abcdef"), cut, None, cut, Some("PUT")]);
        assert_eq!(column.finish().len(), 0);
    }
}
