//! The log on a topic: what was appended is read, in order, from any offset; a topic that does not fit is named.

use crate::scene::{client, open, read, read_all, reason, record, scene, settings};
use corridor_intake::log::kafka::KafkaLog;
use corridor_intake::log::{Bounds, Log, LogError};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_in_order_from_any_offset() {
    let log = open("log-order", 3).await;
    let records = (0..600).map(|number| record(number % 3, number.to_string())).collect();
    log.append(records).await.expect("the scene is as it was set up");
    assert_eq!(log.shard_count(), 3);
    assert!(log.identity().cluster.len() > 10, "{:?}", log.identity());
    assert_eq!(log.bounds(1).await.expect("the scene is as it was set up"), Bounds { start: 0, end: 200 });
    let mut reader = log.reader(1, 0).await.expect("the scene is as it was set up");
    let all = read(reader.as_mut(), 200).await;
    let want: Vec<_> = (0..200).map(|number| (number * 3 + 1).to_string()).collect();
    assert_eq!(all.iter().map(|stored| stored.payload.clone()).collect::<Vec<_>>(), want);
    assert!(all.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    assert!(all.windows(2).all(|pair| pair[0].append_time <= pair[1].append_time));
    let mut later = log.reader(1, 150).await.expect("the scene is as it was set up");
    assert_eq!(read(later.as_mut(), 50).await, all[150..], "another reader sees the same");
    assert_eq!(
        reader.read(1 << 20, Duration::from_millis(50)).await.expect("the scene is as it was set up"),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn read_that_is_dropped_while_it_waits_loses_nothing() {
    let log = open("log-dropped", 1).await;
    let mut reader = log.reader(0, 0).await.expect("the scene is as it was set up");
    let mut got = Vec::new();
    for number in 0..200 {
        log.append(vec![record(0, number.to_string())]).await.expect("the scene is as it was set up");
        let pause = Duration::from_micros(number * 37 % 4000);
        if let Ok(records) = tokio::time::timeout(pause, reader.read(1, Duration::from_secs(5))).await {
            got.extend(records.expect("the scene is as it was set up"));
        }
    }
    let left = 200 - got.len();
    got.extend(read(reader.as_mut(), left).await);
    assert!(got.iter().enumerate().all(|(index, stored)| stored.offset == index as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_gone_and_an_offset_beyond_the_end_is_another_log() {
    let log = open("log-gone", 1).await;
    log.append((0..20).map(|number| record(0, number.to_string())).collect())
        .await
        .expect("the scene is as it was set up");
    scene().broker.delete_before("log-gone", 0, 7).await;
    assert_eq!(log.bounds(0).await.expect("the scene is as it was set up"), Bounds { start: 7, end: 20 });
    let gone = log.reader(0, 2).await.err().expect("the scene is as it was set up");
    assert!(matches!(gone, LogError::Gone { shard: 0, asked: 2, start: 7 }), "{gone}");
    let beyond = log.reader(0, 21).await.err().expect("the scene is as it was set up");
    assert!(matches!(beyond, LogError::Unusable(_)), "{beyond}");
    assert_eq!(
        read(log.reader(0, 7).await.expect("the scene is as it was set up").as_mut(), 13).await[0].offset,
        7
    );
    assert_eq!(
        log.reader(0, 20)
            .await
            .expect("the scene is as it was set up")
            .read(100, Duration::from_millis(50))
            .await
            .expect("the scene is as it was set up"),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_under_a_slow_reader_are_an_error_and_no_jump() {
    let log = open("log-slow", 1).await;
    let mut reader = log.reader(0, 0).await.expect("the scene is as it was set up");
    // More than a reader fetches ahead.
    for _ in 0..30 {
        let block = vec![7_u8; 100_000];
        log.append((0..10).map(|_| record(0, incompressible(&block))).collect())
            .await
            .expect("the scene is as it was set up");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene().broker.delete_before("log-slow", 0, 299).await;
    let mut next = 0;
    let error = loop {
        match reader.read(1 << 20, Duration::from_secs(10)).await {
            Ok(records) => {
                for stored in records {
                    assert_eq!(stored.offset, next, "nothing is left out before the error");
                    next += 1;
                }
            }
            Err(error) => break error,
        }
        assert!(next < 299, "the deletion was not noticed");
    };
    assert!(matches!(error, LogError::Gone { shard: 0, asked, start: 299 } if asked == next), "{error}");
    assert!(matches!(reader.read(1, Duration::ZERO).await, Err(LogError::Gone { .. })), "it stays there");
}

fn incompressible(block: &[u8]) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |byte: &u8| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte ^ state.to_le_bytes()[3]
    };
    block.iter().map(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_that_does_not_fit_is_refused_with_its_correction() {
    let broker = &scene().broker;
    let log_time = ("message.timestamp.type", "LogAppendTime");
    broker.create_topic("unfit-time", 2, &[]).await;
    broker.create_topic("unfit-count", 5, &[log_time]).await;
    broker.create_topic("unfit-retention", 2, &[log_time, ("retention.ms", "60000")]).await;
    let cases = [
        ("unfit-time", "--add-config message.timestamp.type=LogAppendTime"),
        ("unfit-count", "has 5 partitions, and 2 shards are configured"),
        ("unfit-retention", "has retention.ms=60000"),
        (
            "unfit-missing",
            "topic unfit-missing does not exist, or may not be seen; create it with: kafka-topics --create",
        ),
    ];
    for (topic, part) in cases {
        let mut wanted = settings(topic, 2);
        wanted.create_topic = None;
        wanted.retention_min = Some(Duration::from_secs(60));
        let opened = KafkaLog::open(client(broker.config()), wanted).await;
        assert!(matches!(opened, Err(LogError::Unusable(_))));
        assert!(reason(opened).contains(part), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn record_larger_than_the_topic_takes_is_unusable_and_the_log_goes_on() {
    let log = open("log-large", 1).await;
    let fits = log.record_bytes_max() - 3;
    let large = vec![record(0, "small"), record(0, incompressible(&vec![0; fits + 1]))];
    let error = log.append(large).await.unwrap_err();
    assert!(
        matches!(&error, LogError::Unusable(text) if text.contains("max.message.bytes=200000")),
        "{error}"
    );
    assert_eq!(
        log.bounds(0).await.expect("the scene is as it was set up").end,
        0,
        "nothing of it was appended"
    );
    log.append(vec![record(0, incompressible(&vec![0; fits]))]).await.expect("the scene is as it was set up");
    log.append(vec![record(0, "after")]).await.expect("the scene is as it was set up");
    let mut reader = log.reader(0, 1).await.expect("the scene is as it was set up");
    assert_eq!(read(reader.as_mut(), 1).await[0].payload, "after");
    let many = (0..100).map(|_| record(0, incompressible(&vec![0; fits]))).collect();
    log.append(many).await.expect("the scene is as it was set up");
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_at_the_same_time_are_all_there() {
    let log = std::sync::Arc::new(open("log-many", 2).await);
    let tasks = (0..50).map(|task| {
        let log = std::sync::Arc::clone(&log);
        tokio::spawn(async move {
            for number in 0..20 {
                log.append(vec![record(task % 2, format!("{task}-{number}"))])
                    .await
                    .expect("the scene is as it was set up");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("the scene is as it was set up");
    }
    let mut all = read_all(log.as_ref(), 0).await;
    all.extend(read_all(log.as_ref(), 1).await);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 1000);
}
