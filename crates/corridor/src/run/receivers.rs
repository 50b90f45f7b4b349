//! Receivers: everything through which records come in, and the port on which the worker is asked how it is.
//!
//! - In: the configuration; where deliveries go.
//! - Out: deliveries.
//! - Invariants: a worker without the intake role listens too, for health and metrics, and takes no records.

use super::health::WorkerHealth;
use super::log::{clock, kafka_client};
use super::metrics::registry;
use super::status::{SourceStatus, StatusBoard};
use super::stop::Stop;
use crate::config::{Config, SourceConfig};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use corridor_intake::delivery::{Accept, Accepted, Delivery, Refusal};
use corridor_intake::http::{HttpReceiver, HttpServices};
use corridor_intake::kafka::source::{Source, SourceProgress, SourceSettings, SourceSide, SourceTopic};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Receivers that are bound and take nothing yet.
pub struct Receivers {
    http: HttpReceiver,
    sources: Vec<Source>,
}

impl Receivers {
    /// Takes the address, and starts the Kafka sources.
    pub async fn bind(
        config: &Config,
        accept: Option<Arc<dyn Accept>>,
        health: WorkerHealth,
        board: &Arc<StatusBoard>,
        source_board: &SourceBoard,
    ) -> Result<Self> {
        let (registry, metrics) = registry(board);
        let services = HttpServices {
            accept: accept.clone().unwrap_or_else(|| Arc::new(NoIntake)),
            health: Arc::new(health),
            clock: clock(),
            metrics,
            registry: Arc::new(registry),
        };
        let http = HttpReceiver::bind(config.http.clone(), services).await?;
        let mut sources = Vec::new();
        for (name, side, source) in [
            ("kong_source", SourceSide::Kong, &config.kong_source),
            ("azure_source", SourceSide::Azure, &config.azure_source),
        ] {
            if let (Some(accept), Some(source)) = (&accept, source) {
                let started = start_source(config, source, side, Arc::clone(accept));
                let started = started.with_context(|| format!("start {name}"))?;
                source_board.put(name, started.progress());
                sources.push(started);
            }
        }
        Ok(Self { http, sources })
    }

    /// Where the HTTP receiver listens.
    pub fn address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Receives until the stop is asked, then finishes what has begun.
    pub async fn run(self, mut stop: Stop) {
        let mut sources_stop = stop.clone();
        let stop_sources = async {
            sources_stop.asked().await;
            for source in self.sources {
                source.stop().await;
            }
        };
        tokio::join!(self.http.serve(async move { stop.asked().await }), stop_sources);
    }
}

fn start_source(
    config: &Config,
    source: &SourceConfig,
    side: SourceSide,
    accept: Arc<dyn Accept>,
) -> Result<Source> {
    let client = kafka_client(source.kafka.as_ref().or(config.kafka.as_ref()))?;
    let topics = source.topics.iter().map(|name| SourceTopic { name: name.clone(), side });
    let settings = SourceSettings {
        topics: topics.collect(),
        group: source.group.clone(),
        instance: config.worker.clone(),
    };
    Ok(Source::start(client, settings, accept)?)
}

/// Stands where a worker has no intake.
struct NoIntake;

#[async_trait]
impl Accept for NoIntake {
    async fn accept(&self, _: Delivery) -> Result<Accepted, Refusal> {
        Err(Refusal::Log("this worker has no intake role; send to one that has".into()))
    }
}

/// Where the Kafka sources tell how they are.
#[derive(Default)]
pub struct SourceBoard(Mutex<Vec<(&'static str, Arc<SourceProgress>)>>);

impl SourceBoard {
    fn put(&self, name: &'static str, progress: Arc<SourceProgress>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, progress));
    }

    /// What they did since the process started.
    pub fn report(&self) -> Vec<SourceStatus> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |(name, progress): &(&str, Arc<SourceProgress>)| SourceStatus {
            name: (*name).into(),
            messages: progress.messages.load(Ordering::Relaxed),
            refused: progress.refused.load(Ordering::Relaxed),
            lag: progress.lag.load(Ordering::Relaxed),
            partitions: progress.partitions.load(Ordering::Relaxed),
            held: progress.held.load(Ordering::Relaxed),
        };
        sources.iter().map(report).collect()
    }

    /// Partitions that have stopped, and what connections suffer from.
    pub fn problems(&self) -> Vec<String> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = Vec::new();
        for (name, progress) in sources.iter() {
            problems.extend(progress.problem().map(|problem| format!("{name}: {problem}")));
            let stopped = progress.stopped().into_iter();
            problems
                .extend(stopped.map(|(partition, why)| format!("{name}: {partition} has stopped: {why}")));
        }
        problems
    }
}
