//! Broker: a real Apache Kafka, started for a test and stopped after it.
//!
//! - In: `scripts/kafka.sh`, which installs it when it is missing.
//! - Out: addresses of its listeners, and the operations that tests need.
//! - Keeps: the process and its data folder. It ends with the test, also when that is killed: it watches a pipe of ours.

use crate::python::repository;
use corridor_intake::kafka::{Clock, KafkaConfig};
use corridor_model::Micros;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The user of the SASL listener, as `scripts/kafka.sh` knows it.
pub const USER: &str = "alice";
/// Its password.
pub const PASSWORD: &str = "alice-secret";

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running broker.
pub struct Broker {
    data: tempfile::TempDir,
    port: u16,
    /// Ports for passwords and for tokens, and the address of the tokens' keys.
    sasl: Option<(u16, u16, String)>,
    running: Option<Running>,
}

struct Running {
    script: Child,
    broker: u32,
}

impl Broker {
    /// Starts one without authentication.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that also takes passwords, and tokens signed by the keys at this address.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with_sasl(keys_url: &str) -> Self {
        Self::start_with(Some((free_port(), free_port(), keys_url.into())))
    }

    fn start_with(sasl: Option<(u16, u16, String)>) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        let mut broker = Self { data, port: free_port(), sasl, running: None };
        broker.run();
        broker
    }

    /// Starts it again on the same ports, with the same data.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run(&mut self) {
        let mut command = Command::new(repository().join("scripts/kafka.sh"));
        command.arg("run").arg(self.data.path()).arg(self.port.to_string());
        if let Some((password_port, token_port, keys_url)) = &self.sasl {
            command.args([&password_port.to_string(), &token_port.to_string(), keys_url]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().expect("scripts/kafka.sh starts");
        let said = BufReader::new(script.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let ready = said.into_iter().find_map(|line| line.strip_prefix("ready ").map(String::from));
        let pid = ready.and_then(|line| line.split(' ').next().and_then(|pid| pid.parse().ok()));
        let broker = pid.unwrap_or_else(|| panic!("the broker did not come up on port {}", self.port));
        self.running = Some(Running { script, broker });
    }

    /// Stops it as an operator would.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }

    /// Kills it, as a lost machine would.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            signal("-KILL", running.broker);
            running.end();
        }
    }

    /// The plaintext listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Settings for the plaintext listener.
    pub fn config(&self) -> KafkaConfig {
        self.config_of(json!({ "bootstrap": self.address() }))
    }

    /// Settings for the listener that takes passwords, with this table `sasl`.
    ///
    /// # Panics
    /// When the broker has no such listener.
    pub fn password_config(&self, sasl: Value) -> KafkaConfig {
        let (port, ..) = self.sasl.as_ref().expect("it was started with SASL");
        let bootstrap = format!("127.0.0.1:{port}");
        self.config_of(json!({ "bootstrap": bootstrap, "security": "sasl_plaintext", "sasl": sasl }))
    }

    /// Settings for the listener that takes tokens, with this source of tokens.
    ///
    /// # Panics
    /// When the broker has no such listener.
    pub fn token_config(&self, token: Value) -> KafkaConfig {
        let (_, port, _) = self.sasl.as_ref().expect("it was started with SASL");
        let sasl = json!({ "mechanism": "OAUTHBEARER", "token": token, "scope": "kafka-test" });
        let bootstrap = format!("127.0.0.1:{port}");
        self.config_of(json!({ "bootstrap": bootstrap, "security": "sasl_plaintext", "sasl": sasl }))
    }

    fn config_of(&self, mut table: Value) -> KafkaConfig {
        // Short sessions, so that a killed member is missed quickly.
        let timing = json!({ "session.timeout.ms": "3000", "heartbeat.interval.ms": "500" });
        table["properties"] = timing;
        serde_json::from_value(table).expect("the settings are complete")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let made = ClientConfig::new().set("bootstrap.servers", self.address()).create();
        made.expect("the settings are complete")
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let answer = self.admin().create_topics([&topic], &options()).await.expect("the broker answers");
        answer.into_iter().for_each(|outcome| drop(outcome.expect("the topic is made")));
    }

    /// Deletes the records of a partition before an offset, as retention would.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("it is a position");
        self.admin().delete_records(&list, &options()).await.expect("the broker deletes");
    }

    /// Sends values to a partition, in order; None is a message without a value.
    ///
    /// # Panics
    /// When the broker does not take them.
    pub async fn send(&self, topic: &str, partition: i32, values: &[Option<Vec<u8>>]) {
        send(&self.address(), topic, partition, values).await;
    }

    /// The position that a group has committed.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", self.address()).set("group.id", group);
        let consumer: BaseConsumer = settings.create().expect("the settings are complete");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let answer = consumer.committed_offsets(list, PATIENCE).expect("the broker answers");
        match answer.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

impl Running {
    fn end(mut self) {
        // Without our end of the pipe the script stops the broker, and then itself.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends values to a partition of the broker at this address, which may be away for a while, in order.
///
/// # Panics
/// When the broker does not take them.
pub async fn send(address: &str, topic: &str, partition: i32, values: &[Option<Vec<u8>>]) {
    let made =
        ClientConfig::new().set("bootstrap.servers", address).set("enable.idempotence", "true").create();
    let producer: FutureProducer = made.expect("the settings are complete");
    let mut sent = Vec::new();
    for value in values {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).partition(partition);
        if let Some(value) = value {
            record = record.payload(value);
        }
        sent.push(producer.send_result(record).map_err(|(error, _)| error).expect("there is room"));
    }
    for delivery in sent {
        delivery.await.expect("the producer lives").expect("the broker takes it");
    }
}

/// The real clock, for clients.
pub fn clock() -> Clock {
    Arc::new(|| Micros(chrono::Utc::now().timestamp_micros()))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn signal(which: &str, process: u32) {
    let _ = Command::new("kill").args([which, &process.to_string()]).status();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
