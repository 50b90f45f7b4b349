//! Home shards: which shard emits an event's row.
//!
//! - In: the join facts, and the number of shards.
//! - Out: the home shard.
//! - Invariants: stable for ever, because logs and chains hold its results. Events with one reuse key share a
//!   home, so that CORRELATION_REUSED needs no other shard.

use corridor_model::{JoinFacts, Side};

/// Number of a shard, from 0.
pub type ShardId = u32;

/// The home of an event: FNV-1a (64 bit) over the big-endian bytes of its correlation id, taken modulo the
/// number of shards. Without a correlation id, Kong's request id takes its place, then the event's own id.
pub fn home_shard(facts: &JoinFacts, shard_count: u32) -> ShardId {
    let correlation = facts.reuse_key.or_else(|| facts.correlation_ids.first().map(|id| id.base));
    let key = match facts.side {
        Side::Kong => correlation.or_else(|| facts.request_ids.first().copied()),
        Side::Azure => correlation,
    };
    let hash = match key {
        Some(key) => fnv1a(&key.value().to_be_bytes()),
        None => fnv1a(&facts.summary.event_id.0),
    };
    (hash % u64::from(shard_count.max(1))) as ShardId
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
