//! `corridor gap`: an operator accepts that records of the log are lost, and the chain says so for ever.
//!
//! - In: shard, first lost and first kept offset, reason and name.
//! - Out: a `gap` entry behind whatever the chain ends with.
//! - Invariants: only what the log really does not hold can be given up.

use super::log::open_log;
use super::writer_of;
use crate::cli::GapArgs;
use crate::config::{Config, UsageError};
use crate::print;
use anyhow::{Result, bail};
use chrono::Utc;
use corridor_chain::entry::Gap;
use corridor_chain::{Body, ChainIdentity};
use corridor_lake::chain::ShardChain;
use corridor_lake::store::open_lake;
use std::process::ExitCode;

/// Appends the entry.
pub fn run(args: &GapArgs, config: &Config) -> Result<ExitCode> {
    if args.from >= args.to {
        bail!(UsageError(format!("--from {} is not below --to {}", args.from, args.to)));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let seq = runtime.block_on(append(args, config))?;
    print(&format!(
        "shard {}: offsets {} to {} are given up by entry {seq} of its chain; the worker goes on behind them",
        args.shard, args.from, args.to
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn append(args: &GapArgs, config: &Config) -> Result<u64> {
    let lake = open_lake(args.lake.as_deref().unwrap_or(&config.lake))?;
    let log = open_log(config, "gap").await?.log;
    if args.shard >= log.shard_count() {
        bail!(UsageError(format!("--shard {}: the log has {} shards", args.shard, log.shard_count())));
    }
    let bounds = log.bounds(args.shard).await?;
    if args.to > bounds.start {
        bail!(
            "shard {}: the log still holds offsets from {} on, and the gap would reach to {}; nothing was given up",
            args.shard,
            bounds.start,
            args.to
        );
    }
    let identity = ChainIdentity {
        shard: args.shard,
        shard_count: log.shard_count(),
        log: log.identity(),
        begin: bounds.start,
    };
    let chain =
        ShardChain::open(lake, writer_of("gap")?, &super::status::build(), identity, Utc::now()).await?;
    if args.from > chain.position().floor {
        bail!(
            "shard {}: records from offset {} on are needed, and the gap would begin at {}; give --from {}",
            args.shard,
            chain.position().floor,
            args.from,
            chain.position().floor
        );
    }
    let gap = Gap { from: args.from, to: args.to, reason: args.reason.clone(), by: args.by.clone() };
    Ok(chain.append_note(Body::Gap(gap), Utc::now()).await?)
}
