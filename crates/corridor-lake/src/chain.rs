//! Chain: drives the state machines of a shard's chain against a lake.
//!
//! - In: staged files and drafts of claims; times are arguments.
//! - Out: claims that stand, with every file in its place; what came first; that the shard is lost.
//! - Keeps: the position of the shard, a claim whose outcome is not known yet, and staged bytes up to a limit.
//! - Invariants: nothing becomes visible before its claim stands. After an error the claim on its way is kept, and the same bytes
//!   are sent again: an error decides nothing. One [`ShardChain`] drives one shard; two of them on one shard are harmless.

mod error;
mod writer;

pub use error::ChainError;
pub use writer::Writer;

use crate::roll::EncodedFile;
use crate::store::{Lake, StoreError};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use corridor_chain::paths::{self, stage_key};
use corridor_chain::{
    Body, ChainEntry, ChainIdentity, Claim, ClaimDraft, ClaimOutcome, ContentDigest, Created, Day, DraftFile,
    Lane, Machine, Note, Position, Recover, Reply, Request, Signature, Table,
};
use error::Doing;
use std::collections::HashMap;

/// Staged bytes that are kept in memory, so that they need not be read back when their claim stands.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Where the rows of a file belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTarget {
    /// Whose rows.
    pub table: Table,
    /// Live, or beside a sealed day.
    pub lane: Lane,
    /// The day of its rows.
    pub day: Day,
    /// The hour of its rows, 0 to 23.
    pub hour: u8,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It stands and all its files exist.
    Committed {
        /// Its number.
        seq: u64,
    },
    /// These entries came first. Obey them (rows of a sealed day are late, offsets of a gap are gone), then claim again;
    /// staged files that did not change may be used again.
    Rerouted(Vec<ChainEntry>),
    /// Another writer claimed: drop the state of the shard, and open it again if it is still ours.
    Lost(ChainEntry),
}

/// The chain of one shard, as one writer sees it.
#[derive(Debug)]
pub struct ShardChain {
    lake: Lake,
    writer: Writer,
    build: String,
    position: Position,
    unsettled: Option<Claim>,
    kept: HashMap<String, Bytes>,
    kept_bytes: usize,
}

impl ShardChain {
    /// Finds the chain or begins it, finishes its last claim, and says where to go on. Safe to repeat, and beside others.
    pub async fn open(
        lake: Lake,
        writer: Writer,
        build: &str,
        identity: ChainIdentity,
        now: DateTime<Utc>,
    ) -> Result<Self, ChainError> {
        let shard = identity.shard;
        let failed = |source| ChainError::Store { doing: Doing::Recover, shard, source };
        let mut recover = Recover::new(identity, signature(&writer, build, now));
        let position = drive(&lake, &HashMap::new(), &mut recover).await;
        let position = position.map_err(|fault| fault.into_error(Doing::Recover, shard))?;
        let mut chain = Self {
            lake,
            writer,
            build: build.to_owned(),
            position,
            unsettled: None,
            kept: HashMap::new(),
            kept_bytes: 0,
        };
        if !chain.position.has_claim {
            chain.read_open_generations().await.map_err(failed)?;
        }
        Ok(chain)
    }

    /// Whoever takes a generation creates its open entry, then tells every chain; a new chain creates entry 0, then reads the
    /// open entries: one of the two always sees the other. Until the first claim carries the days, every opening reads them.
    async fn read_open_generations(&mut self) -> Result<(), StoreError> {
        for object in self.lake.list(paths::GENERATIONS_PREFIX).await? {
            if let Some((day, ..)) = paths::parse_entry_key(&object.key) {
                self.position.sealed.insert(day);
            }
        }
        Ok(())
    }

    /// Where the shard stands: what a replay begins with, and what the next claim builds on.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Stages a file for a claim.
    pub async fn stage(&mut self, target: FileTarget, file: EncodedFile) -> Result<DraftFile, ChainError> {
        let shard = self.position.shard;
        let staged = stage_key(self.writer.id(), shard, self.writer.next_number());
        match self.lake.create(&staged, file.bytes.clone()).await {
            Ok(Created::New | Created::AlreadyThere) => {}
            Ok(Created::OtherContent) => return Err(ChainError::WriterTwice { key: staged }),
            Err(source) => return Err(ChainError::Store { doing: Doing::Stage, shard, source }),
        }
        let FileTarget { table, lane, day, hour } = target;
        let draft = DraftFile {
            table,
            lane,
            day,
            hour,
            rows: file.rows,
            bytes: file.bytes.len() as u64,
            sha256: ContentDigest::of(&file.bytes),
            rolled_by: file.rolled_by.as_str().to_owned(),
            staged,
        };
        self.keep(&draft.staged, file.bytes);
        Ok(draft)
    }

    fn keep(&mut self, key: &str, bytes: Bytes) {
        if self.kept_bytes + bytes.len() <= KEPT_BYTES_MAX {
            self.kept_bytes += bytes.len();
            self.kept.insert(key.to_owned(), bytes);
        }
    }

    /// Claims the range from the end of the position to the end of the draft, then makes its files exist.
    ///
    /// After [`ChainError::Store`] nobody knows whether the claim stands: call [`ShardChain::settle`] until it does not fail,
    /// or drop the chain and open the shard again. Until then no other claim is taken.
    pub async fn claim(&mut self, draft: ClaimDraft, now: DateTime<Utc>) -> Result<Claimed, ChainError> {
        if let Some(claim) = &self.unsettled {
            return Err(ChainError::Unsettled { shard: self.position.shard, seq: claim.seq() });
        }
        let signature = signature(&self.writer, &self.build, now);
        self.unsettled = Some(Claim::new(self.position.clone(), draft, signature)?);
        self.settle().await
    }

    /// Goes on with a claim whose outcome is unknown, sending the same bytes again.
    pub async fn settle(&mut self) -> Result<Claimed, ChainError> {
        let shard = self.position.shard;
        let Some(claim) = &mut self.unsettled else {
            return Err(ChainError::NothingToSettle { shard });
        };
        let doing = Doing::Claim { seq: claim.seq() };
        let outcome = drive(&self.lake, &self.kept, claim).await;
        let outcome = outcome.map_err(|fault| fault.into_error(doing, shard))?;
        self.unsettled = None;
        Ok(match outcome {
            ClaimOutcome::Committed(position) => {
                self.forget_kept();
                self.position = position;
                Claimed::Committed { seq: self.position.head_seq }
            }
            ClaimOutcome::Rerouted { position, entries } => {
                self.position = position;
                Claimed::Rerouted(entries)
            }
            ClaimOutcome::Lost { winner } => {
                self.forget_kept();
                Claimed::Lost(winner)
            }
        })
    }

    fn forget_kept(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    /// Deletes staged files that no claim will name: after [`Claimed::Rerouted`], those that were made again. Failing is no harm.
    pub async fn discard(&mut self, files: &[DraftFile]) {
        let keys: Vec<String> = files.iter().map(|file| file.staged.clone()).collect();
        for bytes in keys.iter().filter_map(|key| self.kept.remove(key)) {
            self.kept_bytes -= bytes.len();
        }
        delete(&self.lake, &keys).await;
    }

    /// Appends a gap, seal or expiry behind whatever the chain ends with by then; the number under which it stands.
    pub async fn append_note(self, body: Body, now: DateTime<Utc>) -> Result<u64, ChainError> {
        let mut note = Note::new(&self.position, body, signature(&self.writer, &self.build, now));
        let seq = drive(&self.lake, &self.kept, &mut note).await;
        seq.map_err(|fault| fault.into_error(Doing::Note, self.position.shard))
    }
}

fn signature(writer: &Writer, build: &str, created_at: DateTime<Utc>) -> Signature {
    Signature { writer: writer.mark(), build: build.to_owned(), created_at }
}

/// Why a machine stands still.
enum Fault {
    /// The request may be sent again.
    Store(StoreError),
    /// A person must look.
    Stop(corridor_chain::Stop),
}

impl Fault {
    fn into_error(self, doing: Doing, shard: u32) -> ChainError {
        match self {
            Self::Store(source) => ChainError::Store { doing, shard, source },
            Self::Stop(stop) => ChainError::Stop(stop),
        }
    }
}

/// Feeds a machine until it is done. After a fault it can be fed again.
async fn drive<M: Machine>(
    lake: &Lake,
    kept: &HashMap<String, Bytes>,
    machine: &mut M,
) -> Result<M::Output, Fault> {
    loop {
        let reply = carry_out(lake, kept, machine.request()).await.map_err(Fault::Store)?;
        if let Some(output) = machine.answer(reply).map_err(Fault::Stop)? {
            return Ok(output);
        }
    }
}

async fn carry_out(
    lake: &Lake,
    kept: &HashMap<String, Bytes>,
    request: Request,
) -> Result<Reply, StoreError> {
    Ok(match request {
        Request::Create { key, bytes } => Reply::Created(lake.create(&key, bytes).await?),
        Request::Read { key } => Reply::Read(lake.read(&key).await?),
        Request::Exists { key } => Reply::Exists(lake.exists(&key).await?),
        Request::Digest { key } => Reply::Digest(lake.digest(&key).await?),
        Request::Copy { from, to, sha256 } => Reply::Copied(match kept.get(&from) {
            Some(bytes) => lake.create_verified(&to, bytes.clone(), sha256).await?,
            None => lake.copy_create(&from, &to, sha256).await?,
        }),
        Request::DeleteStaged { keys } => {
            delete(lake, &keys).await;
            Reply::Deleted
        }
    })
}

/// Staged bytes that stay behind cost room and nothing else.
async fn delete(lake: &Lake, keys: &[String]) {
    if let Err(error) = lake.delete_staged(keys).await {
        tracing::warn!(%error, count = keys.len(), "staged bytes stay behind; delete old ones under stage/ by a rule of the store");
    }
}

#[cfg(test)]
mod tests;
