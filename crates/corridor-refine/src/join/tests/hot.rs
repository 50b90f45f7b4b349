//! Hot keys: many events under one key must cost neither time nor memory without bound.

use super::*;
use corridor_model::Finding;

#[test]
fn a_hot_key_is_skipped_fast_and_in_bounded_memory() {
    // A low limit keeps the test quick in a debug build; the limit itself has its own test.
    let mut operator = Operator::new(JoinConfig { candidates_max: 24, ..JoinConfig::batch() });
    let mut out = Vec::new();
    for number in 0..100_000 {
        let start = i64::from(number % 3_000) * SECOND;
        let mut facts =
            if number % 2 == 0 { kong(number, start) } else { azure(number, start, start + SECOND) };
        facts.correlation_ids.push(correlation(1, None));
        facts.reuse_key = key(1);
        facts.identity = user(u128::from(number % 1_000));
        operator.push(event(facts, number), &mut out);
    }
    assert!(operator.memory_bytes() < 150_000_000, "{} bytes", operator.memory_bytes());
    operator.finish(&mut out);
    let rows = rows(&out);
    assert_eq!(rows.len(), 100_000);
    for outcome in rows.values() {
        assert_eq!(outcome.state, JoinState::Unmatched);
        assert!(outcome.findings.contains(Finding::JoinKeyHot));
        assert!(outcome.findings.contains(Finding::CorrelationReused));
    }
}

#[test]
fn a_busy_path_of_one_caller_is_searched_by_time() {
    let mut operator = Operator::new(JoinConfig::batch());
    let mut out = Vec::new();
    for number in 0..30_000 {
        let start = i64::from(number / 2) * 250_000;
        let mut facts =
            if number % 2 == 0 { kong(number, start) } else { azure(number, start, start + SECOND) };
        facts.call_at_host = key(1);
        facts.identity = user(1);
        operator.push(event(facts, number), &mut out);
    }
    operator.finish(&mut out);
    let rows = rows(&out);
    assert!(rows.values().all(|row| row.method == Some(JoinMethod::IdentityTime) && row.peer_count > 20));
}
