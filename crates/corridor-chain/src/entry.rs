//! Entry: one link of a shard's chain, as JSON under `ctl/chain/shard=NNNNN/<seq>.json`.
//!
//! - In: what a writer claims, or what an operator or a seal tells the shard.
//! - Out: bytes; and the entry again, checked against the key that it was read from.
//! - Invariants: the same entry always gives the same bytes, and `prev` is the SHA-256 of those of the entry before. Unknown
//!   fields and kinds are refused, as in every entry under `ctl/`: an entry decides what auditors see, so a build that
//!   does not know a field must stop, not guess. A field is added by raising the format; every older format is read for ever.

use crate::content_digest::ContentDigest;
use crate::day_set::DaySet;
use crate::generation::{EntryError, utc_text};
use crate::open_set::OpenSet;
use crate::paths::{self, Day, Generation, LivePlace, Table};
use chrono::{DateTime, Utc};
use corridor_model::{Ledger, LogIdentity, Micros};
use serde::{Deserialize, Serialize};

/// The format of the entries that this build writes, and the newest that it reads.
pub const CHAIN_FORMAT: u32 = 1;

/// Files that one claim may name.
pub const CLAIM_FILES_MAX: usize = 64;

/// Runs of an open set that still stands inside its entry; a longer one lies beside it.
pub const INLINE_RUNS_MAX: usize = 64;

/// One link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEntry {
    /// Format of the entry.
    pub format: u32,
    /// The shard.
    pub shard: u32,
    /// Its place in the chain, from 0.
    pub seq: u64,
    /// Digest of the bytes of the entry before; None only in entry 0.
    pub prev: Option<ContentDigest>,
    /// Who wrote it.
    pub writer: WriterMark,
    /// The build that wrote it.
    pub build: String,
    /// When.
    #[serde(with = "utc_text")]
    pub created_at: DateTime<Utc>,
    /// What it says.
    pub body: Body,
}

/// Who wrote an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriterMark {
    /// Unique for each start of a process.
    pub id: String,
    /// Unique for each entry of the writer.
    pub nonce: u64,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// The chain begins.
    Start(Start),
    /// A range of the log is done, apart from the open set.
    Append(Append),
    /// From here on, rows of this day are late.
    Seal(Seal),
    /// An operator accepts that records of the log are lost.
    Gap(Gap),
    /// A day was deleted on purpose.
    Expire(Expire),
}

/// Entry 0. Which days are sealed is not part of it: the open entries of generations are read after it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Number of shards, for ever.
    pub shard_count: u32,
    /// The log.
    pub log: LogIdentity,
    /// The first offset that the chain covers.
    pub begin: u64,
}

/// A claim: the files named exist from now on, or will, with exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// The log.
    pub log: LogIdentity,
    /// First offset covered: the end of the claim before, or of the gap after it.
    pub start: u64,
    /// First offset not covered.
    pub end: u64,
    /// The last record below `end`; None while there was none.
    pub last: Option<LastRecord>,
    /// The shard's clock: the highest append time covered.
    pub clock: Micros,
    /// Recovery replays from here.
    pub floor: u64,
    /// Offsets below `end` that are still pending.
    pub open: OpenOffsets,
    /// Its files.
    pub files: Vec<ClaimedFile>,
    /// Counts since entry 0.
    pub totals: Totals,
    /// Days whose rows are late.
    pub sealed: DaySet,
    /// Why it was made when it was.
    pub reason: ClaimReason,
    /// Digest of the directory folder in use, if one is.
    pub directory_version: Option<String>,
}

/// A record of the log, to recognise the log again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRecord {
    /// Its offset.
    pub offset: u64,
    /// Digest of its payload.
    pub sha256: ContentDigest,
}

/// Where the open set of a claim stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OpenOffsets {
    /// In the entry: `17-19,23`.
    Inline(String),
    /// In a file that was created before the entry.
    Beside {
        /// Key of the file.
        path: String,
        /// How many offsets.
        count: u64,
        /// Digest of the file.
        sha256: ContentDigest,
    },
}

impl OpenOffsets {
    /// Where a set goes, with the bytes of the file beside the entry when it needs one.
    pub fn place(set: &OpenSet, shard: u32, seq: u64) -> (Self, Option<Vec<u8>>) {
        if set.run_count() <= INLINE_RUNS_MAX {
            return (Self::Inline(set.to_text()), None);
        }
        let bytes = set.to_bytes();
        let sha256 = ContentDigest::of(&bytes);
        let path = paths::open_set_key(shard, seq, sha256);
        (Self::Beside { path, count: set.len(), sha256 }, Some(bytes))
    }
}

/// One Parquet file of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedFile {
    /// Whose rows.
    pub table: Table,
    /// Where its bytes were staged before the claim.
    pub staged: String,
    /// Its final key.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Digest of its bytes.
    pub sha256: ContentDigest,
    /// Which limit ended the file.
    pub rolled_by: String,
}

/// Running totals of a shard since entry 0. Conservation:
/// `records_in = rows + duplicates + rejects + pending + lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// The counts of the conservation equation.
    pub ledger: Ledger,
    /// Rows that were final before their wait, for memory.
    pub early: u64,
    /// Rows of sealed days.
    pub late: u64,
    /// Rejects for the same id with other content.
    pub conflicts: u64,
    /// Records that were pending when an operator accepted their loss. Records of a gap that nobody read are in no count.
    pub lost: u64,
}

impl Totals {
    /// Whether nothing was lost unseen or made up.
    pub fn is_conserved(&self) -> bool {
        let Ledger { records_in, rows, duplicates, rejects, pending } = self.ledger;
        records_in == rows + duplicates + rejects + pending + self.lost
    }
}

/// Why a claim was made when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimReason {
    /// The oldest final row had waited long enough to be seen.
    Age,
    /// The files had their size.
    Bytes,
    /// One more file would have been too many.
    Files,
    /// Memory was needed.
    Memory,
    /// Nothing came, and the floor had to move.
    Idle,
    /// The worker stopped.
    Shutdown,
    /// The shard was given to another worker.
    Revoked,
}

/// A generation of a day was opened: rows of the day are late from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The day.
    pub date: Day,
    /// The generation that takes in what was named before.
    pub generation: Generation,
}

/// Records that are lost, accepted by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// First offset lost.
    pub from: u64,
    /// First offset not lost.
    pub to: u64,
    /// Why.
    pub reason: String,
    /// Who accepted it.
    pub by: String,
}

/// A day was deleted because its time was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// The day.
    pub date: Day,
    /// The rule that asked for it.
    pub policy: String,
    /// Who approved it.
    pub by: String,
}

impl ChainEntry {
    /// The bytes as stored: indented, because people read them in an incident, with a newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("entries have string keys and plain values");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the entry that stands at `seq` of a shard, telling a later format from a broken or misplaced entry.
    pub fn parse(bytes: &[u8], shard: u32, seq: u64) -> Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }
        let FormatOnly { format } = serde_json::from_slice(bytes)?;
        if format > CHAIN_FORMAT {
            return Err(EntryError::Newer { found: format });
        }
        let entry: Self = serde_json::from_slice(bytes)?;
        match entry.contradiction(shard, seq) {
            Some(what) => Err(EntryError::Contradiction(what)),
            None => Ok(entry),
        }
    }

    /// What in the entry cannot be true.
    fn contradiction(&self, shard: u32, seq: u64) -> Option<&'static str> {
        if (self.shard, self.seq) != (shard, seq) {
            return Some("it names another shard or sequence number than its key");
        }
        if self.prev.is_none() != (seq == 0) || matches!(self.body, Body::Start(_)) != (seq == 0) {
            return Some("only entry 0 begins a chain and follows nothing");
        }
        match &self.body {
            Body::Append(append) => append.contradiction(shard, seq),
            Body::Gap(gap) if gap.from >= gap.to => Some("its gap has no offset"),
            Body::Start(_) | Body::Gap(_) | Body::Seal(_) | Body::Expire(_) => None,
        }
    }
}

impl Append {
    fn contradiction(&self, shard: u32, seq: u64) -> Option<&'static str> {
        if self.start > self.end || self.floor > self.end {
            return Some("its range or floor lies behind its end");
        }
        if self.last.is_some_and(|last| last.offset >= self.end) {
            return Some("its last record lies behind its end");
        }
        if self.files.len() > CLAIM_FILES_MAX {
            return Some("it names more than 64 files");
        }
        let is_ours = |file: &ClaimedFile| {
            let place = LivePlace::parse(&file.path);
            place.is_some_and(|place| (place.shard, place.seq, place.table) == (shard, seq, file.table))
                && paths::is_stage_key(&file.staged)
        };
        match self.files.iter().all(is_ours) {
            true => None,
            false => Some("it names a file that cannot be one of its own"),
        }
    }
}

#[cfg(test)]
mod tests;
