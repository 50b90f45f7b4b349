//! Metrics: what Prometheus reads on `/metrics`.
//!
//! - In: the boards on which shards and intake tell what they do.
//! - Out: a registry; its values are read when they are asked for.

use super::status::{ShardStatus, StatusBoard};
use corridor_intake::http::HttpMetrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::sync::Arc;

/// All metrics of the process, and those that the HTTP receiver counts.
pub fn registry(board: &Arc<StatusBoard>) -> (Registry, HttpMetrics) {
    let mut registry = Registry::with_prefix("corridor");
    let http = HttpMetrics::register(&mut registry);
    registry.register_collector(Box::new(Boards(Arc::clone(board))));
    (registry, http)
}

#[derive(Debug)]
struct Boards(Arc<StatusBoard>);

/// Name, help, and the value of one shard.
type Measure = (&'static str, &'static str, fn(&ShardStatus) -> u64);

const COUNTERS: &[Measure] = &[
    ("shard_records_in", "Events and rejects taken since the chain began", |shard| shard.ledger.records_in),
    ("shard_rows", "Rows that are final", |shard| shard.ledger.rows),
    ("shard_duplicates", "Copies of events that have a row", |shard| shard.ledger.duplicates),
    ("shard_rejects", "Records that became rejects", |shard| shard.ledger.rejects),
];

const GAUGES: &[Measure] = &[
    ("shard_pending", "Events whose rows are not final", |shard| shard.ledger.pending),
    ("shard_ready_rows", "Final rows that wait for a claim", |shard| shard.ready_rows),
    ("shard_lag_records", "Records of the log that were not taken yet", |shard| shard.lag_records),
    ("shard_lag_seconds", "Age of the record that is taken next", |shard| shard.lag_seconds),
    ("shard_memory_bytes", "Memory of the join state", |shard| shard.memory_bytes),
    ("shard_scratch_bytes", "Local disk of records that wait", |shard| shard.scratch_bytes),
    ("shard_last_claim_seconds", "When the last claim was complete, as Unix time", |shard| {
        shard.last_claim.as_ref().map_or(0, |claim| claim.at.timestamp().max(0) as u64)
    }),
];

impl Collector for Boards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let shards = self.0.shards();
        for (name, help, value) in COUNTERS {
            let metric = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            for shard in &shards {
                let label = [("shard", shard.shard.to_string())];
                ConstCounter::new(value(shard)).encode(family.encode_family(&label)?)?;
            }
        }
        for (name, help, value) in GAUGES {
            let metric = ConstGauge::new(0_i64);
            let mut family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            for shard in &shards {
                let label = [("shard", shard.shard.to_string())];
                let value = i64::try_from(value(shard)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&label)?)?;
            }
        }
        Ok(())
    }
}
