//! Finality: when a row leaves. At its time, at once, or early because memory is short.
//!
//! - In: rows whose time has come, rows that were just met, and the memory to get down to.
//! - Out: final rows.
//! - Invariants: a row leaves once. A row that leaves at once says what it would have said at its time.

use super::entities::{Entity, Role};
use super::{Emitted, Operator, outcome};
use corridor_model::{JoinMethod, Micros, Side};

/// Whose clock a row waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// This shard's own.
    Here,
    /// Those of all shards.
    Everywhere,
}

/// Entities forgotten at a time when memory is short.
const RELIEF_STEP: usize = if cfg!(test) { 4 } else { 1024 };

impl<P: Copy + Ord> Operator<P> {
    /// Gets memory down to `bytes_target`, oldest first: rows that are pending leave now, with the finding JOINED_EARLY, and
    /// events are forgotten before their time. The position of each forgotten row is added to `forgotten`: a copy of it would
    /// not be known as one any more.
    pub fn relieve(&mut self, bytes_target: usize, out: &mut Vec<Emitted<P>>, forgotten: &mut Vec<P>) {
        if self.memory_bytes() <= bytes_target {
            return;
        }
        self.settle(out);
        self.finalise_overdue(out);
        let mut oldest = Vec::new();
        while self.memory_bytes() > bytes_target {
            self.forgets.drain_oldest(RELIEF_STEP, &mut oldest);
            if oldest.is_empty() {
                return;
            }
            for (at, id) in oldest.drain(..) {
                match self.entities.find(id).map(|entity| (entity.forget > at, entity.forget)) {
                    Some((true, forget)) => self.forgets.push(forget, id),
                    Some((false, _)) => self.forget_early(id, out, forgotten),
                    None => {}
                }
            }
            self.sweep();
        }
    }

    /// Rows that only wait for other shards' ticks, although they should be forgotten, are the oldest.
    fn finalise_overdue(&mut self, out: &mut Vec<Emitted<P>>) {
        let (mut waiting, mut overdue) = (Vec::new(), Vec::new());
        self.due_everywhere.drain_all(&mut waiting);
        for entry in waiting {
            match self.is_due(entry, Gate::Everywhere) && self.entities.get(entry.1).is_overdue {
                true => overdue.push(entry.1),
                false => self.due_everywhere.push(entry.0, entry.1),
            }
        }
        for &id in &overdue {
            self.entities.get_mut(id).is_early = true;
        }
        self.finalise_all(overdue, out);
        self.sweep();
    }

    fn forget_early(&mut self, id: u32, out: &mut Vec<Emitted<P>>, forgotten: &mut Vec<P>) {
        let entity = self.entities.get_mut(id);
        entity.is_early = entity.is_pending();
        self.finalise(id, out);
        if let Role::Final(position) = self.entities.get(id).role {
            forgotten.push(position);
        }
        self.forget(id);
    }

    /// A row that nothing can change needs no wait.
    pub(super) fn leave_at_once(&mut self, id: u32, out: &mut Vec<Emitted<P>>) {
        if self.config.is_immediate && self.is_settled(self.entities.get(id)) {
            self.finalise(id, out);
            self.sweep();
        }
    }

    /// Whether nothing that may still come could change what an event's row says. So it is for
    ///
    /// - an event that can have no partner, and
    /// - an Azure event each of whose request ids has met its Kong event: a request id is made by Kong for one event, so no
    ///   other partner comes on this rung, and no other rung counts.
    ///
    /// A Kong event with such a match waits: the activity's next record (a retry, the final one after a heartbeat) may name
    /// the same request, and would be a better peer or count as one more. And no event with a reuse key leaves, because the
    /// next user of its correlation id may be somebody else.
    pub(super) fn is_settled(&self, entity: &Entity<P>) -> bool {
        let facts = &entity.facts;
        if facts.reuse_key.is_some() {
            return false;
        }
        if !facts.is_eligible {
            return true;
        }
        let has_met = |request| {
            entity.peers.iter().any(|peer| {
                peer.rungs.contains(JoinMethod::RequestId)
                    && self.entities.get(peer.id).facts.request_ids.contains(request)
            })
        };
        facts.side == Side::Azure
            && !facts.request_ids.is_empty()
            && !entity.full.contains(JoinMethod::RequestId)
            && facts.request_ids.iter().all(has_met)
    }

    pub(super) fn await_row(&mut self, id: u32, due: Micros) {
        self.pending_count += 1;
        self.entities.get_mut(id).due = due;
        let entity = self.entities.get(id);
        if self.config.is_immediate && self.is_settled(entity) {
            return;
        }
        match entity.waits_everywhere() {
            true => self.due_everywhere.push(due, id),
            false => self.due_here.push(due, id),
        }
    }

    /// Whether an entry of a wheel stands for a row that is due by it. The row may have left at once or early, and its number
    /// may belong to another event by now.
    pub(super) fn is_due(&self, (at, id): (Micros, u32), gate: Gate) -> bool {
        self.entities.find(id).is_some_and(|entity| {
            entity.is_pending() && entity.due == at && entity.waits_everywhere() == (gate == Gate::Everywhere)
        })
    }

    /// The rows that entries of a wheel stand for.
    pub(super) fn rows_due(&self, entries: Vec<(Micros, u32)>, gate: Gate) -> Vec<u32> {
        entries.into_iter().filter(|entry| self.is_due(*entry, gate)).map(|(_, id)| id).collect()
    }

    /// Rows leave in the order of memory. It follows from the order of the input, and not from that of a hash.
    pub(super) fn finalise_all(&mut self, mut due: Vec<u32>, out: &mut Vec<Emitted<P>>) {
        due.sort_unstable();
        out.reserve(due.len());
        for id in due {
            self.finalise(id, out);
        }
    }

    /// Lets a row leave, if it has not.
    pub(super) fn finalise(&mut self, id: u32, out: &mut Vec<Emitted<P>>) {
        let entity = self.entities.get(id);
        let Role::Pending(position) = entity.role else { return };
        let peers = entity.peers.iter().map(|peer| (&self.entities.get(peer.id).facts, peer.rungs));
        let outcome = outcome::decide(entity, peers);
        out.push(Emitted::Row { position, event_id: entity.facts.summary.event_id, outcome });
        self.pending_count -= 1;
        self.row_count += 1;
        let entity = self.entities.get_mut(id);
        (entity.role, entity.row_number) = (Role::Final(position), self.row_count);
        self.drop_peers(id);
        self.forget_if_possible(id);
    }
}
