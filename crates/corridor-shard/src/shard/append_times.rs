//! Append times: which offset was the first at a time, roughly.
//!
//! - In: offsets and append times, both ascending.
//! - Out: an offset that is not behind the first one at a time.
//! - Keeps: one offset per step of time, for as long as a floor may need it.

use corridor_model::Micros;
use std::collections::VecDeque;

/// First offsets by time.
#[derive(Debug)]
pub(super) struct AppendTimes {
    /// Length of a step in microseconds.
    step: i64,
    /// Number of the step, and the first offset in it.
    steps: VecDeque<(i64, u64)>,
}

impl AppendTimes {
    /// Tells times apart that are `step` microseconds apart.
    pub(super) fn new(step: i64) -> Self {
        Self { step: step.max(1), steps: VecDeque::new() }
    }

    /// A record was read. True if it is the first one of its step.
    pub(super) fn note(&mut self, time: Micros, offset: u64) -> bool {
        let step = time.0.div_euclid(self.step);
        let is_first = self.steps.back().is_none_or(|(last, _)| *last < step);
        if is_first {
            self.steps.push_back((step, offset));
        }
        is_first
    }

    /// An offset not behind the first record that was appended at `time` or later; None if all are earlier.
    pub(super) fn first_since(&self, time: Micros) -> Option<u64> {
        let step = time.0.div_euclid(self.step);
        let index = self.steps.partition_point(|(known, _)| *known < step);
        self.steps.get(index).map(|(_, offset)| *offset)
    }

    /// The time at the begin of the step in which an offset was read; None if it was read before all of them.
    pub(super) fn time_of(&self, offset: u64) -> Option<Micros> {
        let index = self.steps.partition_point(|(_, first)| *first <= offset).checked_sub(1)?;
        self.steps.get(index).map(|(step, _)| Micros(step * self.step))
    }

    /// Nobody will ask for an earlier time.
    pub(super) fn forget_before(&mut self, time: Micros) {
        let step = time.0.div_euclid(self.step);
        while self.steps.front().is_some_and(|(known, _)| *known < step) {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_offset_since_a_time_is_never_too_late() {
        let mut times = AppendTimes::new(10);
        for (time, offset) in [(100, 7), (105, 8), (110, 9), (190, 20)] {
            assert_eq!(times.note(Micros(time), offset), offset != 8);
        }
        let since = |time| times.first_since(Micros(time));
        assert_eq!(
            [since(0), since(105), since(110), since(111), since(150)].map(Option::unwrap),
            [7, 7, 9, 9, 20]
        );
        assert_eq!(since(200), None);
        assert_eq!(times.time_of(6), None);
        assert_eq!([times.time_of(8), times.time_of(19)], [Some(Micros(100)), Some(Micros(110))]);
        times.forget_before(Micros(115));
        assert_eq!(times.first_since(Micros(0)), Some(9));
    }
}
