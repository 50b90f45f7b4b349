//! Copies: events that may have a row already, though the operator does not remember them.
//!
//! - In: events that the operator forgot; events that come.
//! - Out: which published hour must be searched before an event is taken.
//! - Keeps: the forgotten ids whose rows are not published. They are few: a row is published soon after it is final, and
//!   forgotten long after.
//! - Invariants: an event is taken as new only if no row of it is in a claim, in the hands of the caller, or pending.

use super::*;
use corridor_refine::join::Unpublished;
use std::collections::HashMap;

/// Clocks of sources and the log may differ by this much and an old copy is still seen as old.
const SKEW_MAX: i64 = 10 * MINUTE;

/// Events that the operator forgot too early to rely on the published ids, or on their age.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Their rows are final and not published; with the number of the row.
    unpublished: HashMap<EventId, (Mark, u64)>,
    /// Latest event time of those that were forgotten because memory was short.
    latest: Option<Micros>,
    /// From this clock on they would have been forgotten anyway.
    until: Option<Micros>,
}

impl Forgotten {
    pub(super) fn find(&self, event_id: &EventId) -> Option<Mark> {
        self.unpublished.get(event_id).map(|(mark, _)| *mark)
    }

    pub(super) fn insert(&mut self, event: Unpublished<Mark>) {
        self.unpublished.insert(event.event_id, (event.position, event.row_number));
    }

    fn note_early(&mut self, mark: &Mark, memory_span: i64) {
        self.latest = self.latest.max(Some(mark.event_time));
        self.until = self.until.max(Some(mark.append_time.saturating_add(memory_span)));
    }

    /// The rows up to this number are published.
    pub(super) fn drop_published(&mut self, row_count: u64) {
        self.unpublished.retain(|_, (_, row_number)| *row_number > row_count);
    }

    fn may_hold(&self, event_time: Micros, clock: Micros) -> bool {
        self.until.is_some_and(|until| clock <= until)
            && self.latest.is_some_and(|latest| event_time <= latest)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.unpublished.len() * 2 * (size_of::<(EventId, (Mark, u64))>() + 1)
    }
}

impl Shard {
    /// The hour whose published ids must be searched before the event at `offset` is taken: it may be a copy of one that
    /// is not remembered any more. None for nearly all events.
    pub fn lookup_hour(&self, offset: u64, append_time: Micros, facts: &JoinFacts) -> Option<HourBucket> {
        let (event_id, event_time) = (&facts.summary.event_id, facts.summary.time);
        let clock = self.clock.map_or(append_time, |clock| clock.max(append_time));
        let remembered = clock.saturating_add(-self.config.memory_span());
        let skew = SKEW_MAX.min(self.config.wait / 3);
        let may_be_old =
            event_time < remembered.saturating_add(skew) || self.forgotten.may_hold(event_time, clock);
        let is_unknown = may_be_old
            && offset >= self.resumed.end
            // Taking the event moves the clock, and what is remembered now may be forgotten by it.
            && self.operator.position_of(event_id).is_none_or(|first| first.append_time < remembered)
            && self.forgotten.find(event_id).is_none();
        is_unknown.then(|| self.place(event_time, clock).hour())
    }

    /// Gets memory down when it is over its budget: the oldest pending rows are final at once and flagged, and ids are
    /// forgotten, so that [`Shard::lookup_hour`] names more hours for a while.
    pub fn relieve(&mut self, out: &mut Vec<Effect>) {
        let most = self.config.memory_bytes_max;
        if self.operator.memory_bytes() <= most {
            return;
        }
        let (mut said, mut forgotten) = (std::mem::take(&mut self.said), Vec::new());
        // Some room, so that it is not done again for every record.
        self.operator.relieve(most - most / 8, &mut said, &mut forgotten);
        self.say_all(said, self.next.saturating_sub(1), out);
        for mark in forgotten {
            self.forgotten.note_early(&mark, self.config.memory_span());
        }
    }
}
