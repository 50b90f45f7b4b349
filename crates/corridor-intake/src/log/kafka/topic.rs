//! Topic: whether a topic can be the log, and the words that tell how to correct it.
//!
//! - In: the settings, and what the cluster says about the topic.
//! - Out: [`Found`], or an error that names the setting and the command.
//! - Keeps: nothing.

use super::KafkaLogSettings;
use crate::kafka::KafkaError;
use crate::kafka::client::{Events, KafkaClient, METADATA_WAIT, blocking, settings_error};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known about the topic.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its largest record; None when the cluster does not tell.
    pub(super) record_bytes_max: Option<usize>,
    /// Its `message.timestamp.type` was seen to be right.
    pub(super) is_time_checked: bool,
}

/// Makes the topic when that is asked for, and checks its settings where the cluster shows them.
pub(super) async fn prepare(client: &KafkaClient, settings: &KafkaLogSettings) -> Result<Found, KafkaError> {
    if !client.has_admin_calls() {
        if settings.create_topic.is_some() {
            return Err(KafkaError::Settings(
                "`create_topic` does not work with OAUTHBEARER or the Event Hubs profile; create the topic outside, and leave it out".into(),
            ));
        }
        note_unchecked_retention(settings, "this kind of connection cannot ask for it");
        return Ok(Found::default());
    }
    let events = client.events("admin");
    let made = client.settings(&[])?.create_with_context(events.clone());
    let admin: Arc<AdminClient<Events>> = Arc::new(made.map_err(settings_error)?);
    let prepared = prepare_with(&admin, &events, settings).await;
    // Its thread is joined when it is dropped.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    prepared
}

async fn prepare_with(
    admin: &Arc<AdminClient<Events>>,
    events: &Events,
    settings: &KafkaLogSettings,
) -> Result<Found, KafkaError> {
    match describe(admin, events, settings).await? {
        Described::Properties(properties) => check_properties(settings, &properties),
        Described::Missing => {
            create(admin, events, settings).await?;
            match describe(admin, events, settings).await? {
                Described::Properties(properties) => check_properties(settings, &properties),
                Described::Missing => Err(KafkaError::Unavailable(format!(
                    "topic {} was created and is not visible yet; try again",
                    settings.topic
                ))),
                Described::Hidden => Ok(Found::default()),
            }
        }
        Described::Hidden => {
            note_unchecked_retention(settings, "describing the topic's configuration is not allowed");
            Ok(Found::default())
        }
    }
}

fn note_unchecked_retention(settings: &KafkaLogSettings, why: &str) {
    if let Some(retention) = settings.retention_min {
        let (topic, hours) = (&settings.topic, retention.as_secs() / 3600);
        tracing::warn!(%topic, hours, why, "retention was not checked; it must be longer than this");
    }
}

enum Described {
    Properties(BTreeMap<String, String>),
    Missing,
    /// We may use the topic, but not look at its configuration.
    Hidden,
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(METADATA_WAIT)).operation_timeout(Some(METADATA_WAIT))
}

async fn describe(
    admin: &Arc<AdminClient<Events>>,
    events: &Events,
    settings: &KafkaLogSettings,
) -> Result<Described, KafkaError> {
    let topic = &settings.topic;
    let tried = format!("describe topic {topic}");
    let answer = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await;
    let mut resources = answer.map_err(|error| events.unavailable(&tried, &error))?;
    match resources.pop() {
        // rdkafka leaves out why a topic has no settings: it is not there, or we may not look.
        Some(Ok(resource)) if resource.entries.is_empty() => {
            if is_listed(admin, events, topic).await? {
                Ok(Described::Hidden)
            } else {
                Ok(Described::Missing)
            }
        }
        Some(Ok(resource)) => {
            let entries = resource.entries.into_iter();
            let pairs = entries.filter_map(|entry| Some((entry.name, entry.value?)));
            Ok(Described::Properties(pairs.collect()))
        }
        Some(Err(code)) => Err(KafkaError::Unavailable(format!("{tried}: {code}"))),
        None => Err(KafkaError::Unavailable(format!("{tried}: the answer is empty"))),
    }
}

async fn is_listed(
    admin: &Arc<AdminClient<Events>>,
    events: &Events,
    topic: &str,
) -> Result<bool, KafkaError> {
    let asked = Arc::clone(admin);
    let metadata = blocking(move || asked.inner().fetch_metadata(None, METADATA_WAIT)).await?;
    let metadata = metadata.map_err(|error| events.unavailable("list the topics", &error))?;
    Ok(metadata.topics().iter().any(|listed| listed.name() == topic))
}

async fn create(
    admin: &Arc<AdminClient<Events>>,
    events: &Events,
    settings: &KafkaLogSettings,
) -> Result<(), KafkaError> {
    let Some(wanted) = &settings.create_topic else {
        return Err(KafkaError::Unusable(missing(settings)));
    };
    let topic = &settings.topic;
    let partitions = i32::try_from(settings.shards).unwrap_or(i32::MAX);
    let limit = wanted.max_message_bytes.to_string();
    let retention = wanted.retention_ms.map(|millis| millis.to_string());
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(wanted.replication))
        .set("message.timestamp.type", "LogAppendTime")
        .set("cleanup.policy", "delete")
        .set("max.message.bytes", &limit);
    if let Some(retention) = &retention {
        new = new.set("retention.ms", retention);
    }
    let tried = format!("create topic {topic}");
    let answer = admin.create_topics([&new], &options()).await;
    match answer.map_err(|error| events.unavailable(&tried, &error))?.pop() {
        // Another worker may have been first.
        Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
        Some(Err((_, code))) => return Err(KafkaError::Unusable(format!("{tried}: {code}"))),
        None => return Err(KafkaError::Unavailable(format!("{tried}: the answer is empty"))),
    }
    // The brokers learn of it one after the other.
    for _ in 0..50 {
        if !matches!(describe(admin, events, settings).await?, Described::Missing) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Judges the topic's settings.
fn check_properties(
    settings: &KafkaLogSettings,
    properties: &BTreeMap<String, String>,
) -> Result<Found, KafkaError> {
    let topic = &settings.topic;
    let number = |name: &str| properties.get(name).and_then(|text| text.parse::<i64>().ok());
    let mut problems = Vec::new();
    let time = properties.get("message.timestamp.type");
    if time.is_some_and(|kind| kind != "LogAppendTime") {
        problems.push(wrong_time(topic));
    }
    if properties.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        problems.push(format!(
            "topic {topic} has cleanup.policy=compact, which deletes records by key; {}",
            alter(topic, "cleanup.policy=delete")
        ));
    }
    if let (Some(least), Some(kept)) = (settings.retention_min, number("retention.ms")) {
        let least = i64::try_from(least.as_millis()).unwrap_or(i64::MAX);
        if kept >= 0 && kept <= least {
            problems.push(format!(
                "topic {topic} has retention.ms={kept}, and a restart may have to read back {least} ms; {}",
                alter(topic, &format!("retention.ms={}", least.saturating_mul(2)))
            ));
        }
    }
    if let Some(bytes) = number("retention.bytes").filter(|bytes| *bytes >= 0) {
        tracing::warn!(%topic, bytes, "retention.bytes may delete records before they are read; watch the lag");
    }
    if !problems.is_empty() {
        return Err(KafkaError::Unusable(problems.join("\n")));
    }
    let limit = number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok());
    Ok(Found {
        // librdkafka takes 1000 to 1 000 000 000.
        record_bytes_max: limit.map(|bytes| bytes.clamp(1_000, 1_000_000_000)),
        is_time_checked: time.is_some(),
    })
}

pub(super) fn check_partitions(settings: &KafkaLogSettings, found: usize) -> Result<(), KafkaError> {
    let (topic, shards) = (&settings.topic, settings.shards);
    if found == shards as usize {
        return Ok(());
    }
    Err(KafkaError::Unusable(format!(
        "topic {topic} has {found} partitions, and {shards} shards are configured; a record's shard follows from their number, \
         so it cannot change: set `shards` to what the lake was begun with, or begin a new topic and lake"
    )))
}

fn alter(topic: &str, config: &str) -> String {
    format!(
        "correct it with: kafka-configs --alter --entity-type topics --entity-name {topic} --add-config {config}"
    )
}

pub(super) fn missing(settings: &KafkaLogSettings) -> String {
    let (topic, shards) = (&settings.topic, settings.shards);
    format!(
        "topic {topic} does not exist, or may not be seen; create it with: kafka-topics --create --topic {topic} --partitions {shards} \
         --config message.timestamp.type=LogAppendTime, or set log.replication"
    )
}

pub(super) fn wrong_time(topic: &str) -> String {
    format!(
        "topic {topic} keeps the sender's time (message.timestamp.type=CreateTime), and the log needs the broker's; {}",
        alter(topic, "message.timestamp.type=LogAppendTime")
    )
}

pub(super) fn too_large(topic: &str, bytes: usize, limit: usize) -> String {
    format!(
        "a record of {bytes} bytes is larger than topic {topic} takes (max.message.bytes={limit}); {}",
        alter(topic, &format!("max.message.bytes={}", (bytes * 2).max(limit)))
    )
}

pub(super) fn refused_as_too_large(topic: &str, bytes: usize) -> String {
    format!(
        "the broker refused a record of {bytes} bytes for topic {topic} as too large; {}",
        alter(topic, &format!("max.message.bytes={}", bytes.saturating_mul(2)))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings(retention_min: Option<Duration>) -> KafkaLogSettings {
        KafkaLogSettings {
            topic: "t".into(),
            shards: 6,
            group: "g".into(),
            compression: super::super::Compression::Lz4,
            create_topic: None,
            retention_min,
        }
    }

    fn problem(properties: &[(&str, &str)]) -> String {
        let properties = properties.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let judged = check_properties(&settings(Some(Duration::from_secs(3600))), &properties.collect());
        judged.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn unfit_topic_is_told_with_its_correction() {
        let good = [
            ("message.timestamp.type", "LogAppendTime"),
            ("cleanup.policy", "delete"),
            ("retention.ms", "3600001"),
        ];
        assert_eq!(problem(&good), "");
        assert_eq!(problem(&[("retention.ms", "-1")]), "");
        let cases = [
            (("message.timestamp.type", "CreateTime"), "--add-config message.timestamp.type=LogAppendTime"),
            (("cleanup.policy", "compact,delete"), "--add-config cleanup.policy=delete"),
            (("retention.ms", "3600000"), "--add-config retention.ms=7200000"),
        ];
        for (property, correction) in cases {
            assert!(problem(&[property]).ends_with(correction), "{}", problem(&[property]));
        }
        assert!(check_partitions(&settings(None), 5).unwrap_err().to_string().contains("has 5 partitions"));
    }
}
