//! Chaos: workers are killed every few seconds, the broker once, and the store fails in every way, while records come in over
//! HTTP and from topics. In the end every event is in the lake once, and every row is that of a backfill.
//!
//! `CORRIDOR_CHAOS_SECONDS` makes it last longer. Records come in rounds: partners come within the wait, as the law demands,
//! while the whole lasts many times longer.

use crate::scene::{
    create_sources, fresh_folder, kafka_variables, my_turn, send_to_sources, source_variables,
};
use corridor_tests::broker::Broker;
use corridor_tests::emulator::Emulator;
use corridor_tests::faulty_proxy::{FaultyProxy, Weather};
use corridor_tests::live_rows::compare;
use corridor_tests::live_traffic::{LiveTraffic, post_all};
use corridor_tests::live_worker::{LiveWorker, Variables, wait_drained};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SHARDS: u32 = 6;
const SECONDS: u64 = 60;
/// More than three times the longest outage: the broker's restart, or that of a worker until others have its shards.
const WAIT_SECONDS: u32 = 45;
/// Records of a round arrive within this, if all is well.
const ROUND: Duration = Duration::from_secs(12);
const ROUND_KONG: u64 = 500;
const STORE_OUTAGE: Duration = Duration::from_secs(8);
const DRAINED_WITHIN: Duration = Duration::from_secs(240);
const TOPIC: &str = "chaos";

/// What was done to them.
#[derive(Debug, Default)]
struct Blows {
    kills: u64,
    broker_kills: u64,
    store_outages: u64,
}

struct Chaos<'c> {
    workers: &'c mut [LiveWorker],
    broker: &'c mut Broker,
    proxy: &'c FaultyProxy,
    lasts: Duration,
    blows: Blows,
}

impl Chaos<'_> {
    /// Until the time is over and no more records come; then everything runs again.
    fn rage(mut self, posting: &AtomicBool) -> Blows {
        let began = Instant::now();
        let at = |part: u32| self.lasts * part / 8;
        let mut plan =
            [(at(1), Weather::Storm), (at(3), Weather::Down), (at(6), Weather::Storm)].into_iter().peekable();
        let mut broker_at = Some(at(4));
        let mut store_is_back = None;
        while began.elapsed() < self.lasts || posting.load(Ordering::SeqCst) {
            let now = began.elapsed();
            if store_is_back.is_some_and(|back| now >= back) {
                store_is_back = None;
                self.proxy.set(Weather::Calm);
            }
            if let Some((_, weather)) = plan.next_if(|(due, _)| now >= *due) {
                self.proxy.set(weather);
                self.blows.store_outages += 1;
                store_is_back = Some(now + STORE_OUTAGE);
            }
            if broker_at.take_if(|due| now >= *due).is_some() {
                self.broker.kill();
                std::thread::sleep(Duration::from_secs(2));
                self.broker.run();
                self.blows.broker_kills += 1;
            }
            self.kill_one();
        }
        self.proxy.set(Weather::Calm);
        self.blows
    }

    /// Every fourth worker stays away for longer than the group waits for it.
    fn kill_one(&mut self) {
        let number = self.blows.kills;
        let worker = &mut self.workers[(number * 7 % 5 % 3) as usize];
        worker.kill();
        self.blows.kills += 1;
        let away = if number % 4 == 3 { 8_000 } else { 200 + number * 370 % 1_500 };
        std::thread::sleep(Duration::from_millis(away));
        worker.run();
        std::thread::sleep(Duration::from_millis(1_000 + number * 530 % 2_500));
    }
}

fn lasts() -> Duration {
    let seconds =
        std::env::var("CORRIDOR_CHAOS_SECONDS").ok().map(|text| text.parse().expect("it is a number"));
    Duration::from_secs(seconds.unwrap_or(SECONDS))
}

/// Traffic of each round, and all of it as one backfill after the other.
fn rounds(folder: &Path, lasts: Duration) -> Vec<LiveTraffic> {
    let count = (lasts.as_secs() / ROUND.as_secs()).max(1);
    let generate = |seed| LiveTraffic::generate(&folder.join(format!("traffic-{seed}")), ROUND_KONG, seed);
    (1..=count).map(generate).collect()
}

fn variables(folder: &Path, broker: &Broker, proxy: &FaultyProxy) -> Variables {
    let mut variables = kafka_variables(broker, TOPIC, SHARDS, WAIT_SECONDS);
    variables.extend(source_variables(TOPIC));
    let directory = folder.join("traffic-1/directory");
    variables.push(("CORRIDOR_DIRECTORY".into(), directory.to_str().expect("it is UTF-8").into()));
    variables.push(("CORRIDOR_LAKE".into(), "az://lake/live".into()));
    variables.push(("AZURE_STORAGE_USE_EMULATOR".into(), "true".into()));
    variables.push(("AZURITE_BLOB_STORAGE_URL".into(), proxy.url()));
    variables
}

/// Two are known to the group by name, one is a new member after each start.
fn start_workers(folder: &Path, variables: &Variables) -> [LiveWorker; 3] {
    ["one", "two", "three"].map(|name| {
        let mut variables = variables.clone();
        if name != "three" {
            variables.push(("CORRIDOR_WORKER".into(), name.into()));
        }
        let mut worker = LiveWorker::start(folder, name, &variables);
        worker.wait_ready();
        worker
    })
}

/// Every other round comes over HTTP, the others from topics. Returns how many posts were sent again.
fn play(rounds: &[LiveTraffic], ports: &[u16], broker_address: &str) -> u64 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let mut again = 0;
    for (number, traffic) in rounds.iter().enumerate() {
        if number % 2 == 0 {
            again += post_all(&traffic.posts(20), ports, ROUND);
        } else {
            runtime.block_on(send_to_sources(broker_address, TOPIC, traffic));
            std::thread::sleep(ROUND);
        }
    }
    again
}

#[test]
fn whatever_dies_every_event_is_in_the_lake_once() {
    let _turn = my_turn();
    let (folder, lasts) = (fresh_folder(TOPIC), lasts());
    let rounds = rounds(&folder, lasts);
    let batch = folder.join("batch");
    rounds.iter().for_each(|round| round.backfill_with(&folder.join("traffic-1/directory"), &batch));
    let mut broker = Broker::start();
    let emulator = Emulator::start(&["lake"]);
    let proxy = FaultyProxy::start(emulator.address());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(create_sources(&broker, TOPIC));
    let mut workers = start_workers(&folder, &variables(&folder, &broker, &proxy));
    let ports = workers.each_ref().map(LiveWorker::port);

    let (posting, address) = (AtomicBool::new(true), broker.address());
    let (blows, again) = std::thread::scope(|scope| {
        let play = scope.spawn(|| {
            let again = std::panic::catch_unwind(|| play(&rounds, &ports, &address));
            posting.store(false, Ordering::SeqCst);
            again.expect("all records are taken")
        });
        let chaos = Chaos {
            workers: &mut workers,
            broker: &mut broker,
            proxy: &proxy,
            lasts,
            blows: Blows::default(),
        };
        (chaos.rage(&posting), play.join().expect("all records are taken"))
    });
    let records = rounds.iter().map(|round| round.records).sum();
    eprintln!(
        "chaos: {lasts:?}, {records} records, {blows:?}, store faults {:?}, posts sent again {again}",
        proxy.faults()
    );

    let ledger = wait_drained(&workers.each_ref(), SHARDS as usize, records, DRAINED_WITHIN);
    eprintln!("chaos: {ledger}");
    assert!(ledger.is_conserved(), "{ledger}");
    for worker in &mut workers {
        assert_eq!(worker.stop(), Some(0), "{}", worker.said());
    }
    let live = runtime.block_on(emulator.objects("lake", "live"));
    let comparison = compare(&live, &batch);
    comparison.assert_equal(TOPIC);
    assert_eq!(ledger.rows, comparison.events as u64, "the equation counts the rows of the lake");
}
