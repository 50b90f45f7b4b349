//! Intake routes: from a request to a durable delivery and its acknowledgement.
//!
//! - In: requests on `/v1/kong` and `/v1/azure`.
//! - Out: one delivery per body that is not empty, and the answer.
//! - Keeps: the last batch id.
//! - Invariants: the token is checked before the body is read, room is taken before memory; a delivery that began ends, whether
//!   or not anybody still waits for the answer.

use super::answer::{Unserved, accepted, closing, unserved};
use super::body::{self, BodyLimits, Declared, NotReceived, Received};
use super::{Shared, admission::Permit};
use crate::delivery::{Accepted, Delivery, Refusal};
use axum::extract::Request;
use axum::http::{HeaderMap, header, request::Parts};
use axum::response::Response;
use corridor_model::{Micros, Origin, Side};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Of a body that is refused this much is read, so that the answer arrives; the rest closes the connection.
const REFUSED_DRAIN_BYTES_MAX: usize = 1 << 20;
/// And for no longer than this.
const REFUSED_DRAIN_TIME: Duration = Duration::from_secs(2);

/// Names for bodies: unique, and sorted by arrival within a process.
pub(super) struct BatchIds {
    last: AtomicI64,
    process: u32,
}

impl Default for BatchIds {
    fn default() -> Self {
        // The keys of the standard hasher are the random number that tells processes apart.
        let random = std::hash::RandomState::new().build_hasher().finish();
        Self { last: AtomicI64::new(0), process: u32::try_from(random >> 32).unwrap_or(0) }
    }
}

impl BatchIds {
    fn next(&self, now: Micros) -> String {
        let step = |last: i64| Some(now.0.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(0);
        let moment = now.0.max(last.saturating_add(1)).max(0);
        format!("{moment:017}-{:08x}", self.process)
    }
}

/// Handles one request of an intake route.
pub(super) async fn handle(shared: Arc<Shared>, side: Side, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let expects = head.headers.contains_key(header::EXPECT);
    let permit = match admit(&shared, &head) {
        Ok(permit) => permit,
        Err(why) => {
            // A sender that waits for permission has not sent anything yet: the answer alone stops it.
            if !expects {
                let drained = body::drain(body, REFUSED_DRAIN_BYTES_MAX);
                // Too slow is as good as too long: the answer is sent either way.
                let _ = timeout(REFUSED_DRAIN_TIME, drained).await;
            }
            return refuse(&shared, unserved(why));
        }
    };
    match receive(&shared, &head, body, permit).await {
        Ok((received, permit)) => finish(shared, side, received, permit).await,
        Err(why) => refuse(&shared, unserved(why)),
    }
}

fn refuse(shared: &Shared, (why, retry_after): (Unserved, Duration)) -> Response {
    shared.services.metrics.refused(why);
    why.answer(retry_after)
}

/// Decides by the head alone.
fn admit(shared: &Shared, head: &Parts) -> Result<Permit, Unserved> {
    if let Some(tokens) = &shared.tokens {
        let presented = head.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        if !tokens.allows(presented) {
            return Err(Unserved::Token);
        }
    }
    let expected = content_length(&head.headers).unwrap_or(0).min(shared.config.body_bytes_max);
    shared.admission.admit(expected).map_err(|_| Unserved::Full)
}

async fn receive(
    shared: &Shared,
    head: &Parts,
    body: axum::body::Body,
    mut permit: Permit,
) -> Result<(Received, Permit), Unserved> {
    let declared = Declared { encoding: encodings(&head.headers), length: content_length(&head.headers) };
    let limits = BodyLimits {
        body_bytes_max: shared.config.body_bytes_max,
        inflated_bytes_max: shared.config.inflated_bytes_max,
    };
    let time_max = Duration::from_secs(shared.config.body_timeout_seconds.into());
    let reading = body::receive(body, &declared, &limits, &mut permit);
    match timeout(time_max, reading).await {
        Ok(Ok(received)) => Ok((received, permit)),
        Ok(Err(NotReceived::Full)) => Err(Unserved::Full),
        Ok(Err(NotReceived::Cut(reason))) => {
            tracing::debug!(reason, "body did not arrive whole");
            Err(Unserved::Cut)
        }
        Err(_) => Err(Unserved::Slow),
    }
}

/// Delivers and answers.
async fn finish(shared: Arc<Shared>, side: Side, received: Received, permit: Permit) -> Response {
    let must_close = received.must_close;
    shared.services.metrics.received(received.sent_bytes, received.bytes.len());
    let outcome = if received.bytes.is_empty() && received.defect.is_none() {
        Ok(Accepted::default())
    } else {
        deliver_to_the_end(Arc::clone(&shared), side, received, permit).await
    };
    let response = match outcome {
        Ok(counts) => accepted(counts),
        Err(refusal) => refuse(&shared, (&refusal).into()),
    };
    if must_close { closing(response) } else { response }
}

/// A task of its own: a client that goes away drops the request, but must not stop half of a delivery.
async fn deliver_to_the_end(
    shared: Arc<Shared>,
    side: Side,
    received: Received,
    permit: Permit,
) -> Result<Accepted, Refusal> {
    let task = Arc::clone(&shared).deliveries.spawn(async move {
        let outcome = deliver(&shared, side, received).await;
        drop(permit);
        outcome
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "delivery ended by a panic");
        Err(Refusal::Log("delivery ended by a panic".into()))
    })
}

async fn deliver(shared: &Shared, side: Side, received: Received) -> Result<Accepted, Refusal> {
    let received_time = (shared.services.clock)();
    let path = format!("http:{side}/{}", shared.batch_ids.next(received_time));
    let origin = Origin { file_index: 0, path: path.into(), byte_offset: 0 };
    let delivery = Delivery { side, origin, received_time, body: received.bytes };
    let accept = &shared.services.accept;
    let started = Instant::now();
    let outcome = match received.defect {
        None => accept.accept(delivery).await,
        Some(defect) => {
            tracing::warn!(origin = %delivery.origin, detail = defect.detail, "body with a defect");
            accept.accept_broken(delivery, defect).await
        }
    };
    shared.services.metrics.accept_seconds.observe(started.elapsed().as_secs_f64());
    match &outcome {
        Ok(counts) => shared.services.metrics.accepted(*counts),
        Err(refusal) => tracing::warn!(%refusal, "body not taken"),
    }
    outcome
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// All values of `content-encoding`; bytes that are no text name no encoding that we know.
fn encodings(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_ids_are_unique_and_sorted_even_when_the_clock_steps_back() {
        let ids = BatchIds::default();
        let moments =
            [1_800_000_000_000_000, 1_800_000_000_000_000, 1_700_000_000_000_000, 1_900_000_000_000_000];
        let made: Vec<_> = moments.map(|micros| ids.next(Micros(micros))).into();
        assert!(made.is_sorted_by(|left, right| left < right), "{made:?}");
    }
}
