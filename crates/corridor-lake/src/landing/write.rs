//! Write: creates the files of the days that a run lands, and changes the number when one turns out to be spoilt.
//!
//! - In: encoded files, in any order of days and hours.
//! - Out: their entries.
//! - Keeps: the entries of every file created, by place.
//! - Invariants: a file of a resumed run has the bytes this run would write, or the number is given up and what was
//!   created so far is copied under the next one.

use super::LandingError;
use crate::store::{Created, Lake};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use corridor_chain::paths::FilePlace;
use corridor_chain::{Day, FileEntry, Generation, RunIdentity, Table};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// How often a day may change its number. More means that the job does not repeat itself.
const RETAKES_MAX: u32 = 8;

/// An encoded file and where it belongs.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its root.
    pub table: Table,
    /// Its day.
    pub day: Day,
    /// Its hour, 0 to 23.
    pub hour: u8,
    /// Its number within the hour, from 0, the same whenever the job is repeated.
    pub part: u32,
    /// Rows in it.
    pub rows: u64,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// Which limit ended it.
    pub rolled_by: String,
    /// The whole file.
    pub bytes: Bytes,
}

/// A run that holds its numbers and creates files.
#[derive(Debug)]
pub struct Landing {
    pub(super) lake: Lake,
    pub(super) run: RunIdentity,
    pub(super) now: DateTime<Utc>,
    pub(super) days: BTreeMap<Day, DayLanding>,
    retake_count: u32,
}

/// Where within a generation a file lies.
type PlaceInDay = (Table, u8, u32);

/// How far a day is.
#[derive(Debug)]
pub(super) enum DayLanding {
    /// Files are being created.
    Writing { generation: Generation, opened_at: DateTime<Utc>, files: BTreeMap<PlaceInDay, FileEntry> },
    /// Closed as landed, not sealed.
    Closed { generation: Generation },
    /// Sealed before this run began.
    Landed { generation: Generation },
}

impl Landing {
    pub(super) fn new(lake: Lake, run: RunIdentity, now: DateTime<Utc>) -> Self {
        Self { lake, run, now, days: BTreeMap::new(), retake_count: 0 }
    }

    /// Whether rows of this day are to be written. False for a day that a stopped run closed, and for foreign days.
    pub fn needs_rows(&self, day: &Day) -> bool {
        matches!(self.days.get(day), Some(DayLanding::Writing { .. }))
    }

    /// The days whose rows are to be written.
    pub fn days_to_write(&self) -> BTreeSet<Day> {
        self.days.keys().filter(|day| self.needs_rows(day)).cloned().collect()
    }

    /// When the number of a day was taken. A resumed run sees the moment of the first run, so rows that carry it
    /// repeat byte for byte.
    pub fn opened_at(&self, day: &Day) -> Option<DateTime<Utc>> {
        match self.days.get(day) {
            Some(DayLanding::Writing { opened_at, .. }) => Some(*opened_at),
            Some(DayLanding::Closed { .. } | DayLanding::Landed { .. }) | None => None,
        }
    }

    /// Creates a file, or finds that a stopped run of the same job has created it.
    pub async fn put_file(&mut self, file: NewFile) -> Result<FileEntry, LandingError> {
        let place = (file.table, file.hour, file.part);
        loop {
            let (generation, files) = self.writing(&file.day)?;
            let key = key_of(&file.day, generation, place);
            if let Some(known) = files.get(&place) {
                return match known.sha256 == file.sha256 {
                    true => Ok(known.clone()),
                    false => Err(LandingError::PartTwice { key }),
                };
            }
            match self.lake.create(&key, file.bytes.clone()).await? {
                Created::New | Created::AlreadyThere => {
                    let entry = entry_of(&file, key);
                    self.remember(&file.day, place, entry.clone());
                    return Ok(entry);
                }
                Created::OtherContent => self.retake(&file.day, &key).await?,
            }
        }
    }

    /// The number held for a day and the files created under it.
    pub(super) fn writing(
        &self,
        day: &Day,
    ) -> Result<(Generation, &BTreeMap<PlaceInDay, FileEntry>), LandingError> {
        match self.days.get(day) {
            Some(DayLanding::Writing { generation, files, .. }) => Ok((*generation, files)),
            Some(DayLanding::Closed { .. } | DayLanding::Landed { .. }) | None => {
                Err(LandingError::NotWriting { day: day.clone() })
            }
        }
    }

    fn remember(&mut self, day: &Day, place: PlaceInDay, entry: FileEntry) {
        if let Some(DayLanding::Writing { files, .. }) = self.days.get_mut(day) {
            files.insert(place, entry);
        }
    }

    /// Gives up the number of a day, whose file at `spoilt` is not ours, and moves to the next one with all files.
    pub(super) async fn retake(&mut self, day: &Day, spoilt: &str) -> Result<(), LandingError> {
        let (mut generation, files) = self.writing(day)?;
        let old_files = files.clone();
        let mut spoilt = spoilt.to_owned();
        loop {
            self.retake_count += 1;
            if self.retake_count > RETAKES_MAX {
                return Err(LandingError::Unstable { key: spoilt, tries: RETAKES_MAX });
            }
            tracing::warn!(%day, %generation, key = spoilt, "the generation holds other bytes; take the next number");
            let mut taken = self.take_number(day, generation.next()).await?;
            if let DayLanding::Writing { generation: new, files, .. } = &mut taken {
                generation = *new;
                match self.copy_files(day, generation, &old_files).await? {
                    Ok(copied) => *files = copied,
                    Err(key) => {
                        spoilt = key;
                        continue;
                    }
                }
            }
            self.days.insert(day.clone(), taken);
            return Ok(());
        }
    }

    /// Copies files under another number. The inner error is the key that holds something else.
    async fn copy_files(
        &self,
        day: &Day,
        generation: Generation,
        old_files: &BTreeMap<PlaceInDay, FileEntry>,
    ) -> Result<Result<BTreeMap<PlaceInDay, FileEntry>, String>, LandingError> {
        let mut copied = BTreeMap::new();
        for (place, old) in old_files {
            let key = key_of(day, generation, *place);
            let bytes = self.lake.read(&old.path).await?;
            let Some(bytes) = bytes.filter(|bytes| hex::encode(Sha256::digest(bytes)) == old.sha256) else {
                return Err(LandingError::Damaged { key: old.path.clone() });
            };
            match self.lake.create(&key, bytes).await? {
                Created::New | Created::AlreadyThere => {}
                Created::OtherContent => return Ok(Err(key)),
            }
            copied.insert(*place, FileEntry { path: key, ..old.clone() });
        }
        Ok(Ok(copied))
    }
}

fn key_of(day: &Day, generation: Generation, (table, hour, part): PlaceInDay) -> String {
    FilePlace { table, generation, day: day.clone(), hour, part }.key()
}

fn entry_of(file: &NewFile, path: String) -> FileEntry {
    FileEntry {
        path,
        table: file.table,
        hour: file.hour,
        rows: file.rows,
        bytes: file.bytes.len() as u64,
        sha256: file.sha256.clone(),
        rolled_by: file.rolled_by.clone(),
    }
}
