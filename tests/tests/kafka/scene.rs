//! What the tests share: one broker, log topics, and an `Accept` that counts.

use async_trait::async_trait;
use bytes::Bytes;
use corridor_intake::kafka::{KafkaClient, KafkaConfig};
use corridor_intake::log::kafka::{CreateTopic, KafkaLog, KafkaLogSettings};
use corridor_intake::log::{Log, LogError, LogReader, NewRecord, StoredRecord};
use corridor_intake::{Accept, Accepted, Delivery, Refusal};
use corridor_tests::broker::{Broker, clock};
use corridor_tests::issuer::{Issuer, Mood};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The broker of all tests that do not stop it, and the issuer whose tokens it takes. Both end with the process.
pub struct Scene {
    pub broker: Broker,
    pub issuer: Issuer,
}

pub fn scene() -> &'static Scene {
    static SCENE: LazyLock<Scene> = LazyLock::new(|| {
        let issuer = Issuer::start(Mood::Gives(12));
        let broker = Broker::start_with_sasl(&issuer.keys_url());
        Scene { broker, issuer }
    });
    &SCENE
}

pub fn client(config: KafkaConfig) -> KafkaClient {
    KafkaClient::new(config, clock()).expect("the scene is as it was set up")
}

pub fn settings(topic: &str, shards: u32) -> KafkaLogSettings {
    let create = CreateTopic { replication: 1, retention_ms: None, max_message_bytes: 200_000 };
    KafkaLogSettings {
        topic: topic.into(),
        shards,
        group: format!("{topic}-readers"),
        compression: Default::default(),
        create_topic: Some(create),
        retention_min: None,
    }
}

pub async fn open(topic: &str, shards: u32) -> KafkaLog {
    KafkaLog::open(client(scene().broker.config()), settings(topic, shards))
        .await
        .expect("the scene is as it was set up")
}

pub fn record(shard: u32, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord { shard, key: Bytes::from_static(b"key"), payload: payload.into() }
}

/// Reads until `count` records came.
pub async fn read(reader: &mut dyn LogReader, count: usize) -> Vec<StoredRecord> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} records came", records.len());
        records.extend(
            reader.read(1 << 20, Duration::from_millis(200)).await.expect("the scene is as it was set up"),
        );
    }
    records
}

/// Reads a whole shard as text.
pub async fn read_all(log: &dyn Log, shard: u32) -> Vec<String> {
    let bounds = log.bounds(shard).await.expect("the scene is as it was set up");
    let mut reader = log.reader(shard, bounds.start).await.expect("the scene is as it was set up");
    let records = read(
        reader.as_mut(),
        usize::try_from(bounds.end - bounds.start).expect("the scene is as it was set up"),
    )
    .await;
    records
        .into_iter()
        .map(|record| String::from_utf8(record.payload.to_vec()).expect("the scene is as it was set up"))
        .collect()
}

/// Why a log could not be opened or used.
pub fn reason<T>(outcome: Result<T, LogError>) -> String {
    outcome.err().map(|error| format!("{error}")).unwrap_or_default()
}

/// Waits for something to become true.
pub async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < deadline, "it did not come to this: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Counts deliveries by their content, and refuses those that `refuses` picks.
pub struct Counter {
    seen: Mutex<BTreeMap<String, Vec<Delivery>>>,
    refuses: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Counter {
    pub fn new(refuses: impl Fn(&str) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), refuses: Box::new(refuses) })
    }

    pub fn distinct(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn times(&self, body: &str) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(body).map_or(0, Vec::len)
    }

    pub fn total(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    pub fn first(&self, body: &str) -> Delivery {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(body).unwrap_or_else(|| panic!("{body} was not delivered"))[0].clone()
    }
}

#[async_trait]
impl Accept for Counter {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, Refusal> {
        let body = String::from_utf8_lossy(&delivery.body).into_owned();
        // Later ones overtake earlier ones.
        let pause = delivery.origin.byte_offset % 7;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if (self.refuses)(&body) {
            return Err(Refusal::Busy { retry_after: Duration::from_millis(50), reason: "the test".into() });
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(body).or_default().push(delivery);
        Ok(Accepted { events: 1, rejects: 0 })
    }
}
