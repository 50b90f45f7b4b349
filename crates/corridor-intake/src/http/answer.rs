//! Answers: every status that an intake route gives.
//!
//! - In: what became of a request.
//! - Out: status, headers and a short body.
//! - Keeps: nothing.
//! - Invariants: no answer repeats content, tokens or paths of this machine.

use crate::delivery::{Accepted, Refusal};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Seconds to wait when nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not taken. The label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unserved {
    /// The receiver's memory for bodies is taken.
    Full,
    /// The accept side has too much waiting.
    Busy,
    /// The log did not take it.
    Log,
    /// The process stops.
    Stopping,
    /// No valid token.
    Token,
    /// The body took too long.
    Slow,
    /// The body did not arrive whole.
    Cut,
}

impl Unserved {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "memory",
            Self::Busy => "busy",
            Self::Log => "log",
            Self::Stopping => "stopping",
            Self::Token => "token",
            Self::Slow => "slow",
            Self::Cut => "cut",
        }
    }

    /// The answer. Only 503 asks to come back at a time.
    pub(super) fn answer(self, retry_after: Duration) -> Response {
        match self {
            Self::Full | Self::Busy | Self::Log | Self::Stopping => {
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                let headers = [(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))];
                let text = format!("not taken ({}); send it again\n", self.as_str());
                (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
            }
            Self::Token => {
                let headers = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
                (StatusCode::UNAUTHORIZED, headers, "a valid bearer token is needed\n").into_response()
            }
            Self::Slow => closing((StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()),
            Self::Cut => {
                closing((StatusCode::BAD_REQUEST, "the body did not arrive whole\n").into_response())
            }
        }
    }
}

impl From<&Refusal> for (Unserved, Duration) {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Busy { retry_after, .. } => (Unserved::Busy, *retry_after),
            Refusal::Log(_) => (Unserved::Log, RETRY_AFTER),
            Refusal::Stopping => (Unserved::Stopping, RETRY_AFTER),
        }
    }
}

/// Why not, with the usual time to come back.
pub(super) fn unserved(why: Unserved) -> (Unserved, Duration) {
    (why, RETRY_AFTER)
}

/// Everything inside is durable.
pub(super) fn accepted(accepted: Accepted) -> Response {
    let text = format!("{{\"events\":{},\"rejects\":{}}}\n", accepted.events, accepted.rejects);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// The connection ends with this answer.
pub(super) fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
