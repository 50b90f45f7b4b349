//! Worker: an owner of one shard, or one that believes it is.
//!
//! - In: the shard's log, from the floor that the chain names.
//! - Out: introductions and ticks in the logs, claims in the chain.
//! - Keeps: the shard's state, the bytes of pending events, rows that no claim holds yet.

use crate::world::{Batch, Entry, Row, World};
use crate::{Mutation, WAIT};
use corridor_model::Micros;
use corridor_shard::record::encode_tick;
use corridor_shard::{At, Effect, OpenSet, Resume, Shard, ShardConfig, ShardRecord};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// An owner of a shard.
pub(crate) struct Worker {
    pub(crate) shard: usize,
    pub(crate) paused_until: Micros,
    state: Shard,
    /// Index of the next record in the log.
    next: usize,
    /// Number of the claim that it would write.
    number: usize,
    outbox: VecDeque<(usize, Rc<[u8]>)>,
    kept: HashMap<u64, Rc<[u8]>>,
    batch: Batch,
    /// A claim on its way.
    drafted: Option<Entry>,
}

/// Whether a worker's claim was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Yes,
    /// Another one stands there, or nobody knows.
    Unknown,
}

impl Worker {
    /// Recovers a shard from its chain.
    pub(crate) fn new(world: &World, shard: usize, memory_bytes_max: usize) -> Self {
        let chain = &world.chains[shard];
        let mut resume = chain.last().map(|entry| Resume::from(entry.claim.clone())).unwrap_or_default();
        mutate(&mut resume, world, shard);
        let config = ShardConfig::new(shard as u32, world.shard_count() as u32, WAIT);
        let state = Shard::new(ShardConfig { memory_bytes_max, ..config }, resume);
        let from = state.replay_from();
        Self {
            shard,
            paused_until: world.now,
            next: world.logs[shard].partition_point(|stored| stored.offset < from),
            number: chain.len(),
            state,
            outbox: VecDeque::new(),
            kept: HashMap::new(),
            batch: Batch::default(),
            drafted: None,
        }
    }

    pub(crate) fn pending(&self) -> u64 {
        self.state.pending()
    }

    /// Takes up to `count` records.
    pub(crate) fn read(&mut self, count: usize, world: &World) -> Result<(), String> {
        let log = &world.logs[self.shard];
        let end = log.len().min(self.next + count);
        for stored in &log[self.next..end] {
            let record = ShardRecord::decode(&stored.payload).map_err(|error| error.to_string())?;
            let mut effects = Vec::new();
            let is_published = match &record {
                ShardRecord::Event(event) if !world.is(Mutation::NoLookup) => {
                    let hour = self.state.lookup_hour(stored.offset, stored.append_time, &event.facts);
                    let id = &event.facts.summary.event_id;
                    hour.is_some_and(|hour| world.is_published(self.shard, id, hour))
                }
                _ => false,
            };
            let at = At { offset: stored.offset, append_time: stored.append_time, is_published };
            self.state.take(at, record, &mut effects);
            if world.is(Mutation::OwnClockOnly) {
                for shard in 0..world.shard_count() as u32 {
                    let clock = stored.append_time;
                    self.state.take(at, ShardRecord::Tick { shard, clock }, &mut effects);
                }
            }
            self.state.relieve(&mut effects);
            self.obey(effects, stored.offset, &stored.payload, world)?;
            let ledger = self.state.ledger();
            if !ledger.is_conserved() {
                return Err(format!("shard {} at {}: {ledger}", self.shard, stored.offset));
            }
        }
        self.next = end;
        Ok(())
    }

    fn obey(
        &mut self,
        effects: Vec<Effect>,
        taken: u64,
        payload: &Rc<[u8]>,
        world: &World,
    ) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Keep { offset } => drop(self.kept.insert(offset, Rc::clone(payload))),
                Effect::Final { offset, outcome, place, .. } => {
                    let kept =
                        self.kept.remove(&offset).or_else(|| (offset == taken).then(|| Rc::clone(payload)));
                    let bytes =
                        kept.ok_or_else(|| format!("row {offset} of shard {} was not kept", self.shard))?;
                    let Ok(ShardRecord::Event(event)) = ShardRecord::decode(&bytes) else {
                        return Err(format!("row {offset} is no event"));
                    };
                    let event_id = event.facts.summary.event_id;
                    self.batch.rows.push(Row { event_id, hour: place.hour(), outcome });
                }
                Effect::Duplicate { offset, .. } => drop(self.kept.remove(&offset)),
                Effect::Conflict { offset, .. } => {
                    self.kept.remove(&offset);
                    self.batch.rejects += 1;
                }
                Effect::Reject { .. } => self.batch.rejects += 1,
                Effect::Introduce { .. } if world.is(Mutation::NoIntroductions) => {}
                Effect::Introduce { shard, payload } => {
                    self.outbox.push_back((shard as usize, payload.into()))
                }
            }
        }
        Ok(())
    }

    /// Appends up to `count` introductions.
    pub(crate) fn send(&mut self, count: usize, world: &mut World) {
        for _ in 0..count.min(self.outbox.len()) {
            let Some((shard, payload)) = self.outbox.front().cloned() else { return };
            world.append(shard, payload);
            // Without a reply it stays, and is sent again.
            if !world.dice.percent(5) {
                self.outbox.pop_front();
            }
        }
    }

    /// Announces its clock to every shard, or to some, if it dies on the way.
    pub(crate) fn tick(&self, reached: usize, world: &mut World) {
        if !self.outbox.is_empty() && !world.is(Mutation::TickBeforeIntroductions) {
            return;
        }
        let Some(clock) = self.state.tick() else { return };
        let mut bytes = Vec::new();
        encode_tick(self.shard as u32, clock, &mut bytes);
        let payload: Rc<[u8]> = bytes.into();
        for shard in 0..world.shard_count().min(reached) {
            world.append(shard, Rc::clone(&payload));
        }
    }

    /// Begins a claim of all that was read so far. More may be read before it is written.
    pub(crate) fn draft(&mut self, world: &World) -> Result<(), String> {
        let may_claim = self.outbox.is_empty() || world.is(Mutation::ClaimBeforeIntroductions);
        if self.drafted.is_some() || !may_claim {
            return Ok(());
        }
        let claim = self.state.draft();
        if !claim.ledger().is_conserved() || claim.floor > claim.end || claim.start > claim.end {
            return Err(format!("claim of shard {}: {claim:?}", self.shard));
        }
        self.drafted = Some(Entry { claim, batch: std::mem::take(&mut self.batch) });
        Ok(())
    }

    /// Writes the claim that was begun.
    pub(crate) fn claim(&mut self, world: &mut World) -> Option<Claimed> {
        let entry = self.drafted.take()?;
        let claim = entry.claim.clone();
        if !world.create(self.shard, self.number, entry) || world.dice.percent(5) {
            return Some(Claimed::Unknown);
        }
        self.state.committed(&claim);
        self.number += 1;
        Some(Claimed::Yes)
    }

    /// Everything that can be done now.
    pub(crate) fn catch_up(&mut self, world: &mut World) -> Result<(), String> {
        self.read(usize::MAX - self.next, world)?;
        while !self.outbox.is_empty() {
            self.send(usize::MAX, world);
        }
        self.tick(usize::MAX, world);
        Ok(())
    }
}

/// Recovers by a wrong rule.
fn mutate(resume: &mut Resume, world: &World, shard: usize) {
    match world.mutation {
        Some(Mutation::FloorAtOldestPending) => resume.floor = resume.open.first().unwrap_or(resume.end),
        Some(Mutation::RestartAtEnd) => resume.floor = resume.end,
        Some(Mutation::NoOpenSet) => resume.open = OpenSet::default(),
        Some(Mutation::EverythingIsOpen) => {
            let range = resume.floor..resume.end;
            let log = world.logs[shard].iter().filter(|stored| range.contains(&stored.offset));
            let is_event = |payload: &[u8]| matches!(ShardRecord::decode(payload), Ok(ShardRecord::Event(_)));
            resume.open =
                log.filter(|stored| is_event(&stored.payload)).map(|stored| stored.offset).collect();
        }
        _ => {}
    }
}
