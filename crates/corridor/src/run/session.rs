//! Session: the records of a shard are taken one by one, and what follows from them is done.
//!
//! - In: records of the log, in order.
//! - Out: rows and rejects that are ready; records that wait, in the scratch; introductions and ticks, in the log.
//! - Invariants: introductions are durable before the next tick and before a claim that covers the record they came from.

use super::claiming::{Claiming, claim_reason};
use super::published_cache::PublishedCache;
use super::ready::{Ready, ReadyReject, ReadyRow, RejectKind};
use super::shard_task::{ShardEnd, ShardTask};
use super::status::{ShardPhase, ShardStatus};
use super::stop::Stop;
use anyhow::anyhow;
use bytes::Bytes;
use corridor_chain::ClaimReason;
use corridor_intake::log::{LogReader, NewRecord, StoredRecord};
use corridor_lake::chain::ShardChain;
use corridor_lake::scratch::Scratch;
use corridor_model::{Micros, RecordDigest, RejectCode, Side};
use corridor_shard::record::{LoggedReject, RecordError, ShardRecord, encode_tick};
use corridor_shard::{At, Effect, Shard};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that are read together.
const READ_BYTES: usize = 2 << 20;
/// How long a read waits for the first record, so that claims and ticks are not late.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two looks at the end of the log.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bounds of the time between two ticks.
const TICK_SHORTEST: Duration = Duration::from_millis(200);
const TICK_LONGEST: Duration = Duration::from_secs(5);
/// First bytes that a newer build may give its records; anything above was written by something else.
const VERSIONS_MAX: u8 = 31;

/// A running shard.
pub struct Session<'t> {
    pub(super) task: &'t ShardTask,
    pub(super) number: u32,
    pub(super) shard: Shard,
    pub(super) chain: ShardChain,
    pub(super) scratch: Scratch,
    pub(super) ready: Ready,
    pub(super) published: PublishedCache,
    /// The last record taken behind what was claimed before this session.
    pub(super) last: Option<(u64, Bytes)>,
    pub(super) status: ShardStatus,
    pub(super) claiming: Claiming,
    reader: Box<dyn LogReader>,
    effects: Vec<Effect>,
    introductions: Vec<NewRecord>,
    tick_every: Duration,
    ticked: Instant,
    looked: Instant,
}

impl<'t> Session<'t> {
    /// Goes on from the state of the chain.
    pub fn new(
        task: &'t ShardTask,
        number: u32,
        shard: Shard,
        chain: ShardChain,
        reader: Box<dyn LogReader>,
        scratch: Scratch,
    ) -> Self {
        let now = Instant::now();
        let tick_every = Duration::from_secs(u64::from(task.join.wait_seconds)) / 100;
        Self {
            task,
            number,
            shard,
            chain,
            scratch,
            ready: Ready::default(),
            published: PublishedCache::new(task.lake.clone(), number),
            last: None,
            status: ShardStatus::new(number),
            claiming: Claiming::new(now),
            reader,
            effects: Vec::new(),
            introductions: Vec::new(),
            tick_every: tick_every.clamp(TICK_SHORTEST, TICK_LONGEST),
            ticked: now,
            looked: now,
        }
    }

    /// Takes records until the stop is asked; then what is final is claimed.
    pub async fn run(mut self, mut stop: Stop) -> ShardEnd {
        match self.run_until(&mut stop).await {
            Ok(()) if self.shard.is_replaying() => ShardEnd::Asked,
            Ok(()) => match self.claim(ClaimReason::Shutdown, &mut stop).await {
                Ok(()) => ShardEnd::Asked,
                // Whoever is next begins at the claim before.
                Err(ShardEnd::Failed(error)) => {
                    tracing::warn!(shard = self.number, "the last claim was given up: {error:#}");
                    ShardEnd::Asked
                }
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    async fn run_until(&mut self, stop: &mut Stop) -> Result<(), ShardEnd> {
        while !stop.is_asked() {
            let records = tokio::select! {
                records = self.reader.read(READ_BYTES, PATIENCE) => records?,
                () = stop.asked() => return Ok(()),
            };
            for record in records {
                self.take(record).await?;
            }
            self.relieve()?;
            self.append_introductions().await?;
            self.tick().await;
            if let Some(reason) = claim_reason(self) {
                self.claim(reason, stop).await?;
            }
            self.tell().await;
        }
        Ok(())
    }

    async fn take(&mut self, record: StoredRecord) -> Result<(), ShardEnd> {
        let StoredRecord { offset, append_time, payload } = record;
        let decoded = ShardRecord::decode(&payload);
        if let Err(RecordError::Version { found: 1..=VERSIONS_MAX }) = &decoded {
            let shard = self.number;
            let error =
                anyhow!("offset {offset} of shard {shard} was written by a newer build; update this worker");
            return Err(ShardEnd::Stopped(error));
        }
        let is_readable = decoded.is_ok();
        let told = decoded.unwrap_or_else(|_| unreadable(offset, append_time));
        let mut is_published = false;
        if let ShardRecord::Event(event) = &told
            && let Some(hour) = self.shard.lookup_hour(offset, append_time, &event.facts)
        {
            let known = self.published.contains(hour, &event.facts.summary.event_id).await;
            is_published = known.map_err(|error| ShardEnd::Failed(error.into()))?;
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.shard.take(At { offset, append_time, is_published }, told, &mut effects);
        let done = self.follow(&mut effects, offset, &payload, is_readable);
        self.effects = effects;
        done?;
        self.last = Some((offset, payload));
        Ok(())
    }

    /// Does what follows from the record at `offset`.
    fn follow(
        &mut self,
        effects: &mut Vec<Effect>,
        offset: u64,
        payload: &Bytes,
        is_readable: bool,
    ) -> Result<(), ShardEnd> {
        let now = Instant::now();
        let mut is_new = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::Keep { .. } => is_new = true,
                Effect::Final { offset: of, outcome, place, .. } => {
                    // A row that is final at once was never kept.
                    let held = (of == offset).then(|| Bytes::copy_from_slice(payload));
                    let length = held.as_ref().map_or_else(|| self.scratch.length(of), Bytes::len);
                    let row = ReadyRow { offset: of, outcome, payload: held, length };
                    self.ready.push_row(place, row, now);
                }
                Effect::Duplicate { offset: copy, .. } => {
                    self.scratch.remove(copy);
                }
                Effect::Conflict { offset: copy, of, place } => {
                    let payload = match copy == offset {
                        true => payload.clone(),
                        false => self.scratch.get(copy)?.unwrap_or_default().into(),
                    };
                    self.scratch.remove(copy);
                    let kind = RejectKind::Conflict { of: Some(of) };
                    self.push_reject(copy, kind, &payload, place.hour(), now);
                }
                Effect::Reject { offset: rejected, place } => {
                    let kind = if is_readable { RejectKind::Logged } else { RejectKind::Unreadable };
                    self.push_reject(rejected, kind, payload, place.hour(), now);
                }
                Effect::Introduce { shard, payload } => {
                    self.introductions.push(NewRecord { shard, key: Bytes::new(), payload: payload.into() });
                }
            }
        }
        if is_new {
            self.scratch.put(offset, payload)?;
        }
        Ok(())
    }

    fn push_reject(
        &mut self,
        offset: u64,
        kind: RejectKind,
        payload: &Bytes,
        hour: corridor_model::HourBucket,
        now: Instant,
    ) {
        let payload = Bytes::copy_from_slice(payload);
        self.ready.push_reject(hour, ReadyReject { offset, kind, payload }, now);
    }

    fn relieve(&mut self) -> Result<(), ShardEnd> {
        let mut effects = std::mem::take(&mut self.effects);
        self.shard.relieve(&mut effects);
        let done = self.follow(&mut effects, u64::MAX, &Bytes::new(), true);
        self.effects = effects;
        done
    }

    /// Makes the introductions that are owed durable.
    pub(super) async fn append_introductions(&mut self) -> Result<(), ShardEnd> {
        if self.introductions.is_empty() {
            return Ok(());
        }
        Ok(self.task.log.append_own(std::mem::take(&mut self.introductions)).await?)
    }

    /// Tells every shard the clock, when it is time. One tick that fails is made up for by the next.
    async fn tick(&mut self) {
        let Some(clock) = self.shard.tick().filter(|_| self.ticked.elapsed() >= self.tick_every) else {
            return;
        };
        self.ticked = Instant::now();
        let mut payload = Vec::new();
        encode_tick(self.number, clock, &mut payload);
        let payload = Bytes::from(payload);
        let shards = 0..self.task.log.shard_count();
        let ticks = shards.map(|shard| NewRecord { shard, key: Bytes::new(), payload: payload.clone() });
        if let Err(error) = self.task.log.append_own(ticks.collect()).await {
            tracing::warn!(shard = self.number, %error, "a tick could not be appended");
        }
    }

    /// Updates the status.
    async fn tell(&mut self) {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if let Ok(bounds) = self.task.log.bounds(self.number).await {
                self.status.log_end = bounds.end;
            }
            self.put_status(
                if self.shard.is_replaying() { ShardPhase::Replaying } else { ShardPhase::Running },
                None,
            );
        }
    }

    /// Puts the numbers of now on the board.
    pub(super) fn put_status(&mut self, phase: ShardPhase, message: Option<String>) {
        let next_offset = self.shard.next_offset();
        let status = &mut self.status;
        (status.phase, status.message, status.next_offset) = (phase, message, next_offset);
        status.lag_records = status.log_end.saturating_sub(next_offset);
        status.clock = self.shard.clock();
        let now = chrono::Utc::now().timestamp_micros();
        let behind = status.clock.map_or(0, |clock| now.saturating_sub(clock.0).max(0));
        status.lag_seconds = if status.lag_records == 0 { 0 } else { behind as u64 / 1_000_000 };
        status.ledger = self.shard.ledger();
        status.ready_rows = self.ready.row_count();
        status.memory_bytes = (self.shard.memory_bytes() + self.scratch.memory_bytes()) as u64;
        status.scratch_bytes = self.scratch.disk_bytes();
        self.task.board.put(status.clone());
    }
}

/// Stands for bytes that no worker wrote: they are counted and stored as a reject.
fn unreadable(offset: u64, append_time: Micros) -> ShardRecord<'static> {
    ShardRecord::Reject(LoggedReject {
        code: RejectCode::NotARecord,
        detail: "",
        preview: "",
        side: Side::Kong,
        path: "",
        byte_offset: offset,
        record_index: 0,
        record_sha256: RecordDigest([0; 32]),
        received_time: append_time,
    })
}
