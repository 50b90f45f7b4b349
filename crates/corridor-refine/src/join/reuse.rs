//! Reuse: which events share a correlation id with another principal within the horizon.
//!
//! - In: events with their reuse key, principal and start.
//! - Out: the events that are reused now and were not before.
//! - Keeps: per key, events by principal and time, those already known as reused apart.
//! - Invariants: exact. Each event becomes reused once, so that its neighbours are not looked at again.

use super::timeline::{Span, Timeline};
use corridor_model::{IdentityKeys, IdentityMatch, JoinFacts, Key128};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One user of a correlation id.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    id: u32,
    span: Span,
    identity: IdentityKeys,
}

impl User {
    /// The event as a user of its reuse key. None if it has none, or if its principal can differ from nobody.
    pub(super) fn of(id: u32, facts: &JoinFacts) -> Option<(Key128, Self)> {
        let identity = facts.identity;
        let is_comparable =
            identity.object_id.is_some() || identity.app_id.is_some() || identity.upn.is_some();
        let user = Self { id, span: Span::at(facts.start), identity };
        facts.reuse_key.filter(|_| is_comparable).map(|key| (key, user))
    }
}

/// Users of one correlation id by principal.
type ByPrincipal = HashMap<IdentityKeys, Timeline, RandomState>;

#[derive(Debug, Default)]
struct Users {
    /// Users without a rival so far.
    alone: ByPrincipal,
    /// Users with one.
    reused: ByPrincipal,
}

#[derive(Debug)]
enum Slot {
    One(User),
    Many(Box<Users>),
}

/// All reuse keys.
#[derive(Debug, Default)]
pub(super) struct ReuseIndex {
    slots: HashMap<Key128, Slot, RandomState>,
}

impl ReuseIndex {
    /// Adds a user. Each event that is reused from now on, the new one among them, is added to `reused`.
    pub(super) fn insert(&mut self, key: Key128, user: User, horizon: i64, reused: &mut Vec<u32>) {
        match self.slots.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::One(user));
            }
            Entry::Occupied(mut slot) => {
                if let Slot::One(first) = *slot.get() {
                    let mut users = Box::new(Users::default());
                    users.alone.entry(first.identity).or_default().insert(first.span, first.id);
                    slot.insert(Slot::Many(users));
                }
                if let Slot::Many(users) = slot.get_mut() {
                    users.insert(user, horizon, reused);
                }
            }
        }
    }

    /// Removes a user.
    pub(super) fn remove(&mut self, key: Key128, user: User) {
        let Entry::Occupied(mut slot) = self.slots.entry(key) else { return };
        let is_empty = match slot.get_mut() {
            Slot::One(first) => first.id == user.id,
            Slot::Many(users) => {
                if !remove(&mut users.alone, user) {
                    remove(&mut users.reused, user);
                }
                users.alone.is_empty() && users.reused.is_empty()
            }
        };
        if is_empty {
            slot.remove();
        }
    }
}

impl Users {
    fn insert(&mut self, user: User, horizon: i64, reused: &mut Vec<u32>) {
        let mut rivals = Vec::new();
        for (identity, timeline) in &self.alone {
            if identity.compare(&user.identity) == IdentityMatch::Different {
                rivals.extend(timeline.moments_near(user.span, horizon).map(|(span, id)| User {
                    id,
                    span,
                    identity: *identity,
                }));
            }
        }
        let is_reused = !rivals.is_empty()
            || self.reused.iter().any(|(identity, timeline)| {
                identity.compare(&user.identity) == IdentityMatch::Different
                    && timeline.moments_near(user.span, horizon).next().is_some()
            });
        for rival in rivals {
            remove(&mut self.alone, rival);
            self.reused.entry(rival.identity).or_default().insert(rival.span, rival.id);
            reused.push(rival.id);
        }
        if is_reused {
            reused.push(user.id);
        }
        let group = if is_reused { &mut self.reused } else { &mut self.alone };
        group.entry(user.identity).or_default().insert(user.span, user.id);
    }
}

fn remove(users: &mut ByPrincipal, user: User) -> bool {
    let Entry::Occupied(mut timeline) = users.entry(user.identity) else { return false };
    let was_here = timeline.get_mut().remove(user.span, user.id);
    if timeline.get().is_empty() {
        timeline.remove();
    }
    was_here
}
