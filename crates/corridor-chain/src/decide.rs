//! Decide: what a run may do with a day, given what the lake holds of it.
//!
//! - In: the entries and seals of a day, whether the lake is live, and who the run is.
//! - Out: one decision, or the reason for a refusal.
//! - Invariants: a day has at most one generation with outcome `Landed`. It holds because a number is closed as
//!   landed only after every lower number was closed as abandoned, and a closed entry is created once.

use crate::generation::{ClosedEntry, OpenEntry, Outcome};
use crate::paths::{Day, Generation};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::fmt;

/// Who wants to land days, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// Name of the run, for people.
    pub run: String,
    /// SHA-256 over everything that decides the rows: inputs and settings.
    pub input_digest: String,
    /// The build. A half-written generation of another build is not resumed, for its bytes may differ.
    pub build: String,
    /// Why the run was started, for people.
    pub why: String,
}

/// What the lake holds of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GenerationFacts {
    /// Who took the number.
    pub open: Option<OpenEntry>,
    /// What became of it.
    pub closed: Option<ClosedEntry>,
    /// Whether a seal names it.
    pub is_sealed: bool,
}

/// What the lake holds of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFacts {
    /// The day.
    pub day: Day,
    /// Whether the lake has chains, that is, live workers append to it.
    pub is_live: bool,
    /// Its generations, by number.
    pub generations: BTreeMap<Generation, GenerationFacts>,
}

impl DayFacts {
    /// A day of which nothing is known yet.
    pub fn new(day: Day) -> Self {
        Self { day, is_live: false, generations: BTreeMap::new() }
    }

    /// The number after the highest that anybody took.
    pub fn next_number(&self) -> Option<Generation> {
        match self.generations.keys().next_back() {
            None => Some(Generation::FIRST),
            Some(highest) => highest.next(),
        }
    }
}

/// What a run does with a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayDecision {
    /// Take this number and land the day under it.
    TakeNumber(Generation),
    /// Go on where a killed run of the same job stopped.
    Resume(Generation),
    /// The same job has landed this day: nothing to do.
    AlreadyLanded(Generation),
    /// The same job closed the day and was stopped before its seal: only the seal is missing.
    FinishSeal(Generation),
    /// Leave the day alone.
    Refuse(Refusal),
}

/// Why a day is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Live workers own the lake.
    LiveLake {
        /// The day.
        day: Day,
    },
    /// Another job landed the day.
    OtherInputs {
        /// The day.
        day: Day,
        /// The generation that holds it.
        generation: Generation,
        /// The run that landed it.
        run: String,
        /// When.
        closed_at: DateTime<Utc>,
        /// Digest of that job.
        input_digest: String,
    },
    /// A seal makes a generation current that no entry closed as landed.
    SealWithoutLanding {
        /// The day.
        day: Day,
        /// The generation named by the seal.
        generation: Generation,
    },
    /// All 999 numbers are taken.
    NoNumberLeft {
        /// The day.
        day: Day,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiveLake { day } => write!(
                f,
                "{day}: live workers write to this lake (it has entries under ctl/chain); backfill into another lake"
            ),
            Self::OtherInputs { day, generation, run, closed_at, input_digest } => write!(
                f,
                "{day}: already landed as generation {generation} by run {run} at {} from other inputs or settings \
                 (digest {}); merging into an existing day is not supported: backfill the day into another lake, \
                 or leave it out with --from and --to",
                closed_at.format("%Y-%m-%dT%H:%M:%SZ"),
                input_digest.get(..12).unwrap_or(input_digest)
            ),
            Self::SealWithoutLanding { day, generation } => write!(
                f,
                "{day}: a seal names generation {generation}, and no closed entry says that it landed; \
                 somebody changed ctl/ or seals/ by hand: restore the entry before writing to this day"
            ),
            Self::NoNumberLeft { day } => {
                write!(f, "{day}: all 999 generation numbers are taken; backfill the day into another lake")
            }
        }
    }
}

/// Decides one day. Pure: the same facts give the same decision.
pub fn decide_day(facts: &DayFacts, run: &RunIdentity) -> DayDecision {
    let day = || facts.day.clone();
    if facts.is_live {
        return DayDecision::Refuse(Refusal::LiveLake { day: day() });
    }
    for (generation, found) in facts.generations.iter().rev() {
        let generation = *generation;
        match &found.closed {
            Some(closed) if closed.outcome == Outcome::Landed => {
                return decide_landed(facts, generation, closed, found.is_sealed, run);
            }
            Some(_) | None if found.is_sealed => {
                return DayDecision::Refuse(Refusal::SealWithoutLanding { day: day(), generation });
            }
            Some(_) | None => {}
        }
    }
    decide_unlanded(facts, run)
}

fn decide_landed(
    facts: &DayFacts,
    generation: Generation,
    closed: &ClosedEntry,
    is_sealed: bool,
    run: &RunIdentity,
) -> DayDecision {
    match (closed.input_digest == run.input_digest, is_sealed) {
        (true, true) => DayDecision::AlreadyLanded(generation),
        (true, false) => DayDecision::FinishSeal(generation),
        (false, _) => DayDecision::Refuse(Refusal::OtherInputs {
            day: facts.day.clone(),
            generation,
            run: closed.run.clone(),
            closed_at: closed.closed_at,
            input_digest: closed.input_digest.clone(),
        }),
    }
}

/// Only the highest number can be resumed: a run that gave up its number took a higher one.
fn decide_unlanded(facts: &DayFacts, run: &RunIdentity) -> DayDecision {
    if let Some((generation, GenerationFacts { open: Some(open), closed: None, .. })) =
        facts.generations.last_key_value()
        && is_resumable(open, run)
    {
        return DayDecision::Resume(*generation);
    }
    match facts.next_number() {
        Some(generation) => DayDecision::TakeNumber(generation),
        None => DayDecision::Refuse(Refusal::NoNumberLeft { day: facts.day.clone() }),
    }
}

/// Whether files of that generation, if any, have the bytes that this run would write.
pub fn is_resumable(open: &OpenEntry, run: &RunIdentity) -> bool {
    (&open.input_digest, &open.build) == (&run.input_digest, &run.build)
}

#[cfg(test)]
mod tests;
