//! Log: keys of Kong events that no Azure event has asked for. Most keys are never asked for, and cost two
//! words here instead of an entry in the index.
//!
//! - In: keys of Kong events that found nobody, in the order of arrival; and what new Azure events ask for.
//! - Out: the events under the keys that are asked for. They belong into the index from then on.
//! - Keeps: the head of each key's hash and its event, until all events of a part have left.
//! - Invariants: no event under a key that is asked for is missed, and each is told once per key. A part that was
//!   looked through many times moves into the index as a whole, so that asking one by one has its bound.

use super::entities::Entities;
use foldhash::fast::RandomState;
use std::collections::{HashSet, VecDeque};
use std::ops::RangeInclusive;

/// Keys of a full part. Few in tests, so that small worlds have several.
const PART_KEYS: usize = if cfg!(test) { 4 } else { 1 << 15 };

/// Times that a part is looked through. A batch has about eight ticks in an event's life.
const LOOKS_MAX: u32 = if cfg!(test) { 2 } else { 64 };

/// Stands for an event that was told.
const TOLD: u32 = u32::MAX;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    heads: HashSet<u32, RandomState>,
    /// One bit is set per head; most that are not asked for miss it.
    bits: Vec<u64>,
    shift: u32,
}

impl Asked {
    /// Bits per hash: a power of two.
    const SPARSENESS: usize = 64;

    /// The hashes of keys.
    pub(super) fn of(hashes: impl Iterator<Item = u64>) -> Self {
        let heads: HashSet<u32, RandomState> = hashes.map(head_of).collect();
        if heads.is_empty() {
            return Self::default();
        }
        let bit_count = (heads.len() * Self::SPARSENESS).next_power_of_two().clamp(64, 1 << 31);
        let shift = u32::BITS - bit_count.trailing_zeros();
        let mut bits = vec![0; bit_count / 64];
        for head in &heads {
            let bit = head >> shift;
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        Self { heads, bits, shift }
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Whether a hash is asked for. Says yes to a few others as well, always the same.
    pub(super) fn contains(&self, hash: u64) -> bool {
        !self.is_empty() && self.contains_head(head_of(hash))
    }

    fn contains_head(&self, head: u32) -> bool {
        let bit = head >> self.shift;
        self.bits[(bit / 64) as usize] & 1 << (bit % 64) != 0 && self.heads.contains(&head)
    }
}

fn head_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Keys of events that arrived one after the other.
#[derive(Debug)]
struct Part {
    heads: Vec<u32>,
    ids: Vec<u32>,
    /// Arrivals of its events.
    arrivals: RangeInclusive<u64>,
    /// Number of its events, and of those that have not left.
    members: usize,
    remaining: usize,
    looks: u32,
}

impl Part {
    /// Drops the keys of events that left.
    fn compact<P: Copy>(&mut self, entities: &Entities<P>) {
        let keys = self.heads.iter().zip(&self.ids);
        let keys = keys.filter(|(_, id)| is_here(**id, &self.arrivals, entities));
        (self.heads, self.ids) = keys.map(|(head, id)| (*head, *id)).unzip();
        self.members = self.remaining;
    }
}

/// Whether an event of a part is still here; its number may have gone to another one.
fn is_here<P: Copy>(id: u32, arrivals: &RangeInclusive<u64>, entities: &Entities<P>) -> bool {
    id != TOLD && entities.find(id).is_some_and(|entity| arrivals.contains(&entity.arrival))
}

/// All parts, by arrival.
#[derive(Debug, Default)]
pub(super) struct Log {
    parts: VecDeque<Part>,
}

impl Log {
    /// An event arrived whose keys may follow. Arrivals ascend.
    pub(super) fn enter(&mut self, arrival: u64) {
        match self.parts.back_mut().filter(|part| part.heads.len() < PART_KEYS) {
            Some(part) => {
                part.arrivals = *part.arrivals.start()..=arrival;
                part.members += 1;
                part.remaining += 1;
            }
            None => self.parts.push_back(Part {
                heads: Vec::new(),
                ids: Vec::new(),
                arrivals: arrival..=arrival,
                members: 1,
                remaining: 1,
                looks: 0,
            }),
        }
    }

    /// Adds a key of the event that entered last.
    pub(super) fn push(&mut self, hash: u64, id: u32) {
        if let Some(part) = self.parts.back_mut() {
            part.heads.push(head_of(hash));
            part.ids.push(id);
        }
    }

    /// An event that had entered leaves. Its number is free after this.
    pub(super) fn leave<P: Copy>(&mut self, arrival: u64, entities: &Entities<P>) {
        let index = self.parts.partition_point(|part| *part.arrivals.end() < arrival);
        let Some(part) = self.parts.get_mut(index).filter(|part| part.arrivals.contains(&arrival)) else {
            return;
        };
        part.remaining -= 1;
        if part.remaining == 0 {
            self.parts.remove(index);
        } else if part.remaining * 2 < part.members {
            part.compact(entities);
        }
    }

    /// Adds to `asked_for` the events under the keys that are asked for, and to `all` those that leave the log.
    pub(super) fn ask<P: Copy>(
        &mut self,
        asked: &Asked,
        entities: &Entities<P>,
        asked_for: &mut Vec<u32>,
        all: &mut Vec<u32>,
    ) {
        if asked.is_empty() {
            return;
        }
        self.parts.retain_mut(|part| {
            part.looks += 1;
            if part.looks > LOOKS_MAX {
                all.extend(part.ids.iter().filter(|id| is_here(**id, &part.arrivals, entities)));
                return false;
            }
            for (_, id) in
                part.heads.iter().zip(&mut part.ids).filter(|(head, _)| asked.contains_head(**head))
            {
                let id = std::mem::replace(id, TOLD);
                asked_for.extend(Some(id).filter(|id| is_here(*id, &part.arrivals, entities)));
            }
            true
        });
        asked_for.dedup();
        all.dedup();
    }

    /// Estimate.
    pub(super) fn memory_bytes(&self) -> usize {
        let keys: usize = self.parts.iter().map(|part| part.heads.capacity() + part.ids.capacity()).sum();
        keys * size_of::<u32>()
    }
}
