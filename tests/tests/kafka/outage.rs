//! Outages: a broker that is killed and comes back loses nothing that was acknowledged, and everybody goes on.

use crate::scene::{Counter, client, eventually, record, settings};
use corridor_intake::kafka::{
    Membership, MembershipSettings, Source, SourceSettings, SourceSide, SourceTopic,
};
use corridor_intake::log::kafka::KafkaLog;
use corridor_intake::log::{Log, LogError};
use corridor_tests::broker::Broker;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn broker_killed_and_restarted_in_the_middle_loses_nothing() {
    let mut broker = Broker::start();
    let client = client(broker.config());
    let log = Arc::new(
        KafkaLog::open(client.clone(), settings("outage-log", 2))
            .await
            .expect("the scene is as it was set up"),
    );
    broker.create_topic("outage-source", 2, &[]).await;
    let counter = Counter::new(|_| false);
    let topics = vec![SourceTopic { name: "outage-source".into(), side: SourceSide::Kong }];
    let source = SourceSettings { topics, group: "outage".into(), instance: None };
    let source = Source::start(client.clone(), source, Arc::clone(&counter) as _)
        .expect("the scene is as it was set up");
    let member = MembershipSettings {
        topic: "outage-log".into(),
        shard_count: 2,
        group: "outage-members".into(),
        instance: Some("worker-1".into()),
        stop_wait_max: Duration::from_secs(1),
    };
    let (member, mut events) = Membership::join(&client, member).expect("the scene is as it was set up");
    let owned = member.owned();
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(Arc::clone(&log), Arc::clone(&is_done)));
    let reader = tokio::spawn(follow(Arc::clone(&log), Arc::clone(&is_done)));
    for round in 0..2 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let values: Vec<_> = (0..100).map(|number| Some(format!("{round}-{number}").into_bytes())).collect();
        broker.send("outage-source", round, &values).await;
        if round == 0 {
            broker.kill()
        } else {
            broker.stop()
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.run();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    is_done.store(true, Ordering::Relaxed);
    let acknowledged = writer.await.expect("the scene is as it was set up");
    let read = reader.await.expect("the scene is as it was set up");
    let lost: Vec<_> = acknowledged.difference(&read).collect();
    assert!(lost.is_empty(), "{} of {} were lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    eventually("the source has all", || counter.distinct() == 200).await;
    eventually("the member has its shards", || owned.borrow().len() == 2).await;
    member.leave().await;
    source.stop().await;
}

/// Appends until it is told to stop, each record until it is acknowledged.
async fn write(log: Arc<KafkaLog>, is_done: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in 0_u32.. {
        if is_done.load(Ordering::Relaxed) {
            break;
        }
        let text = number.to_string();
        while let Err(error) = log.append(vec![record(number % 2, text.clone())]).await {
            assert!(matches!(error, LogError::Unavailable(_) | LogError::Full(_)), "{error}");
        }
        acknowledged.insert(text);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    acknowledged
}

/// Reads both shards until they are quiet after the end, with readers that live through the outages.
async fn follow(log: Arc<KafkaLog>, is_done: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    let mut readers = [
        log.reader(0, 0).await.expect("the scene is as it was set up"),
        log.reader(1, 0).await.expect("the scene is as it was set up"),
    ];
    let mut quiet = 0;
    while quiet < 4 {
        let was_done = is_done.load(Ordering::Relaxed);
        for reader in &mut readers {
            match reader.read(1 << 20, Duration::from_millis(500)).await {
                Ok(records) => {
                    quiet = if records.is_empty() && was_done { quiet + 1 } else { 0 };
                    read.extend(
                        records.iter().map(|stored| String::from_utf8_lossy(&stored.payload).into_owned()),
                    );
                }
                Err(error) => assert!(matches!(error, LogError::Unavailable(_)), "{error}"),
            }
        }
    }
    read
}
