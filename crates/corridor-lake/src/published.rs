//! Published: the ids of the rows that a shard has in one hour of the live generation.
//!
//! - In: a lake, a shard, an hour of event time.
//! - Out: event ids.
//! - Invariants: a file at its final path belongs to a claim, and a shard claims only after its last claim's files are
//!   complete: so the folder holds all that the chain names, and nothing else.

use crate::encode_error::EncodeError;
use crate::store::{Lake, StoreError};
use arrow_array::cast::AsArray;
use bytes::Bytes;
use corridor_chain::paths::{Generation, PathError, generation_folder};
use corridor_chain::{Day, Table};
use corridor_model::{EventId, HourBucket};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashSet;

/// Ids of events.
pub type PublishedIds = HashSet<EventId, foldhash::fast::RandomState>;

/// Why they could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hour has no folder.
    #[error(transparent)]
    Hour(#[from] PathError),
    /// A file is none of ours, or damaged.
    #[error("read the event ids of {key}; compare the file with its entry in the chain")]
    File {
        /// The file.
        key: String,
        /// What was wrong with it.
        source: EncodeError,
    },
}

/// The ids of a shard's rows in an hour.
pub async fn published_ids(
    lake: &Lake,
    shard: u32,
    hour: HourBucket,
) -> Result<PublishedIds, PublishedError> {
    let day = Day::of(hour)?;
    let folder = generation_folder(Table::Events, Generation::LIVE, &day);
    let folder = format!("{folder}/hour={:02}", hour.0.rem_euclid(24));
    let own = format!("/s{shard:05}-");
    let mut ids = PublishedIds::default();
    for file in lake.list(&folder).await? {
        if !file.key.contains(&own) {
            continue;
        }
        let Some(bytes) = lake.read(&file.key).await? else { continue };
        read_ids(bytes, &mut ids).map_err(|source| PublishedError::File { key: file.key, source })?;
    }
    Ok(ids)
}

fn read_ids(file: Bytes, ids: &mut PublishedIds) -> Result<(), EncodeError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(EncodeError::Decode)?;
    let column = ProjectionMask::columns(builder.parquet_schema(), ["event_id"]);
    let reader = builder.with_projection(column).build().map_err(EncodeError::Decode)?;
    for batch in reader {
        let batch = batch.map_err(EncodeError::DecodeBatch)?;
        let column = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
        let texts = column.into_iter().flatten().flatten();
        ids.extend(texts.filter_map(parse_id));
    }
    Ok(())
}

fn parse_id(text: &str) -> Option<EventId> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id).ok()?;
    Some(EventId(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_row::write_alone;
    use crate::live_files::{LiveFileConfig, LiveRow, live_files};
    use crate::roll::{RollConfig, RollReason};
    use crate::sample_events::{HOUR_START, event, unmatched};
    use crate::store::open_lake;
    use corridor_model::Micros;

    #[tokio::test]
    async fn ids_of_the_own_shard_in_the_hour_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let lake = open_lake(folder.path().to_str().unwrap()).unwrap();
        let hour = Micros(HOUR_START).hour();
        let day = Day::of(hour).unwrap();
        for (shard, index) in [(3, 1), (3, 2), (4, 3)] {
            let mut row = Vec::new();
            write_alone(&event(index), 0, &mut row);
            let row = LiveRow {
                offset: 1,
                outcome: unmatched(),
                row: &row,
                record: None,
                origin: "a",
                directory_version: None,
            };
            let (roll, reason) = (RollConfig::default(), RollReason::Age);
            let config = LiveFileConfig { shard, is_late: false, roll, reason };
            let files = live_files(vec![row], &config).unwrap();
            let folder = generation_folder(Table::Events, Generation::LIVE, &day);
            let key = format!("{folder}/hour=09/s{shard:05}-{index:020}-00000.parquet");
            lake.create(&key, files[0].1.bytes.clone()).await.unwrap();
        }
        let ids = published_ids(&lake, 3, hour).await.unwrap();
        assert_eq!(ids, [1, 2].map(|index| event(index).event_id).into_iter().collect());
        assert!(published_ids(&lake, 3, HourBucket(hour.0 + 1)).await.unwrap().is_empty());
    }
}
