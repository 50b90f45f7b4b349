//! Close and seal: the days of a run become whole, then current.
//!
//! - In: the counts of each day and of the run, what was read, the moment from which the days count.
//! - Out: closed entries and seals; which day is now which generation.
//! - Invariants: a number is closed as landed only when its folders hold exactly the files of the run and every lower
//!   number is closed as abandoned. All days are closed before one is sealed.

use super::LandingError;
use super::plan::read_entry;
use super::write::{DayLanding, Landing};
use crate::store::{Created, Lake};
use chrono::{DateTime, Utc};
use corridor_chain::generation::ENTRY_FORMAT;
use corridor_chain::paths::{self, generation_folder};
use corridor_chain::{
    ClosedEntry, Day, Entry, EntryError, FileEntry, Generation, InputEntry, Outcome, SealFact, Table,
};
use corridor_model::Ledger;
use std::collections::{BTreeMap, BTreeSet};

/// What a run says about itself when it closes its days.
#[derive(Debug, Clone, Default)]
pub struct RunReport {
    /// Counts of each day. A day that is not named had no records.
    pub ledgers: BTreeMap<Day, Ledger>,
    /// Counts of the whole run.
    pub totals: Ledger,
    /// What was read.
    pub inputs: Vec<InputEntry>,
    /// Digest of the directory folder used, if one was.
    pub directory_version: Option<String>,
}

/// A run whose days are all closed.
#[derive(Debug)]
pub struct ClosedLanding {
    lake: Lake,
    days: BTreeMap<Day, ClosedDay>,
}

#[derive(Debug)]
struct ClosedDay {
    generation: Generation,
    is_sealed: bool,
}

/// A day that is landed and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedDay {
    /// The day.
    pub day: Day,
    /// The generation that holds it.
    pub generation: Generation,
    /// Whether this run sealed it; false when it was sealed before.
    pub is_new: bool,
}

impl Landing {
    /// Closes every day. Call it when every file of every day was put.
    pub async fn close_all(
        mut self,
        report: &RunReport,
        now: DateTime<Utc>,
    ) -> Result<ClosedLanding, LandingError> {
        let writing = self.days_to_write();
        for day in &writing {
            self.leave_numbers_with_strangers(day).await?;
            self.check_counts(day, report)?;
        }
        // All lower numbers of all days are fenced out before the first day is closed: a lost race leaves no day closed.
        for day in &writing {
            self.abandon_lower_numbers(day, now).await?;
        }
        for day in &writing {
            self.close_day(day, report, now).await?;
        }
        let days = self.days.into_iter().map(|(day, state)| (day, ClosedDay::from(state))).collect();
        Ok(ClosedLanding { lake: self.lake, days })
    }

    /// A folder under a glob may hold nothing that the closed entry does not name: readers would count it.
    async fn leave_numbers_with_strangers(&mut self, day: &Day) -> Result<(), LandingError> {
        while let Some(stranger) = self.find_stranger(day).await? {
            self.retake(day, &stranger).await?;
        }
        Ok(())
    }

    async fn find_stranger(&self, day: &Day) -> Result<Option<String>, LandingError> {
        let (generation, files) = self.writing(day)?;
        let mut missing: BTreeSet<&str> = files.values().map(|file| file.path.as_str()).collect();
        for table in Table::ALL {
            for object in self.lake.list(&generation_folder(table, generation, day)).await? {
                if !missing.remove(object.key.as_str()) {
                    return Ok(Some(object.key));
                }
            }
        }
        match missing.first() {
            Some(key) => Err(LandingError::Damaged { key: (*key).to_owned() }),
            None => Ok(None),
        }
    }

    fn check_counts(&self, day: &Day, report: &RunReport) -> Result<(), LandingError> {
        let (_, files) = self.writing(day)?;
        let in_files = files.values().filter(|file| file.table == Table::Events).map(|file| file.rows).sum();
        let counted = report.ledgers.get(day).copied().unwrap_or_default().rows;
        match in_files == counted {
            true => Ok(()),
            false => Err(LandingError::CountsDiffer { day: day.clone(), in_files, counted }),
        }
    }

    /// Closes every lower number of the day as abandoned. Whoever still works on one can no longer land it.
    async fn abandon_lower_numbers(&mut self, day: &Day, now: DateTime<Utc>) -> Result<(), LandingError> {
        let (held, _) = self.writing(day)?;
        let mut number = Some(Generation::FIRST);
        while let Some(lower) = number.filter(|number| *number < held) {
            let entry = self.closed_entry(day, lower, Outcome::Abandoned, &RunReport::default(), now);
            if let Some(other) = self.create_closed(&entry).await?
                && other.outcome == Outcome::Landed
            {
                return self.yield_day(day, held, other);
            }
            number = lower.next();
        }
        Ok(())
    }

    async fn close_day(
        &mut self,
        day: &Day,
        report: &RunReport,
        now: DateTime<Utc>,
    ) -> Result<(), LandingError> {
        if !self.needs_rows(day) {
            return Ok(()); // Yielded to the same job, which landed it first.
        }
        let (generation, files) = self.writing(day)?;
        let files: Vec<FileEntry> = files.values().cloned().collect();
        let mut entry = self.closed_entry(day, generation, Outcome::Landed, report, now);
        entry.files = files;
        entry.files.sort();
        match self.create_closed(&entry).await? {
            Some(other) if !other.is_same_landing(&entry) => self.yield_day(day, generation, other),
            Some(_) | None => {
                self.days.insert(day.clone(), DayLanding::Closed { generation });
                Ok(())
            }
        }
    }

    /// Somebody else decided the day. The same job on another machine is no loss; another job is.
    fn yield_day(&mut self, day: &Day, held: Generation, other: ClosedEntry) -> Result<(), LandingError> {
        if other.outcome == Outcome::Landed && other.input_digest == self.run.input_digest {
            self.days.insert(day.clone(), DayLanding::Closed { generation: other.generation });
            return Ok(());
        }
        Err(LandingError::Overtaken { day: day.clone(), generation: held, by_run: other.run })
    }

    /// Creates a closed entry; Some(entry) when another one stands there.
    async fn create_closed(&self, entry: &ClosedEntry) -> Result<Option<ClosedEntry>, LandingError> {
        let key = paths::closed_key(&entry.date, entry.generation);
        match self.lake.create(&key, entry.to_bytes().into()).await? {
            Created::New | Created::AlreadyThere => Ok(None),
            Created::OtherContent => match read_entry(&self.lake, &key).await? {
                Some(other) => Ok(Some(other)),
                None => Err(LandingError::Damaged { key }),
            },
        }
    }

    fn closed_entry(
        &self,
        day: &Day,
        generation: Generation,
        outcome: Outcome,
        report: &RunReport,
        now: DateTime<Utc>,
    ) -> ClosedEntry {
        ClosedEntry {
            format: ENTRY_FORMAT,
            date: day.clone(),
            generation,
            outcome,
            run: self.run.run.clone(),
            input_digest: self.run.input_digest.clone(),
            build: self.run.build.clone(),
            closed_at: now,
            files: Vec::new(),
            ledger: report.ledgers.get(day).copied().unwrap_or_default(),
            inputs: report.inputs.clone(),
            run_totals: report.totals,
            directory_version: report.directory_version.clone(),
        }
    }
}

impl From<DayLanding> for ClosedDay {
    fn from(state: DayLanding) -> Self {
        match state {
            DayLanding::Writing { generation, .. } | DayLanding::Closed { generation } => {
                Self { generation, is_sealed: false }
            }
            DayLanding::Landed { generation } => Self { generation, is_sealed: true },
        }
    }
}

impl ClosedLanding {
    /// Makes every day current from one moment on. Days sealed before keep theirs.
    pub async fn seal_all(self, activate_at: DateTime<Utc>) -> Result<Vec<LandedDay>, LandingError> {
        let mut landed = Vec::new();
        for (day, ClosedDay { generation, is_sealed }) in self.days {
            let is_new = !is_sealed && create_seal(&self.lake, &day, generation, activate_at).await?;
            landed.push(LandedDay { day, generation, is_new });
        }
        Ok(landed)
    }
}

/// Creates a seal; false when the same fact stands there with another moment, from a run that worked beside this one.
async fn create_seal(
    lake: &Lake,
    day: &Day,
    generation: Generation,
    activate_at: DateTime<Utc>,
) -> Result<bool, LandingError> {
    let key = paths::seal_key(day, generation);
    let fact = SealFact::new(day.clone(), generation, activate_at);
    match lake.create(&key, fact.to_csv().into()).await? {
        Created::New | Created::AlreadyThere => Ok(true),
        Created::OtherContent => {
            let facts = super::current::read_seal(lake, &key).await?;
            match facts.iter().any(|found| &found.date == day && found.generation == generation) {
                true => Ok(false),
                false => {
                    let source = EntryError::Seal(format!("no line for {day},{generation}"));
                    Err(LandingError::BrokenEntry { key, source })
                }
            }
        }
    }
}
