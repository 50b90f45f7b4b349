//! Keys of the live worker: its chains, what it stages, and the files that its claims name.
//!
//! - In: shards, sequence numbers, places of rows.
//! - Out: keys, and the way back.
//! - Invariants: a final key holds shard and sequence number, so it belongs to one claim for ever. Late rows of every
//!   table have a root of their own (`late`, `late_records`, `late_rejects`), outside the glob of the generations:
//!   a sealed day never changes under its readers. `parse(build(x)) == x`.

use super::{CHAIN_PREFIX, Day, Generation, Table, generation_folder};
use crate::content_digest::ContentDigest;

/// Everything under this key is staged: bytes without a reader, which may be deleted once their files exist.
pub const STAGE_PREFIX: &str = "stage";

/// Digits of the digest in the name of an open set: enough to keep the sets of rivals apart.
const OPEN_SET_DIGITS: usize = 16;

/// The folder with the chain of a shard.
pub fn chain_folder(shard: u32) -> String {
    format!("{CHAIN_PREFIX}/shard={shard:05}")
}

/// An entry of a chain.
pub fn chain_key(shard: u32, seq: u64) -> String {
    format!("{}/{seq:020}.json", chain_folder(shard))
}

/// The shard and sequence number of an entry's key; None for other keys.
pub fn parse_chain_key(key: &str) -> Option<(u32, u64)> {
    let rest = key.strip_prefix(CHAIN_PREFIX)?.strip_prefix("/shard=")?;
    let (shard, name) = rest.split_once('/')?;
    let (shard, seq) = (shard.parse().ok()?, name.strip_suffix(".json")?.parse().ok()?);
    (chain_key(shard, seq) == key).then_some((shard, seq))
}

/// The open set beside an entry. It is created before the entry, so rivals for one number must not meet on its name:
/// the content is part of it.
pub fn open_set_key(shard: u32, seq: u64, digest: ContentDigest) -> String {
    let digest = digest.to_string();
    format!("{}/{seq:020}-{}.open", chain_folder(shard), &digest[..OPEN_SET_DIGITS])
}

/// Staged bytes of one file of a writer. `number` never repeats within the writer.
pub fn stage_key(writer: &str, shard: u32, number: u64) -> String {
    format!("{STAGE_PREFIX}/{writer}/s{shard:05}-{number:020}.parquet")
}

/// Whether a key lies in the staging area, and nowhere else.
pub fn is_stage_key(key: &str) -> bool {
    let mut parts = key.split('/');
    parts.next() == Some(STAGE_PREFIX)
        && key.len() > STAGE_PREFIX.len() + 1
        && parts.all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether rows stand in the live generation or wait beside a sealed day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Generation 000.
    Live,
    /// Beside the generations, until the next seal.
    Late,
}

/// Where one Parquet file of a claim lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LivePlace {
    /// Whose rows.
    pub table: Table,
    /// Live or late.
    pub lane: Lane,
    /// The day of its rows.
    pub day: Day,
    /// The hour of its rows, 0 to 23.
    pub hour: u8,
    /// The shard.
    pub shard: u32,
    /// The claim.
    pub seq: u64,
    /// Its number within the claim.
    pub part: u32,
}

impl LivePlace {
    /// `events/gen=000/date=2026-11-24/hour=07/s00003-00000000000000000017-00000.parquet`.
    pub fn key(&self) -> String {
        let Self { table, lane, day, hour, shard, seq, part } = self;
        let folder = match lane {
            Lane::Live => generation_folder(*table, Generation::LIVE, day),
            Lane::Late => format!("{}/date={day}", late_root(*table)),
        };
        format!("{folder}/hour={hour:02}/s{shard:05}-{seq:020}-{part:05}.parquet")
    }

    /// The place a key names; None for any other key, those of sealed generations included.
    pub fn parse(key: &str) -> Option<Self> {
        let (root, mut rest) = key.split_once('/')?;
        let table =
            Table::ALL.into_iter().find(|table| table.as_str() == root || late_root(*table) == root)?;
        let lane = if table.as_str() == root { Lane::Live } else { Lane::Late };
        if lane == Lane::Live {
            rest = rest.strip_prefix("gen=000/")?;
        }
        let mut parts = rest.split('/');
        let day = Day::parse(parts.next()?.strip_prefix("date=")?).ok()?;
        let hour = parts.next()?.strip_prefix("hour=")?.parse().ok().filter(|hour| *hour < 24)?;
        let mut numbers = parts.next()?.strip_prefix('s')?.strip_suffix(".parquet")?.split('-');
        let (shard, seq, part) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let (shard, seq, part) = (shard.parse().ok()?, seq.parse().ok()?, part.parse().ok()?);
        let place = Self { table, lane, day, hour, shard, seq, part };
        (place.key() == key).then_some(place)
    }
}

/// The root of the late rows of a table.
pub fn late_root(table: Table) -> &'static str {
    match table {
        Table::Events => "late",
        Table::Records => "late_records",
        Table::Rejects => "late_rejects",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::FilePlace;
    use corridor_model::HourBucket;
    use proptest::prelude::*;

    #[test]
    fn keys_follow_the_layout_of_the_design() {
        assert_eq!(chain_key(3, 17), "ctl/chain/shard=00003/00000000000000000017.json");
        assert_eq!(stage_key("w1", 3, 4), "stage/w1/s00003-00000000000000000004.parquet");
        let day = Day::parse("2026-11-24").unwrap();
        let place =
            LivePlace { table: Table::Events, lane: Lane::Live, day, hour: 7, shard: 3, seq: 17, part: 0 };
        let name = "date=2026-11-24/hour=07/s00003-00000000000000000017-00000.parquet";
        assert_eq!(place.key(), format!("events/gen=000/{name}"));
        let late = LivePlace { lane: Lane::Late, ..place };
        assert_eq!(late.key(), format!("late/{name}"));
        assert_eq!(LivePlace { table: Table::Records, ..late }.key(), format!("late_records/{name}"));
    }

    #[test]
    fn foreign_keys_are_no_place_of_a_claim() {
        let keys = [
            "events/gen=001/date=2026-11-24/hour=07/s00003-00000000000000000017-00000.parquet",
            "events/gen=000/date=2026-11-24/hour=07/s3-17-0.parquet",
            "events/gen=000/date=2026-11-24/hour=07/00000.parquet",
            "events/date=2026-11-24/hour=07/s00003-00000000000000000017-00000.parquet",
            "late/gen=000/date=2026-11-24/hour=07/s00003-00000000000000000017-00000.parquet",
            "late/date=2026-11-24/hour=07/s00003-00000000000000000017-00000-1.parquet",
            "late/date=2026-11-24/hour=07/x/s00003-00000000000000000017-00000.parquet",
            "late",
        ];
        for key in keys {
            assert_eq!(LivePlace::parse(key), None, "{key}");
        }
    }

    #[test]
    fn only_keys_below_the_staging_area_are_staged() {
        assert!(is_stage_key(&stage_key("w", 1, 2)));
        for key in
            ["stage", "stage/", "stage//x", "stage/../events/x", "events/stage/x", "staged/x", "stage/./x"]
        {
            assert!(!is_stage_key(key), "{key}");
        }
    }

    #[test]
    fn rivals_do_not_meet_on_the_name_of_an_open_set() {
        let (one, other) = (ContentDigest::of(b"1"), ContentDigest::of(b"2"));
        assert_ne!(open_set_key(1, 2, one), open_set_key(1, 2, other));
        assert_eq!(parse_chain_key(&open_set_key(1, 2, one)), None);
    }

    proptest! {
        #[test]
        fn every_live_place_survives_the_round_trip(
            table in 0usize..3, late: bool, days in 0i64..2_900_000, hour in 0u8..24,
            shard in 0u32..100_000, seq: u64, part in 0u32..64
        ) {
            let day = Day::of(HourBucket(days * 24)).unwrap();
            let lane = if late { Lane::Late } else { Lane::Live };
            let place = LivePlace { table: Table::ALL[table], lane, day, hour, shard, seq, part };
            prop_assert_eq!(LivePlace::parse(&place.key()), Some(place.clone()));
            prop_assert_eq!(FilePlace::parse(&place.key()), None);
            prop_assert_eq!(parse_chain_key(&chain_key(shard, seq)), Some((shard, seq)));
        }
    }
}
