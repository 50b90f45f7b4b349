//! Generation: what is written down when a day of the lake changes hands, and how it is read back.
//!
//! - In: facts of a run; bytes found in the lake.
//! - Out: JSON entries (`NNN.open.json`, `NNN.closed.json`) and the one-line CSV of a seal.
//! - Invariants: the same entry always gives the same bytes. Unknown fields are refused, for an entry decides what
//!   auditors see; an entry of a later format is named as such, not called broken.

use crate::paths::{Day, Generation, PathError, Table};
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use corridor_model::Ledger;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The format of the entries this build writes, and the newest that it reads.
pub const ENTRY_FORMAT: u32 = 1;

/// First line of a seal: readers skip it (`FIRSTROW = 2`).
const SEAL_HEADER: &str = "date,gen,activate_at";

/// How a seal writes its moment, readable by T-SQL `datetime2(0)`.
const SEAL_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Written by a later build.
    #[error("the entry has format {found}, which is later than this build: use a newer build")]
    Newer {
        /// The format named in the entry.
        found: u32,
    },
    /// It cannot be true.
    #[error("the entry contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Not JSON, or not of this shape.
    #[error("the entry is not of the documented shape")]
    Shape(#[from] serde_json::Error),
    /// A seal that is not the documented CSV.
    #[error("the seal is not a header and one line date,gen,activate_at: {0:?}")]
    Seal(String),
    /// A seal for something that is no day or no generation.
    #[error("the seal names no generation of a day")]
    SealPlace(#[from] PathError),
}

/// The entry that takes a generation number for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenEntry {
    /// Format of the entry.
    pub format: u32,
    /// The day.
    pub date: Day,
    /// The number taken.
    pub generation: Generation,
    /// Name of the run that took it.
    pub run: String,
    /// SHA-256 over everything that decides the rows: inputs and settings. Equal digests are the same job.
    pub input_digest: String,
    /// The build that encodes the files. Another build may encode the same rows to other bytes.
    pub build: String,
    /// Why the number was taken, for people.
    pub why: String,
    /// When.
    #[serde(with = "utc_text")]
    pub opened_at: DateTime<Utc>,
}

/// What became of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The day is whole: every file named exists.
    Landed,
    /// Given up, and never to be sealed: another run or another number landed the day.
    Abandoned,
}

/// A moment as text in UTC with microseconds, as everywhere in the lake.
pub(crate) mod utc_text {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(at: &DateTime<Utc>, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(from)?;
        let at = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(at.with_timezone(&Utc))
    }
}

/// One Parquet file of a closed generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Key relative to the root of the lake.
    pub path: String,
    /// Its root.
    pub table: Table,
    /// Its hour, 0 to 23.
    pub hour: u8,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Which limit ended the file.
    pub rolled_by: String,
}

/// One input of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Path or URL as the operator named it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What identifies its content.
    pub digest: String,
}

/// The entry that ends a generation. Created once: it fences out whoever else worked on the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedEntry {
    /// Format of the entry.
    pub format: u32,
    /// The day.
    pub date: Day,
    /// The number.
    pub generation: Generation,
    /// What became of it.
    pub outcome: Outcome,
    /// The run that closed it.
    pub run: String,
    /// Digest of the job that closed it.
    pub input_digest: String,
    /// The build that closed it.
    pub build: String,
    /// When.
    #[serde(with = "utc_text")]
    pub closed_at: DateTime<Utc>,
    /// Every file of the day, sorted by path. Empty when abandoned.
    pub files: Vec<FileEntry>,
    /// Conservation of this day alone.
    pub ledger: Ledger,
    /// What the run read.
    pub inputs: Vec<InputEntry>,
    /// Conservation of the whole run.
    pub run_totals: Ledger,
    /// Digest of the directory folder used, if one was.
    pub directory_version: Option<String>,
}

impl ClosedEntry {
    /// Whether both close the same job with the same files, whoever wrote them and when.
    pub fn is_same_landing(&self, other: &Self) -> bool {
        (self.outcome, &self.date, self.generation, &self.input_digest, &self.files)
            == (other.outcome, &other.date, other.generation, &other.input_digest, &other.files)
    }
}

/// An entry kept as one JSON document.
pub trait Entry: Serialize + DeserializeOwned {
    /// The bytes as stored: indented, because people read them in an incident, with a newline at the end.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("entries have string keys and plain values");
        bytes.push(b'\n');
        bytes
    }

    /// Reads an entry, telling a later format from a broken one.
    fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }
        let FormatOnly { format } = serde_json::from_slice(bytes)?;
        match format {
            found if found > ENTRY_FORMAT => Err(EntryError::Newer { found }),
            _ => Ok(serde_json::from_slice(bytes)?),
        }
    }
}

impl Entry for OpenEntry {}
impl Entry for ClosedEntry {}

/// The fact by which a generation becomes current. Readers take, per day, the highest whose moment has passed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealFact {
    /// The day.
    pub date: Day,
    /// The generation.
    pub generation: Generation,
    /// From when it counts. Whole seconds.
    pub activate_at: DateTime<Utc>,
}

impl SealFact {
    /// A fact whose moment is cut to the second, as the file keeps it.
    pub fn new(date: Day, generation: Generation, activate_at: DateTime<Utc>) -> Self {
        Self { date, generation, activate_at: activate_at.trunc_subsecs(0) }
    }

    /// The CSV as stored.
    pub fn to_csv(&self) -> String {
        let Self { date, generation, activate_at } = self;
        format!("{SEAL_HEADER}\n{date},{generation},{}\n", activate_at.format(SEAL_TIME))
    }

    /// Reads a seal file: the header, and one fact a line, because old seals are rolled up into one file a year.
    pub fn parse_csv(text: &str) -> Result<Vec<Self>, EntryError> {
        let mut lines = text.lines();
        match lines.next() {
            Some(SEAL_HEADER) => lines.map(Self::parse_line).collect(),
            _ => Err(EntryError::Seal(text.chars().take(80).collect())),
        }
    }

    fn parse_line(line: &str) -> Result<Self, EntryError> {
        let broken = || EntryError::Seal(line.chars().take(80).collect());
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or_else(broken);
        let (date, generation, at) = (next()?, next()?, next()?);
        let at = NaiveDateTime::parse_from_str(at, SEAL_TIME).map_err(|_| broken())?;
        match fields.next() {
            None => Ok(Self::new(Day::parse(date)?, Generation::parse(generation)?, at.and_utc())),
            Some(_) => Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> OpenEntry {
        OpenEntry {
            format: ENTRY_FORMAT,
            date: Day::parse("2026-11-24").unwrap(),
            generation: Generation::FIRST,
            run: "run-1".into(),
            input_digest: "ab".repeat(32),
            build: "0.1.0".into(),
            why: "backfill".into(),
            opened_at: "2026-11-25T08:00:00.123456Z".parse().unwrap(),
        }
    }

    #[test]
    fn an_open_entry_has_the_documented_json() {
        let text = String::from_utf8(open().to_bytes()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["date"], "2026-11-24");
        assert_eq!(value["generation"], 1);
        assert_eq!(value["opened_at"], "2026-11-25T08:00:00.123456Z");
        assert_eq!(OpenEntry::parse(text.as_bytes()).unwrap(), open());
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let text = String::from_utf8(open().to_bytes()).unwrap().replace("\"why\"", "\"wyh\"");
        assert!(matches!(OpenEntry::parse(text.as_bytes()), Err(EntryError::Shape(_))));
    }

    #[test]
    fn an_entry_of_a_later_format_asks_for_a_newer_build() {
        let text = r#"{"format": 2, "something": "else"}"#;
        let error = OpenEntry::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, EntryError::Newer { found: 2 }), "{error}");
    }

    #[test]
    fn a_day_that_is_no_day_is_refused_in_json() {
        let text = String::from_utf8(open().to_bytes()).unwrap().replace("2026-11-24", "2026-11-31");
        assert!(OpenEntry::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn a_seal_is_a_header_and_one_line_that_t_sql_reads() {
        let at = "2026-11-25T08:45:00.999Z".parse().unwrap();
        let seal = SealFact::new(open().date, Generation::FIRST, at);
        assert_eq!(seal.to_csv(), "date,gen,activate_at\n2026-11-24,001,2026-11-25 08:45:00\n");
        assert_eq!(SealFact::parse_csv(&seal.to_csv()).unwrap(), vec![seal]);
    }

    #[test]
    fn a_seal_of_another_shape_is_refused() {
        let cases = [
            "",
            "date;gen\n",
            "date,gen,activate_at\n2026-11-24,001\n",
            "date,gen,activate_at\n2026-11-24,1,2026-11-25 08:45:00\n",
            "date,gen,activate_at\n2026-11-24,001,yesterday\n",
            "date,gen,activate_at\n2026-11-24,001,2026-11-25 08:45:00,x\n",
        ];
        for text in cases {
            assert!(SealFact::parse_csv(text).is_err(), "{text:?}");
        }
    }
}
