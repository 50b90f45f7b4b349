//! Connections: accepting, TLS, HTTP/1.1, and the end of it all.
//!
//! - In: the listener and the router.
//! - Out: nothing; returns when the last request in flight is answered and the last delivery has ended.
//! - Keeps: one task per connection, at most `connections_max`.
//! - Invariants: a connection that says nothing, or not fast enough, ends. Only HTTP/1.1 is spoken: senders need no more,
//!   and one stream per connection keeps the limits simple.

use super::operations::router;
use super::{Shared, tls::TlsKeeper};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Kong sends few headers; a shipper behind proxies some more.
const HEADERS_MAX: usize = 100;
/// Bytes of a request head, and of what is read ahead.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// A TLS client that takes longer does not mean to talk.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How often token and certificate files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
/// After an error of the listener, as when there are no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsKeeper>,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    {
        let reloading = reload_forever(tls.as_ref(), &shared);
        let accepting = accept_forever(&listener, tls.as_ref(), &shared, &graceful, &mut connections);
        let (mut shutdown, mut reloading, mut accepting) = (pin!(shutdown), pin!(reloading), pin!(accepting));
        tokio::select! {
            () = &mut shutdown => {}
            () = &mut reloading => {}
            () = &mut accepting => {}
        }
    }
    drop(listener);
    let time_max = Duration::from_secs(shared.config.shutdown_seconds.into());
    if timeout(time_max, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = time_max.as_secs(), "connections still open at shutdown; closing them");
    }
    connections.shutdown().await;
    shared.deliveries.close();
    shared.deliveries.wait().await;
}

async fn reload_forever(tls: Option<&TlsKeeper>, shared: &Shared) {
    let mut ticks = interval(RELOAD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(tokens) = &shared.tokens {
            tokens.reload().await;
        }
        if let Some(tls) = tls {
            tls.reload().await;
        }
    }
}

async fn accept_forever(
    listener: &TcpListener,
    tls: Option<&TlsKeeper>,
    shared: &Arc<Shared>,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    let routes = router(Arc::clone(shared));
    let header_time = Duration::from_secs(shared.config.header_timeout_seconds.into());
    let room = usize::try_from(shared.config.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are short: waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set TCP_NODELAY");
        }
        let place = Place::take(place, &shared.services.metrics.connections);
        let acceptor = tls.map(TlsKeeper::acceptor);
        let talk = Talk { routes: routes.clone(), header_time, watcher: graceful.watcher() };
        connections.spawn(connect(stream, acceptor, talk, place));
        while connections.try_join_next().is_some() {}
    }
}

/// A place among the connections, shown in the metrics.
struct Place {
    _permit: OwnedSemaphorePermit,
    connections: Gauge,
}

impl Place {
    fn take(permit: OwnedSemaphorePermit, connections: &Gauge) -> Self {
        connections.inc();
        Self { _permit: permit, connections: connections.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

/// What a connection needs to speak HTTP.
struct Talk {
    routes: Router,
    header_time: Duration,
    watcher: hyper_util::server::graceful::Watcher,
}

async fn connect(stream: TcpStream, acceptor: Option<TlsAcceptor>, talk: Talk, _place: Place) {
    let Some(acceptor) = acceptor else { return speak(stream, talk).await };
    match timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, talk).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake"),
        Err(_) => tracing::debug!(error = %io::Error::from(io::ErrorKind::TimedOut), "TLS handshake"),
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, talk: Talk) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(talk.header_time)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let service = TowerToHyperService::new(talk.routes);
    let connection = protocol.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = talk.watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}
