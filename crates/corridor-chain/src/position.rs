//! Position: what a chain says about its shard, and what the next claim builds on.
//!
//! - In: the last claim and the entries behind it, in order.
//! - Out: where to go on, from where to replay, what is pending, counts, sealed days.
//! - Invariants: a seal, gap or expire entry changes it in the same way whether recovery reads it or a claim meets it.

use crate::content_digest::ContentDigest;
use crate::day_set::DaySet;
use crate::entry::{Append, Body, ChainEntry, Gap, LastRecord, Start, Totals};
use crate::open_set::OpenSet;
use corridor_model::{LogIdentity, Micros};

/// Where a chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The shard.
    pub shard: u32,
    /// Number of shards.
    pub shard_count: u32,
    /// The log.
    pub log: LogIdentity,
    /// The first offset the chain covers.
    pub begin: u64,
    /// Sequence number of the newest entry.
    pub head_seq: u64,
    /// Digest of its bytes.
    pub head_sha256: ContentDigest,
    /// Whether there is a claim. Without one, the days with open generations must be read from `ctl/generations`.
    pub has_claim: bool,
    /// The first offset not covered.
    pub end: u64,
    /// Replay begins here.
    pub floor: u64,
    /// The shard's clock; 0 while nothing was covered.
    pub clock: Micros,
    /// The last record covered, if it is not lost.
    pub last: Option<LastRecord>,
    /// Offsets below `end` to finish. Of everything else below `end`, rows are out already.
    pub open: OpenSet,
    /// Counts since entry 0.
    pub totals: Totals,
    /// Days whose rows are late.
    pub sealed: DaySet,
}

impl Position {
    /// At entry 0.
    pub(crate) fn at_start(shard: u32, start: Start, digest: ContentDigest) -> Self {
        Self {
            shard,
            shard_count: start.shard_count,
            log: start.log,
            begin: start.begin,
            head_seq: 0,
            head_sha256: digest,
            has_claim: false,
            end: start.begin,
            floor: start.begin,
            clock: Micros::default(),
            last: None,
            open: OpenSet::default(),
            totals: Totals::default(),
            sealed: DaySet::default(),
        }
    }

    /// At a claim.
    pub(crate) fn advance(&mut self, seq: u64, digest: ContentDigest, claim: &Append, open: OpenSet) {
        (self.head_seq, self.head_sha256, self.has_claim) = (seq, digest, true);
        (self.end, self.floor, self.clock) = (claim.end, claim.floor, claim.clock);
        (self.last, self.totals, self.open) = (claim.last, claim.totals, open);
        self.sealed = claim.sealed.clone();
    }

    /// At an entry that is no claim.
    pub(crate) fn obey(&mut self, entry: &ChainEntry, digest: ContentDigest) {
        (self.head_seq, self.head_sha256) = (entry.seq, digest);
        match &entry.body {
            Body::Seal(seal) => {
                self.sealed.insert(seal.date.clone());
            }
            Body::Expire(expire) => {
                self.sealed.insert(expire.date.clone());
            }
            Body::Gap(gap) => self.pass(gap),
            Body::Start(_) | Body::Append(_) => {}
        }
    }

    /// Goes past records that are lost.
    fn pass(&mut self, gap: &Gap) {
        let lost = self.open.remove(gap.from..gap.to);
        self.totals.lost += lost;
        self.totals.ledger.pending = self.totals.ledger.pending.saturating_sub(lost);
        if gap.from <= self.floor {
            self.floor = self.floor.max(gap.to);
        }
        self.end = self.end.max(gap.to);
        self.last = self.last.filter(|last| !(gap.from..gap.to).contains(&last.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corridor_model::Ledger;

    fn at_200() -> Position {
        let log = LogIdentity { cluster: "c".into(), topic: "t".into() };
        let digest = ContentDigest::of(b"start");
        let start = Start { shard_count: 1, log, begin: 0 };
        let mut position = Position::at_start(0, start, digest);
        (position.end, position.floor) = (200, 50);
        position.open = OpenSet::from_sorted([60, 61, 150]).unwrap();
        position.last = Some(LastRecord { offset: 199, sha256: digest });
        position.totals.ledger = Ledger { records_in: 10, rows: 7, pending: 3, ..Ledger::default() };
        position
    }

    fn gap(from: u64, to: u64) -> Gap {
        Gap { from, to, reason: "retention".into(), by: "ana".into() }
    }

    #[test]
    fn a_gap_over_the_floor_takes_its_pending_records_with_it_and_counts_them() {
        let mut position = at_200();
        position.pass(&gap(50, 100));
        assert_eq!((position.floor, position.end, position.open.to_text().as_str()), (100, 200, "150"));
        assert_eq!((position.totals.lost, position.totals.ledger.pending), (2, 1));
        assert!(position.totals.is_conserved() && position.last.is_some());
    }

    #[test]
    fn a_gap_over_the_end_moves_the_end_and_forgets_the_last_record() {
        let mut position = at_200();
        position.pass(&gap(50, 300));
        assert_eq!((position.floor, position.end, position.last), (300, 300, None));
        assert!(position.open.is_empty() && position.totals.is_conserved());
    }

    #[test]
    fn a_gap_behind_the_floor_leaves_the_floor() {
        let mut position = at_200();
        position.pass(&gap(60, 62));
        assert_eq!((position.floor, position.totals.lost), (50, 2));
    }
}
