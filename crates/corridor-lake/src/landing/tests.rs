use super::*;
use crate::store::Lake;
use chrono::{DateTime, TimeDelta, Utc};
use corridor_chain::paths::{self, FilePlace};
use corridor_chain::{
    ClosedEntry, Day, DayDecision, Entry, Generation, Outcome, Refusal, RunIdentity, Table,
};
use corridor_model::Ledger;
use corridor_testkit::{Death, Fault, FaultyStore};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

type Contents = BTreeMap<String, bytes::Bytes>;

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn lake_over(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::new(store, Path::from("lake"), StoreKind::ObjectStore, "memory://lake")
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn days() -> [Day; 2] {
    [day("2026-11-23"), day("2026-11-24")]
}

fn generation(number: u16) -> Generation {
    Generation::try_from(number).unwrap()
}

fn identity(job: &str) -> RunIdentity {
    RunIdentity {
        run: format!("run-{job}"),
        input_digest: job.into(),
        build: "b1".into(),
        why: "test".into(),
    }
}

fn file(job: &str, day: &Day, table: Table, hour: u8, part: u32) -> NewFile {
    let bytes = bytes::Bytes::from(format!("{job} {day} {table} {hour} {part}"));
    let sha256 = hex::encode(Sha256::digest(&bytes));
    NewFile { table, day: day.clone(), hour, part, rows: 1, sha256, rolled_by: "end".into(), bytes }
}

fn files(job: &str, day: &Day) -> Vec<NewFile> {
    let places =
        [(Table::Events, 7, 0), (Table::Events, 7, 1), (Table::Records, 7, 0), (Table::Rejects, 0, 0)];
    places.into_iter().map(|(table, hour, part)| file(job, day, table, hour, part)).collect()
}

fn report() -> RunReport {
    let ledger = Ledger { records_in: 3, rows: 2, rejects: 1, ..Ledger::default() };
    let ledgers = days().into_iter().map(|day| (day, ledger)).collect();
    RunReport { ledgers, totals: ledger, ..RunReport::default() }
}

/// The whole of a run, as the driver does it.
async fn run_job(lake: &Lake, identity: RunIdentity, minute: i64) -> Result<Vec<LandedDay>, LandingError> {
    let job = identity.input_digest.clone();
    let plan = Landing::begin(lake.clone(), &days(), identity).await?;
    seed(lake, &[(Table::Events, "seed".into()), (Table::Records, "seed".into())]).await?;
    let mut landing = plan.open(at(minute)).await?;
    for day in days() {
        if landing.needs_rows(&day) {
            for file in files(&job, &day) {
                landing.put_file(file).await?;
            }
        }
    }
    let closed = landing.close_all(&report(), at(minute)).await?;
    closed.seal_all(at(minute) + default_activation_delay(lake.kind())).await
}

async fn contents(lake: &Lake) -> Contents {
    let mut contents = Contents::new();
    for object in lake.list("").await.unwrap() {
        let bytes = lake.read(&object.key).await.unwrap().unwrap();
        contents.insert(object.key, bytes);
    }
    contents
}

/// What a reader of the views sees at a moment: the bytes of every visible file of events, by place.
async fn visible_events(lake: &Lake, now: DateTime<Utc>) -> Contents {
    let current = current_generations(lake, now).await.unwrap();
    let mut visible = Contents::new();
    for (key, bytes) in contents(lake).await {
        if let Some(place) = FilePlace::parse(&key)
            && current.get(&place.day) == Some(&place.generation)
            && place.table == Table::Events
        {
            visible.insert(format!("{} {} {}", place.day, place.hour, place.part), bytes);
        }
    }
    visible
}

async fn closed(lake: &Lake, day: &Day, number: u16) -> ClosedEntry {
    let bytes = lake.read(&paths::closed_key(day, generation(number))).await.unwrap().unwrap();
    ClosedEntry::parse(&bytes).unwrap()
}

async fn assert_lands_whole_and_once(lake: &Lake) {
    let landed = run_job(lake, identity("x"), 0).await.unwrap();
    assert!(landed.iter().all(|day| day.is_new && day.generation == Generation::FIRST));
    let before = contents(lake).await;
    let entry = closed(lake, &days()[0], 1).await;
    assert_eq!((entry.outcome, entry.files.len(), entry.ledger.rows), (Outcome::Landed, 4, 2));
    for file in &entry.files {
        assert_eq!(hex::encode(Sha256::digest(&before[&file.path])), file.sha256, "{}", file.path);
    }
    let plan = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    assert!(plan.is_already_landed());
    assert!(plan.to_string().contains("2026-11-23: already landed as generation 001"));
    let again = run_job(lake, identity("x"), 99).await.unwrap();
    assert!(again.iter().all(|day| !day.is_new));
    assert_eq!(contents(lake).await, before);
}

#[tokio::test]
async fn a_run_lands_whole_days_and_repeating_it_changes_nothing() {
    assert_lands_whole_and_once(&lake_over(memory())).await;
    let root = tempfile::tempdir().unwrap();
    assert_lands_whole_and_once(&crate::store::open_lake(root.path().to_str().unwrap()).unwrap()).await;
    // See the contract of the store for this variable.
    if let Ok(url) = std::env::var("CORRIDOR_TEST_STORE") {
        assert_lands_whole_and_once(&crate::store::open_lake(&format!("{url}/landing")).unwrap()).await;
    }
}

#[tokio::test]
async fn days_become_current_together_and_only_after_the_delay() {
    let lake = lake_over(memory());
    run_job(&lake, identity("x"), 0).await.unwrap();
    assert!(visible_events(&lake, at(44)).await.is_empty());
    assert_eq!(visible_events(&lake, at(45)).await.len(), 4);
    assert_eq!(default_activation_delay(StoreKind::LocalFolder), TimeDelta::zero());
}

#[tokio::test]
async fn planning_writes_nothing_and_prints_what_would_change() {
    let lake = lake_over(memory());
    let plan = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    assert!(!plan.is_already_landed() && plan.needs_rows(&days()[0]));
    assert!(plan.to_string().contains("2026-11-24: would land as generation 001"), "{plan}");
    assert!(contents(&lake).await.is_empty());
}

#[tokio::test]
async fn a_run_killed_after_any_operation_is_completed_by_the_same_run() {
    let undisturbed = lake_over(memory());
    run_job(&undisturbed, identity("x"), 0).await.unwrap();
    let want = contents(&undisturbed).await;
    let want_visible = visible_events(&undisturbed, at(45)).await;
    for death in [Death::Before, Death::After] {
        let mut operations = 0;
        loop {
            let store = memory();
            let dying = Arc::new(FaultyStore::dying(store.clone(), operations, death));
            let is_finished = run_job(&lake_over(dying), identity("x"), 0).await.is_ok();
            let lake = lake_over(store);
            let visible = visible_events(&lake, at(45)).await;
            for day in days() {
                let count = visible.keys().filter(|key| key.starts_with(day.as_str())).count();
                assert!([0, 2].contains(&count), "{day} is half visible after {operations} operations");
            }
            // The second run has another name and a later clock: only who and when may differ from the undisturbed one.
            let second = RunIdentity { run: "second".into(), ..identity("x") };
            run_job(&lake, second, 60).await.unwrap();
            assert_eq!(visible_events(&lake, at(200)).await, want_visible, "{death:?} {operations}");
            let got = contents(&lake).await;
            assert_eq!(
                got.keys().collect::<Vec<_>>(),
                want.keys().collect::<Vec<_>>(),
                "{death:?} {operations}"
            );
            assert_eq!(
                closed(&lake, &days()[1], 1).await.files,
                closed(&undisturbed, &days()[1], 1).await.files
            );
            if is_finished {
                break;
            }
            operations += 1;
        }
        assert!(operations > 20, "the loop covered the whole run");
    }
}

#[tokio::test]
async fn a_killed_run_leaves_its_day_to_another_job_under_the_next_number() {
    let store = memory();
    let dying = Arc::new(FaultyStore::dying(store.clone(), 18, Death::After));
    run_job(&lake_over(dying), identity("x"), 0).await.unwrap_err();
    let lake = lake_over(store);
    let landed = run_job(&lake, identity("y"), 10).await.unwrap();
    assert_eq!(landed[0].generation, generation(2));
    assert_eq!(closed(&lake, &days()[0], 1).await.outcome, Outcome::Abandoned);
    let visible = visible_events(&lake, at(100)).await;
    assert!(visible.len() == 4 && visible.values().all(|bytes| bytes.starts_with(b"y ")));
    let refused = run_job(&lake, identity("x"), 20).await.unwrap_err();
    assert!(matches!(refused, LandingError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_day_landed_from_other_inputs_refuses_the_whole_run_before_any_write() {
    let lake = lake_over(memory());
    run_job(&lake, identity("x"), 0).await.unwrap();
    let before = contents(&lake).await;
    let wanted = [day("2026-11-22"), days()[0].clone(), days()[1].clone()];
    let error = Landing::begin(lake.clone(), &wanted, identity("y")).await.unwrap_err();
    let LandingError::Refused { refusals } = &error else { panic!("{error}") };
    assert_eq!(refusals.len(), 2, "all refused days at once: {error}");
    assert!(
        error.to_string().contains("2026-11-24: already landed as generation 001 by run run-x"),
        "{error}"
    );
    assert_eq!(contents(&lake).await, before);
}

#[tokio::test]
async fn a_live_lake_is_refused() {
    let lake = lake_over(memory());
    lake.create("ctl/chain/shard=00000/00000000000000000000.json", "{}".into()).await.unwrap();
    let error = run_job(&lake, identity("x"), 0).await.unwrap_err();
    let LandingError::Refused { refusals } = error else { panic!("{error}") };
    assert!(matches!(refusals[0], Refusal::LiveLake { .. }));
}

/// Two jobs that both hold a number of the same days; `first` closes first.
async fn race(lake: &Lake, first: &str, second: &str) -> (Landing, Landing) {
    let mut runs = Vec::new();
    for job in [first, second] {
        let plan = Landing::begin(lake.clone(), &days(), identity(job)).await.unwrap();
        let mut landing = plan.open(at(0)).await.unwrap();
        for day in days() {
            for file in files(job, &day) {
                landing.put_file(file).await.unwrap();
            }
        }
        runs.push(landing);
    }
    let second = runs.pop().unwrap();
    (runs.pop().unwrap(), second)
}

#[tokio::test]
async fn of_two_racing_jobs_the_first_to_close_wins_and_the_other_is_told() {
    for lower_closes_first in [true, false] {
        let lake = lake_over(memory());
        let (lower, higher) = race(&lake, "x", "y").await;
        let (winner, loser, job) =
            if lower_closes_first { (lower, higher, "x ") } else { (higher, lower, "y ") };
        let closed = winner.close_all(&report(), at(1)).await.unwrap();
        let error = loser.close_all(&report(), at(2)).await.unwrap_err();
        assert!(matches!(error, LandingError::Overtaken { .. }), "{error}");
        closed.seal_all(at(3)).await.unwrap();
        let visible = visible_events(&lake, at(100)).await;
        assert_eq!(visible.len(), 4);
        assert!(visible.values().all(|bytes| bytes.starts_with(job.as_bytes())), "{visible:?}");
    }
}

#[tokio::test]
async fn two_jobs_that_planned_at_the_same_moment_get_two_numbers() {
    let lake = lake_over(memory());
    let first = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    let second = Landing::begin(lake.clone(), &days(), identity("y")).await.unwrap();
    let first = first.open(at(0)).await.unwrap();
    let mut second = second.open(at(0)).await.unwrap();
    let entry = second.put_file(file("y", &days()[0], Table::Events, 7, 0)).await.unwrap();
    assert_eq!(entry.path, "events/gen=002/date=2026-11-23/hour=07/00000.parquet");
    assert!(first.needs_rows(&days()[0]));
}

#[tokio::test]
async fn the_same_job_on_two_machines_lands_once() {
    let lake = lake_over(memory());
    let (one, two) = race(&lake, "x", "x").await;
    let one = one.close_all(&report(), at(1)).await.unwrap();
    let two = two.close_all(&report(), at(2)).await.unwrap();
    assert!(one.seal_all(at(3)).await.unwrap().iter().all(|day| day.is_new));
    assert!(two.seal_all(at(4)).await.unwrap().iter().all(|day| !day.is_new));
    assert_eq!(visible_events(&lake, at(100)).await.len(), 4);
}

#[tokio::test]
async fn a_spoilt_number_is_left_with_everything_written_so_far() {
    let lake = lake_over(memory());
    let spoilt = "events/gen=001/date=2026-11-23/hour=07/00001.parquet";
    lake.create(spoilt, "other bytes".into()).await.unwrap();
    let landed = run_job(&lake, identity("x"), 0).await.unwrap();
    assert_eq!((landed[0].generation, landed[1].generation), (generation(2), generation(1)));
    let entry = closed(&lake, &days()[0], 2).await;
    assert!(entry.files.len() == 4 && entry.files.iter().all(|file| file.path.contains("gen=002")));
    assert_eq!(closed(&lake, &days()[0], 1).await.outcome, Outcome::Abandoned);
    assert_eq!(visible_events(&lake, at(100)).await.len(), 4);
}

#[tokio::test]
async fn a_number_with_a_stranger_under_its_glob_is_never_sealed() {
    let lake = lake_over(memory());
    let stranger = "records/gen=001/date=2026-11-24/hour=09/00000.parquet";
    lake.create(stranger, "left behind by a stopped run".into()).await.unwrap();
    let landed = run_job(&lake, identity("x"), 0).await.unwrap();
    assert_eq!((landed[0].generation, landed[1].generation), (generation(1), generation(2)));
    assert_eq!(visible_events(&lake, at(100)).await.len(), 4);
}

#[tokio::test]
async fn lost_replies_do_not_change_the_result() {
    let undisturbed = lake_over(memory());
    run_job(&undisturbed, identity("x"), 0).await.unwrap();
    let faults: Vec<Fault> =
        [Fault::ReplyLost, Fault::BeforeWrite, Fault::OwnWriteMet, Fault::None].repeat(20);
    let store = memory();
    let faulty = lake_over(Arc::new(FaultyStore::with_faults(store.clone(), &faults)));
    run_job(&faulty, identity("x"), 0).await.unwrap();
    assert_eq!(contents(&lake_over(store)).await, contents(&undisturbed).await);
}

#[tokio::test]
async fn a_resumed_run_sees_when_the_number_was_first_taken() {
    let lake = lake_over(memory());
    let first = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    drop(first.open(at(0)).await.unwrap());
    let second = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    let decisions: Vec<_> = second.decisions().map(|(_, decision)| decision.clone()).collect();
    assert_eq!(decisions, vec![DayDecision::Resume(Generation::FIRST); 2]);
    assert_eq!(second.open(at(30)).await.unwrap().opened_at(&days()[0]), Some(at(0)));
}

#[tokio::test]
async fn wrong_use_is_an_error_and_not_a_wrong_day() {
    let lake = lake_over(memory());
    let plan = Landing::begin(lake.clone(), &days(), identity("x")).await.unwrap();
    let mut landing = plan.open(at(0)).await.unwrap();
    let foreign = file("x", &day("2026-01-01"), Table::Events, 7, 0);
    assert!(matches!(landing.put_file(foreign).await, Err(LandingError::NotWriting { .. })));
    landing.put_file(file("x", &days()[0], Table::Events, 7, 0)).await.unwrap();
    landing.put_file(file("x", &days()[0], Table::Events, 7, 0)).await.unwrap();
    let other = file("z", &days()[0], Table::Events, 7, 0);
    assert!(matches!(landing.put_file(other).await, Err(LandingError::PartTwice { .. })));
    let counts = landing.close_all(&report(), at(1)).await;
    assert!(matches!(counts, Err(LandingError::CountsDiffer { in_files: 1, counted: 2, .. })));
}

#[tokio::test]
async fn seeding_twice_is_harmless_and_shows_no_day() {
    let lake = lake_over(memory());
    seed(&lake, &[(Table::Events, "one".into())]).await.unwrap();
    seed(&lake, &[(Table::Events, "of another build".into())]).await.unwrap();
    let seal = lake.read("seals/date=1900-01-01/gen=000.csv").await.unwrap().unwrap();
    assert_eq!(&seal[..], b"date,gen,activate_at\n1900-01-01,000,1900-01-01 00:00:00\n");
    assert!(current_generations(&lake, at(0)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_broken_entry_stops_the_run_and_is_named() {
    let lake = lake_over(memory());
    let key = "ctl/generations/date=2026-11-24/001.closed.json";
    lake.create(key, "{}".into()).await.unwrap();
    let error = run_job(&lake, identity("x"), 0).await.unwrap_err();
    assert!(matches!(error, LandingError::BrokenEntry { .. }) && error.to_string().contains(key), "{error}");
}
