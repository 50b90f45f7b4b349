//! Place: the folder of a row or reject.
//!
//! - In: event time, append time, the days that are sealed.
//! - Out: the hour, among the live files or the late ones.

use corridor_model::time::{HOUR, MINUTE};
use corridor_model::{HourBucket, Micros};
use std::collections::BTreeSet;

/// An event may be this far ahead of its append time: clocks differ. Further, and its clock is wrong.
const AHEAD_MAX: i64 = 10 * MINUTE;
/// Further behind its append time than this, a row is a late one.
const BEHIND_MAX: i64 = 7 * 24 * HOUR;

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// To the live files of an hour.
    Live(HourBucket),
    /// To the late rows of an hour: its day is sealed, or long past.
    Late(HourBucket),
}

impl Place {
    /// The hour.
    pub fn hour(self) -> HourBucket {
        match self {
            Self::Live(hour) | Self::Late(hour) => hour,
        }
    }
}

/// Whether an event's clock is wrong.
pub(super) fn is_ahead(event_time: Micros, append_time: Micros) -> bool {
    event_time > append_time.saturating_add(AHEAD_MAX)
}

/// The place of an event.
pub(super) fn place(event_time: Micros, append_time: Micros, sealed: &BTreeSet<i64>) -> Place {
    let time = if is_ahead(event_time, append_time) { append_time } else { event_time };
    let hour = time.hour();
    let is_long_past = time < append_time.saturating_add(-BEHIND_MAX);
    match is_long_past || sealed.contains(&day_of(hour)) {
        true => Place::Late(hour),
        false => Place::Live(hour),
    }
}

/// Number of the day of an hour.
pub(super) fn day_of(hour: HourBucket) -> i64 {
    hour.0.div_euclid(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_follows_the_clocks_and_the_seals() {
        let append = Micros(500_000 * HOUR + 30 * MINUTE);
        let at = |difference: i64, sealed: &[i64]| {
            place(append.saturating_add(difference), append, &sealed.iter().copied().collect())
        };
        let hour = |number: i64| HourBucket(500_000 + number);
        let today = day_of(hour(0));
        assert_eq!(at(-HOUR, &[]), Place::Live(hour(-1)));
        assert_eq!(at(AHEAD_MAX, &[]), Place::Live(hour(0)));
        assert_eq!(
            at(40 * MINUTE, &[]),
            Place::Live(hour(0)),
            "the append time's hour, not the wrong clock's"
        );
        assert_eq!(at(-BEHIND_MAX, &[]), Place::Live(hour(-7 * 24)));
        assert_eq!(at(-BEHIND_MAX - 1, &[]), Place::Late(hour(-7 * 24)));
        assert_eq!(at(0, &[today]), Place::Late(hour(0)));
        assert_eq!(at(0, &[today - 1]), Place::Live(hour(0)));
    }
}
