//! One case for each row of the table, from the entry's JSON to the verdict.

use super::super::credential::credential_of;
use super::super::event::target_of;
use super::*;
use std::collections::BTreeSet;

fn guard(spec: &str) -> Guard {
    let (plugin, setting) = spec.split_once('=').unwrap_or((spec, ""));
    Guard {
        plugin: plugin.into(),
        status: setting.parse().ok(),
        key_names: Vec::new(),
        is_log_only: setting == "log",
        allows_anonymous: false,
        is_partial: setting == "partial",
    }
}

fn decide_json(json: &str, plugins: &str) -> (String, &'static str) {
    let entry: Entry<'_> = serde_json::from_str(json).unwrap();
    let guards: Vec<Guard> = plugins.split_whitespace().map(guard).collect();
    let is_expired = entry.identity_unverified.expires_at.as_i64().is_some_and(|exp| exp < 100);
    let credential = credential_of(&entry, target_of(&entry).query, &guards);
    let facts = facts_of(&entry, credential, &guards, is_expired);
    let (verdict, rule) = decide(&facts);
    let mut words = vec![verdict.decision().as_str()];
    words.extend(verdict.reason().map(ReasonCode::as_str));
    words.extend(verdict.basis().map(|basis| basis.as_str()));
    words.extend(verdict.denied_by().map(|by| by.as_str()));
    (words.join(" "), rule)
}

/// An entry of status `status` on a route that Kong answered itself, with `more` fields.
fn kong(status: u16, headers: &str, more: &str) -> String {
    format!(
        r#"{{"request":{{"headers":{{"authorization":"REDACTED"}}}},"response":{{"status":{status},"headers":{{{headers}}}}},
        "route":{{"name":"r"}},"tries":[],"source":"kong","upstream_status":""{more}}}"#
    )
}

/// Kong's answer with a captured message.
fn said(status: u16, message: &str) -> String {
    kong(status, "", &format!(r#","denial":{{"message":{}}}"#, serde_json::to_string(message).unwrap()))
}

/// An entry with one try.
fn tried(status: u16, source: &str, upstream_status: &str, more: &str) -> String {
    let source = if source.is_empty() { String::new() } else { format!(r#""source":"{source}","#) };
    format!(
        r#"{{"request":{{}},"response":{{"status":{status},"headers":{{"server":"Other"}}}},"route":{{"name":"r"}},
        "tries":[{{"ip":"10.0.0.1"}}],{source}"upstream_status":{upstream_status}{more}}}"#
    )
}

fn before_route(status: u16) -> String {
    format!(r#"{{"request":{{}},"response":{{"status":{status}}},"source":"kong","upstream_status":""}}"#)
}

fn stream(status: u16, rest: &str) -> String {
    format!(r#"{{"session":{{"status":{status}}},"route":{{"id":"r"}},{rest}}}"#)
}

struct Case {
    rule: &'static str,
    entry: String,
    plugins: &'static str,
    want: &'static str,
}

fn case(rule: &'static str, entry: String, plugins: &'static str, want: &'static str) -> Case {
    Case { rule, entry, plugins, want }
}

#[rustfmt::skip]
fn early_cases() -> Vec<Case> {
    let guard = r#","ai":{"proxy":{"ai-lakera-guard":{"input_block_reason":"pii"}}}"#;
    let answer = r#","ai":{"proxy":{"ai-lakera-guard":{"output_block_reason":"pii"}}}"#;
    let grpc = r#"{"request":{"headers":{"content-type":"application/grpc+proto"}},"response":{"status":200,"headers":{"grpc-status":"7"}},"route":{},"tries":[{}],"source":"upstream","upstream_status":"200"}"#;
    vec![
        case("kong.stream-refused-by-config", stream(500, r#""tries":[],"upstream":{}"#), "ip-restriction", "denied AUTHZ_IP config gateway"),
        case("kong.stream-refused", stream(500, r#""tries":[],"upstream":{}"#), "", "denied AUTHZ_OTHER status gateway"),
        case("kong.stream-refused", stream(403, r#""upstream":[]"#), "", "denied AUTHZ_OTHER status gateway"),
        case("kong.stream-upstream-unreachable", stream(502, r#""tries":[{"state":"failed","code":0},{}],"upstream":{"sent":"0, 0","received":"0, 0"}"#), "", "error UPSTREAM_UNREACHABLE status"),
        case("kong.stream-failed", stream(500, r#""tries":[],"upstream":{"sent":1}"#), "", "error GATEWAY_ERROR status"),
        case("kong.allowed", stream(200, r#""tries":[{}],"upstream":{"sent":1}"#), "", "allowed"),
        case("kong.ai-tool-denied", tried(200, "upstream", "200", r#","ai":{"mcp":{"audit":[{"action":"deny"}]}}"#), "", "denied AI_TOOL_DENIED message gateway"),
        case("kong.ai-prompt-blocked", kong(200, "", guard), "", "denied AI_PROMPT_BLOCKED message gateway"),
        case("kong.ai-content-blocked", tried(200, "upstream", "200", answer), "", "denied AI_CONTENT_BLOCKED message gateway"),
        case("kong.allowed", kong(200, "", guard), "ai-lakera-guard=log", "allowed"),
        case("kong.grpc-denied-by-upstream", grpc.into(), "", "denied UPSTREAM_DENIED header upstream"),
        case("kong.allowed", kong(200, r#""www-authenticate":"Key realm=\"kong\"""#, ""), "", "allowed"),
        case("kong.allowed", kong(302, "", ""), "", "allowed"),
        case("kong.client-abort", tried(499, "upstream", r#""-""#, ""), "", "error CLIENT_ABORT status"),
        case("kong.client-abort-in-body", r#"{"request":{},"response":{"status":400},"route":{},"tries":[],"source":"upstream","upstream_status":""}"#.into(), "", "error CLIENT_ABORT status"),
    ]
}

#[rustfmt::skip]
fn upstream_cases() -> Vec<Case> {
    let old = r#"{"request":{},"response":{"status":504,"headers":{"server":"kong/3.4.2"}},"route":{},"tries":[{}],"upstream_status":"504"}"#;
    let hidden = r#"{"request":{},"response":{"status":502},"route":{},"tries":[{"state":"failed"}]}"#;
    vec![
        case("kong.upstream-unreachable", tried(502, "kong", r#""502, 502""#, ""), "", "error UPSTREAM_UNREACHABLE status"),
        case("kong.upstream-unreachable", tried(503, "kong", r#""503""#, ""), "", "error UPSTREAM_UNREACHABLE status"),
        case("kong.upstream-unreachable", hidden.into(), "", "error UPSTREAM_UNREACHABLE status"),
        case("kong.upstream-timeout", tried(504, "kong", r#""504""#, ""), "", "error UPSTREAM_TIMEOUT status"),
        case("kong.upstream-timeout", old.into(), "", "error UPSTREAM_TIMEOUT status"),
        case("kong.upstream-denied", tried(403, "upstream", "403", ""), "", "denied UPSTREAM_DENIED status upstream"),
        case("kong.upstream-denied", tried(401, "upstream", r#""""#, ""), "", "denied UPSTREAM_DENIED status upstream"),
        case("kong.upstream-denied", tried(429, "", r#""502, 429""#, ""), "", "denied UPSTREAM_DENIED status upstream"),
        case("kong.upstream-error", tried(503, "", r#""503""#, ""), "", "error UPSTREAM_ERROR status"),
        case("kong.upstream-error", tried(9, "upstream", r#""200""#, ""), "", "error UPSTREAM_ERROR status"),
        case("kong.broken-answer", tried(9, "", r#""200""#, ""), "", "error UPSTREAM_ERROR status"),
        case("kong.upstream-rejected", tried(404, "upstream", r#""404""#, ""), "", "error UPSTREAM_REJECTED status"),
        case("kong.upstream-rejected", kong(404, r#""x-cache-status":"Hit""#, ""), "", "error UPSTREAM_REJECTED status"),
        case("kong.function-error", kong(500, "", ""), "aws-lambda", "error UPSTREAM_ERROR config"),
        case("kong.function-rejected", kong(403, "", ""), "azure-functions", "error UPSTREAM_REJECTED config"),
        case("kong.no-route", before_route(404), "", "error NO_ROUTE status"),
        case("kong.bad-request-prerouting", before_route(400), "", "error BAD_REQUEST_PREROUTING status"),
        case("kong.bad-request-prerouting", before_route(405), "", "error BAD_REQUEST_PREROUTING status"),
        case("kong.bad-request-prerouting", before_route(414), "", "error BAD_REQUEST_PREROUTING status"),
        case("kong.bad-request-prerouting", before_route(494), "", "error BAD_REQUEST_PREROUTING status"),
        case("kong.tls-required", before_route(426), "", "error TLS_REQUIRED status"),
    ]
}

#[rustfmt::skip]
fn authentication_cases() -> Vec<Case> {
    let anonymous = |headers: &str| kong(401, headers, "").replace(r#""authorization":"REDACTED""#, "");
    vec![
        case("kong.ai-rate-limited", kong(429, r#""x-ai-ratelimit-remaining-minute-azure":"0""#, ""), "", "denied RATE_LIMITED_AI header gateway"),
        case("kong.ai-rate-limited-by-config", kong(429, "", ""), "ai-rate-limiting-advanced", "denied RATE_LIMITED_AI config gateway"),
        case("kong.rate-limited", kong(429, r#""ratelimit-remaining":"0""#, ""), "", "denied RATE_LIMITED header gateway"),
        case("kong.rate-limited", tried(429, "kong", r#""200""#, "").replace("\"server\"", r#""x-ratelimit-remaining-q":"-1","server""#), "", "denied RATE_LIMITED header gateway"),
        case("kong.rate-limited-by-message", said(503, r#"{"message":"API rate limit exceeded"}"#), "", "denied RATE_LIMITED message gateway"),
        case("kong.rate-limited-by-status", kong(429, "", ""), "", "denied RATE_LIMITED status gateway"),
        case("kong.rate-limited-by-status", tried(429, "", r#""200""#, ""), "", "denied RATE_LIMITED status gateway"),
        case("kong.rate-limited-by-config", kong(503, r#""ratelimit-remaining":"0""#, ""), "rate-limiting=503", "denied RATE_LIMITED config gateway"),
        case("kong.token-expired-by-message", said(401, r#"{"exp":"token expired"}"#), "", "denied AUTH_TOKEN_EXPIRED message gateway"),
        case("kong.token-expired-by-claim", kong(401, r#""www-authenticate":"Bearer error=\"invalid_token\"""#, r#","identity_unverified":{"exp":99}"#), "", "denied AUTH_TOKEN_EXPIRED header gateway"),
        case("kong.token-invalid", kong(401, r#""www-authenticate":"Bearer error=\"invalid_token\"""#, ""), "", "denied AUTH_TOKEN_INVALID header gateway"),
        case("kong.token-invalid-by-message", said(401, r#"{"message":"Invalid signature"}"#), "", "denied AUTH_TOKEN_INVALID message gateway"),
        case("kong.token-invalid-by-message", said(401, "The access token is invalid or has expired"), "", "denied AUTH_TOKEN_INVALID message gateway"),
        case("kong.auth-missing", anonymous(r#""www-authenticate":"Bearer""#), "", "denied AUTH_MISSING header gateway"),
        case("kong.static-credential-invalid", kong(401, r#""www-authenticate":"Basic realm=\"service\"""#, ""), "", "denied AUTH_STATIC_INVALID header gateway"),
        case("kong.static-credential-invalid", kong(401, "", r#","auth_scheme":"Basic""#), "", "denied AUTH_STATIC_INVALID header gateway"),
        case("kong.static-credential-invalid-by-config", kong(401, "", ""), "basic-auth acl", "denied AUTH_STATIC_INVALID config gateway"),
        case("kong.auth-failed", kong(401, "", ""), "", "denied AUTH_FAILED status gateway"),
        case("kong.auth-failed", kong(407, "", ""), "", "denied AUTH_FAILED status gateway"),
    ]
}

#[rustfmt::skip]
fn authorisation_cases() -> Vec<Case> {
    let known = r#","consumer":{"id":"c"},"authenticated_entity":{"id":"a"}"#;
    let unspecified = r#","ai":{"proxy":{"meta":{"provider_name":"UNSPECIFIED"}}}"#;
    vec![
        case("kong.scope-missing", kong(403, r#""www-authenticate":"Bearer error=\"insufficient_scope\"""#, ""), "", "denied AUTHZ_SCOPE header gateway"),
        case("kong.acl-by-message", said(403, r#"{"message":"You cannot consume this service"}"#), "", "denied AUTHZ_ACL message gateway"),
        case("kong.ip-by-message", said(403, "IP address not allowed: 203.0.113.77"), "", "denied AUTHZ_IP message gateway"),
        case("kong.ip-by-message", said(403, "Your IP address is not allowed"), "", "denied AUTHZ_IP message gateway"),
        case("kong.scope-by-message", said(403, r#"{"message":"Forbidden"}"#), "openid-connect acl", "denied AUTHZ_SCOPE message gateway"),
        case("kong.ai-guard-before-model", kong(400, "", unspecified), "", "denied AI_PROMPT_BLOCKED header gateway"),
        case("kong.ai-guard-by-config", kong(400, "", ""), "ai-prompt-guard key-auth", "denied AI_PROMPT_BLOCKED config gateway"),
        case("kong.terminated-by-message", said(503, r#"{"message":"Maintenance until 18:00"}"#), "", "denied TERMINATED_BY_CONFIG message gateway"),
        case("kong.refused-by-config", kong(503, "", ""), "request-termination", "denied TERMINATED_BY_CONFIG config gateway"),
        case("kong.refused-by-config", kong(403, "", known), "acl key-auth", "denied AUTHZ_ACL config gateway"),
        case("kong.refused-by-config", kong(403, "", known), "acl bot-detection", "denied AUTHZ_ACL config gateway"),
        case("kong.refused-by-config", kong(403, "", ""), "acl bot-detection", "denied AUTHZ_BOT config gateway"),
        case("kong.refused-by-config", kong(403, "", known), "acl acl=partial", "denied AUTHZ_ACL config gateway"),
        case("kong.forbidden", kong(403, "", known), "acl opa=partial", "denied AUTHZ_OTHER status gateway"),
        case("kong.refused-by-config", kong(403, "", ""), "ip-restriction opa=partial", "denied AUTHZ_IP config gateway"),
        case("kong.refused-by-config", kong(404, "", ""), "ip-restriction=404", "denied AUTHZ_IP config gateway"),
        case("kong.forbidden", kong(403, "", known), "acl ip-restriction", "denied AUTHZ_OTHER status gateway"),
        case("kong.forbidden", kong(403, "", known), "", "denied AUTHZ_OTHER status gateway"),
        case("kong.request-too-large", kong(413, "", ""), "", "denied REQUEST_TOO_LARGE status gateway"),
        case("kong.request-too-large", tried(413, "kong", r#""200""#, ""), "", "denied REQUEST_TOO_LARGE status gateway"),
        case("kong.request-invalid", kong(400, "", ""), "ai-prompt-guard=log", "error REQUEST_INVALID status"),
        case("kong.request-invalid", kong(415, "", ""), "", "error REQUEST_INVALID status"),
        case("kong.no-healthy-target", kong(503, "", ""), "", "error NO_HEALTHY_TARGET status"),
        case("kong.no-healthy-target", kong(503, "", ""), "rate-limiting=503", "error NO_HEALTHY_TARGET status"),
        case("kong.no-healthy-target", said(503, "failure to get a peer from the ring-balancer"), "", "error NO_HEALTHY_TARGET status"),
        case("kong.gateway-error", said(500, "An unexpected error occurred"), "", "error GATEWAY_ERROR status"),
        case(rules::NO_RULE, r#"{"request":{}}"#.into(), "", "unknown"),
        case(rules::NO_RULE, r#"{"request":{},"response":{"status":0}}"#.into(), "", "unknown"),
    ]
}

#[test]
fn every_row_of_the_table_gives_its_verdict() {
    let groups = [early_cases(), upstream_cases(), authentication_cases(), authorisation_cases()];
    let cases: Vec<Case> = groups.into_iter().flatten().collect();
    for case in &cases {
        let got = decide_json(&case.entry, case.plugins);
        assert_eq!(got, (case.want.to_owned(), case.rule), "{} with {:?}", case.entry, case.plugins);
    }
    let tested: BTreeSet<_> = cases.iter().map(|case| case.rule).collect();
    let missing: Vec<_> =
        rules::RULES.iter().map(|rule| rule.name).filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "rows without a case: {missing:?}");
}

#[test]
fn rule_names_are_unique() {
    let names: BTreeSet<_> = rules::RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), rules::RULES.len());
}

#[test]
fn upstream_status_is_read_in_every_form() {
    let cases = [
        ("200", Some(200)),
        (r#""502, 200""#, Some(200)),
        (r#""200 : 404""#, Some(404)),
        (r#""-""#, None),
        (r#""""#, None),
        ("null", None),
    ];
    for (json, want) in cases {
        assert_eq!(last_upstream_status(&serde_json::from_str(json).unwrap()), want, "{json}");
    }
}
