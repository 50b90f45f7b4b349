//! Source: takes messages of Kong and Azure topics to the log.
//!
//! - In: topics of a consumer group; each message is one entry, one envelope, or whatever a shipper made of it.
//! - Out: deliveries to an [`Accept`]; [`SourceProgress`] for metrics and status.
//! - Keeps: at most [`IN_FLIGHT_MAX`] messages of a partition and [`IN_FLIGHT_BYTES_MAX`] bytes that are not accepted yet.
//! - Invariants: a position is committed only when every message before it was accepted. A message that is refused is offered again
//!   for ever, and meanwhile its partition is paused. A position that the topic does not hold any more stops its partition.

mod board;

mod group;

mod session;

mod window;

use crate::delivery::Accept;
use crate::kafka::{KafkaClient, KafkaError};
use bytes::Bytes;
use corridor_model::Side;
use serde::Deserialize;
use session::{End, Session};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// Messages of one partition that may be on their way to the log. A partition at its bound is paused, which throws away what was
/// fetched of it and costs a fetch when it goes on: a low bound makes that the pace of small messages.
pub const IN_FLIGHT_MAX: usize = 16_384;

/// Bytes of all partitions that may be on their way to the log.
pub const IN_FLIGHT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A session that ended by itself is begun again after this, then after twice as long, up to the maximum.
const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(30);

/// Which topics to take, and as who.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// The topics.
    pub topics: Vec<SourceTopic>,
    /// The consumer group. Not to be shared with another program or another topic list.
    pub group: String,
    /// A name of this worker that stays the same over restarts; fewer rebalances.
    pub instance: Option<String>,
}

/// A topic to take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTopic {
    /// Its name; for Event Hubs the hub's.
    pub name: String,
    /// What its messages are.
    pub side: SourceSide,
}

/// What a topic's messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSide {
    /// Entries of Kong.
    Kong,
    /// Diagnostic records of Azure.
    Azure,
}

impl From<SourceSide> for Side {
    fn from(side: SourceSide) -> Self {
        match side {
            SourceSide::Kong => Self::Kong,
            SourceSide::Azure => Self::Azure,
        }
    }
}

/// Counts since the start, and how it stands.
#[derive(Debug, Default)]
pub struct SourceProgress {
    /// Messages that were accepted.
    pub messages: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Messages without a value, which hold nothing to take.
    pub empty: AtomicU64,
    /// Refusals; each is followed by another try.
    pub refused: AtomicU64,
    /// Commits that the broker confirmed.
    pub commits: AtomicU64,
    /// Commits that failed; the next one covers them.
    pub commits_failed: AtomicU64,
    /// Messages in the topics behind the committed positions, a few seconds old.
    pub lag: AtomicU64,
    /// Partitions that are owned.
    pub partitions: AtomicU64,
    /// Partitions that wait for a refused message.
    pub held: AtomicU64,
    stopped: Mutex<BTreeMap<String, String>>,
    problem: Mutex<Option<String>>,
}

impl SourceProgress {
    /// Partitions that cannot go on, with the reason.
    pub fn stopped(&self) -> BTreeMap<String, String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the connection suffers from at present.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn set_stopped(&self, partition: &str, reason: Option<String>) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            None => stopped.remove(partition),
            Some(reason) => {
                tracing::error!(partition, %reason, "a source partition is stopped");
                stopped.insert(partition.to_owned(), reason)
            }
        };
    }
}

/// A running source.
pub struct Source {
    progress: Arc<SourceProgress>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Starts to take messages. Accepting runs on the runtime that this is called in.
    ///
    /// # Errors
    /// When the settings are no good. A broker that cannot be reached is tried for ever, and told by the progress.
    pub fn start(
        client: KafkaClient,
        settings: SourceSettings,
        accept: Arc<dyn Accept>,
    ) -> Result<Self, KafkaError> {
        check(&settings)?;
        let progress = Arc::new(SourceProgress::default());
        let stop = Arc::new(AtomicBool::new(false));
        let supervisor = Supervisor {
            client,
            settings,
            accept,
            progress: Arc::clone(&progress),
            stop: Arc::clone(&stop),
            runtime: Handle::current(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-source".into())
            .spawn(move || supervisor.run())
            .map_err(|error| KafkaError::Unavailable(format!("start the source thread: {error}")))?;
        Ok(Self { progress, stop, thread: Some(thread) })
    }

    /// Counts and state.
    pub fn progress(&self) -> Arc<SourceProgress> {
        Arc::clone(&self.progress)
    }

    /// Takes no more, waits a bounded time for what is on its way, commits and leaves the group.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has stopped, too.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn check(settings: &SourceSettings) -> Result<(), KafkaError> {
    let mut problems = Vec::new();
    if settings.group.is_empty() {
        problems.push("the source's `group` is empty".to_owned());
    }
    if settings.topics.is_empty() {
        problems.push("the source names no topic".to_owned());
    }
    for (index, topic) in settings.topics.iter().enumerate() {
        if topic.name.is_empty() || topic.name.starts_with('^') {
            problems.push(format!("source topic {:?} is no name; patterns are not taken", topic.name));
        }
        if settings.topics[..index].iter().any(|earlier| earlier.name == topic.name) {
            problems.push(format!("source topic {} is named twice", topic.name));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(KafkaError::Settings(problems.join("\n"))) }
}

/// Begins sessions until it is told to stop.
struct Supervisor {
    client: KafkaClient,
    settings: SourceSettings,
    accept: Arc<dyn Accept>,
    progress: Arc<SourceProgress>,
    stop: Arc<AtomicBool>,
    runtime: Handle,
}

impl Supervisor {
    fn run(self) {
        let mut pause = RESTART_MIN;
        while !self.stop.load(Ordering::Relaxed) {
            let session = Session::begin(
                &self.client,
                &self.settings,
                &self.accept,
                &self.progress,
                &self.stop,
                &self.runtime,
            );
            let reason = match session.map(Session::run) {
                Ok(End::Stopped) => break,
                Ok(End::Failed { reason, was_working }) => {
                    if was_working {
                        pause = RESTART_MIN;
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            tracing::warn!(%reason, seconds = pause.as_secs(), "the source begins again");
            self.progress.set_problem(Some(reason));
            self.sleep(pause);
            pause = (pause * 2).min(RESTART_MAX);
        }
    }

    fn sleep(&self, pause: Duration) {
        let end = std::time::Instant::now() + pause;
        while std::time::Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The value without the prefix that Confluent's serialisers write: a zero and the schema's id.
fn strip_prefix(value: Bytes) -> Bytes {
    match value[..] {
        [0, _, _, _, _, b'{' | b'[' | b'"', ..] => value.slice(5..),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confluent_prefix_is_taken_off_only_before_json() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"\0\0\0\0\x07{\"a\":1}", b"{\"a\":1}"),
            (b"\0\xff\xff\xff\xff[1]", b"[1]"),
            (b"{\"a\":1}", b"{\"a\":1}"),
            (b"\0\0\0\0\x07\x02avro", b"\0\0\0\0\x07\x02avro"),
            (b"\0\0", b"\0\0"),
        ];
        for (value, want) in cases {
            assert_eq!(strip_prefix(Bytes::from_static(value)), want);
        }
    }

    #[test]
    fn topic_named_twice_or_as_a_pattern_is_refused() {
        let topic = |name: &str| SourceTopic { name: name.into(), side: SourceSide::Kong };
        let settings = SourceSettings {
            topics: vec![topic("a"), topic("a"), topic("^b.*")],
            group: String::new(),
            instance: None,
        };
        let said = check(&settings).unwrap_err().to_string();
        for part in ["`group` is empty", "a is named twice", "patterns are not taken"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
