//! Config: what an operator says about a Kafka cluster, and whether that can work.
//!
//! - In: a table of the config file.
//! - Out: [`KafkaConfig`], and every problem in it at once.
//! - Invariants: secrets are named by their files. Properties that carry a guarantee cannot be set from outside.

use crate::kafka::token::TokenGrant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers as `host:port`, separated by commas.
    pub bootstrap: String,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// PEM file of the authority that signed the brokers' certificates; the system's authorities when absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, for mTLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// How we say who we are, for the `sasl_` kinds of security.
    pub sasl: Option<Sasl>,
    /// A set of settings that a service needs.
    #[serde(default)]
    pub profile: Profile,
    /// Further librdkafka properties, as they are.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS; with our certificate also mTLS.
    Ssl,
    /// SASL without TLS: for tests and trusted networks.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl Security {
    /// The value of `security.protocol`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn uses_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// How we say who we are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mechanism", deny_unknown_fields)]
pub enum Sasl {
    /// User and password; for Event Hubs the user `$ConnectionString` and a connection string.
    #[serde(rename = "PLAIN")]
    Plain {
        /// The user.
        user: String,
        /// File that holds the password; read again by every new client.
        password_file: PathBuf,
    },
    /// Challenge and response over SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256 {
        /// The user.
        user: String,
        /// File that holds the password; read again by every new client.
        password_file: PathBuf,
    },
    /// Challenge and response over SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512 {
        /// The user.
        user: String,
        /// File that holds the password; read again by every new client.
        password_file: PathBuf,
    },
    /// A token that lives for a while.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer {
        /// Where tokens come from.
        token: TokenGrant,
        /// What the token is for; by default the namespace of the first broker, as Event Hubs wants it.
        scope: Option<String>,
    },
}

impl Sasl {
    /// The value of `sasl.mechanism`.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::ScramSha256 { .. } => "SCRAM-SHA-256",
            Self::ScramSha512 { .. } => "SCRAM-SHA-512",
            Self::OauthBearer { .. } => "OAUTHBEARER",
        }
    }
}

/// A set of settings that a service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Apache Kafka.
    #[default]
    Kafka,
    /// Azure Event Hubs: its load balancer drops connections idle for 240 s without a word, and it refuses short sessions.
    EventHubs,
}

/// What Event Hubs needs. Its own documentation and librdkafka's defaults disagree on each of these.
const EVENT_HUBS: &[(&str, &str)] = &[
    ("socket.keepalive.enable", "true"),
    ("metadata.max.age.ms", "180000"),
    ("topic.metadata.refresh.interval.ms", "170000"),
    ("connections.max.idle.ms", "180000"),
    ("session.timeout.ms", "30000"),
    ("heartbeat.interval.ms", "3000"),
    ("max.poll.interval.ms", "300000"),
    ("request.timeout.ms", "60000"),
    ("socket.timeout.ms", "60000"),
    // Only gzip, and only on Premium, is understood there.
    ("compression.type", "none"),
    // A produce request above 1 046 528 bytes closes the connection.
    ("message.max.bytes", "1000000"),
];

/// Event Hubs cuts connections that were idle for longer.
const EVENT_HUBS_IDLE_MS: u64 = 240_000;

/// Properties that carry a guarantee, with what to use in their place.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `bootstrap`"),
    ("metadata.broker.list", "set `bootstrap`"),
    ("security.protocol", "set `security`"),
    ("group.id", "set the group where it is used"),
    ("group.instance.id", "set the instance where the group is used"),
    ("group.protocol", "the classic protocol is the one that every service has"),
    ("enable.auto.commit", "a position is committed only after what lies before it is durable"),
    ("auto.commit.enable", "a position is committed only after what lies before it is durable"),
    ("enable.auto.offset.store", "a position is stored only after what lies before it is durable"),
    ("auto.offset.reset", "another value than `error` skips records silently"),
    ("enable.partition.eof", "the end of a partition is no event here"),
    ("enable.idempotence", "a retry without it can reorder and double records"),
    ("acks", "an append is durable only when all replicas in sync have it"),
    ("request.required.acks", "an append is durable only when all replicas in sync have it"),
    ("transactional.id", "transactions are not used"),
    ("partition.assignment.strategy", "shards move cooperatively"),
    ("partitioner", "records name their partition"),
    ("ssl.ca.location", "set `ca_file`"),
    ("ssl.certificate.location", "set `certificate_file`"),
    ("ssl.key.location", "set `key_file`"),
    ("enable.ssl.certificate.verification", "an unknown broker must not receive evidence"),
    ("plugin.library.paths", "no code is loaded"),
];

/// Properties that hold a secret as text.
const SECRETS: &[&str] = &["ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "ssl.certificate.pem"];

impl KafkaConfig {
    /// Completes what is absent from the variables that AKS and Azure hosts set (`AZURE_*`, `IDENTITY_*`).
    pub fn fill_from_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        if let Some(Sasl::OauthBearer { token, .. }) = &mut self.sasl {
            token.fill_from_environment(variable);
        }
    }

    /// Every problem; none when the settings can work.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.bootstrap.trim().is_empty() {
            problems.push("`bootstrap` is empty; name at least one broker as host:port".into());
        }
        self.find_security_problems(&mut problems);
        for name in self.properties.keys() {
            let ours = OURS.iter().find(|(key, _)| key == name);
            if let Some((_, instead)) = ours {
                problems.push(format!("property {name} cannot be set: {instead}"));
            } else if name.starts_with("sasl.") {
                problems.push(format!("property {name} cannot be set: use the table `sasl`"));
            } else if SECRETS.contains(&name.as_str()) {
                problems.push(format!("property {name} cannot be set: secrets are given as files"));
            }
        }
        self.find_timing_problems(&mut problems);
        problems
    }

    fn find_security_problems(&self, problems: &mut Vec<String>) {
        let security = self.security.as_str();
        match (&self.sasl, self.security.uses_sasl()) {
            (None, true) => {
                problems.push(format!("`security` is {security}, and the table `sasl` is missing"))
            }
            (Some(_), false) => problems.push(format!(
                "the table `sasl` has no effect with `security` {security}; use sasl_ssl or sasl_plaintext"
            )),
            (Some(Sasl::OauthBearer { token, .. }), true) => problems.extend(token.problems()),
            (Some(_), true) | (None, false) => {}
        }
        let has_tls_file =
            self.ca_file.is_some() || self.certificate_file.is_some() || self.key_file.is_some();
        if has_tls_file && !self.security.uses_tls() {
            problems.push(format!("certificate files have no effect with `security` {security}"));
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            problems.push("`certificate_file` and `key_file` belong together; one is missing".into());
        }
        if self.profile == Profile::EventHubs && self.security != Security::SaslSsl {
            problems.push("Event Hubs takes only `security` sasl_ssl".into());
        }
    }

    /// Times that do not fit together make a group rebalance for ever.
    fn find_timing_problems(&self, problems: &mut Vec<String>) {
        let mut number = |name: &str, fallback: u64| match self.effective(name) {
            None => fallback,
            Some(text) => text.parse().unwrap_or_else(|_| {
                problems.push(format!("property {name} must be a number of milliseconds, not {text:?}"));
                fallback
            }),
        };
        let session = number("session.timeout.ms", 10_000);
        let heartbeat = number("heartbeat.interval.ms", (session / 3).max(1));
        let poll = number("max.poll.interval.ms", 300_000);
        let ages = ["metadata.max.age.ms", "connections.max.idle.ms", "topic.metadata.refresh.interval.ms"]
            .map(|name| (name, number(name, 180_000)));
        if heartbeat == 0 || heartbeat * 3 > session {
            problems.push(format!(
                "heartbeat.interval.ms {heartbeat} must be at most a third of session.timeout.ms {session}"
            ));
        }
        if poll < session {
            problems
                .push(format!("max.poll.interval.ms {poll} must not be below session.timeout.ms {session}"));
        }
        if self.profile == Profile::EventHubs {
            if !(6_000..=300_000).contains(&session) {
                problems.push(format!("session.timeout.ms {session} must be 6000 to 300000 on Event Hubs"));
            }
            for (name, value) in ages {
                if value == 0 || value >= EVENT_HUBS_IDLE_MS {
                    problems.push(format!(
                        "{name} {value} must be below {EVENT_HUBS_IDLE_MS}: Event Hubs cuts connections idle for longer"
                    ));
                }
            }
        }
    }

    /// The properties of the profile, then those of the operator: later ones win.
    pub fn extra_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let profile = match self.profile {
            Profile::Kafka => &[][..],
            Profile::EventHubs => EVENT_HUBS,
        };
        let own = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        profile.iter().copied().chain(own)
    }

    /// What a property is set to by profile or operator.
    pub fn effective(&self, name: &str) -> Option<&str> {
        self.extra_properties().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
    }

    /// What tokens are asked for: the given scope, or the namespace of the first broker.
    pub fn token_scope(&self, given: Option<&str>) -> String {
        if let Some(scope) = given {
            return scope.to_owned();
        }
        let first = self.bootstrap.split(',').next().unwrap_or_default().trim();
        let host = first.rsplit_once(':').map_or(first, |(host, _)| host);
        format!("https://{host}/.default")
    }
}

#[cfg(test)]
mod tests;
