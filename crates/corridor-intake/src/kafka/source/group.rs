//! Group: the callbacks of the source's consumer group, which run in its polling thread.
//!
//! - In: partitions that come and go; the broker's answers to commits; statistics.
//! - Out: where each partition begins; commits before a partition goes.
//! - Keeps: the [`Board`].
//! - Invariants: a partition begins at its committed position, at its first message when it has none, and nowhere else.

use super::SourceProgress;
use super::board::{Board, Key, Which};
use crate::kafka::client::{Events, METADATA_WAIT};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for messages on their way when a partition is revoked.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often the committed positions are asked for before the session gives up.
const COMMITTED_TRIES: u32 = 3;

/// Serves the group's callbacks.
pub(super) struct Group {
    pub(super) events: Events,
    pub(super) name: String,
    pub(super) progress: Arc<SourceProgress>,
    board: Mutex<Board>,
    /// Why the session cannot go on, found by a callback.
    end: Mutex<Option<String>>,
}

impl Group {
    pub(super) fn new(events: Events, name: String, progress: Arc<SourceProgress>, board: Board) -> Self {
        Self { events, name, progress, board: Mutex::new(board), end: Mutex::new(None) }
    }

    /// The partitions. Not to be held while the consumer is called.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the session cannot go on.
    pub(super) fn take_end(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_end(&self, reason: String) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let starts = match self.committed(consumer, partitions) {
            Ok(starts) => starts,
            Err(reason) => {
                // The group waits for an answer; nothing of these partitions is read.
                let _ = consumer.incremental_assign(partitions).and_then(|()| consumer.pause(partitions));
                return self.set_end(reason);
            }
        };
        let (mut assigned, mut stopped) = (TopicPartitionList::new(), TopicPartitionList::new());
        for element in starts.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let name = partition_name(topic, partition);
            let missing = committed.and_then(|offset| self.missing(consumer, topic, partition, offset));
            let start = committed.map_or(Offset::Beginning, Offset::Offset);
            // Fails only for a negative number.
            let _ = assigned.add_partition_offset(topic, partition, start);
            if missing.is_some() {
                stopped.add_partition(topic, partition);
            }
            tracing::info!(partition = %name, ?start, "a source partition was assigned");
            self.board().add((topic.into(), partition), committed, missing.is_some());
            self.progress.set_stopped(&name, missing);
        }
        let taken = consumer.incremental_assign(&assigned).and_then(|()| consumer.pause(&stopped));
        if let Err(error) = taken {
            self.set_end(self.events.explain("take over source partitions", &error));
        }
    }

    fn committed(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<TopicPartitionList, String> {
        let mut reason = String::new();
        for _ in 0..COMMITTED_TRIES {
            match consumer.committed_offsets(partitions.clone(), METADATA_WAIT) {
                Ok(offsets) if offsets.elements().iter().all(|element| element.error().is_ok()) => {
                    return Ok(offsets);
                }
                Ok(_) => reason = "the broker answered only for some partitions".into(),
                Err(error) => reason = self.events.explain("it failed", &error),
            }
        }
        Err(format!("ask for the committed positions of group {}: {reason}", self.name))
    }

    /// What is wrong with a position that the topic does not hold.
    fn missing(
        &self,
        consumer: &BaseConsumer<Self>,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Option<String> {
        // When the bounds cannot be had now, reading itself will tell.
        let (start, end) = consumer.fetch_watermarks(topic, partition, METADATA_WAIT).ok()?;
        let group = &self.name;
        let remedy = format!(
            "accept that with all workers stopped: kafka-consumer-groups --group {group} --topic {topic}:{partition} \
             --reset-offsets --to-earliest --execute"
        );
        if offset < start {
            let count = start - offset;
            return Some(format!(
                "group {group} continues at offset {offset}, and the topic begins at {start}: {count} messages were deleted before \
                 they were read; {remedy}"
            ));
        }
        (offset > end).then(|| {
            format!(
                "group {group} continues at offset {offset}, and the topic ends at {end}: it was made again or lost messages; {remedy}"
            )
        })
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let elements = partitions.elements();
        let keys: Vec<Key> =
            elements.iter().map(|element| (element.topic().into(), element.partition())).collect();
        if !consumer.assignment_lost() {
            self.drain(&keys);
            let positions = self.board().positions(Which::MovedOf(&keys));
            if positions.count() > 0 {
                let outcome = consumer.commit(&positions, CommitMode::Sync);
                self.note_commit(&outcome, &positions);
            }
        }
        for key in &keys {
            self.board().remove(key);
            self.progress.set_stopped(&partition_name(&key.0, key.1), None);
        }
        tracing::info!(?keys, "source partitions are given up");
        if let Err(error) = consumer.incremental_unassign(partitions) {
            tracing::warn!(%error, "source partitions could not be given up");
        }
    }

    /// Waits until what is on its way has arrived; what is held up will be taken again by the next owner.
    fn drain(&self, keys: &[Key]) {
        let deadline = Instant::now() + DRAIN_WAIT_MAX;
        loop {
            let mut board = self.board();
            board.settle();
            if board.moving(keys) == 0 || Instant::now() >= deadline {
                return;
            }
            drop(board);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn note_commit(&self, outcome: &KafkaResult<()>, offsets: &TopicPartitionList) {
        self.board().note_commit(offsets, outcome.is_ok());
        match outcome {
            Ok(()) => self.progress.commits.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(group = %self.name, %error, "positions were not committed; the next commit covers them");
                self.progress.commits_failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

fn partition_name(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
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

    fn stats(&self, statistics: Statistics) {
        let end_of = |key: &Key| {
            let topic = statistics.topics.get(&*key.0)?;
            topic.partitions.get(&key.1).map(|partition| partition.hi_offset)
        };
        self.progress.lag.store(self.board().lag(end_of), Ordering::Relaxed);
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
                tracing::warn!(%code, "the source's group could not be rebalanced");
                // librdkafka waits for an answer to every such event.
                if let Err(error) = consumer.unassign() {
                    tracing::warn!(%error, "source partitions could not be given up");
                }
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.note_commit(&result, offsets);
    }
}
