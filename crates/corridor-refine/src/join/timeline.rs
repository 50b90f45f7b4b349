//! Timeline: events by time, to find those near a span without looking at the others.
//!
//! - In: events with their spans.
//! - Out: the events whose span may lie near a given one.
//! - Invariants: never misses one. What it finds too much is at most about as long again as what it should
//!   find, because events are kept apart by the power of two of their length.

use corridor_model::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// First and last moment of an event, both inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First moment.
    pub(super) start: Micros,
    /// Last moment, never before `start`.
    pub(super) end: Micros,
}

impl Span {
    /// A span of one moment.
    pub(super) fn at(moment: Micros) -> Self {
        Self { start: moment, end: moment }
    }

    /// Whether the two are no further apart than `slack`.
    pub(super) fn is_near(self, other: Self, slack: i64) -> bool {
        self.start <= other.end.saturating_add(slack) && other.start <= self.end.saturating_add(slack)
    }

    /// Number of bits of the length in seconds.
    fn length_class(self) -> u32 {
        let length = self.end.distance(self.start) as u64;
        u64::BITS - (length >> SECOND_BITS).leading_zeros()
    }
}

/// A second is about 2^20 µs; shorter spans share one class.
const SECOND_BITS: u32 = 20;

/// Longest span of a class.
fn longest(class: u32) -> i64 {
    1_i64.checked_shl(class + SECOND_BITS).filter(|length| *length > 0).unwrap_or(i64::MAX)
}

/// Events by length and start.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    by_length: BTreeMap<u32, BTreeSet<(Micros, u32)>>,
}

impl Timeline {
    /// Adds an event.
    pub(super) fn insert(&mut self, span: Span, id: u32) {
        self.by_length.entry(span.length_class()).or_default().insert((span.start, id));
    }

    /// Removes an event; false if it is not here.
    pub(super) fn remove(&mut self, span: Span, id: u32) -> bool {
        let class = span.length_class();
        let Some(events) = self.by_length.get_mut(&class) else { return false };
        let was_here = events.remove(&(span.start, id));
        if events.is_empty() {
            self.by_length.remove(&class);
        }
        was_here
    }

    /// The events that may lie within `slack` of `span`, and some that are a little further.
    pub(super) fn near(&self, span: Span, slack: i64) -> impl Iterator<Item = u32> + '_ {
        self.by_length.iter().flat_map(move |(class, events)| {
            let reach = slack.saturating_add(longest(*class));
            let from = span.start.saturating_add(reach.saturating_neg());
            let to = span.end.saturating_add(slack);
            events.range((from, 0)..=(to, u32::MAX)).map(|(_, id)| *id)
        })
    }

    /// In a timeline of moments: exactly those within `slack` of `span`.
    pub(super) fn moments_near(&self, span: Span, slack: i64) -> impl Iterator<Item = (Span, u32)> + '_ {
        let from = span.start.saturating_add(slack.saturating_neg());
        let to = span.end.saturating_add(slack);
        self.by_length
            .values()
            .flat_map(move |events| events.range((from, 0)..=(to, u32::MAX)))
            .map(|(moment, id)| (Span::at(*moment), *id))
    }

    /// Whether nothing is here.
    pub(super) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }
}
