//! Metrics of the receiver.
//!
//! - In: what happened, once per request.
//! - Out: numbers in the registry of the process.
//! - Keeps: counters.
//! - Invariants: labels come from closed sets; no path, client or token is one.

use super::answer::Unserved;
use crate::delivery::Accepted;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// Routes as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route(&'static str);

impl Route {
    pub(super) fn of(path: &str) -> Self {
        let known = ["/v1/kong", "/v1/azure", "/healthz", "/readyz", "/metrics", "/status"];
        let path = path.strip_suffix('/').unwrap_or(path);
        Route(known.into_iter().find(|route| *route == path).unwrap_or("other"))
    }
}

/// Counters of the receiver. Clones count together.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    body_bytes: Counter,
    inflated_bytes: Counter,
    events: Counter,
    rejects: Counter,
    pub(super) in_flight_bytes: Gauge,
    pub(super) connections: Gauge,
    pub(super) accept_seconds: Histogram,
}

impl HttpMetrics {
    /// Makes the counters and shows them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            refusals: Family::default(),
            body_bytes: Counter::default(),
            inflated_bytes: Counter::default(),
            events: Counter::default(),
            rejects: Counter::default(),
            in_flight_bytes: Gauge::default(),
            connections: Gauge::default(),
            accept_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
        };
        let m = &metrics;
        registry.register("corridor_http_requests", "Requests by route and status", m.requests.clone());
        registry.register("corridor_http_refusals", "Requests not taken, by reason", m.refusals.clone());
        registry.register("corridor_http_body_bytes", "Bytes of bodies as sent", m.body_bytes.clone());
        registry.register(
            "corridor_http_inflated_bytes",
            "Bytes of bodies as read",
            m.inflated_bytes.clone(),
        );
        registry.register("corridor_http_events", "Events acknowledged", m.events.clone());
        registry.register("corridor_http_rejects", "Rejects acknowledged", m.rejects.clone());
        registry.register(
            "corridor_http_in_flight_bytes",
            "Memory of bodies being handled",
            m.in_flight_bytes.clone(),
        );
        registry.register("corridor_http_connections", "Open connections", m.connections.clone());
        registry.register(
            "corridor_http_accept_seconds",
            "Time from a whole body to its durable records",
            m.accept_seconds.clone(),
        );
        metrics
    }

    pub(super) fn answered(&self, Route(route): Route, status: u16) {
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    pub(super) fn refused(&self, why: Unserved) {
        self.refusals.get_or_create(&RefusalLabels { reason: why.as_str() }).inc();
    }

    pub(super) fn received(&self, sent_bytes: u64, inflated_bytes: usize) {
        self.body_bytes.inc_by(sent_bytes);
        self.inflated_bytes.inc_by(u64::try_from(inflated_bytes).unwrap_or(u64::MAX));
    }

    pub(super) fn accepted(&self, counts: Accepted) {
        self.events.inc_by(counts.events);
        self.rejects.inc_by(counts.rejects);
    }
}
