//! Arrival: new events meet those already here.
//!
//! - In: entities that were just remembered.
//! - Out: peers on both sides of each pair, introductions owed, reuse marks.
//! - Keeps: those that came since the last meeting. They meet the others together, at the next tick, because
//!   many look-ups at a time can be made in the order of the index's memory. Where an introduction may be owed
//!   to another shard, which must leave before the next tick, each meets the others at once.
//! - Invariants: each pair is judged once, for its later event. An event lists at most `candidates_max` peers
//!   per rung.

use super::entities::{Entities, Entity, Peer, Peers, Role};
use super::index::Found;
use super::keys::{Probe, probes_of};
use super::ladder::{Rungs, opposite, rungs_of_pair, slack_of};
use super::log::Asked;
use super::shard::ShardId;
use super::{Emitted, JoinConfig, Operator, reuse};
use corridor_model::{EventId, JoinFacts, JoinMethod, Key128, Micros, Side};
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// Events that have met nobody yet.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// In the order of arrival.
    ids: Vec<u32>,
    /// Arrivals before theirs.
    arrivals_before: u64,
    probes: Vec<Probe>,
    users: Vec<(Key128, u32)>,
}

/// Buffers that live from meeting to meeting, to allocate them once.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    found: Found,
    probes: Vec<Probe>,
    others: Vec<u32>,
    /// Rungs that became full, to be told to the index.
    filled: Vec<(u32, JoinMethod)>,
    /// Entities that a list named and names no more.
    released: Vec<u32>,
    /// Azure events that met a Kong event by its request id.
    met_by_request: Vec<u32>,
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
        let (entities, hasher) = (&self.entities, &self.hasher);
        let hash_of = |id: &u32| hash_of_id(&entities.get(*id).facts.summary.event_id, hasher);
        self.ids.insert_unique(hash_of_id(&event_id, hasher), id, hash_of);
        self.forgets.push(forget, id);
        id
    }

    /// The entity of an event, if it is remembered.
    pub(super) fn find(&self, event_id: &EventId) -> Option<u32> {
        let is_it = |id: &u32| self.entities.get(*id).facts.summary.event_id == *event_id;
        self.ids.find(hash_of_id(event_id, &self.hasher), is_it).copied()
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

    /// Lets a new entity meet those already here, at once or at the next tick.
    pub(super) fn arrive(&mut self, id: u32, out: &mut Vec<Emitted<P>>) {
        let newcomers = &mut self.newcomers;
        let entity = self.entities.get_mut(id);
        newcomers.users.extend(reuse::key_of(&entity.facts).map(|key| (key, id)));
        if entity.facts.is_eligible {
            let turn = u32::try_from(newcomers.ids.len()).expect("memory ends before 2^32 entities");
            newcomers.ids.push(id);
            let probe_count = newcomers.probes.len();
            probes_of(&entity.facts, (id, turn), &self.hasher, &mut newcomers.probes);
            entity.arrival = newcomers.arrivals_before + newcomers.ids.len() as u64;
            entity.is_logged = entity.facts.side == Side::Kong && newcomers.probes.len() > probe_count;
            entity.is_indexed = entity.facts.side == Side::Azure;
            self.index.count_counted(&entity.facts);
        }
        if self.config.shard_count > 1 {
            self.settle(out);
        }
    }

    /// A candidate is an event of this shard from now on. What it owes to the partners that it met before is due.
    pub(super) fn introduce_to_peers(&mut self, id: u32, out: &mut Vec<Emitted<P>>) {
        let entity = self.entities.get(id);
        if entity.facts.side == Side::Kong {
            for peer in &entity.peers {
                introduce(entity, self.entities.get(peer.id), out);
            }
        }
    }

    /// Lets all newcomers meet the others, and each other.
    pub(super) fn settle(&mut self, out: &mut Vec<Emitted<P>>) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        let mut found = std::mem::take(&mut self.scratch.found);
        self.mark_reused(&mut newcomers.users);
        // Kong newcomers may look where an Azure newcomer does not.
        let asks =
            |probe: &&Probe| probe.side == Side::Azure && (probe.is_found() || self.index.may_find(probe));
        let asked = Asked::of(newcomers.probes.iter().filter(asks).map(|probe| probe.hash));
        self.recall(&asked);
        self.log_unasked(&asked, &mut newcomers);
        self.index.order(&mut newcomers.probes);
        for probe in newcomers.probes.drain(..) {
            self.index.meet_few(&probe, &self.entities, &mut found);
        }
        found.pairs.sort_unstable();
        found.hot.sort_by_key(|probe| probe.turn);
        let (mut pairs, mut hot) = (&found.pairs[..], &found.hot[..]);
        while let Some(turn) =
            pairs.first().map(|pair| pair.0).into_iter().chain(hot.first().map(|probe| probe.turn)).min()
        {
            let (own_pairs, own_hot);
            (own_pairs, pairs) = pairs.split_at(pairs.iter().take_while(|pair| pair.0 == turn).count());
            (own_hot, hot) = hot.split_at(hot.iter().take_while(|probe| probe.turn == turn).count());
            self.scratch.others.clear();
            self.scratch.others.extend(own_pairs.iter().map(|pair| pair.1));
            self.meet(newcomers.ids[turn as usize], own_hot, out);
        }
        found.pairs.clear();
        found.hot.clear();
        newcomers.arrivals_before += newcomers.ids.len() as u64;
        newcomers.ids.clear();
        self.scratch.found = found;
        self.newcomers = newcomers;
        for id in std::mem::take(&mut self.scratch.released) {
            self.forget_if_possible(id);
        }
        let mut settled = std::mem::take(&mut self.scratch.met_by_request);
        settled.retain(|id| self.is_settled(self.entities.get(*id)));
        self.finalise_all(settled, out);
        self.sweep();
    }

    /// Puts the Kong events that are asked for into the index.
    fn recall(&mut self, asked: &Asked) {
        let (mut asked_for, mut all) = (Vec::new(), Vec::new());
        self.log.ask(asked, &self.entities, &mut asked_for, &mut all);
        let mut probes = std::mem::take(&mut self.scratch.probes);
        for (ids, is_all) in [(asked_for, false), (all, true)] {
            for id in ids {
                probes.clear();
                probes_of(&self.entities.get(id).facts, (id, 0), &self.hasher, &mut probes);
                for probe in probes.iter().filter(|probe| probe.is_found()) {
                    if is_all || asked.contains(probe.hash) {
                        self.index.insert(probe, &self.entities);
                    }
                }
                self.entities.get_mut(id).is_indexed = true;
            }
        }
        self.scratch.probes = probes;
    }

    /// Takes the probes of Kong newcomers away that find nobody and that nobody asks for.
    fn log_unasked(&mut self, asked: &Asked, newcomers: &mut Newcomers) {
        let mut last = None;
        let Newcomers { probes, arrivals_before, .. } = newcomers;
        probes.retain(|probe| {
            if probe.side == Side::Azure {
                return true;
            }
            if last.replace(probe.turn) != Some(probe.turn) {
                self.log.enter(*arrivals_before + 1 + u64::from(probe.turn));
            }
            let stays = asked.contains(probe.hash) || self.index.contains(probe.hash);
            if stays {
                self.entities.get_mut(probe.id).is_indexed = true;
            } else if probe.is_found() {
                self.log.push(probe.hash, probe.id);
            }
            stays
        });
    }

    /// Judges the pairs of one newcomer: with the others found already, and with those under hot keys.
    fn meet(&mut self, id: u32, hot: &[Probe], out: &mut Vec<Emitted<P>>) {
        let scratch = &mut self.scratch;
        let mut has_full = false;
        for probe in hot {
            let slack = slack_of(probe.rung, &self.config);
            has_full |= self.index.meet(probe, slack, &self.entities, &mut scratch.others);
        }
        let entity = self.entities.get(id);
        let (other_side, span) = (opposite(entity.facts.side), entity.span());
        let mut pairing = Pairing {
            id,
            meeting: self.entities.next_meeting(),
            entities: &mut self.entities,
            config: &self.config,
            filled: &mut scratch.filled,
            released: &mut scratch.released,
            met_by_request: &mut scratch.met_by_request,
        };
        for other in &scratch.others {
            pairing.judge(*other, out);
        }
        for probe in hot.iter().filter(|probe| has_full && probe.looks()) {
            let slack = slack_of(probe.rung, &self.config);
            for other in self.index.full_near(probe, other_side, span, slack) {
                if pairing.entities.get(id).full.contains(probe.rung) {
                    break;
                }
                pairing.judge(other, out);
            }
        }
        self.tell_filled();
    }

    fn tell_filled(&mut self) {
        let Scratch { filled, probes, .. } = &mut self.scratch;
        for (id, rung) in filled.drain(..) {
            let entity = self.entities.get(id);
            probes.clear();
            probes_of(&entity.facts, (id, 0), &self.hasher, probes);
            for probe in probes.iter().filter(|probe| probe.rung == rung && probe.is_found()) {
                self.index.fill(probe, entity.span());
            }
        }
    }

    fn mark_reused(&mut self, users: &mut Vec<(Key128, u32)>) {
        self.reuse.order(users);
        let reused = &mut self.scratch.others;
        reused.clear();
        for user in users.drain(..) {
            self.reuse.insert(user, self.config.horizon, &self.entities, reused);
        }
        for id in reused.drain(..) {
            self.entities.get_mut(id).is_reused = true;
        }
    }
}

/// An event id is a digest: its head says as much as all of it.
pub(super) fn hash_of_id(event_id: &EventId, hasher: &RandomState) -> u64 {
    let [head, ..] = event_id.0.as_chunks::<8>().0 else { return 0 };
    hasher.hash_one(u64::from_le_bytes(*head))
}

/// The meeting of one newcomer, and what it changes.
struct Pairing<'a, P> {
    id: u32,
    meeting: u64,
    entities: &'a mut Entities<P>,
    config: &'a JoinConfig,
    filled: &'a mut Vec<(u32, JoinMethod)>,
    released: &'a mut Vec<u32>,
    met_by_request: &'a mut Vec<u32>,
}

impl<P: Copy> Pairing<'_, P> {
    /// Judges the pair with `other`, once per meeting.
    fn judge(&mut self, other: u32, out: &mut Vec<Emitted<P>>) {
        if !self.entities.get_mut(other).is_news_to(self.meeting) {
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
            introduce(self.entities.get(kong), self.entities.get(azure), out);
        }
        if self.config.is_immediate && rungs.contains(JoinMethod::RequestId) {
            self.met_by_request.push(azure);
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
        let useless: Peers = useless;
        for peer in useless {
            self.entities.release(peer.id);
            self.released.push(peer.id);
        }
    }
}

/// Owes an introduction when an event of this shard matches one of another.
fn introduce<P: Copy>(kong: &Entity<P>, azure: &Entity<P>, out: &mut Vec<Emitted<P>>) {
    if let (Role::Pending(_) | Role::Final(_), Some(home)) = (kong.role, azure.home) {
        out.push(Emitted::Introduction {
            home,
            to: azure.facts.summary.event_id,
            peer: Box::new(kong.facts.clone()),
            forget: kong.forget,
        });
    }
}
