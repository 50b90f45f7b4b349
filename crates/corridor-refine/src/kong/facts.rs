//! Facts: what the join needs of a Kong event.
//!
//! - In: the entry and the clear values, for the keys; the redacted event, for the texts a partner shows.
//! - Out: [`JoinFacts`]. A Kong entry is final and lasts no time: the partner's run spans it.
//! - Rules: synapse-diagnostics.md §6.4, rulings.md *Correlation and join*.

use super::entry::Entry;
use crate::call::{UrlParts, call_at_host_key, call_key};
use crate::directory::{Directory, RoutePolicy};
use corridor_model::id::{parse_hex_id, trim_id};
use corridor_model::join::CorrelationKey;
use corridor_model::{Event, IdentityKeys, JoinFacts, Key128, PeerSummary, PeerTexts, Side};

/// The keys, taken from the clear values before anything is masked.
#[derive(Debug, Default)]
pub(super) struct Keys {
    request_id: Option<Key128>,
    correlation: Option<CorrelationKey>,
    reuse: Option<Key128>,
    run_id: Option<Key128>,
    call: Option<Key128>,
    call_at_host: Option<Key128>,
    identity: IdentityKeys,
}

impl Keys {
    /// Reads the keys.
    pub(super) fn of(
        entry: &Entry<'_>,
        correlation_id: Option<&str>,
        target: &UrlParts<'_>,
        identity: IdentityKeys,
    ) -> Self {
        let text = |id: Option<std::borrow::Cow<'_, str>>| id.and_then(|id| Key128::of_id(&id));
        let run_header = text(entry.request.headers.pipeline_run_id.as_text());
        let correlation_key = correlation_id.and_then(Key128::of_id);
        let is_the_run = run_header.is_some() && run_header == correlation_key;
        // A GUID that a caller sent may be its run id: the run_id rung finds out.
        let is_guid = correlation_id.is_some_and(|id| parse_hex_id(trim_id(id)).is_some());
        let possible_run = correlation_key.filter(|_| is_guid);
        // A GUID has no counter behind it.
        let counted_key = || match correlation_key {
            Some(base) if is_guid => Some(CorrelationKey { base, counter: None }),
            _ => correlation_id.and_then(CorrelationKey::of),
        };
        let method = entry.request.method.as_str();
        let host = target.host.as_deref();
        Self {
            request_id: text(entry.request.id.as_text()),
            correlation: if is_the_run { None } else { counted_key() },
            reuse: correlation_key,
            run_id: run_header.or(possible_run),
            call: method.map(|method| call_key(method, target.path)),
            call_at_host: method
                .zip(host)
                .filter(|_| !identity.is_unknown())
                .map(|(method, host)| call_at_host_key(method, host, target.path)),
            identity,
        }
    }

    fn could_match(&self) -> bool {
        self.request_id.is_some()
            || self.correlation.is_some()
            || (self.run_id.is_some() && self.call.is_some())
            || self.call_at_host.is_some()
    }

    /// Puts the facts together; texts come from the redacted event.
    pub(super) fn into_facts(
        self,
        event: &Event<'_>,
        policy: Option<&RoutePolicy>,
        directory: &Directory,
    ) -> JoinFacts {
        let operation = event
            .http_method
            .as_deref()
            .map(|method| [method, " ", event.url_path.as_deref().unwrap_or("")].concat());
        let texts = PeerTexts::new(
            &event.category,
            operation.as_deref().map(str::trim_end),
            event.http_status.map(|status| status.to_string()).as_deref(),
            event.principal_id.as_deref(),
        );
        let summary = PeerSummary { event_id: event.event_id, time: event.event_time, texts };
        JoinFacts {
            side: Side::Kong,
            summary,
            start: event.event_time,
            end: event.event_time,
            is_eligible: is_eligible_route(policy, directory) && self.could_match(),
            request_ids: self.request_id.into_iter().collect(),
            correlation_ids: self.correlation.into_iter().collect(),
            run_id: self.run_id,
            call: self.call,
            call_at_host: self.call_at_host,
            identity: self.identity,
            verdict: event.verdict,
            findings: event.findings,
            is_final_record: true,
            takes_partner_verdict: false,
            expects_gateway_record: false,
            reuse_key: self.reuse,
        }
    }
}

fn is_eligible_route(policy: Option<&RoutePolicy>, directory: &Directory) -> bool {
    match policy.and_then(|policy| policy.join_eligible) {
        Some(is_eligible) => is_eligible,
        None => !directory.marks_eligible_routes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kong::event::target_of;

    const RUN: &str = "0f3a9c52-6c0d-4e0f-9a77-1b8f6f1d2c3e";

    fn keys(json: &str, correlation_id: Option<&str>) -> Keys {
        let entry: Entry<'_> = serde_json::from_str(json).unwrap();
        Keys::of(&entry, correlation_id, &target_of(&entry), IdentityKeys::default())
    }

    #[test]
    fn correlation_id_that_is_the_run_belongs_to_the_run_rung() {
        let json = format!(
            r#"{{"request":{{"method":"get","uri":"/a/?q=1","headers":{{"x-pipeline-run-id":"{RUN}"}}}}}}"#
        );
        let same = keys(&json, Some(&RUN.to_uppercase()));
        assert_eq!((same.correlation, same.run_id), (None, Key128::of_id(RUN)));
        assert_eq!(same.call, Some(call_key("GET", "/a")));
        let other = keys(&json, Some("order-7"));
        assert!(other.correlation.is_some() && other.run_id == Key128::of_id(RUN));
    }

    #[test]
    fn guid_without_a_run_header_may_be_a_run() {
        let plain = r#"{"request":{"method":"GET","uri":"/a"}}"#;
        let guid = keys(plain, Some(RUN));
        assert!(guid.correlation.is_some() && guid.run_id == Key128::of_id(RUN));
        let text = keys(plain, Some("adf-run-7f31"));
        assert!(text.correlation.is_some() && text.run_id.is_none());
    }

    #[test]
    fn sessions_carry_no_key() {
        assert!(!keys(r#"{"session":{"status":200}}"#, None).could_match());
        assert!(keys(r#"{"request":{"id":"5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6"}}"#, None).could_match());
    }
}
