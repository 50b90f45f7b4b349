use super::*;
use corridor_testkit::{Fault, FaultyStore};
use object_store::memory::InMemory;

const KEY: &str = "events/gen=001/date=2026-11-24/hour=07/00000.parquet";

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn lake_over(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::new(store, Path::from("audit/prod"), StoreKind::ObjectStore, "memory://audit/prod")
}

/// What every store must do; run against memory and a folder here, and against services elsewhere.
async fn assert_store_contract(lake: &Lake) {
    assert_eq!(lake.read(KEY).await.unwrap(), None);
    assert!(!lake.exists(KEY).await.unwrap());
    assert!(!lake.has_any("events").await.unwrap());
    assert_eq!(lake.create(KEY, "one".into()).await.unwrap(), Created::New);
    assert_eq!(lake.create(KEY, "one".into()).await.unwrap(), Created::AlreadyThere);
    assert_eq!(lake.create(KEY, "two".into()).await.unwrap(), Created::OtherContent);
    assert_eq!(lake.create(KEY, "longer".into()).await.unwrap(), Created::OtherContent);
    assert_eq!(lake.read(KEY).await.unwrap(), Some("one".into()));
    assert!(lake.exists(KEY).await.unwrap());
    assert_eq!(lake.create("seals/a.csv", Bytes::new()).await.unwrap(), Created::New);
    assert_eq!(lake.create("seals/a.csv", Bytes::new()).await.unwrap(), Created::AlreadyThere);
    let keys = |found: Vec<ObjectFacts>| found.into_iter().map(|f| (f.key, f.bytes)).collect::<Vec<_>>();
    assert_eq!(keys(lake.list("").await.unwrap()), vec![(KEY.into(), 3), ("seals/a.csv".into(), 0)]);
    assert_eq!(keys(lake.list("seals").await.unwrap()), vec![("seals/a.csv".into(), 0)]);
    assert_eq!(keys(lake.list("sea").await.unwrap()), vec![], "a folder, not a start of a name");
    let chunks: Vec<Bytes> = lake.read_chunks(KEY).await.unwrap().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"one");
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    assert_store_contract(&lake_over(memory())).await;
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let lake = open_lake(root.path().join("new lake").to_str().unwrap()).unwrap();
    assert_store_contract(&lake).await;
    assert_eq!(lake.kind(), StoreKind::LocalFolder);
}

/// With `CORRIDOR_TEST_STORE=az://container/unused-prefix` (and the emulator's variables) the contract of a service.
#[tokio::test]
async fn the_service_named_in_the_environment_keeps_the_contract() {
    if let Ok(url) = std::env::var("CORRIDOR_TEST_STORE") {
        assert_store_contract(&open_lake(&format!("{url}/contract")).unwrap()).await;
    }
}

#[tokio::test]
async fn a_store_that_loses_a_reply_keeps_the_contract() {
    let faulty = FaultyStore::with_faults(memory(), &[Fault::None, Fault::ReplyLost, Fault::BeforeWrite]);
    assert_store_contract(&lake_over(Arc::new(faulty))).await;
}

#[tokio::test]
async fn a_create_finds_out_what_a_lost_reply_meant() {
    use Fault::{BeforeWrite, OwnWriteMet, ReplyLost, TakenByNothing};
    let cases = [
        ("no fault", vec![], Created::New),
        ("lost before the write", vec![BeforeWrite], Created::New),
        ("lost after the write", vec![ReplyLost], Created::AlreadyThere),
        ("lost, then repeated and lost", vec![BeforeWrite, ReplyLost], Created::AlreadyThere),
        ("own write met by the client's retry", vec![OwnWriteMet], Created::AlreadyThere),
        ("taken by blocks of a broken upload", vec![TakenByNothing], Created::New),
    ];
    for (name, faults, want) in cases {
        let lake = lake_over(Arc::new(FaultyStore::with_faults(memory(), &faults)));
        assert_eq!(lake.create(KEY, "one".into()).await.unwrap(), want, "{name}");
        assert_eq!(lake.read(KEY).await.unwrap(), Some("one".into()), "{name}");
    }
}

#[tokio::test]
async fn a_lost_reply_never_hides_that_another_writer_won() {
    let store = memory();
    lake_over(store.clone()).create(KEY, "theirs".into()).await.unwrap();
    let lake = lake_over(Arc::new(FaultyStore::with_faults(store, &[Fault::BeforeWrite])));
    assert_eq!(lake.create(KEY, "ours".into()).await.unwrap(), Created::OtherContent);
}

#[tokio::test]
async fn a_create_gives_up_after_its_attempts_and_says_what_it_tried() {
    let lake = lake_over(Arc::new(FaultyStore::with_faults(memory(), &[Fault::BeforeWrite; 4])));
    let error = lake.create(KEY, "one".into()).await.unwrap_err();
    assert_eq!(error.problem(), Some(Problem::NoAnswer));
    for part in ["create events/gen=001", "memory://audit/prod", "run the same command again"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let faulty = Arc::new(FaultyStore::with_faults(memory(), &[Fault::Denied]));
    let error = lake_over(faulty.clone()).create(KEY, "one".into()).await.unwrap_err();
    assert_eq!((error.problem(), faulty.operation_count()), (Some(Problem::Denied), 1));
}

#[tokio::test]
async fn a_folder_without_the_right_to_write_is_named() {
    let root = tempfile::tempdir().unwrap();
    let lake = open_lake(root.path().to_str().unwrap()).unwrap();
    // A file where a folder is needed fails for every user, also for root, who may write anywhere.
    std::fs::write(root.path().join("events"), "in the way").unwrap();
    let error = lake.create(KEY, "one".into()).await.unwrap_err();
    assert_eq!(error.problem(), Some(Problem::FileSystem));
    assert!(error.to_string().contains(root.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_full_disk_is_told_from_other_trouble() {
    use std::io::{Error, ErrorKind};
    let cases = [
        (ErrorKind::StorageFull, Problem::Full),
        (ErrorKind::QuotaExceeded, Problem::Full),
        (ErrorKind::PermissionDenied, Problem::Denied),
        (ErrorKind::ReadOnlyFilesystem, Problem::Denied),
        (ErrorKind::ConnectionRefused, Problem::NoAnswer),
    ];
    for (kind, want) in cases {
        let source = object_store::Error::Generic { store: "x", source: Box::new(Error::from(kind)) };
        let error = StoreError::failed(Action::Create, KEY, "lake", source);
        assert_eq!(error.problem(), Some(want), "{kind:?}");
    }
}

#[test]
fn a_document_of_the_service_becomes_one_line_with_its_meaning() {
    let text = "Server returned non-2xx status code: 404 Not Found: <?xml version=\"1.0\"?>\n<Error>\n  \
                <Code>ContainerNotFound</Code>\n <Message>The container does not exist.\nRequestId:1</Message></Error>";
    let source = object_store::Error::Generic { store: "MicrosoftAzure", source: text.into() };
    let error = StoreError::failed(Action::List, "ctl", "az://lake", source);
    assert_eq!(error.problem(), Some(Problem::Missing));
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "Generic MicrosoftAzure error: Server returned non-2xx status code: 404 Not Found: ContainerNotFound \
         The container does not exist. RequestId:1"
    );
}

#[tokio::test]
async fn a_source_may_be_one_object_or_all_under_a_prefix() {
    let store = memory();
    let lake = lake_over(store.clone());
    lake.create("in/a.json", "{}".into()).await.unwrap();
    lake.create("in/b.json", "{}".into()).await.unwrap();
    let source = |path: &str| Lake::new(store.clone(), path.into(), StoreKind::ObjectStore, path);
    let keys = |found: Vec<ObjectFacts>| found.into_iter().map(|f| f.key).collect::<Vec<_>>();
    assert_eq!(keys(source("audit/prod/in").find_inputs().await.unwrap()), ["a.json", "b.json"]);
    let one = source("audit/prod/in/a.json");
    assert_eq!(keys(one.find_inputs().await.unwrap()), [""]);
    assert_eq!(one.read("").await.unwrap(), Some("{}".into()));
}
