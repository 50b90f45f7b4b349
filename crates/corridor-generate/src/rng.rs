//! Rng: the generator's own random numbers, so that a seed gives the same bytes for ever.
//!
//! - In: a seed. Out: numbers, ids and choices.
//! - Keeps: the 256-bit state of xoshiro256**, seeded by SplitMix64.
//! - Invariants: integer arithmetic only; no platform, clock or library version has a say.

/// Random numbers of one run.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Starts a sequence.
    pub(crate) fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// 64 random bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// True in `per_mille` of 1000 cases.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the items.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// 128 random bits: a Kong request id.
    pub(crate) fn id(&mut self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }

    /// A random UUID (version 4).
    pub(crate) fn uuid(&mut self) -> u128 {
        self.id() & !(0xf000_u128 << 64) & !(0xc000_u128 << 48) | 0x4000_u128 << 64 | 0x8000_u128 << 48
    }
}

/// Choices where the k-th item is k times rarer than the first one.
#[derive(Debug)]
pub(crate) struct Zipf {
    cumulative: Vec<u64>,
}

impl Zipf {
    /// Over `count` items, which is not zero.
    pub(crate) fn new(count: usize) -> Self {
        let mut sum = 0;
        let cumulative = (1..=count as u64)
            .map(|rank| {
                sum += (1_u64 << 32) / rank;
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// Index of one item.
    pub(crate) fn pick(&self, rng: &mut Rng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let point = rng.below(total);
        self.cumulative.partition_point(|&limit| limit <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_these_numbers_for_ever() {
        let mut rng = Rng::new(7);
        let first = [rng.next_u64(), rng.next_u64()];
        assert_eq!(first, [12_923_355_070_828_475_994, 5_142_052_590_334_782_674]);
    }

    #[test]
    fn uuids_have_their_version_and_variant() {
        let mut rng = Rng::new(1);
        for _ in 0..100 {
            let uuid = rng.uuid();
            assert_eq!(uuid >> 76 & 0xf, 4);
            assert_eq!(uuid >> 62 & 3, 2);
        }
    }

    #[test]
    fn the_first_item_of_zipf_is_the_most_frequent() {
        let (zipf, mut rng, mut counts) = (Zipf::new(50), Rng::new(3), [0_u32; 50]);
        for _ in 0..10_000 {
            counts[zipf.pick(&mut rng)] += 1;
        }
        assert!(counts[0] > counts[1] && counts[1] > counts[20] && counts[49] > 0);
    }
}
