//! Facts come back as they were, and bytes that nobody wrote do no harm.

use super::codec::{HEAD_SIZE, Head, decode};
use super::*;
use corridor_model::join::CorrelationKey;
use corridor_model::{
    DeniedBy, EventId, Finding, FindingSet, IdentityKeys, Key128, Micros, PeerSummary, PeerTexts,
    ReasonBasis, ReasonCode, Side, Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;

fn key() -> impl Strategy<Value = Option<Key128>> {
    prop_oneof![
        Just(None),
        any::<u128>().prop_map(|value| Some(Key128::new(value))),
        Just(Some(Key128::new(7)))
    ]
}

fn correlation() -> impl Strategy<Value = CorrelationKey> {
    let counter = select(vec![None, None, Some(0), Some(u64::MAX)]);
    (key(), counter)
        .prop_map(|(base, counter)| CorrelationKey { base: base.unwrap_or(Key128::new(7)), counter })
}

fn texts() -> impl Strategy<Value = PeerTexts> {
    let text = || proptest::option::of("[a-zö]{0,200}");
    ("[a-z]{0,5}", text(), text(), text()).prop_map(|(one, two, three, four)| {
        PeerTexts::new(&one, two.as_deref(), three.as_deref(), four.as_deref())
    })
}

fn position() -> impl Strategy<Value = Position> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
    (numbers, any::<i64>()).prop_map(|((file_index, byte_offset, record_index, batch, row), time)| Position {
        file_index,
        byte_offset,
        record_index,
        time: Micros(time),
        batch,
        row,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let denied = Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Message, DeniedBy::Gateway);
    select(vec![Verdict::ALLOWED, Verdict::UNKNOWN, denied])
}

prop_compose! {
    fn facts()(
        id in any::<[u8; 32]>(),
        texts in texts(),
        times in any::<[i64; 3]>(),
        is_moment in any::<bool>(),
        request_ids in proptest::collection::vec(key(), 0..4),
        correlation_ids in proptest::collection::vec(correlation(), 0..3),
        keys in [key(), key(), key(), key(), key(), key(), key(), key()],
        verdict in verdict(),
        flags in any::<[bool; 6]>(),
    ) -> JoinFacts {
        let [start, end, time] = if is_moment { [times[0]; 3] } else { times };
        JoinFacts {
            side: if flags[0] { Side::Kong } else { Side::Azure },
            summary: PeerSummary { event_id: EventId(id), time: Micros(time), texts },
            start: Micros(start),
            end: Micros(end),
            request_ids: request_ids.into_iter().flatten().collect(),
            correlation_ids: correlation_ids.into_iter().collect(),
            run_id: keys[0],
            call: keys[1],
            call_at_host: keys[2],
            identity: IdentityKeys { object_id: keys[3], app_id: keys[4], upn: keys[5], local: keys[6] },
            verdict,
            findings: [Finding::ClockAhead].into_iter().filter(|_| flags[1]).collect::<FindingSet>(),
            is_eligible: flags[2],
            is_final_record: flags[3],
            takes_partner_verdict: flags[4],
            expects_gateway_record: flags[5],
            reuse_key: keys[7],
        }
    }
}

fn batch() -> impl Strategy<Value = Vec<SpilledFacts>> {
    let one = (position(), facts()).prop_map(|(position, facts)| SpilledFacts { position, facts });
    proptest::collection::vec(one, 0..5)
}

/// As batch 3.
fn encode(batch: &[SpilledFacts]) -> Vec<u8> {
    let mut facts_batch = FactsBatch::default();
    batch.iter().for_each(|spilled| facts_batch.push(&spilled.position, &spilled.facts));
    let (head, bodies) = facts_batch.parts(3);
    [&head, bodies[0], bodies[1]].concat()
}

proptest! {
    #[test]
    fn facts_come_back_from_their_bytes(batch in batch()) {
        let bytes = encode(&batch);
        let (head, body) = bytes.split_first_chunk::<HEAD_SIZE>().unwrap();
        let head = Head::of(*head);
        prop_assert_eq!(head.byte_size(), body.len());
        let mut seen = Vec::new();
        prop_assert_eq!(decode(&head, body, &mut |facts| seen.push(facts)), Some(()));
        let mut want = batch;
        for (row, spilled) in (0..).zip(&mut want) {
            (spilled.position.batch, spilled.position.row) = (3, row);
        }
        prop_assert_eq!(seen, want);
    }

    #[test]
    fn broken_bytes_do_no_harm(batch in batch(), at in any::<usize>(), byte in any::<u8>(), end in any::<usize>()) {
        let mut bytes = encode(&batch);
        let at = at % bytes.len();
        bytes[at] = byte;
        let (head, body) = bytes.split_first_chunk::<HEAD_SIZE>().unwrap();
        let end = end % (body.len() + 1);
        decode(&Head::of(*head), &body[..end], &mut |_| {});
    }
}
