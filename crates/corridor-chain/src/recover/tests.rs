use super::*;
use crate::claim::ClaimDraft;
use crate::claim::tests::{claim, committed, day, draft, identity, recover, seal, signature, staged};
use crate::create_once::Created;
use crate::machine::Copied;
use crate::memory::Memory;
use crate::paths::{Lane, LivePlace};
use crate::{Claim, ClaimOutcome};
use proptest::prelude::*;

/// A chain of so many claims without files.
fn chain_of(length: u64) -> Memory {
    let mut store = Memory::default();
    let mut position = recover(&mut store, "w1").unwrap();
    for nonce in 1..=length {
        let claim =
            Claim::new(position.clone(), draft(&position, Vec::new()), signature("w1", nonce)).unwrap();
        position = committed(store.run(claim).unwrap());
    }
    store
}

/// A claim that stands, and none of whose two files does.
fn torn_claim() -> (Memory, Vec<String>) {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let files = vec![staged(&mut store, "w1", 1, Lane::Live), staged(&mut store, "w1", 2, Lane::Live)];
    let keys = files.iter().map(|file| file.staged.clone()).collect();
    let mut claim = Claim::new(start.clone(), draft(&start, files), signature("w1", 1)).unwrap();
    let reply = store.reply(claim.request());
    assert!(claim.answer(reply).unwrap().is_none());
    (store, keys)
}

fn final_keys(store: &Memory) -> Vec<String> {
    store.objects.keys().filter(|key| LivePlace::parse(key).is_some()).cloned().collect()
}

#[test]
fn a_new_chain_begins_once_and_where_the_first_writer_saw_the_log_begin() {
    let mut store = Memory::default();
    let first = recover(&mut store, "w1").unwrap();
    assert_eq!((first.head_seq, first.begin, first.end, first.has_claim), (0, 10, 10, false));
    let later = ChainIdentity { begin: 99, ..identity() };
    assert_eq!(store.run(Recover::new(later, signature("w2", 0))).unwrap(), first);
}

#[test]
fn who_loses_the_race_for_entry_0_takes_the_winner_s() {
    let mut store = Memory::default();
    let mut slow = Recover::new(ChainIdentity { begin: 99, ..identity() }, signature("w2", 0));
    let reply = store.reply(slow.request());
    assert!(slow.answer(reply).unwrap().is_none());
    let first = recover(&mut store, "w1").unwrap();
    assert_eq!(store.run(slow).unwrap(), first);
}

#[test]
fn a_chain_of_another_log_or_count_of_shards_stops_the_shard_with_both_named() {
    let mut store = chain_of(1);
    let other = ChainIdentity { shard_count: 7, ..identity() };
    let text = store.run(Recover::new(other, signature("w1", 0))).unwrap_err().to_string();
    assert!(text.contains("6 shards") && text.contains("has 7"), "{text}");
    let log = LogIdentity { cluster: "new".into(), topic: "audit".into() };
    let other = ChainIdentity { log, ..identity() };
    let text = store.run(Recover::new(other, signature("w1", 0))).unwrap_err().to_string();
    assert!(text.contains("cluster c") && text.contains("cluster new"), "{text}");
}

#[test]
fn the_head_is_found_in_few_requests_however_old_the_chain_is() {
    for length in [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1_000] {
        let mut store = chain_of(length);
        store.request_count = 0;
        assert_eq!(recover(&mut store, "w1").unwrap().head_seq, length);
        let most = 4 + 2 * (length + 1).next_power_of_two().ilog2() as usize;
        assert!(store.request_count <= most, "{length}: {} requests, at most {most}", store.request_count);
    }
}

#[test]
fn a_torn_claim_is_finished_from_its_staged_bytes() {
    let (mut store, staged) = torn_claim();
    assert!(final_keys(&store).is_empty());
    let position = recover(&mut store, "w2").unwrap();
    assert_eq!((position.head_seq, position.end), (1, 20));
    let contents: Vec<_> = final_keys(&store).iter().map(|key| store.objects[key].clone()).collect();
    assert_eq!(contents, staged.iter().map(|key| Bytes::from(key.clone())).collect::<Vec<_>>());
    assert!(!store.objects.contains_key(&staged[0]));
}

#[test]
fn a_file_that_is_nowhere_stops_the_shard_unless_its_day_was_sealed_since() {
    let (mut store, staged) = torn_claim();
    let gone = store.objects.remove(&staged[1]);
    let stop = recover(&mut store, "w2").unwrap_err();
    assert!(matches!(&stop, Stop::FileLost { staged: key, .. } if *key == staged[1]), "{stop}");
    store.objects.insert(staged[1].clone(), gone.unwrap());
    let position = recover(&mut store, "w2").unwrap();
    final_keys(&store).iter().for_each(|key| drop(store.objects.remove(key)));
    seal(&mut store, &position, "2026-11-24");
    assert!(recover(&mut store, "w2").unwrap().sealed.contains(&day("2026-11-24")));
}

#[test]
fn damage_is_named_and_never_worked_around() {
    let (mut store, staged) = torn_claim();
    store.objects.insert(staged[0].clone(), "other bytes".into());
    assert!(matches!(recover(&mut store, "w2"), Err(Stop::FileLost { .. })));
    let (mut store, _) = torn_claim();
    recover(&mut store, "w2").unwrap();
    let key = final_keys(&store)[0].clone();
    store.objects.insert(key.clone(), "other bytes".into());
    assert!(matches!(recover(&mut store, "w2"), Err(Stop::FileDiffers { path }) if path == key));
}

#[test]
fn an_entry_that_was_changed_breaks_the_link_to_the_next() {
    let mut store = chain_of(2);
    let position = recover(&mut store, "w1").unwrap();
    seal(&mut store, &position, "2026-11-20");
    let key = chain_key(3, 2);
    let text =
        String::from_utf8(store.objects[&key].to_vec()).unwrap().replace("\"rows\": 20", "\"rows\": 19");
    store.objects.insert(key, text.into());
    assert!(matches!(recover(&mut store, "w1"), Err(Stop::BrokenLink { .. })));
}

#[test]
fn an_open_set_that_is_missing_or_changed_stops_the_shard() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let open = OpenSet::from_sorted((0..200).map(|index| 20 + index * 2)).unwrap();
    let draft = ClaimDraft { open, end: 1_000, ..draft(&start, Vec::new()) };
    let claim = Claim::new(start, draft, signature("w1", 1)).unwrap();
    let Request::Create { key, .. } = claim.request() else { panic!("no open set") };
    committed(store.run(claim).unwrap());
    store.objects.insert(key.clone(), "COS".into());
    assert!(matches!(recover(&mut store, "w1"), Err(Stop::OpenSet { .. })));
    store.objects.remove(&key);
    assert!(matches!(recover(&mut store, "w1"), Err(Stop::OpenSet { .. })));
}

#[test]
fn an_answer_to_another_question_is_an_error_and_not_a_guess() {
    let mut recover = Recover::new(identity(), signature("w1", 0));
    for reply in [Reply::Deleted, Reply::Exists(true), Reply::Copied(Copied::SourceMissing)] {
        assert!(matches!(recover.answer(reply), Err(Stop::Misuse(_))));
    }
    assert!(matches!(recover.answer(Reply::Created(Created::New)), Err(Stop::Misuse(_))));
}

proptest! {
    /// Two writers and a sealer in any order: what recovery reads is what the last claim knew, entry by entry.
    #[test]
    fn recovery_agrees_with_whoever_claimed_last(steps in prop::collection::vec(0u8..4, 1..40)) {
        let mut store = Memory::default();
        let mut known = [recover(&mut store, "w0").unwrap(), recover(&mut store, "w1").unwrap()];
        for (number, step) in steps.iter().enumerate() {
            let (writer, number) = (usize::from(*step) % 2, number as u64 * 2);
            match step {
                0 | 1 => match claim(&mut store, &known[writer], &format!("w{writer}"), number).unwrap() {
                    ClaimOutcome::Committed(position) => known[writer] = position,
                    ClaimOutcome::Rerouted { position, .. } => known[writer] = position,
                    ClaimOutcome::Lost { .. } => known[writer] = recover(&mut store, "w").unwrap(),
                },
                _ => drop(seal(&mut store, &known[writer], &format!("2026-10-{:02}", number % 28 + 1))),
            }
            let now = recover(&mut store, "w").unwrap();
            let newest = known.iter().filter(|position| position.head_seq == now.head_seq);
            for position in newest {
                prop_assert_eq!(position, &now);
            }
        }
    }
}
