//! Text column: an Arrow string builder that keeps the length limit of its column.
//!
//! - In: texts of any length.
//! - Out: a Utf8 array.
//! - Invariants: no value is longer than the column's `max_length` in bytes; a text that was cut ends with `…`.

use crate::columns::ColumnSpec;
use arrow_array::ArrayRef;
use arrow_array::builder::StringBuilder;
use std::fmt::{Display, Write};
use std::sync::Arc;

/// What stands at the end of a text that was cut.
const CUT_MARK: &str = "…";

/// Builder of one text column.
#[derive(Debug)]
pub(crate) struct TextColumn {
    values: StringBuilder,
    length_max: usize,
    row_capacity: usize,
}

impl TextColumn {
    /// For the column `name` of `columns`.
    pub(crate) fn new(columns: &[ColumnSpec], name: &str, row_capacity: usize) -> Self {
        let column = columns.iter().find(|column| column.name == name);
        debug_assert!(column.is_some(), "{name} is not in the contract");
        let length_max = column.and_then(|column| column.max_length).unwrap_or(usize::MAX);
        Self { values: StringBuilder::with_capacity(row_capacity, 0), length_max, row_capacity }
    }

    /// Adds a value.
    pub(crate) fn append(&mut self, text: &str) {
        if text.len() <= self.length_max {
            self.values.append_value(text);
        } else {
            self.append_cut(text);
        }
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

    /// The column so far; the builder starts anew, with room for as much text as this time. Most columns are
    /// empty on one side, so a fixed guess would waste more memory than the rows take.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let text_bytes = self.values.values_slice().len();
        let next = StringBuilder::with_capacity(self.row_capacity, text_bytes + text_bytes / 8);
        let mut full = std::mem::replace(&mut self.values, next);
        Arc::new(full.finish())
    }

    #[cold]
    fn append_cut(&mut self, text: &str) {
        let room = self.length_max.saturating_sub(CUT_MARK.len());
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.values.write_str(&text[..end]).expect("a string builder takes every text");
        self.values.append_value(CUT_MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::evidence_columns;
    use arrow_array::{Array, cast::AsArray};

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        let mut column = TextColumn::new(evidence_columns(), "http_method", 4);
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
