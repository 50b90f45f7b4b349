//! Board: every partition that is ours, with what is on its way.
//!
//! - In: messages taken, and what became of them.
//! - Out: which partitions to pause, to resume and to commit.
//! - Keeps: a [`Window`] for each partition.
//! - Invariants: what became of a message of an earlier assignment changes nothing.

use super::window::Window;
use super::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_MAX};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use tokio::sync::watch;

/// Topic and partition.
pub(super) type Key = (Arc<str>, i32);

/// What became of a message.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) key: Key,
    pub(super) epoch: u64,
    pub(super) offset: i64,
    pub(super) bytes: usize,
    pub(super) what: Outcome,
}

/// See [`Done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Refused for the first time; it is offered again.
    Held,
    /// Accepted at the first try.
    Accepted,
    /// Accepted after it was held.
    AcceptedLate,
    /// Given up, because the partition is not ours any more.
    Dropped,
}

/// Every partition that is ours.
pub(super) struct Board {
    windows: BTreeMap<Key, (Window, watch::Sender<()>)>,
    bytes_in_flight: usize,
    epoch: u64,
    done: mpsc::Receiver<Done>,
}

impl Board {
    pub(super) fn new(done: mpsc::Receiver<Done>) -> Self {
        Self { windows: BTreeMap::new(), bytes_in_flight: 0, epoch: 0, done }
    }

    /// A partition is ours from now on.
    pub(super) fn add(&mut self, key: Key, committed: Option<i64>, is_stopped: bool) {
        self.epoch += 1;
        let mut window = Window::new(self.epoch, committed);
        window.is_stopped = is_stopped;
        window.is_paused = is_stopped;
        let (owner, _) = watch::channel(());
        self.windows.insert(key, (window, owner));
    }

    /// A partition is not ours any more. Messages that are held are given up.
    pub(super) fn remove(&mut self, key: &Key) {
        self.windows.remove(key);
    }

    /// Takes a message; its window's epoch, and a signal that ends when the partition is removed. None when it is on its way already.
    pub(super) fn begin(
        &mut self,
        key: &Key,
        offset: i64,
        bytes: usize,
    ) -> Option<(u64, watch::Receiver<()>)> {
        let (window, owner) = self.windows.get_mut(key)?;
        if !window.begin(offset) {
            return None;
        }
        self.bytes_in_flight += bytes;
        Some((window.epoch, owner.subscribe()))
    }

    /// A message without content is accepted as it is.
    pub(super) fn skip(&mut self, key: &Key, offset: i64) {
        if let Some((window, _)) = self.windows.get_mut(key)
            && window.begin(offset)
        {
            window.finish(offset);
        }
    }

    /// Notes everything that was done by now.
    pub(super) fn settle(&mut self) {
        while let Ok(done) = self.done.try_recv() {
            if done.what != Outcome::Held {
                self.bytes_in_flight = self.bytes_in_flight.saturating_sub(done.bytes);
            }
            let Some((window, _)) = self.windows.get_mut(&done.key) else { continue };
            if window.epoch != done.epoch {
                continue;
            }
            match done.what {
                Outcome::Held => window.held += 1,
                Outcome::Accepted => window.finish(done.offset),
                Outcome::AcceptedLate => {
                    window.held = window.held.saturating_sub(1);
                    window.finish(done.offset);
                }
                Outcome::Dropped => {}
            }
        }
    }

    /// Partitions that have enough on their way, or wait for a refused message.
    pub(super) fn turn_off(&mut self) -> TopicPartitionList {
        let is_full = self.bytes_in_flight >= IN_FLIGHT_BYTES_MAX;
        self.turn(|window| {
            let turns = !window.is_paused
                && (is_full || window.held > 0 || window.is_stopped || window.in_flight() >= IN_FLIGHT_MAX);
            window.is_paused |= turns;
            turns
        })
    }

    /// Partitions that have room again.
    pub(super) fn turn_on(&mut self) -> TopicPartitionList {
        let has_room = self.bytes_in_flight < IN_FLIGHT_BYTES_MAX / 2;
        self.turn(|window| {
            let turns = window.is_paused
                && has_room
                && window.held == 0
                && !window.is_stopped
                && window.in_flight() < IN_FLIGHT_MAX / 2;
            window.is_paused &= !turns;
            turns
        })
    }

    fn turn(&mut self, mut turns: impl FnMut(&mut Window) -> bool) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), (window, _)) in &mut self.windows {
            if turns(window) {
                list.add_partition(topic, *partition);
            }
        }
        list
    }

    /// Positions to commit: those that moved, or all.
    pub(super) fn positions(&self, which: Which<'_>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (key, (window, _)) in &self.windows {
            let position = match which {
                Which::Moved => window.uncommitted(),
                Which::All => window.position(),
                Which::MovedOf(keys) if keys.contains(key) => window.uncommitted(),
                Which::MovedOf(_) => None,
            };
            if let Some(position) = position {
                // Fails only for a negative number.
                let _ = list.add_partition_offset(&key.0, key.1, Offset::Offset(position));
            }
        }
        list
    }

    /// The broker took a commit, or did not.
    pub(super) fn note_commit(&mut self, offsets: &TopicPartitionList, is_taken: bool) {
        for element in offsets.elements() {
            let key = (Arc::from(element.topic()), element.partition());
            let Some((window, _)) = self.windows.get_mut(&key) else { continue };
            match element.offset() {
                Offset::Offset(position) if is_taken => window.note_commit(position),
                _ => window.forget_commit(),
            }
        }
    }

    /// Messages of these partitions that will be done soon.
    pub(super) fn moving(&self, keys: &[Key]) -> usize {
        let windows = self.windows.iter().filter(|(key, _)| keys.contains(key));
        windows.map(|(_, (window, _))| window.moving()).sum()
    }

    /// Partitions that are ours, and those that wait for a refused message.
    pub(super) fn counts(&self) -> (usize, usize) {
        let held = self.windows.values().filter(|(window, _)| window.held > 0).count();
        (self.windows.len(), held)
    }

    /// Messages behind the positions, given the ends of the partitions.
    pub(super) fn lag(&self, end_of: impl Fn(&Key) -> Option<i64>) -> u64 {
        let behind = self.windows.iter().filter_map(|(key, (window, _))| {
            let end = end_of(key).filter(|end| *end >= 0)?;
            u64::try_from(end - window.position().unwrap_or(0)).ok()
        });
        behind.sum()
    }
}

/// Which positions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// Those that moved since the last commit.
    Moved,
    /// Every one.
    All,
    /// Those of these partitions that moved.
    MovedOf(&'a [Key]),
}
