//! Signing in: passwords, tokens, and what a refusal says.

use crate::scene::{Counter, client, eventually, read, record, scene, settings};
use corridor_intake::kafka::{KafkaClient, Source, SourceSettings, SourceSide, SourceTopic};
use corridor_intake::log::Log;
use corridor_intake::log::kafka::KafkaLog;
use corridor_tests::broker::{Broker, PASSWORD, USER, clock};
use corridor_tests::issuer::{Issuer, Mood};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn password(mechanism: &str, file: &Path) -> Value {
    json!({ "mechanism": mechanism, "user": USER, "password_file": file })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_password_mechanism_signs_in_and_a_wrong_password_is_named_and_not_shown() {
    let folder = tempfile::tempdir().expect("the scene is as it was set up");
    let file = folder.path().join("password");
    let broker = &scene().broker;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        std::fs::write(&file, format!("{PASSWORD}\n")).expect("the scene is as it was set up");
        let cluster = client(broker.password_config(password(mechanism, &file)))
            .check()
            .await
            .expect("the scene is as it was set up");
        assert_eq!(cluster, client(broker.config()).check().await.expect("the scene is as it was set up"));
        std::fs::write(&file, "hunter2").expect("the scene is as it was set up");
        let refused = client(broker.password_config(password(mechanism, &file))).check().await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("Authentication failed") && !text.contains("hunter2"), "{mechanism}: {text}");
    }
    std::fs::remove_file(&file).expect("the scene is as it was set up");
    let missing = KafkaClient::new(broker.password_config(password("PLAIN", &file)), clock()).unwrap_err();
    assert!(missing.to_string().contains(file.to_str().expect("the scene is as it was set up")), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_source_work_with_a_password() {
    let folder = tempfile::tempdir().expect("the scene is as it was set up");
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).expect("the scene is as it was set up");
    let config = scene().broker.password_config(password("SCRAM-SHA-512", &file));
    let log = KafkaLog::open(client(config), settings("scram-log", 1))
        .await
        .expect("the scene is as it was set up");
    log.append(vec![record(0, "a")]).await.expect("the scene is as it was set up");
    assert_eq!(
        read(log.reader(0, 0).await.expect("the scene is as it was set up").as_mut(), 1).await[0].payload,
        "a"
    );
}

/// A workload identity whose file changes all the time, as AKS does it once an hour.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_twelve_seconds_are_renewed_without_a_gap_from_a_file_that_changes() {
    let scene = scene();
    let folder = tempfile::tempdir().expect("the scene is as it was set up");
    let file = folder.path().join("federated");
    std::fs::write(&file, "assertion-0").expect("the scene is as it was set up");
    let identity = json!({
        "method": "workload_identity", "tenant": "tenant-1", "client_id": "client-1",
        "federated_token_file": file, "authority_host": scene.issuer.url(),
    });
    let client = client(scene.broker.token_config(identity));
    scene.broker.create_topic("token-log", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let mut wanted = settings("token-log", 1);
    wanted.create_topic = None;
    let log = KafkaLog::open(client.clone(), wanted).await.expect("the scene is as it was set up");
    let counter = Counter::new(|_| false);
    let topics = vec![SourceTopic { name: "token-log".into(), side: SourceSide::Kong }];
    let source = SourceSettings { topics, group: "token-source".into(), instance: None };
    let source =
        Source::start(client, source, Arc::clone(&counter) as _).expect("the scene is as it was set up");
    // The first record is the probe of the time stamp, which is left out.
    let mut reader = log.reader(0, 0).await.expect("the scene is as it was set up");
    let (begun, mut count, mut longest) = (Instant::now(), 0_usize, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(41) {
        std::fs::write(&file, format!("assertion-{}", begun.elapsed().as_secs()))
            .expect("the scene is as it was set up");
        let sent = Instant::now();
        log.append(vec![record(0, format!("{count}"))]).await.expect("the scene is as it was set up");
        let got = read(reader.as_mut(), 1).await;
        assert_eq!(got[0].payload, format!("{count}"));
        longest = longest.max(sent.elapsed());
        count += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(longest < Duration::from_secs(3), "a record took {longest:?}");
    eventually("the source has all", || counter.distinct() == count).await;
    source.stop().await;
    let requests = scene.issuer.requests();
    let ours: Vec<_> = requests.iter().filter(|request| request.starts_with("/tenant-1/oauth2/")).collect();
    assert!(ours.len() >= 4, "{} token requests", ours.len());
    let assertions: std::collections::BTreeSet<_> = ours
        .iter()
        .map(|request| request.split("client_assertion=").nth(1).expect("the scene is as it was set up"))
        .collect();
    assert!(assertions.len() >= 4, "the file was read again each time: {assertions:?}");
    assert!(ours.iter().all(|request| request.contains("client_id=client-1&scope=kafka-test")));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_not_given_or_not_taken_is_named_without_the_secret() {
    let folder = tempfile::tempdir().expect("the scene is as it was set up");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cr3t").expect("the scene is as it was set up");
    let issuer = Issuer::start(Mood::Fails);
    let grant = json!({
        "method": "client_credentials", "token_url": format!("{}/token", issuer.url()), "client_id": "c",
        "client_secret_file": secret,
    });
    let config = scene().broker.token_config(grant);
    let failed = client(config.clone()).check().await.unwrap_err().to_string();
    assert!(
        failed.contains("answered 503 temporarily_unavailable") && !failed.contains("s3cr3t"),
        "{failed}"
    );
    issuer.set_mood(Mood::GivesForAnotherAudience);
    let refused = client(config).check().await.unwrap_err().to_string();
    assert!(refused.contains("invalid_token") && !refused.contains("s3cr3t"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn password_that_is_replaced_is_used_by_the_next_try() {
    let folder = tempfile::tempdir().expect("the scene is as it was set up");
    let file = folder.path().join("password");
    std::fs::write(&file, "not yet").expect("the scene is as it was set up");
    scene().broker.create_topic("password-later", 1, &[]).await;
    scene().broker.send("password-later", 0, &[Some(b"{}".to_vec())]).await;
    let counter = Counter::new(|_| false);
    let topics = vec![SourceTopic { name: "password-later".into(), side: SourceSide::Kong }];
    let settings = SourceSettings { topics, group: "password-later".into(), instance: None };
    let config = scene().broker.password_config(password("PLAIN", &file));
    let source = Source::start(client(config), settings, Arc::clone(&counter) as _)
        .expect("the scene is as it was set up");
    let progress = source.progress();
    eventually("the refusal is told", || {
        progress.problem().is_some_and(|text| text.contains("Authentication failed"))
    })
    .await;
    std::fs::write(&file, PASSWORD).expect("the scene is as it was set up");
    eventually("the new password works", || progress.messages.load(Ordering::Relaxed) == 1).await;
    source.stop().await;
}

/// Only what the broker is for: a broker without SASL cannot be asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn broker_that_is_not_there_is_named() {
    let mut broker = Broker::start();
    broker.stop();
    let error = client(broker.config()).check().await.unwrap_err().to_string();
    assert!(error.contains("connect to the brokers") && error.contains("Connection refused"), "{error}");
}
