use super::*;
use crate::entry::{Gap, INLINE_RUNS_MAX, Seal, WriterMark};
use crate::memory::Memory;
use crate::note::Note;
use crate::paths::{Generation, is_stage_key, stage_key};
use crate::recover::{ChainIdentity, Recover};
use corridor_model::{Ledger, LogIdentity};

pub(crate) fn identity() -> ChainIdentity {
    let log = LogIdentity { cluster: "c".into(), topic: "audit".into() };
    ChainIdentity { shard: 3, shard_count: 6, log, begin: 10 }
}

pub(crate) fn signature(writer: &str, nonce: u64) -> Signature {
    let writer = WriterMark { id: writer.into(), nonce };
    Signature { writer, build: "b1".into(), created_at: "2026-11-24T08:00:00Z".parse().unwrap() }
}

pub(crate) fn recover(store: &mut Memory, writer: &str) -> Result<Position, Stop> {
    store.run(Recover::new(identity(), signature(writer, 0)))
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// A staged file; its content is its key, so that no two are alike.
pub(crate) fn staged(store: &mut Memory, writer: &str, number: u64, lane: Lane) -> DraftFile {
    let staged = stage_key(writer, 3, number);
    store.create(&staged, staged.clone().into());
    DraftFile {
        table: Table::Events,
        lane,
        day: day("2026-11-24"),
        hour: 7,
        sha256: ContentDigest::of(staged.as_bytes()),
        bytes: staged.len() as u64,
        staged,
        rows: 1,
        rolled_by: "age".into(),
    }
}

pub(crate) fn draft(position: &Position, files: Vec<DraftFile>) -> ClaimDraft {
    let mut totals = position.totals;
    totals.ledger += Ledger { records_in: 10, rows: 10, ..Ledger::default() };
    ClaimDraft {
        end: position.end + 10,
        last: Some(LastRecord { offset: position.end + 9, sha256: ContentDigest::of(b"last") }),
        clock: Micros(5),
        floor: position.floor,
        open: OpenSet::from_sorted([position.end + 3]).unwrap(),
        files,
        totals,
        reason: ClaimReason::Age,
        directory_version: None,
    }
}

pub(crate) fn claim(
    store: &mut Memory,
    position: &Position,
    writer: &str,
    number: u64,
) -> Result<ClaimOutcome, Stop> {
    let files = (number..number + 2).map(|number| staged(store, writer, number, Lane::Live)).collect();
    let claim = Claim::new(position.clone(), draft(position, files), signature(writer, number)).unwrap();
    store.run(claim)
}

pub(crate) fn committed(outcome: ClaimOutcome) -> Position {
    match outcome {
        ClaimOutcome::Committed(position) => position,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn seal(store: &mut Memory, position: &Position, date: &str) -> u64 {
    let body = Body::Seal(Seal { date: day(date), generation: Generation::FIRST });
    store.run(Note::new(position, body, signature("sealer", 1))).unwrap()
}

#[test]
fn a_claim_makes_its_files_exist_and_lets_the_staged_bytes_go() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let position = committed(claim(&mut store, &start, "w1", 1).unwrap());
    assert_eq!((position.head_seq, position.end), (1, 20));
    let files: Vec<_> = store.objects.keys().filter(|key| key.starts_with("events/gen=000/")).collect();
    assert_eq!(files.len(), 2);
    assert!(!store.objects.keys().any(|key| is_stage_key(key)));
    assert_eq!(recover(&mut store, "w2").unwrap(), position, "recovery finds what the writer knew");
}

#[test]
fn no_file_exists_before_its_claim_and_no_staged_byte_goes_before_its_file() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let files = vec![staged(&mut store, "w1", 1, Lane::Live), staged(&mut store, "w1", 2, Lane::Late)];
    let mut claim = Claim::new(start.clone(), draft(&start, files), signature("w1", 1)).unwrap();
    loop {
        let request = claim.request();
        let has_claim = store.objects.contains_key(&chain_key(3, 1));
        let file_count = store.objects.keys().filter(|key| LivePlace::parse(key).is_some()).count();
        match &request {
            Request::Copy { .. } => assert!(has_claim),
            Request::DeleteStaged { keys } => assert_eq!((keys.len(), file_count), (2, 2)),
            _ => assert_eq!(file_count, 0),
        }
        let reply = store.reply(request);
        if claim.answer(reply).unwrap().is_some() {
            return;
        }
    }
}

#[test]
fn who_meets_a_foreign_claim_loses_the_shard_and_shows_nothing() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let winner = committed(claim(&mut store, &start, "w1", 1).unwrap());
    let before = store.objects.clone();
    let lost = claim(&mut store, &start, "w2", 1).unwrap();
    assert!(matches!(lost, ClaimOutcome::Lost { winner } if winner.writer.id == "w1"));
    assert_eq!(store.objects, before, "not even staged bytes stay behind");
    assert_eq!(recover(&mut store, "w2").unwrap(), winner);
}

#[test]
fn entries_that_came_first_are_obeyed_and_the_next_number_is_claimed() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    assert_eq!((seal(&mut store, &start, "2026-11-24"), seal(&mut store, &start, "2026-11-23")), (1, 2));
    let ClaimOutcome::Rerouted { position, entries } = claim(&mut store, &start, "w1", 1).unwrap() else {
        panic!("the seals were not met");
    };
    assert_eq!((entries.len(), position.head_seq), (2, 2));
    assert!(position.sealed.contains(&day("2026-11-24")) && position.sealed.contains(&day("2026-11-23")));
    let live = vec![staged(&mut store, "w1", 1, Lane::Live)];
    let refused = Claim::new(position.clone(), draft(&position, live), signature("w1", 2));
    assert!(matches!(refused, Err(DraftError::SealedDay { .. })));
    let late = vec![staged(&mut store, "w1", 1, Lane::Late)];
    let claim = Claim::new(position.clone(), draft(&position, late), signature("w1", 2)).unwrap();
    assert_eq!(claim.seq(), 3);
    committed(store.run(claim).unwrap());
    assert!(store.objects.keys().any(|key| key.starts_with("late/date=2026-11-24/hour=07/s00003-")));
}

#[test]
fn a_seal_does_not_hide_the_foreign_claim_behind_it() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    seal(&mut store, &start, "2026-11-20");
    let theirs = recover(&mut store, "w2").unwrap();
    committed(claim(&mut store, &theirs, "w2", 1).unwrap());
    assert!(matches!(claim(&mut store, &start, "w1", 1).unwrap(), ClaimOutcome::Lost { .. }));
}

#[test]
fn a_long_open_set_is_there_before_its_entry_and_is_read_back() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let open = OpenSet::from_sorted((0..200).map(|index| 20 + index * 2)).unwrap();
    assert!(open.run_count() > INLINE_RUNS_MAX);
    let draft = ClaimDraft { open: open.clone(), end: 1_000, ..draft(&start, Vec::new()) };
    let claim = Claim::new(start, draft, signature("w1", 1)).unwrap();
    assert!(matches!(claim.request(), Request::Create { key, .. } if key.ends_with(".open")));
    committed(store.run(claim).unwrap());
    assert_eq!(recover(&mut store, "w2").unwrap().open, open);
}

#[test]
fn drafts_that_do_not_fit_are_refused_before_anything_is_written() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    let good = draft(&start, Vec::new());
    let file = staged(&mut store, "w1", 1, Lane::Live);
    let mut wrong_totals = good.clone();
    wrong_totals.totals.ledger.rows += 1;
    let cases = [
        ("range", ClaimDraft { end: 9, ..good.clone() }),
        ("floor", ClaimDraft { floor: 21, ..good.clone() }),
        ("open set", ClaimDraft { open: OpenSet::from_sorted([20]).unwrap(), ..good.clone() }),
        ("counts", wrong_totals),
        ("64 files", ClaimDraft { files: vec![file.clone(); 65], ..good.clone() }),
        ("hour", ClaimDraft { files: vec![DraftFile { hour: 24, ..file.clone() }], ..good.clone() }),
        ("staged", ClaimDraft { files: vec![DraftFile { staged: "ctl/x".into(), ..file }], ..good.clone() }),
    ];
    for (name, draft) in cases {
        assert!(Claim::new(start.clone(), draft, signature("w1", 1)).is_err(), "{name}");
    }
    assert!(Claim::new(start, good, signature("w1", 1)).is_ok());
}

#[test]
fn a_note_walks_over_claims_and_is_not_said_twice() {
    let mut store = Memory::default();
    let start = recover(&mut store, "w1").unwrap();
    committed(claim(&mut store, &start, "w1", 1).unwrap());
    assert_eq!(seal(&mut store, &start, "2026-11-20"), 2);
    assert_eq!(seal(&mut store, &start, "2026-11-20"), 2);
    let body = Body::Gap(Gap { from: 10, to: 15, reason: "retention".into(), by: "ana".into() });
    assert_eq!(store.run(Note::new(&start, body, signature("ana", 1))).unwrap(), 3);
    let position = recover(&mut store, "w1").unwrap();
    assert_eq!((position.floor, position.totals.lost, position.open.is_empty()), (15, 1, true));
}
