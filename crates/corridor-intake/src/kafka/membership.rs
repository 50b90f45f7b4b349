//! Membership: which shards of the log this worker owns, decided by a Kafka consumer group.
//!
//! - In: the log's topic and a group. No record is read here: the partitions stay paused.
//! - Out: [`MembershipEvent`]s. A revocation waits, for a bounded time, until the caller says that it has stopped.
//! - Keeps: one thread that polls; the set of owned shards.
//! - Invariants: a shard is given up only after its owner was told. The chain, not this, makes two owners harmless.

use crate::kafka::KafkaError;
use crate::kafka::client::{Events, KafkaClient, is_refusal, settings_error};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Which group to join, and as who.
#[derive(Debug, Clone)]
pub struct MembershipSettings {
    /// The log's topic.
    pub topic: String,
    /// Number of its partitions; another number ends the membership.
    pub shard_count: u32,
    /// The group.
    pub group: String,
    /// A name that stays the same over restarts of this worker: it then gets its shards back without a rebalance, and others get
    /// them only when its session has timed out. Without it, leaving hands the shards over at once.
    pub instance: Option<String>,
    /// Longest wait for the caller to stop a shard that is revoked.
    pub stop_wait_max: Duration,
}

/// What happened to this worker's shards.
#[derive(Debug)]
pub enum MembershipEvent {
    /// They are ours from now on.
    Assigned(BTreeSet<u32>),
    /// They are to be stopped. Another worker gets them when `stopped` is used or dropped, or after the wait.
    Revoked {
        /// The shards.
        shards: BTreeSet<u32>,
        /// The group has already given them away: there is no time left.
        is_lost: bool,
        /// Tell when they have stopped.
        stopped: oneshot::Sender<()>,
    },
    /// The membership has ended and has to be joined again; nothing is owned any more.
    Ended(String),
}

/// Properties that profile and operator may change.
const MEMBER: &[(&str, &str)] =
    &[("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "2000"), ("max.poll.interval.ms", "300000")];

/// Properties that carry the guarantee.
const MEMBER_GUARANTEES: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    // Nothing is read; this bounds what a race between assignment and pause can fetch.
    ("queued.max.messages.kbytes", "256"),
    ("fetch.message.max.bytes", "65536"),
];

/// How often the group is served.
const POLL: Duration = Duration::from_millis(100);

/// How often positions that were released are committed.
const ADVICE_EVERY: Duration = Duration::from_secs(5);

/// A membership of the group. Leaves when dropped.
pub struct Membership {
    owned: watch::Receiver<BTreeSet<u32>>,
    advice: Advice,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Commits positions as advice: for people and tools that look at the group's lag.
#[derive(Clone)]
pub struct Advice(Arc<Mutex<BTreeMap<u32, u64>>>);

impl Advice {
    /// Commits `offset` for a shard soon, if it is owned then. Never waits.
    pub fn commit(&self, shard: u32, offset: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, offset);
    }

    fn take(&self) -> BTreeMap<u32, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Membership {
    /// Joins the group. Shards come as events.
    ///
    /// # Errors
    /// When the client cannot be made; a broker that cannot be reached now is tried for ever.
    pub fn join(
        client: &KafkaClient,
        settings: MembershipSettings,
    ) -> Result<(Self, mpsc::UnboundedReceiver<MembershipEvent>), KafkaError> {
        let (told, events) = mpsc::unbounded_channel();
        let (owned_tx, owned) = watch::channel(BTreeSet::new());
        let context = Group {
            events: client.events("membership"),
            told,
            owned: owned_tx,
            topic: settings.topic.clone(),
            shard_count: settings.shard_count,
            stop_wait_max: settings.stop_wait_max,
            end: Mutex::new(None),
        };
        let mut properties = client.settings_with(MEMBER, MEMBER_GUARANTEES)?;
        properties.set("group.id", &settings.group);
        if let Some(instance) = &settings.instance {
            properties.set("group.instance.id", instance);
        }
        let consumer: BaseConsumer<Group> =
            properties.create_with_context(context).map_err(settings_error)?;
        let tried = format!("join group {} on topic {}", settings.group, settings.topic);
        consumer
            .subscribe(&[&settings.topic])
            .map_err(|error| consumer.context().events.unavailable(&tried, &error))?;
        let (stop, advice) = (Arc::new(AtomicBool::new(false)), Advice(Arc::default()));
        let has_tokens = client.has_tokens();
        let member = Member { consumer, tried, advice: advice.clone(), stop: Arc::clone(&stop), has_tokens };
        let thread = std::thread::Builder::new()
            .name("kafka-membership".into())
            .spawn(move || member.run())
            .map_err(|error| KafkaError::Unavailable(format!("start the membership thread: {error}")))?;
        Ok((Self { owned, advice, stop, thread: Some(thread) }, events))
    }

    /// The shards that are owned, as they change.
    pub fn owned(&self) -> watch::Receiver<BTreeSet<u32>> {
        self.owned.clone()
    }

    /// Where to give released positions.
    pub fn advice(&self) -> Advice {
        self.advice.clone()
    }

    /// Leaves the group, after the shards were revoked as events. Keep receiving those while this waits.
    pub async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has left, too.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The thread's side.
struct Member {
    consumer: BaseConsumer<Group>,
    tried: String,
    advice: Advice,
    stop: Arc<AtomicBool>,
    has_tokens: bool,
}

impl Member {
    fn run(self) {
        let reason = self.serve();
        self.commit_advice(CommitMode::Sync);
        let told = self.consumer.context().told.clone();
        // Revokes, with the same events as any revocation, and leaves the group.
        drop(self.consumer);
        if let Some(reason) = reason {
            let _ = told.send(MembershipEvent::Ended(reason));
        }
    }

    /// Polls until it is stopped, or until it has a reason to end.
    fn serve(&self) -> Option<String> {
        let context = self.consumer.context();
        let mut advised = Instant::now();
        while !self.stop.load(Ordering::Relaxed) && !context.told.is_closed() {
            // A message was fetched between the assignment and the pause; the shard's reader reads it.
            if let Some(Err(error)) = self.consumer.poll(POLL)
                && self.is_end(&error)
            {
                return Some(context.events.explain(&self.tried, &error));
            }
            if let Some(reason) = context.end.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Some(reason);
            }
            if advised.elapsed() >= ADVICE_EVERY {
                advised = Instant::now();
                self.commit_advice(CommitMode::Async);
            }
        }
        None
    }

    fn is_end(&self, error: &ClientError) -> bool {
        let Some(code) = error.rdkafka_error_code() else { return false };
        let is_fatal = matches!(error, ClientError::MessageConsumptionFatal(_))
            // A worker with the same instance name has taken our place.
            || matches!(code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId);
        // A new client reads the password again. A token is renewed without one.
        let is_refused = is_refusal(code) && !self.has_tokens;
        is_fatal || is_refused
    }

    fn commit_advice(&self, mode: CommitMode) {
        let (context, given) = (self.consumer.context(), self.advice.take());
        let owned = context.owned.borrow().clone();
        let mut offsets = TopicPartitionList::new();
        for (shard, offset) in given.into_iter().filter(|(shard, _)| owned.contains(shard)) {
            let (partition, offset) =
                (i32::try_from(shard).unwrap_or(i32::MAX), i64::try_from(offset).unwrap_or(i64::MAX));
            // A partition that cannot be added costs a piece of advice.
            let _ = offsets.add_partition_offset(&context.topic, partition, Offset::Offset(offset));
        }
        if offsets.count() > 0
            && let Err(error) = self.consumer.commit(&offsets, mode)
        {
            tracing::debug!(%error, "advice about positions was not committed");
        }
    }
}

/// Serves the group's callbacks, in the polling thread.
struct Group {
    events: Events,
    told: mpsc::UnboundedSender<MembershipEvent>,
    owned: watch::Sender<BTreeSet<u32>>,
    topic: String,
    shard_count: u32,
    stop_wait_max: Duration,
    /// Why it cannot go on, found by a callback.
    end: Mutex<Option<String>>,
}

impl Group {
    fn shards_of(&self, partitions: &TopicPartitionList) -> BTreeSet<u32> {
        let elements = partitions.elements_for_topic(&self.topic);
        elements.iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
    }

    /// Pauses before anything is fetched, and starts at the end in case something is.
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) {
        let shards = self.shards_of(partitions);
        let taken = partitions
            .set_all_offsets(Offset::End)
            .and_then(|()| consumer.incremental_assign(partitions))
            .and_then(|()| consumer.pause(partitions));
        if let Err(error) = taken {
            self.end(self.events.explain("take over shards", &error));
        } else if let Some(shard) = shards.iter().find(|shard| **shard >= self.shard_count) {
            self.end(format!(
                "topic {} has a partition {shard}, and only {} shards are configured: the number of partitions was changed, which \
                 the log does not allow",
                self.topic, self.shard_count
            ));
        } else if !shards.is_empty() {
            tracing::info!(?shards, "shards were assigned");
            self.owned.send_modify(|owned| owned.extend(&shards));
            // Nobody listens any more while shutting down.
            let _ = self.told.send(MembershipEvent::Assigned(shards));
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let shards = self.shards_of(partitions);
        let is_lost = consumer.assignment_lost();
        if !shards.is_empty() {
            tracing::info!(?shards, is_lost, "shards are revoked");
            self.owned.send_modify(|owned| owned.retain(|shard| !shards.contains(shard)));
            let (stopped, mut wait) = oneshot::channel();
            let _ = self.told.send(MembershipEvent::Revoked { shards, is_lost, stopped });
            let deadline = Instant::now() + if is_lost { Duration::ZERO } else { self.stop_wait_max };
            while Instant::now() < deadline
                && matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty))
            {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if let Err(error) = consumer.incremental_unassign(partitions) {
            tracing::warn!(%error, "shards could not be given up");
        }
    }

    fn end(&self, reason: String) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }
}

impl ClientContext for Group {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.events.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.events.generate_oauth_token(config)
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, partitions),
            _ => {
                let code = RDKafkaErrorCode::from(kind);
                tracing::warn!(%code, "the group could not be rebalanced");
                // librdkafka waits for an answer to every such event.
                if let Err(error) = consumer.unassign() {
                    tracing::warn!(%error, "shards could not be given up");
                }
            }
        }
    }
}
