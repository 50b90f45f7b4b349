//! Index: the events that can be found under a key.
//!
//! - In: probes of events.
//! - Out: possible partners near a span.
//! - Keeps: per key and side, the events found there.
//! - Invariants: under a hot key, events that have too many peers already stand apart, so that a new event
//!   looks at those only until it has too many itself. Work per event stays bounded by the limit.

use super::entities::Entities;
use super::keys::{Probe, Use};
use super::ladder::opposite;
use super::timeline::{Span, Timeline};
use corridor_model::Side;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// From this number on, events under one key are ordered by time.
const FEW_MAX: usize = 16;

/// The events of one side under one key. Nearly always one.
#[derive(Debug, Default)]
enum Lane {
    #[default]
    Empty,
    One(u32),
    #[expect(clippy::box_collection, reason = "a lane is two words: there is one per key and side")]
    Few(Box<Vec<u32>>),
    Crowd(Box<Crowd>),
}

/// Many events under one key.
#[derive(Debug, Default)]
struct Crowd {
    /// Those that still count their peers on this rung.
    open: Timeline,
    /// Those for which the rung is full.
    full: Timeline,
}

impl Lane {
    fn open_near(&self, span: Span, slack: i64, out: &mut Vec<u32>) -> bool {
        match self {
            Lane::Empty => {}
            Lane::One(id) => out.push(*id),
            Lane::Few(ids) => out.extend_from_slice(ids),
            Lane::Crowd(crowd) => {
                out.extend(crowd.open.near(span, slack));
                return !crowd.full.is_empty();
            }
        }
        false
    }

    fn insert<P: Copy>(&mut self, probe: &Probe, id: u32, entities: &Entities<P>) {
        match self {
            Lane::Empty => *self = Lane::One(id),
            Lane::One(first) if *first == id => {}
            Lane::One(first) => *self = Lane::Few(Box::new(vec![*first, id])),
            // Two keys of one event may share a hash.
            Lane::Few(ids) if ids.contains(&id) => {}
            Lane::Few(ids) if ids.len() < FEW_MAX => ids.push(id),
            Lane::Few(ids) => {
                let mut crowd = Box::new(Crowd::default());
                ids.iter().for_each(|member| crowd.insert(probe, *member, entities));
                crowd.insert(probe, id, entities);
                *self = Lane::Crowd(crowd);
            }
            Lane::Crowd(crowd) => crowd.insert(probe, id, entities),
        }
    }
}

#[derive(Debug, Default)]
struct Slot {
    kong: Lane,
    azure: Lane,
}

impl Slot {
    fn lane(&self, side: Side) -> &Lane {
        match side {
            Side::Kong => &self.kong,
            Side::Azure => &self.azure,
        }
    }

    fn lane_mut(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Kong => &mut self.kong,
            Side::Azure => &mut self.azure,
        }
    }

    fn is_empty(&self) -> bool {
        matches!((&self.kong, &self.azure), (Lane::Empty, Lane::Empty))
    }
}

/// The index of all keys.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<u64, Slot, RandomState>,
    /// Number of entries for correlation ids with a counter.
    counted_count: usize,
}

impl Index {
    /// Puts a newcomer under a key if it is to be found there, and adds to `out` the events of the other side
    /// that are to be told of it. True if there are others, which need not be told.
    pub(super) fn meet<P: Copy>(
        &mut self,
        probe: &Probe,
        (id, slack): (u32, i64),
        entities: &Entities<P>,
        out: &mut Vec<u32>,
    ) -> bool {
        let entity = entities.get(id);
        let (side, span) = (entity.facts.side, entity.span());
        match probe.usage {
            Use::Both => {
                let slot = self.slots.entry(probe.hash).or_default();
                slot.lane_mut(side).insert(probe, id, entities);
                slot.lane(opposite(side)).open_near(span, slack, out)
            }
            Use::BeFoundAsCounted => {
                self.counted_count += 1;
                self.slots.entry(probe.hash).or_default().lane_mut(side).insert(probe, id, entities);
                false
            }
            // Many gateways give no counters at all.
            Use::LookAtCounted if self.counted_count == 0 => false,
            Use::Look | Use::LookAtCounted => self
                .slots
                .get(&probe.hash)
                .is_some_and(|slot| slot.lane(opposite(side)).open_near(span, slack, out)),
        }
    }

    /// The events of `side` under the key that need not be told, but that a newcomer may count.
    pub(super) fn full_near(
        &self,
        probe: &Probe,
        side: Side,
        span: Span,
        slack: i64,
    ) -> impl Iterator<Item = u32> + '_ {
        let crowd = match self.slots.get(&probe.hash).map(|slot| slot.lane(side)) {
            Some(Lane::Crowd(crowd)) => Some(&crowd.full),
            None | Some(Lane::Empty | Lane::One(_) | Lane::Few(_)) => None,
        };
        crowd.into_iter().flat_map(move |full| full.near(span, slack))
    }

    /// Removes an event from under a key.
    pub(super) fn remove(&mut self, probe: &Probe, id: u32, side: Side, span: Span) {
        if probe.usage == Use::BeFoundAsCounted {
            self.counted_count -= 1;
        }
        let Entry::Occupied(mut slot) = self.slots.entry(probe.hash) else { return };
        let lane = slot.get_mut().lane_mut(side);
        match lane {
            Lane::Empty => {}
            Lane::One(first) => {
                if *first == id {
                    *lane = Lane::Empty;
                }
            }
            Lane::Few(ids) => {
                ids.retain(|member| *member != id);
                if ids.is_empty() {
                    *lane = Lane::Empty;
                }
            }
            Lane::Crowd(crowd) => {
                if !crowd.open.remove(span, id) {
                    crowd.full.remove(span, id);
                }
                if crowd.open.is_empty() && crowd.full.is_empty() {
                    *lane = Lane::Empty;
                }
            }
        }
        if slot.get().is_empty() {
            slot.remove();
        }
    }

    /// The probe's rung is full for the event.
    pub(super) fn fill(&mut self, probe: &Probe, id: u32, side: Side, span: Span) {
        if let Some(Lane::Crowd(crowd)) = self.slots.get_mut(&probe.hash).map(|slot| slot.lane_mut(side))
            && crowd.open.remove(span, id)
        {
            crowd.full.insert(span, id);
        }
    }

    /// Gives memory back after a peak.
    pub(super) fn shrink(&mut self) {
        if self.slots.capacity() > 1 << 16 && self.slots.len() < self.slots.capacity() / 8 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }

    /// Estimate.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * (size_of::<(u64, Slot)>() + 1)
    }
}

impl Crowd {
    fn insert<P: Copy>(&mut self, probe: &Probe, id: u32, entities: &Entities<P>) {
        let entity = entities.get(id);
        match entity.full.contains(probe.rung) {
            true => self.full.insert(entity.span(), id),
            false => self.open.insert(entity.span(), id),
        }
    }
}
