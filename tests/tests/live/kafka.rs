//! Kafka: records come from topics and go through a topic; the evidence is that of a backfill.

use crate::scene::{Stage, broker, create_sources, my_turn, send_to_sources, source_variables};
use corridor_tests::live_worker::{LiveWorker, wait_drained};
use std::time::Duration;

const WAIT_SECONDS: u32 = 10;
const DRAINED_WITHIN: Duration = Duration::from_secs(90);

fn live_is_batch(name: &'static str, shards: u32) {
    let _turn = my_turn();
    let stage = Stage::set(name, 2_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(create_sources(broker(), name));
    let mut variables = stage.variables(broker(), shards, WAIT_SECONDS);
    variables.extend(source_variables(name));
    let mut worker = LiveWorker::start(&stage.folder, "worker", &variables);
    worker.wait_ready();
    runtime.block_on(send_to_sources(&broker().address(), name, &stage.traffic));

    let ledger = wait_drained(&[&worker], shards as usize, stage.traffic.records, DRAINED_WITHIN);
    assert!(ledger.is_conserved(), "{ledger}");
    assert_eq!(
        (ledger.records_in, ledger.rejects),
        (stage.traffic.records, stage.traffic.rejects),
        "{ledger}"
    );
    assert_eq!(worker.stop(), Some(0), "{}", worker.said());
    stage.assert_live_is_batch();
}

#[test]
fn one_shard_gives_the_rows_of_a_backfill() {
    live_is_batch("one-shard", 1);
}

#[test]
fn six_shards_give_the_rows_of_a_backfill() {
    live_is_batch("six-shards", 6);
}
