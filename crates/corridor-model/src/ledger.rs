//! The ledger: the conservation equation of a run.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::AddAssign;

/// Counts of a run or a commit. Conservation: `records_in = rows + duplicates + rejects + pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Records read inside the asked time range, counted after splitting batches and envelopes.
    pub records_in: u64,
    /// Evidence rows written.
    pub rows: u64,
    /// Copies of an event that already has a row.
    pub duplicates: u64,
    /// Records that could not become events, stored in `rejects/`.
    pub rejects: u64,
    /// Events read and not yet written; 0 at the end of a run.
    pub pending: u64,
}

impl Ledger {
    /// Whether nothing was lost or made up.
    pub fn is_conserved(&self) -> bool {
        self.records_in == self.rows + self.duplicates + self.rejects + self.pending
    }
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        self.records_in += other.records_in;
        self.rows += other.rows;
        self.duplicates += other.duplicates;
        self.rejects += other.rejects;
        self.pending += other.pending;
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = if self.is_conserved() { "=" } else { "≠" };
        write!(
            f,
            "{} records in {relation} {} rows + {} duplicates + {} rejects + {} pending",
            self.records_in, self.rows, self.duplicates, self.rejects, self.pending
        )
    }
}
