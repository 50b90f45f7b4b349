//! Live: the parts of the configuration that only `corridor run` uses.

use super::Config;
use corridor_intake::kafka::KafkaConfig;
use corridor_model::time;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Receives records and appends them to the log.
    Intake,
    /// Makes rows of the shards it is given.
    Join,
}

/// Which log there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// A folder of this machine: one worker.
    Embedded,
    /// A Kafka topic: any number of workers.
    Kafka,
}

/// The log between intake and join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Which log.
    pub kind: LogKind,
    /// Embedded: its folder.
    pub folder: PathBuf,
    /// Number of shards. Embedded: fixed when the folder is made. Kafka: the topic's partitions; 0 takes what it has.
    pub shards: u32,
    /// Embedded: bytes on the disk at most. At the limit, intake answers 503.
    pub bytes_max: u64,
    /// Kafka: the topic.
    pub topic: String,
    /// Kafka: the consumer group that shares the shards.
    pub group: String,
    /// Kafka: make the topic if it is missing, with so many replicas; 0 makes none.
    pub replication: u16,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            kind: LogKind::Embedded,
            folder: "./log".into(),
            shards: 1,
            bytes_max: 8 << 30,
            topic: "corridor-log".into(),
            group: "corridor".into(),
            replication: 0,
        }
    }
}

/// Topics of one side that are taken to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The topics; for Event Hubs the hubs of one namespace.
    pub topics: Vec<String>,
    /// The consumer group. Not to be shared with another program.
    pub group: String,
    /// How to reach them; without it, as `[kafka]` says.
    pub kafka: Option<KafkaConfig>,
}

/// When rows are final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JoinSettings {
    /// Seconds that a row waits for its partners. Azure delivers up to ten minutes late.
    pub wait_seconds: u32,
    /// Seconds that the times of partners may be apart; the same as in a backfill by default.
    pub horizon_seconds: u32,
    /// Bytes of one shard's join state; over it the oldest rows are final early.
    pub memory_bytes_max: u64,
}

impl Default for JoinSettings {
    fn default() -> Self {
        Self { wait_seconds: 30 * 60, horizon_seconds: 60 * 60, memory_bytes_max: 1 << 30 }
    }
}

impl JoinSettings {
    /// The wait in microseconds.
    pub fn wait(&self) -> i64 {
        i64::from(self.wait_seconds) * time::SECOND
    }

    /// The horizon in microseconds.
    pub fn horizon(&self) -> i64 {
        i64::from(self.horizon_seconds) * time::SECOND
    }
}

/// When final rows become files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimConfig {
    /// Seconds from the moment that a row is final until readers see it.
    pub visible_seconds: u32,
    /// Bytes of final rows that wait for their files.
    pub memory_bytes_max: u64,
    /// Encoded bytes after which a file is closed.
    pub file_bytes_max: u64,
    /// Seconds after which a shard without rows claims its progress.
    pub idle_seconds: u32,
}

impl Default for ClaimConfig {
    fn default() -> Self {
        Self {
            visible_seconds: 60,
            memory_bytes_max: 256 << 20,
            file_bytes_max: 128 << 20,
            idle_seconds: 600,
        }
    }
}

impl Config {
    /// Whether the worker has this role.
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(super) fn validate_live(&self, problems: &mut Vec<String>) {
        let mut refuse = |is_wrong: bool, problem: &str| {
            if is_wrong {
                problems.push(problem.to_owned());
            }
        };
        let is_embedded = self.log.kind == LogKind::Embedded;
        refuse(
            self.lake.is_empty(),
            "lake is empty; name a folder, az://container/prefix or s3://bucket/prefix",
        );
        refuse(self.roles.is_empty(), "roles is empty; name intake, join or both");
        refuse(
            is_embedded && self.roles.len() == 1,
            "roles: the embedded log belongs to one worker, which needs both roles; set log.kind to kafka to split them",
        );
        refuse(
            is_embedded && self.log.shards == 0,
            "log.shards is 0; the embedded log needs at least one shard",
        );
        refuse(self.log.shards > 4_096, "log.shards is above 4096");
        refuse(is_embedded && self.log.bytes_max < 64 << 20, "log.bytes_max is below 64 MiB");
        refuse(self.join.wait_seconds == 0, "join.wait_seconds is 0; no row would wait for its partner");
        refuse(self.join.memory_bytes_max < 1 << 20, "join.memory_bytes_max is below 1 MiB");
        refuse(self.claim.visible_seconds == 0, "claim.visible_seconds is 0; give at least one second");
        refuse(self.claim.memory_bytes_max < 1 << 20, "claim.memory_bytes_max is below 1 MiB");
        refuse(self.claim.file_bytes_max < 64 << 10, "claim.file_bytes_max is below 64 KiB");
        refuse(self.claim.idle_seconds == 0, "claim.idle_seconds is 0; give at least one second");
    }
}
