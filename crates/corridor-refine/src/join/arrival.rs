//! Arrival: a new event meets those already here; and it is forgotten when its time is over.
//!
//! - In: an entity that was just remembered.
//! - Out: peers on both sides of each pair, introductions owed, reuse marks.
//! - Invariants: each pair is judged once, when its later event arrives. An event lists at most
//!   `candidates_max` peers per rung.

use super::entities::{Entities, Peer, Role};
use super::keys::{Probe, probes_of};
use super::ladder::{Rungs, opposite, rungs_of_pair, slack_of};
use super::reuse::User;
use super::shard::ShardId;
use super::{Emitted, JoinConfig, Operator};
use corridor_model::{JoinFacts, JoinMethod, Micros, Side};
use foldhash::fast::RandomState;

/// Buffers that live from arrival to arrival, to allocate them once.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    hasher: RandomState,
    probes: Vec<Probe>,
    others: Vec<u32>,
    /// Rungs that became full, to be told to the index.
    filled: Vec<(u32, JoinMethod)>,
    /// Entities that a list named and names no more.
    released: Vec<u32>,
}

impl<P: Copy + Ord> Operator<P> {
    pub(super) fn remember(
        &mut self,
        facts: JoinFacts,
        role: Role<P>,
        forget: Micros,
        home: Option<ShardId>,
    ) -> u32 {
        let event_id = facts.summary.event_id;
        let id = self.entities.insert(facts, role, forget, home);
        self.ids.insert(event_id, id);
        self.forgets.push(forget, id);
        id
    }

    pub(super) fn remember_longer(&mut self, id: u32, forget: Micros) {
        let entity = self.entities.get_mut(id);
        if forget > entity.forget {
            entity.forget = forget;
            if std::mem::take(&mut entity.is_overdue) {
                self.forgets.push(forget, id);
            }
        }
    }

    /// Lets a new entity meet those already here.
    pub(super) fn arrive(&mut self, id: u32, out: &mut Vec<Emitted<P>>) {
        self.mark_reuse(id);
        let entity = self.entities.get(id);
        if !entity.facts.is_eligible {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        probes_of(&entity.facts, &scratch.hasher, &mut scratch.probes);
        self.meet(id, &mut scratch, out);
        self.tell_filled(&mut scratch);
        let mut released = std::mem::take(&mut scratch.released);
        self.scratch = scratch;
        // One may be here twice, and its number is free after the first time: hence by id, once.
        released.sort_unstable();
        released.dedup();
        for id in released {
            self.forget_if_possible(id);
        }
    }

    fn meet(&mut self, id: u32, scratch: &mut Scratch, out: &mut Vec<Emitted<P>>) {
        let entity = self.entities.get(id);
        let (other_side, span) = (opposite(entity.facts.side), entity.span());
        scratch.others.clear();
        let mut has_full = false;
        for probe in &scratch.probes {
            let slack = slack_of(probe.rung, &self.config);
            has_full |= self.index.meet(probe, (id, slack), &self.entities, &mut scratch.others);
        }
        let arrival = self.entities.next_arrival();
        let mut pairing = Pairing {
            id,
            arrival,
            entities: &mut self.entities,
            config: &self.config,
            filled: &mut scratch.filled,
            released: &mut scratch.released,
        };
        for other in &scratch.others {
            pairing.judge(*other, out);
        }
        if !has_full {
            return;
        }
        for probe in scratch.probes.iter().filter(|probe| probe.looks()) {
            let slack = slack_of(probe.rung, &self.config);
            for other in self.index.full_near(probe, other_side, span, slack) {
                if pairing.entities.get(id).full.contains(probe.rung) {
                    break;
                }
                pairing.judge(other, out);
            }
        }
    }

    fn tell_filled(&mut self, scratch: &mut Scratch) {
        for (id, rung) in std::mem::take(&mut scratch.filled) {
            let entity = self.entities.get(id);
            probes_of(&entity.facts, &scratch.hasher, &mut scratch.probes);
            for probe in scratch.probes.iter().filter(|probe| probe.rung == rung && probe.is_found()) {
                self.index.fill(probe, id, entity.facts.side, entity.span());
            }
        }
    }

    fn mark_reuse(&mut self, id: u32) {
        if let Some((key, user)) = User::of(id, &self.entities.get(id).facts) {
            let reused = &mut self.scratch.others;
            reused.clear();
            self.reuse.insert(key, user, self.config.horizon, reused);
            for id in reused.drain(..) {
                self.entities.get_mut(id).is_reused = true;
            }
        }
    }

    /// Forgets what the clock has passed.
    pub(super) fn forget_before(&mut self, clock: Micros) {
        let mut passed = Vec::new();
        self.forgets.drain_before(clock, &mut passed);
        for id in passed {
            let entity = self.entities.get_mut(id);
            if entity.forget >= clock {
                self.forgets.push(entity.forget, id);
            } else {
                entity.is_overdue = true;
                if !entity.lists_peers() {
                    self.drop_peers(id);
                }
                self.forget_if_possible(id);
            }
        }
        self.index.shrink();
    }

    /// Drops an event's list of peers, and what was kept for its sake.
    pub(super) fn drop_peers(&mut self, id: u32) {
        for peer in std::mem::take(&mut self.entities.get_mut(id).peers) {
            self.entities.release(peer.id);
            self.forget_if_possible(peer.id);
        }
    }

    /// Forgets an entity that is over, unless a pending row names it: a repeated introduction must find it then.
    pub(super) fn forget_if_possible(&mut self, id: u32) {
        let entity = self.entities.get(id);
        if !entity.is_forgettable() {
            return;
        }
        let facts = &*entity.facts;
        self.ids.remove(&facts.summary.event_id);
        if let Some((key, user)) = User::of(id, facts) {
            self.reuse.remove(key, user);
        }
        if facts.is_eligible {
            probes_of(facts, &self.scratch.hasher, &mut self.scratch.probes);
            for probe in self.scratch.probes.iter().filter(|probe| probe.is_found()) {
                self.index.remove(probe, id, facts.side, entity.span());
            }
        }
        self.entities.remove(id);
    }
}

/// One arrival and what it changes.
struct Pairing<'a, P> {
    id: u32,
    arrival: u64,
    entities: &'a mut Entities<P>,
    config: &'a JoinConfig,
    filled: &'a mut Vec<(u32, JoinMethod)>,
    released: &'a mut Vec<u32>,
}

impl<P: Copy> Pairing<'_, P> {
    /// Judges the pair with `other`, once per arrival.
    fn judge(&mut self, other: u32, out: &mut Vec<Emitted<P>>) {
        if !self.entities.get_mut(other).is_news_to(self.arrival) {
            return;
        }
        let (kong, azure) = match self.entities.get(self.id).facts.side {
            Side::Kong => (self.id, other),
            Side::Azure => (other, self.id),
        };
        let rungs =
            rungs_of_pair(&self.entities.get(kong).facts, &self.entities.get(azure).facts, self.config);
        if rungs.is_empty() {
            return;
        }
        self.add_peer(kong, azure, rungs);
        if self.add_peer(azure, kong, rungs) {
            self.introduce(kong, azure, out);
        }
    }

    /// Adds a peer on the rungs that are not full; false if all are.
    fn add_peer(&mut self, id: u32, peer: u32, rungs: Rungs) -> bool {
        let entity = self.entities.get_mut(id);
        let rungs = rungs.without(entity.full);
        if rungs.is_empty() {
            return false;
        }
        let full_before = entity.full;
        for rung in rungs.iter() {
            let count = &mut entity.counts[rung as usize];
            *count += 1;
            if *count as usize > self.config.candidates_max {
                entity.full.insert(rung);
                self.filled.push((id, rung));
            }
        }
        let has_filled = entity.full != full_before;
        if entity.lists_peers() {
            entity.peers.push(Peer { id: peer, rungs });
            self.entities.hold(peer);
        }
        if has_filled {
            self.drop_useless_peers(id);
        }
        true
    }

    /// Peers on full rungs only are never named: their number is all that counts.
    fn drop_useless_peers(&mut self, id: u32) {
        let entity = self.entities.get_mut(id);
        let full = entity.full;
        let (useful, useless) = std::mem::take(&mut entity.peers)
            .into_iter()
            .partition(|peer| !peer.rungs.without(full).is_empty());
        entity.peers = useful;
        let useless: Vec<Peer> = useless;
        for peer in useless {
            self.entities.release(peer.id);
            self.released.push(peer.id);
        }
    }

    /// Owes an introduction when an event of this shard matches one of another.
    fn introduce(&mut self, kong: u32, azure: u32, out: &mut Vec<Emitted<P>>) {
        let (kong, azure) = (self.entities.get(kong), self.entities.get(azure));
        if let (Role::Pending(_) | Role::Final(_), Some(home)) = (kong.role, azure.home) {
            out.push(Emitted::Introduction {
                home,
                to: azure.facts.summary.event_id,
                peer: kong.facts.clone(),
                forget: kong.forget,
            });
        }
    }
}
