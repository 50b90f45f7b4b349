//! Published cache: whether an old event has a row already.
//!
//! - In: an event id and the hour in which its row would be.
//! - Out: whether the shard's files of that hour hold it.
//! - Keeps: the ids of the hours that were asked for last.

use corridor_lake::published::{PublishedError, PublishedIds, published_ids};
use corridor_lake::store::Lake;
use corridor_model::{EventId, HourBucket};
use std::collections::BTreeSet;

/// Hours whose ids are kept: some 10 MB each in a busy shard.
const HOURS_MAX: usize = 8;

/// The ids of some hours of one shard.
#[derive(Debug)]
pub struct PublishedCache {
    lake: Lake,
    shard: u32,
    /// The hour asked for last stands last.
    hours: Vec<(HourBucket, PublishedIds)>,
}

impl PublishedCache {
    /// Knows nothing yet.
    pub fn new(lake: Lake, shard: u32) -> Self {
        Self { lake, shard, hours: Vec::new() }
    }

    /// Whether the hour has a row of this event.
    pub async fn contains(&mut self, hour: HourBucket, event_id: &EventId) -> Result<bool, PublishedError> {
        let entry = match self.hours.iter().position(|(known, _)| *known == hour) {
            Some(index) => self.hours.remove(index),
            None => (hour, published_ids(&self.lake, self.shard, hour).await?),
        };
        let is_there = entry.1.contains(event_id);
        if self.hours.len() == HOURS_MAX {
            self.hours.remove(0);
        }
        self.hours.push(entry);
        Ok(is_there)
    }

    /// These hours have new files.
    pub fn forget(&mut self, hours: &BTreeSet<HourBucket>) {
        self.hours.retain(|(hour, _)| !hours.contains(hour));
    }
}
