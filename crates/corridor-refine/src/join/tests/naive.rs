//! The join as the rulings word it, by looking at all pairs. Shares no code with the operator.

use super::*;
use corridor_model::{Decision, Finding, IdentityMatch};

/// Outcomes by event. Copies of an event must not be in the input.
pub(super) fn join(events: &[JoinFacts], config: &JoinConfig) -> BTreeMap<EventId, JoinOutcome> {
    events.iter().map(|facts| (facts.summary.event_id, outcome(facts, events, config))).collect()
}

fn outcome(facts: &JoinFacts, events: &[JoinFacts], config: &JoinConfig) -> JoinOutcome {
    let mut outcome = JoinOutcome {
        state: JoinState::Unmatched,
        method: None,
        confidence: None,
        peer: None,
        peer_count: 0,
        identity_match: None,
        verdict: facts.verdict,
        findings: facts.findings,
    };
    let is_reused = events.iter().any(|other| {
        facts.reuse_key.is_some()
            && facts.reuse_key == other.reuse_key
            && facts.identity.compare(&other.identity) == IdentityMatch::Different
            && (facts.start.0 - other.start.0).abs() <= config.horizon
    });
    if is_reused {
        outcome.findings.insert(Finding::CorrelationReused);
    }
    if !facts.is_eligible {
        outcome.state = JoinState::NotEligible;
        return outcome;
    }
    for (step, method) in JoinMethod::ALL.iter().enumerate() {
        let mut peers: Vec<&JoinFacts> =
            events.iter().filter(|peer| is_pair(*method, facts, peer, config)).collect();
        if peers.len() > config.candidates_max {
            outcome.findings.insert(Finding::JoinKeyHot);
            continue;
        }
        if peers.is_empty() {
            continue;
        }
        peers.sort_by(|one, other| {
            let heartbeat = |peer: &JoinFacts| peer.side == Side::Azure && !peer.is_final_record;
            let distance = |peer: &JoinFacts| (peer.start.0 - facts.start.0).abs();
            heartbeat(one)
                .cmp(&heartbeat(other))
                .then(distance(one).cmp(&distance(other)))
                .then(one.summary.event_id.cmp(&other.summary.event_id))
        });
        let best = peers[0];
        let has_rival = peers[1..].iter().any(|peer| {
            peer.identity.compare(&best.identity) == IdentityMatch::Different
                || (peer.call.is_some() && best.call.is_some() && peer.call != best.call)
        });
        let ladder = [JoinConfidence::Exact, JoinConfidence::Strong, JoinConfidence::Probable];
        let confidence = [0, 0, 1, 2][step] + usize::from(has_rival);
        outcome.state = JoinState::Matched;
        outcome.method = Some(*method);
        outcome.confidence = Some(ladder[confidence.min(2)]);
        outcome.peer = Some(best.summary.clone());
        outcome.peer_count = u32::try_from(peers.len()).unwrap();
        outcome.identity_match = Some(facts.identity.compare(&best.identity));
        if outcome.identity_match == Some(IdentityMatch::Different) {
            outcome.findings.insert(Finding::IdentityMismatch);
        }
        if facts.takes_partner_verdict
            && matches!(best.verdict.decision(), Decision::Denied | Decision::Error)
        {
            outcome.verdict = best.verdict.known_by_join();
        }
        return outcome;
    }
    if facts.expects_gateway_record {
        outcome.findings.insert(Finding::GatewayRecordMissing);
    }
    outcome
}

fn is_pair(method: JoinMethod, one: &JoinFacts, other: &JoinFacts, config: &JoinConfig) -> bool {
    let (k, a) = match (one.side, other.side) {
        (Side::Kong, Side::Azure) => (one, other),
        (Side::Azure, Side::Kong) => (other, one),
        (Side::Kong, Side::Kong) | (Side::Azure, Side::Azure) => return false,
    };
    if !k.is_eligible || !a.is_eligible {
        return false;
    }
    let within = |slack: i64| k.start.0 >= a.start.0 - slack && k.start.0 <= a.end.0 + slack;
    if !within(config.horizon) {
        return false;
    }
    match method {
        JoinMethod::RequestId => k.request_ids.iter().any(|id| a.request_ids.contains(id)),
        JoinMethod::CorrelationId => k.correlation_ids.iter().any(|mine| {
            a.correlation_ids.iter().any(|theirs| mine.matches(theirs)) && a.run_id != Some(mine.base)
        }),
        JoinMethod::RunId => {
            let names_run = |run: Key128| {
                k.run_id == Some(run)
                    || k.correlation_ids.iter().any(|id| id.base == run && id.counter.is_none())
            };
            a.run_id.is_some_and(names_run)
                && a.call.is_some()
                && a.call == k.call
                && within(config.run_slack)
        }
        JoinMethod::IdentityTime => {
            a.call_at_host.is_some()
                && a.call_at_host == k.call_at_host
                && a.identity.compare(&k.identity) == IdentityMatch::Equal
                && within(config.run_slack)
        }
    }
}
