//! Chain state: what a shard says of itself and what its chain says of it are one thing in two crates.
//!
//! - In: a position of the chain; the state of a shard.
//! - Out: what a shard continues from; what a claim says.

use anyhow::{Context as _, Result};
use corridor_chain::{ClaimDraft, ClaimReason, ContentDigest, DraftFile, LastRecord, Position};
use corridor_model::Micros;
use corridor_shard::{ClaimState, Resume, Totals};

/// What the shard continues from.
pub fn resume(position: &Position) -> Resume {
    let mut open = corridor_shard::OpenSet::default();
    for offset in position.open.iter() {
        open.insert(offset);
    }
    let (ledger, totals) = (position.totals.ledger, position.totals);
    Resume {
        end: position.end,
        floor: position.floor,
        open,
        totals: Totals {
            records_in: ledger.records_in,
            rows: ledger.rows,
            duplicates: ledger.duplicates,
            rejects: ledger.rejects,
            conflicts: totals.conflicts,
            early: totals.early,
            late: totals.late,
            lost: totals.lost,
        },
        sealed: position.sealed.iter().cloned().collect(),
        last_offset: position.last.map(|last| last.offset),
    }
}

/// What the next claim says. `last` is the payload of the last record taken in this session.
pub fn draft(
    state: &ClaimState,
    last: Option<(u64, &[u8])>,
    files: Vec<DraftFile>,
    reason: ClaimReason,
    directory_version: Option<String>,
) -> Result<ClaimDraft> {
    let open = corridor_chain::OpenSet::from_sorted(state.open.iter());
    let last = last.filter(|(offset, _)| Some(*offset) == state.last_offset);
    let mut ledger = state.ledger();
    ledger.records_in = state.totals.records_in;
    Ok(ClaimDraft {
        end: state.end,
        last: last.map(|(offset, payload)| LastRecord { offset, sha256: ContentDigest::of(payload) }),
        clock: state.clock.unwrap_or(Micros(0)),
        floor: state.floor,
        open: open.context("the open set of the shard")?,
        files,
        totals: corridor_chain::Totals {
            ledger,
            early: state.totals.early,
            late: state.totals.late,
            conflicts: state.totals.conflicts,
            lost: state.totals.lost,
        },
        reason,
        directory_version,
    })
}
