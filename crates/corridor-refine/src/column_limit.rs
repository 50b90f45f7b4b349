//! Column limit: how long the texts of an event may be, whichever side it is from.
//!
//! - In: an event that was swept for secrets.
//! - Out: the same with every text no longer than its column.
//! - Invariants: the limits are those of `schemas/evidence.toml` (a test of the workspace compares them). The search for
//!   secrets comes before: a random run that was cut is too short to be known for what it is.

use corridor_model::Event;
use corridor_model::text::cut;
use std::borrow::Cow;

/// No column is narrower.
const NARROWEST: usize = 16;

/// Longest text of an event's column, in bytes.
pub fn bytes_max(column: &str) -> usize {
    match column {
        "http_method" | "identity_basis" | "response_source" => NARROWEST,
        "principal_type" | "statement_verb" | "tls_version" => 32,
        "activity_run_id" | "ai_provider" | "app_id" | "auth_method" | "client_ip" | "consumer_id"
        | "credential_id" | "object_id" | "pipeline_run_id" | "pseudonym_key_id" | "request_id"
        | "tenant_id" => 64,
        "activity_type" | "category" | "error_code" | "gateway_workspace" | "result_type"
        | "statement_hash" | "trace_id" | "upstream_status" | "user_agent" | "workspace" => 128,
        "operation" | "principal_id" | "principal_name" => 512,
        "resource_id" => 1_024,
        "query_names" | "roles" | "scopes" => 2_048,
        "error_message" => 4_000,
        "url_path" => 4_096,
        "extra" => 8_000,
        _ => 256,
    }
}

/// Cuts the texts of an event to their columns: what waits for the join must not be as long as a hostile record.
pub(crate) fn cut_texts(event: &mut Event<'_>) {
    event.for_each_text_mut(|column, text| {
        if text.len() > NARROWEST {
            cut_text(text, bytes_max(column));
        }
    });
    cut_text(&mut event.category, bytes_max("category"));
}

fn cut_text(text: &mut Cow<'_, str>, bytes_max: usize) {
    if text.len() > bytes_max {
        *text = Cow::Owned(cut(text, bytes_max).concat());
    }
}
