//! Input digest: tells whether two runs read the same records, in whatever files and order.
//!
//! - In: the SHA-256 of each record, from any thread.
//! - Out: 64 hex digits over the multiset of records and the settings that shape rows.
//! - Invariants: the sum modulo 2^256 does not depend on order; a record read twice counts twice.

use corridor_model::RecordDigest;
use sha2::{Digest, Sha256};

/// A sum of record digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputDigest {
    low: u128,
    high: u128,
    count: u64,
}

impl InputDigest {
    /// Adds one record.
    pub fn add(&mut self, record: &RecordDigest) {
        let half = |range: std::ops::Range<usize>| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&record.0[range]);
            u128::from_le_bytes(bytes)
        };
        self.add_sum(&Self { low: half(0..16), high: half(16..32), count: 1 });
    }

    /// Adds another sum, for instance another thread's.
    pub fn add_sum(&mut self, other: &Self) {
        let (low, carry) = self.low.overflowing_add(other.low);
        self.low = low;
        self.high = self.high.wrapping_add(other.high).wrapping_add(u128::from(carry));
        self.count += other.count;
    }

    /// The digest of the input under these settings.
    pub fn finish(&self, settings: &[String]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.low.to_le_bytes());
        hasher.update(self.high.to_le_bytes());
        hasher.update(self.count.to_le_bytes());
        for setting in settings {
            hasher.update((setting.len() as u64).to_le_bytes());
            hasher.update(setting.as_bytes());
        }
        hex::encode(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_grouping_do_not_matter_but_repeats_do() {
        let records: Vec<_> = (0..5u8).map(|n| RecordDigest::of(&[n])).collect();
        let sum = |list: &[RecordDigest]| {
            let mut sum = InputDigest::default();
            list.iter().for_each(|record| sum.add(record));
            sum
        };
        let mut split = sum(&records[3..]);
        split.add_sum(&sum(&records[..3]));
        assert_eq!(split.finish(&["records=on".into()]), sum(&records).finish(&["records=on".into()]));
        assert_ne!(
            sum(&records).finish(&["records=on".into()]),
            sum(&records).finish(&["records=off".into()])
        );
        let repeated = [records.clone(), records[..1].to_vec()].concat();
        assert_ne!(sum(&repeated).finish(&[]), sum(&records).finish(&[]));
    }
}
