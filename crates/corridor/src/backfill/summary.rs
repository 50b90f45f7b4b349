//! Summary: what a run did, for people and as one JSON object.

use super::read::ReadResult;
use super::statistics::Statistics;
use super::write::Written;
use super::{Input, Job};
use chrono::{DateTime, Utc};
use corridor_chain::DayDecision;
use corridor_lake::landing::{LandedDay, LandingPlan};
use corridor_model::{Ledger, Side};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The days are landed and sealed.
    Landed,
    /// The same job landed them before; nothing was changed.
    AlreadyLanded,
    /// Everything was read, and no record was in the files and the asked range; nothing was changed.
    NothingToLand,
    /// Nothing was written, as asked.
    DryRun,
    /// Some input could not be read; nothing was written.
    Incomplete,
}

/// The result of a run. Field names are the JSON names.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How it ended.
    pub status: Status,
    /// The lake.
    pub lake: String,
    /// The conservation equation, of rows that landed or would land.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// Whether the equation holds.
    pub conserved: bool,
    /// Kong events in the range, copies included.
    pub kong_events: u64,
    /// Azure events in the range, copies included.
    pub azure_events: u64,
    /// Events outside `--from` and `--to`: read, not counted in the equation.
    pub outside_range: u64,
    /// Rejects by code.
    pub rejects_by_code: BTreeMap<&'static str, u64>,
    /// What the rows say.
    pub rows_by: Statistics,
    /// Values withheld or masked in the columns.
    pub redactions: u64,
    /// Each day with its generation, or what was decided.
    pub days: BTreeMap<String, String>,
    /// From when views show the generations.
    pub activate_at: Option<String>,
    /// Files written.
    pub files: u64,
    /// Encoded bytes by table.
    pub bytes_written: BTreeMap<&'static str, u64>,
    /// Files read.
    pub inputs: u64,
    /// Decompressed bytes read.
    pub bytes_read: u64,
    /// Inputs that could not be read to their end.
    pub problems: Vec<String>,
    /// Identity of records and settings.
    pub input_digest: String,
    /// Wall time.
    pub seconds: f64,
}

impl Summary {
    /// After reading: nothing is written yet.
    pub(super) fn new(job: &Job<'_>, read: &ReadResult, digest: &str) -> Self {
        let counts = &read.counts;
        let events: u64 = counts.events.iter().sum();
        let rejects = counts.reject_count();
        let pending = events;
        let ledger = Ledger { records_in: events + rejects, rejects, pending, ..Ledger::default() };
        let inputs: &[Input] = &job.inputs;
        Self {
            status: Status::Incomplete,
            lake: job.lake.to_owned(),
            conserved: ledger.is_conserved(),
            ledger,
            kong_events: counts.events[Side::Kong as usize],
            azure_events: counts.events[Side::Azure as usize],
            outside_range: counts.outside,
            rejects_by_code: counts.rejects.iter().map(|(code, count)| (code.as_str(), *count)).collect(),
            rows_by: Statistics::default(),
            redactions: counts.redactions,
            days: BTreeMap::new(),
            activate_at: None,
            files: 0,
            bytes_written: BTreeMap::new(),
            inputs: inputs.len() as u64,
            bytes_read: read.bytes,
            problems: read.problems.iter().map(ToString::to_string).collect(),
            input_digest: digest.into(),
            seconds: 0.0,
        }
    }

    fn count(&mut self, written: &Written) {
        let total = written.total();
        let read = self.ledger.records_in;
        self.ledger = Ledger { records_in: read, pending: read.saturating_sub(total.records_in), ..total };
        self.conserved = self.ledger.is_conserved() && self.ledger.pending == 0;
        self.rows_by = written.statistics.clone();
        if written.statistics.conflicts > 0 {
            self.rejects_by_code.insert("ID_CONFLICT", written.statistics.conflicts);
        }
        self.files = written.files;
        self.bytes_written = written.bytes.clone();
    }

    pub(super) fn dry_run(&mut self, written: &Written, days: impl Iterator<Item = (String, String)>) {
        self.status = Status::DryRun;
        self.count(written);
        self.days = days.collect();
    }

    pub(super) fn nothing_to_land(&mut self) {
        self.status = Status::NothingToLand;
    }

    pub(super) fn already_landed(&mut self, plan: &LandingPlan) {
        self.status = Status::AlreadyLanded;
        if let Some(totals) = plan.landed_totals() {
            self.ledger = totals;
            self.conserved = totals.is_conserved() && totals.pending == 0;
        }
        self.days = plan_of(plan).into_iter().collect();
    }

    pub(super) fn landed(&mut self, written: &Written, days: &[LandedDay], activate_at: DateTime<Utc>) {
        self.status = Status::Landed;
        self.count(written);
        self.days = days.iter().map(|day| (day.day.to_string(), day.generation.to_string())).collect();
        self.activate_at = Some(activate_at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    }

    /// Whether everything was read and nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.status != Status::Incomplete && self.problems.is_empty() && self.conserved
    }
}

/// The decision of each day in words.
pub(super) fn plan_of(plan: &LandingPlan) -> Vec<(String, String)> {
    let words = |decision: &DayDecision| match decision {
        DayDecision::TakeNumber(generation) => format!("would be landed as generation {generation}"),
        DayDecision::Resume(generation) => format!("would be resumed as generation {generation}"),
        DayDecision::AlreadyLanded(generation) => format!("is already landed as generation {generation}"),
        DayDecision::FinishSeal(generation) => format!("generation {generation} would be sealed"),
        DayDecision::Refuse(refusal) => refusal.to_string(),
    };
    plan.decisions().map(|(day, decision)| (day.to_string(), words(decision))).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Landed => writeln!(f, "landed in {}", self.lake)?,
            Status::AlreadyLanded => {
                writeln!(
                    f,
                    "already landed in {}: the same records and settings; nothing was changed",
                    self.lake
                )?;
            }
            Status::NothingToLand => writeln!(
                f,
                "nothing to land in {}: no record in the files and the asked range; nothing was changed",
                self.lake
            )?,
            Status::DryRun => writeln!(f, "dry run: nothing was written to {}", self.lake)?,
            Status::Incomplete => {
                writeln!(
                    f,
                    "INCOMPLETE: nothing was written to {}, because not all input could be read",
                    self.lake
                )?;
            }
        }
        for problem in &self.problems {
            writeln!(f, "  {problem}")?;
        }
        for (day, what) in &self.days {
            writeln!(f, "  {day}: {}{what}", if what.len() == 3 { "generation " } else { "" })?;
        }
        if let Some(moment) = &self.activate_at {
            writeln!(f, "  views show it from {moment}")?;
        }
        writeln!(f, "conservation: {}", self.ledger)?;
        writeln!(
            f,
            "  events: {} from Kong, {} from Azure; {} outside the range",
            self.kong_events, self.azure_events, self.outside_range
        )?;
        let lists = [
            ("rejects", &self.rejects_by_code),
            ("decisions", &self.rows_by.decisions),
            ("denials", &self.rows_by.denials),
            ("join", &self.rows_by.join_states),
            ("rungs", &self.rows_by.join_methods),
            ("identities", &self.rows_by.identity_matches),
            ("findings", &self.rows_by.findings),
            ("bytes written", &self.bytes_written),
        ];
        for (name, counts) in lists.into_iter().filter(|(_, counts)| !counts.is_empty()) {
            let items: Vec<_> = counts.iter().map(|(key, count)| format!("{key} {count}")).collect();
            writeln!(f, "  {name}: {}", items.join(", "))?;
        }
        let rate = self.bytes_read as f64 / 1e6 / self.seconds.max(0.001);
        write!(
            f,
            "read {:.1} MB of {} files in {:.1} s ({rate:.0} MB/s)",
            self.bytes_read as f64 / 1e6,
            self.inputs,
            self.seconds
        )
    }
}
