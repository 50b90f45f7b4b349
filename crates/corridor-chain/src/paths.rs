//! Paths: the only place where keys of the lake are built, and the way back from a key to its parts.
//!
//! - In: days, hours, generation and part numbers, tables.
//! - Out: keys relative to the root of the lake, with `/` between the parts and none in front.
//! - Invariants: `date=` and `hour=` are UTC and zero-padded, so that keys sort as time does; a generation has three
//!   digits, because views compare it as text; a part has five. `parse(build(x)) == x`.

mod live;

pub use live::{
    Lane, LivePlace, STAGE_PREFIX, chain_folder, chain_key, is_stage_key, late_root, open_set_key,
    parse_chain_key, stage_key,
};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use corridor_model::HourBucket;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything under this key belongs to the chains of a live lake.
pub const CHAIN_PREFIX: &str = "ctl/chain";

/// The name of the zero-row file that keeps a root queryable before the first real file.
const SEED_NAME: &str = "seed.parquet";

/// A day that no event can have, so that seed files never count as evidence.
const SEED_DAY: &str = "1900-01-01";

/// Why a text is no part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not a calendar day.
    #[error("{0:?} is not a day of the form YYYY-MM-DD")]
    Day(String),
    /// Not a generation number.
    #[error("{0:?} is not a generation number of three digits")]
    Generation(String),
}

/// A day of event time in UTC, as `2026-11-24`. Invariant: a calendar day with a year of four digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Box<str>);

impl Day {
    /// Reads `YYYY-MM-DD`; anything looser is refused, because the text becomes part of a key.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let exact = raw.len() == 10 && raw.is_ascii();
        match NaiveDate::parse_from_str(raw, "%Y-%m-%d") {
            Ok(date) if exact && date.format("%Y-%m-%d").to_string() == raw => Ok(Self(raw.into())),
            _ => Err(PathError::Day(raw.into())),
        }
    }

    /// The day an hour of event time belongs to. An error only outside the years 0000 to 9999.
    pub fn of(hour: HourBucket) -> Result<Self, PathError> {
        Self::parse(&hour.date())
    }

    /// The day under which seed files lie.
    pub fn seed() -> Self {
        Self(SEED_DAY.into())
    }

    /// Its first moment.
    pub fn start(&self) -> DateTime<Utc> {
        let date = NaiveDate::parse_from_str(&self.0, "%Y-%m-%d").expect("parse accepted this text");
        date.and_time(NaiveTime::MIN).and_utc()
    }

    /// As it stands in a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Day {
    type Error = PathError;
    fn try_from(raw: String) -> Result<Self, PathError> {
        Self::parse(&raw)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.into()
    }
}

/// A generation of a day: 000 is live, 001 and above are landed whole. Invariant: at most 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Generation(u16);

impl Generation {
    /// What live workers append to.
    pub const LIVE: Generation = Generation(0);
    /// The first number a backfill can take.
    pub const FIRST: Generation = Generation(1);
    /// The last number: the view compares three digits.
    pub const LAST: Generation = Generation(999);

    /// The number after this one; None after 999.
    pub fn next(self) -> Option<Self> {
        (self < Self::LAST).then(|| Self(self.0 + 1))
    }

    /// Reads exactly three digits.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let digits = raw.len() == 3 && raw.bytes().all(|b| b.is_ascii_digit());
        match raw.parse() {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(PathError::Generation(raw.into())),
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl TryFrom<u16> for Generation {
    type Error = PathError;
    fn try_from(number: u16) -> Result<Self, PathError> {
        match Self(number) {
            generation if generation <= Self::LAST => Ok(generation),
            _ => Err(PathError::Generation(number.to_string())),
        }
    }
}

impl From<Generation> for u16 {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

/// A root of the lake that holds Parquet files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Evidence rows.
    Events,
    /// The records they were made of, redacted.
    Records,
    /// What could not become an event.
    Rejects,
}

impl Table {
    /// Every table, in the order of a run's report.
    pub const ALL: [Table; 3] = [Table::Events, Table::Records, Table::Rejects];

    /// The name of its root folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Records => "records",
            Self::Rejects => "rejects",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one Parquet file of a landed generation lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePlace {
    /// The root.
    pub table: Table,
    /// The generation it belongs to.
    pub generation: Generation,
    /// The day of its rows.
    pub day: Day,
    /// The hour of its rows, 0 to 23.
    pub hour: u8,
    /// Its number within the hour, so that a repeated run meets its own files.
    pub part: u32,
}

impl FilePlace {
    /// `events/gen=001/date=2026-11-24/hour=07/00000.parquet`.
    pub fn key(&self) -> String {
        let folder = generation_folder(self.table, self.generation, &self.day);
        format!("{folder}/hour={:02}/{:05}.parquet", self.hour, self.part)
    }

    /// The place a key names; None for any other key, a seed file included.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let root = parts.next()?;
        let table = Table::ALL.into_iter().find(|table| table.as_str() == root)?;
        let generation = Generation::parse(parts.next()?.strip_prefix("gen=")?).ok()?;
        let day = Day::parse(parts.next()?.strip_prefix("date=")?).ok()?;
        let hour = parts.next()?.strip_prefix("hour=")?.parse().ok().filter(|hour| *hour < 24)?;
        let part = parts.next()?.strip_suffix(".parquet")?.parse().ok()?;
        let place = Self { table, generation, day, hour, part };
        (parts.next().is_none() && place.key() == key).then_some(place)
    }
}

/// The folder that holds one day of one generation of a table.
pub fn generation_folder(table: Table, generation: Generation, day: &Day) -> String {
    format!("{table}/gen={generation}/date={day}")
}

/// The folder with the entries of every day's generations.
pub const GENERATIONS_PREFIX: &str = "ctl/generations";

/// The folder with the entries of a day's generations.
pub fn entries_folder(day: &Day) -> String {
    format!("{GENERATIONS_PREFIX}/date={day}")
}

/// The entry by which a number is taken.
pub fn open_key(day: &Day, generation: Generation) -> String {
    format!("{}/{generation}.open.json", entries_folder(day))
}

/// The entry that decides what became of a number.
pub fn closed_key(day: &Day, generation: Generation) -> String {
    format!("{}/{generation}.closed.json", entries_folder(day))
}

/// Which of the two entries of a generation a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `NNN.open.json`.
    Open,
    /// `NNN.closed.json`.
    Closed,
}

/// The generation and kind of an entry's key under `ctl/generations/`; None for other keys.
pub fn parse_entry_key(key: &str) -> Option<(Day, Generation, EntryKind)> {
    let (date, name) = key.strip_prefix("ctl/generations/date=")?.split_once('/')?;
    let (kind, number) = match name.strip_suffix(".open.json") {
        Some(number) => (EntryKind::Open, number),
        None => (EntryKind::Closed, name.strip_suffix(".closed.json")?),
    };
    Some((Day::parse(date).ok()?, Generation::parse(number).ok()?, kind))
}

/// The folder with the seals of every day.
pub const SEALS_PREFIX: &str = "seals";

/// The folder with the seals of a day.
pub fn seals_folder(day: &Day) -> String {
    format!("{SEALS_PREFIX}/date={day}")
}

/// The fact that makes a generation current.
pub fn seal_key(day: &Day, generation: Generation) -> String {
    format!("{}/gen={generation}.csv", seals_folder(day))
}

/// The day and generation of a seal's key; None for other keys.
pub fn parse_seal_key(key: &str) -> Option<(Day, Generation)> {
    let (date, name) = key.strip_prefix("seals/date=")?.split_once('/')?;
    let number = name.strip_prefix("gen=")?.strip_suffix(".csv")?;
    Some((Day::parse(date).ok()?, Generation::parse(number).ok()?))
}

/// The zero-row file of a table.
pub fn seed_key(table: Table) -> String {
    let folder = generation_folder(table, Generation::LIVE, &Day::seed());
    format!("{folder}/hour=00/{SEED_NAME}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day() -> Day {
        Day::parse("2026-11-24").unwrap()
    }

    #[test]
    fn keys_follow_the_layout_of_the_design() {
        let place =
            FilePlace { table: Table::Events, generation: Generation::FIRST, day: day(), hour: 7, part: 0 };
        assert_eq!(place.key(), "events/gen=001/date=2026-11-24/hour=07/00000.parquet");
        assert_eq!(open_key(&day(), Generation::FIRST), "ctl/generations/date=2026-11-24/001.open.json");
        assert_eq!(closed_key(&day(), Generation::FIRST), "ctl/generations/date=2026-11-24/001.closed.json");
        assert_eq!(seal_key(&day(), Generation::FIRST), "seals/date=2026-11-24/gen=001.csv");
        assert_eq!(seed_key(Table::Rejects), "rejects/gen=000/date=1900-01-01/hour=00/seed.parquet");
        assert_eq!(seal_key(&Day::seed(), Generation::LIVE), "seals/date=1900-01-01/gen=000.csv");
    }

    #[test]
    fn a_day_is_exactly_a_calendar_day() {
        for good in ["1970-01-01", "2024-02-29", "9999-12-31"] {
            assert_eq!(Day::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "2026-1-1", "2026-02-30", "2026-11-24 ", "../../etc/p", "20261124", "+026-11-24"] {
            assert_eq!(Day::parse(bad), Err(PathError::Day(bad.into())), "{bad}");
        }
        assert_eq!(Day::of(HourBucket(0)).unwrap().as_str(), "1970-01-01");
    }

    #[test]
    fn generations_have_three_digits_and_end_at_999() {
        assert_eq!(Generation::parse("042").unwrap().to_string(), "042");
        for bad in ["", "1", "1000", "+01", "0x1"] {
            assert!(Generation::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Generation::FIRST.next(), Generation::parse("002").ok());
        assert_eq!(Generation::LAST.next(), None);
        assert!(Generation::try_from(1000).is_err());
    }

    #[test]
    fn entry_and_seal_keys_are_read_back() {
        let generation = Generation::parse("017").unwrap();
        let cases = [(open_key(&day(), generation), EntryKind::Open)]
            .into_iter()
            .chain([(closed_key(&day(), generation), EntryKind::Closed)]);
        for (key, kind) in cases {
            assert_eq!(parse_entry_key(&key), Some((day(), generation, kind)), "{key}");
            assert_eq!(parse_seal_key(&key), None, "{key}");
        }
        assert_eq!(parse_seal_key(&seal_key(&day(), generation)), Some((day(), generation)));
    }

    #[test]
    fn foreign_keys_are_no_place() {
        let keys = [
            "events/gen=001/date=2026-11-24/hour=24/00000.parquet",
            "events/gen=001/date=2026-11-24/hour=7/00000.parquet",
            "events/gen=001/date=2026-11-24/hour=07/0.parquet",
            "events/gen=001/date=2026-11-24/hour=07/00000.parquet/x",
            "alerts/gen=001/date=2026-11-24/hour=07/00000.parquet",
            "events/gen=000/date=1900-01-01/hour=00/seed.parquet",
            "events",
        ];
        for key in keys {
            assert_eq!(FilePlace::parse(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn every_place_survives_the_round_trip(
            table in 0usize..3, generation in 0u16..1000, days in 0i64..2_900_000, hour in 0u8..24, part in 0u32..100_000
        ) {
            let day = Day::of(HourBucket(days * 24)).unwrap();
            let generation = Generation::try_from(generation).unwrap();
            let place = FilePlace { table: Table::ALL[table], generation, day, hour, part };
            prop_assert_eq!(FilePlace::parse(&place.key()), Some(place));
        }
    }
}
