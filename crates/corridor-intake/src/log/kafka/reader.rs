//! Reader: one shard's records in order, by a consumer of its own.
//!
//! - In: an offset; no group decides where it reads.
//! - Out: records as stored. Empty ones (probes) are left out.
//! - Keeps: what librdkafka has fetched ahead, a few megabytes; who does not read is not sent more.
//! - Invariants: never jumps. An offset that is not there is an error, and the reader stays at it.

use super::{Shared, topic};
use crate::kafka::client::{Events, is_refusal, settings_error};
use crate::log::{Bounds, LogError, LogReader, StoredRecord};
use async_trait::async_trait;
use bytes::Bytes;
use corridor_model::Micros;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, Timestamp, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Properties that profile and operator may change.
const READER: &[(&str, &str)] = &[
    ("queued.max.messages.kbytes", "8192"),
    ("queued.min.messages", "20000"),
    ("fetch.message.max.bytes", "2097152"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "200"),
    // After a full queue the default sleeps a second.
    ("fetch.queue.backoff.ms", "10"),
];

/// Properties that carry the guarantee.
const READER_GUARANTEES: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
];

/// librdkafka is asked at least this often, so that it can renew its token.
const TICK: Duration = Duration::from_millis(100);

/// A poll that served an event gives no message, as does one that found nothing: so ask again a few times.
const EMPTY_POLLS: u32 = 4;

/// Reads one shard.
pub(super) struct KafkaReader {
    shared: Arc<Shared>,
    /// None only while it is dropped.
    consumer: Option<BaseConsumer<Events>>,
    events: Events,
    arrived: Arc<Notify>,
    shard: u32,
    next: u64,
    newest: Micros,
    trouble: Option<Trouble>,
}

impl KafkaReader {
    pub(super) async fn open(shared: Arc<Shared>, shard: u32, from: u64) -> Result<Self, LogError> {
        check_within(&shared, shard, from, shared.bounds(shard).await?)?;
        let events = shared.client.events("log reader");
        let mut settings = shared.client.settings_with(READER, READER_GUARANTEES)?;
        // librdkafka hands messages to the polled queue only with a group; it is not joined.
        settings.set("group.id", &shared.settings.group);
        let made = settings.create_with_context(events.clone());
        let mut consumer: BaseConsumer<Events> = made.map_err(settings_error)?;
        let arrived = Arc::new(Notify::new());
        let signal = Arc::clone(&arrived);
        consumer.set_nonempty_callback(move || signal.notify_one());
        let mut start = TopicPartitionList::new();
        let offset = i64::try_from(from).unwrap_or(i64::MAX);
        let partition = i32::try_from(shard).unwrap_or(i32::MAX);
        let tried = format!("read {}/{shard} from offset {from}", shared.settings.topic);
        start
            .add_partition_offset(&shared.settings.topic, partition, Offset::Offset(offset))
            .and_then(|()| consumer.assign(&start))
            .map_err(|error| events.unavailable(&tried, &error))?;
        let consumer = Some(consumer);
        let newest = Micros(i64::MIN);
        Ok(Self { shared, consumer, events, arrived, shard, next: from, newest, trouble: None })
    }

    /// Takes what has arrived, up to `bytes_max` or to trouble, which is told when nothing before it is left to give.
    fn take(&mut self, bytes_max: usize) -> Vec<StoredRecord> {
        let mut records = Vec::new();
        let Some(consumer) = &self.consumer else { return records };
        let (mut bytes, mut empty_polls) = (0, 0);
        while self.trouble.is_none() && bytes < bytes_max && empty_polls < EMPTY_POLLS {
            match consumer.poll(Duration::ZERO) {
                None => empty_polls += 1,
                Some(Ok(message)) => {
                    empty_polls = 0;
                    match to_record(&message, &mut self.newest) {
                        Ok(Some(record)) => {
                            bytes += record.payload.len();
                            self.next = record.offset + 1;
                            records.push(record);
                        }
                        Ok(None) => self.next = u64::try_from(message.offset()).unwrap_or(0) + 1,
                        Err(WrongTime) => self.trouble = Some(Trouble::WrongTime),
                    }
                }
                Some(Err(error)) => self.trouble = Trouble::of(&error),
            }
        }
        records
    }

    /// The error for `trouble`. Only what librdkafka recovers from by itself is forgotten by it.
    async fn explain(&mut self, trouble: Trouble) -> LogError {
        let topic = &self.shared.settings.topic;
        let tried = format!("read {topic}/{} at offset {}", self.shard, self.next);
        match trouble {
            Trouble::WrongTime => LogError::Unusable(topic::wrong_time(topic)),
            Trouble::Damaged(code) => {
                LogError::Unavailable(format!("{tried}: {code}; open the reader again"))
            }
            Trouble::Passing(error) => {
                self.trouble = None;
                LogError::Unavailable(self.events.explain(&tried, &error))
            }
            Trouble::NotThere => match self.shared.bounds(self.shard).await {
                Err(error) => error,
                Ok(bounds) => match check_within(&self.shared, self.shard, self.next, bounds) {
                    Err(error) => error,
                    Ok(()) => LogError::Unavailable(format!(
                        "{tried}: the broker said that it is not there, and now it is; open the reader again"
                    )),
                },
            },
        }
    }
}

#[async_trait]
impl LogReader for KafkaReader {
    async fn read(&mut self, bytes_max: usize, patience: Duration) -> Result<Vec<StoredRecord>, LogError> {
        let deadline = Instant::now() + patience;
        loop {
            // Nothing is awaited between taking and returning, so a dropped call loses nothing.
            let records = self.take(bytes_max);
            if !records.is_empty() {
                self.events.clear();
                return Ok(records);
            }
            if let Some(trouble) = self.trouble.clone() {
                return Err(self.explain(trouble).await);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(records);
            }
            let _ = tokio::time::timeout(left.min(TICK), self.arrived.notified()).await;
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        // Closing waits for librdkafka's threads, which may wait for a broker: not on a thread of the runtime.
        let consumer = self.consumer.take();
        let spawned = std::thread::Builder::new().name("kafka-close".into()).spawn(move || drop(consumer));
        drop(spawned);
    }
}

/// What a read can meet besides records.
#[derive(Clone)]
enum Trouble {
    /// The offset is not there.
    NotThere,
    /// The topic does not stamp the broker's time.
    WrongTime,
    /// What the broker sent fails its checksum, or the client has given up.
    Damaged(RDKafkaErrorCode),
    /// Worth telling, and over when the cause is.
    Passing(ClientError),
}

impl Trouble {
    /// None for what librdkafka deals with on its own: a connection that broke is made again.
    fn of(error: &ClientError) -> Option<Self> {
        match error.rdkafka_error_code()? {
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::LogTruncation => Some(Self::NotThere),
            code @ (RDKafkaErrorCode::Fatal | RDKafkaErrorCode::BadMessage) => Some(Self::Damaged(code)),
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => Some(Self::Passing(error.clone())),
            code if is_refusal(code) => Some(Self::Passing(error.clone())),
            _ => None,
        }
    }
}

struct WrongTime;

/// None for an empty record.
fn to_record(message: &BorrowedMessage<'_>, newest: &mut Micros) -> Result<Option<StoredRecord>, WrongTime> {
    let Timestamp::LogAppendTime(millis) = message.timestamp() else { return Err(WrongTime) };
    // The clock of a new leader may stand a little behind that of the old one.
    *newest = (*newest).max(Micros(millis * 1000));
    let Some(payload) = message.payload() else { return Ok(None) };
    let offset = u64::try_from(message.offset()).unwrap_or(0);
    Ok(Some(StoredRecord { offset, append_time: *newest, payload: Bytes::copy_from_slice(payload) }))
}

fn check_within(shared: &Shared, shard: u32, asked: u64, bounds: Bounds) -> Result<(), LogError> {
    if asked < bounds.start {
        return Err(LogError::Gone { shard, asked, start: bounds.start });
    }
    if asked > bounds.end {
        return Err(LogError::Unusable(format!(
            "shard {shard} of topic {} ends at offset {}, and offset {asked} is asked for: the topic was made again or lost \
             acknowledged records; restore it, or begin a new topic and lake",
            shared.settings.topic, bounds.end
        )));
    }
    Ok(())
}
