//! Claiming: what is ready becomes files, and the files become visible by one claim.
//!
//! - In: a session between two records.
//! - Out: a claim with its files; the floor, told to the log.
//! - Order: introductions durable → files encoded → bytes staged → claim → files created → memory freed.
//! - Invariants: until the claim stands, everything it holds stays ready. When the store refuses, the session waits and reads
//!   nothing: that is the back-pressure.

use super::chain_state;
use super::claim_files::{FileForm, PlacedFile, claim_files};
use super::ready::Ready;
use super::session::Session;
use super::shard_task::ShardEnd;
use super::status::{LastClaim, ShardPhase};
use super::stop::Stop;
use anyhow::{Error, anyhow};
use chrono::Utc;
use corridor_chain::entry::CLAIM_FILES_MAX;
use corridor_chain::{Body, ChainEntry, ClaimDraft, ClaimReason, DraftFile};
use corridor_lake::chain::{ChainError, Claimed};
use corridor_lake::{RollConfig, RollReason};
use corridor_model::HourBucket;
use corridor_shard::ClaimState;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Folders of one claim at first: each may need a file of every table.
const PLACES_MAX: usize = CLAIM_FILES_MAX / 3;
/// Pause after the store refused, doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// Longer and longer pauses.
#[derive(Debug)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_FIRST)
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(PAUSE_LONGEST);
        now
    }
}

/// Encoded bytes for a byte of log record, until the first claim tells.
const ENCODED_SHARE: f64 = 0.25;

/// What the next claim is timed by.
#[derive(Debug)]
pub struct Claiming {
    /// When the last one was complete.
    last: Instant,
    /// Encoded bytes for a byte that is ready.
    encoded_share: f64,
}

impl Claiming {
    /// No claim yet.
    pub fn new(now: Instant) -> Self {
        Self { last: now, encoded_share: ENCODED_SHARE }
    }
}

/// Whether a claim is due, and why.
pub fn claim_reason(session: &Session<'_>) -> Option<ClaimReason> {
    let config = &session.task.claim;
    let ready = &session.ready;
    let encoded = ready.bytes() as f64 * session.claiming.encoded_share;
    // Encoding, staging and creating take a while, too.
    let visible = Duration::from_secs(u64::from(config.visible_seconds)) * 3 / 4;
    let idle = Duration::from_secs(u64::from(config.idle_seconds));
    if ready.bytes() as u64 >= config.memory_bytes_max {
        Some(ClaimReason::Memory)
    } else if encoded >= config.file_bytes_max as f64 {
        Some(ClaimReason::Bytes)
    } else if ready.place_count() > PLACES_MAX {
        Some(ClaimReason::Files)
    } else if ready.oldest().is_some_and(|oldest| oldest.elapsed() >= visible) {
        Some(ClaimReason::Age)
    } else if !session.shard.is_replaying() && session.claiming.last.elapsed() >= idle {
        Some(ClaimReason::Idle)
    } else {
        None
    }
}

/// How one try ended.
#[derive(Debug, PartialEq, Eq)]
enum Tried {
    Committed,
    /// Entries of others came first; they are obeyed now.
    Rerouted,
    /// One claim cannot name so many files.
    TooManyFiles,
}

impl Session<'_> {
    /// Claims everything that is ready, in several claims when one cannot name all files. Waits while the store refuses,
    /// unless the stop is asked.
    pub(super) async fn claim(&mut self, reason: ClaimReason, stop: &mut Stop) -> Result<(), ShardEnd> {
        let mut places_max = PLACES_MAX;
        let mut pause = Pause::default();
        loop {
            let rest = self.hold_back(places_max);
            let has_rest = !rest.is_empty();
            let tried = self.try_claim(reason, stop).await;
            self.take_back(rest);
            match tried {
                Ok(Tried::Committed) if !has_rest => return Ok(()),
                Ok(Tried::Committed | Tried::Rerouted) => {}
                // Files that were rolled by size can be more than planned.
                Ok(Tried::TooManyFiles) if places_max > 1 => places_max /= 2,
                Ok(Tried::TooManyFiles) => {
                    let error = anyhow!(
                        "one hour needs more than {CLAIM_FILES_MAX} files; raise claim.file_bytes_max"
                    );
                    return Err(ShardEnd::Stopped(error));
                }
                Err(ShardEnd::Failed(error)) => self.wait_after(error, &mut pause, stop).await?,
                Err(end) => return Err(end),
            }
        }
    }

    /// Tells what is wrong and waits. An error when the stop is asked meanwhile.
    async fn wait_after(&mut self, error: Error, pause: &mut Pause, stop: &mut Stop) -> Result<(), ShardEnd> {
        let message = format!("{error:#}");
        tracing::warn!(shard = self.number, "a claim failed and is tried again: {message}");
        self.put_status(ShardPhase::Retrying, Some(message));
        tokio::select! {
            () = tokio::time::sleep(pause.next()) => Ok(()),
            () = stop.asked() => Err(ShardEnd::Failed(error)),
        }
    }

    /// What goes beyond one claim counts as pending until the next one.
    fn hold_back(&mut self, places_max: usize) -> Ready {
        let rest = self.ready.split_behind(places_max);
        rest.rows.iter().for_each(|(place, rows)| {
            rows.iter().for_each(|row| self.shard.hold_back(row.offset, &row.outcome, *place));
        });
        rest
    }

    fn take_back(&mut self, rest: Ready) {
        rest.rows.iter().for_each(|(place, rows)| {
            rows.iter().for_each(|row| self.shard.hand_over(row.offset, &row.outcome, *place));
        });
        self.ready.merge(rest);
    }

    /// One claim.
    async fn try_claim(&mut self, reason: ClaimReason, stop: &mut Stop) -> Result<Tried, ShardEnd> {
        self.append_introductions().await?;
        let state = self.shard.draft();
        let form = FileForm { shard: self.number, roll: self.roll_config(), reason: rolled_by(reason) };
        let files = tokio::task::block_in_place(|| claim_files(&self.ready, &self.scratch, form))?;
        if files.len() > CLAIM_FILES_MAX {
            return Ok(Tried::TooManyFiles);
        }
        let encoded: usize = files.iter().map(|placed| placed.file.bytes.len()).sum();
        let staged = self.stage(files).await?;
        let last = self.last.as_ref().map(|(offset, payload)| (*offset, &payload[..]));
        let version = (self.task.directory_version)();
        let draft = chain_state::draft(&state, last, staged.clone(), reason, version)?;
        match self.settle(draft, stop).await? {
            Claimed::Committed { .. } => {
                self.committed(&state, encoded).await;
                Ok(Tried::Committed)
            }
            Claimed::Rerouted(entries) => {
                self.chain.discard(&staged).await;
                self.obey(&entries).map(|()| Tried::Rerouted)
            }
            Claimed::Lost(_) => Err(ShardEnd::Lost),
        }
    }

    /// Claims, and asks again for as long as nobody knows whether the claim stands.
    async fn settle(&mut self, draft: ClaimDraft, stop: &mut Stop) -> Result<Claimed, ShardEnd> {
        let mut pause = Pause::default();
        let mut claimed = self.chain.claim(draft, Utc::now()).await;
        while let Err(error @ ChainError::Store { .. }) = claimed {
            self.wait_after(error.into(), &mut pause, stop).await?;
            claimed = self.chain.settle().await;
        }
        Ok(claimed?)
    }

    fn roll_config(&self) -> RollConfig {
        let file_bytes_max = usize::try_from(self.task.claim.file_bytes_max).unwrap_or(usize::MAX);
        RollConfig { file_bytes_max, ..RollConfig::default() }
    }

    async fn stage(&mut self, files: Vec<PlacedFile>) -> Result<Vec<DraftFile>, ShardEnd> {
        let mut staged = Vec::with_capacity(files.len());
        for PlacedFile { target, file } in files {
            staged.push(self.chain.stage(target, file).await?);
        }
        Ok(staged)
    }

    /// The claim stands and its files exist.
    async fn committed(&mut self, state: &ClaimState, encoded: usize) {
        let hours: BTreeSet<HourBucket> = self.ready.rows.keys().map(|place| place.hour()).collect();
        if self.ready.bytes() > 0 {
            self.claiming.encoded_share = encoded as f64 / self.ready.bytes() as f64;
        }
        let ready = std::mem::take(&mut self.ready);
        ready.rows.values().flatten().for_each(|row| self.scratch.remove(row.offset));
        self.published.forget(&hours);
        self.shard.committed(state);
        self.claiming.last = Instant::now();
        self.status.last_claim = Some(LastClaim { seq: self.chain.position().head_seq, at: Utc::now() });
        if let Err(error) = self.task.log.release(self.number, state.floor).await {
            tracing::warn!(shard = self.number, %error, "the floor could not be told to the log");
        }
    }

    /// Others wrote into the chain: from now on rows of their days are late.
    fn obey(&mut self, entries: &[ChainEntry]) -> Result<(), ShardEnd> {
        for entry in entries {
            match &entry.body {
                Body::Seal(seal) => self.shard.obey_seal(seal.date.clone()),
                Body::Expire(expire) => self.shard.obey_seal(expire.date.clone()),
                // What is pending has changed: begin again from the chain.
                Body::Gap(_) => return Err(ShardEnd::Lost),
                Body::Start(_) | Body::Append(_) => {}
            }
        }
        let shard = &self.shard;
        self.ready.move_rows(|hour| shard.is_sealed(hour));
        Ok(())
    }
}

fn rolled_by(reason: ClaimReason) -> RollReason {
    match reason {
        ClaimReason::Bytes | ClaimReason::Files => RollReason::End,
        ClaimReason::Memory => RollReason::Memory,
        ClaimReason::Age | ClaimReason::Idle => RollReason::Age,
        ClaimReason::Shutdown | ClaimReason::Revoked => RollReason::Shutdown,
    }
}
