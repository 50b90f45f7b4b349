//! Planted: calls of the gateway that are odd in one way each.
//!
//! - In: the traffic. Out: the case's entries, counted.
//! - Invariants: each makes at most four Kong entries.

use crate::kong::{Call, Caller, Correlation, write_call};
use crate::line::{Line, uuid_text};
use crate::traffic::{Fact, Outcome, Traffic, row};
use crate::truth::{Side, Verdict};
use crate::world::{GATEWAY_HOST, Kind, Special};

/// A basic-auth caller.
pub(crate) fn password_caller(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let caller = Caller::Password(t.world.identity_of(Kind::App, &mut t.rng));
    let call = Call { caller, correlation: Correlation::Plugin(&id), ..t.plain(Some(Special::Legacy)) };
    t.truth.add_case("basic_auth");
    t.emit_kong(&call, Fact { findings: &["STATIC_CREDENTIAL"], is_static: true, ..Fact::default() })
}

/// A protected route that lets anonymous callers through.
pub(crate) fn anonymous_caller(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let call = Call {
        caller: Caller::Anonymous,
        correlation: Correlation::Plugin(&id),
        ..t.plain(Some(Special::Beta))
    };
    t.emit_found(&call, "anonymous_fallback", &["UNAUTHENTICATED_SUCCESS"])
}

/// A protected route without authentication, and a client that makes up consumer headers.
pub(crate) fn spoofed_headers(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let caller = Caller::Spoofed(t.world.any_identity(&mut t.rng));
    let call = Call { caller, correlation: Correlation::Plugin(&id), ..t.plain(Some(Special::Forgotten)) };
    t.emit_found(&call, "spoofed_consumer_headers", &["UNAUTHENTICATED_SUCCESS"])
}

/// A route for everybody.
pub(crate) fn open_route(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let call = Call {
        caller: Caller::Nobody,
        correlation: Correlation::Plugin(&id),
        ..t.plain(Some(Special::Open))
    };
    t.emit_found(&call, "open_route", &[])
}

/// A token that had ended.
pub(crate) fn expired_token_accepted(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let call = Call { token_end: Some(-600), correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.emit_found(&call, "expired_token_accepted", &["EXPIRED_TOKEN_ACCEPTED"])
}

/// No correlation id anywhere.
pub(crate) fn missing_correlation(t: &mut Traffic<'_>) -> Outcome {
    let call = t.plain(None);
    t.emit_found(&call, "missing_correlation", &[])
}

/// Correlation ids in unusual places and forms.
pub(crate) fn odd_correlations(t: &mut Traffic<'_>) -> Outcome {
    let (echoed, sent, microsoft) = (t.any_correlation(), uuid_text(t.rng.uuid()), uuid_text(t.rng.uuid()));
    let call = Call { correlation: Correlation::Echo(&echoed), ..t.plain(None) };
    t.emit_found(&call, "correlation_only_echoed", &[])?;
    let call = Call { correlation: Correlation::Header("kong-request-id", &sent), ..t.plain(None) };
    t.emit_found(&call, "correlation_only_in_request", &[])?;
    let call =
        Call { correlation: Correlation::Header("x-ms-client-request-id", &microsoft), ..t.plain(None) };
    t.emit_found(&call, "correlation_only_in_request", &[])?;
    let counted = t.counted_correlation();
    let call = Call { correlation: Correlation::Plugin(&counted), ..t.plain(None) };
    t.emit_found(&call, "correlation_counted", &[])
}

/// Two principals, one correlation id.
pub(crate) fn reused_correlation(t: &mut Traffic<'_>) -> Outcome {
    let id = uuid_text(t.rng.uuid());
    let first = Call { correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.emit_found(&first, "correlation_reused", &["CORRELATION_REUSED"])?;
    let second = t.world.identity_of(Kind::User, &mut t.rng);
    let second = Call { caller: Caller::Token(second, &second.object_id), ..first };
    let second = Call { request_id: t.rng.id(), started: first.started + 7_000_000, ..second };
    t.emit_found(&second, "correlation_reused", &["CORRELATION_REUSED"])
}

/// A consumer that the directory does not know.
pub(crate) fn unknown_principal(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let stranger = &t.world.stranger;
    let caller = Caller::Token(stranger, &stranger.object_id);
    let call = Call { caller, correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.emit_found(&call, "unknown_principal", &["UNKNOWN_PRINCIPAL"])
}

/// Secrets in headers, cookies and query strings.
pub(crate) fn secrets_everywhere(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let [a, b, c, d, e, f, g] = std::array::from_fn(|_| t.secret());
    let cookie = format!("session={a}; theme=dark");
    let forwarded = format!("Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.{b}");
    let query = [("access_token", c.as_str()), ("sig", d.as_str()), ("page", "2")];
    let headers = [("cookie", cookie.as_str()), ("x-forwarded-authorization", forwarded.as_str())];
    let call =
        Call { query: &query, headers: &headers, correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.emit_found(&call, "secrets_in_headers_and_query", &[])?;
    let id = t.any_correlation();
    let query = [("client_secret", e.as_str()), ("password", f.as_str())];
    let headers = [("x-auth-token", g.as_str())];
    let call =
        Call { query: &query, headers: &headers, correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.emit_found(&call, "secrets_in_headers_and_query", &[])
}

/// A prompt and an answer in the entry.
pub(crate) fn ai_conversation(t: &mut Traffic<'_>) -> Outcome {
    let (id, asked, told) = (t.any_correlation(), t.secret(), t.secret());
    let extra = format!(
        ",\"ai\":{{\"proxy\":{{\"meta\":{{\"plugin_id\":\"0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9\",\"provider_name\":\"azure\",\"request_model\":\"gpt-4o\",\"response_model\":\"gpt-4o-2024-08-06\",\"llm_latency\":812}},\"usage\":{{\"prompt_tokens\":412,\"completion_tokens\":96,\"total_tokens\":508,\"time_per_token\":8.46,\"cost\":6.75e-06}},\"payload\":{{\"request\":\"{{\\\"messages\\\":[{{\\\"role\\\":\\\"user\\\",\\\"content\\\":\\\"My card is {asked}\\\"}}]}}\",\"response\":\"{{\\\"choices\\\":[{{\\\"message\\\":{{\\\"content\\\":\\\"Noted {told}\\\"}}}}]}}\"}}}}}}"
    );
    let call = Call {
        extra: &extra,
        method: "POST",
        correlation: Correlation::Plugin(&id),
        ..t.plain(Some(Special::Llm))
    };
    t.emit_found(&call, "ai_conversation", &[])
}

/// A query value that is not UTF-8.
pub(crate) fn invalid_utf8(t: &mut Traffic<'_>) -> Outcome {
    let id = t.any_correlation();
    let call = Call { query: &[("q", "%FF")], correlation: Correlation::Plugin(&id), ..t.plain(None) };
    t.truth.add_case("invalid_utf8");
    t.count_kong(&call, Fact { findings: &["INVALID_UTF8"], ..Fact::default() });
    write_call(t.line.clear(), t.world, &call);
    // Kong decodes the query string, and its encoder copies the byte as it is.
    let entry = t.line.as_bytes();
    let decoded = b"\"q\":\"%FF\"";
    let at = entry.windows(decoded.len()).position(|window| window == decoded).unwrap_or(0);
    let mut broken = Line::default();
    broken.bytes(&entry[..at]).bytes(b"\"q\":\"\xff\"").bytes(&entry[at + decoded.len()..]);
    t.kong.write_line(broken.as_bytes())
}

/// Entries in an array, in a text, in a message.
pub(crate) fn wrapped_entries(t: &mut Traffic<'_>) -> Outcome {
    let mut batch = Line::default();
    batch.raw("[");
    for index in 0..2 {
        let id = t.any_correlation();
        let call = Call { correlation: Correlation::Plugin(&id), ..t.plain(None) };
        t.truth.add_case("entry_in_array");
        t.count_kong(&call, Fact::default());
        write_call(t.line.clear(), t.world, &call);
        batch.raw(if index == 0 { "" } else { "," }).bytes(t.line.as_bytes());
    }
    batch.raw("]");
    t.kong.write_line(batch.as_bytes())?;
    for (case, open, close, is_text) in [
        ("entry_as_text", "{\"log\":\"", "\",\"stream\":\"stdout\"}", true),
        ("entry_in_message", "{\"message\":", "}", false),
    ] {
        let id = t.any_correlation();
        let call = Call { correlation: Correlation::Plugin(&id), ..t.plain(None) };
        t.truth.add_case(case);
        t.count_kong(&call, Fact::default());
        write_call(t.line.clear(), t.world, &call);
        let mut wrapped = Line::default();
        wrapped.raw(open);
        if is_text {
            wrapped.escaped(t.line.as_bytes());
        } else {
            wrapped.bytes(t.line.as_bytes());
        }
        wrapped.raw(close);
        t.kong.write_line(wrapped.as_bytes())?;
    }
    Ok(())
}

/// Stream sessions and an entry of Kong 2.8.
pub(crate) fn other_shapes(t: &mut Traffic<'_>) -> Outcome {
    let route = t.world.special(Special::Tds);
    let service = &t.world.services[route.service].json;
    let shapes = [
        (
            "stream_ok",
            Verdict::ALLOWED,
            "\"session\":{\"received\":4213,\"sent\":98231,\"status\":200,\"server_port\":1433},\"upstream\":{\"received\":98231,\"sent\":4213},\"tries\":[{\"balancer_latency\":0,\"port\":1433,\"ip\":\"20.61.99.12\"}]",
        ),
        (
            "stream_denied",
            Verdict::denied("AUTHZ_OTHER"),
            "\"session\":{\"received\":0,\"sent\":0,\"status\":500,\"server_port\":1433},\"upstream\":{},\"tries\":[]",
        ),
        (
            "stream_unreachable",
            Verdict::error("UPSTREAM_UNREACHABLE"),
            "\"session\":{\"received\":0,\"sent\":0,\"status\":502,\"server_port\":1433},\"upstream\":{\"sent\":\"0, 0\",\"received\":\"0, 0\"},\"tries\":[{\"balancer_latency\":0,\"port\":1433,\"ip\":\"20.61.99.12\",\"state\":\"failed\",\"code\":0},{\"balancer_latency\":0,\"port\":1433,\"ip\":\"20.61.99.12\"}]",
        ),
    ];
    for (case, verdict, members) in shapes {
        let started = t.now;
        let line = t.line.clear();
        line.raw("{\"started_at\":")
            .number(started / 1000)
            .raw(",\"client_ip\":\"10.21.4.")
            .number(1 + t.rng.below(250));
        line.raw("\",\"workspace_name\":\"default\",\"latencies\":{\"kong\":1,\"session\":12407},")
            .raw(members);
        line.raw(",\"route\":").raw(&route.json).raw(",\"service\":").raw(service).raw("}");
        t.truth.add_case(case);
        t.truth.add_row(Side::Kong, &row(started / 1000 * 1000, verdict, ""));
        t.kong.write_line(t.line.as_bytes())?;
        t.now += 1_000_000;
    }
    let identity = t.world.identity_of(Kind::App, &mut t.rng);
    let (route, id) = (t.world.any_route(&mut t.rng), t.counted_correlation());
    let line = t.line.clear();
    line.raw("{\"started_at\":").number(t.now / 1000).field("client_ip", &identity.address);
    line.raw(",\"request\":{\"size\":1874,\"method\":\"POST\",\"uri\":\"")
        .raw(&route.prefix)
        .raw("/old\",\"url\":\"https://");
    line.raw(GATEWAY_HOST)
        .raw(":443")
        .raw(&route.prefix)
        .raw("/old\",\"querystring\":{},\"headers\":{\"host\":\"");
    line.raw(GATEWAY_HOST).raw("\",\"authorization\":\"REDACTED\"").field("x-correlation-id", &id);
    line.raw("}},\"response\":{\"status\":200,\"size\":642,\"headers\":{\"via\":\"kong/2.8.5\",\"server\":\"Microsoft-HTTPAPI/2.0\"}}");
    line.raw(",\"upstream_uri\":\"/old\",\"latencies\":{\"proxy\":186,\"kong\":4,\"request\":193},\"tries\":[{\"balancer_start\":");
    line.number(t.now / 1000 + 3)
        .raw(",\"balancer_latency\":0,\"port\":443,\"ip\":\"20.61.104.77\"}],\"route\":")
        .raw(&route.json);
    line.raw(",\"service\":").raw(&t.world.services[route.service].json).raw(",\"consumer\":{\"id\":\"");
    line.raw(&identity.consumer_id)
        .raw("\"")
        .field("username", &identity.name)
        .field("custom_id", &identity.object_id);
    line.raw("},\"authenticated_entity\":{\"id\":\"").raw(&identity.credential_id).raw("\"}}");
    t.truth.add_case("kong_2_8");
    t.truth.add_row(Side::Kong, &row(t.now / 1000 * 1000, Verdict::ALLOWED, ""));
    t.kong.write_line(t.line.as_bytes())
}
