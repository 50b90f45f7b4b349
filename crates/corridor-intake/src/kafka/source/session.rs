//! Session: one membership of the source's group, from joining to leaving.
//!
//! - In: messages of the partitions that the group gives us.
//! - Out: deliveries, each in a task of its own; positions to the broker.
//! - Keeps: the consumer.
//! - Invariants: the thread polls all the time, so the group never takes it for dead. Every message that is taken is offered until it
//!   is accepted, or its partition is another's.

use super::board::{Board, Done, Key, Outcome, Which};
use super::group::Group;
use super::{SourceProgress, SourceSettings, strip_prefix};
use crate::delivery::{Accept, Delivery, Refusal};
use crate::kafka::client::{is_refusal, settings_error};
use crate::kafka::{KafkaClient, KafkaError};
use bytes::Bytes;
use corridor_model::{Origin, Side};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Properties that profile and operator may change.
const CONSUMER: &[(&str, &str)] = &[
    ("session.timeout.ms", "30000"),
    ("heartbeat.interval.ms", "3000"),
    ("max.poll.interval.ms", "300000"),
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "10000"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "200"),
    ("fetch.queue.backoff.ms", "20"),
    ("statistics.interval.ms", "5000"),
];

/// Properties that carry the guarantee.
const GUARANTEES: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
];

/// Longest sleep of the thread; what was accepted is noticed this late.
const POLL: Duration = Duration::from_millis(10);

/// Messages taken before the thread looks up.
const POLL_BATCH: usize = 256;

/// How often positions are committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How often all positions are committed, so that those of idle partitions do not expire.
const COMMIT_ALL_EVERY: Duration = Duration::from_secs(60);

/// A refused message is offered again after this, then after twice as long, up to the maximum.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How a session ended.
pub(super) enum End {
    /// As asked.
    Stopped,
    /// It has to be begun again.
    Failed {
        /// Why.
        reason: String,
        /// It had partitions.
        was_working: bool,
    },
}

/// One membership of the group.
pub(super) struct Session<'a> {
    consumer: BaseConsumer<Group>,
    client: &'a KafkaClient,
    sides: BTreeMap<Arc<str>, Side>,
    accept: &'a Arc<dyn Accept>,
    progress: &'a Arc<SourceProgress>,
    stop: &'a AtomicBool,
    runtime: &'a Handle,
    done: mpsc::Sender<Done>,
}

impl<'a> Session<'a> {
    /// Makes the consumer and subscribes.
    pub(super) fn begin(
        client: &'a KafkaClient,
        settings: &SourceSettings,
        accept: &'a Arc<dyn Accept>,
        progress: &'a Arc<SourceProgress>,
        stop: &'a AtomicBool,
        runtime: &'a Handle,
    ) -> Result<Self, KafkaError> {
        let (done, settled) = mpsc::channel();
        let events = client.events("source");
        let board = Board::new(settled);
        let group = Group::new(events.clone(), settings.group.clone(), Arc::clone(progress), board);
        let mut properties = client.settings_with(CONSUMER, GUARANTEES)?;
        properties.set("group.id", &settings.group);
        if let Some(instance) = &settings.instance {
            properties.set("group.instance.id", instance);
        }
        let consumer: BaseConsumer<Group> = properties.create_with_context(group).map_err(settings_error)?;
        let names: Vec<&str> = settings.topics.iter().map(|topic| topic.name.as_str()).collect();
        let tried = format!("subscribe to {}", names.join(", "));
        consumer.subscribe(&names).map_err(|error| events.unavailable(&tried, &error))?;
        let sides = settings.topics.iter().map(|topic| (topic.name.as_str().into(), topic.side.into()));
        let sides = sides.collect();
        Ok(Self { consumer, client, sides, accept, progress, stop, runtime, done })
    }

    /// Takes messages until it is told to stop or cannot go on; then leaves the group.
    pub(super) fn run(self) -> End {
        let mut committed = Instant::now();
        let mut committed_all = Instant::now();
        let reason = loop {
            if self.stop.load(Ordering::Relaxed) {
                break None;
            }
            if let Some(reason) = self.take() {
                break Some(reason);
            }
            self.turn();
            if committed.elapsed() >= COMMIT_EVERY {
                committed = Instant::now();
                let is_for_all = committed_all.elapsed() >= COMMIT_ALL_EVERY;
                if is_for_all {
                    committed_all = Instant::now();
                }
                self.commit(if is_for_all { Which::All } else { Which::Moved });
            }
        };
        let was_working = self.progress.partitions.swap(0, Ordering::Relaxed) > 0;
        // Revokes: drains and commits as at any revocation, then leaves the group.
        drop(self.consumer);
        match reason {
            None => End::Stopped,
            Some(reason) => End::Failed { reason, was_working },
        }
    }

    /// Takes what is there; returns why the session cannot go on.
    fn take(&self) -> Option<String> {
        let mut patience = POLL;
        for _ in 0..POLL_BATCH {
            match self.consumer.poll(patience) {
                None => break,
                Some(Ok(message)) => self.deliver(&message),
                Some(Err(error)) => {
                    if let Some(reason) = self.judge(&error) {
                        return Some(reason);
                    }
                }
            }
            patience = Duration::ZERO;
        }
        self.consumer.context().take_end()
    }

    /// Pauses and resumes partitions by what is on its way.
    fn turn(&self) {
        let group = self.consumer.context();
        let mut board = group.board();
        board.settle();
        let (paused, resumed) = (board.turn_off(), board.turn_on());
        let (count, held) = board.counts();
        drop(board);
        self.progress.partitions.store(count as u64, Ordering::Relaxed);
        self.progress.held.store(held as u64, Ordering::Relaxed);
        let outcome = if paused.count() > 0 { self.consumer.pause(&paused) } else { Ok(()) };
        let outcome =
            outcome.and_then(|()| if resumed.count() > 0 { self.consumer.resume(&resumed) } else { Ok(()) });
        if let Err(error) = outcome {
            tracing::warn!(%error, "source partitions were not paused or resumed");
        }
    }

    fn commit(&self, which: Which<'_>) {
        let group = self.consumer.context();
        let positions = group.board().positions(which);
        // The answer comes to the group's callback.
        if positions.count() > 0
            && let Err(error) = self.consumer.commit(&positions, CommitMode::Async)
        {
            group.note_commit(&Err(error), &positions);
        }
    }

    /// Why the session has to be begun again; None for what librdkafka deals with on its own.
    fn judge(&self, error: &ClientError) -> Option<String> {
        let events = &self.consumer.context().events;
        let code = error.rdkafka_error_code()?;
        let is_fatal = matches!(error, ClientError::MessageConsumptionFatal(_))
            || matches!(code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId);
        // The assignment finds out which partition it is, and stops that one.
        let is_gone = matches!(
            code,
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation
                | RDKafkaErrorCode::BadMessage
        );
        // A new client reads the password again. A token is renewed without one.
        let is_refused = is_refusal(code) && !self.client.has_tokens();
        let reason = events.explain("take messages", error);
        if is_fatal || is_gone || is_refused {
            return Some(reason);
        }
        tracing::debug!(%reason, "the source's consumer reports an error");
        self.progress.set_problem(Some(reason));
        None
    }

    fn deliver(&self, message: &BorrowedMessage<'_>) {
        let Some((topic, side)) = self.sides.get_key_value(message.topic()) else { return };
        let (partition, offset) = (message.partition(), message.offset());
        let key: Key = (Arc::clone(topic), partition);
        let group = self.consumer.context();
        self.progress.set_problem(None);
        let Some(value) = message.payload().filter(|value| !value.is_empty()) else {
            self.progress.empty.fetch_add(1, Ordering::Relaxed);
            return group.board().skip(&key, offset);
        };
        let Some((epoch, owner)) = group.board().begin(&key, offset, value.len()) else { return };
        let path: Arc<str> = format!("kafka:{topic}/{partition}").into();
        let delivery = Delivery {
            side: *side,
            origin: Origin { file_index: 0, path, byte_offset: u64::try_from(offset).unwrap_or(0) },
            received_time: (self.client.clock())(),
            body: strip_prefix(Bytes::copy_from_slice(value)),
        };
        let errand = Errand {
            delivery,
            accept: Arc::clone(self.accept),
            progress: Arc::clone(self.progress),
            done: self.done.clone(),
            key,
            epoch,
            offset,
            bytes: value.len(),
        };
        // Not joined: it ends when it is accepted or its partition is removed, and tells so.
        drop(self.runtime.spawn(errand.run(owner)));
    }
}

/// One message on its way.
struct Errand {
    delivery: Delivery,
    accept: Arc<dyn Accept>,
    progress: Arc<SourceProgress>,
    done: mpsc::Sender<Done>,
    key: Key,
    epoch: u64,
    offset: i64,
    bytes: usize,
}

impl Errand {
    /// Offers the message until it is accepted, or the partition is another's.
    async fn run(self, mut owner: watch::Receiver<()>) {
        let mut retry = RETRY_MIN;
        let mut is_held = false;
        let what = loop {
            match self.accept.accept(self.delivery.clone()).await {
                Ok(_) => {
                    self.progress.messages.fetch_add(1, Ordering::Relaxed);
                    self.progress.bytes.fetch_add(self.bytes as u64, Ordering::Relaxed);
                    break if is_held { Outcome::AcceptedLate } else { Outcome::Accepted };
                }
                Err(refusal) => {
                    self.progress.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(origin = %self.delivery.origin, %refusal, "a message was refused and is offered again");
                    if !is_held {
                        is_held = true;
                        self.tell(Outcome::Held);
                    }
                    let pause = pause_after(&refusal, retry);
                    retry = (retry * 2).min(RETRY_MAX);
                    // The sender lives as long as the partition is ours, and never sends.
                    if tokio::time::timeout(pause, owner.changed()).await.is_ok() {
                        break Outcome::Dropped;
                    }
                }
            }
        };
        self.tell(what);
    }

    fn tell(&self, what: Outcome) {
        let Self { epoch, offset, bytes, .. } = *self;
        // Nobody listens after the session; the broker will send the message again.
        let _ = self.done.send(Done { key: self.key.clone(), epoch, offset, bytes, what });
    }
}

fn pause_after(refusal: &Refusal, retry: Duration) -> Duration {
    match refusal {
        Refusal::Busy { retry_after, .. } => (*retry_after).clamp(retry, RETRY_MAX.max(retry)),
        Refusal::Log(_) | Refusal::Stopping => retry,
    }
}
