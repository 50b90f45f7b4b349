//! Each rule of the join by example.

use super::*;
use corridor_model::{DeniedBy, Finding, IdentityMatch, ReasonBasis, ReasonCode};

type Change = fn(&mut JoinFacts, &mut JoinFacts);
type Match = Option<(JoinMethod, JoinConfidence)>;

/// A Kong event at 0 and an activity from 0 to 10 s, changed by the case.
fn pair(change: Change) -> JoinOutcome {
    let (mut k, mut a) = (kong(1, 0), azure(2, 0, 10 * SECOND));
    change(&mut k, &mut a);
    let outcomes = join([k, a]);
    assert_eq!(outcomes[0].method, outcomes[1].method, "a pair matches from both sides");
    outcomes[0].clone()
}

fn share_request(k: &mut JoinFacts, a: &mut JoinFacts) {
    k.request_ids.push(Key128::new(1));
    a.request_ids.extend([Key128::new(9), Key128::new(1)]);
}

fn share_correlation(k: &mut JoinFacts, a: &mut JoinFacts) {
    k.correlation_ids.push(correlation(2, Some(4)));
    a.correlation_ids.push(correlation(2, None));
}

fn share_run(k: &mut JoinFacts, a: &mut JoinFacts) {
    (k.run_id, a.run_id) = (key(3), key(3));
    (k.call, a.call) = (key(4), key(4));
}

fn share_caller(k: &mut JoinFacts, a: &mut JoinFacts) {
    (k.call_at_host, a.call_at_host) = (key(5), key(5));
    k.identity = IdentityKeys { app_id: key(6), ..user(7) };
    a.identity = IdentityKeys { app_id: key(6), ..Default::default() };
}

fn shift(facts: &mut JoinFacts, by: i64) {
    facts.start = facts.start.saturating_add(by);
    facts.end = facts.end.saturating_add(by);
}

#[test]
fn each_rung_has_its_keys_and_its_time() {
    use JoinConfidence::{Exact, Probable, Strong};
    use JoinMethod::{CorrelationId, IdentityTime, RequestId, RunId};
    let cases: [(&str, Change, Match); 17] = [
        ("nothing shared", |_, _| {}, None),
        ("any request id", share_request, Some((RequestId, Exact))),
        ("bare id against counted", share_correlation, Some((CorrelationId, Exact))),
        (
            "two counters",
            |k, a| {
                k.correlation_ids.push(correlation(2, Some(4)));
                a.correlation_ids.push(correlation(2, Some(5)));
            },
            None,
        ),
        ("run and call", share_run, Some((RunId, Strong))),
        (
            "run, other call",
            |k, a| {
                share_run(k, a);
                k.call = key(99);
            },
            None,
        ),
        (
            "run, unknown calls",
            |k, a| {
                share_run(k, a);
                (k.call, a.call) = (None, None);
            },
            None,
        ),
        (
            "correlation id is the run id",
            |k, a| {
                share_run(k, a);
                k.run_id = None;
                k.correlation_ids.push(correlation(3, None));
                a.correlation_ids.push(correlation(3, None));
            },
            Some((RunId, Strong)),
        ),
        ("caller", share_caller, Some((IdentityTime, Probable))),
        (
            "caller, other principal",
            |k, a| {
                share_caller(k, a);
                k.identity = user(8);
            },
            None,
        ),
        (
            "strongest wins",
            |k, a| {
                share_caller(k, a);
                share_run(k, a);
                share_correlation(k, a);
            },
            Some((CorrelationId, Exact)),
        ),
        (
            "run, last moment",
            |k, a| {
                share_run(k, a);
                shift(k, 15 * SECOND);
            },
            Some((RunId, Strong)),
        ),
        (
            "run, too late",
            |k, a| {
                share_run(k, a);
                shift(k, 15 * SECOND + 1);
            },
            None,
        ),
        (
            "caller, too early",
            |k, a| {
                share_caller(k, a);
                shift(k, -5 * SECOND - 1);
            },
            None,
        ),
        (
            "request, horizon after the end",
            |k, a| {
                share_request(k, a);
                shift(k, 60 * MINUTE + 10 * SECOND);
            },
            Some((RequestId, Exact)),
        ),
        (
            "request, beyond the horizon",
            |k, a| {
                share_request(k, a);
                shift(k, 60 * MINUTE + 10 * SECOND + 1);
            },
            None,
        ),
        (
            "not eligible",
            |k, a| {
                share_request(k, a);
                a.is_eligible = false;
            },
            None,
        ),
    ];
    for (name, change, want) in cases {
        let outcome = pair(change);
        assert_eq!(outcome.method.zip(outcome.confidence), want, "{name}");
        assert_eq!(outcome.state == JoinState::Matched, want.is_some(), "{name}");
        assert_eq!(outcome.peer.is_some(), want.is_some(), "{name}");
        assert_eq!(outcome.peer_count, u32::from(want.is_some()), "{name}");
        assert_eq!(outcome.identity_match.is_some(), want.is_some(), "{name}");
    }
}

#[test]
fn best_peer_is_final_then_nearest_then_smaller() {
    let mut k = kong(1, 0);
    k.request_ids.push(Key128::new(1));
    let candidate = |number, start, is_final_record| {
        let mut a = azure(number, start, start + SECOND);
        a.request_ids.push(Key128::new(1));
        a.is_final_record = is_final_record;
        a
    };
    let cases = [
        ("final before heartbeat", [candidate(2, 0, false), candidate(3, 9, true)], 3),
        ("nearest start", [candidate(2, 7, true), candidate(3, -6, true)], 3),
        ("smaller id", [candidate(2, 6, true), candidate(3, -6, true)], 2),
    ];
    for (name, [one, other], want) in cases {
        let outcome = &join([one, k.clone(), other])[0];
        assert_eq!(outcome.peer.as_ref().map(|peer| peer.event_id), Some(event_id(want)), "{name}");
        assert_eq!((outcome.peer_count, outcome.confidence), (2, Some(JoinConfidence::Exact)), "{name}");
    }
}

#[test]
fn a_rival_lowers_the_confidence_one_step() {
    let join_two = |change: fn(&mut JoinFacts)| {
        let mut a = azure(9, 0, SECOND);
        a.correlation_ids.push(correlation(2, None));
        let (mut one, mut other) = (kong(1, 0), kong(2, 1));
        for k in [&mut one, &mut other] {
            k.correlation_ids.push(correlation(2, None));
            (k.identity, k.call) = (user(1), key(1));
        }
        change(&mut other);
        join([a, one, other]).remove(2).confidence
    };
    assert_eq!(join_two(|_| {}), Some(JoinConfidence::Exact), "a retry is no rival");
    assert_eq!(join_two(|k| k.identity = user(2)), Some(JoinConfidence::Strong));
    assert_eq!(join_two(|k| k.call = key(2)), Some(JoinConfidence::Strong));
    assert_eq!(join_two(|k| k.call = None), Some(JoinConfidence::Exact), "unknown is not different");
}

#[test]
fn verdict_comes_from_the_partner_that_refused() {
    let refusal = Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Message, DeniedBy::Gateway);
    let own = Verdict::error(ReasonCode::WebFailed, ReasonBasis::Status);
    let join_verdicts = |takes: bool, of_kong: Verdict| {
        let (mut k, mut a) = (kong(1, 0), azure(2, 0, 0));
        share_request(&mut k, &mut a);
        (k.verdict, a.verdict, a.takes_partner_verdict) = (of_kong, own, takes);
        join([k, a])[1].verdict
    };
    assert_eq!(join_verdicts(true, refusal), refusal.known_by_join());
    assert_eq!(join_verdicts(true, Verdict::ALLOWED), own);
    assert_eq!(join_verdicts(true, Verdict::UNKNOWN), own);
    assert_eq!(join_verdicts(false, refusal), own);
}

#[test]
fn findings_follow_the_join() {
    let mismatch = pair(|k, a| {
        share_request(k, a);
        (k.identity, a.identity) = (user(1), user(2));
    });
    assert_eq!(mismatch.identity_match, Some(IdentityMatch::Different));
    assert!(mismatch.findings.contains(Finding::IdentityMismatch));
    let unknown = pair(|k, a| {
        share_request(k, a);
        k.identity = user(1);
    });
    assert_eq!(unknown.identity_match, Some(IdentityMatch::Unknown));
    assert!(unknown.findings.is_empty());

    let mut lonely = azure(1, 0, 0);
    lonely.expects_gateway_record = true;
    assert_eq!(join([lonely.clone()])[0].findings.to_string(), "GATEWAY_RECORD_MISSING");
    lonely.is_eligible = false;
    let outcome = &join([lonely])[0];
    assert_eq!((outcome.state, outcome.findings.is_empty()), (JoinState::NotEligible, true));
}

#[test]
fn reuse_needs_two_principals_within_the_horizon() {
    let users = |events: [(i64, u128); 3]| -> Vec<bool> {
        let events = (1..).zip(events).map(|(number, (start, name))| {
            let mut k = kong(number, start);
            (k.reuse_key, k.identity) = (key(1), user(name));
            k.is_eligible = number != 2;
            k
        });
        join(events).iter().map(|row| row.findings.contains(Finding::CorrelationReused)).collect()
    };
    assert_eq!(users([(0, 1), (5, 1), (9, 1)]), [false; 3], "retries are no reuse");
    assert_eq!(users([(0, 1), (5, 2), (9, 1)]), [true; 3]);
    assert_eq!(users([(0, 1), (60 * MINUTE, 2), (-1, 1)]), [true, true, false]);
}

#[test]
fn a_rung_with_too_many_peers_is_skipped() {
    let join_many = |count: u32| {
        let mut a = azure(0, 0, SECOND);
        a.correlation_ids.push(correlation(2, None));
        (a.run_id, a.call) = (key(3), key(4));
        let retries = (1..=count).map(|number| {
            let mut k = kong(number, i64::from(number));
            k.correlation_ids.push(correlation(2, Some(u64::from(number))));
            (k.run_id, k.call) = (key(3), key(4));
            if number > 1 {
                k.run_id = None;
            }
            k
        });
        join(std::iter::once(a).chain(retries)).remove(0)
    };
    let at_limit = join_many(256);
    assert_eq!((at_limit.method, at_limit.peer_count), (Some(JoinMethod::CorrelationId), 256));
    assert!(at_limit.findings.is_empty());
    let above = join_many(257);
    assert_eq!((above.method, above.peer_count), (Some(JoinMethod::RunId), 1));
    assert_eq!(above.findings.to_string(), "JOIN_KEY_HOT");
}

#[test]
fn smallest_position_is_the_row_until_it_is_final() {
    let mut operator = Operator::new(JoinConfig::batch());
    let mut out = Vec::new();
    for position in [5, 3, 7, 3] {
        operator.push(event(kong(1, 0), position), &mut out);
    }
    let duplicate = |position, of| Emitted::Duplicate { position, event_id: event_id(1), of };
    assert_eq!(out, [duplicate(5, 3), duplicate(7, 3)], "the same position again is the same copy");
    out.clear();
    let clock = Micros(NOON + JoinConfig::batch().horizon);
    operator.push(Input::Tick { shard: 0, clock }, &mut out);
    assert!(out.is_empty(), "a partner at this very moment may still come");
    operator.push(event(kong(1, 0), 1), &mut out);
    operator.finish(&mut out);
    operator.push(event(kong(1, 0), 0), &mut out);
    assert_eq!(out[0], duplicate(3, 1));
    assert!(matches!(out[1], Emitted::Row { position: 1, .. }));
    assert_eq!(out[2..], [duplicate(0, 1)]);
}

#[test]
fn peers_of_a_candidate_are_peers_of_its_event() {
    let (mut k, mut a) = (kong(1, 0), azure(2, 0, 180 * MINUTE));
    share_request(&mut k, &mut a);
    let (mut operator, mut out) = (Operator::new(JoinConfig::batch()), Vec::new());
    let forget = a.end.saturating_add(JoinConfig::batch().horizon);
    operator.push(Input::Candidate { facts: a.clone(), forget, home: None }, &mut out);
    operator.push(event(k, 1), &mut out);
    operator.push(Input::Tick { shard: 0, clock: Micros(NOON + 120 * MINUTE) }, &mut out);
    assert_eq!(rows(&out)[&event_id(1)].state, JoinState::Matched, "the candidate was enough for Kong's row");
    operator.push(event(a, 2), &mut out);
    operator.finish(&mut out);
    assert_eq!(rows(&out)[&event_id(2)].peer_count, 1, "and Kong's event is remembered with it");
}
