//! Run: the worker, from its configuration to its end.
//!
//! - In: the configuration.
//! - Out: evidence in the lake, until the process is told to stop.
//! - Stages, in this order: receive (HTTP, Kafka) → accept (refine, append to the log) → shards (join, claim) → lake.
//! - Shutdown goes the same way: receivers finish what they have begun, then shards claim what is final.
//! - Invariants: nothing is acknowledged before the log has it; nothing is released from the log before the lake has it.

mod accept;
mod chain_state;
mod claim_files;
mod claiming;
mod current;
pub mod gap;
mod health;
mod log;
mod log_records;
mod metrics;
mod owner;
mod published_cache;
mod ready;
mod receivers;
mod session;
mod shard_task;
mod start;
pub mod status;
mod stop;

use crate::cli::RunArgs;
use crate::config::{Config, Role};
use accept::Intake;
use anyhow::{Context as _, Result};
use corridor_intake::delivery::Accept;
use corridor_intake::log::Log;
use corridor_lake::chain::Writer;
use corridor_lake::store::{Lake, open_lake};
use current::Current;
use health::WorkerHealth;
use log::OpenedLog;
use owner::Owner;
use receivers::{Receivers, SourceBoard};
use shard_task::ShardTask;
use status::StatusBoard;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use stop::{signalled, stopper};

/// Runs the worker until SIGTERM or SIGINT.
pub fn run(args: &RunArgs, config: &Config) -> Result<ExitCode> {
    let config = with_flags(args, config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut told = pin!(signalled());
        let worker = tokio::select! {
            worker = Worker::start(config) => worker?,
            told = &mut told => return told.context("wait for a signal"),
        };
        worker.work(told).await
    });
    // A reader may still wait on a blocking thread for records that nobody needs any more.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

/// Flags win over the environment and the file.
fn with_flags(args: &RunArgs, config: &Config) -> Config {
    let mut config = config.clone();
    if let Some(lake) = &args.lake {
        config.lake.clone_from(lake);
    }
    if let Some(directory) = &args.directory {
        config.directory = Some(directory.clone());
    }
    if let Some(records) = args.records {
        config.records = records;
    }
    if !args.roles.is_empty() {
        config.roles.clone_from(&args.roles);
    }
    if let Some(listen) = args.listen {
        config.http.listen = listen;
    }
    if let Some(log) = &args.log {
        config.log.folder.clone_from(log);
    }
    config
}

/// A worker that has opened everything and runs nothing yet.
pub struct Worker {
    config: Config,
    name: String,
    current: Arc<Current>,
    board: Arc<StatusBoard>,
    lake: Lake,
    log: OpenedLog,
    writer: Writer,
    receivers: Receivers,
}

impl Worker {
    /// Opens directory, lake, log and receivers, and waits for a log that is away. An error names the first that cannot be used.
    pub async fn start(config: Config) -> Result<Self> {
        let name = worker_name(&config);
        let current = Arc::new(Current::load(&config)?);
        let lake = open_lake(&config.lake)?;
        start::seed(&lake).await?;
        let log = start::open_log_patiently(&config, &name).await?;
        let board = Arc::new(StatusBoard::default());
        let accept = accept_of(&config, &log.log, &current, &board);
        let sources = Arc::new(SourceBoard::default());
        let health = WorkerHealth::new(&name, &board, &sources, &current);
        let receivers = Receivers::bind(&config, accept, health, &board, &sources).await?;
        Ok(Self { config, writer: writer_of(&name)?, name, current, board, lake, log, receivers })
    }

    /// Where the HTTP receiver listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.receivers.address()
    }

    /// Works until `told` is ready, then stops in order.
    pub async fn work(self, told: impl Future<Output = std::io::Result<()>>) -> Result<()> {
        tracing::info!(
            worker = self.name,
            address = %self.address(),
            lake = %self.lake,
            shards = self.log.log.shard_count(),
            "the worker runs"
        );
        let (stop_receivers, receivers_stop) = stopper();
        let (stop_shards, shards_stop) = stopper();
        let following = tokio::spawn(Arc::clone(&self.current).follow());
        let owner = Owner::new(self.shard_task());
        let (members, assignments) = self.log.members.begin(self.log.log.shard_count());
        let shards = tokio::spawn(owner.run(assignments, shards_stop));
        let mut receiving = tokio::spawn(self.receivers.run(receivers_stop));
        let ended_early = tokio::select! {
            told = told => { told.context("wait for a signal")?; None }
            ended = &mut receiving => Some(ended),
        };
        tracing::info!("the worker stops");
        stop_receivers.stop();
        let received = match ended_early {
            Some(ended) => ended,
            None => receiving.await,
        };
        stop_shards.stop();
        shards.await.context("stop the shards")?;
        members.leave().await;
        following.abort();
        received.context("stop the receivers")
    }

    fn shard_task(&self) -> ShardTask {
        let current = Arc::clone(&self.current);
        ShardTask {
            lake: self.lake.clone(),
            log: Arc::clone(&self.log.log),
            board: Arc::clone(&self.board),
            join: self.config.join.clone(),
            claim: self.config.claim.clone(),
            scratch: self.config.scratch.clone().unwrap_or_else(std::env::temp_dir),
            writer: self.writer.clone(),
            directory_version: Arc::new(move || current.context().directory.version().map(String::from)),
        }
    }
}

fn accept_of(
    config: &Config,
    log: &Arc<dyn Log>,
    current: &Arc<Current>,
    board: &StatusBoard,
) -> Option<Arc<dyn Accept>> {
    config.has_role(Role::Intake).then(|| {
        let keeps_records = config.records == crate::cli::Records::On;
        let intake = Intake::new(Arc::clone(log), Arc::clone(current), keeps_records);
        board.set_intake(intake.counts());
        Arc::new(intake) as Arc<dyn Accept>
    })
}

/// The worker's name: configured, else that of the host.
fn worker_name(config: &Config) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = config.worker.clone().or_else(host).unwrap_or_default();
    match name.trim() {
        "" => "worker".into(),
        name => name.into(),
    }
}

/// This start of the process, as chain entries name it.
fn writer_of(name: &str) -> Result<Writer> {
    let plain = name.to_ascii_lowercase();
    let plain = plain.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-');
    let short: String = plain.take(24).collect();
    Ok(Writer::new(&format!("{short}-{}", uuid::Uuid::new_v4().simple()))?)
}
