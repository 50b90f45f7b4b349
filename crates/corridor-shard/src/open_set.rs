//! Open set: the offsets of the events that are pending.
//!
//! - In: offsets, mostly ascending and dense.
//! - Out: whether one is there, the smallest, all in order; and the same set as bytes, for a claim.
//! - Keeps: one bit per offset of the blocks that hold any.
//! - Invariants: bytes that nobody wrote give None, never a panic, and never a set larger than the limit.

use corridor_refine::join::facts_codec::{ByteReader, put_number};
use std::collections::BTreeMap;

const BLOCK_BITS: u32 = 14;
const WORDS: usize = 1 << (BLOCK_BITS - 6);

/// Offsets that bytes may stand for: a day at 3,000 events a second.
const COUNT_MAX: u64 = 1 << 28;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    count: u32,
    words: Box<[u64; WORDS]>,
}

/// A set of offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenSet {
    blocks: BTreeMap<u64, Block>,
    count: u64,
}

impl OpenSet {
    /// Adds an offset; false if it was there.
    pub fn insert(&mut self, offset: u64) -> bool {
        let empty = || Block { count: 0, words: Box::new([0; WORDS]) };
        let block = self.blocks.entry(offset >> BLOCK_BITS).or_insert_with(empty);
        let (word, bit) = place(offset);
        let is_new = block.words[word] & bit == 0;
        block.words[word] |= bit;
        block.count += u32::from(is_new);
        self.count += u64::from(is_new);
        is_new
    }

    /// Removes an offset; false if it was not there.
    pub fn remove(&mut self, offset: u64) -> bool {
        let key = offset >> BLOCK_BITS;
        let Some(block) = self.blocks.get_mut(&key) else { return false };
        let (word, bit) = place(offset);
        if block.words[word] & bit == 0 {
            return false;
        }
        block.words[word] &= !bit;
        block.count -= 1;
        self.count -= 1;
        if block.count == 0 {
            self.blocks.remove(&key);
        }
        true
    }

    /// Whether an offset is there.
    pub fn contains(&self, offset: u64) -> bool {
        let (word, bit) = place(offset);
        self.blocks.get(&(offset >> BLOCK_BITS)).is_some_and(|block| block.words[word] & bit != 0)
    }

    /// Number of offsets.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The smallest offset.
    pub fn first(&self) -> Option<u64> {
        self.iter().next()
    }

    /// The offsets, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.iter().flat_map(|(key, block)| {
            let words = (key << BLOCK_BITS..).step_by(64).zip(block.words.iter());
            words.flat_map(|(start, word)| bits(*word).map(move |bit| start + bit))
        })
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.blocks.len() * (WORDS * size_of::<u64>() + 2 * size_of::<(u64, Block)>())
    }

    /// As bytes: how many, then for each run of neighbours the gap before it and its length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(self.count, &mut bytes);
        let (mut offsets, mut end) = (self.iter().peekable(), 0);
        while let Some(start) = offsets.next() {
            let mut next = start + 1;
            while offsets.next_if_eq(&next).is_some() {
                next += 1;
            }
            put_number(start - end, &mut bytes);
            put_number(next - start, &mut bytes);
            end = next;
        }
        bytes
    }

    /// From the bytes of [`OpenSet::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes);
        let count = reader.number().filter(|count| *count <= COUNT_MAX)?;
        let (mut set, mut end) = (Self::default(), 0_u64);
        while set.count < count {
            let start = end.checked_add(reader.number()?)?;
            let length = reader.number().filter(|length| (1..=count - set.count).contains(length))?;
            end = start.checked_add(length)?;
            set.extend(start..end);
        }
        reader.rest().is_empty().then_some(set)
    }
}

impl FromIterator<u64> for OpenSet {
    fn from_iter<I: IntoIterator<Item = u64>>(offsets: I) -> Self {
        let mut set = Self::default();
        set.extend(offsets);
        set
    }
}

impl Extend<u64> for OpenSet {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, offsets: I) {
        for offset in offsets {
            self.insert(offset);
        }
    }
}

fn place(offset: u64) -> (usize, u64) {
    (((offset >> 6) as usize) % WORDS, 1 << (offset % 64))
}

fn bits(mut word: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| u64::from(word.trailing_zeros()))?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn offset() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..200, 16_300_u64..16_500, any::<u64>().prop_map(|offset| offset >> 1)]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(changes in proptest::collection::vec((offset(), any::<bool>()), 0..300)) {
            let (mut open, mut plain) = (OpenSet::default(), BTreeSet::new());
            for (offset, is_added) in changes {
                match is_added {
                    true => prop_assert_eq!(open.insert(offset), plain.insert(offset)),
                    false => prop_assert_eq!(open.remove(offset), plain.remove(&offset)),
                }
                prop_assert_eq!(open.contains(offset), is_added);
            }
            prop_assert_eq!(open.len(), plain.len() as u64);
            prop_assert_eq!(open.first(), plain.first().copied());
            prop_assert!(open.iter().eq(plain.iter().copied()));
            prop_assert_eq!(OpenSet::from_bytes(&open.to_bytes()), Some(open.clone()));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if bytes.first().is_none_or(|first| *first < 0x80) {
                OpenSet::from_bytes(&bytes);
            }
        }
    }

    #[test]
    fn dense_offsets_take_few_bytes() {
        let open: OpenSet = (1_000_000..2_000_000).filter(|offset| offset % 1000 != 7).collect();
        assert!(open.to_bytes().len() < 4_000, "{}", open.to_bytes().len());
        assert!(open.memory_bytes() < 300_000, "{}", open.memory_bytes());
    }
}
