//! Open set: the offsets below the end of a claim whose records are still pending.
//!
//! - In: offsets in ascending order.
//! - Out: membership, the offsets again, a text of ranges for few runs and a binary form for many.
//! - Keeps: maximal runs of neighbours, because pending records stand side by side in the log.
//! - Invariants: runs are not empty, ascend and never touch, so that equal sets have equal forms.

use std::fmt;
use std::ops::Range;

/// First bytes of the binary form; the last one is its version.
const MAGIC: &[u8; 4] = b"COS\x01";

/// In the packed byte of a run, a half that says that the number follows.
const FOLLOWS: u64 = 15;

/// A set of offsets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OpenSet {
    runs: Vec<Range<u64>>,
    count: u64,
}

/// Why bytes or a text are no open set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an open set: {0}")]
pub struct OpenSetError(&'static str);

impl OpenSet {
    /// Of ascending offsets. A copy is skipped; an offset that is too low is an error of the caller.
    pub fn from_sorted(offsets: impl IntoIterator<Item = u64>) -> Result<Self, OpenSetError> {
        let mut set = Self::default();
        for offset in offsets {
            set.push(offset..offset.checked_add(1).ok_or(OpenSetError("an offset is the largest number"))?)?;
        }
        Ok(set)
    }

    /// Appends a run that begins behind, or at the end of, or on the last offset of the set.
    fn push(&mut self, run: Range<u64>) -> Result<(), OpenSetError> {
        match self.runs.last_mut() {
            Some(last) if run.start == last.end => last.end = run.end,
            Some(last) if run.end == last.end && run.end - run.start == 1 => return Ok(()),
            Some(last) if run.start < last.end => return Err(OpenSetError("offsets do not ascend")),
            Some(_) | None => self.runs.push(run.clone()),
        }
        self.count += run.end - run.start;
        Ok(())
    }

    /// Whether an offset is in it.
    pub fn contains(&self, offset: u64) -> bool {
        let index = self.runs.partition_point(|run| run.end <= offset);
        self.runs.get(index).is_some_and(|run| run.start <= offset)
    }

    /// The offsets, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().cloned().flatten()
    }

    /// How many offsets it has.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many runs of neighbours it has: the size of its forms follows from this.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// The lowest offset.
    pub fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.start)
    }

    /// The highest offset.
    pub fn last(&self) -> Option<u64> {
        self.runs.last().map(|run| run.end - 1)
    }

    /// Takes out every offset of a range; how many they were.
    pub fn remove(&mut self, gone: Range<u64>) -> u64 {
        let before = self.count;
        let mut kept = Self::default();
        for run in &self.runs {
            for part in [run.start..run.end.min(gone.start), run.start.max(gone.end)..run.end] {
                if part.start < part.end {
                    kept.push(part).expect("parts of ascending runs ascend");
                }
            }
        }
        *self = kept;
        before - self.count
    }

    /// Ranges with both ends inside, as people write them: `17-19,23`.
    pub fn to_text(&self) -> String {
        let ranges: Vec<String> = self
            .runs
            .iter()
            .map(|run| match run.end - run.start {
                1 => run.start.to_string(),
                _ => format!("{}-{}", run.start, run.end - 1),
            })
            .collect();
        ranges.join(",")
    }

    /// Reads the text form; only the text that [`OpenSet::to_text`] writes is accepted.
    pub fn parse_text(text: &str) -> Result<Self, OpenSetError> {
        let mut set = Self::default();
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| OpenSetError("a range is no number"));
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(range)?, number(range)?),
            };
            let end = last.checked_add(1).ok_or(OpenSetError("an offset is the largest number"))?;
            if first >= end {
                return Err(OpenSetError("a range ends before it begins"));
            }
            set.push(first..end)?;
        }
        match set.to_text() == text {
            true => Ok(set),
            false => Err(OpenSetError("ranges overlap, touch or are written in another way")),
        }
    }

    /// The binary form: for each run one byte with its distance from the run before and its length, both less one;
    /// a half that is too small for its number says so, and the number follows in groups of seven bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut end = 0;
        for (index, run) in self.runs.iter().enumerate() {
            let gap = if index == 0 { run.start } else { run.start - end - 1 };
            let length = run.end - run.start - 1;
            bytes.push(((gap.min(FOLLOWS) << 4) | length.min(FOLLOWS)) as u8);
            for number in [gap, length].into_iter().filter(|number| *number >= FOLLOWS) {
                write_varint(number, &mut bytes);
            }
            end = run.end;
        }
        bytes
    }

    /// Reads the binary form.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, OpenSetError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(OpenSetError("it does not begin as one"))?;
        let mut set = Self::default();
        while let Some((packed, after)) = rest.split_first() {
            rest = after;
            let mut number = |half: u8| match u64::from(half) {
                FOLLOWS => read_varint(&mut rest),
                number => Ok(number),
            };
            let (gap, length) = (number(packed >> 4)?, number(packed & 15)?);
            let too_large = || OpenSetError("an offset is too large");
            let begin =
                set.runs.last().map_or(Some(0), |run| run.end.checked_add(1)).ok_or_else(too_large)?;
            let start = begin.checked_add(gap).ok_or_else(too_large)?;
            let end = start.checked_add(length).and_then(|last| last.checked_add(1)).ok_or_else(too_large)?;
            set.push(start..end)?;
        }
        Ok(set)
    }
}

impl fmt::Debug for OpenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runs.len() {
            0..=16 => write!(f, "OpenSet({})", self.to_text()),
            runs => write!(f, "OpenSet({} offsets in {runs} runs)", self.count),
        }
    }
}

fn write_varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_varint(rest: &mut &[u8]) -> Result<u64, OpenSetError> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(OpenSetError("it ends in the middle of a number"))?;
        *rest = after;
        let group = u64::from(byte & 0x7f);
        if group << shift >> shift != group {
            break;
        }
        number |= group << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(OpenSetError("a number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(offsets: &[u64]) -> OpenSet {
        OpenSet::from_sorted(offsets.iter().copied()).unwrap()
    }

    #[test]
    fn neighbours_are_written_as_ranges() {
        let set = set(&[3, 4, 4, 5, 9, 11]);
        assert_eq!((set.to_text().as_str(), set.len(), set.run_count()), ("3-5,9,11", 6 - 1, 3));
        assert_eq!((set.first(), set.last()), (Some(3), Some(11)));
        assert_eq!(OpenSet::parse_text(""), Ok(OpenSet::default()));
    }

    #[test]
    fn offsets_that_fall_are_refused() {
        assert!(OpenSet::from_sorted([5, 4]).is_err());
        assert!(OpenSet::from_sorted([u64::MAX]).is_err());
    }

    #[test]
    fn only_the_text_that_is_written_is_read() {
        for bad in ["5-3", "1,1", "1,2", "3-5,4", "9,3", "a", "1-", ",", "1-18446744073709551615", "01", " 1"]
        {
            assert!(OpenSet::parse_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn offsets_of_a_gap_are_taken_out() {
        let mut set = set(&[1, 2, 3, 4, 5, 9]);
        assert_eq!(set.remove(2..4), 2);
        assert_eq!(set.to_text(), "1,4-5,9");
        assert_eq!((set.remove(0..100), set.is_empty()), (4, true));
    }

    #[test]
    fn a_log_in_which_every_second_record_waits_takes_one_byte_for_each() {
        let set = OpenSet::from_sorted((1_000..3_000).step_by(2)).unwrap();
        assert!(set.to_bytes().len() < 1_010);
    }

    proptest! {
        #[test]
        fn every_set_survives_both_forms(steps in prop::collection::vec(1u64..40, 0..200), far in 0u64..u64::MAX / 2) {
            let mut offset = far;
            let offsets: Vec<u64> = steps.iter().map(|step| {
                offset += if *step > 8 { *step } else { 1 };
                offset
            }).collect();
            let set = set(&offsets);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), offsets.clone());
            prop_assert_eq!(&OpenSet::parse_text(&set.to_text()).unwrap(), &set);
            prop_assert_eq!(&OpenSet::parse_bytes(&set.to_bytes()).unwrap(), &set);
            let known: BTreeSet<u64> = offsets.into_iter().collect();
            for probe in far..far + 100 {
                prop_assert_eq!(set.contains(probe), known.contains(&probe));
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut with_magic = MAGIC.to_vec();
            with_magic.extend(&bytes);
            for bytes in [&bytes, &with_magic] {
                if let Ok(set) = OpenSet::parse_bytes(bytes) {
                    prop_assert_eq!(OpenSet::parse_bytes(&set.to_bytes()).unwrap(), set);
                }
            }
        }
    }
}
