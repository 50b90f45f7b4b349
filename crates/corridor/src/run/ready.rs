//! Ready: rows that are final and wait for the next claim.
//!
//! - In: final rows with the place where they belong, and rejects.
//! - Out: for each place the rows of one claim.
//! - Keeps: outcomes, and the records of rows that were final at once; the others lie in the scratch.
//! - Invariants: a row stays until the claim that holds it is complete.

use bytes::Bytes;
use corridor_model::{HourBucket, JoinOutcome};
use corridor_shard::Place;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Bytes that an outcome takes, about.
const OUTCOME_BYTES: usize = 512;

/// A final row.
#[derive(Debug)]
pub struct ReadyRow {
    /// Offset of its record.
    pub offset: u64,
    /// What the join says.
    pub outcome: JoinOutcome,
    /// The record, when it is not in the scratch.
    pub payload: Option<Bytes>,
    /// Bytes of the record.
    pub length: usize,
}

/// A reject.
#[derive(Debug)]
pub struct ReadyReject {
    /// Offset of its record.
    pub offset: u64,
    /// What became of it.
    pub kind: RejectKind,
    /// The record, as it stood in the log.
    pub payload: Bytes,
}

/// What became of a rejected record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectKind {
    /// Intake could not make an event of it.
    Logged,
    /// It is a copy that says something else than its row.
    Conflict {
        /// Offset of the row's record, if it is known.
        of: Option<u64>,
    },
    /// The log holds something that no worker wrote.
    Unreadable,
}

/// Rows and rejects that wait for the next claim.
#[derive(Debug, Default)]
pub struct Ready {
    /// Rows by place.
    pub rows: BTreeMap<Place, Vec<ReadyRow>>,
    /// Rejects by the hour in which they arrived.
    pub rejects: BTreeMap<HourBucket, Vec<ReadyReject>>,
    row_count: u64,
    bytes: usize,
    oldest: Option<Instant>,
}

impl Ready {
    /// Takes a row.
    pub fn push_row(&mut self, place: Place, row: ReadyRow, now: Instant) {
        self.bytes += row.length + OUTCOME_BYTES;
        self.row_count += 1;
        self.oldest.get_or_insert(now);
        self.rows.entry(place).or_default().push(row);
    }

    /// Takes a reject.
    pub fn push_reject(&mut self, hour: HourBucket, reject: ReadyReject, now: Instant) {
        self.bytes += reject.payload.len();
        self.oldest.get_or_insert(now);
        self.rejects.entry(hour).or_default().push(reject);
    }

    /// Bytes of the records and outcomes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that wait.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// When the oldest of them became final.
    pub fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// Folders that a claim of all of them would write to.
    pub fn place_count(&self) -> usize {
        self.rows.len() + self.rejects.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.rejects.is_empty()
    }

    /// Splits off what goes beyond so many places: the rest waits for the claim after this one.
    pub fn split_behind(&mut self, places_max: usize) -> Self {
        let mut rest = Self { oldest: self.oldest, ..Self::default() };
        while self.place_count() > places_max {
            if let Some((place, rows)) = self.rows.pop_last() {
                rest.rows.insert(place, rows);
            } else if let Some((hour, rejects)) = self.rejects.pop_last() {
                rest.rejects.insert(hour, rejects);
            }
        }
        rest.recount();
        self.recount();
        rest
    }

    /// Puts back what was split off, or what no claim took.
    pub fn merge(&mut self, other: Self) {
        for (place, rows) in other.rows {
            self.rows.entry(place).or_default().extend(rows);
        }
        for (hour, rejects) in other.rejects {
            self.rejects.entry(hour).or_default().extend(rejects);
        }
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.recount();
    }

    /// Moves rows whose day was sealed to where late rows lie.
    pub fn move_rows(&mut self, is_sealed: impl Fn(HourBucket) -> bool) {
        let sealed = |place: &&Place| matches!(place, Place::Live(hour) if is_sealed(*hour));
        let moved: Vec<Place> = self.rows.keys().filter(sealed).copied().collect();
        for place in moved {
            let rows = self.rows.remove(&place).unwrap_or_default();
            self.rows.entry(Place::Late(place.hour())).or_default().extend(rows);
        }
    }

    fn recount(&mut self) {
        let rows = self.rows.values().flatten();
        let records: usize = rows.clone().map(|row| row.length).sum();
        self.row_count = rows.count() as u64;
        let rejects: usize = self.rejects.values().flatten().map(|reject| reject.payload.len()).sum();
        self.bytes = records + rejects + self.row_count as usize * OUTCOME_BYTES;
        if self.is_empty() {
            self.oldest = None;
        }
    }
}
