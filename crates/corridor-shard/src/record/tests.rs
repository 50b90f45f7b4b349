//! Records come back as they were, and bytes that nobody wrote do no harm.

use super::*;
use corridor_model::join::CorrelationKey;
use corridor_model::{
    DeniedBy, Finding, FindingSet, IdentityKeys, Key128, PeerSummary, PeerTexts, ReasonBasis, ReasonCode,
    Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;

fn key() -> impl Strategy<Value = Option<Key128>> {
    prop_oneof![Just(None), any::<u128>().prop_map(|value| Some(Key128::new(value)))]
}

fn texts() -> impl Strategy<Value = PeerTexts> {
    let text = || proptest::option::of("[a-zö]{0,40}");
    ("[a-z]{0,5}", text(), text(), text()).prop_map(|(one, two, three, four)| {
        PeerTexts::new(&one, two.as_deref(), three.as_deref(), four.as_deref())
    })
}

prop_compose! {
    fn facts()(
        id in any::<[u8; 32]>(),
        texts in texts(),
        times in any::<[i64; 3]>(),
        request_ids in proptest::collection::vec(key(), 0..3),
        correlation in key(),
        counter in select(vec![None, Some(0), Some(u64::MAX)]),
        keys in [key(), key(), key(), key(), key(), key(), key(), key()],
        flags in any::<[bool; 6]>(),
    ) -> JoinFacts {
        let denied = Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Message, DeniedBy::Gateway);
        JoinFacts {
            side: if flags[0] { Side::Kong } else { Side::Azure },
            summary: PeerSummary { event_id: EventId(id), time: Micros(times[2]), texts },
            start: Micros(times[0]),
            end: Micros(times[1]),
            request_ids: request_ids.into_iter().flatten().collect(),
            correlation_ids: correlation.into_iter().map(|base| CorrelationKey { base, counter }).collect(),
            run_id: keys[0],
            call: keys[1],
            call_at_host: keys[2],
            identity: IdentityKeys { object_id: keys[3], app_id: keys[4], upn: keys[5], local: keys[6] },
            verdict: if flags[1] { denied } else { Verdict::ALLOWED },
            findings: [Finding::ClockAhead].into_iter().filter(|_| flags[1]).collect::<FindingSet>(),
            is_eligible: flags[2],
            is_final_record: flags[3],
            takes_partner_verdict: flags[4],
            expects_gateway_record: flags[5],
            reuse_key: keys[7],
        }
    }
}

/// The bytes of one record of each kind, made of the same parts.
fn records(facts: &JoinFacts, texts: &[String; 3], number: u32, time: i64) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(); 5];
    let (row, record) = (texts[0].as_bytes(), texts[1].as_bytes());
    encode_event(&event(facts, texts, row, Some(record).filter(|_| number.is_multiple_of(2))), &mut all[0]);
    encode_reject(&reject(texts, number, time), &mut all[1]);
    encode_hint(facts, number, &mut all[2]);
    encode_introduction(&EventId([7; 32]), facts, &mut all[3]);
    encode_tick(number, Micros(time), &mut all[4]);
    all
}

fn event<'r>(
    facts: &JoinFacts,
    texts: &'r [String; 3],
    row: &'r [u8],
    record: Option<&'r [u8]>,
) -> LoggedEvent<'r> {
    let directory_version = Some(&*texts[0]).filter(|text| text.len().is_multiple_of(2));
    LoggedEvent { facts: facts.clone(), content: [9; 16], row, record, path: &texts[2], directory_version }
}

fn reject(texts: &[String; 3], number: u32, time: i64) -> LoggedReject<'_> {
    LoggedReject {
        code: RejectCode::ALL[number as usize % RejectCode::ALL.len()],
        detail: &texts[0],
        preview: &texts[1],
        side: if number.is_multiple_of(2) { Side::Kong } else { Side::Azure },
        path: &texts[2],
        byte_offset: time as u64,
        record_index: number,
        record_sha256: RecordDigest([3; 32]),
        received_time: Micros(time),
    }
}

fn words() -> impl Strategy<Value = [String; 3]> {
    ["[ -~ö]{0,60}", "[ -~ö]{0,60}", "[ -~ö]{0,60}"]
}

proptest! {
    #[test]
    fn records_come_back_from_their_bytes(
        facts in facts(), texts in words(), number in any::<u32>(), time in any::<i64>(),
    ) {
        let all = records(&facts, &texts, number, time);
        let (row, record) = (texts[0].as_bytes(), texts[1].as_bytes());
        let want = [
            ShardRecord::Event(event(&facts, &texts, row, Some(record).filter(|_| number.is_multiple_of(2)))),
            ShardRecord::Reject(reject(&texts, number, time)),
            ShardRecord::Hint { facts: facts.clone(), home: number },
            ShardRecord::Introduction { to: EventId([7; 32]), peer: facts.clone() },
            ShardRecord::Tick { shard: number, clock: Micros(time) },
        ];
        for (bytes, want) in all.iter().zip(want) {
            prop_assert_eq!(ShardRecord::decode(bytes), Ok(want));
        }
    }

    #[test]
    fn broken_records_do_no_harm(
        facts in facts(), texts in words(), at in any::<usize>(), byte in any::<u8>(), end in any::<usize>(),
    ) {
        for mut bytes in records(&facts, &texts, 5, 6) {
            let length = bytes.len();
            let cut = end % length;
            prop_assert!(ShardRecord::decode(&bytes[..cut]).is_err(), "a part is missing");
            bytes[at % length] = byte;
            let _ = ShardRecord::decode(&bytes);
            bytes.push(0);
            let _ = ShardRecord::decode(&bytes);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(kind in 0_u8..7, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ShardRecord::decode(&tail);
        let _ = ShardRecord::decode(&[&[VERSION, kind], &tail[..]].concat());
    }
}

#[test]
fn strange_records_are_named() {
    assert_eq!(ShardRecord::decode(&[]), Err(RecordError::Version { found: 0 }));
    assert_eq!(ShardRecord::decode(&[2, kind::TICK, 0, 0]), Err(RecordError::Version { found: 2 }));
    assert_eq!(ShardRecord::decode(&[VERSION, 9]), Err(RecordError::Kind { found: 9 }));
    let mut tick = Vec::new();
    encode_tick(3, Micros(-1), &mut tick);
    assert_eq!(tick, [1, 5, 3, 1], "logs hold these bytes");
    tick.push(0);
    let error = ShardRecord::decode(&tick).unwrap_err();
    assert_eq!(error.to_string(), "log record (tick) is damaged: what follows it cannot be read");
}
