//! Members: workers come, go, die and are stopped under load; the shards always have an owner and the evidence is whole.

use crate::scene::{Stage, broker, my_turn};
use corridor_tests::live_traffic::post_all;
use corridor_tests::live_worker::{LiveWorker, Variables, together, wait_drained};
use corridor_tests::plain_http;
use std::time::{Duration, Instant};

const SHARDS: u32 = 6;
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(40);

fn with(variables: &Variables, name: &str, value: &str) -> Variables {
    let mut variables = variables.clone();
    variables.push((name.into(), value.into()));
    variables
}

fn shards_of(worker: &LiveWorker) -> usize {
    together([worker]).shards.len()
}

/// Waits until the workers own these numbers of shards.
#[track_caller]
fn wait_for_shards(workers: &[&LiveWorker], want: impl Fn(&[usize]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let owned: Vec<usize> = workers.iter().map(|worker| shards_of(worker)).collect();
        if want(&owned) {
            return;
        }
        assert!(Instant::now() < deadline, "the workers own {owned:?} shards");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn one_worker_takes_records_and_two_others_join_them() {
    let _turn = my_turn();
    let stage = Stage::set("roles", 2_000);
    let variables = stage.variables(broker(), SHARDS, 15);
    let start = |name: &str, roles: &str| {
        let mut worker = LiveWorker::start(&stage.folder, name, &with(&variables, "CORRIDOR_ROLES", roles));
        worker.wait_ready();
        worker
    };
    let mut intake = start("intake", "intake");
    let mut joiners = [start("join-1", "join"), start("join-2", "join")];
    wait_for_shards(&[&intake, &joiners[0], &joiners[1]], |owned| owned == [0, 3, 3]);

    let posts = stage.traffic.posts(100);
    let refused = plain_http::request(joiners[0].port(), "POST", posts[0].path, &posts[0].body);
    assert_ne!(refused.expect("it answers").status, 200, "a worker without intake takes nothing");
    post_all(&posts, &[intake.port()], Duration::from_secs(3));
    let workers = [&joiners[0], &joiners[1]];
    let ledger = wait_drained(&workers, SHARDS as usize, stage.traffic.records, DRAINED_WITHIN);
    assert!(ledger.is_conserved(), "{ledger}");
    for worker in joiners.iter_mut().chain([&mut intake]) {
        assert_eq!(worker.stop(), Some(0), "{}", worker.said());
    }
    stage.assert_live_is_batch();
}

#[test]
fn a_worker_joins_and_dies_and_the_others_take_over() {
    let _turn = my_turn();
    let stage = Stage::set("takeover", 2_000);
    let variables = stage.variables(broker(), SHARDS, 40);
    let mut workers = ["one", "two"].map(|name| LiveWorker::start(&stage.folder, name, &variables));
    workers.iter_mut().for_each(LiveWorker::wait_ready);
    wait_for_shards(&[&workers[0], &workers[1]], |owned| owned == [3, 3]);

    let posts = stage.traffic.posts(20);
    let (first, rest) = posts.split_at(posts.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let ports = workers.each_ref().map(LiveWorker::port);
    post_all(first, &ports, Duration::from_secs(2));
    let mut newcomer = LiveWorker::start(&stage.folder, "three", &variables);
    newcomer.wait_ready();
    wait_for_shards(&[&workers[0], &workers[1], &newcomer], |owned| owned == [2, 2, 2]);
    post_all(second, &ports, Duration::from_secs(2));
    newcomer.kill();
    post_all(third, &ports, Duration::from_secs(2));
    wait_for_shards(&[&workers[0], &workers[1]], |owned| owned == [3, 3]);

    let both = [&workers[0], &workers[1]];
    let ledger = wait_drained(&both, SHARDS as usize, stage.traffic.records, DRAINED_WITHIN);
    assert!(ledger.is_conserved(), "{ledger}");
    for worker in &mut workers {
        assert_eq!(worker.stop(), Some(0), "{}", worker.said());
    }
    stage.assert_live_is_batch();
}

#[test]
fn a_worker_that_is_stopped_under_load_loses_nothing_and_its_next_start_goes_on() {
    let _turn = my_turn();
    let stage = Stage::set("stopped", 2_000);
    let variables = with(&stage.variables(broker(), SHARDS, 30), "CORRIDOR_WORKER", "steady");
    let mut worker = LiveWorker::start(&stage.folder, "steady", &variables);
    worker.wait_ready();
    let (posts, port) = (stage.traffic.posts(10), worker.port());
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| post_all(&posts, &[port], Duration::from_secs(12)));
        for _ in 0..3 {
            std::thread::sleep(Duration::from_secs(3));
            assert_eq!(worker.stop(), Some(0), "{}", worker.said());
            worker.run();
        }
        eprintln!("stopped: {} posts were sent again", posting.join().expect("the posts are taken"));
    });
    let ledger = wait_drained(&[&worker], SHARDS as usize, stage.traffic.records, DRAINED_WITHIN);
    assert!(ledger.is_conserved(), "{ledger}");
    assert_eq!(worker.stop(), Some(0), "{}", worker.said());
    stage.assert_live_is_batch();
}
