//! Tests of the join: each rule by example, then small worlds against a naive join, then shards and hot keys.

mod finality;
mod hot;
mod naive;
mod rules;
mod shards;
mod worlds;

use super::*;
use corridor_model::join::CorrelationKey;
use corridor_model::time::{MINUTE, SECOND};
use corridor_model::{
    FindingSet, IdentityKeys, JoinConfidence, JoinMethod, JoinState, Key128, PeerSummary, PeerTexts, Side,
    Verdict,
};
use std::collections::BTreeMap;

/// A moment well after the epoch, at the start of an hour.
const NOON: i64 = 500_000 * 60 * MINUTE;

fn event_id(number: u32) -> EventId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    EventId(bytes)
}

/// An event without keys. Times are relative to [`NOON`].
fn facts(side: Side, number: u32, start: i64, end: i64) -> JoinFacts {
    JoinFacts {
        side,
        summary: PeerSummary {
            event_id: event_id(number),
            time: Micros(NOON + start),
            texts: PeerTexts::new(side.as_str(), None, None, None),
        },
        start: Micros(NOON + start),
        end: Micros(NOON + end),
        request_ids: Default::default(),
        correlation_ids: Default::default(),
        run_id: None,
        call: None,
        call_at_host: None,
        identity: IdentityKeys::default(),
        verdict: Verdict::UNKNOWN,
        findings: FindingSet::EMPTY,
        is_eligible: true,
        is_final_record: true,
        takes_partner_verdict: false,
        expects_gateway_record: false,
        reuse_key: None,
    }
}

fn kong(number: u32, start: i64) -> JoinFacts {
    facts(Side::Kong, number, start, start)
}

fn azure(number: u32, start: i64, end: i64) -> JoinFacts {
    facts(Side::Azure, number, start, end)
}

fn key(number: u128) -> Option<Key128> {
    Some(Key128::new(number))
}

fn correlation(base: u128, counter: Option<u64>) -> CorrelationKey {
    CorrelationKey { base: Key128::new(base), counter }
}

fn user(number: u128) -> IdentityKeys {
    IdentityKeys { object_id: key(number), ..Default::default() }
}

fn event(facts: JoinFacts, position: u32) -> Input<u32> {
    let due = facts.end.saturating_add(JoinConfig::batch().horizon);
    Input::Event { facts, position, due, forget: due }
}

/// What the rows say, by event.
fn rows(emitted: &[Emitted<u32>]) -> BTreeMap<EventId, JoinOutcome> {
    let mut rows = BTreeMap::new();
    for emitted in emitted {
        if let Emitted::Row { event_id, outcome, .. } = emitted {
            assert!(rows.insert(*event_id, outcome.clone()).is_none(), "two rows of one event");
        }
    }
    rows
}

/// All events in one hour, then the end of the input.
fn join_with(config: JoinConfig, events: impl IntoIterator<Item = JoinFacts>) -> Vec<JoinOutcome> {
    let mut operator = Operator::new(config);
    let mut out = Vec::new();
    for (position, facts) in (0..).zip(events) {
        operator.push(event(facts, position), &mut out);
    }
    operator.finish(&mut out);
    assert_eq!(operator.pending(), 0);
    rows(&out).into_values().collect()
}

/// Outcomes in the order of the event ids.
fn join(events: impl IntoIterator<Item = JoinFacts>) -> Vec<JoinOutcome> {
    join_with(JoinConfig::batch(), events)
}
