//! HTTP receiver: one request body becomes one delivery, and is acknowledged when it is durable.
//!
//! - In: POST, PUT or PATCH on `/v1/kong` and `/v1/azure`, plain or compressed; GET on `/healthz`, `/readyz`, `/metrics`, `/status`.
//! - Out: [`Delivery`](crate::Delivery)s to [`Accept`]; 200 with the counts once they are durable, else 503 with `Retry-After`.
//! - Keeps: bodies being handled, together at most `in_flight_bytes_max`; hashes of the tokens; the TLS configuration.
//! - Invariants:
//!   - No status of 300 or more because of content, or the gateway would send the batch again for ever. A body that is too
//!     large, cut off, damaged or in an unknown encoding is handed on with its [`Defect`](crate::Defect) and acknowledged: what can
//!     be read of it becomes events, the rest one reject. Of a body over the limit the rest is drained up to a bound; then
//!     the connection closes.
//!   - A body that did not arrive whole (as HTTP counts it) is not delivered at all.
//!   - Compression is known by the first bytes, as for files; the header only names what those do not show.
//!   - Once a body is whole, its delivery runs to its end even if the client goes away.
//!   - Everything has a limit: connections, headers, bodies, time to send either, time to take an answer.

mod admission;
mod answer;
mod body;
mod config;
mod connection;
mod inflate;
mod intake;
mod metrics;
mod operations;
mod tls;
mod tokens;

pub use config::{HttpConfig, TlsConfig};
pub use metrics::HttpMetrics;
pub use operations::Health;

use crate::Accept;
use admission::Admission;
use corridor_model::Micros;
use intake::BatchIds;
use prometheus_client::registry::Registry;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tls::TlsKeeper;
use tokens::TokenKeeper;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Tells the arrival time. An argument, so that tests need no wall clock.
pub type WallClock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// What the receiver works with.
#[derive(Clone)]
pub struct HttpServices {
    /// Makes bodies durable.
    pub accept: Arc<dyn Accept>,
    /// Answers `/readyz` and `/status`.
    pub health: Arc<dyn Health>,
    /// Stamps the arrival of bodies.
    pub clock: WallClock,
    /// The receiver's own metrics, registered in `registry`.
    pub metrics: HttpMetrics,
    /// Everything that `/metrics` shows.
    pub registry: Arc<Registry>,
}

/// The receiver could not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Settings that contradict each other or are out of range.
    #[error("http settings: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// The address is taken or not ours.
    #[error("listen on {address}: {source}; choose another address in http.listen")]
    Listen {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A token or certificate file cannot be used.
    #[error("read {path}: {reason}", path = path.display())]
    File {
        /// The file of the settings.
        path: PathBuf,
        /// What is wrong with it and what to do. Never holds its contents.
        reason: String,
    },
}

/// What every request needs.
struct Shared {
    config: HttpConfig,
    services: HttpServices,
    admission: Admission,
    tokens: Option<TokenKeeper>,
    batch_ids: BatchIds,
    deliveries: TaskTracker,
}

/// A receiver that listens, and answers once [`HttpReceiver::serve`] runs.
pub struct HttpReceiver {
    listener: TcpListener,
    local_address: SocketAddr,
    tls: Option<TlsKeeper>,
    shared: Arc<Shared>,
}

impl HttpReceiver {
    /// Checks the settings, loads tokens and certificates, and takes the address.
    pub async fn bind(config: HttpConfig, services: HttpServices) -> Result<Self, HttpError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(HttpError::Settings(problems));
        }
        let tokens = match &config.token_file {
            Some(path) => Some(TokenKeeper::load(path).await?),
            None => None,
        };
        let tls = match &config.tls {
            Some(files) => Some(TlsKeeper::load(files).await?),
            None => None,
        };
        let address = config.listen;
        let listening = TcpListener::bind(address).await;
        let (listener, local_address) = listening
            .and_then(|listener| listener.local_addr().map(|local| (listener, local)))
            .map_err(|source| HttpError::Listen { address, source })?;
        let admission = Admission::new(config.in_flight_bytes_max, services.metrics.in_flight_bytes.clone());
        let shared = Shared {
            config,
            services,
            admission,
            tokens,
            batch_ids: BatchIds::default(),
            deliveries: TaskTracker::new(),
        };
        Ok(Self { listener, local_address, tls, shared: Arc::new(shared) })
    }

    /// The address in use: tells the port when the settings say 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves until `shutdown` ends; then takes no connection, finishes what is in flight within `shutdown_seconds`, and returns
    /// after the last delivery that began.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        connection::serve(self.listener, self.tls, self.shared, shutdown).await;
    }
}

#[cfg(test)]
mod tests;
