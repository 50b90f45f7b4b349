//! Day set: the days that are sealed, as a chain carries them from claim to claim.
//!
//! - In: days.
//! - Out: membership, and the shortest list of days and ranges `2026-11-01..2026-11-20`, both ends inside.
//! - Invariants: equal sets have equal texts.

use crate::paths::{Day, PathError};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Between the first and the last day of a range.
const TO: &str = "..";

/// A set of days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct DaySet(BTreeSet<Day>);

impl DaySet {
    /// Whether a day is in it.
    pub fn contains(&self, day: &Day) -> bool {
        self.0.contains(day)
    }

    /// Adds a day; false when it was there.
    pub fn insert(&mut self, day: Day) -> bool {
        self.0.insert(day)
    }

    /// The days, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Day> {
        self.0.iter()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Day> for DaySet {
    fn from_iter<I: IntoIterator<Item = Day>>(days: I) -> Self {
        Self(days.into_iter().collect())
    }
}

/// The day after; None after the last one of the calendar.
fn next(day: &Day) -> Option<Day> {
    let start: DateTime<Utc> = day.start() + TimeDelta::days(1);
    let date: NaiveDate = start.date_naive();
    Day::parse(&date.format("%Y-%m-%d").to_string()).ok()
}

impl TryFrom<Vec<String>> for DaySet {
    type Error = PathError;
    fn try_from(ranges: Vec<String>) -> Result<Self, PathError> {
        let mut days = BTreeSet::new();
        for range in &ranges {
            let (first, last) = range.split_once(TO).unwrap_or((range, range));
            let (first, last) = (Day::parse(first)?, Day::parse(last)?);
            if first > last {
                return Err(PathError::Day(range.clone()));
            }
            let mut day = Some(first);
            while let Some(inside) = day.filter(|day| *day <= last) {
                day = next(&inside);
                days.insert(inside);
            }
        }
        Ok(Self(days))
    }
}

impl From<DaySet> for Vec<String> {
    fn from(set: DaySet) -> Self {
        let mut ranges: Vec<(Day, Day)> = Vec::new();
        for day in set.0 {
            match ranges.last_mut() {
                Some((_, last)) if next(last).as_ref() == Some(&day) => *last = day,
                Some(_) | None => ranges.push((day.clone(), day)),
            }
        }
        let text = |(first, last): (Day, Day)| match first == last {
            true => first.to_string(),
            false => format!("{first}{TO}{last}"),
        };
        ranges.into_iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corridor_model::HourBucket;
    use proptest::prelude::*;

    #[test]
    fn neighbouring_days_become_one_range() {
        let days = ["2026-12-31", "2026-02-28", "2026-03-01", "2027-01-01", "2026-07-01"];
        let set: DaySet = days.iter().map(|day| Day::parse(day).unwrap()).collect();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["2026-02-28..2026-03-01","2026-07-01","2026-12-31..2027-01-01"]"#);
        assert!(set.contains(&Day::parse("2026-07-01").unwrap()));
        assert!(!set.contains(&Day::parse("2026-07-02").unwrap()));
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for bad in [r#"["2026-02-30"]"#, r#"["2026-03-02..2026-03-01"]"#, r#"["2026-03-01.."]"#, r#"[1]"#] {
            assert!(serde_json::from_str::<DaySet>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_set_survives_the_round_trip(days in prop::collection::btree_set(20_000i64..20_060, 0..50)) {
            let set: DaySet = days.iter().map(|day| Day::of(HourBucket(day * 24)).unwrap()).collect();
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<DaySet>(&json).unwrap(), set);
        }
    }
}
