//! Current: the directory and the rules with which records are refined now.
//!
//! - In: the directory folder, looked at regularly.
//! - Out: the context of the moment.
//! - Keeps: the last folder that could be read whole.
//! - Invariants: a folder with a mistake is reported and changes nothing: records go on with the directory before it.

use crate::backfill::load_context;
use crate::config::Config;
use anyhow::Result;
use corridor_refine::Context;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What tells one state of the folder's files from another.
type Fingerprint = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// The context of the moment.
#[derive(Debug)]
pub struct Current {
    config: Config,
    context: RwLock<Arc<Context>>,
}

impl Current {
    /// Loads the directory. An error when it has a mistake: a worker does not start with half a directory.
    pub fn load(config: &Config) -> Result<Self> {
        let context = load_context(None, config)?;
        Ok(Self { config: config.clone(), context: RwLock::new(Arc::new(context)) })
    }

    /// The context of the moment.
    pub fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the folder again and again, and loads it when it changed. Ends never.
    pub async fn follow(self: Arc<Self>) {
        let Some(folder) = self.config.directory.clone() else { return };
        let mut seen = fingerprint(&folder);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = fingerprint(&folder);
            if found == seen {
                continue;
            }
            seen = found;
            let this = Arc::clone(&self);
            // Parsing a large directory takes a while.
            let _ = tokio::task::spawn_blocking(move || this.reload()).await;
        }
    }

    fn reload(&self) {
        match load_context(None, &self.config) {
            Ok(context) => {
                let version = context.directory.version().unwrap_or_default().to_owned();
                *self.context.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(context);
                tracing::info!(version, "the directory changed and was loaded");
            }
            Err(error) => tracing::error!(
                "the directory changed and has mistakes; records go on with the one before it: {error:#}"
            ),
        }
    }
}

fn fingerprint(folder: &Path) -> Fingerprint {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Fingerprint = entries
        .filter_map(|entry| {
            let metadata = std::fs::metadata(entry.path()).ok()?;
            Some((entry.path(), metadata.len(), metadata.modified().ok()))
        })
        .collect();
    found.sort();
    found
}
