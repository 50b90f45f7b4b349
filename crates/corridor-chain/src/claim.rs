//! Claim: takes the next sequence number of a chain for a range of the log and its files, then makes the files exist.
//!
//! - In: a position, a draft with staged files; replies of the store.
//! - Out: requests; at the end that the claim stands, that other entries must be obeyed first, or that the shard is lost.
//! - Keeps: the bytes of the entry, unchanged from the first request to the last.
//! - Invariants: no file is created before its claim stands. A foreign claim at our number means that another writer owns the
//!   shard: then nothing of ours becomes visible.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::entry::{
    Append, Body, CHAIN_FORMAT, CLAIM_FILES_MAX, ChainEntry, ClaimReason, ClaimedFile, LastRecord,
    OpenOffsets, Totals,
};
use crate::finish::Finish;
use crate::machine::{Machine, Reply, Request, Stop};
use crate::open_set::OpenSet;
use crate::paths::{Day, Lane, LivePlace, Table, chain_key};
use crate::position::Position;
use crate::recover::Signature;
use bytes::Bytes;
use corridor_model::Micros;

/// What a shard wants to claim. The range begins where the position ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDraft {
    /// First offset not covered.
    pub end: u64,
    /// The last record below `end`; None keeps the one of the claim before.
    pub last: Option<LastRecord>,
    /// The highest append time covered.
    pub clock: Micros,
    /// Where recovery would replay from.
    pub floor: u64,
    /// Offsets below `end` that are still pending.
    pub open: OpenSet,
    /// Staged files.
    pub files: Vec<DraftFile>,
    /// Counts since entry 0.
    pub totals: Totals,
    /// Why now.
    pub reason: ClaimReason,
    /// Digest of the directory folder in use.
    pub directory_version: Option<String>,
}

/// A staged file and where it belongs. Its final key follows from the number that the claim gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftFile {
    /// Whose rows.
    pub table: Table,
    /// Live, or beside a sealed day.
    pub lane: Lane,
    /// The day of its rows.
    pub day: Day,
    /// The hour of its rows, 0 to 23.
    pub hour: u8,
    /// Where its bytes are staged.
    pub staged: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Digest of its bytes.
    pub sha256: ContentDigest,
    /// Which limit ended it.
    pub rolled_by: String,
}

/// A draft that must not be claimed: an error of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Claim what fits, and the rest with the next one.
    #[error("a claim names at most {CLAIM_FILES_MAX} files, and the draft has {count}")]
    TooManyFiles {
        /// In the draft.
        count: usize,
    },
    /// The range, floor, last record or open set does not fit.
    #[error("the draft covers {start} to {end} of shard {shard}, which does not fit its {what}")]
    Range {
        /// The shard.
        shard: u32,
        /// Where the position ends.
        start: u64,
        /// Of the draft.
        end: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A row was lost or made up in the shard.
    #[error("the counts of shard {shard} are not conserved: {totals:?}")]
    NotConserved {
        /// The shard.
        shard: u32,
        /// The counts.
        totals: Totals,
    },
    /// The day is sealed: its rows are late.
    #[error("the draft has live rows of {day}, which is sealed")]
    SealedDay {
        /// The day.
        day: Day,
    },
    /// An hour that is none, or a key outside the staging area.
    #[error("the draft has a file that cannot be claimed: {0}")]
    File(String),
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It stands and all its files exist. The next claim builds on this position.
    Committed(Position),
    /// These entries came first. Obey them (rows of a sealed day are late, offsets of a gap are gone), then claim again on
    /// this position; staged files that did not change may be used again.
    Rerouted {
        /// Behind the entries.
        position: Position,
        /// The entries, in order.
        entries: Vec<ChainEntry>,
    },
    /// Another writer claimed: drop the state of the shard, and recover if it is still ours.
    Lost {
        /// Its entry.
        winner: ChainEntry,
    },
}

/// A claim on its way.
#[derive(Debug, Clone)]
pub struct Claim {
    position: Position,
    seq: u64,
    append: Append,
    open: OpenSet,
    bytes: Bytes,
    met: Vec<ChainEntry>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    CreateOpenSet {
        key: String,
        bytes: Bytes,
    },
    CreateEntry,
    /// Ours is not the entry there: read on until the chain ends or a claim is met.
    ReadRival {
        seq: u64,
    },
    Finish(Finish),
    /// The staged bytes of a claim that will never stand.
    Abandon {
        winner: ChainEntry,
    },
}

impl Claim {
    /// Checks the draft and begins.
    pub fn new(position: Position, draft: ClaimDraft, signature: Signature) -> Result<Self, DraftError> {
        check(&position, &draft)?;
        let (shard, seq) = (position.shard, position.head_seq + 1);
        let (place, beside) = OpenOffsets::place(&draft.open, shard, seq);
        let (open, append) = (draft.open.clone(), to_append(&position, draft, seq, place.clone()));
        let Signature { writer, build, created_at } = signature;
        let prev = Some(position.head_sha256);
        let body = Body::Append(append.clone());
        let entry = ChainEntry { format: CHAIN_FORMAT, shard, seq, prev, writer, build, created_at, body };
        let state = match (place, beside) {
            (OpenOffsets::Beside { path, .. }, Some(bytes)) => {
                State::CreateOpenSet { key: path, bytes: bytes.into() }
            }
            _ => State::CreateEntry,
        };
        Ok(Self { position, seq, append, open, bytes: entry.to_bytes().into(), met: Vec::new(), state })
    }

    /// The number it tries to take.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    fn key(&self, seq: u64) -> String {
        chain_key(self.position.shard, seq)
    }

    fn created_entry(&mut self, created: Created) -> Result<Option<ClaimOutcome>, Stop> {
        match created {
            Created::New | Created::AlreadyThere => self.stands(),
            Created::OtherContent => {
                self.state = State::ReadRival { seq: self.seq };
                Ok(None)
            }
        }
    }

    fn stands(&mut self) -> Result<Option<ClaimOutcome>, Stop> {
        let finish = Finish::after_claim(self.append.files.clone());
        if finish.is_empty() {
            return Ok(Some(self.committed()));
        }
        self.state = State::Finish(finish);
        Ok(None)
    }

    fn committed(&mut self) -> ClaimOutcome {
        let digest = ContentDigest::of(&self.bytes);
        self.position.advance(self.seq, digest, &self.append, std::mem::take(&mut self.open));
        ClaimOutcome::Committed(self.position.clone())
    }

    fn read_rival(&mut self, seq: u64, bytes: Option<Bytes>) -> Result<Option<ClaimOutcome>, Stop> {
        let key = self.key(seq);
        let Some(bytes) = bytes else {
            return match self.met.is_empty() {
                true => Err(Stop::Vanished { key }),
                false => {
                    let entries = std::mem::take(&mut self.met);
                    Ok(Some(ClaimOutcome::Rerouted { position: self.position.clone(), entries }))
                }
            };
        };
        let entry = match ChainEntry::parse(&bytes, self.position.shard, seq) {
            Ok(entry) => entry,
            Err(source) => return Err(Stop::Entry { key, source }),
        };
        if entry.prev != Some(self.position.head_sha256) {
            return Err(Stop::BrokenLink { key });
        }
        match entry.body {
            Body::Append(_) | Body::Start(_) => self.lost(entry),
            Body::Seal(_) | Body::Gap(_) | Body::Expire(_) => {
                self.position.obey(&entry, ContentDigest::of(&bytes));
                self.met.push(entry);
                self.state = State::ReadRival { seq: seq + 1 };
                Ok(None)
            }
        }
    }

    /// No entry names our staged bytes, and none ever will: the number was taken before we had it.
    fn lost(&mut self, winner: ChainEntry) -> Result<Option<ClaimOutcome>, Stop> {
        if self.append.files.is_empty() {
            return Ok(Some(ClaimOutcome::Lost { winner }));
        }
        self.state = State::Abandon { winner };
        Ok(None)
    }
}

impl Machine for Claim {
    type Output = ClaimOutcome;

    fn request(&self) -> Request {
        match &self.state {
            State::CreateOpenSet { key, bytes } => Request::Create { key: key.clone(), bytes: bytes.clone() },
            State::CreateEntry => Request::Create { key: self.key(self.seq), bytes: self.bytes.clone() },
            State::ReadRival { seq } => Request::Read { key: self.key(*seq) },
            State::Finish(finish) => finish.request(),
            State::Abandon { .. } => {
                let keys = self.append.files.iter().map(|file| file.staged.clone()).collect();
                Request::DeleteStaged { keys }
            }
        }
    }

    fn answer(&mut self, reply: Reply) -> Result<Option<ClaimOutcome>, Stop> {
        match (&mut self.state, reply) {
            (State::CreateOpenSet { key, .. }, Reply::Created(Created::OtherContent)) => {
                Err(Stop::OpenSet { key: key.clone(), source: None })
            }
            (State::CreateOpenSet { .. }, Reply::Created(Created::New | Created::AlreadyThere)) => {
                self.state = State::CreateEntry;
                Ok(None)
            }
            (State::CreateEntry, Reply::Created(created)) => self.created_entry(created),
            (State::ReadRival { seq }, Reply::Read(bytes)) => {
                let seq = *seq;
                self.read_rival(seq, bytes)
            }
            (State::Finish(finish), reply) => match finish.answer(reply)? {
                Some(()) => Ok(Some(self.committed())),
                None => Ok(None),
            },
            (State::Abandon { winner }, Reply::Deleted) => {
                Ok(Some(ClaimOutcome::Lost { winner: winner.clone() }))
            }
            (_, reply) => Err(Stop::misuse(&self.request(), &reply)),
        }
    }
}

fn check(position: &Position, draft: &ClaimDraft) -> Result<(), DraftError> {
    let misfit = |what| {
        let Position { shard, end: start, .. } = *position;
        Err(DraftError::Range { shard, start, end: draft.end, what })
    };
    if draft.end < position.end {
        return misfit("start");
    }
    if draft.floor > draft.end {
        return misfit("floor");
    }
    if draft.last.is_some_and(|last| last.offset >= draft.end) {
        return misfit("last record");
    }
    if draft.open.last().is_some_and(|last| last >= draft.end) {
        return misfit("open set");
    }
    if !draft.totals.is_conserved() {
        return Err(DraftError::NotConserved { shard: position.shard, totals: draft.totals });
    }
    if draft.files.len() > CLAIM_FILES_MAX {
        return Err(DraftError::TooManyFiles { count: draft.files.len() });
    }
    draft.files.iter().try_for_each(|file| check_file(position, file))
}

fn check_file(position: &Position, file: &DraftFile) -> Result<(), DraftError> {
    if file.hour > 23 || !crate::paths::is_stage_key(&file.staged) {
        return Err(DraftError::File(format!(
            "hour {} of {}, staged at {}",
            file.hour, file.day, file.staged
        )));
    }
    match file.lane == Lane::Live && position.sealed.contains(&file.day) {
        true => Err(DraftError::SealedDay { day: file.day.clone() }),
        false => Ok(()),
    }
}

fn to_append(position: &Position, draft: ClaimDraft, seq: u64, open: OpenOffsets) -> Append {
    let files = draft.files.into_iter().zip(0..).map(|(file, part)| {
        let DraftFile { table, lane, day, hour, staged, rows, bytes, sha256, rolled_by } = file;
        let path = LivePlace { table, lane, day, hour, shard: position.shard, seq, part }.key();
        ClaimedFile { table, staged, path, rows, bytes, sha256, rolled_by }
    });
    Append {
        log: position.log.clone(),
        start: position.end,
        end: draft.end,
        last: draft.last.or(position.last),
        clock: draft.clock,
        floor: draft.floor,
        open,
        files: files.collect(),
        totals: draft.totals,
        sealed: position.sealed.clone(),
        reason: draft.reason,
        directory_version: draft.directory_version,
    }
}

#[cfg(test)]
pub(crate) mod tests;
