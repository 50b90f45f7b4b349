//! A shard alone, step by step. Many shards, crashes and lost replies: see the simulation.

use super::*;
use crate::record::encode_event;
use corridor_model::time::HOUR;
use corridor_model::{
    FindingSet, IdentityKeys, JoinState, Key128, PeerSummary, PeerTexts, RecordDigest, RejectCode, Side,
    Verdict,
};

/// The start of a day.
const MIDNIGHT: i64 = 20_000 * 24 * HOUR;
const WAIT: i64 = 30 * MINUTE;

fn event_id(number: u8) -> EventId {
    EventId([number; 32])
}

/// An event that can have a partner, with a request id. `seconds` after midnight.
fn facts(side: Side, number: u8, seconds: i64, request: u128) -> JoinFacts {
    let time = Micros(MIDNIGHT + seconds * SECOND);
    JoinFacts {
        side,
        summary: PeerSummary {
            event_id: event_id(number),
            time,
            texts: PeerTexts::new(side.as_str(), None, None, None),
        },
        start: time,
        end: time,
        request_ids: [Key128::new(request)].into_iter().collect(),
        correlation_ids: Default::default(),
        run_id: None,
        call: None,
        call_at_host: None,
        identity: IdentityKeys::default(),
        verdict: Verdict::ALLOWED,
        findings: FindingSet::EMPTY,
        is_eligible: true,
        is_final_record: true,
        takes_partner_verdict: false,
        expects_gateway_record: false,
        reuse_key: None,
    }
}

/// Bytes of an event; its content is that of its number unless `content` says otherwise.
fn event(facts: JoinFacts, content: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let event = LoggedEvent {
        facts,
        content: [content; 16],
        row: b"row",
        record: None,
        path: "kong",
        directory_version: None,
    };
    encode_event(&event, &mut bytes);
    bytes
}

fn tick(shard: ShardId) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::record::encode_tick(shard, Micros(0), &mut bytes);
    bytes
}

/// One log record: its append time in seconds after midnight, and its bytes. Its index is its offset.
type Log = Vec<(i64, Vec<u8>)>;

fn config() -> ShardConfig {
    ShardConfig::new(0, 1, WAIT)
}

fn take(shard: &mut Shard, log: &Log, offsets: std::ops::Range<usize>) -> Vec<Effect> {
    let mut out = Vec::new();
    for offset in offsets {
        let (seconds, bytes) = &log[offset];
        let append_time = Micros(MIDNIGHT + seconds * SECOND);
        let at = At { offset: offset as u64, append_time, is_published: false };
        shard.take(at, ShardRecord::decode(bytes).unwrap(), &mut out);
        assert!(shard.ledger().is_conserved(), "{}", shard.ledger());
    }
    out
}

fn run(log: &Log) -> (Shard, Vec<Effect>) {
    let mut shard = Shard::new(config(), Resume::default());
    let out = take(&mut shard, log, 0..log.len());
    (shard, out)
}

/// Offsets of final rows and whether they are matched.
fn rows(effects: &[Effect]) -> Vec<(u64, bool)> {
    let row = |effect: &Effect| match effect {
        Effect::Final { offset, outcome, .. } => Some((*offset, outcome.state == JoinState::Matched)),
        _ => None,
    };
    effects.iter().filter_map(row).collect()
}

#[test]
fn activity_is_final_when_its_request_is_met_and_kong_after_the_wait() {
    let log = vec![
        (0, event(facts(Side::Kong, 1, 0, 7), 1)),
        (60, event(facts(Side::Azure, 2, 1, 7), 2)),
        (120, tick(0)),
        (1800, tick(0)),
        (1802, tick(0)),
    ];
    let mut shard = Shard::new(config(), Resume::default());
    assert_eq!(take(&mut shard, &log, 0..2), [Effect::Keep { offset: 0 }, Effect::Keep { offset: 1 }]);
    assert_eq!(rows(&take(&mut shard, &log, 2..4)), [(1, true)]);
    assert_eq!(rows(&take(&mut shard, &log, 4..5)), [(0, true)]);
    let ledger = shard.draft().ledger();
    assert_eq!((ledger.records_in, ledger.rows, ledger.pending), (2, 2, 0));
}

#[test]
fn replay_tells_only_what_was_open() {
    let log = vec![
        (0, event(facts(Side::Kong, 1, 0, 7), 1)),
        (1700, event(facts(Side::Kong, 3, 1700, 9), 3)),
        (1810, event(facts(Side::Azure, 2, 1, 7), 2)),
        (1811, event(facts(Side::Kong, 1, 0, 7), 1)),
        (1812, event(facts(Side::Kong, 3, 1700, 9), 3)),
        (3700, tick(0)),
    ];
    let mut shard = Shard::new(config(), Resume::default());
    take(&mut shard, &log, 0..3);
    let claim = shard.draft();
    assert_eq!(
        (claim.start, claim.end, claim.floor, claim.open.iter().collect::<Vec<_>>()),
        (0, 3, 0, vec![1, 2])
    );
    let mut again = Shard::new(config(), claim.into());
    assert_eq!((again.replay_from(), again.tick()), (0, None));
    let replayed = take(&mut again, &log, 0..3);
    assert_eq!(replayed, [Effect::Keep { offset: 1 }, Effect::Keep { offset: 2 }]);
    let copies = take(&mut again, &log, 3..5);
    assert!(
        copies.contains(&Effect::Duplicate { offset: 3, of: Some(0) }),
        "its first copy has a row already"
    );
    assert!(
        copies.contains(&Effect::Duplicate { offset: 4, of: Some(1) }),
        "its first copy is still pending"
    );
    assert_eq!(rows(&copies), [(2, true)]);
    assert_eq!(rows(&take(&mut again, &log, 5..6)), [(1, false)]);
    assert_eq!(again.draft().ledger().rows, 3);
}

#[test]
fn same_id_with_other_content_is_a_conflict() {
    let log = vec![
        (0, event(facts(Side::Kong, 1, 0, 7), 1)),
        (1, event(facts(Side::Kong, 1, 0, 7), 9)),
        (2, event(facts(Side::Kong, 1, 0, 7), 1)),
    ];
    let (shard, out) = run(&log);
    let place = Place::Live(Micros(MIDNIGHT).hour());
    assert_eq!(
        out[1..],
        [Effect::Conflict { offset: 1, of: 0, place }, Effect::Duplicate { offset: 2, of: Some(0) }]
    );
    let totals = shard.draft().totals;
    assert_eq!((totals.rejects, totals.conflicts, totals.duplicates), (1, 1, 1));
}

#[test]
fn reject_is_told_once() {
    let reject = LoggedReject {
        code: RejectCode::NotJson,
        detail: "x",
        preview: "y",
        side: Side::Kong,
        path: "p",
        byte_offset: 0,
        record_index: 0,
        record_sha256: RecordDigest([0; 32]),
        received_time: Micros(0),
    };
    let mut bytes = Vec::new();
    crate::record::encode_reject(&reject, &mut bytes);
    let log = vec![(0, bytes)];
    let (shard, out) = run(&log);
    assert_eq!(out, [Effect::Reject { offset: 0, place: Place::Live(Micros(MIDNIGHT).hour()) }]);
    let mut again = Shard::new(config(), shard.draft().into());
    assert!(take(&mut again, &log, 0..1).is_empty());
    assert_eq!(again.draft().ledger().rejects, 1);
}

#[test]
fn wrong_clocks_and_sealed_days_move_a_row() {
    let far = |seconds| {
        let mut facts = facts(Side::Kong, 1, seconds, 7);
        facts.is_eligible = false;
        facts
    };
    let final_of = |facts: JoinFacts, sealed: Option<&str>| {
        let mut shard = Shard::new(config(), Resume::default());
        sealed.into_iter().for_each(|day| shard.obey_seal(corridor_chain::Day::parse(day).unwrap()));
        match &take(&mut shard, &vec![(0, event(facts, 1))], 0..1)[..] {
            [Effect::Final { outcome, place, .. }] => {
                (*place, outcome.findings.contains(Finding::ClockAhead))
            }
            other => panic!("one row: {other:?}"),
        }
    };
    let hour = Micros(MIDNIGHT).hour();
    assert_eq!(final_of(far(0), None), (Place::Live(hour), false));
    assert_eq!(final_of(far(7200), None), (Place::Live(hour), true));
    assert_eq!(final_of(far(-8 * 24 * 3600), None).0, Place::Late(HourBucket(hour.0 - 8 * 24)));
    assert_eq!(final_of(far(0), Some(&hour.date())).0, Place::Late(hour));
}

#[test]
fn old_event_is_looked_up_unless_it_is_remembered() {
    let log =
        vec![(7200, event(facts(Side::Kong, 1, 0, 7), 1)), (7201, event(facts(Side::Kong, 2, 0, 8), 2))];
    let mut shard = Shard::new(config(), Resume::default());
    let now = Micros(MIDNIGHT + 7200 * SECOND);
    let old = facts(Side::Kong, 1, 0, 7);
    assert_eq!(shard.lookup_hour(0, now, &old), Some(Micros(MIDNIGHT).hour()));
    assert_eq!(shard.lookup_hour(0, now, &facts(Side::Kong, 3, 7000, 7)), None);
    take(&mut shard, &log, 0..1);
    assert_eq!(shard.lookup_hour(1, now, &old), None, "it is pending here");
    let mut out = Vec::new();
    let at = At { offset: 1, append_time: now, is_published: true };
    shard.take(at, ShardRecord::decode(&log[1].1).unwrap(), &mut out);
    assert_eq!(out, [Effect::Duplicate { offset: 1, of: None }]);
    let again = Shard::new(config(), shard.draft().into());
    assert_eq!(
        again.lookup_hour(1, now, &facts(Side::Kong, 2, 0, 8)),
        None,
        "a claim says what became of it"
    );
}

#[test]
fn memory_budget_makes_rows_early_and_never_two_of_them() {
    let log: Log =
        (0..200_u8).map(|n| (i64::from(n), event(facts(Side::Kong, n, n.into(), n.into()), n))).collect();
    let mut shard = Shard::new(ShardConfig { memory_bytes_max: 100_000, ..config() }, Resume::default());
    let mut out = Vec::new();
    for offset in 0..log.len() {
        out.extend(take(&mut shard, &log, offset..offset + 1));
        shard.relieve(&mut out);
        assert!(shard.memory_bytes() < 160_000, "{}", shard.memory_bytes());
    }
    let claim = shard.draft();
    assert!(claim.totals.early > 50);
    assert_eq!(rows(&out).len() as u64, claim.totals.early);
    let is_flagged = |effect: &Effect| match effect {
        Effect::Final { outcome, is_early, .. } => {
            *is_early && outcome.findings.contains(Finding::JoinedEarly)
        }
        _ => true,
    };
    assert!(out.iter().all(is_flagged));

    let now = Micros(MIDNIGHT + 200 * SECOND);
    let first = facts(Side::Kong, 0, 0, 0);
    assert_eq!(shard.lookup_hour(200, now, &first), None, "its row is not published, but the shard knows it");
    let mut copies = Vec::new();
    let at = At { offset: 200, append_time: now, is_published: false };
    shard.take(at, ShardRecord::decode(&log[0].1).unwrap(), &mut copies);
    assert_eq!(copies, [Effect::Duplicate { offset: 200, of: Some(0) }]);
    shard.committed(&claim);
    assert!(shard.lookup_hour(201, now, &first).is_some(), "the caller must look among the published ids");
}

#[test]
fn shard_without_records_still_ticks() {
    let mut shard = Shard::new(config(), Resume::begin(40));
    assert_eq!(shard.tick(), Some(Micros(0)));
    let at = At { offset: 40, append_time: Micros(MIDNIGHT), is_published: false };
    shard.take(at, ShardRecord::decode(&tick(0)).unwrap(), &mut Vec::new());
    assert_eq!(shard.tick(), Some(Micros(MIDNIGHT)));
    assert_eq!(shard.draft().end, 41);
}

#[test]
fn accepted_gap_counts_what_it_took() {
    let log = vec![(0, event(facts(Side::Kong, 1, 0, 7), 1)), (9, event(facts(Side::Kong, 2, 9, 8), 2))];
    let (shard, _) = run(&log);
    let mut resume = Resume::from(shard.draft());
    assert_eq!(resume.accept_gap(1), 1);
    let shard = Shard::new(config(), resume);
    assert_eq!(shard.replay_from(), 1);
    let ledger = shard.draft().ledger();
    assert_eq!((ledger.records_in, ledger.pending), (1, 1));
}
