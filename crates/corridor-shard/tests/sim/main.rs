//! Simulation of the rules by which partners on different shards meet and rows leave once: logs, chains, intakes and workers
//! without I/O, driven by one seed.
//!
//! Workers crash, pause, own a shard twice, lose replies and claims; intakes die between a record and its hints. Whatever
//! happens, the published rows are those of the batch join, each once, and the totals say where every record went. Each
//! rule can be left out, and then some seed must show it.
//!
//! `CORRIDOR_SIM_SEED=17` runs one seed, `CORRIDOR_SIM_SEEDS=100000` that many.

mod dice;
mod traffic;
mod worker;
mod world;

use corridor_model::time::{HOUR, MINUTE};
use corridor_model::{EventId, JoinFacts, JoinOutcome, Verdict};
use corridor_refine::join::join_at_once;
use corridor_shard::ShardRecord;
use dice::Dice;
use std::collections::BTreeMap;
use traffic::Traffic;
use worker::{Claimed, Worker};
use world::World;

/// When a run begins.
const START: i64 = 480_000 * HOUR;
const WAIT: i64 = 30 * MINUTE;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    /// Azure events are not told to other shards.
    NoHints,
    /// A delivery is acknowledged when its record is durable and its hints are not.
    AcknowledgeBeforeHints,
    /// Kong events that match are not told to the partner's shard.
    NoIntroductions,
    /// An Azure row waits for its own shard's clock only.
    OwnClockOnly,
    /// A clock is announced while introductions are owed.
    TickBeforeIntroductions,
    /// A claim covers records whose introductions are owed.
    ClaimBeforeIntroductions,
    /// Recovery reads from the oldest pending event.
    FloorAtOldestPending,
    /// Recovery reads from where the claim ends, as from a committed offset.
    RestartAtEnd,
    /// Recovery does not know what was pending.
    NoOpenSet,
    /// Recovery takes all that it reads again as pending: ids alone must keep rows apart.
    EverythingIsOpen,
    /// Old events are not searched among the published ids.
    NoLookup,
    /// A claim is written whatever stands there.
    NoFence,
}

/// The seed's run; what is wrong with it, if anything.
fn run(seed: u64, mutation: Option<Mutation>) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let shard_count = 1 + dice.below(6);
    let traffic = Traffic::new(&mut dice);
    // Now and then memory is short. Then rows leave early, and only their number can be right.
    let is_short = mutation.is_none() && dice.percent(15);
    let memory = if is_short { 20_000 } else { usize::MAX };
    let mut world = World::new(shard_count, &traffic, mutation, dice);
    let mut cluster = Cluster::new(&world, memory);
    while !world.has_all() {
        let time = world.dice.time(WAIT / 20);
        world.pass(time);
        cluster.act(&mut world)?;
    }
    cluster.drain(&mut world)?;
    check(&world, &traffic, is_short)
}

/// The workers.
struct Cluster {
    workers: Vec<Worker>,
    /// When each shard was last known to make its way.
    progress: Vec<i64>,
    memory: usize,
}

impl Cluster {
    fn new(world: &World, memory: usize) -> Self {
        let workers = (0..world.shard_count()).map(|shard| Worker::new(world, shard, memory)).collect();
        Self { workers, progress: vec![START; world.shard_count()], memory }
    }

    /// Some steps of some workers.
    fn act(&mut self, world: &mut World) -> Result<(), String> {
        for _ in 0..self.workers.len() {
            let index = world.dice.below(self.workers.len());
            if self.workers[index].paused_until <= world.now {
                self.step(index, world)?;
            }
        }
        for shard in 0..world.shard_count() {
            if world.now.0 - self.progress[shard] > World::OUTAGE_MAX {
                self.progress[shard] = world.now.0;
                let index = self.workers.iter().position(|worker| worker.shard == shard);
                self.workers[index.expect("each shard has a worker")].catch_up(world)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, index: usize, world: &mut World) -> Result<(), String> {
        let worker = &mut self.workers[index];
        match world.dice.below(20) {
            0..8 => worker.read(1 + world.dice.below(30), world)?,
            8..11 => worker.send(1 + world.dice.below(5), world),
            11..13 => worker.tick(world.dice.below(2 * world.shard_count()), world),
            13..15 => worker.draft(world)?,
            15..17 => {
                if worker.claim(world) == Some(Claimed::Unknown) {
                    self.replace(index, world);
                }
            }
            17 => worker.paused_until = world.now.saturating_add(world.dice.time(World::OUTAGE_MAX)),
            18 => self.replace(index, world),
            _ => {
                let (count, shard) = (self.workers.len(), self.workers[index].shard);
                if count < 2 * world.shard_count() {
                    self.workers.push(Worker::new(world, shard, self.memory));
                }
            }
        }
        Ok(())
    }

    /// A worker dies, or loses its shard; another one recovers it, if there is none yet.
    fn replace(&mut self, index: usize, world: &mut World) {
        let shard = self.workers.swap_remove(index).shard;
        let has_owner = self.workers.iter().any(|worker| worker.shard == shard);
        if !has_owner || world.dice.percent(50) {
            self.workers.push(Worker::new(world, shard, self.memory));
        }
    }

    /// Nothing fails any more; everybody finishes.
    fn drain(&mut self, world: &mut World) -> Result<(), String> {
        for _ in 0..100 {
            world.pass(WAIT / 6);
            for index in (0..self.workers.len()).rev() {
                let worker = &mut self.workers[index];
                worker.catch_up(world)?;
                worker.draft(world)?;
                if worker.claim(world) == Some(Claimed::Unknown) {
                    self.replace(index, world);
                }
            }
            let is_done =
                |chain: &Vec<world::Entry>| chain.last().is_some_and(|entry| entry.claim.open.is_empty());
            let is_idle = self.workers.iter().all(|worker| worker.pending() == 0);
            if is_idle && world.chains.iter().all(is_done) && self.has_claimed_all(world) {
                return Ok(());
            }
        }
        Err("rows are still pending long after the last arrival".into())
    }

    fn has_claimed_all(&self, world: &World) -> bool {
        (0..world.shard_count()).all(|shard| {
            let end = world.chains[shard].last().map_or(0, |entry| entry.claim.end);
            let rest = world.logs[shard].iter().rev().take_while(|stored| stored.offset >= end);
            rest.into_iter().all(|stored| match ShardRecord::decode(&stored.payload) {
                Ok(record) => !record.is_counted(),
                Err(_) => false,
            })
        })
    }
}

/// Compares what was published with the batch join, and the totals with the logs.
fn check(world: &World, traffic: &Traffic, is_short: bool) -> Result<(), String> {
    let mut rows: BTreeMap<EventId, JoinOutcome> = BTreeMap::new();
    let entries = || world.chains.iter().flatten();
    for row in entries().flat_map(|entry| &entry.batch.rows) {
        if rows.insert(row.event_id, row.outcome.clone()).is_some() {
            return Err(format!("two rows of {}", row.event_id));
        }
    }
    let events = as_first_logged(world, traffic);
    let expected = join_at_once(events.iter().cloned());
    for (facts, outcome) in events.iter().zip(expected) {
        let id = facts.summary.event_id;
        let Some(row) = rows.remove(&id) else { return Err(format!("no row of {facts:#?}")) };
        if row != outcome && !is_short {
            return Err(format!("{facts:#?}\nsays {row:#?}\nand not {outcome:#?}"));
        }
    }
    if !rows.is_empty() {
        return Err(format!("{} rows of no event", rows.len()));
    }
    check_totals(world)
}

/// Of copies that contradict each other, the first in the log is the event.
fn as_first_logged(world: &World, traffic: &Traffic) -> Vec<JoinFacts> {
    let mut verdicts: BTreeMap<EventId, Verdict> = BTreeMap::new();
    for stored in world.logs.iter().flatten() {
        if let Ok(ShardRecord::Event(event)) = ShardRecord::decode(&stored.payload) {
            verdicts.entry(event.facts.summary.event_id).or_insert(event.facts.verdict);
        }
    }
    let as_logged = |facts: &JoinFacts| {
        let verdict = verdicts.get(&facts.summary.event_id).copied().unwrap_or(facts.verdict);
        JoinFacts { verdict, ..facts.clone() }
    };
    traffic.events.iter().map(as_logged).collect()
}

fn check_totals(world: &World) -> Result<(), String> {
    for (shard, (chain, log)) in world.chains.iter().zip(&world.logs).enumerate() {
        let counted = log
            .iter()
            .filter(|stored| ShardRecord::decode(&stored.payload).is_ok_and(|record| record.is_counted()));
        let (counted, last) = (counted.count() as u64, chain.last().ok_or("a chain is empty")?);
        let rows: usize = chain.iter().map(|entry| entry.batch.rows.len()).sum();
        let rejects: u64 = chain.iter().map(|entry| entry.batch.rejects).sum();
        let ledger = last.claim.ledger();
        let is_right = ledger.is_conserved() && ledger.records_in == counted && ledger.rows == rows as u64;
        if !is_right || ledger.rejects != rejects || ledger.pending != 0 {
            return Err(format!(
                "shard {shard}: {ledger}; log {counted}, files {rows} rows, {rejects} rejects"
            ));
        }
        let is_tiled = chain.windows(2).all(|pair| pair[0].claim.end == pair[1].claim.start);
        let is_rising = chain.windows(2).all(|pair| pair[0].claim.floor <= pair[1].claim.floor);
        if !is_tiled || !is_rising {
            return Err(format!("shard {shard}: claims do not tile the log, or a floor fell"));
        }
    }
    Ok(())
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_seed_publishes_each_event_once_and_as_the_batch_does() {
    let seeds = match number_of("CORRIDOR_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("CORRIDOR_SIM_SEEDS").unwrap_or(3000),
    };
    for seed in seeds {
        if let Err(problem) = run(seed, None) {
            panic!("CORRIDOR_SIM_SEED={seed}: {problem}");
        }
    }
}

#[test]
fn each_rule_that_is_left_out_is_missed() {
    let all = [
        Mutation::NoHints,
        Mutation::AcknowledgeBeforeHints,
        Mutation::NoIntroductions,
        Mutation::OwnClockOnly,
        Mutation::TickBeforeIntroductions,
        Mutation::ClaimBeforeIntroductions,
        Mutation::FloorAtOldestPending,
        Mutation::RestartAtEnd,
        Mutation::NoOpenSet,
        Mutation::EverythingIsOpen,
        Mutation::NoLookup,
        Mutation::NoFence,
    ];
    for mutation in all {
        let found = (0..400).find(|seed| run(*seed, Some(mutation)).is_err());
        assert!(found.is_some(), "{mutation:?} is not noticed");
    }
}
