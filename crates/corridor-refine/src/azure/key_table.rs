//! Key table: finds a key without case by a handful of its bytes.
//!
//! - In: the keys with their values, once; then keys as records spell them.
//! - Out: the value.
//! - Invariants: of equal keys the first counts; a found key was compared as a whole, so a poor spread costs time only.

/// A key and its value, or a free place.
type Slot<V> = Option<(&'static [u8], V)>;

/// Keys and values in open addressing.
pub(super) struct KeyTable<V> {
    slots: Box<[Slot<V>]>,
}

impl<V: Copy> KeyTable<V> {
    /// Of the given keys, a quarter full.
    pub(super) fn of(rows: impl Iterator<Item = (&'static str, V)> + Clone) -> Self {
        let slot_count = (rows.clone().count() * 4).next_power_of_two();
        let mut table = Self { slots: vec![None; slot_count].into() };
        for (key, value) in rows {
            let at = table.find(key.as_bytes());
            table.slots[at].get_or_insert((key.as_bytes(), value));
        }
        table
    }

    /// The value of a key in any case.
    pub(super) fn get(&self, key: &[u8]) -> Option<V> {
        self.slots[self.find(key)].map(|(_, value)| value)
    }

    /// Where the key is, or the free slot where it would be.
    fn find(&self, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = spread(key) & mask;
        while let Some((known, _)) = &self.slots[at] {
            if known.eq_ignore_ascii_case(key) {
                break;
            }
            at = (at + 1) & mask;
        }
        at
    }
}

/// Mixes the length and six bytes, both cases alike.
fn spread(key: &[u8]) -> usize {
    let (Some(first), Some(last)) = (key.first(), key.last()) else { return 0 };
    let length = key.len();
    let bytes = [
        *first,
        key[length / 5],
        key[length / 3],
        key[length / 2],
        key[length * 3 / 4],
        *last,
        length as u8,
        0,
    ];
    let mixed = (u64::from_le_bytes(bytes) | 0x2020_2020_2020).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_case_and_first_rows_count() {
        let rows = [("time", 1), ("Time", 2), ("end", 3), ("a", 4), ("time_zone_long", 5)];
        let table = KeyTable::of(rows.into_iter());
        for (key, want) in [
            ("TIME", Some(1)),
            ("time", Some(1)),
            ("End", Some(3)),
            ("A", Some(4)),
            ("", None),
            ("tim", None),
        ] {
            assert_eq!(table.get(key.as_bytes()), want, "{key}");
        }
        assert_eq!(table.get(b"Time_Zone_Long"), Some(5));
    }
}
