//! At once: a handful of events, joined with each other only.
//!
//! - In: their facts.
//! - Out: what the join says of each, in the same order.
//! - Used by `corridor explain` and by tests; a backfill feeds the operator slice by slice.

use super::{Emitted, Input, JoinConfig, Operator};
use corridor_model::{JoinFacts, JoinOutcome};
use std::collections::BTreeMap;

/// The outcomes of events when these are all there are. A copy has that of its row.
pub fn join_at_once(facts: impl IntoIterator<Item = JoinFacts>) -> Vec<JoinOutcome> {
    let mut operator = Operator::new(JoinConfig::batch());
    let mut emitted = Vec::new();
    for (position, facts) in (0_usize..).zip(facts) {
        let never = facts.end.saturating_add(i64::MAX);
        operator.push(Input::Event { facts, position, due: never, forget: never }, &mut emitted);
    }
    operator.finish(&mut emitted);
    let (mut outcomes, mut copies) = (BTreeMap::new(), Vec::new());
    for said in emitted {
        match said {
            Emitted::Row { position, outcome, .. } => drop(outcomes.insert(position, outcome)),
            Emitted::Duplicate { position, of, .. } => copies.push((position, of)),
            Emitted::Introduction { .. } => unreachable!("this is one shard"),
        }
    }
    for (position, of) in copies {
        let outcome = outcomes.get(&of).cloned().expect("positions ascend, so the first copy is the row");
        outcomes.insert(position, outcome);
    }
    outcomes.into_values().collect()
}
