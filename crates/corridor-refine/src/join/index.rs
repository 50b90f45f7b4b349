//! Index: the events that can be found under a key.
//!
//! - In: probes of events, many at a time; those of one key in the order of arrival.
//! - Out: possible partners near a span.
//! - Keeps: per key and side, the events found there; not those whose keys are in the log.
//! - Invariants: under a hot key, events that have too many peers already stand apart, so that a new event
//!   looks at those only until it has too many itself. Work per event stays bounded by the limit.

use super::entities::Entities;
use super::keys::{Probe, Use};
use super::ladder::opposite;
use super::place;
use super::timeline::{Span, Timeline};
use corridor_model::{JoinFacts, Side};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

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

    fn insert<P: Copy>(&mut self, probe: &Probe, entities: &Entities<P>) {
        let id = probe.id;
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

    fn remove(&mut self, id: u32, span: Span) {
        let is_empty = match self {
            Lane::Empty => true,
            Lane::One(first) => *first == id,
            Lane::Few(ids) => {
                ids.retain(|member| *member != id);
                ids.is_empty()
            }
            Lane::Crowd(crowd) => {
                if !crowd.open.remove(span, id) {
                    crowd.full.remove(span, id);
                }
                crowd.open.is_empty() && crowd.full.is_empty()
            }
        };
        if is_empty {
            *self = Lane::Empty;
        }
    }
}

/// The events of both sides under one key.
#[derive(Debug, Default)]
struct Lanes {
    kong: Lane,
    azure: Lane,
}

impl Lanes {
    fn of(side: Side, id: u32) -> Self {
        let mut lanes = Self::default();
        *lanes.lane_mut(side) = Lane::One(id);
        lanes
    }

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

    /// Whether newcomers must come one by one.
    fn is_hot(&self) -> bool {
        matches!(self.kong, Lane::Crowd(_)) || matches!(self.azure, Lane::Crowd(_))
    }
}

/// What stands under one key. Nearly always one event, so that this is all there is.
#[derive(Debug, Clone, Copy)]
enum Slot {
    One(Side, u32),
    /// Number of the lanes.
    Many(u32),
}

/// The index of all keys.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<u64, Slot, RandomState>,
    lanes: Vec<Lanes>,
    free_lanes: Vec<u32>,
    /// Number of correlation ids with a counter, of events here and in the log.
    counted_count: usize,
    spare: Vec<Probe>,
}

/// What newcomers find under their keys.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Turn of a newcomer, and an event of the other side that came before it.
    pub(super) pairs: Vec<(u32, u32)>,
    /// Probes under hot keys. They are not in the index yet: [`Index::meet`] is for them.
    pub(super) hot: Vec<Probe>,
}

impl Index {
    /// Orders probes by the memory that they will touch.
    pub(super) fn order(&mut self, probes: &mut [Probe]) {
        let hasher = self.slots.hasher();
        place::order(probes, &mut self.spare, self.slots.capacity(), |probe| hasher.hash_one(probe.hash));
    }

    /// An event arrived that may be found here.
    pub(super) fn count_counted(&mut self, facts: &JoinFacts) {
        self.counted_count += counted_of(facts);
    }

    /// It leaves.
    pub(super) fn uncount_counted(&mut self, facts: &JoinFacts) {
        self.counted_count -= counted_of(facts);
    }

    /// Whether a probe looks for what can exist: many gateways give no counters at all.
    pub(super) fn may_find(&self, probe: &Probe) -> bool {
        probe.looks() && (probe.usage != Use::LookAtCounted || self.counted_count > 0)
    }

    /// Whether anything stands under a key.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.slots.contains_key(&hash)
    }

    /// Puts an event under a key that has met its partners there. It may be there already.
    pub(super) fn insert<P: Copy>(&mut self, probe: &Probe, entities: &Entities<P>) {
        match self.slots.entry(probe.hash) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::One(probe.side, probe.id));
            }
            Entry::Occupied(mut slot) => {
                if let Slot::One(side, other) = *slot.get() {
                    if (side, other) == (probe.side, probe.id) {
                        return;
                    }
                    let number = add(&mut self.lanes, &mut self.free_lanes, Lanes::of(side, other));
                    slot.insert(Slot::Many(number));
                }
                if let Slot::Many(number) = *slot.get() {
                    self.lanes[number as usize].lane_mut(probe.side).insert(probe, entities);
                }
            }
        }
    }

    /// Puts a newcomer under a key if it is to be found there, and adds to `found` the events of the other
    /// side. Under a hot key it does nothing but say so.
    pub(super) fn meet_few<P: Copy>(&mut self, probe: &Probe, entities: &Entities<P>, found: &mut Found) {
        if !probe.is_found() && !self.may_find(probe) {
            return;
        }
        let slot = match self.slots.entry(probe.hash) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => {
                if probe.is_found() {
                    slot.insert(Slot::One(probe.side, probe.id));
                }
                return;
            }
        };
        match *slot {
            Slot::One(side, other) if !probe.is_found() => {
                if side != probe.side {
                    found.pairs.push((probe.turn, other));
                }
                return;
            }
            Slot::One(side, other) => {
                let lanes = add(&mut self.lanes, &mut self.free_lanes, Lanes::of(side, other));
                *slot = Slot::Many(lanes);
            }
            Slot::Many(_) => {}
        }
        let Slot::Many(number) = *slot else { return };
        let lanes = &mut self.lanes[number as usize];
        if lanes.is_hot() {
            found.hot.push(*probe);
            return;
        }
        if probe.is_found() {
            lanes.lane_mut(probe.side).insert(probe, entities);
        }
        if probe.looks() {
            match lanes.lane(opposite(probe.side)) {
                Lane::Empty | Lane::Crowd(_) => {}
                Lane::One(other) => found.pairs.push((probe.turn, *other)),
                Lane::Few(others) => found.pairs.extend(others.iter().map(|other| (probe.turn, *other))),
            }
        }
    }

    /// Puts a newcomer under a hot key if it is to be found there, and adds to `out` the events of the other
    /// side that are to be told of it. True if there are others, which need not be told.
    pub(super) fn meet<P: Copy>(
        &mut self,
        probe: &Probe,
        slack: i64,
        entities: &Entities<P>,
        out: &mut Vec<u32>,
    ) -> bool {
        let Some(lanes) = self.lanes_mut(probe.hash) else { return false };
        if probe.is_found() {
            lanes.lane_mut(probe.side).insert(probe, entities);
        }
        let span = entities.get(probe.id).span();
        probe.looks() && lanes.lane(opposite(probe.side)).open_near(span, slack, out)
    }

    fn lanes_mut(&mut self, hash: u64) -> Option<&mut Lanes> {
        match self.slots.get(&hash) {
            Some(Slot::Many(number)) => Some(&mut self.lanes[*number as usize]),
            Some(Slot::One(..)) | None => None,
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
        let lane = match self.slots.get(&probe.hash) {
            Some(Slot::Many(number)) => Some(self.lanes[*number as usize].lane(side)),
            Some(Slot::One(..)) | None => None,
        };
        let crowd = match lane {
            Some(Lane::Crowd(crowd)) => Some(&crowd.full),
            None | Some(Lane::Empty | Lane::One(_) | Lane::Few(_)) => None,
        };
        crowd.into_iter().flat_map(move |full| full.near(span, slack))
    }

    /// Removes an event from under a key.
    pub(super) fn remove<P: Copy>(&mut self, probe: &Probe, entities: &Entities<P>) {
        let Entry::Occupied(mut slot) = self.slots.entry(probe.hash) else { return };
        let number = match *slot.get() {
            Slot::One(side, id) => {
                // Two keys of one event may share a hash.
                if (side, id) == (probe.side, probe.id) {
                    slot.remove();
                }
                return;
            }
            Slot::Many(number) => number,
        };
        let lanes = &mut self.lanes[number as usize];
        lanes.lane_mut(probe.side).remove(probe.id, entities.get(probe.id).span());
        match (&lanes.kong, &lanes.azure) {
            (Lane::Empty, Lane::Empty) => drop(slot.remove()),
            (Lane::One(id), Lane::Empty) => *slot.get_mut() = Slot::One(Side::Kong, *id),
            (Lane::Empty, Lane::One(id)) => *slot.get_mut() = Slot::One(Side::Azure, *id),
            _ => return,
        }
        self.free_lanes.push(number);
    }

    /// The probe's rung is full for the event.
    pub(super) fn fill(&mut self, probe: &Probe, span: Span) {
        let (side, id) = (probe.side, probe.id);
        if let Some(Lane::Crowd(crowd)) = self.lanes_mut(probe.hash).map(|lanes| lanes.lane_mut(side))
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

    /// Estimate; a table is taken as half full.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.len() * 2 * (size_of::<(u64, Slot)>() + 1)
            + (self.lanes.len() - self.free_lanes.len()) * size_of::<Lanes>()
    }
}

fn counted_of(facts: &JoinFacts) -> usize {
    facts.correlation_ids.iter().filter(|id| id.counter.is_some()).count()
}

fn add(lanes: &mut Vec<Lanes>, free: &mut Vec<u32>, new: Lanes) -> u32 {
    match free.pop() {
        Some(number) => {
            lanes[number as usize] = new;
            number
        }
        None => {
            lanes.push(new);
            u32::try_from(lanes.len() - 1).expect("memory ends before 2^32 keys")
        }
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
