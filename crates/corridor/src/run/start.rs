//! Start: what a worker needs may be away when it starts. It waits for that, as it does later.
//!
//! - In: the configuration; the lake.
//! - Out: the opened log; a lake that is queryable, now or as soon as the store answers.
//! - Invariants: only what may come back is waited for. What a person must put right ends the start with an error. A store
//!   that is away keeps nobody from delivering: records go to the log.

use super::log::{OpenedLog, open_log};
use crate::config::Config;
use anyhow::Result;
use bytes::Bytes;
use corridor_chain::Table;
use corridor_intake::log::LogError;
use corridor_lake::landing::{self, LandingError};
use corridor_lake::seed_file;
use corridor_lake::store::{Lake, Problem};
use std::time::Duration;

/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Opens the log, as soon as it can be reached.
pub async fn open_log_patiently(config: &Config, worker: &str) -> Result<OpenedLog> {
    loop {
        match open_log(config, worker).await {
            Err(error) if is_away(&error) => {
                tracing::warn!("the log cannot be reached and is tried again: {error:#}");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            opened => return opened,
        }
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LogError::Unavailable(_)))
}

/// Makes a new lake queryable. When the store gives no answer, that goes on while the worker works.
pub async fn seed(lake: &Lake) -> Result<()> {
    let files: Vec<(Table, Bytes)> =
        Table::ALL.into_iter().map(|table| Ok((table, seed_file(table)?))).collect::<Result<_>>()?;
    match landing::seed(lake, &files).await {
        Err(error) if has_no_answer(&error) => {
            tracing::warn!("the lake does not answer and is tried again: {:#}", anyhow::Error::from(error));
            drop(tokio::spawn(seed_later(lake.clone(), files)));
            Ok(())
        }
        seeded => Ok(seeded?),
    }
}

/// Ends with the process at the latest. An error that stays is told by every shard, too.
async fn seed_later(lake: Lake, files: Vec<(Table, Bytes)>) {
    loop {
        tokio::time::sleep(AGAIN_AFTER).await;
        match landing::seed(&lake, &files).await {
            Err(error) if has_no_answer(&error) => {}
            Err(error) => {
                let error = anyhow::Error::from(error);
                return tracing::error!(
                    "the lake gets no seed files, so empty tables cannot be queried: {error:#}"
                );
            }
            Ok(()) => return,
        }
    }
}

fn has_no_answer(error: &LandingError) -> bool {
    matches!(error, LandingError::Store(error) if error.problem() == Some(Problem::NoAnswer))
}
