//! Event rows: events that wait for their join, as rows of one batch.
//!
//! - In: events with their origin, one by one, from any thread's own builder.
//! - Out: a [`RowBatch`] of [event rows](crate::event_row), without verdict and findings (those travel in the join facts).
//! - Invariants: nothing is allocated per event. Paths and directory versions repeat, so rows carry their numbers; the
//!   names stand behind the events, the first name last.

use crate::event_row::{self, EventRow, NO_NAME, Provenance};
use crate::rows::{FinalRow, RowBatch, StoredRows};
use corridor_model::{Event, Origin};
use std::collections::HashMap;
use std::sync::Arc;

/// Names that one batch can hold.
const NAMES_MAX: usize = NO_NAME as usize;

/// So many names are compared before one is looked up.
const NAMES_COMPARED: usize = 4;

/// Builds batches of events.
#[derive(Debug, Default)]
pub struct EventRows {
    rows: RowBatch,
    names: Vec<Arc<str>>,
    /// Numbers of all names.
    numbers: HashMap<Arc<str>, u16, foldhash::fast::RandomState>,
    is_finished: bool,
}

impl EventRows {
    /// Adds one event.
    pub fn append(&mut self, event: &Event<'_>, origin: &Origin, directory_version: Option<&Arc<str>>) {
        debug_assert!(!self.is_finished, "rows are added before their names");
        let provenance = Provenance {
            byte_offset: origin.byte_offset,
            path: self.name(&origin.path),
            directory_version: directory_version.map_or(NO_NAME, |version| self.name(version)),
        };
        self.rows.push_with(|bytes| event_row::write(event, provenance, bytes));
    }

    /// Adds an event as [`event_row::write_alone`] wrote it. None if the bytes are no event.
    pub fn append_alone(
        &mut self,
        row: &[u8],
        path: &Arc<str>,
        directory_version: Option<&Arc<str>>,
    ) -> Option<()> {
        debug_assert!(!self.is_finished, "rows are added before their names");
        let path = self.name(path);
        let version = directory_version.map_or(NO_NAME, |version| self.name(version));
        let mut is_row = None;
        self.rows.push_with(|bytes| is_row = event_row::copy(row, path, version, bytes));
        is_row
    }

    /// The number of a name. Files have few: those that the rows of a batch came from, and a version or two. HTTP
    /// batches are many.
    fn name(&mut self, name: &Arc<str>) -> u16 {
        let recent = self.names.len().saturating_sub(NAMES_COMPARED);
        let last = self.names[recent..].iter().rposition(|known| Arc::ptr_eq(known, name) || known == name);
        let number = match last {
            Some(number) => recent + number,
            None => *self.numbers.entry(Arc::clone(name)).or_insert_with(|| {
                self.names.push(Arc::clone(name));
                u16::try_from(self.names.len() - 1).expect("a batch is full before it has so many names")
            }) as usize,
        };
        u16::try_from(number).expect("a batch is full before it has so many names")
    }

    /// Whether no further file fits.
    pub fn is_full(&self) -> bool {
        self.names.len() + 2 >= NAMES_MAX
    }

    /// Events so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of the events.
    pub fn byte_size(&self) -> usize {
        self.rows.byte_size()
    }

    /// The events, with their names behind them. [`EventRows::clear`] comes next.
    pub fn finish(&mut self) -> &RowBatch {
        if !self.is_finished {
            for name in self.names.iter().rev() {
                self.rows.push_with(|bytes| bytes.extend_from_slice(name.as_bytes()));
            }
            self.is_finished = true;
        }
        &self.rows
    }

    /// Forgets the events and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.names.clear();
        self.numbers.clear();
        self.is_finished = false;
    }
}

/// The event at a place. None if there is none, or its row is damaged.
pub fn event_at(events: &StoredRows, at: FinalRow) -> Option<EventRow<'_>> {
    EventRow::read(events.get(at)?)
}

/// The name with this number in a batch.
pub(crate) fn name_of(events: &StoredRows, batch: u32, number: u16) -> Option<&str> {
    let row = events.row_count(batch).checked_sub(1 + usize::from(number))?;
    let bytes = events.get(FinalRow { batch, row: u32::try_from(row).ok()? })?;
    std::str::from_utf8(bytes).ok()
}

/// Path and offset of the record of an event.
pub fn origin_of(events: &StoredRows, at: FinalRow) -> Option<(&str, u64)> {
    let provenance = event_at(events, at)?.provenance();
    Some((name_of(events, at.batch, provenance.path)?, provenance.byte_offset))
}

#[cfg(test)]
mod tests;
