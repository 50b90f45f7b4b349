//! Current: which generation of each day counts, as every reader decides it, and the seeds of a new lake.
//!
//! - In: the seals of a lake and a moment; zero-row files.
//! - Out: a generation per day.
//! - Invariants: the rule is that of the view `audit.generation`: per day the highest whose moment has passed.

use super::LandingError;
use crate::store::{Created, Lake};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use corridor_chain::paths;
use corridor_chain::{Day, EntryError, Generation, SealFact, Table};
use std::collections::BTreeMap;

/// The current generation of every sealed day at this moment. The seed is left out: it holds no rows.
pub async fn current_generations(
    lake: &Lake,
    now: DateTime<Utc>,
) -> Result<BTreeMap<Day, Generation>, LandingError> {
    let mut current = BTreeMap::new();
    for object in lake.list(paths::SEALS_PREFIX).await? {
        for fact in read_seal(lake, &object.key).await? {
            if fact.activate_at <= now && fact.date != Day::seed() {
                let highest = current.entry(fact.date).or_insert(fact.generation);
                *highest = fact.generation.max(*highest);
            }
        }
    }
    Ok(current)
}

/// Makes a new lake queryable: one zero-row file per root, then a seal that names no real day. A seed that another
/// build wrote stays as it is.
pub async fn seed(lake: &Lake, files: &[(Table, Bytes)]) -> Result<(), LandingError> {
    for (table, bytes) in files {
        let key = paths::seed_key(*table);
        if lake.create(&key, bytes.clone()).await? == Created::OtherContent {
            tracing::debug!(key, "the lake keeps the seed of another build");
        }
    }
    let day = Day::seed();
    let fact = SealFact::new(day.clone(), Generation::LIVE, day.start());
    lake.create(&paths::seal_key(&day, Generation::LIVE), fact.to_csv().into()).await?;
    Ok(())
}

/// The facts of a seal file.
pub(super) async fn read_seal(lake: &Lake, key: &str) -> Result<Vec<SealFact>, LandingError> {
    let broken = |source| LandingError::BrokenEntry { key: key.into(), source };
    let Some(bytes) = lake.read(key).await? else {
        return Ok(Vec::new());
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| broken(EntryError::Seal("not UTF-8".into())))?;
    SealFact::parse_csv(text).map_err(broken)
}
