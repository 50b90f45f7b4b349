//! Scene: a folder, traffic and its batch result, and the settings of workers that share a topic.

use corridor_tests::broker::{Broker, send};
use corridor_tests::landed::files;
use corridor_tests::live_rows::compare;
use corridor_tests::live_traffic::LiveTraffic;
use corridor_tests::live_worker::Variables;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The broker of every test that does not stop it. It ends with the process.
pub fn broker() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);
    &BROKER
}

/// Partners must arrive within a wait that is short here: these tests do not compete with each other for the machine.
pub fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty folder of this test binary, below the build's own folder for tests; it goes with `cargo clean`.
pub fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// A test's folder with its traffic, its batch result and its live lake.
pub struct Stage {
    pub name: &'static str,
    pub folder: PathBuf,
    pub traffic: LiveTraffic,
}

impl Stage {
    pub fn set(name: &'static str, kong: u64) -> Self {
        let folder = fresh_folder(name);
        let traffic = LiveTraffic::generate(&folder.join("traffic"), kong, 1);
        traffic.backfill(&folder.join("batch"));
        Self { name, folder, traffic }
    }

    /// Settings of workers that share a topic of this name and a lake in the folder.
    pub fn variables(&self, broker: &Broker, shards: u32, wait_seconds: u32) -> Variables {
        let mut variables = kafka_variables(broker, self.name, shards, wait_seconds);
        let path = |path: &Path| path.to_str().expect("it is UTF-8").to_owned();
        variables.push(("CORRIDOR_LAKE".into(), path(&self.folder.join("lake"))));
        variables.push(("CORRIDOR_DIRECTORY".into(), path(&self.traffic.directory())));
        variables
    }

    /// The live lake must hold what the batch lake holds.
    pub fn assert_live_is_batch(&self) {
        let live = files(&self.folder.join("lake"));
        compare(&live, &self.folder.join("batch")).assert_equal(self.name);
    }
}

/// Settings of workers that share a topic of this name.
pub fn kafka_variables(broker: &Broker, topic: &str, shards: u32, wait_seconds: u32) -> Variables {
    let variables = [
        ("CORRIDOR_LOG_KIND", "kafka".to_owned()),
        ("CORRIDOR_LOG_TOPIC", format!("{topic}-log")),
        ("CORRIDOR_LOG_GROUP", format!("{topic}-workers")),
        ("CORRIDOR_LOG_SHARDS", shards.to_string()),
        ("CORRIDOR_LOG_REPLICATION", "1".to_owned()),
        ("CORRIDOR_KAFKA_BOOTSTRAP", broker.address()),
        // A killed worker is missed soon.
        ("CORRIDOR_KAFKA_PROPERTIES", "session.timeout.ms=6000,heartbeat.interval.ms=1000".to_owned()),
        ("CORRIDOR_JOIN_WAIT_SECONDS", wait_seconds.to_string()),
        ("CORRIDOR_CLAIM_VISIBLE_SECONDS", "3".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The settings that make a worker read these topics of Kong entries and of Azure envelopes.
pub fn source_variables(topic: &str) -> Variables {
    let variables = [
        ("CORRIDOR_KONG_SOURCE_TOPICS", format!("{topic}-kong")),
        ("CORRIDOR_KONG_SOURCE_GROUP", format!("{topic}-kong-readers")),
        ("CORRIDOR_AZURE_SOURCE_TOPICS", format!("{topic}-azure")),
        ("CORRIDOR_AZURE_SOURCE_GROUP", format!("{topic}-azure-readers")),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Partitions of each source topic.
pub const SOURCE_PARTITIONS: usize = 2;

/// Makes the source topics.
pub async fn create_sources(broker: &Broker, topic: &str) {
    for side in ["kong", "azure"] {
        broker.create_topic(&format!("{topic}-{side}"), SOURCE_PARTITIONS as i32, &[]).await;
    }
}

/// Sends one message for each entry and each envelope.
pub async fn send_to_sources(address: &str, topic: &str, traffic: &LiveTraffic) {
    for (side, messages) in [("kong", traffic.kong()), ("azure", traffic.azure())] {
        for partition in 0..SOURCE_PARTITIONS {
            let ours = messages.iter().skip(partition).step_by(SOURCE_PARTITIONS);
            let values: Vec<_> = ours.cloned().map(Some).collect();
            send(address, &format!("{topic}-{side}"), partition as i32, &values).await;
        }
    }
}
