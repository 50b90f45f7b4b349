//! `corridor status`: asks running workers for their shards and prints them as one table.
//!
//! - In: addresses of workers.
//! - Out: shards with lag, last claim, pending, duplicates, rejects and memory; the conservation equation.
//! - Exit: 0 when every worker answered, every shard runs and the equation holds; else 1.

use crate::cli::StatusArgs;
use crate::print;
use crate::run::status::{ShardPhase, ShardStatus, WorkerStatus};
use anyhow::{Context as _, Result, bail};
use corridor_model::Ledger;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// For one worker's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Asks and prints.
pub fn run(args: &StatusArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut workers = Vec::new();
    let mut problems = Vec::new();
    for url in &args.url {
        match runtime.block_on(ask(url)) {
            Ok(worker) => workers.push(worker),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    let text = if args.json { serde_json::to_string(&workers)? } else { table(&workers) };
    if !workers.is_empty() {
        print(&text)?;
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\nerror: "));
    }
    let is_well = |shard: &ShardStatus| {
        let runs = !matches!(shard.phase, ShardPhase::Stopped | ShardPhase::Retrying);
        runs && shard.ledger.is_conserved()
    };
    let all_well = workers.iter().flat_map(|worker| &worker.shards).all(is_well);
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(url: &str) -> Result<WorkerStatus> {
    let address = format!("{}/status", url.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
    let answer = client.get(&address).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let answer = answer.with_context(|| format!("ask {address}; is a worker running there?"))?;
    let text = answer.text().await.with_context(|| format!("read the answer of {address}"))?;
    serde_json::from_str(&text).with_context(|| format!("{address} answered something else than a status"))
}

fn table(workers: &[WorkerStatus]) -> String {
    let mut text = String::new();
    let mut total = Ledger::default();
    for worker in workers {
        let directory =
            worker.directory_version.as_deref().map_or("none", |version| &version[..12.min(version.len())]);
        let _ = writeln!(text, "worker {}  {}  directory {directory}", worker.worker, worker.build);
        if let Some(intake) = &worker.intake {
            let _ = writeln!(
                text,
                "  intake: {} deliveries, {} events, {} rejects; {} refused",
                intake.deliveries, intake.events, intake.rejects, intake.refused
            );
        }
        for source in &worker.sources {
            let _ = writeln!(
                text,
                "  {}: {} messages, lag {}, {} partitions, {} held; {} refused",
                source.name, source.messages, source.lag, source.partitions, source.held, source.refused
            );
        }
        if !worker.shards.is_empty() {
            let _ = writeln!(
                text,
                "  {:>5}  {:<10}  {:>11}  {:>6}  {:>10}  {:>10}  {:>10}  {:>8}  {:>9}  {:>9}  last claim",
                "shard",
                "phase",
                "lag records",
                "lag s",
                "rows",
                "pending",
                "duplicates",
                "rejects",
                "memory",
                "scratch"
            );
        }
        for shard in &worker.shards {
            line(&mut text, shard);
        }
        total += worker.ledger;
    }
    let _ = write!(text, "conservation: {total}");
    text
}

fn line(text: &mut String, shard: &ShardStatus) {
    let phase = match shard.phase {
        ShardPhase::Recovering => "recovering",
        ShardPhase::Replaying => "replaying",
        ShardPhase::Running => "running",
        ShardPhase::Retrying => "retrying",
        ShardPhase::Stopped => "STOPPED",
    };
    let claim = shard.last_claim.as_ref().map_or_else(
        || "none yet".into(),
        |claim| format!("{} at {}", claim.seq, claim.at.format("%Y-%m-%dT%H:%M:%SZ")),
    );
    let _ = writeln!(
        text,
        "  {:>5}  {phase:<10}  {:>11}  {:>6}  {:>10}  {:>10}  {:>10}  {:>8}  {:>9}  {:>9}  {claim}",
        shard.shard,
        shard.lag_records,
        shard.lag_seconds,
        shard.ledger.rows,
        shard.ledger.pending,
        shard.ledger.duplicates,
        shard.ledger.rejects,
        mebibytes(shard.memory_bytes),
        mebibytes(shard.scratch_bytes),
    );
    if let Some(message) = &shard.message {
        let _ = writeln!(text, "         {message}");
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
