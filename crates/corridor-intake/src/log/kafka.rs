//! Kafka log: one topic whose partitions are the shards.
//!
//! - In: records with their shard; the broker stamps the append time.
//! - Out: a [`Log`], after the topic was found fit for it.
//! - Keeps: one idempotent producer, made again after a fatal error or a refused password.
//! - Invariants: an append is Ok only when all replicas in sync have every record. Every acknowledgement and every record that is
//!   read shows that the broker stamps the time; a topic that stops doing so stops the worker.

mod reader;

mod topic;

use crate::kafka::client::{Events, KafkaClient, METADATA_WAIT, blocking, fetch_cluster_id};
use crate::kafka::membership::Advice;
use crate::kafka::{KafkaError, Profile};
use crate::log::{Bounds, Log, LogError, LogIdentity, LogReader, NewRecord};
use async_trait::async_trait;
use rdkafka::Timestamp;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the topic is like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaLogSettings {
    /// Its name.
    pub topic: String,
    /// Number of partitions that it must have.
    pub shards: u32,
    /// Group name that readers show; they join no group.
    #[serde(default = "default_group")]
    pub group: String,
    /// How records are compressed. Ignored with the Event Hubs profile, which takes them plain.
    #[serde(default)]
    pub compression: Compression,
    /// Set to have the topic made when it is missing.
    pub create_topic: Option<CreateTopic>,
    /// Retention that it must have at least; from the wait of the join, not from the file.
    #[serde(skip)]
    pub retention_min: Option<Duration>,
}

fn default_group() -> String {
    "corridor".into()
}

/// How records are compressed on their way and in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast.
    #[default]
    Lz4,
    /// Small.
    Zstd,
}

impl Compression {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// A topic to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopic {
    /// Copies of each partition.
    pub replication: i32,
    /// How long records are kept, in milliseconds; the cluster's default when absent.
    pub retention_ms: Option<u64>,
    /// Largest record, in bytes.
    #[serde(default = "default_record_bytes")]
    pub max_message_bytes: u32,
}

impl CreateTopic {
    /// With so many copies, and otherwise as the cluster and the largest record want it.
    pub fn replicated(replication: i32) -> Self {
        Self { replication, retention_ms: None, max_message_bytes: default_record_bytes() }
    }
}

/// Room for a record of the largest size that intake parses, refined.
fn default_record_bytes() -> u32 {
    24 * 1024 * 1024
}

/// librdkafka's own limit, for a topic whose limit cannot be asked.
const RECORD_BYTES_UNKNOWN: usize = 1_000_000;

/// What a record costs beside its key and payload.
const RECORD_OVERHEAD_BYTES: usize = 512;

/// How long an append waits for room in the producer's queue.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(10);
const ROOM_POLL: Duration = Duration::from_millis(5);

/// Properties of the producer that profile and operator may change.
const PRODUCER: &[(&str, &str)] = &[
    ("linger.ms", "5"),
    ("message.timeout.ms", "30000"),
    ("queue.buffering.max.kbytes", "131072"),
    ("queue.buffering.max.messages", "500000"),
    ("retry.backoff.ms", "100"),
];

/// Properties of the producer that carry the guarantee.
const PRODUCER_GUARANTEES: &[(&str, &str)] = &[("enable.idempotence", "true"), ("acks", "all")];

/// A topic as the log.
pub struct KafkaLog {
    shared: Arc<Shared>,
}

/// What the log and its readers share.
struct Shared {
    client: KafkaClient,
    settings: KafkaLogSettings,
    identity: LogIdentity,
    record_bytes_max: usize,
    producer: Mutex<Connection>,
    advice: Mutex<Option<Advice>>,
}

/// A producer and what it reports.
#[derive(Clone)]
struct Connection {
    producer: FutureProducer<Events>,
    events: Events,
}

impl KafkaLog {
    /// Connects, and checks that the topic can be the log. Creates nothing unless `create_topic` says so.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when the cluster cannot be reached, [`LogError::Unusable`] when the topic does not fit; it names
    /// the setting and the command that corrects it.
    pub async fn open(client: KafkaClient, settings: KafkaLogSettings) -> Result<Self, LogError> {
        client.ready().await?;
        let found = topic::prepare(&client, &settings).await?;
        let record_bytes_max = found.record_bytes_max.unwrap_or(RECORD_BYTES_UNKNOWN);
        let connection = Connection::make(&client, &settings, record_bytes_max)?;
        let (probe, wanted) = (connection.clone(), settings.clone());
        let cluster = blocking(move || probe.find_topic(&wanted)).await??;
        if !found.is_time_checked {
            connection.probe_time(&settings.topic).await?;
        }
        let identity = LogIdentity { cluster, topic: settings.topic.clone() };
        let producer = Mutex::new(connection);
        let advice = Mutex::new(None);
        let shared = Shared { client, settings, identity, record_bytes_max, producer, advice };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// From now on released positions are committed as advice.
    pub fn advise(&self, advice: Advice) {
        *self.shared.advice.lock().unwrap_or_else(PoisonError::into_inner) = Some(advice);
    }

    /// Largest key and payload, together, that the topic takes.
    fn record_room(&self) -> usize {
        self.shared.record_bytes_max - RECORD_OVERHEAD_BYTES
    }

    fn check_sizes(&self, records: &[NewRecord]) -> Result<(), LogError> {
        for record in records {
            let bytes = record.key.len() + record.payload.len();
            if bytes > self.record_room() {
                return Err(LogError::Unusable(topic::too_large(
                    &self.shared.settings.topic,
                    bytes,
                    self.shared.record_bytes_max,
                )));
            }
        }
        Ok(())
    }
}

impl Connection {
    fn make(
        client: &KafkaClient,
        settings: &KafkaLogSettings,
        record_bytes_max: usize,
    ) -> Result<Self, KafkaError> {
        let events = client.events("log");
        let mut properties = client.settings_with(PRODUCER, PRODUCER_GUARANTEES)?;
        if client.config().profile == Profile::Kafka {
            // A batch is refused as a whole when it is larger than the topic's limit for one record.
            properties.set("message.max.bytes", record_bytes_max.to_string());
            if client.config().effective("compression.type").is_none() {
                properties.set("compression.type", settings.compression.as_str());
            }
        }
        let made = properties.create_with_context(events.clone());
        let producer = made.map_err(crate::kafka::client::settings_error)?;
        Ok(Self { producer, events })
    }

    /// The cluster's id, after the topic was found with the right number of partitions.
    fn find_topic(&self, settings: &KafkaLogSettings) -> Result<String, KafkaError> {
        let cluster = fetch_cluster_id(&self.producer, &self.events)?;
        // Asking for one topic could make it, where brokers make topics that are asked for: so ask for all.
        let metadata = self
            .producer
            .client()
            .fetch_metadata(None, METADATA_WAIT)
            .map_err(|error| self.events.unavailable("list the topics", &error))?;
        let found = metadata.topics().iter().find(|topic| topic.name() == settings.topic);
        let found = found.ok_or_else(|| KafkaError::Unusable(topic::missing(settings)))?;
        if let Some(error) = found.error() {
            let code = RDKafkaErrorCode::from(error);
            return Err(KafkaError::Unavailable(format!("find topic {}: {code}", settings.topic)));
        }
        topic::check_partitions(settings, found.partitions().len())?;
        Ok(cluster)
    }

    /// Appends an empty record, which readers leave out, and looks who stamped it: for clusters that do not show a topic's settings.
    async fn probe_time(&self, topic: &str) -> Result<(), LogError> {
        let record = FutureRecord::<[u8], [u8]>::to(topic).partition(0).key(b"corridor-probe");
        let sent = self.producer.send_result(record).map_err(|(error, _)| error);
        let delivery = match sent {
            Ok(delivery) => delivery.await.unwrap_or(Err((ClientError::Canceled, rdkafka_message(topic)))),
            Err(error) => Err((error, rdkafka_message(topic))),
        };
        self.check_delivery(topic, delivery)
    }

    fn check_delivery(&self, topic: &str, delivery: OwnedDeliveryResult) -> Result<(), LogError> {
        match delivery {
            Ok(delivery) => match delivery.timestamp {
                Timestamp::LogAppendTime(_) => Ok(()),
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => {
                    Err(LogError::Unusable(topic::wrong_time(topic)))
                }
            },
            Err((error, message)) => Err(self.to_log_error(topic, &error, message_bytes(&message))),
        }
    }

    fn to_log_error(&self, topic: &str, error: &ClientError, bytes: usize) -> LogError {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::MessageBatchTooLarge,
            ) => LogError::Unusable(topic::refused_as_too_large(topic, bytes)),
            Some(_) | None => {
                LogError::Unavailable(self.events.explain(&format!("append to {topic}"), error))
            }
        }
    }

    /// It will not deliver any more, or only with another password.
    fn is_spent(&self) -> bool {
        self.producer.client().fatal_error().is_some() || self.events.was_refused()
    }
}

fn rdkafka_message(topic: &str) -> rdkafka::message::OwnedMessage {
    rdkafka::message::OwnedMessage::new(None, None, topic.into(), Timestamp::NotAvailable, 0, 0, None)
}

fn message_bytes(message: &rdkafka::message::OwnedMessage) -> usize {
    use rdkafka::Message;
    message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len)
}

impl Shared {
    fn connection(&self) -> Connection {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A producer that can work: a spent one is replaced.
    fn working_connection(&self) -> Result<Connection, LogError> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_spent() {
            tracing::warn!(topic = %self.settings.topic, "the producer of the log is made again");
            let fresh = Connection::make(&self.client, &self.settings, self.record_bytes_max)?;
            let spent = std::mem::replace(&mut *current, fresh);
            // The last owner waits for librdkafka's threads, which must not hold up the runtime.
            drop(tokio::task::spawn_blocking(move || drop(spent)));
        }
        Ok(current.clone())
    }

    async fn enqueue(&self, connection: &Connection, record: &NewRecord) -> Result<DeliveryFuture, LogError> {
        let topic = &self.settings.topic;
        let deadline = tokio::time::Instant::now() + ROOM_WAIT_MAX;
        let partition = i32::try_from(record.shard).unwrap_or(i32::MAX);
        loop {
            let message = FutureRecord::to(topic)
                .partition(partition)
                .key(&record.key[..])
                .payload(&record.payload[..]);
            match connection.producer.send_result(message) {
                Ok(delivery) => return Ok(delivery),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    if tokio::time::Instant::now() >= deadline {
                        let waiting = connection.producer.in_flight_count();
                        return Err(LogError::Full(format!(
                            "{waiting} records wait for the brokers of topic {topic}"
                        )));
                    }
                    tokio::time::sleep(ROOM_POLL).await;
                }
                Err((error, _)) => {
                    let bytes = record.key.len() + record.payload.len();
                    return Err(connection.to_log_error(topic, &error, bytes));
                }
            }
        }
    }

    async fn bounds(&self, shard: u32) -> Result<Bounds, LogError> {
        let connection = self.connection();
        let topic = self.settings.topic.clone();
        let partition = i32::try_from(shard).unwrap_or(i32::MAX);
        let asked = blocking(move || {
            let bounds = connection.producer.client().fetch_watermarks(&topic, partition, METADATA_WAIT);
            bounds.map_err(|error| {
                connection.events.unavailable(&format!("ask for the bounds of {topic}/{partition}"), &error)
            })
        });
        let (start, end) = asked.await??;
        Ok(Bounds { start: u64::try_from(start).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn identity(&self) -> LogIdentity {
        self.shared.identity.clone()
    }

    fn shard_count(&self) -> u32 {
        self.shared.settings.shards
    }

    fn record_bytes_max(&self) -> usize {
        self.record_room()
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.check_sizes(&records)?;
        let connection = self.shared.working_connection()?;
        let mut deliveries = Vec::with_capacity(records.len());
        for record in &records {
            deliveries.push(self.shared.enqueue(&connection, record).await?);
        }
        for delivery in deliveries {
            let topic = &self.shared.settings.topic;
            let cut_off = |_| LogError::Unavailable(format!("append to {topic}: the producer was stopped"));
            connection.check_delivery(topic, delivery.await.map_err(cut_off)?)?;
        }
        connection.events.clear();
        Ok(())
    }

    async fn bounds(&self, shard: u32) -> Result<Bounds, LogError> {
        self.shared.bounds(shard).await
    }

    async fn reader(&self, shard: u32, from: u64) -> Result<Box<dyn LogReader>, LogError> {
        let reader = reader::KafkaReader::open(Arc::clone(&self.shared), shard, from).await?;
        Ok(Box::new(reader))
    }

    async fn release(&self, shard: u32, floor: u64) -> Result<(), LogError> {
        // Retention deletes; the position is only shown to those who look at the group's lag.
        if let Some(advice) = &*self.shared.advice.lock().unwrap_or_else(PoisonError::into_inner) {
            advice.commit(shard, floor);
        }
        Ok(())
    }
}

impl From<KafkaError> for LogError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::Unavailable(text) => Self::Unavailable(text),
            KafkaError::Token(_) => Self::Unavailable(error.to_string()),
            KafkaError::Unusable(text) => Self::Unusable(text),
            KafkaError::Settings(_) => Self::Unusable(error.to_string()),
            // A file that is being replaced may be missing for a moment.
            KafkaError::SecretFile { ref source, .. } => Self::Unavailable(format!("{error}: {source}")),
        }
    }
}
