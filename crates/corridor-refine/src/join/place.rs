//! Place: work on a large hash table is done in the order of its memory.
//!
//! - In: items that will be looked up in one table, each with its hash.
//! - Out: the same items, so that neighbours in the list are neighbours in the table.
//! - Invariants: items of one hash keep their order. Only speed depends on how tables are laid out.

/// Parts that a table is cut into; a part of a table of some 100 MB fits the core's own cache.
const PARTS_BITS: u32 = 10;

/// Fewer items than this are not worth the effort.
const ITEMS_MIN: usize = 4 << PARTS_BITS;

/// Orders `items` by their place in a table of `capacity` entries. `spare` is a buffer.
pub(super) fn order<T: Copy>(
    items: &mut [T],
    spare: &mut Vec<T>,
    capacity: usize,
    hash_of: impl Fn(&T) -> u64,
) {
    if items.len() < ITEMS_MIN {
        return;
    }
    // A table is at most seven eighths full, and the low bits of the hash choose the place.
    let place_bits = (capacity.max(items.len()) / 7 * 8 + 8).next_power_of_two().trailing_zeros();
    let shift = place_bits.saturating_sub(PARTS_BITS);
    let part_of = |item: &T| (hash_of(item) >> shift) as usize & ((1 << PARTS_BITS) - 1);
    let mut ends = [0_usize; 1 << PARTS_BITS];
    for item in items.iter() {
        ends[part_of(item)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += std::mem::replace(end, sum);
    }
    spare.clear();
    spare.extend_from_slice(items);
    for item in spare.iter() {
        let next = &mut ends[part_of(item)];
        items[*next] = *item;
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_hashes_keep_their_order() {
        let hash_of = |number: &u64| (number % 1_009).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut items: Vec<u64> = (0..20_000).collect();
        order(&mut items, &mut Vec::new(), 50_000, hash_of);
        assert_ne!(items[..100], (0..100).collect::<Vec<_>>()[..], "many items are moved");
        let mut last = vec![0; 1_009];
        for item in &items {
            let last = &mut last[(item % 1_009) as usize];
            assert!(*last <= *item);
            *last = *item;
        }
        items.sort_unstable();
        assert!(items.into_iter().eq(0..20_000));
    }
}
