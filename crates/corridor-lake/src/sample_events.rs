//! Sample events: rows for the tests of this crate.

use crate::event_rows::EventRows;
use crate::rows::{FinalRow, StoredRows};
use corridor_model::join::{JoinConfidence, JoinMethod};
use corridor_model::{
    CorrelationOrigin, DeniedBy, Event, EventId, Finding, FindingSet, IdentityMatch, JoinOutcome, JoinState,
    Micros, Origin, PeerSummary, PeerTexts, ReasonBasis, ReasonCode, RecordDigest, Source, Verdict,
};

/// 2026-03-04T09:00:00Z.
pub(crate) const HOUR_START: i64 = 1_772_614_800_000_000;

pub(crate) fn origin(offset: u64) -> Origin {
    Origin { file_index: 0, path: "kong/2026-03-04/kong.ndjson.gz".into(), byte_offset: offset }
}

/// Event number `index`: every third is an activity, the others are Kong requests.
pub(crate) fn event(index: u32) -> Event<'static> {
    let id = EventId::from_natural_key("sample", &[&index.to_string()]);
    let is_activity = index % 3 == 2;
    let (source, category) =
        if is_activity { (Source::Synapse, "IntegrationActivityRuns") } else { (Source::Kong, "http") };
    let mut event = Event::new(source, category.into(), id, Micros(HOUR_START + i64::from(index) * 1_000));
    event.record_sha256 = RecordDigest::of(&index.to_le_bytes());
    event.record_index = index % 4;
    event.redactions = index % 2;
    event.correlation_origin = CorrelationOrigin::Gateway;
    event.correlation_id = Some(format!("{index:032x}").into());
    event.principal_id = Some(format!("tenant/object-{}", index % 50).into());
    event.http_method = Some("POST".into());
    event.url_path = Some("/orders/{id}/größe-😀".into());
    if is_activity {
        event.pipeline_name = Some("nightly".into());
        event.activity_start = Some(event.event_time);
        event.duration_ms = Some(i64::from(index));
    } else {
        event.http_status = Some(if index.is_multiple_of(5) { 403 } else { 200 });
        event.static_credential = Some(index.is_multiple_of(2));
        event.latency_ms = Some(i64::from(index % 90));
        event.token_expires_at = Some(Micros::MAX_EVENT);
    }
    event
}

/// The events in one batch.
pub(crate) fn batch(indices: impl IntoIterator<Item = u32>) -> EventRows {
    let mut builder = EventRows::default();
    for index in indices {
        builder.append(&event(index), &origin(u64::from(index) * 100), Some(&"directory-1".into()));
    }
    builder
}

/// The batches as they are read back, and all their rows, one batch after the other.
pub(crate) fn stored<const N: usize>(mut batches: [EventRows; N]) -> (StoredRows, Vec<FinalRow>) {
    let rows = |(batch, rows): (usize, &EventRows)| {
        (0..rows.len() as u32).map(move |row| FinalRow { batch: batch as u32, row })
    };
    let places = batches.iter().enumerate().flat_map(rows).collect();
    (StoredRows::of(batches.iter_mut().map(|batch| batch.finish())), places)
}

pub(crate) fn unmatched() -> JoinOutcome {
    JoinOutcome {
        state: JoinState::Unmatched,
        method: None,
        confidence: None,
        peer: None,
        peer_count: 0,
        identity_match: None,
        verdict: Verdict::ALLOWED,
        findings: FindingSet::EMPTY,
    }
}

pub(crate) fn matched_denial() -> JoinOutcome {
    JoinOutcome {
        state: JoinState::Matched,
        method: Some(JoinMethod::RequestId),
        confidence: Some(JoinConfidence::Exact),
        peer: Some(PeerSummary {
            event_id: EventId([7; 32]),
            time: Micros(HOUR_START + 5),
            texts: PeerTexts::new("http", Some("POST /orders"), Some("403"), None),
        }),
        peer_count: 2,
        identity_match: Some(IdentityMatch::Unknown),
        verdict: Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Join, DeniedBy::Gateway),
        findings: [Finding::UnknownPrincipal, Finding::ClockAhead].into_iter().collect(),
    }
}
