//! Shard task: one shard of this worker, from its chain to the next claims.
//!
//! - In: the shard's log and chain.
//! - Out: claims with their files; introductions and ticks for the other shards.
//! - Invariants: the chain alone decides where the shard goes on. What this task forgets when it ends, the log tells again.

use super::chain_state;
use super::session::Session;
use super::status::{ShardPhase, ShardStatus, StatusBoard, build};
use super::stop::Stop;
use crate::config::{ClaimConfig, JoinSettings};
use anyhow::Error;
use chrono::Utc;
use corridor_chain::{ChainIdentity, ContentDigest, LogFacts, LogRefusal, check_log};
use corridor_intake::log::{Log, LogError};
use corridor_lake::chain::{ChainError, ShardChain, Writer};
use corridor_lake::scratch::{Scratch, ScratchError};
use corridor_lake::store::Lake;
use corridor_shard::{Shard, ShardConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// For a record that is there.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How a shard's task ended.
#[derive(Debug)]
pub enum ShardEnd {
    /// It was asked to.
    Asked,
    /// Another writer has claimed.
    Lost,
    /// Something outside refused; beginning again may help.
    Failed(Error),
    /// A person must act first.
    Stopped(Error),
}

impl From<ChainError> for ShardEnd {
    fn from(error: ChainError) -> Self {
        match error.is_retryable() {
            true => Self::Failed(error.into()),
            false => Self::Stopped(error.into()),
        }
    }
}

impl From<LogError> for ShardEnd {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Gone { .. } | LogError::Unusable(_) => Self::Stopped(error.into()),
            LogError::Full(_) | LogError::Unavailable(_) => Self::Failed(error.into()),
        }
    }
}

impl From<LogRefusal> for ShardEnd {
    fn from(error: LogRefusal) -> Self {
        Self::Stopped(error.into())
    }
}

impl From<ScratchError> for ShardEnd {
    fn from(error: ScratchError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for ShardEnd {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What every shard of a worker needs.
#[derive(Clone)]
pub struct ShardTask {
    /// The lake.
    pub lake: Lake,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Where shards tell what they do.
    pub board: Arc<StatusBoard>,
    /// When rows are final.
    pub join: JoinSettings,
    /// When final rows become files.
    pub claim: ClaimConfig,
    /// Folder for records that wait.
    pub scratch: PathBuf,
    /// This process, as entries name it.
    pub writer: Writer,
    /// Directory version of the moment.
    pub directory_version: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl ShardTask {
    /// Runs the shard until it is asked to stop, or cannot go on.
    pub async fn run(&self, shard: u32, stop: Stop) -> ShardEnd {
        match self.begin(shard).await {
            Ok(session) => session.run(stop).await,
            Err(end) => end,
        }
    }

    async fn begin(&self, shard: u32) -> Result<Session<'_>, ShardEnd> {
        self.board.put(ShardStatus::new(shard));
        let bounds = self.log.bounds(shard).await?;
        let identity = ChainIdentity {
            shard,
            shard_count: self.log.shard_count(),
            log: self.log.identity(),
            begin: bounds.start,
        };
        let (lake, writer) = (self.lake.clone(), self.writer.clone());
        let chain = ShardChain::open(lake, writer, &build(), identity, Utc::now()).await?;
        let position = chain.position();
        let last_sha256 = match position.last {
            Some(last) if (bounds.start..bounds.end).contains(&last.offset) => {
                self.digest_at(shard, last.offset).await?
            }
            _ => None,
        };
        let (start, end) = (bounds.start, bounds.end);
        check_log(position, &LogFacts { identity: self.log.identity(), start, end, last_sha256 })?;
        let resume = chain_state::resume(position);
        let phase = if resume.floor < resume.end { ShardPhase::Replaying } else { ShardPhase::Running };
        let state = Shard::new(self.shard_config(shard), resume);
        let reader = self.log.reader(shard, state.replay_from()).await?;
        let scratch = Scratch::create(&self.scratch)?;
        self.board.put(ShardStatus { phase, ..ShardStatus::new(shard) });
        Ok(Session::new(self, shard, state, chain, reader, scratch))
    }

    fn shard_config(&self, shard: u32) -> ShardConfig {
        let memory_bytes_max = usize::try_from(self.join.memory_bytes_max).unwrap_or(usize::MAX);
        let horizon = self.join.horizon();
        ShardConfig {
            memory_bytes_max,
            horizon,
            ..ShardConfig::new(shard, self.log.shard_count(), self.join.wait())
        }
    }

    /// Digest of the record at an offset; None when another one follows there.
    async fn digest_at(&self, shard: u32, offset: u64) -> Result<Option<ContentDigest>, ShardEnd> {
        let mut reader = self.log.reader(shard, offset).await?;
        let records = reader.read(1, READ_WITHIN).await?;
        let found = records.first().filter(|record| record.offset == offset);
        Ok(found.map(|record| ContentDigest::of(&record.payload)))
    }
}
