//! Kong: writes one http-log entry as Kong 3.9 prints it.
//!
//! - In: a call, who made it and how it was answered. Out: one compact JSON object in the line.
//! - Invariants: the entry's facts and the verdict of its `Answer` belong together.

use crate::answer::{Answer, Path};
use crate::line::{Line, Micros};
use crate::world::{GATEWAY_HOST, Identity, Route, TENANT, World};

/// How the caller showed who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'w> {
    /// A verified token; the text is `consumer.custom_id`.
    Token(&'w Identity, &'w str),
    /// A verified API key; the text is the key.
    Key(&'w Identity, &'w str),
    /// Verified name and password.
    Password(&'w Identity),
    /// A credential that was not accepted, or not needed: the claims of the token, if it was one.
    Refused(&'w Identity, Refused<'w>),
    /// The anonymous fallback.
    Anonymous,
    /// Consumer headers that the client made up, without authentication.
    Spoofed(&'w Identity),
    /// Nothing.
    Nobody,
}

/// What was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused<'w> {
    /// A token with this lifetime's end, in seconds relative to the call.
    Token(i64),
    /// A key.
    Key(&'w str),
    /// Name and password.
    Password,
}

/// Where the correlation id stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Correlation<'w> {
    /// `correlation_id` and a request header.
    Plugin(&'w str),
    /// Only a request header of this name.
    Header(&'w str, &'w str),
    /// Only echoed in the response.
    Echo(&'w str),
    /// Nowhere.
    Missing,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'w> {
    pub(crate) started: Micros,
    pub(crate) request_id: u128,
    /// None: no route matched.
    pub(crate) route: Option<&'w Route>,
    pub(crate) caller: Caller<'w>,
    pub(crate) method: &'w str,
    /// Path behind the route's prefix, percent-encoded.
    pub(crate) path: &'w str,
    /// Query parameters.
    pub(crate) query: &'w [(&'w str, &'w str)],
    pub(crate) correlation: Correlation<'w>,
    pub(crate) run_id: Option<&'w str>,
    /// More request headers.
    pub(crate) headers: &'w [(&'w str, &'w str)],
    pub(crate) answer: &'w Answer,
    /// More members of the entry, each with a leading comma.
    pub(crate) extra: &'w str,
    /// Verified claims: seconds from now to the token's end.
    pub(crate) token_end: Option<i64>,
    /// Milliseconds the whole took.
    pub(crate) latency: u64,
}

/// Writes the entry.
pub(crate) fn write_call(line: &mut Line, world: &World, call: &Call<'_>) {
    let started_ms = call.started / 1000;
    line.raw("{\"started_at\":").number(started_ms).raw(",\"client_ip\":\"").raw(address(call)).raw("\"");
    line.field("source", if call.answer.path.is_from_upstream() { "upstream" } else { "kong" });
    line.field("workspace", &world.gateway_workspace).raw(",\"workspace_name\":\"default\"");
    if let Correlation::Plugin(id) = call.correlation {
        line.field("correlation_id", id);
    }
    write_request(line, call);
    write_response(line, call);
    write_upstream(line, world, call);
    if let Some(route) = call.route {
        line.raw(",\"route\":")
            .raw(&route.json)
            .raw(",\"service\":")
            .raw(&world.services[route.service].json);
    }
    write_caller(line, call);
    if let Some(message) = call.answer.message {
        line.raw(",\"denial\":{\"message\":\"").escaped(message.as_bytes());
        if call.answer.shows_request_id {
            line.raw("{\\n  \\\"message\\\":\\\"")
                .raw(call.answer.words)
                .raw("\\\",\\n  \\\"request_id\\\":\\\"");
            line.hex(call.request_id, 32).raw("\\\"\\n}");
        }
        line.raw("\"}");
    }
    line.raw(call.answer.entry).raw(call.extra).raw("}");
}

fn address<'w>(call: &Call<'w>) -> &'w str {
    match call.caller {
        Caller::Token(identity, _) | Caller::Key(identity, _) | Caller::Password(identity) => {
            &identity.address
        }
        Caller::Refused(identity, _) | Caller::Spoofed(identity) => &identity.address,
        Caller::Anonymous | Caller::Nobody => "198.51.100.23",
    }
}

fn write_request(line: &mut Line, call: &Call<'_>) {
    line.raw(",\"request\":{\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\",\"client_verify\":\"NONE\"}");
    line.raw(",\"id\":\"").hex(call.request_id, 32).raw("\",\"querystring\":{");
    for (index, (name, value)) in call.query.iter().enumerate() {
        line.raw(if index == 0 { "\"" } else { ",\"" }).raw(name).raw("\":\"").raw(value).raw("\"");
    }
    line.raw("}");
    write_request_headers(line, call);
    line.field_number("size", 900 + (call.request_id as u64 & 1023)).field("method", call.method);
    line.raw(",\"uri\":\"");
    write_uri(line, call, true);
    line.raw("\",\"url\":\"https:\\/\\/").raw(GATEWAY_HOST).raw(":443");
    write_uri(line, call, true);
    line.raw("\"}");
}

fn write_uri(line: &mut Line, call: &Call<'_>, with_prefix: bool) {
    if let Some(route) = call.route.filter(|_| with_prefix) {
        line.raw(&route.prefix);
    }
    line.raw(call.path);
    for (index, (name, value)) in call.query.iter().enumerate() {
        line.raw(if index == 0 { "?" } else { "&" }).raw(name).raw("=").raw(value);
    }
}

fn write_request_headers(line: &mut Line, call: &Call<'_>) {
    line.raw(",\"headers\":{\"host\":\"").raw(GATEWAY_HOST).raw("\",\"accept\":\"*/*\"");
    line.raw(",\"accept-encoding\":\"gzip, deflate, br\",\"connection\":\"keep-alive\"");
    line.raw(",\"content-type\":\"application/json\"");
    line.raw(",\"content-length\":\"").number(40 + (call.request_id as u64 >> 12 & 511)).raw("\"");
    line.raw(",\"user-agent\":\"").raw(AGENTS[(call.request_id >> 40) as usize & 3]).raw("\"");
    line.raw(",\"traceparent\":\"00-").hex(call.request_id.rotate_left(29), 32).raw("-");
    line.hex(call.request_id >> 7, 16).raw("-01\"");
    match call.correlation {
        Correlation::Plugin(id) => _ = line.field("x-correlation-id", id),
        Correlation::Header(name, id) => _ = line.field(name, id),
        Correlation::Echo(_) | Correlation::Missing => {}
    }
    if let Some(run_id) = call.run_id {
        line.field("x-pipeline-run-id", run_id);
    }
    for (name, value) in call.headers {
        line.field(name, value);
    }
    match call.caller {
        Caller::Token(identity, custom_id) => {
            line.raw(",\"authorization\":\"REDACTED\"").field("x-credential-identifier", &identity.app_id);
            line.field("x-entra-oid", &identity.object_id).field("x-entra-tid", TENANT);
            line.field("x-entra-azp", &identity.app_id).field("x-entra-scp", "user_impersonation");
            write_consumer_headers(line, identity, custom_id);
        }
        Caller::Key(identity, key) => {
            line.field("apikey", key).field("x-credential-identifier", &identity.credential_id);
            write_consumer_headers(line, identity, &identity.object_id);
        }
        Caller::Password(identity) => {
            line.raw(",\"authorization\":\"REDACTED\"").field("x-credential-identifier", &identity.name);
            write_consumer_headers(line, identity, &identity.object_id);
        }
        Caller::Refused(_, Refused::Key(key)) => _ = line.field("apikey", key),
        Caller::Refused(..) => _ = line.raw(",\"authorization\":\"REDACTED\""),
        Caller::Anonymous => {
            line.raw(",\"x-anonymous-consumer\":\"true\",\"x-consumer-username\":\"anonymous\"");
            line.raw(",\"x-consumer-id\":\"00112233-4455-4667-8899-aabbccddeeff\"");
        }
        Caller::Spoofed(identity) => write_consumer_headers(line, identity, &identity.object_id),
        Caller::Nobody => {}
    }
    line.raw("}");
}

const AGENTS: [&str; 4] =
    ["python-requests/2.32.3", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "curl/8.9.1", "okhttp/4.12.0"];

fn write_consumer_headers(line: &mut Line, identity: &Identity, custom_id: &str) {
    line.field("x-consumer-id", &identity.consumer_id).field("x-consumer-username", &identity.name);
    line.field("x-consumer-custom-id", custom_id);
}

fn write_response(line: &mut Line, call: &Call<'_>) {
    let answer = call.answer;
    line.raw(",\"response\":{\"status\":").number(answer.status);
    line.field_number("size", 300 + (call.request_id as u64 >> 20 & 2047));
    line.raw(
        ",\"headers\":{\"connection\":\"keep-alive\",\"content-type\":\"application/json; charset=utf-8\"",
    );
    line.raw(",\"content-length\":\"")
        .number(20 + (call.request_id as u64 >> 20 & 1023))
        .raw("\",\"date\":\"");
    line.http_date(call.started + call.latency * 1000).raw("\",\"x-kong-request-id\":\"");
    line.hex(call.request_id, 32).raw("\"");
    if answer.path.has_upstream_latency() {
        line.raw(",\"x-kong-proxy-latency\":\"2\",\"x-kong-upstream-latency\":\"")
            .number(call.latency)
            .raw("\"");
        line.raw(",\"via\":\"1.1 kong/3.9.3\"");
    } else if answer.path != Path::Aborted {
        line.raw(",\"x-kong-response-latency\":\"1\"");
    }
    let is_upstream = answer.path.is_from_upstream() && answer.path != Path::Aborted;
    line.field("server", if is_upstream { "Microsoft-HTTPAPI/2.0" } else { "kong/3.9.3" });
    // Some answers carry what Azure's front ends add.
    if is_upstream && call.request_id.is_multiple_of(3) {
        line.raw(",\"x-ms-request-id\":\"").uuid(call.request_id.rotate_left(64));
        line.raw("\",\"strict-transport-security\":\"max-age=31536000; includeSubDomains\"");
    }
    if let Correlation::Echo(id) = call.correlation {
        line.field("x-correlation-id", id);
    }
    line.raw(answer.headers).raw("}}");
}

fn write_upstream(line: &mut Line, world: &World, call: &Call<'_>) {
    let path = call.answer.path;
    line.raw(",\"upstream_uri\":\"");
    if call.route.is_some() {
        write_uri(line, call, false);
    }
    line.raw("\",\"upstream_status\":\"");
    match path {
        Path::Upstream => _ = line.number(call.answer.status),
        _ => _ = line.raw(path.upstream_status()),
    }
    line.raw("\",\"latencies\":{\"kong\":2,\"receive\":0,\"request\":")
        .number(call.latency + 3)
        .raw(",\"proxy\":");
    match path {
        Path::Cached => _ = line.raw("0"),
        _ if path.tries() > 0 => _ = line.number(call.latency),
        _ => _ = line.raw("-1"),
    }
    line.raw("}");
    let Some(route) = call.route else { return };
    let service = &world.services[route.service];
    line.raw(",\"tries\":[");
    for index in 0..path.tries() {
        let began = call.started / 1000 + 2 + index;
        line.raw(if index == 0 { "{" } else { ",{" }).raw("\"balancer_start\":").number(began);
        line.raw(",\"balancer_start_ns\":").number(began / 1_000_000_000_000).raw(".");
        line.padded(began % 1_000_000_000_000, 12)
            .raw("1e+18,\"balancer_latency\":0,\"balancer_latency_ns\":");
        line.number(10_000 + (call.request_id as u64 & 16_383)).field("ip", &service.address);
        line.field_number("port", service.port);
        if index < path.failed_tries() {
            line.raw(",\"state\":\"failed\",\"code\":").number(path.failure_code());
        }
        line.raw("}");
    }
    line.raw("]");
}

fn write_caller(line: &mut Line, call: &Call<'_>) {
    let now = (call.started / 1_000_000) as i64;
    match call.caller {
        Caller::Token(identity, custom_id) => {
            write_consumer(line, identity, custom_id);
            line.raw(",\"auth_scheme\":\"Bearer\"");
            if let Some(end) = call.token_end {
                line.raw(",\"identity\":{\"oid\":\"").raw(&identity.object_id).raw("\"").field("tid", TENANT);
                line.field("azp", &identity.app_id).raw(",\"token_verified\":true");
                write_lifetime(line, now + end);
                line.raw("}");
            }
        }
        Caller::Key(identity, _) => write_consumer(line, identity, &identity.object_id),
        Caller::Password(identity) => {
            write_consumer(line, identity, &identity.object_id);
            line.raw(",\"auth_scheme\":\"Basic\"");
        }
        Caller::Refused(identity, Refused::Token(end)) => {
            line.raw(",\"auth_scheme\":\"Bearer\",\"identity_unverified\":{\"oid\":\"")
                .raw(&identity.object_id);
            line.raw("\"").field("tid", TENANT).field("appid", &identity.app_id);
            write_lifetime(line, now + end);
            line.raw("}");
        }
        Caller::Refused(_, Refused::Password) => _ = line.raw(",\"auth_scheme\":\"Basic\""),
        Caller::Anonymous => {
            line.raw(
                ",\"consumer\":{\"id\":\"00112233-4455-4667-8899-aabbccddeeff\",\"username\":\"anonymous\"",
            );
            line.raw(",\"created_at\":1756713600,\"updated_at\":1756713600}");
        }
        Caller::Refused(_, Refused::Key(_)) | Caller::Spoofed(_) | Caller::Nobody => {}
    }
}

fn write_lifetime(line: &mut Line, end: i64) {
    line.raw(",\"iat\":").number(end.unsigned_abs() - 3600).raw(",\"exp\":").number(end.unsigned_abs());
}

fn write_consumer(line: &mut Line, identity: &Identity, custom_id: &str) {
    line.raw(",\"consumer\":{\"id\":\"")
        .raw(&identity.consumer_id)
        .raw("\"")
        .field("username", &identity.name);
    line.field("custom_id", custom_id).raw(",\"created_at\":1756713600,\"updated_at\":1756713600}");
    line.raw(",\"authenticated_entity\":{\"id\":\"").raw(&identity.credential_id).raw("\"}");
}
