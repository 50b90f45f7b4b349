//! Wheel: which events have something to happen at a time.
//!
//! - In: a time and an event.
//! - Out: all events whose time the clock has passed.
//! - Keeps: one entry per event until its time, even if the event leaves before: whoever drains looks whether it is
//!   still the same one.

use corridor_model::{Micros, time::MINUTE};
use std::collections::BTreeMap;

/// Events by minute. Cheaper than a heap: most entries are only appended and drained.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    minutes: BTreeMap<i64, Vec<(Micros, u32)>>,
}

impl Wheel {
    /// Adds an event.
    pub(super) fn push(&mut self, at: Micros, id: u32) {
        self.minutes.entry(at.0.div_euclid(MINUTE)).or_default().push((at, id));
    }

    /// Moves the events with a time before `clock` into `out`. A time equal to the clock stays, because
    /// events of that very moment may still come.
    pub(super) fn drain_before(&mut self, clock: Micros, out: &mut Vec<(Micros, u32)>) {
        while let Some(mut entry) = self.minutes.first_entry() {
            let minute = clock.0.div_euclid(MINUTE);
            if *entry.key() > minute {
                return;
            }
            let is_passed = *entry.key() < minute;
            entry.get_mut().retain(|(at, id)| {
                let stays = *at >= clock;
                if !stays {
                    out.push((*at, *id));
                }
                stays
            });
            if entry.get().is_empty() {
                entry.remove();
            } else if !is_passed {
                return;
            }
        }
    }

    /// Moves all events into `out`.
    pub(super) fn drain_all(&mut self, out: &mut Vec<(Micros, u32)>) {
        for (_, mut entries) in std::mem::take(&mut self.minutes) {
            out.append(&mut entries);
        }
    }

    /// Moves the oldest minute's first `count` entries into `out`.
    pub(super) fn drain_oldest(&mut self, count: usize, out: &mut Vec<(Micros, u32)>) {
        let Some(mut entry) = self.minutes.first_entry() else { return };
        let entries = entry.get_mut();
        out.extend(entries.drain(..count.min(entries.len())));
        if entries.is_empty() {
            entry.remove();
        }
    }
}
