//! Time: UTC microseconds since the Unix epoch, and the hour folders made of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment in UTC, microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Micros(pub i64);

/// One second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in microseconds.
pub const HOUR: i64 = 60 * MINUTE;

impl Micros {
    /// The first moment an evidence row may have: 1970-01-01. Earlier times are sentinels or broken clocks.
    pub const MIN_EVENT: Micros = Micros(0);
    /// The last moment an evidence row may have: the end of year 9999, the limit of T-SQL `datetime2`.
    pub const MAX_EVENT: Micros = Micros(253_402_300_799_999_999);

    /// From epoch milliseconds, as Kong's `started_at`. None outside the years an event may have.
    pub fn from_millis(millis: i64) -> Option<Self> {
        millis.checked_mul(1000).map(Micros).and_then(Self::in_event_range)
    }

    /// Itself if an evidence row may carry it, else None.
    pub fn in_event_range(self) -> Option<Self> {
        (Self::MIN_EVENT..=Self::MAX_EVENT).contains(&self).then_some(self)
    }

    /// Moved by `micros`, stopping at the ends of the number range.
    pub fn saturating_add(self, micros: i64) -> Self {
        Micros(self.0.saturating_add(micros))
    }

    /// Distance in microseconds, never negative.
    pub fn distance(self, other: Micros) -> i64 {
        self.0.saturating_sub(other.0).saturating_abs()
    }

    /// The hour folder this moment belongs to.
    pub fn hour(self) -> HourBucket {
        HourBucket(self.0.div_euclid(HOUR))
    }

    /// The slice this moment belongs to.
    pub fn slice(self) -> Slice {
        Slice(self.0.div_euclid(SLICE))
    }

    /// As chrono's type, for printing. None outside chrono's range.
    pub fn as_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_datetime() {
            Some(t) => write!(f, "{}", t.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
            None => write!(f, "{} µs", self.0),
        }
    }
}

/// An hour of event time: hours since the epoch. Names the folder `date=…/hour=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HourBucket(pub i64);

impl HourBucket {
    /// First moment of the hour.
    pub fn start(self) -> Micros {
        Micros(self.0.saturating_mul(HOUR))
    }

    /// First moment after the hour.
    pub fn end(self) -> Micros {
        Micros(self.0.saturating_add(1).saturating_mul(HOUR))
    }

    /// `2026-11-24`, the value of the `date=` folder.
    pub fn date(self) -> String {
        self.start().as_datetime().map_or_else(|| "0000-00-00".into(), |t| t.format("%Y-%m-%d").to_string())
    }

    /// `07`, the value of the `hour=` folder.
    pub fn hour_of_day(self) -> String {
        format!("{:02}", self.0.rem_euclid(24))
    }
}

/// Length of a [`Slice`] in microseconds.
const SLICE: i64 = 10 * MINUTE;

/// Ten minutes of event time: the unit in which a backfill spills, joins and loads rows. It divides the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slice(pub i64);

impl Slice {
    /// First moment of the slice.
    pub fn start(self) -> Micros {
        Micros(self.0.saturating_mul(SLICE))
    }

    /// First moment after the slice.
    pub fn end(self) -> Micros {
        Micros(self.0.saturating_add(1).saturating_mul(SLICE))
    }

    /// The hour it is part of.
    pub fn hour(self) -> HourBucket {
        self.start().hour()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_folder_follows_utc() {
        let t = Micros::from_millis(1_772_616_014_912).unwrap();
        assert_eq!(t.to_string(), "2026-03-04T09:20:14.912000Z");
        assert_eq!((t.hour().date().as_str(), t.hour().hour_of_day().as_str()), ("2026-03-04", "09"));
        assert!(t.hour().start() <= t && t < t.hour().end());
    }

    #[test]
    fn slices_divide_the_hour() {
        let t = Micros(HOUR * 7 + 59 * MINUTE);
        assert_eq!((t.slice().hour(), t.slice().end()), (HourBucket(7), HourBucket(7).end()));
        assert!(t.slice().start() <= t && t < t.slice().end());
    }

    #[test]
    fn clocks_outside_the_calendar_are_refused() {
        assert_eq!(Micros::from_millis(-1), None);
        assert_eq!(Micros::from_millis(i64::MAX), None);
        assert!(Micros::MAX_EVENT.to_string().starts_with("9999-12-31"));
    }
}
