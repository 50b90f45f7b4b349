//! Plan: gathers what the lake holds of each day and decides, before anything is written.
//!
//! - In: a lake, days, who the run is.
//! - Out: a plan for every day, or all refusals at once.
//! - Invariants: only reads.

use super::LandingError;
use super::write::{DayLanding, Landing};
use crate::store::{Created, Lake};
use chrono::{DateTime, Utc};
use corridor_chain::generation::ENTRY_FORMAT;
use corridor_chain::paths::{self, EntryKind};
use corridor_chain::{
    ClosedEntry, Day, DayDecision, DayFacts, Entry, Generation, OpenEntry, Refusal, RunIdentity, decide_day,
};
use corridor_model::Ledger;
use std::collections::BTreeMap;
use std::fmt;

/// What a run will do, day by day. Printing it is all that `--dry-run` needs.
#[derive(Debug)]
pub struct LandingPlan {
    lake: Lake,
    run: RunIdentity,
    days: BTreeMap<Day, PlannedDay>,
}

#[derive(Debug)]
struct PlannedDay {
    facts: DayFacts,
    decision: DayDecision,
}

impl Landing {
    /// Decides every day. Writes nothing; fails when any day must be left alone, naming all such days.
    pub async fn begin(lake: Lake, days: &[Day], run: RunIdentity) -> Result<LandingPlan, LandingError> {
        let is_live = lake.has_any(paths::CHAIN_PREFIX).await?;
        let mut planned = BTreeMap::new();
        let mut refusals = Vec::new();
        for day in days {
            let facts = DayFacts { is_live, ..gather_facts(&lake, day).await? };
            let decision = decide_day(&facts, &run);
            if let DayDecision::Refuse(refusal) = &decision {
                refusals.push(refusal.clone());
            }
            planned.insert(day.clone(), PlannedDay { facts, decision });
        }
        match refusals.is_empty() {
            true => Ok(LandingPlan { lake, run, days: planned }),
            false => Err(LandingError::Refused { refusals }),
        }
    }
}

impl LandingPlan {
    /// Whether the same job has landed every day already, so that there is nothing to do.
    pub fn is_already_landed(&self) -> bool {
        self.days.values().all(|day| matches!(day.decision, DayDecision::AlreadyLanded(_)))
    }

    /// The equation of the run that landed these days, when this run has nothing to do.
    pub fn landed_totals(&self) -> Option<Ledger> {
        let landed = self.days.values().find_map(|day| match &day.decision {
            DayDecision::AlreadyLanded(generation) => day.facts.generations.get(generation),
            _ => None,
        });
        landed.and_then(|facts| facts.closed.as_ref()).map(|closed| closed.run_totals)
    }

    /// Every day with what will be done.
    pub fn decisions(&self) -> impl Iterator<Item = (&Day, &DayDecision)> {
        self.days.iter().map(|(day, planned)| (day, &planned.decision))
    }

    /// Whether rows of this day are still to be written.
    pub fn needs_rows(&self, day: &Day) -> bool {
        let decision = self.days.get(day).map(|planned| &planned.decision);
        matches!(decision, Some(DayDecision::TakeNumber(_) | DayDecision::Resume(_)))
    }

    /// Takes the numbers: the first writes of the run.
    pub async fn open(self, now: DateTime<Utc>) -> Result<Landing, LandingError> {
        let Self { lake, run, days } = self;
        let mut landing = Landing::new(lake, run, now);
        for (day, planned) in days {
            let state = landing.open_day(&day, planned).await?;
            landing.days.insert(day, state);
        }
        Ok(landing)
    }
}

impl fmt::Display for LandingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (day, decision) in self.decisions() {
            match decision {
                DayDecision::TakeNumber(number) => writeln!(f, "{day}: would land as generation {number}")?,
                DayDecision::Resume(number) => {
                    writeln!(f, "{day}: would resume generation {number} of a stopped run")?;
                }
                DayDecision::AlreadyLanded(number) => {
                    writeln!(f, "{day}: already landed as generation {number} from the same inputs")?;
                }
                DayDecision::FinishSeal(number) => {
                    writeln!(f, "{day}: would seal generation {number}, which a stopped run closed")?;
                }
                DayDecision::Refuse(refusal) => writeln!(f, "{refusal}")?,
            }
        }
        Ok(())
    }
}

impl Landing {
    async fn open_day(&self, day: &Day, planned: PlannedDay) -> Result<DayLanding, LandingError> {
        let PlannedDay { mut facts, decision } = planned;
        match decision {
            DayDecision::TakeNumber(number) => self.take_number(day, Some(number)).await,
            DayDecision::Resume(number) => {
                let open = facts.generations.remove(&number).and_then(|found| found.open);
                let opened_at = open.map_or(self.now, |open| open.opened_at);
                Ok(DayLanding::Writing { generation: number, opened_at, files: BTreeMap::new() })
            }
            DayDecision::FinishSeal(generation) => Ok(DayLanding::Closed { generation }),
            DayDecision::AlreadyLanded(generation) => Ok(DayLanding::Landed { generation }),
            DayDecision::Refuse(refusal) => Err(LandingError::Refused { refusals: vec![refusal] }),
        }
    }

    /// Takes the first free number from `number` on, or shares one that the same job and build holds.
    pub(super) async fn take_number(
        &self,
        day: &Day,
        mut number: Option<Generation>,
    ) -> Result<DayLanding, LandingError> {
        while let Some(generation) = number {
            let entry = self.open_entry(day, generation);
            let key = paths::open_key(day, generation);
            let created = self.lake.create(&key, entry.to_bytes().into()).await?;
            let holder = match created {
                Created::New | Created::AlreadyThere => Some(entry),
                Created::OtherContent => read_entry::<OpenEntry>(&self.lake, &key).await?,
            };
            match holder {
                Some(open) if corridor_chain::decide::is_resumable(&open, &self.run) => {
                    let opened_at = open.opened_at;
                    return Ok(DayLanding::Writing { generation, opened_at, files: BTreeMap::new() });
                }
                Some(_) | None => number = generation.next(),
            }
        }
        Err(LandingError::Refused { refusals: vec![Refusal::NoNumberLeft { day: day.clone() }] })
    }

    fn open_entry(&self, day: &Day, generation: Generation) -> OpenEntry {
        OpenEntry {
            format: ENTRY_FORMAT,
            date: day.clone(),
            generation,
            run: self.run.run.clone(),
            input_digest: self.run.input_digest.clone(),
            build: self.run.build.clone(),
            why: self.run.why.clone(),
            opened_at: self.now,
        }
    }
}

/// Reads the entries and seals of a day.
async fn gather_facts(lake: &Lake, day: &Day) -> Result<DayFacts, LandingError> {
    let mut facts = DayFacts::new(day.clone());
    for object in lake.list(&paths::entries_folder(day)).await? {
        let Some((_, generation, kind)) = paths::parse_entry_key(&object.key) else {
            tracing::warn!(key = object.key, "a file under ctl/generations is no entry; it is ignored");
            continue;
        };
        let found = facts.generations.entry(generation).or_default();
        match kind {
            EntryKind::Open => found.open = read_entry::<OpenEntry>(lake, &object.key).await?,
            EntryKind::Closed => found.closed = read_entry::<ClosedEntry>(lake, &object.key).await?,
        }
    }
    for object in lake.list(&paths::seals_folder(day)).await? {
        if let Some((_, generation)) = paths::parse_seal_key(&object.key) {
            facts.generations.entry(generation).or_default().is_sealed = true;
        }
    }
    Ok(facts)
}

/// Reads an entry; None when it is not there.
pub(super) async fn read_entry<E: Entry>(lake: &Lake, key: &str) -> Result<Option<E>, LandingError> {
    match lake.read(key).await? {
        None => Ok(None),
        Some(bytes) => match E::parse(&bytes) {
            Ok(entry) => Ok(Some(entry)),
            Err(source) => Err(LandingError::BrokenEntry { key: key.into(), source }),
        },
    }
}
