//! Hours: which hours and days a run writes, and where its rejects go.
//!
//! - In: what the spill holds of each slice.
//! - Out: the hours with rows, the days, and the home of the rejects of each slice.
//! - Invariants: every slice with rejects has one home.

use anyhow::Result;
use corridor_chain::Day;
use corridor_lake::spill::SliceSummary;
use corridor_model::{HourBucket, Slice};
use std::collections::BTreeMap;

/// For each hour that is written, the slices of the spill whose rejects go there.
pub type Homes = BTreeMap<HourBucket, Vec<Slice>>;

/// Rejects of an hour without rows go to the first hour with rows; without any row to the first hour of 1970.
pub fn reject_homes(slices: &[SliceSummary]) -> Homes {
    let with_rows = slices_by_hour(slices);
    let first = with_rows.keys().next().copied().unwrap_or(HourBucket(0));
    let mut homes = Homes::new();
    for found in slices.iter().filter(|found| found.rejects > 0) {
        let hour = found.slice.hour();
        let home = if with_rows.contains_key(&hour) { hour } else { first };
        homes.entry(home).or_default().push(found.slice);
    }
    homes
}

/// The number of slices with rows of each hour that has any.
pub fn slices_by_hour(slices: &[SliceSummary]) -> BTreeMap<HourBucket, usize> {
    let mut hours = BTreeMap::new();
    for found in slices.iter().filter(|found| found.rows > 0) {
        *hours.entry(found.slice.hour()).or_default() += 1;
    }
    hours
}

/// The days of all hours that are written.
pub fn days_of(slices: &[SliceSummary], homes: &Homes) -> Result<Vec<Day>> {
    let mut hours = slices_by_hour(slices);
    hours.extend(homes.keys().map(|hour| (*hour, 0)));
    let mut days = hours.into_keys().map(Day::of).collect::<Result<Vec<_>, _>>()?;
    days.dedup();
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_go_to_their_hour_or_to_the_first_with_rows() {
        let slice = |slice, rows, rejects| SliceSummary { slice: Slice(slice), events: rows, rows, rejects };
        let homes = reject_homes(&[slice(i64::MIN, 0, 1), slice(30, 9, 2), slice(31, 0, 1), slice(60, 0, 3)]);
        let all = [i64::MIN, 30, 31, 60].map(Slice).to_vec();
        assert_eq!(homes, BTreeMap::from([(HourBucket(5), all)]));
        assert_eq!(
            reject_homes(&[slice(i64::MIN, 0, 1)]),
            BTreeMap::from([(HourBucket(0), vec![Slice(i64::MIN)])])
        );
    }
}
