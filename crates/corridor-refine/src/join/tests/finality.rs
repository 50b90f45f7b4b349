//! When rows leave before their time, and what is forgotten when memory is short.

use super::*;
use corridor_model::Finding;

fn live() -> JoinConfig {
    JoinConfig { is_immediate: true, shard_count: 2, ..JoinConfig::batch() }
}

fn with_requests(mut facts: JoinFacts, requests: &[u128]) -> JoinFacts {
    facts.request_ids = requests.iter().map(|id| Key128::new(*id)).collect();
    facts
}

#[test]
fn only_a_row_that_nothing_can_change_leaves_at_once() {
    let config = JoinConfig { is_immediate: true, ..JoinConfig::batch() };
    let row_count = |change: fn(&mut JoinFacts)| {
        let (mut operator, mut out) = (Operator::new(config.clone()), Vec::new());
        let mut facts = azure(1, 0, 0);
        change(&mut facts);
        operator.push(event(facts, 1), &mut out);
        assert_eq!(out.len() + operator.pending(), 1);
        out.len()
    };
    assert_eq!(row_count(|facts| facts.is_eligible = false), 1);
    assert_eq!(row_count(|_| {}), 0);
    let reusable: fn(&mut JoinFacts) = |facts| (facts.is_eligible, facts.reuse_key) = (false, key(1));
    assert_eq!(row_count(reusable), 0);
}

#[test]
fn activity_leaves_when_each_of_its_requests_met_kong() {
    let (mut operator, mut out) = (Operator::new(live()), Vec::new());
    operator.push(event(with_requests(azure(1, 0, 0), &[7, 8]), 1), &mut out);
    operator.push(event(with_requests(kong(2, 0), &[7]), 2), &mut out);
    assert!(out.is_empty(), "one request is missing");
    operator.push(event(with_requests(kong(3, 0), &[8]), 3), &mut out);
    assert_eq!(rows(&out)[&event_id(1)].peer_count, 2);
    assert_eq!(operator.pending(), 2, "Kong's rows wait: another activity may name their requests");
    operator.push(event(with_requests(azure(4, 0, 0), &[7]), 4), &mut out);
    assert!(rows(&out).contains_key(&event_id(4)), "an activity that comes last leaves as it comes");
    operator.finish(&mut out);
    assert_eq!(rows(&out)[&event_id(2)].peer_count, 2);
}

#[test]
fn activity_that_others_may_change_waits() {
    let waits = |change: fn(&mut JoinFacts), config: JoinConfig| {
        let (mut operator, mut out) = (Operator::new(config), Vec::new());
        let mut activity = with_requests(azure(1, 0, 0), &[7]);
        change(&mut activity);
        operator.push(event(activity, 1), &mut out);
        operator.push(event(with_requests(kong(2, 0), &[7]), 2), &mut out);
        out.is_empty()
    };
    assert!(!waits(|_| {}, live()));
    assert!(waits(|_| {}, JoinConfig::batch()), "in batch a copy with a smaller position may come");
    assert!(waits(|facts| facts.reuse_key = key(9), live()), "another principal may use its correlation id");
    assert!(waits(|facts| facts.request_ids.push(Key128::new(8)), live()));
    let far: fn(&mut JoinFacts) = |facts| {
        facts.start = facts.start.saturating_add(61 * MINUTE);
        facts.end = facts.start;
    };
    assert!(waits(far, live()), "they are no partners");
}

#[test]
fn number_of_a_row_that_left_does_not_take_its_time_along() {
    let (mut operator, mut out) = (Operator::new(JoinConfig { shard_count: 1, ..live() }), Vec::new());
    let push = |facts, due, forget, operator: &mut Operator<u32>, out: &mut Vec<_>| {
        let (due, forget) = (Micros(NOON + due * MINUTE), Micros(NOON + forget * MINUTE));
        operator.push(Input::Event { facts, position: 1, due, forget }, out);
    };
    push(azure(1, 0, 0), 30, 1, &mut operator, &mut out);
    operator.relieve(0, &mut out, &mut Vec::new());
    assert_eq!((out.len(), operator.remembered()), (1, 0));
    push(azure(2, 0, 0), 90, 120, &mut operator, &mut out);
    operator.push(Input::Tick { shard: 0, clock: Micros(NOON + 60 * MINUTE) }, &mut out);
    assert_eq!(operator.pending(), 1);
}

#[test]
fn relief_takes_the_oldest_and_says_so() {
    let (mut operator, mut out, mut forgotten) =
        (Operator::new(JoinConfig { shard_count: 1, ..live() }), Vec::new(), Vec::new());
    for number in 0..100 {
        let facts = with_requests(kong(number, i64::from(number) * SECOND), &[u128::from(number) + 1]);
        operator.push(event(facts, number), &mut out);
    }
    operator.push(event(with_requests(azure(200, 99 * SECOND, 99 * SECOND), &[100]), 200), &mut out);
    operator.push(Input::Tick { shard: 0, clock: Micros(NOON) }, &mut out);
    let before = operator.memory_bytes();
    out.clear();
    operator.relieve(before, &mut out, &mut forgotten);
    assert!(out.is_empty() && forgotten.is_empty(), "it fits");
    operator.relieve(before / 2, &mut out, &mut forgotten);
    assert!(operator.memory_bytes() <= before / 2);
    let rows = rows(&out);
    assert!((40..70).contains(&rows.len()), "{} rows", rows.len());
    assert_eq!(forgotten.len(), rows.len());
    assert!((0..rows.len() as u32).all(|number| rows.contains_key(&event_id(number))), "the oldest");
    assert!(rows.values().all(|row| row.findings.contains(Finding::JoinedEarly)));
    assert_eq!((operator.position_of(&event_id(0)), operator.position_of(&event_id(99))), (None, Some(99)));
    out.clear();
    operator.finish(&mut out);
    let last = &super::rows(&out)[&event_id(99)];
    assert_eq!((last.state, last.findings.contains(Finding::JoinedEarly)), (JoinState::Matched, false));
}

#[test]
fn relief_ends_rows_that_only_wait_for_other_shards() {
    let (mut operator, mut out) = (Operator::new(live()), Vec::new());
    let due = Micros(NOON);
    operator.push(Input::Event { facts: azure(1, 0, 0), position: 1, due, forget: due }, &mut out);
    operator.push(Input::Tick { shard: 0, clock: Micros(NOON + MINUTE) }, &mut out);
    assert!(out.is_empty(), "the tick of shard 1 is missing");
    operator.relieve(0, &mut out, &mut Vec::new());
    assert_eq!((out.len(), operator.remembered()), (1, 0));
}

#[test]
fn introduced_event_that_turns_out_to_be_our_own_introduces_itself() {
    let (mut operator, mut out) = (Operator::new(live()), Vec::new());
    let never = Micros(i64::MAX);
    let (activity, request) = (with_requests(azure(1, 0, 0), &[7]), with_requests(kong(2, 0), &[7]));
    operator.push(Input::Candidate { facts: activity, forget: never, home: Some(1) }, &mut out);
    operator.push(Input::Introduction { to: event_id(9), peer: request.clone(), forget: never }, &mut out);
    assert!(out.is_empty(), "whoever introduced it tells the others");
    operator.push(event(request, 1), &mut out);
    assert!(matches!(&out[..], [Emitted::Introduction { home: 1, to, .. }] if *to == event_id(1)));
}

#[test]
fn event_that_is_forgotten_before_its_row_is_published_is_named() {
    let (mut operator, mut out) = (Operator::new(JoinConfig { shard_count: 1, ..live() }), Vec::new());
    let at = |minutes: i64| Micros(NOON + minutes * MINUTE);
    for number in 1..=2 {
        let facts = kong(number, 0);
        let position = number;
        operator.push(Input::Event { facts, position, due: at(i64::from(number)), forget: at(9) }, &mut out);
        operator.push(Input::Tick { shard: 0, clock: at(i64::from(number) + 1) }, &mut out);
    }
    assert_eq!((out.len(), operator.row_count(), operator.take_unpublished().count()), (2, 2, 0));
    operator.set_published(1);
    operator.push(Input::Tick { shard: 0, clock: at(10) }, &mut out);
    let unpublished: Vec<_> = operator.take_unpublished().collect();
    assert_eq!(unpublished, [Unpublished { event_id: event_id(2), position: 2, row_number: 2 }]);
    assert_eq!(operator.remembered(), 0);
}
