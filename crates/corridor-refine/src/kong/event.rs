//! Event: the columns of one Kong row.
//!
//! - In: the entry and what the stages found.
//! - Out: the event under the evidence columns, before the sweep and the pseudonyms.
//! - Invariants: texts are borrowed; numbers out of range are missing.

use super::credential::{Credential, credential_id};
use super::entry::Entry;
use super::extra::extra_of;
use super::identity::Caller;
use super::message;
use super::verdict::Facts;
use crate::call::{UrlParts, host_of, split_url};
use crate::redact;
use crate::refiner::Record;
use crate::scalar::Scalar;
use corridor_model::{CorrelationOrigin, Event, EventId, Micros, RecordDigest, Source, Verdict};
use std::borrow::Cow;

/// What the stages found.
#[derive(Debug)]
pub(super) struct Found<'s, 'e> {
    /// Identity of the event.
    pub(super) event_id: EventId,
    /// `started_at`.
    pub(super) event_time: Micros,
    /// Correlation id and who made it.
    pub(super) correlation: (Option<Cow<'e, str>>, CorrelationOrigin),
    /// What was called.
    pub(super) target: UrlParts<'e>,
    /// Who called.
    pub(super) caller: &'s Caller<'e>,
    /// With what.
    pub(super) credential: Credential,
    /// What became of it.
    pub(super) verdict: Verdict,
    /// What the verdict was read from.
    pub(super) facts: &'s Facts,
}

/// Host, path and query of the call. The host may be missing in the URL of a request line.
pub(super) fn target_of<'e>(entry: &'e Entry<'_>) -> UrlParts<'e> {
    let url = split_url(entry.request.url.as_str().unwrap_or(""));
    let target = match entry.request.uri.as_str() {
        Some(uri) => split_url(uri),
        None => url.clone(),
    };
    let host = url.host.or(target.host).or_else(|| host_of(entry.request.headers.host.as_str()?));
    UrlParts { host, ..target }
}

/// Fills the columns.
pub(super) fn event_of<'e>(entry: &'e Entry<'_>, record: &Record<'_>, found: Found<'_, 'e>) -> Event<'e> {
    let category = if entry.is_stream() { "stream" } else { "http" };
    let mut event = Event::new(Source::Kong, Cow::Borrowed(category), found.event_id, found.event_time);
    event.record_sha256 = RecordDigest::of(record.original);
    event.record_index = record.index;
    event.verdict = found.verdict;
    fill_correlation(&mut event, entry, found.correlation);
    fill_identity(&mut event, entry, found.caller, found.credential);
    fill_request(&mut event, entry, found.target);
    fill_answer(&mut event, entry);
    fill_gateway(&mut event, entry);
    fill_ai(&mut event, entry, found.facts, found.verdict);
    let mut withheld = entry.request.query.values_withheld
        + entry.request.headers.secrets_withheld
        + entry.response.headers.secrets_withheld
        + entry.ai.texts_withheld;
    event.extra = extra_of(entry, &mut withheld).map(Cow::Owned);
    event.redactions = withheld;
    event
}

fn fill_correlation<'e>(
    event: &mut Event<'e>,
    entry: &'e Entry<'_>,
    (id, origin): (Option<Cow<'e, str>>, CorrelationOrigin),
) {
    event.correlation_id = id;
    event.correlation_origin = origin;
    event.request_id = entry.request.id.as_text();
    event.trace_id = entry.trace_id.as_text().or_else(|| trace_of_headers(entry));
    event.pipeline_run_id = entry.request.headers.pipeline_run_id.as_text();
}

/// The trace id in `traceparent` (`00-<trace>-<span>-<flags>`), else the B3 header.
fn trace_of_headers<'e>(entry: &'e Entry<'_>) -> Option<Cow<'e, str>> {
    let w3c = entry.request.headers.traceparent.as_str().and_then(|header| header.split('-').nth(1));
    let w3c =
        w3c.filter(|id| id.len() == 32 && corridor_model::id::parse_hex_id(id).is_some_and(|id| id != 0));
    w3c.map(Cow::Borrowed).or_else(|| entry.request.headers.b3_trace_id.as_text())
}

fn fill_identity<'e>(
    event: &mut Event<'e>,
    entry: &'e Entry<'_>,
    caller: &Caller<'e>,
    credential: Credential,
) {
    let identity = &caller.identity;
    event.principal_id = identity.principal_id.clone();
    event.principal_type = Some(Cow::Borrowed(identity.principal_type.as_str()));
    event.principal_name = identity.principal_name.clone();
    event.tenant_id = identity.tenant_id.clone();
    event.object_id = identity.object_id.clone();
    event.app_id = identity.app_id.clone();
    event.identity_basis = Some(Cow::Borrowed(identity.basis.as_str()));
    event.consumer_id = entry.consumer.id.as_text();
    event.consumer_name = entry.consumer.username.as_text();
    event.credential_id = credential_id(entry);
    event.auth_method = credential.method.map(|method| Cow::Borrowed(method.as_str()));
    event.static_credential = credential.is_static();
    event.token_issued_at = caller.token_issued_at;
    event.token_expires_at = caller.token_expires_at;
    event.scopes = caller.scopes.clone();
    event.roles = caller.roles.clone();
}

/// An IPv4 address that is dressed up as IPv6 has the spelling of the other side.
fn plain_address(address: Cow<'_, str>) -> Cow<'_, str> {
    match address.strip_prefix("::ffff:") {
        Some(plain) if plain.parse::<std::net::Ipv4Addr>().is_ok() => Cow::Owned(plain.to_owned()),
        _ => address,
    }
}

fn fill_request<'e>(event: &mut Event<'e>, entry: &'e Entry<'_>, target: UrlParts<'e>) {
    let request = &entry.request;
    event.http_method = request.method.as_text();
    event.query_names = request.query.list(target.query).map(Cow::Owned);
    event.url_host = target.host;
    event.url_path = (!target.path.is_empty()).then_some(Cow::Borrowed(target.path));
    event.client_ip = entry.client_ip.as_text().map(plain_address);
    event.user_agent = request.headers.user_agent.as_str().map(redact::user_agent_family);
    event.tls_version = entry.tls().version.as_text();
    event.request_bytes = size(if entry.is_stream() { &entry.session.received } else { &request.size });
}

fn fill_answer<'e>(event: &mut Event<'e>, entry: &'e Entry<'_>) {
    let latencies = &entry.latencies;
    event.http_status = entry.status().and_then(|status| i32::try_from(status).ok());
    event.upstream_status = entry.upstream_status.as_text().filter(|status| status != "-");
    event.upstream_tries =
        entry.tries.is_present.then(|| i32::try_from(entry.tries.count).unwrap_or(i32::MAX));
    event.response_source = response_source(&entry.source);
    event.response_bytes = size(if entry.is_stream() { &entry.session.sent } else { &entry.response.size });
    event.latency_ms = millis(if entry.is_stream() { &latencies.session } else { &latencies.request });
    event.gateway_latency_ms = millis(&latencies.kong);
    // -1 means that the request was not proxied.
    event.upstream_latency_ms = latencies.proxy.as_i64().filter(|latency| *latency >= 0);
    event.receive_latency_ms = millis(&latencies.receive);
    let is_failure = event.verdict.reason().is_some();
    let sentence = entry.denial.message.as_str().filter(|_| is_failure).and_then(message::sentence);
    event.error_message = sentence.and_then(|text| message::stored(&text)).map(Cow::Owned);
}

fn response_source(source: &Scalar<'_>) -> Option<Cow<'static, str>> {
    match source.as_str()? {
        "upstream" | "service" => Some(Cow::Borrowed("upstream")),
        "kong" | "exit" | "error" => Some(Cow::Borrowed("kong")),
        _ => None,
    }
}

fn fill_gateway<'e>(event: &mut Event<'e>, entry: &'e Entry<'_>) {
    event.route = entry.route.label();
    event.service = entry.service.label();
    event.gateway_workspace = entry.workspace_name.as_text().or_else(|| entry.workspace.as_text());
    event.gateway_node = entry.gateway.node.as_text();
}

fn fill_ai<'e>(event: &mut Event<'e>, entry: &'e Entry<'_>, facts: &Facts, verdict: Verdict) {
    event.ai_provider = entry.ai.provider().map(Cow::Borrowed);
    event.ai_model = entry.ai.model().map(Cow::Borrowed);
    [event.ai_prompt_tokens, event.ai_completion_tokens, event.ai_total_tokens] = entry.ai.tokens();
    event.ai_verdict = ai_verdict(facts, verdict).map(Cow::Borrowed);
}

/// What AI guards decided; a reason's own words may quote the prompt and are not kept.
fn ai_verdict(facts: &Facts, verdict: Verdict) -> Option<&'static str> {
    use corridor_model::ReasonCode::{AiContentBlocked, AiPromptBlocked, AiToolDenied};
    match verdict.reason() {
        Some(AiPromptBlocked | AiContentBlocked | AiToolDenied) => Some("blocked"),
        _ if facts.is_ai_flagged() => Some("flagged"),
        _ if facts.ai_guards().is_guarded => Some("allowed"),
        _ => None,
    }
}

fn size(value: &Scalar<'_>) -> Option<i64> {
    value.as_i64().filter(|bytes| *bytes >= 0)
}

/// Clock steps can make a duration negative.
fn millis(value: &Scalar<'_>) -> Option<i64> {
    value.as_i64().map(|duration| duration.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_takes_host_and_path_from_where_they_are() {
        let cases = [
            (r#"{"url":"https://GW:8443/a?x=1","uri":"/a?x=1"}"#, Some("gw"), "/a"),
            (r#"{"url":"http://kong:8000","uri":""}"#, Some("kong"), ""),
            (r#"{"uri":"/b","headers":{"host":"h:80"}}"#, Some("h"), "/b"),
            (r#"{"url":"https://h/c?k"}"#, Some("h"), "/c"),
            ("{}", None, ""),
        ];
        for (request, host, path) in cases {
            let json = format!(r#"{{"request":{request}}}"#);
            let entry: Entry<'_> = serde_json::from_str(&json).unwrap();
            let target = target_of(&entry);
            assert_eq!((target.host.as_deref(), target.path), (host, path), "{request}");
        }
    }
}
