//! The event: one record, normalised and redacted, under the names of the evidence columns.
//!
//! `schemas/evidence.toml` says what each column means and where it comes from. The field list below is
//! handed to other crates by [`for_each_event_column!`](crate::for_each_event_column), so that the Arrow builder has exactly
//! these columns; a test in `corridor-lake` compares it with the TOML file.

use crate::decision::{Verdict, codes};
use crate::finding::FindingSet;
use crate::id::{EventId, RecordDigest};
use crate::time::Micros;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

codes! {
    /// The system that logged the event (`source`).
    Source {
        /// Kong Gateway.
        Kong => "kong",
        /// A Synapse workspace or one of its pools.
        Synapse => "synapse",
        /// A neighbour: Azure Activity Log, Entra sign-in and audit logs, other resource logs.
        Azure => "azure",
    }
}

codes! {
    /// Who made the correlation id (`correlation_origin`).
    CorrelationOrigin {
        /// The caller sent it.
        Client => "client",
        /// The gateway made it.
        Gateway => "gateway",
        /// Azure made it; it never equals a Kong id.
        Synapse => "synapse",
        /// There is none.
        Missing => "missing",
    }
}

/// Calls `$callback! { text: [..] bool: [..] int: [..] long: [..] time: [..] }` with the optional columns of
/// [`Event`], by type. Required columns, the verdict and the join columns are not in the list.
#[macro_export]
macro_rules! for_each_event_column {
    ($callback:ident) => {
        $callback! {
            text: [
                correlation_id, request_id, trace_id, azure_correlation_id, pipeline_run_id, activity_run_id,
                principal_id, principal_type, principal_name, tenant_id, object_id, app_id, identity_basis,
                consumer_id, consumer_name, credential_id, auth_method, scopes, roles,
                http_method, url_host, url_path, query_names, route, service, upstream_status,
                response_source, client_ip, user_agent, tls_version, gateway_workspace, gateway_node,
                workspace, resource_id, operation, result_type, result_code, pipeline_name, activity_name,
                activity_type, statement_hash, statement_verb, error_code, error_message,
                ai_provider, ai_model, ai_verdict, pseudonym_key_id, extra
            ]
            bool: [static_credential]
            int: [http_status, upstream_tries]
            long: [
                request_bytes, response_bytes, latency_ms, gateway_latency_ms, upstream_latency_ms,
                receive_latency_ms, duration_ms, ai_prompt_tokens, ai_completion_tokens, ai_total_tokens
            ]
            time: [token_issued_at, token_expires_at, activity_start, activity_end]
        }
    };
}

macro_rules! declare_event {
    (text: [$($text:ident),*] bool: [$($bool:ident),*] int: [$($int:ident),*] long: [$($long:ident),*] time: [$($time:ident),*]) => {
        /// One event. Texts borrow from the record where they can. Field meanings: `schemas/evidence.toml`.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "schemas/evidence.toml is the one description of the columns")]
        pub struct Event<'a> {
            pub event_id: EventId,
            pub source: Source,
            pub category: Cow<'a, str>,
            pub event_time: Micros,
            pub received_time: Option<Micros>,
            pub correlation_origin: CorrelationOrigin,
            pub record_sha256: RecordDigest,
            pub record_index: u32,
            pub redactions: u32,
            pub verdict: Verdict,
            pub findings: FindingSet,
            $(pub $text: Option<Cow<'a, str>>,)*
            $(pub $bool: Option<bool>,)*
            $(pub $int: Option<i32>,)*
            $(pub $long: Option<i64>,)*
            $(pub $time: Option<Micros>,)*
        }

        impl<'a> Event<'a> {
            /// An event with its required columns set and every optional one empty.
            pub fn new(source: Source, category: Cow<'a, str>, event_id: EventId, event_time: Micros) -> Self {
                Self {
                    event_id,
                    source,
                    category,
                    event_time,
                    received_time: None,
                    correlation_origin: CorrelationOrigin::Missing,
                    record_sha256: RecordDigest([0; 32]),
                    record_index: 0,
                    redactions: 0,
                    verdict: Verdict::UNKNOWN,
                    findings: FindingSet::EMPTY,
                    $($text: None,)*
                    $($bool: None,)*
                    $($int: None,)*
                    $($long: None,)*
                    $($time: None,)*
                }
            }

            /// Visits every optional text column that is set, under its name.
            pub fn for_each_text(&self, mut visit: impl FnMut(&'static str, &str)) {
                $(if let Some(text) = &self.$text { visit(stringify!($text), text); })*
            }

            /// Visits every optional text column that is set and may change it, as redaction does.
            pub fn for_each_text_mut(&mut self, mut visit: impl FnMut(&'static str, &mut Cow<'a, str>)) {
                $(if let Some(text) = &mut self.$text { visit(stringify!($text), text); })*
            }
        }
    };
}
for_each_event_column!(declare_event);
