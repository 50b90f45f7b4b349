//! Sources: every message reaches the log, whatever happens on the way.

use crate::scene::{Counter, client, eventually, scene};
use corridor_intake::kafka::{Source, SourceSettings, SourceSide, SourceTopic};
use corridor_model::Side;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn start(topics: &[(&str, SourceSide)], group: &str, accept: Arc<Counter>) -> Source {
    let topics = topics.iter().map(|(name, side)| SourceTopic { name: (*name).into(), side: *side });
    let settings = SourceSettings { topics: topics.collect(), group: group.into(), instance: None };
    Source::start(client(scene().broker.config()), settings, accept).expect("the scene is as it was set up")
}

fn numbered(range: std::ops::Range<usize>) -> Vec<Option<Vec<u8>>> {
    range.map(|number| Some(format!("{{\"n\":{number}}}").into_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_message_is_offered_until_it_is_accepted_and_nothing_is_skipped() {
    let broker = &scene().broker;
    broker.create_topic("source-refused", 2, &[]).await;
    broker.send("source-refused", 0, &numbered(0..3000)).await;
    broker.send("source-refused", 1, &numbered(3000..3200)).await;
    let is_refusing = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&is_refusing);
    let counter = Counter::new(move |body| body == "{\"n\":1234}" && refusing.load(Ordering::Relaxed));
    let source = start(&[("source-refused", SourceSide::Kong)], "refused", Arc::clone(&counter));
    let progress = source.progress();
    eventually("it is refused several times", || progress.refused.load(Ordering::Relaxed) > 5).await;
    eventually("the other partition goes on", || counter.times("{\"n\":3199}") == 1).await;
    let early = counter.distinct();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(counter.distinct(), early, "the partition waits");
    assert_eq!(progress.held.load(Ordering::Relaxed), 1);
    assert_eq!(broker.committed("refused", "source-refused", 0), Some(1234), "nothing after it is committed");
    assert_eq!(broker.committed("refused", "source-refused", 1), Some(200));
    is_refusing.store(false, Ordering::Relaxed);
    eventually("everything is accepted", || counter.distinct() == 3200).await;
    assert_eq!(counter.total(), 3200, "and once each");
    source.stop().await;
    assert_eq!(broker.committed("refused", "source-refused", 0), Some(3000));
    assert_eq!(progress.messages.load(Ordering::Relaxed), 3200);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_delivered_with_its_side_and_coordinates_and_without_a_prefix() {
    let broker = &scene().broker;
    broker.create_topic("source-kong", 1, &[]).await;
    broker.create_topic("source-azure", 1, &[]).await;
    let prefixed = [&b"\0\0\0\0\x09"[..], b"{\"confluent\":1}"].concat();
    broker.send("source-kong", 0, &[None, Some(Vec::new()), Some(prefixed)]).await;
    broker.send("source-azure", 0, &[Some(b"{\"records\":[]}".to_vec())]).await;
    let counter = Counter::new(|_| false);
    let topics = [("source-kong", SourceSide::Kong), ("source-azure", SourceSide::Azure)];
    let source = start(&topics, "coordinates", Arc::clone(&counter));
    let progress = source.progress();
    eventually("both came", || counter.distinct() == 2).await;
    let kong = counter.first("{\"confluent\":1}");
    assert_eq!((kong.side, kong.origin.to_string().as_str()), (Side::Kong, "kafka:source-kong/0@2"));
    assert!(kong.received_time.0 > 1_700_000_000_000_000);
    assert_eq!(counter.first("{\"records\":[]}").side, Side::Azure);
    assert_eq!(progress.empty.load(Ordering::Relaxed), 2);
    source.stop().await;
    assert_eq!(broker.committed("coordinates", "source-kong", 0), Some(3), "empty messages count");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_rebalances_skip_nothing() {
    let broker = &scene().broker;
    broker.create_topic("source-moves", 4, &[]).await;
    let counter = Counter::new(|_| false);
    let topics = [("source-moves", SourceSide::Kong)];
    let mut sources = vec![start(&topics, "moves", Arc::clone(&counter))];
    for round in 0..6_usize {
        for partition in 0..4_usize {
            let from = (round * 4 + partition) * 300;
            broker
                .send(
                    "source-moves",
                    i32::try_from(partition).expect("the scene is as it was set up"),
                    &numbered(from..from + 300),
                )
                .await;
        }
        if round % 2 == 0 {
            sources.push(start(&topics, "moves", Arc::clone(&counter)));
        } else {
            sources.remove(0).stop().await;
        }
    }
    eventually("every message came", || counter.distinct() == 7200).await;
    for source in sources {
        source.stop().await;
    }
    let doubled = counter.total() - 7200;
    assert!(doubled < 720, "{doubled} messages came again after orderly moves");
    for partition in 0..4 {
        assert_eq!(broker.committed("moves", "source-moves", partition), Some(1800));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn position_that_is_not_there_any_more_stops_its_partition_and_no_other() {
    let broker = &scene().broker;
    broker.create_topic("source-gone", 2, &[]).await;
    broker.send("source-gone", 0, &numbered(0..10)).await;
    broker.send("source-gone", 1, &numbered(10..20)).await;
    let topics = [("source-gone", SourceSide::Kong)];
    let counter = Counter::new(|_| false);
    let source = start(&topics, "gone", Arc::clone(&counter));
    eventually("all came", || counter.distinct() == 20).await;
    source.stop().await;
    broker.send("source-gone", 0, &numbered(20..40)).await;
    broker.delete_before("source-gone", 0, 15).await;
    broker.send("source-gone", 1, &numbered(40..50)).await;
    let source = start(&topics, "gone", Arc::clone(&counter));
    let progress = source.progress();
    eventually("it is told", || progress.stopped().len() == 1).await;
    eventually("the other goes on", || counter.distinct() == 30).await;
    let stopped = progress.stopped();
    let reason = &stopped["source-gone/0"];
    assert!(
        reason.contains("continues at offset 10, and the topic begins at 15: 5 messages were deleted"),
        "{reason}"
    );
    source.stop().await;
    assert_eq!(broker.committed("gone", "source-gone", 0), Some(10), "the gap was not passed");
}
