//! Recover: finds the head of a chain, or begins the chain; finishes the last claim; says where to go on.
//!
//! - In: which shard of which log; replies of the store.
//! - Out: requests; at the end the [`Position`].
//! - Keeps: what was read.
//! - Invariants: the number of requests grows with the logarithm of the chain's length, not with its age. Entries have no holes, so
//!   a number that is free is behind the head. Every entry read must have the digest that its successor names.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::day_set::DaySet;
use crate::entry::{Append, Body, CHAIN_FORMAT, ChainEntry, OpenOffsets, Start, WriterMark};
use crate::finish::Finish;
use crate::machine::{Machine, Reply, Request, Stop};
use crate::open_set::OpenSet;
use crate::paths::chain_key;
use crate::position::Position;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use corridor_model::LogIdentity;

/// Which chain, as the worker expects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainIdentity {
    /// The shard.
    pub shard: u32,
    /// Number of shards of the log.
    pub shard_count: u32,
    /// The log.
    pub log: LogIdentity,
    /// Where a new chain begins: the first offset that the log keeps. An existing chain keeps its own.
    pub begin: u64,
}

/// Who writes an entry, with which build, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The writer.
    pub writer: WriterMark,
    /// The build.
    pub build: String,
    /// The moment.
    pub created_at: DateTime<Utc>,
}

/// A recovery on its way.
#[derive(Debug, Clone)]
pub struct Recover {
    identity: ChainIdentity,
    signature: Signature,
    /// Entry 0, once read.
    start: Option<(Start, ContentDigest)>,
    /// Entries behind the last claim, newest first.
    notes: Vec<(ChainEntry, ContentDigest)>,
    /// The last claim.
    claim: Option<(u64, Append, ContentDigest)>,
    open: OpenSet,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    ReadStart,
    CreateStart,
    ReadStartOfRival,
    /// `low` exists; `probe` is looked for, twice as far each time.
    Gallop {
        low: u64,
        probe: u64,
    },
    /// `low` exists and `high` does not.
    Bisect {
        low: u64,
        high: u64,
    },
    /// Back from the head to the last claim.
    WalkBack {
        seq: u64,
    },
    ReadOpenSet {
        key: String,
        sha256: ContentDigest,
    },
    Finish(Finish),
}

impl Recover {
    /// Begins. `signature` is that of entry 0, if there is none yet.
    pub fn new(identity: ChainIdentity, signature: Signature) -> Self {
        let (start, notes, claim) = (None, Vec::new(), None);
        Self { identity, signature, start, notes, claim, open: OpenSet::default(), state: State::ReadStart }
    }

    fn key(&self, seq: u64) -> String {
        chain_key(self.identity.shard, seq)
    }

    fn start_entry(&self) -> ChainEntry {
        let ChainIdentity { shard, shard_count, log, begin } = self.identity.clone();
        let Signature { writer, build, created_at } = self.signature.clone();
        let body = Body::Start(Start { shard_count, log, begin });
        ChainEntry { format: CHAIN_FORMAT, shard, seq: 0, prev: None, writer, build, created_at, body }
    }

    fn parse(&self, seq: u64, bytes: &Bytes) -> Result<ChainEntry, Stop> {
        let source = match ChainEntry::parse(bytes, self.identity.shard, seq) {
            Ok(entry) => return Ok(entry),
            Err(source) => source,
        };
        Err(Stop::Entry { key: self.key(seq), source })
    }

    /// Entry 0 decides for ever which log the chain belongs to.
    fn begin(&mut self, bytes: &Bytes) -> Result<Option<Position>, Stop> {
        if let Body::Start(start) = self.parse(0, bytes)?.body {
            let ChainIdentity { shard, shard_count: now, log, .. } = &self.identity;
            if start.log != *log {
                return Err(Stop::OtherLog { shard: *shard, was: start.log, now: log.clone() });
            }
            if start.shard_count != *now {
                return Err(Stop::ShardCount { shard: *shard, was: start.shard_count, now: *now });
            }
            self.start = Some((start, ContentDigest::of(bytes)));
        }
        self.state = State::Gallop { low: 0, probe: 1 };
        Ok(None)
    }

    fn narrow(&mut self, low: u64, high: u64) -> Result<Option<Position>, Stop> {
        self.state = match high - low {
            0 | 1 => State::WalkBack { seq: low },
            _ => State::Bisect { low, high },
        };
        Ok(None)
    }

    /// An entry between the last claim and the head.
    fn walk_back(&mut self, seq: u64, bytes: &Bytes) -> Result<Option<Position>, Stop> {
        let (entry, digest) = (self.parse(seq, bytes)?, ContentDigest::of(bytes));
        if let Some((later, _)) = self.notes.last()
            && later.prev != Some(digest)
        {
            return Err(Stop::BrokenLink { key: self.key(later.seq) });
        }
        match entry.body {
            Body::Append(claim) => self.found_claim(seq, claim, digest),
            Body::Start(_) => Ok(Some(self.position()?)),
            Body::Seal(_) | Body::Gap(_) | Body::Expire(_) => {
                self.notes.push((entry, digest));
                self.state = State::WalkBack { seq: seq - 1 };
                Ok(None)
            }
        }
    }

    fn found_claim(
        &mut self,
        seq: u64,
        claim: Append,
        digest: ContentDigest,
    ) -> Result<Option<Position>, Stop> {
        let ChainIdentity { shard, log, .. } = &self.identity;
        if claim.log != *log {
            return Err(Stop::OtherLog { shard: *shard, was: claim.log, now: log.clone() });
        }
        let open = claim.open.clone();
        self.claim = Some((seq, claim, digest));
        match open {
            OpenOffsets::Inline(text) => {
                let key = self.key(seq);
                let parsed = OpenSet::parse_text(&text);
                self.open = parsed.map_err(|source| Stop::OpenSet { key, source: Some(source) })?;
                self.finish()
            }
            OpenOffsets::Beside { path: key, sha256, .. } => {
                self.state = State::ReadOpenSet { key, sha256 };
                Ok(None)
            }
        }
    }

    fn read_open_set(
        &mut self,
        key: String,
        sha256: ContentDigest,
        bytes: Option<Bytes>,
    ) -> Result<Option<Position>, Stop> {
        let Some(bytes) = bytes.filter(|bytes| ContentDigest::of(bytes) == sha256) else {
            return Err(Stop::OpenSet { key, source: None });
        };
        let parsed = OpenSet::parse_bytes(&bytes);
        self.open = parsed.map_err(|source| Stop::OpenSet { key, source: Some(source) })?;
        self.finish()
    }

    fn finish(&mut self) -> Result<Option<Position>, Stop> {
        let files = self.claim.as_ref().map(|(_, claim, _)| claim.files.clone()).unwrap_or_default();
        let finish = Finish::in_recovery(files, self.released_days());
        if finish.is_empty() {
            return Ok(Some(self.position()?));
        }
        self.state = State::Finish(finish);
        Ok(None)
    }

    /// Days that were sealed or deleted after the last claim.
    fn released_days(&self) -> DaySet {
        let date = |entry: &ChainEntry| match &entry.body {
            Body::Seal(seal) => Some(seal.date.clone()),
            Body::Expire(expire) => Some(expire.date.clone()),
            Body::Start(_) | Body::Append(_) | Body::Gap(_) => None,
        };
        self.notes.iter().filter_map(|(entry, _)| date(entry)).collect()
    }

    fn position(&mut self) -> Result<Position, Stop> {
        let shard = self.identity.shard;
        let vanished = || Stop::Vanished { key: chain_key(shard, 0) };
        let (start, digest) = self.start.take().ok_or_else(vanished)?;
        let mut position = Position::at_start(shard, start, digest);
        if let Some((seq, claim, digest)) = self.claim.take() {
            position.advance(seq, digest, &claim, std::mem::take(&mut self.open));
        }
        for (entry, digest) in self.notes.drain(..).rev() {
            position.obey(&entry, digest);
        }
        Ok(position)
    }
}

impl Machine for Recover {
    type Output = Position;

    fn request(&self) -> Request {
        match &self.state {
            State::ReadStart | State::ReadStartOfRival => Request::Read { key: self.key(0) },
            State::CreateStart => {
                Request::Create { key: self.key(0), bytes: self.start_entry().to_bytes().into() }
            }
            State::Gallop { probe, .. } => Request::Exists { key: self.key(*probe) },
            State::Bisect { low, high } => Request::Exists { key: self.key(low + (high - low) / 2) },
            State::WalkBack { seq } => Request::Read { key: self.key(*seq) },
            State::ReadOpenSet { key, .. } => Request::Read { key: key.clone() },
            State::Finish(finish) => finish.request(),
        }
    }

    fn answer(&mut self, reply: Reply) -> Result<Option<Position>, Stop> {
        match (&mut self.state, reply) {
            (State::ReadStart | State::ReadStartOfRival, Reply::Read(Some(bytes))) => self.begin(&bytes),
            (State::ReadStart, Reply::Read(None)) => {
                self.state = State::CreateStart;
                Ok(None)
            }
            (State::ReadStartOfRival, Reply::Read(None)) => Err(Stop::Vanished { key: self.key(0) }),
            (State::CreateStart, Reply::Created(Created::OtherContent)) => {
                self.state = State::ReadStartOfRival;
                Ok(None)
            }
            (State::CreateStart, Reply::Created(Created::New | Created::AlreadyThere)) => {
                self.begin(&self.start_entry().to_bytes().into())
            }
            (State::Gallop { probe, .. }, Reply::Exists(true)) => {
                let low = *probe;
                self.state = State::Gallop { low, probe: low.saturating_mul(2) };
                Ok(None)
            }
            (State::Gallop { low, probe }, Reply::Exists(false)) => {
                let (low, high) = (*low, *probe);
                self.narrow(low, high)
            }
            (State::Bisect { low, high }, Reply::Exists(is_there)) => {
                let (low, high, middle) = (*low, *high, *low + (*high - *low) / 2);
                if is_there { self.narrow(middle, high) } else { self.narrow(low, middle) }
            }
            (State::WalkBack { seq }, Reply::Read(bytes)) => {
                let seq = *seq;
                let bytes = bytes.ok_or_else(|| Stop::Vanished { key: self.key(seq) })?;
                self.walk_back(seq, &bytes)
            }
            (State::ReadOpenSet { key, sha256 }, Reply::Read(bytes)) => {
                let (key, sha256) = (key.clone(), *sha256);
                self.read_open_set(key, sha256, bytes)
            }
            (State::Finish(finish), reply) => match finish.answer(reply)? {
                Some(()) => Ok(Some(self.position()?)),
                None => Ok(None),
            },
            (_, reply) => Err(Stop::misuse(&self.request(), &reply)),
        }
    }
}

#[cfg(test)]
mod tests;
