//! Correlation: which id follows the call, and who made it.
//!
//! - In: `correlation_id`, the configured headers of the request and of the response.
//! - Out: the id and its origin.
//!
//! The headers in an entry are those *after* the plugins, so an id in the request headers may be Kong's own. We say
//! `gateway` for the forms that only Kong's generators make (`uuid#counter`, tracker), for an id that stands in the
//! response alone, and for a plain lower-case version 4 UUID where the correlation-id plugin demonstrably ran
//! (`correlation_id` is set, or the entry is older than 3.5, which never set it). Everything else is `client`, among it
//! an id that equals the caller's pipeline run id, and an id in the request where the plugin did not run.

use super::entry::Entry;
use crate::scalar::Scalar;
use corridor_model::CorrelationOrigin;
use std::borrow::Cow;

/// What the entry holds of one correlation id.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sighting<'e> {
    /// `correlation_id`, written by the plugin since 3.5.
    pub(super) plugin: Option<&'e str>,
    /// The first configured header of the request.
    pub(super) request: Option<&'e str>,
    /// The first configured header of the response.
    pub(super) response: Option<&'e str>,
    /// The request's `x-pipeline-run-id`.
    pub(super) pipeline_run_id: Option<&'e str>,
    /// Whether the entry is of 3.5 or later.
    pub(super) has_request_id: bool,
}

/// Finds the id and decides who made it.
pub(super) fn correlation_of<'e>(
    entry: &'e Entry<'_>,
    names: &[String],
) -> (Option<Cow<'e, str>>, CorrelationOrigin) {
    let request = names.iter().find_map(|name| entry.request.headers.find(name)?.as_text());
    let response = names.iter().find_map(|name| entry.response.headers.find(name)?.as_text());
    let plugin = entry.correlation_id.as_text();
    let run_id = entry.request.headers.pipeline_run_id.as_text();
    let origin = decide_origin(Sighting {
        plugin: plugin.as_deref(),
        request: request.as_deref(),
        response: response.as_deref(),
        pipeline_run_id: run_id.as_deref(),
        has_request_id: !Scalar::is_null(&entry.request.id),
    });
    (plugin.or(request).or(response), origin)
}

/// Who made the id. Pure; the module header gives the reasons.
pub(super) fn decide_origin(seen: Sighting<'_>) -> CorrelationOrigin {
    let Some(id) = seen.plugin.or(seen.request).or(seen.response) else {
        return CorrelationOrigin::Missing;
    };
    let is_the_run = seen.pipeline_run_id.is_some_and(|run| run.eq_ignore_ascii_case(id));
    let is_in_response_alone = seen.plugin.is_none() && seen.request.is_none();
    let did_the_plugin_run = seen.plugin.is_some() || !seen.has_request_id;
    // Most ids are plain UUIDs, which have neither of the other forms.
    let is_made_by_gateway = if is_uuid_v4(id) {
        is_in_response_alone || did_the_plugin_run
    } else {
        is_in_response_alone || is_counter_form(id) || is_tracker_form(id)
    };
    if is_made_by_gateway && !is_the_run { CorrelationOrigin::Gateway } else { CorrelationOrigin::Client }
}

fn is_uuid_v4(id: &str) -> bool {
    let bytes = id.as_bytes();
    corridor_model::id::parse_hex_id(id).is_some()
        && bytes.len() == 36
        && bytes[14] == b'4'
        && matches!(bytes[19], b'8' | b'9' | b'a' | b'b')
        && !bytes.iter().any(u8::is_ascii_uppercase)
}

/// `<uuid>#<counter>`: a UUID per worker.
fn is_counter_form(id: &str) -> bool {
    id.rsplit_once('#').is_some_and(|(uuid, counter)| {
        uuid.len() == 36
            && corridor_model::id::parse_hex_id(uuid).is_some()
            && !counter.is_empty()
            && counter.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `<ip>-<port>-<pid>-<connection>-<requests>-<epoch seconds>`.
fn is_tracker_form(id: &str) -> bool {
    let mut parts = id.rsplitn(6, '-');
    let is_time = parts.next().is_some_and(|time| time.parse::<f64>().is_ok_and(|seconds| seconds > 1e9));
    let are_numbers = (0..4).all(|_| parts.next().is_some_and(|part| part.parse::<u64>().is_ok()));
    is_time && are_numbers && parts.next().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CorrelationOrigin::{Client, Gateway, Missing};

    const UUID: &str = "0f3a9c52-6c0d-4e0f-9a77-1b8f6f1d2c3e";

    #[test]
    fn origin_follows_form_and_place() {
        let plugin =
            |id| Sighting { plugin: Some(id), request: Some(id), has_request_id: true, ..Default::default() };
        let request = |id| Sighting { request: Some(id), has_request_id: true, ..Default::default() };
        let cases = [
            ("nothing anywhere", Sighting::default(), Missing),
            ("the plugin's own uuid", plugin(UUID), Gateway),
            ("a text that no generator makes", plugin("adf-run-7f31"), Client),
            ("an upper-case guid", plugin("0F3A9C52-6C0D-4E0F-9A77-1B8F6F1D2C3E"), Client),
            ("a version 1 uuid", plugin("0f3a9c52-6c0d-1e0f-9a77-1b8f6f1d2c3e"), Client),
            ("uuid and counter", request("3a9c52f0-6c0d-4e0f-9a77-1b8f6f1d2c3e#118"), Gateway),
            ("tracker", request("10.0.0.5-8443-2119-7781-3-1763972345.678"), Gateway),
            ("the plugin was skipped, so the client sent it", request(UUID), Client),
            (
                "before 3.5 the header is the only place",
                Sighting { has_request_id: false, ..request(UUID) },
                Gateway,
            ),
            (
                "echoed only",
                Sighting { response: Some("x"), has_request_id: true, ..Default::default() },
                Gateway,
            ),
            ("the run's id", Sighting { pipeline_run_id: Some(UUID), ..plugin(UUID) }, Client),
        ];
        for (name, seen, want) in cases {
            assert_eq!(decide_origin(seen), want, "{name}");
        }
    }
}
