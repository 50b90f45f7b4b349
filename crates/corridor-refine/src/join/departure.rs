//! Departure: events are forgotten when their time is over and nothing names them.
//!
//! - In: the clock, and rows that became final.
//! - Keeps: those that are about to leave, until the end of the call. They leave together, because many
//!   removals at a time can be made in the order of the tables' memory.
//! - Invariants: what left is in no table.

use super::arrival::hash_of_id;
use super::entities::Role;
use super::keys::{Probe, probes_of};
use super::{Operator, Unpublished, reuse};
use corridor_model::{Key128, Micros};

/// Who leaves, and buffers that live from departure to departure, to allocate them once.
#[derive(Debug, Default)]
pub(super) struct Departures {
    ids: Vec<u32>,
    probes: Vec<Probe>,
    users: Vec<(Key128, u32)>,
}

impl<P: Copy + Ord> Operator<P> {
    /// Lets those leave that the clock has passed; rows that are final at the same time follow them.
    pub(super) fn forget_before(&mut self, clock: Micros) {
        let mut passed = Vec::new();
        self.forgets.drain_before(clock, &mut passed);
        for (_, id) in passed {
            match self.entities.find(id).map(|entity| entity.forget) {
                Some(forget) if forget >= clock => self.forgets.push(forget, id),
                Some(_) => self.forget(id),
                None => {}
            }
        }
    }

    /// Lets an entity leave as soon as nothing needs it.
    pub(super) fn forget(&mut self, id: u32) {
        let entity = self.entities.get_mut(id);
        entity.is_overdue = true;
        if !entity.lists_peers() {
            self.drop_peers(id);
        }
        self.forget_if_possible(id);
    }

    /// Drops an event's list of peers, and what was kept for its sake.
    pub(super) fn drop_peers(&mut self, id: u32) {
        for peer in std::mem::take(&mut self.entities.get_mut(id).peers) {
            self.entities.release(peer.id);
            self.forget_if_possible(peer.id);
        }
    }

    /// Lets an entity leave that is over, unless a pending row names it: a repeated introduction must find it
    /// then. It is gone after the next [`Operator::sweep`].
    pub(super) fn forget_if_possible(&mut self, id: u32) {
        let entity = self.entities.get_mut(id);
        if !entity.is_forgettable() || std::mem::replace(&mut entity.is_leaving, true) {
            return;
        }
        let (leaving, facts) = (&mut self.departures, &entity.facts);
        leaving.ids.push(id);
        leaving.users.extend(reuse::key_of(facts).map(|key| (key, id)));
        if facts.is_eligible {
            self.index.uncount_counted(facts);
        }
        if entity.is_indexed {
            probes_of(facts, (id, 0), &self.hasher, &mut leaving.probes);
        }
    }

    /// Forgets those that are about to leave.
    pub(super) fn sweep(&mut self) {
        let leaving = &mut self.departures;
        leaving.probes.retain(Probe::is_found);
        self.index.order(&mut leaving.probes);
        for probe in leaving.probes.drain(..) {
            self.index.remove(&probe, &self.entities);
        }
        self.reuse.order(&mut leaving.users);
        for user in leaving.users.drain(..) {
            self.reuse.remove(user, &self.entities);
        }
        for id in leaving.ids.drain(..) {
            let entity = self.entities.get(id);
            if entity.is_logged {
                self.log.leave(entity.arrival, &self.entities);
            }
            if let Role::Final(position) = entity.role
                && self.config.is_immediate
                && entity.row_number > self.published_count
            {
                let (event_id, row_number) = (entity.facts.summary.event_id, entity.row_number);
                self.unpublished.push(Unpublished { event_id, position, row_number });
            }
            let hash = hash_of_id(&entity.facts.summary.event_id, &self.hasher);
            if let Ok(entry) = self.ids.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
            self.entities.remove(id);
        }
        self.index.shrink();
    }
}
