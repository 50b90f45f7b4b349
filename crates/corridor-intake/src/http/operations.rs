//! Operations routes and the router: what probes, Prometheus and people ask.
//!
//! - In: GET on `/healthz`, `/readyz`, `/metrics`, `/status`.
//! - Out: texts and JSON of [`Health`] and of the registry.
//! - Keeps: nothing.
//! - Invariants: no token is needed, so nothing here may show secrets or contents of records.

use super::{Shared, intake};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use corridor_model::Side;
use std::sync::Arc;

/// How the whole process is.
pub trait Health: Send + Sync + 'static {
    /// Why it should get no traffic; empty when it is ready. The reasons are shown to anybody who asks.
    fn unready_reasons(&self) -> Vec<String>;
    /// What `corridor status` shows.
    fn status(&self) -> serde_json::Value;
}

/// All routes. Kong may be set to any of three methods, and people type a final slash.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let posts = MethodFilter::POST.or(MethodFilter::PUT).or(MethodFilter::PATCH);
    let kong = on(posts, |State(shared), request| intake::handle(shared, Side::Kong, request));
    let azure = on(posts, |State(shared), request| intake::handle(shared, Side::Azure, request));
    Router::new()
        .route("/v1/kong", kong.clone())
        .route("/v1/kong/", kong)
        .route("/v1/azure", azure.clone())
        .route("/v1/azure/", azure)
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .layer(from_fn_with_state(Arc::clone(&shared), count))
        .with_state(shared)
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let route = super::metrics::Route::of(request.uri().path());
    let response = next.run(request).await;
    shared.services.metrics.answered(route, response.status().as_u16());
    response
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let reasons = shared.services.health.unready_reasons();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &shared.services.registry) {
        tracing::error!(%error, "encode metrics");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    let text = shared.services.health.status().to_string() + "\n";
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}
