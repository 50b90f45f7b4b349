//! Log check: whether the log still holds what the chain of a shard goes on from.
//!
//! - In: the position of the shard; what the log says about itself.
//! - Out: go on, or why not and what to do.
//! - Invariants: a record that is missing is never passed over without the entry of a person.

use crate::content_digest::ContentDigest;
use crate::position::Position;
use corridor_model::LogIdentity;

/// What the log says about a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFacts {
    /// Which log it is.
    pub identity: LogIdentity,
    /// First offset kept, or the next one when there is none.
    pub start: u64,
    /// Offset of the next record.
    pub end: u64,
    /// Digest of the payload at the offset of [`Position::last`]; None when nothing stands there.
    pub last_sha256: Option<ContentDigest>,
}

/// Why a shard must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogRefusal {
    /// Another topic or cluster.
    #[error(
        "shard {shard} was read from topic {} of cluster {}, and this is topic {} of cluster {}; \
         point the worker at the log it was made for, or use a new lake", was.topic, was.cluster, now.topic, now.cluster
    )]
    OtherLog {
        /// The shard.
        shard: u32,
        /// In the chain.
        was: LogIdentity,
        /// Of the worker.
        now: LogIdentity,
    },
    /// Retention has deleted what was not done.
    #[error(
        "the log of shard {shard} deleted records {floor} to {start} (exclusive) before the shard was done with them. Raise \
         the retention. To go on without them: corridor gap --shard {shard} --from {floor} --to {start} --reason TEXT"
    )]
    Passed {
        /// The shard.
        shard: u32,
        /// First record needed.
        floor: u64,
        /// First record kept.
        start: u64,
    },
    /// The log ends before the chain does.
    #[error(
        "the log of shard {shard} ends at {log_end}, and the chain has covered {end}: records were lost in the log, or it was \
         made again under the same name; restore it, or use a new lake"
    )]
    Shorter {
        /// The shard.
        shard: u32,
        /// Of the log.
        log_end: u64,
        /// Of the chain.
        end: u64,
    },
    /// The log holds something else than was read.
    #[error(
        "the log of shard {shard} does not hold at offset {offset} the record that was read there: it was made again under \
         the same name; restore it, or use a new lake"
    )]
    OtherRecord {
        /// The shard.
        shard: u32,
        /// Of the record.
        offset: u64,
    },
}

/// Compares the log with the position.
pub fn check_log(position: &Position, facts: &LogFacts) -> Result<(), LogRefusal> {
    let Position { shard, floor, end, .. } = *position;
    if facts.identity != position.log {
        let (was, now) = (position.log.clone(), facts.identity.clone());
        return Err(LogRefusal::OtherLog { shard, was, now });
    }
    if facts.end < end {
        return Err(LogRefusal::Shorter { shard, log_end: facts.end, end });
    }
    if let Some(last) = position.last
        && last.offset >= facts.start
        && facts.last_sha256 != Some(last.sha256)
    {
        return Err(LogRefusal::OtherRecord { shard, offset: last.offset });
    }
    match facts.start > floor {
        true => Err(LogRefusal::Passed { shard, floor, start: facts.start }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{LastRecord, Start};

    fn identity(cluster: &str) -> LogIdentity {
        LogIdentity { cluster: cluster.into(), topic: "audit".into() }
    }

    fn position() -> Position {
        let start = Start { shard_count: 6, log: identity("c"), begin: 0 };
        let mut position = Position::at_start(3, start, ContentDigest::of(b"start"));
        (position.floor, position.end) = (50, 200);
        position.last = Some(LastRecord { offset: 199, sha256: ContentDigest::of(b"record") });
        position
    }

    fn facts(start: u64, end: u64, record: Option<&[u8]>) -> LogFacts {
        LogFacts { identity: identity("c"), start, end, last_sha256: record.map(ContentDigest::of) }
    }

    #[test]
    fn a_log_that_holds_everything_needed_is_gone_on_with() {
        for start in [0, 50] {
            assert_eq!(check_log(&position(), &facts(start, 200, Some(b"record"))), Ok(()));
        }
        let fresh = Position { last: None, end: 0, floor: 0, ..position() };
        assert_eq!(check_log(&fresh, &facts(0, 0, None)), Ok(()));
        let drained = Position { floor: 200, ..position() };
        assert_eq!(check_log(&drained, &facts(200, 200, None)), Ok(()), "all was done and then deleted");
    }

    #[test]
    fn each_loss_is_told_apart() {
        let cases = [
            (facts(51, 200, Some(b"record")), LogRefusal::Passed { shard: 3, floor: 50, start: 51 }),
            (facts(0, 199, None), LogRefusal::Shorter { shard: 3, log_end: 199, end: 200 }),
            (facts(0, 900, Some(b"other")), LogRefusal::OtherRecord { shard: 3, offset: 199 }),
            (facts(0, 900, None), LogRefusal::OtherRecord { shard: 3, offset: 199 }),
            (
                LogFacts { identity: identity("d"), ..facts(0, 200, Some(b"record")) },
                LogRefusal::OtherLog { shard: 3, was: identity("c"), now: identity("d") },
            ),
        ];
        for (facts, want) in cases {
            assert_eq!(check_log(&position(), &facts), Err(want), "{facts:?}");
        }
    }

    #[test]
    fn a_gap_is_accepted_by_the_very_command_of_the_message() {
        let text = check_log(&position(), &facts(70, 200, Some(b"record"))).unwrap_err().to_string();
        assert!(text.contains("corridor gap --shard 3 --from 50 --to 70 --reason"), "{text}");
    }
}
