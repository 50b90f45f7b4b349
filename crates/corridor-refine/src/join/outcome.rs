//! Outcome: from an event's peers to what its row says.
//!
//! - In: the event, and its peers with the rungs by which they match.
//! - Out: the join's columns, the final verdict and all findings.
//! - Invariants: peers are a set: their order does not matter. Each event chooses for itself.

use super::entities::Entity;
use super::ladder::Rungs;
use corridor_model::{
    Decision, Finding, FindingSet, IdentityMatch, JoinConfidence, JoinFacts, JoinMethod, JoinOutcome,
    JoinState, Side, Verdict,
};

/// The outcome of an event.
pub(super) fn decide<'a, P>(
    entity: &Entity<P>,
    peers: impl Iterator<Item = (&'a JoinFacts, Rungs)> + Clone,
) -> JoinOutcome {
    let facts = &entity.facts;
    let mut findings = facts.findings;
    if entity.is_reused {
        findings.insert(Finding::CorrelationReused);
    }
    if entity.lacks_ticks {
        findings.insert(Finding::TicksMissing);
    }
    if entity.is_early {
        findings.insert(Finding::JoinedEarly);
    }
    if !facts.is_eligible {
        return without_peer(facts, JoinState::NotEligible, findings);
    }
    for &rung in JoinMethod::ALL {
        if entity.full.contains(rung) {
            findings.insert(Finding::JoinKeyHot);
            continue;
        }
        let on_rung = peers.clone().filter(|(_, rungs)| rungs.contains(rung)).map(|(peer, _)| peer);
        if let Some(best) = on_rung.clone().min_by_key(|peer| rank(facts, peer)) {
            let confidence = confidence(rung, best, on_rung);
            let peer_count = entity.counts[rung as usize];
            return matched(facts, best, (rung, confidence, peer_count), findings);
        }
    }
    if facts.expects_gateway_record {
        findings.insert(Finding::GatewayRecordMissing);
    }
    without_peer(facts, JoinState::Unmatched, findings)
}

/// The total order of peers, best first: final run records, nearest start, smaller event id.
fn rank(facts: &JoinFacts, peer: &JoinFacts) -> (bool, i64, corridor_model::EventId) {
    let is_heartbeat = peer.side == Side::Azure && !peer.is_final_record;
    (is_heartbeat, facts.start.distance(peer.start), peer.summary.event_id)
}

/// A rival with another principal or another path makes the match less sure.
fn confidence<'a>(
    rung: JoinMethod,
    best: &JoinFacts,
    mut on_rung: impl Iterator<Item = &'a JoinFacts>,
) -> JoinConfidence {
    let has_rival = on_rung.any(|peer| {
        let is_other_call = matches!((peer.call, best.call), (Some(one), Some(other)) if one != other);
        is_other_call || peer.identity.compare(&best.identity) == IdentityMatch::Different
    });
    match (rung, has_rival) {
        (JoinMethod::RequestId | JoinMethod::CorrelationId, false) => JoinConfidence::Exact,
        (JoinMethod::RequestId | JoinMethod::CorrelationId, true) | (JoinMethod::RunId, false) => {
            JoinConfidence::Strong
        }
        (JoinMethod::RunId, true) | (JoinMethod::IdentityTime, _) => JoinConfidence::Probable,
    }
}

fn matched(
    facts: &JoinFacts,
    best: &JoinFacts,
    (method, confidence, peer_count): (JoinMethod, JoinConfidence, u32),
    mut findings: FindingSet,
) -> JoinOutcome {
    let identity_match = facts.identity.compare(&best.identity);
    if identity_match == IdentityMatch::Different {
        findings.insert(Finding::IdentityMismatch);
    }
    JoinOutcome {
        state: JoinState::Matched,
        method: Some(method),
        confidence: Some(confidence),
        peer: Some(best.summary.clone()),
        peer_count,
        identity_match: Some(identity_match),
        verdict: verdict(facts, best),
        findings,
    }
}

/// A failed activity failed because of what Kong said, unless Kong let it through.
fn verdict(facts: &JoinFacts, best: &JoinFacts) -> Verdict {
    match best.verdict.decision() {
        Decision::Denied | Decision::Error if facts.takes_partner_verdict => best.verdict.known_by_join(),
        Decision::Denied | Decision::Error | Decision::Allowed | Decision::Unknown => facts.verdict,
    }
}

fn without_peer(facts: &JoinFacts, state: JoinState, findings: FindingSet) -> JoinOutcome {
    JoinOutcome {
        state,
        method: None,
        confidence: None,
        peer: None,
        peer_count: 0,
        identity_match: None,
        verdict: facts.verdict,
        findings,
    }
}
