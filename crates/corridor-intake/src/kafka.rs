//! Kafka: connections to Apache Kafka and to the Kafka endpoint of Azure Event Hubs.
//!
//! - In: a [`KafkaConfig`]; secrets are files.
//! - Out: [`KafkaClient`], from which the log, the membership and the source make their clients.
//! - Keeps: one thread that fetches OAUTHBEARER tokens ahead of need, while a client of it lives.
//! - Invariants: no secret stands in an error, a log line or a `Debug` form. No message is skipped silently.

pub mod config;

pub mod token;

pub mod token_keeper;

pub mod client;

pub mod membership;

pub mod source;

pub use client::KafkaClient;
pub use config::{KafkaConfig, Profile, Sasl, Security};
pub use membership::{Membership, MembershipEvent, MembershipSettings};
pub use source::{Source, SourceProgress, SourceSettings, SourceSide, SourceTopic};

pub use token::TokenGrant;

use corridor_model::Micros;
use std::sync::Arc;

/// Tells the time; the binary hands in the real clock.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// Why a connection cannot be used or did not work.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The settings cannot work; all problems, one a line.
    #[error("kafka settings: {0}")]
    Settings(String),
    /// A file named by the settings could not be read.
    #[error("read {what} from {path}: {source}")]
    SecretFile {
        /// What the file holds.
        what: &'static str,
        /// Its path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No token was to be had.
    #[error("get an OAUTHBEARER token: {0}")]
    Token(String),
    /// The broker could not be reached or refused. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// What the broker holds does not fit; trying again does not help.
    #[error("{0}")]
    Unusable(String),
}
