//! Facts: what the join needs of an Azure event.
//!
//! - In: the record's values in clear, Kong's ids in it, and the finished event (whose texts are redacted).
//! - Out: [`JoinFacts`] (synapse-diagnostics.md §6.4, rulings.md *Correlation and join*).
//! - Invariants: keys come from clear values, summary texts from the redacted event; `end` is never before `start`.

use super::Parsed;
use super::fields::Field;
use super::ids::KongIds;
use super::kind::Kind;
use super::timestamp::parse_time;
use super::verdict::Word;
use crate::call::{call_at_host_key, call_key};
use crate::identify::Identity;
use crate::refiner::Context;
use corridor_model::join::{CorrelationKey, FewKeys};
use corridor_model::time::MINUTE;
use corridor_model::{CorrelationOrigin, Event, JoinFacts, Key128, Micros, PeerSummary, PeerTexts, Side};
use std::borrow::Cow;

/// How long a run without an end may still be calling.
const RUNNING_MICROS: i64 = 10 * MINUTE;
/// Longest time after the event that its calls can lie in.
const HORIZON_MICROS: i64 = 60 * MINUTE;

/// Gathers the facts.
pub(super) fn gather(
    parsed: &Parsed<'_>,
    ids: &KongIds<'_>,
    identity: &Identity<'_>,
    event: &Event<'_>,
    context: &Context,
) -> JoinFacts {
    let (start, end) = bounds(parsed, event.event_time);
    let run = [Field::PipelineRunId, Field::RunId]
        .into_iter()
        .find_map(|field| parsed.raw.get(field))
        .and_then(Key128::of_id);
    let mut correlation_ids: FewKeys<CorrelationKey> =
        ids.correlation.iter().filter_map(|id| CorrelationKey::of(id)).collect();
    // One run has many calls, so its id names the run and not a call.
    correlation_ids.retain(|key| Some(key.base) != run || parsed.kind != Kind::Activity);
    let request_ids = keys_of(ids);
    let is_web = parsed.makes_calls();
    let url = parsed.url();
    let method = parsed.raw.first(&[Field::Method, Field::HttpMethod]);
    let call = method.zip(url.as_ref()).map(|(method, url)| call_key(method, url.path));
    let at_host = method
        .zip(url.as_ref())
        .and_then(|(method, url)| Some(call_at_host_key(method, url.host.as_deref()?, url.path)));
    let names_caller = !identity.keys.is_unknown();
    let has_path = url.is_some();
    let is_eligible = !request_ids.is_empty()
        || !correlation_ids.is_empty()
        || is_web && has_path
        || parsed.kind == Kind::Gateway && has_path && names_caller;
    let carries_kong_id =
        matches!(event.correlation_origin, CorrelationOrigin::Client | CorrelationOrigin::Gateway);
    JoinFacts {
        side: Side::Azure,
        summary: summary(parsed, event),
        start,
        end,
        request_ids,
        correlation_ids,
        run_id: run.filter(|_| is_web && has_path),
        call: call.filter(|_| is_web),
        call_at_host: at_host.filter(|_| names_caller),
        identity: identity.keys,
        verdict: event.verdict,
        findings: event.findings,
        is_eligible,
        is_final_record: parsed.word != Word::Running,
        takes_partner_verdict: parsed.kind == Kind::Activity && is_web && parsed.word == Word::Failed,
        expects_gateway_record: parsed.got_answer()
            && parsed.host().is_some_and(|host| is_gateway_host(&host, context)),
        reuse_key: ids.correlation.first().filter(|_| carries_kong_id).and_then(|id| Key128::of_id(id)),
    }
}

/// Whether callers reach the gateway at this host.
pub(super) fn is_gateway_host(host: &str, context: &Context) -> bool {
    context.directory.is_gateway_host(host)
        || context.settings.gateway_hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

fn keys_of(ids: &KongIds<'_>) -> FewKeys<Key128> {
    let mut keys: FewKeys<Key128> = ids.request.iter().filter_map(|id| Key128::of_id(id)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// First and last moment of the calls that the event tells of.
fn bounds(parsed: &Parsed<'_>, event_time: Micros) -> (Micros, Micros) {
    if parsed.kind != Kind::Activity {
        return (event_time, event_time);
    }
    let time = |field| parsed.raw.get(field).and_then(parse_time);
    let start = time(Field::Start).unwrap_or(event_time).min(event_time);
    let end = match (time(Field::End), parsed.word) {
        (Some(end), _) => end,
        (None, Word::Running) => start.saturating_add(RUNNING_MICROS),
        (None, _) => event_time,
    };
    (start, end.min(event_time.saturating_add(HORIZON_MICROS)).max(start))
}

fn summary(parsed: &Parsed<'_>, event: &Event<'_>) -> PeerSummary {
    let status = match (parsed.kind, event.http_status) {
        (Kind::Gateway | Kind::Rbac, Some(status)) => Some(Cow::Owned(status.to_string())),
        _ => event.result_type.as_deref().map(Cow::Borrowed),
    };
    let texts = PeerTexts::new(
        &event.category,
        event.operation.as_deref(),
        status.as_deref(),
        event.principal_id.as_deref(),
    );
    PeerSummary { event_id: event.event_id, time: event.event_time, texts }
}
