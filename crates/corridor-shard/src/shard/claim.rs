//! Claim: what a claim says of a shard's state, and how a shard continues from it.
//!
//! - In: a shard between two records; a claim that was written.
//! - Out: the claim's counters, floor and open set; from the last claim, the state to continue with.
//! - Invariants: a claim covers the effects of exactly the records before its end. Its counts are running totals and are
//!   conserved.

use super::*;
use corridor_chain::Day;
use corridor_model::Ledger;

/// Running totals of a shard, without those that are pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Events and rejects taken.
    pub records_in: u64,
    /// Rows final.
    pub rows: u64,
    /// Copies.
    pub duplicates: u64,
    /// Rejects, conflicts among them.
    pub rejects: u64,
    /// Events that contradict another one of their id.
    pub conflicts: u64,
    /// Rows that were final early because memory was short.
    pub early: u64,
    /// Rows that were late when they became final. A seal that comes before their claim makes more of them late.
    pub late: u64,
    /// Events that were pending when the log lost them; an operator accepted the gap.
    pub lost: u64,
}

impl Totals {
    /// The conservation equation. Lost events count as no records, because nothing became of them.
    pub fn ledger(&self, pending: u64) -> Ledger {
        Ledger {
            records_in: self.records_in - self.lost,
            rows: self.rows,
            duplicates: self.duplicates,
            rejects: self.rejects,
            pending,
        }
    }
}

/// What a claim says of its shard. All introductions of records before `end` must be durable when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimState {
    /// Which shard.
    pub shard: ShardId,
    /// First offset that no earlier claim covers.
    pub start: u64,
    /// First offset that this claim does not cover.
    pub end: u64,
    /// The last record covered by any claim; the caller knows its digest.
    pub last_offset: Option<u64>,
    /// Append time of the last record.
    pub clock: Option<Micros>,
    /// Recovery reads from here.
    pub floor: u64,
    /// Events before the end that are pending.
    pub open: OpenSet,
    /// Running totals.
    pub totals: Totals,
    /// Days known to be sealed.
    pub sealed: BTreeSet<Day>,
    /// Rows that the operator of this state has let go.
    row_count: u64,
}

impl ClaimState {
    /// The conservation equation of all claims so far.
    pub fn ledger(&self) -> Ledger {
        self.totals.ledger(self.open.len())
    }
}

/// What a shard continues from: its last claim, or the begin of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// First offset that no claim covers.
    pub end: u64,
    /// The first record to read.
    pub floor: u64,
    /// Events before the end that are pending.
    pub open: OpenSet,
    /// Running totals.
    pub totals: Totals,
    /// Days that are sealed.
    pub sealed: BTreeSet<Day>,
    /// The last record covered.
    pub last_offset: Option<u64>,
}

impl Resume {
    /// A shard whose chain begins at an offset.
    pub fn begin(offset: u64) -> Self {
        Self { end: offset, floor: offset, ..Self::default() }
    }

    /// An operator accepted that the log lost all records before `start`. Those that were pending are counted as lost; how
    /// many there were.
    pub fn accept_gap(&mut self, start: u64) -> u64 {
        let gone: Vec<u64> = self.open.iter().take_while(|offset| *offset < start).collect();
        for offset in &gone {
            self.open.remove(*offset);
        }
        self.totals.lost += gone.len() as u64;
        self.floor = self.floor.max(start);
        self.end = self.end.max(start);
        gone.len() as u64
    }
}

impl From<ClaimState> for Resume {
    fn from(claim: ClaimState) -> Self {
        let ClaimState { end, floor, open, totals, sealed, last_offset, .. } = claim;
        Self { end, floor, open, totals, sealed, last_offset }
    }
}

impl Shard {
    /// What a claim would say now. The effects told so far belong to it, and no later ones.
    pub fn draft(&self) -> ClaimState {
        let claim = ClaimState {
            shard: self.config.shard,
            start: self.claimed_until,
            end: self.next.max(self.resumed.end),
            last_offset: self.last_offset,
            clock: self.clock,
            floor: self.floor(),
            open: self.open.clone(),
            totals: self.totals,
            sealed: self.sealed.clone(),
            row_count: self.operator.row_count(),
        };
        debug_assert!(claim.ledger().is_conserved(), "{}", claim.ledger());
        claim
    }

    /// A claim of this state was written and its files are in place. What is not needed beside it any more is dropped.
    pub fn committed(&mut self, claim: &ClaimState) {
        (self.claimed_until, self.claimed_floor) = (claim.end, claim.floor);
        self.operator.set_published(claim.row_count);
        self.forgotten.drop_published(claim.row_count);
        if let Some(needed_since) = self.needed_since() {
            self.times.forget_before(needed_since);
        }
    }

    /// A final row that the next claim cannot hold is pending again until [`Shard::hand_over`]: a claim names so many files
    /// and no more. Its outcome and place are as the effect told them.
    pub fn hold_back(&mut self, offset: u64, outcome: &JoinOutcome, place: Place) {
        if self.open.insert(offset) {
            let [early, late] = flags(outcome, place);
            self.totals.rows -= 1;
            self.totals.early -= early;
            self.totals.late -= late;
        }
    }

    /// A row that was held back is final again.
    pub fn hand_over(&mut self, offset: u64, outcome: &JoinOutcome, place: Place) {
        if self.open.remove(offset) {
            let [early, late] = flags(outcome, place);
            self.totals.rows += 1;
            self.totals.early += early;
            self.totals.late += late;
        }
    }

    /// The next offset to take.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Running totals and pending events.
    pub fn ledger(&self) -> Ledger {
        self.totals.ledger(self.open.len())
    }

    /// Recovery must read the partners, copies and introductions of all that is pending, and of all that may still come.
    fn floor(&self) -> u64 {
        let needed_since = self.needed_since().filter(|_| !self.is_replaying());
        let floor = needed_since.map(|since| self.times.first_since(since).unwrap_or(self.next));
        // The log may have deleted what stands before the last floor. Only the steps of time could ask for it again.
        floor.unwrap_or_default().max(self.claimed_floor)
    }

    fn needed_since(&self) -> Option<Micros> {
        let oldest = self.open.first().and_then(|offset| self.times.time_of(offset));
        let since = self.clock.map(|clock| oldest.map_or(clock, |oldest| oldest.min(clock)))?;
        Some(since.saturating_add(-self.config.memory_span()))
    }
}

/// What a row adds to the counts of early and late rows.
fn flags(outcome: &JoinOutcome, place: Place) -> [u64; 2] {
    let is_early = outcome.findings.contains(Finding::JoinedEarly);
    [is_early, matches!(place, Place::Late(_))].map(u64::from)
}
