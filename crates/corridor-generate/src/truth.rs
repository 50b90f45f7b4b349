//! Truth: what a right reading of the generated files must find, counted while they are written.
//!
//! - In: what the generator planted. Out: `truth.json`.
//! - Keeps: counters only, one per code and hour, and the capped list of canaries.
//! - Invariants: never computed by Corridor's own rules; conservation holds per side:
//!   `records` = `rows` + `duplicates` + `rejects`.

use crate::line::{Line, Micros, text_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts by a code.
pub type Counts = BTreeMap<String, u64>;

/// The expected result of reading the generated files with the generated directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Seed of the run.
    pub seed: u64,
    /// Unique Kong entries asked for.
    pub kong_asked: u64,
    /// Hours covered.
    pub hours: u32,
    /// First moment of the traffic.
    pub start: String,
    /// Whether the Azure side is an archive of `PT1H.json` files.
    pub pt1h: bool,
    /// The Kong side.
    pub kong: SideTruth,
    /// The Azure side.
    pub azure: SideTruth,
    /// Rows of both sides.
    pub rows: u64,
    /// Rows of both sides by decision.
    pub rows_by_decision: Counts,
    /// Rows of both sides by reason code.
    pub rows_by_reason: Counts,
    /// Rows by hour of the event time, `2026-03-02T09`.
    pub rows_by_hour: BTreeMap<String, HourTruth>,
    /// How often each planted case occurs.
    pub cases: Counts,
    /// Secrets in the input that must not be in any output.
    pub canaries: Vec<String>,
    /// What the counts mean, and where they say less than one might think.
    pub notes: Vec<String>,
}

/// The expected result of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideTruth {
    /// Records in the files: rows, duplicates and rejects.
    pub records: u64,
    /// Unique events.
    pub rows: u64,
    /// Byte-identical copies of an event.
    pub duplicates: u64,
    /// Records and lines that are no event.
    pub rejects: u64,
    /// Rejects by what was planted.
    pub rejects_by_kind: Counts,
    /// Rows by decision, after the join.
    pub rows_by_decision: Counts,
    /// Rows by reason code, after the join.
    pub rows_by_reason: Counts,
    /// Rows with a partner.
    pub matched: u64,
    /// Rows with a partner, by the strongest rung that finds it.
    pub matched_by_method: Counts,
    /// Rows by finding, for the findings named here.
    pub rows_by_finding: Counts,
    /// Rows with `static_credential` true.
    pub static_credential: u64,
}

/// Rows of one hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourTruth {
    /// Kong rows.
    pub kong: u64,
    /// Azure rows.
    pub azure: u64,
}

/// Side of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Kong entries.
    Kong,
    /// Azure records.
    Azure,
}

/// What became of a row: decision, and the reason unless it was allowed or is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `allowed`, `denied`, `error`, `unknown`.
    pub(crate) decision: &'static str,
    /// Reason code, or empty.
    pub(crate) reason: &'static str,
}

impl Verdict {
    /// It went through.
    pub(crate) const ALLOWED: Self = Self { decision: "allowed", reason: "" };
    /// The record does not tell.
    pub(crate) const UNKNOWN: Self = Self { decision: "unknown", reason: "" };

    /// Refused by policy.
    pub(crate) const fn denied(reason: &'static str) -> Self {
        Self { decision: "denied", reason }
    }

    /// Failed without a decision about access.
    pub(crate) const fn error(reason: &'static str) -> Self {
        Self { decision: "error", reason }
    }
}

/// What the truth keeps of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Event time.
    pub(crate) time: Micros,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// The rung that finds the partner, or empty.
    pub(crate) method: &'static str,
    /// Findings.
    pub(crate) findings: &'a [&'static str],
    /// A long-lived secret was used.
    pub(crate) is_static: bool,
}

impl Truth {
    /// Counts a unique event and its record.
    pub(crate) fn add_row(&mut self, side: Side, row: &Row<'_>) {
        let hour = self.hour_mut(row.time);
        *(if side == Side::Kong { &mut hour.kong } else { &mut hour.azure }) += 1;
        self.rows += 1;
        count(&mut self.rows_by_decision, row.verdict.decision);
        if !row.verdict.reason.is_empty() {
            count(&mut self.rows_by_reason, row.verdict.reason);
        }
        let side = self.side_mut(side);
        side.records += 1;
        side.rows += 1;
        side.static_credential += u64::from(row.is_static);
        count(&mut side.rows_by_decision, row.verdict.decision);
        if !row.verdict.reason.is_empty() {
            count(&mut side.rows_by_reason, row.verdict.reason);
        }
        if !row.method.is_empty() {
            side.matched += 1;
            count(&mut side.matched_by_method, row.method);
        }
        row.findings.iter().for_each(|finding| count(&mut side.rows_by_finding, finding));
    }

    /// Counts a copy.
    pub(crate) fn add_duplicate(&mut self, side: Side) {
        let side = self.side_mut(side);
        side.records += 1;
        side.duplicates += 1;
    }

    /// Counts a record or line that is no event.
    pub(crate) fn add_reject(&mut self, side: Side, kind: &str) {
        let side = self.side_mut(side);
        side.records += 1;
        side.rejects += 1;
        count(&mut side.rejects_by_kind, kind);
    }

    /// Counts an occurrence of a planted case.
    pub(crate) fn add_case(&mut self, case: &str) {
        count(&mut self.cases, case);
    }

    fn side_mut(&mut self, side: Side) -> &mut SideTruth {
        match side {
            Side::Kong => &mut self.kong,
            Side::Azure => &mut self.azure,
        }
    }

    fn hour_mut(&mut self, time: Micros) -> &mut HourTruth {
        let mut line = Line::default();
        self.rows_by_hour.entry(text_of(line.date_hour(time))).or_default()
    }
}

fn count(counts: &mut Counts, code: &str) {
    match counts.get_mut(code) {
        Some(number) => *number += 1,
        None => {
            counts.insert(code.to_owned(), 1);
        }
    }
}
