//! Log: the log that the configuration names, and how this worker gets its shards.
//!
//! - In: the configuration.
//! - Out: the opened log; assignments of shards.
//! - Invariants: the embedded log belongs to one worker, which owns all its shards. A topic is shared by a consumer group.

use super::owner::Assignment;
use crate::config::{Config, LogKind, Role};
use anyhow::{Context as _, Result, anyhow};
use corridor_intake::kafka::{KafkaClient, KafkaConfig, Membership, MembershipEvent, MembershipSettings};
use corridor_intake::log::Log;
use corridor_intake::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use corridor_intake::log::kafka::{Compression, CreateTopic, KafkaLog, KafkaLogSettings};
use corridor_model::Micros;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Assignments that wait for the owner.
const ASSIGNMENTS_WAITING: usize = 16;
/// Longest wait for shards to stop before others get them; shorter than the group's patience of five minutes.
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);
/// Between two tries to join the group.
const REJOIN_AFTER: Duration = Duration::from_secs(2);
/// The topic must keep records for so many waits.
const RETENTION_WAITS: u32 = 12;

/// An opened log.
pub struct OpenedLog {
    /// The log.
    pub log: Arc<dyn Log>,
    /// How this worker gets its shards.
    pub members: Members,
}

/// Who has which shard.
pub enum Members {
    /// This worker has them all.
    Alone,
    /// A consumer group shares them.
    Group {
        /// The cluster.
        client: KafkaClient,
        /// The group.
        settings: MembershipSettings,
        /// Takes positions as advice.
        log: Arc<KafkaLog>,
    },
    /// This worker has none.
    Nobody,
}

/// A membership that is running.
pub struct Running(JoinHandle<()>, mpsc::Sender<()>);

impl Members {
    /// Begins to give out shards.
    pub fn begin(self, shard_count: u32) -> (Running, mpsc::Receiver<Assignment>) {
        let (sender, assignments) = mpsc::channel(ASSIGNMENTS_WAITING);
        let (stop, stopped) = mpsc::channel(1);
        let handle = tokio::spawn(self.give_out(shard_count, sender, stopped));
        (Running(handle, stop), assignments)
    }

    async fn give_out(
        self,
        shard_count: u32,
        assignments: mpsc::Sender<Assignment>,
        mut stopped: mpsc::Receiver<()>,
    ) {
        match self {
            Self::Alone => {
                let all = (0..shard_count).collect();
                // The owner may be gone already.
                let _ = assignments.send(Assignment::Given(all)).await;
            }
            Self::Nobody => {}
            Self::Group { client, settings, log } => {
                return share(&client, &settings, &log, &assignments, &mut stopped).await;
            }
        }
        // The channel stays open: its end would end the shards.
        stopped.recv().await;
    }
}

impl Running {
    /// Leaves, so that others get the shards at once.
    pub async fn leave(self) {
        drop(self.1);
        if let Err(error) = self.0.await {
            tracing::warn!(%error, "the membership broke off");
        }
    }
}

/// Joins the group again and again, until it is stopped.
async fn share(
    client: &KafkaClient,
    settings: &MembershipSettings,
    log: &KafkaLog,
    assignments: &mpsc::Sender<Assignment>,
    stopped: &mut mpsc::Receiver<()>,
) {
    loop {
        match Membership::join(client, settings.clone()) {
            Err(error) => tracing::error!("join the group {}: {error}", settings.group),
            Ok((membership, mut events)) => {
                log.advise(membership.advice());
                let ended = pass_on(&mut events, assignments, stopped).await;
                if ended.is_none() {
                    // The shards have ended already: nobody must wait for an answer to the revocation.
                    drop(events);
                    return membership.leave().await;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(REJOIN_AFTER) => {}
            _ = stopped.recv() => return,
        }
    }
}

/// Passes the events of one membership on. None when it was stopped.
async fn pass_on(
    events: &mut mpsc::UnboundedReceiver<MembershipEvent>,
    assignments: &mpsc::Sender<Assignment>,
    stopped: &mut mpsc::Receiver<()>,
) -> Option<()> {
    loop {
        let event = tokio::select! {
            event = events.recv() => event?,
            _ = stopped.recv() => return None,
        };
        let assignment = match event {
            MembershipEvent::Assigned(shards) => Assignment::Given(shards),
            MembershipEvent::Revoked { shards, stopped, .. } => Assignment::Taken(shards, stopped),
            MembershipEvent::Ended(reason) => {
                tracing::error!("the membership of the group has ended and is joined again: {reason}");
                return Some(());
            }
        };
        assignments.send(assignment).await.ok()?;
    }
}

/// The time of this machine.
pub fn clock() -> Arc<dyn Fn() -> Micros + Send + Sync> {
    Arc::new(|| Micros(chrono::Utc::now().timestamp_micros()))
}

/// A client for a cluster, with what the platform's variables say about its identity.
pub fn kafka_client(config: Option<&KafkaConfig>) -> Result<KafkaClient> {
    let config = config.ok_or_else(|| anyhow!("no cluster is named; set kafka.bootstrap"))?;
    let mut config = config.clone();
    config.fill_from_environment(|name| std::env::var(name).ok());
    Ok(KafkaClient::new(config, clock())?)
}

/// Opens the log.
pub async fn open_log(config: &Config, worker: &str) -> Result<OpenedLog> {
    match config.log.kind {
        LogKind::Embedded => open_embedded(config).await,
        LogKind::Kafka => open_kafka(config, worker).await,
    }
}

async fn open_embedded(config: &Config) -> Result<OpenedLog> {
    let settings = EmbeddedLogConfig {
        bytes_max: config.log.bytes_max,
        ..EmbeddedLogConfig::new(&config.log.folder, config.log.shards, clock())
    };
    // It reads its last segment, on a thread of its own.
    let opened = tokio::task::spawn_blocking(|| EmbeddedLog::open(settings)).await;
    let log = opened.context("open the log")??;
    Ok(OpenedLog { log: Arc::new(log), members: Members::Alone })
}

async fn open_kafka(config: &Config, worker: &str) -> Result<OpenedLog> {
    let client = kafka_client(config.kafka.as_ref())?;
    let replication = i32::from(config.log.replication);
    let wait = Duration::from_secs(u64::from(config.join.wait_seconds));
    let settings = KafkaLogSettings {
        topic: config.log.topic.clone(),
        shards: config.log.shards,
        group: config.log.group.clone(),
        compression: Compression::default(),
        create_topic: (replication > 0).then(|| CreateTopic::replicated(replication)),
        retention_min: Some(wait * RETENTION_WAITS),
    };
    let log = Arc::new(KafkaLog::open(client.clone(), settings).await?);
    let members = match config.has_role(Role::Join) {
        false => Members::Nobody,
        true => Members::Group {
            client,
            settings: MembershipSettings {
                topic: config.log.topic.clone(),
                shard_count: config.log.shards,
                group: config.log.group.clone(),
                instance: config.worker.as_ref().map(|_| worker.to_owned()),
                stop_wait_max: STOP_WAIT_MAX,
            },
            log: Arc::clone(&log),
        },
    };
    Ok(OpenedLog { log, members })
}
