//! Group member: joins a group on a log topic and tells what it owns, so that a test can kill it.
//!
//! - In: arguments: broker, topic, number of shards, group, and optionally an instance name.
//! - Out: a line of owned shards after each change. Ends when standard input does.

use corridor_intake::kafka::{KafkaClient, Membership, MembershipEvent, MembershipSettings};
use corridor_tests::broker::clock;
use std::io::{Read, Write};
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [broker, topic, shards, group, instance @ ..] = &arguments[..] else {
        anyhow::bail!("arguments: broker topic shards group [instance]")
    };
    let config = serde_json::from_value(serde_json::json!({
        "bootstrap": broker,
        "properties": { "session.timeout.ms": "3000", "heartbeat.interval.ms": "500" },
    }))?;
    let settings = MembershipSettings {
        topic: topic.clone(),
        shard_count: shards.parse()?,
        group: group.clone(),
        instance: instance.first().cloned(),
        stop_wait_max: Duration::from_secs(2),
    };
    let (member, mut events) = Membership::join(&KafkaClient::new(config, clock())?, settings)?;
    let owned = member.owned();
    let mut input = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(MembershipEvent::Revoked { stopped, .. }) => drop(stopped),
                Some(MembershipEvent::Assigned(_)) => {}
                Some(MembershipEvent::Ended(reason)) => anyhow::bail!(reason),
                None => return Ok(()),
            },
            _ = &mut input => break,
        }
        let line: Vec<String> = owned.borrow().iter().map(u32::to_string).collect();
        writeln!(std::io::stdout(), "owns {}", line.join(","))?;
        std::io::stdout().flush()?;
    }
    // Nobody answers the last events: they are dropped with their receiver.
    drop(events);
    member.leave().await;
    Ok(())
}
