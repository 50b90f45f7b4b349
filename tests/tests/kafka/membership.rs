//! Membership: the shards are shared, and those of a member that is lost go to the others.

use crate::scene::{client, eventually, scene};
use corridor_intake::kafka::{Membership, MembershipEvent, MembershipSettings};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

fn settings(topic: &str, shard_count: u32) -> MembershipSettings {
    MembershipSettings {
        topic: topic.into(),
        shard_count,
        group: format!("{topic}-group"),
        instance: None,
        stop_wait_max: Duration::from_secs(5),
    }
}

fn join(topic: &str) -> (Membership, UnboundedReceiver<MembershipEvent>) {
    Membership::join(&client(scene().broker.config()), settings(topic, 6))
        .expect("the scene is as it was set up")
}

/// Answers revocations at once.
fn answer(mut events: UnboundedReceiver<MembershipEvent>) {
    tokio::spawn(async move { while events.recv().await.is_some() {} });
}

/// A member in a process of its own.
struct Other {
    process: Child,
    owned: Arc<Mutex<BTreeSet<u32>>>,
}

impl Other {
    fn start(topic: &str) -> Self {
        let broker = scene().broker.address();
        let mut process = Command::new(env!("CARGO_BIN_EXE_group_member"))
            .args([&broker, topic, "6", &format!("{topic}-group")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the scene is as it was set up");
        let owned = Arc::new(Mutex::new(BTreeSet::new()));
        let (noted, lines) = (
            Arc::clone(&owned),
            BufReader::new(process.stdout.take().expect("the scene is as it was set up")).lines(),
        );
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let shards = line.strip_prefix("owns ").expect("the scene is as it was set up").split(',');
                *noted.lock().expect("the scene is as it was set up") =
                    shards.filter_map(|shard| shard.parse().ok()).collect();
            }
        });
        Self { process, owned }
    }

    fn owned(&self) -> BTreeSet<u32> {
        self.owned.lock().expect("the scene is as it was set up").clone()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_a_killed_member_go_to_the_other() {
    scene().broker.create_topic("members-killed", 6, &[]).await;
    let (member, events) = join("members-killed");
    let owned = member.owned();
    answer(events);
    eventually("alone it owns all", || owned.borrow().len() == 6).await;
    let mut other = Other::start("members-killed");
    eventually("each owns half", || owned.borrow().len() == 3 && other.owned().len() == 3).await;
    assert!(owned.borrow().is_disjoint(&other.owned()));
    other.process.kill().expect("the scene is as it was set up");
    eventually("it owns all again", || owned.borrow().len() == 6).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shard_is_given_away_only_after_its_owner_says_that_it_has_stopped() {
    scene().broker.create_topic("members-slow", 6, &[]).await;
    let (first, mut events) = join("members-slow");
    let owned = first.owned();
    let Some(MembershipEvent::Assigned(shards)) = events.recv().await else {
        panic!("it is assigned shards")
    };
    assert_eq!(shards.len(), 6);
    let (second, second_events) = join("members-slow");
    answer(second_events);
    let Some(MembershipEvent::Revoked { shards, is_lost: false, stopped }) = events.recv().await else {
        panic!("some are revoked")
    };
    assert_eq!(shards.len(), 3);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(second.owned().borrow().len(), 0, "the first has not stopped");
    stopped.send(()).expect("the scene is as it was set up");
    let theirs = second.owned();
    eventually("the second gets them", || *theirs.borrow() == shards).await;
    answer(events);
    second.leave().await;
    eventually("leaving hands them back", || owned.borrow().len() == 6).await;
    first.advice().commit(0, 17);
    first.leave().await;
    assert_eq!(scene().broker.committed("members-slow-group", "members-slow", 0), Some(17));
}

#[tokio::test(flavor = "multi_thread")]
async fn member_with_a_name_gets_its_shards_back_after_a_restart_and_the_others_notice_nothing() {
    scene().broker.create_topic("members-named", 6, &[]).await;
    let named = |instance: &str| MembershipSettings {
        instance: Some(instance.into()),
        ..settings("members-named", 6)
    };
    let join_as = |instance: &str| {
        Membership::join(&client(scene().broker.config()), named(instance))
            .expect("the scene is as it was set up")
    };
    let (first, first_events) = join_as("worker-1");
    answer(first_events);
    let owned = first.owned();
    eventually("alone it owns all", || owned.borrow().len() == 6).await;
    let (second, mut second_events) = join_as("worker-2");
    let theirs = second.owned();
    eventually("each owns half", || owned.borrow().len() == 3 && theirs.borrow().len() == 3).await;
    let before = owned.borrow().clone();
    while second_events.try_recv().is_ok() {}
    first.leave().await;
    let (first, first_events) = join_as("worker-1");
    answer(first_events);
    let owned = first.owned();
    eventually("it has the same shards", || *owned.borrow() == before).await;
    assert!(second_events.try_recv().is_err(), "the other was not disturbed");
    first.leave().await;
    second.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_ends_the_membership() {
    scene().broker.create_topic("members-count", 7, &[]).await;
    let (_member, mut events) = join("members-count");
    loop {
        match events.recv().await {
            Some(MembershipEvent::Ended(reason)) => {
                assert!(reason.contains("only 6 shards are configured"), "{reason}");
                break;
            }
            Some(_) => {}
            None => panic!("it tells why it ended"),
        }
    }
}
