use super::*;
use crate::roll::RollReason;
use crate::store::StoreKind;
use corridor_chain::paths::{is_stage_key, open_key};
use corridor_chain::{ClaimReason, Gap, Generation, LastRecord, LivePlace, OpenSet, Seal, Totals};
use corridor_model::{Ledger, LogIdentity, Micros};
use corridor_testkit::{Death, Fault as PutFault, FaultyStore};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

/// The offsets of one claim.
const CLAIM_OFFSETS: u64 = 10;
/// Where the log ends.
const LOG_END: u64 = 60;

fn lake_over(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::new(store, Path::from("lake"), StoreKind::ObjectStore, "memory://lake")
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn day() -> Day {
    Day::parse("2026-11-24").unwrap()
}

fn identity() -> ChainIdentity {
    let log = LogIdentity { cluster: "c".into(), topic: "audit".into() };
    ChainIdentity { shard: 3, shard_count: 6, log, begin: 0 }
}

async fn open(lake: &Lake, writer: &str) -> Result<ShardChain, ChainError> {
    ShardChain::open(lake.clone(), Writer::new(writer).unwrap(), "b1", identity(), now()).await
}

/// A file with these offsets as its rows. The name of the writer is in it: two writers never encode the same bytes.
async fn stage(
    chain: &mut ShardChain,
    lane: Lane,
    offsets: std::ops::Range<u64>,
) -> Result<DraftFile, ChainError> {
    let rows = offsets.end - offsets.start;
    let offsets: Vec<String> = offsets.map(|offset| offset.to_string()).collect();
    let bytes = format!("{}:{}", chain.writer.id(), offsets.join(","));
    let file = EncodedFile {
        rows,
        sha256: ContentDigest::of(bytes.as_bytes()).to_string(),
        bytes: bytes.into(),
        first_event_time: None,
        last_event_time: None,
        rolled_by: RollReason::Age,
    };
    chain.stage(FileTarget { table: Table::Events, lane, day: day(), hour: 7 }, file).await
}

fn draft(position: &Position, files: Vec<DraftFile>) -> ClaimDraft {
    let end = position.end + CLAIM_OFFSETS;
    let mut totals: Totals = position.totals;
    totals.ledger += Ledger { records_in: CLAIM_OFFSETS, rows: CLAIM_OFFSETS, ..Ledger::default() };
    ClaimDraft {
        end,
        last: Some(LastRecord { offset: end - 1, sha256: ContentDigest::of(b"record") }),
        clock: Micros(1),
        floor: end,
        open: OpenSet::default(),
        files,
        totals,
        reason: ClaimReason::Age,
        directory_version: None,
    }
}

/// Claims the next offsets as two files.
async fn claim_next(chain: &mut ShardChain, lane: Lane) -> Result<Claimed, ChainError> {
    let start = chain.position().end;
    let files =
        vec![stage(chain, lane, start..start + 4).await?, stage(chain, lane, start + 4..start + 10).await?];
    chain.claim(draft(&chain.position().clone(), files), now()).await
}

/// A worker from its start until the log is at its end, or until it dies.
async fn work(lake: &Lake, writer: &str) -> Result<(), ChainError> {
    let mut chain = open(lake, writer).await?;
    while chain.position().end < LOG_END {
        let lane = if chain.position().sealed.contains(&day()) { Lane::Late } else { Lane::Live };
        match claim_next(&mut chain, lane).await? {
            Claimed::Committed { .. } | Claimed::Rerouted(_) => {}
            Claimed::Lost(winner) => panic!("nobody else claims, but {winner:?}"),
        }
    }
    Ok(())
}

/// Every offset in every file under a glob, sorted.
async fn published(lake: &Lake) -> Vec<u64> {
    let mut offsets = Vec::new();
    for object in lake.list("").await.unwrap() {
        if LivePlace::parse(&object.key).is_some() {
            let bytes = lake.read(&object.key).await.unwrap().unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let (_, list) = text.split_once(':').unwrap();
            offsets.extend(list.split(',').map(|offset| offset.parse::<u64>().unwrap()));
        }
    }
    offsets.sort_unstable();
    offsets
}

fn all_offsets() -> Vec<u64> {
    (0..LOG_END).collect()
}

/// Dies at every operation, before and after it was done, and once more while recovering; then a last writer finishes.
async fn assert_nothing_is_lost_or_doubled_wherever_it_dies(new_store: impl Fn() -> Arc<dyn ObjectStore>) {
    let counting = Arc::new(FaultyStore::with_faults(new_store(), &[]));
    work(&lake_over(counting.clone()), "w1").await.unwrap();
    let operations = counting.operation_count();
    assert!(operations > 40, "{operations}");
    for death in [Death::Before, Death::After] {
        for first in 0..operations {
            let store = new_store();
            let dying =
                |operations| lake_over(Arc::new(FaultyStore::dying(store.clone(), operations, death)));
            let died = work(&dying(first), "w1").await;
            assert!(died.is_err() || first + 8 > operations, "{death:?} at {first}");
            // The second writer dies too, at a place that moves with the first one's.
            let _ = work(&dying(first % 13), "w2").await;
            let lake = lake_over(store.clone());
            work(&lake, "w3").await.unwrap();
            assert_eq!(published(&lake).await, all_offsets(), "{death:?} at {first}");
        }
    }
}

#[tokio::test]
async fn a_writer_may_die_at_every_operation() {
    assert_nothing_is_lost_or_doubled_wherever_it_dies(memory).await;
}

#[tokio::test]
async fn a_writer_may_die_at_every_operation_on_a_real_folder() {
    let root = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    assert_nothing_is_lost_or_doubled_wherever_it_dies(|| {
        let folder = root.path().join(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        std::fs::create_dir(&folder).unwrap();
        Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap())
    })
    .await;
}

#[tokio::test]
async fn lost_replies_and_false_conflicts_change_nothing() {
    use PutFault::{BeforeWrite, None, OwnWriteMet, ReplyLost, TakenByNothing};
    let plan = [ReplyLost, None, OwnWriteMet, BeforeWrite, TakenByNothing, ReplyLost, BeforeWrite].repeat(20);
    for shift in 0..7 {
        let store = memory();
        work(&lake_over(Arc::new(FaultyStore::with_faults(store.clone(), &plan[shift..]))), "w1")
            .await
            .unwrap();
        assert_eq!(published(&lake_over(store)).await, all_offsets(), "{shift}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_claim_is_settled_by_the_same_claim() {
    // Entry 0, two staged files, and then a claim whose four tries all fail, the last one after it was written.
    let faults = [
        vec![PutFault::None; 3],
        vec![PutFault::BeforeWrite, PutFault::BeforeWrite, PutFault::BeforeWrite, PutFault::Denied],
    ];
    let store = memory();
    let lake = lake_over(Arc::new(FaultyStore::with_faults(store.clone(), &faults.concat())));
    let mut chain = open(&lake, "w1").await.unwrap();
    let error = claim_next(&mut chain, Lane::Live).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("make claim 1 of shard 3"), "{error}");
    assert!(matches!(claim_next(&mut chain, Lane::Live).await, Err(ChainError::Unsettled { seq: 1, .. })));
    assert_eq!(chain.settle().await.unwrap(), Claimed::Committed { seq: 1 });
    assert_eq!(published(&lake_over(store)).await, (0..10).collect::<Vec<_>>());
    assert!(matches!(chain.settle().await, Err(ChainError::NothingToSettle { .. })));
}

#[tokio::test]
async fn a_paused_writer_loses_the_shard_and_leaves_nothing_behind() {
    let lake = lake_over(memory());
    let (mut old, mut new) = (open(&lake, "w1").await.unwrap(), open(&lake, "w2").await.unwrap());
    assert_eq!(claim_next(&mut new, Lane::Live).await.unwrap(), Claimed::Committed { seq: 1 });
    let lost = claim_next(&mut old, Lane::Live).await.unwrap();
    assert!(matches!(lost, Claimed::Lost(winner) if winner.writer.id == "w2"));
    assert_eq!(published(&lake).await, (0..10).collect::<Vec<_>>());
    assert!(!lake.list("").await.unwrap().iter().any(|object| is_stage_key(&object.key)));
}

#[tokio::test]
async fn staged_files_are_used_again_after_a_seal_came_first() {
    let lake = lake_over(memory());
    let mut chain = open(&lake, "w1").await.unwrap();
    let sealer = open(&lake, "seal").await.unwrap();
    let other_day = Day::parse("2026-11-20").unwrap();
    let body = Body::Seal(Seal { date: other_day.clone(), generation: Generation::FIRST });
    assert_eq!(sealer.append_note(body, now()).await.unwrap(), 1);
    let files = vec![stage(&mut chain, Lane::Live, 0..10).await.unwrap()];
    let first = draft(chain.position(), files);
    let Claimed::Rerouted(entries) = chain.claim(first.clone(), now()).await.unwrap() else {
        panic!("the seal was not met");
    };
    assert!(entries.len() == 1 && chain.position().sealed.contains(&other_day));
    assert_eq!(chain.claim(first, now()).await.unwrap(), Claimed::Committed { seq: 2 });
    assert_eq!(published(&lake).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn days_with_an_open_generation_are_sealed_for_a_new_chain() {
    let lake = lake_over(memory());
    lake.create(&open_key(&day(), Generation::FIRST), "{}".into()).await.unwrap();
    for writer in ["w1", "w2"] {
        assert!(
            open(&lake, writer).await.unwrap().position().sealed.contains(&day()),
            "before the first claim"
        );
    }
    work(&lake, "w3").await.unwrap();
    assert!(open(&lake, "w4").await.unwrap().position().sealed.contains(&day()));
    assert!(lake.has_any("late").await.unwrap() && !lake.has_any("events").await.unwrap());
}

#[tokio::test]
async fn a_gap_moves_the_shard_past_what_is_lost() {
    let lake = lake_over(memory());
    let body = Body::Gap(Gap { from: 0, to: 25, reason: "retention".into(), by: "ana".into() });
    open(&lake, "ana").await.unwrap().append_note(body, now()).await.unwrap();
    let chain = open(&lake, "w1").await.unwrap();
    assert_eq!((chain.position().floor, chain.position().end), (25, 25));
}

#[tokio::test]
async fn only_staged_keys_are_deleted() {
    let lake = lake_over(memory());
    let key = "events/gen=000/date=2026-11-24/hour=07/x.parquet";
    lake.create(key, "evidence".into()).await.unwrap();
    lake.create("stage/w/a", "staged".into()).await.unwrap();
    lake.delete_staged(&[key.into(), "stage/w/a".into(), "stage/w/never".into()]).await.unwrap();
    assert!(lake.exists(key).await.unwrap() && !lake.exists("stage/w/a").await.unwrap());
}

#[test]
fn a_writer_s_name_can_stand_in_a_key() {
    assert!(Writer::new("host-1-0f3a").is_ok());
    for bad in ["", "a/b", "A", "a b", "..", &"a".repeat(65)] {
        assert!(Writer::new(bad).is_err(), "{bad:?}");
    }
}
