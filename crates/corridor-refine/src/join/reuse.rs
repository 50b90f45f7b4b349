//! Reuse: which events share a correlation id with another principal within the horizon.
//!
//! - In: events with their reuse key, principal and start.
//! - Out: the events that are reused now and were not before.
//! - Keeps: per key, events by principal and time, those already known as reused apart.
//! - Invariants: exact. Under a key with many users each event becomes reused once, so that its neighbours are
//!   not looked at again.

use super::entities::Entities;
use super::place;
use super::timeline::{Span, Timeline};
use corridor_model::{IdentityKeys, IdentityMatch, JoinFacts, Key128};
use foldhash::fast::RandomState;
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

/// One user of a correlation id.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    id: u32,
    span: Span,
    identity: IdentityKeys,
}

impl User {
    fn of<P: Copy>(id: u32, entities: &Entities<P>) -> Self {
        let facts = &entities.get(id).facts;
        Self { id, span: Span::at(facts.start), identity: facts.identity }
    }
}

/// The reuse key of an event. None if it has none, or if its principal can differ from nobody.
pub(super) fn key_of(facts: &JoinFacts) -> Option<Key128> {
    let identity = &facts.identity;
    let is_comparable = identity.object_id.is_some() || identity.app_id.is_some() || identity.upn.is_some();
    facts.reuse_key.filter(|_| is_comparable)
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

/// From this number on, users of one key are ordered by principal and time.
const FEW_MAX: usize = 16;

/// The users of one key. Nearly always one.
#[derive(Debug)]
enum Slot {
    One(u32),
    Few(Box<SmallVec<[u32; 6]>>),
    Many(Box<Users>),
}

/// All reuse keys.
#[derive(Debug, Default)]
pub(super) struct ReuseIndex {
    slots: HashMap<Key128, Slot, RandomState>,
    spare: Vec<(Key128, u32)>,
}

impl ReuseIndex {
    /// Orders users by the memory that they will touch.
    pub(super) fn order(&mut self, users: &mut [(Key128, u32)]) {
        let hasher = self.slots.hasher();
        place::order(users, &mut self.spare, self.slots.capacity(), |(key, _)| hasher.hash_one(key));
    }

    /// Adds a user. Each event that is reused from now on, the new one among them, is added to `reused`.
    pub(super) fn insert<P: Copy>(
        &mut self,
        (key, id): (Key128, u32),
        horizon: i64,
        entities: &Entities<P>,
        reused: &mut Vec<u32>,
    ) {
        match self.slots.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::One(id));
            }
            Entry::Occupied(mut slot) => slot.get_mut().insert(id, horizon, entities, reused),
        }
    }

    /// Removes a user.
    pub(super) fn remove<P: Copy>(&mut self, (key, id): (Key128, u32), entities: &Entities<P>) {
        let Entry::Occupied(mut slot) = self.slots.entry(key) else { return };
        let is_empty = match slot.get_mut() {
            Slot::One(first) => *first == id,
            Slot::Few(ids) => {
                ids.retain(|member| *member != id);
                ids.is_empty()
            }
            Slot::Many(users) => {
                let user = User::of(id, entities);
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

    /// Estimate; a table is taken as half full.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.len() * 2 * (size_of::<(Key128, Slot)>() + 1)
    }
}

impl Slot {
    fn insert<P: Copy>(&mut self, id: u32, horizon: i64, entities: &Entities<P>, reused: &mut Vec<u32>) {
        match self {
            Slot::One(first) => {
                mark_rivals(id, &[*first], horizon, entities, reused);
                *self = Slot::Few(Box::new(smallvec![*first, id]));
            }
            Slot::Few(ids) if ids.len() < FEW_MAX => {
                mark_rivals(id, ids, horizon, entities, reused);
                ids.push(id);
            }
            Slot::Few(ids) => {
                let mut users = Box::new(Users::default());
                // Those that are known as reused are told again, which changes nothing.
                for id in ids.iter().chain([&id]) {
                    users.insert(User::of(*id, entities), horizon, reused);
                }
                *self = Slot::Many(users);
            }
            Slot::Many(users) => users.insert(User::of(id, entities), horizon, reused),
        }
    }
}

/// Compares a new user with each of a few others.
fn mark_rivals<P: Copy>(
    id: u32,
    others: &[u32],
    horizon: i64,
    entities: &Entities<P>,
    reused: &mut Vec<u32>,
) {
    let facts = &entities.get(id).facts;
    let is_rival = |other: &JoinFacts| {
        other.start.distance(facts.start) <= horizon
            && other.identity.compare(&facts.identity) == IdentityMatch::Different
    };
    let known = reused.len();
    reused.extend(others.iter().filter(|other| is_rival(&entities.get(**other).facts)));
    if reused.len() > known {
        reused.push(id);
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
