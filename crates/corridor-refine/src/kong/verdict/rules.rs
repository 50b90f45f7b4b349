//! Rules: the ordered table of verdicts. The first rule whose condition holds gives the verdict.

use super::{Answerer, Facts, Scheme};
use corridor_model::ReasonBasis::{Config, Header, Message, Status};
use corridor_model::ReasonCode::*;
use corridor_model::{DeniedBy, ReasonBasis, ReasonCode, Verdict};

/// One row.
pub(super) struct Rule {
    /// Shown by `corridor explain`.
    pub(super) name: &'static str,
    /// Condition; earlier rows did not match.
    pub(super) when: fn(&Facts) -> bool,
    /// Verdict.
    pub(super) then: fn(&Facts) -> Verdict,
}

/// Name in place of a rule when none matched.
pub(super) const NO_RULE: &str = "kong.no-status";

const fn rule(name: &'static str, when: fn(&Facts) -> bool, then: fn(&Facts) -> Verdict) -> Rule {
    Rule { name, when, then }
}

fn denied(reason: ReasonCode, basis: ReasonBasis) -> Verdict {
    Verdict::denied(reason, basis, DeniedBy::Gateway)
}

fn error(reason: ReasonCode, basis: ReasonBasis) -> Verdict {
    Verdict::error(reason, basis)
}

/// The table. AI verdicts and gRPC stand first because they hold whatever the HTTP status is; then everything below
/// 400 is allowed; then failures: by the client, by the upstream, by Kong.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    // Streams.
    rule("kong.stream-refused-by-config", |f| stream_refused(f) && f.configured_reason.is_some(), |f| denied(f.configured_reason.unwrap_or(AuthzOther), Config)),
    rule("kong.stream-refused", stream_refused, |_| denied(AuthzOther, Status)),
    rule("kong.stream-upstream-unreachable", |f| f.is_stream && f.is_failure() && f.is_proxied, |_| error(UpstreamUnreachable, Status)),
    rule("kong.stream-failed", |f| f.is_stream && f.is_failure(), |_| error(GatewayError, Status)),

    // AI and gRPC, whatever the status.
    rule("kong.ai-tool-denied", |f| f.guards.is_tool_denied, |_| denied(AiToolDenied, Message)),
    rule("kong.ai-prompt-blocked", |f| f.guards.is_prompt_refused, |_| denied(AiPromptBlocked, Message)),
    rule("kong.ai-content-blocked", |f| f.guards.is_answer_refused, |_| denied(AiContentBlocked, Message)),
    rule("kong.grpc-denied-by-upstream", grpc_denied, |_| Verdict::denied(UpstreamDenied, Header, DeniedBy::Upstream)),

    rule("kong.allowed", |f| matches!(f.status, Some(100..400)), |_| Verdict::ALLOWED),

    // The client went away.
    rule("kong.client-abort", |f| f.has_status(499), |_| error(ClientAbort, Status)),
    rule("kong.client-abort-in-body", |f| f.has_status(400) && f.source == Some(Answerer::Upstream) && !f.is_proxied, |_| error(ClientAbort, Status)),

    // The upstream failed or refused.
    rule("kong.upstream-unreachable", |f| f.has_upstream_failed() && !f.has_status(504), |_| error(UpstreamUnreachable, Status)),
    rule("kong.upstream-timeout", |f| f.has_upstream_failed(), |_| error(UpstreamTimeout, Status)),
    rule("kong.upstream-denied", |f| f.is_answered_by_upstream() && matches!(f.status, Some(401 | 403 | 407 | 429)), |_| Verdict::denied(UpstreamDenied, Status, DeniedBy::Upstream)),
    rule("kong.upstream-error", |f| f.is_answered_by_upstream() && matches!(f.status, Some(1..100 | 500..)), |_| error(UpstreamError, Status)),
    rule("kong.upstream-rejected", |f| f.is_answered_by_upstream() && f.is_failure(), |_| error(UpstreamRejected, Status)),
    rule("kong.function-error", |f| f.is_answered_by_kong() && f.is_function_route && matches!(f.status, Some(500..)), |_| error(UpstreamError, Config)),
    rule("kong.function-rejected", |f| f.is_answered_by_kong() && f.is_function_route && f.message.is_none() && !f.has_ratelimit && f.challenge.scheme.is_none(), |_| error(UpstreamRejected, Config)),

    // Before a route was found.
    rule("kong.no-route", |f| f.has_status(404) && !f.has_route, |_| error(NoRoute, Status)),
    rule("kong.bad-request-prerouting", |f| matches!(f.status, Some(400 | 405 | 414 | 494)) && !f.has_route, |_| error(BadRequestPrerouting, Status)),
    rule("kong.tls-required", |f| f.has_status(426) && !f.has_route, |_| error(TlsRequired, Status)),

    // Limits.
    rule("kong.ai-rate-limited", |f| f.has_status(429) && f.has_ai_ratelimit, |_| denied(RateLimitedAi, Header)),
    rule("kong.ai-rate-limited-by-config", |f| f.has_status(429) && f.configured_reason == Some(RateLimitedAi), |_| denied(RateLimitedAi, Config)),
    rule("kong.rate-limited", |f| f.has_status(429) && f.has_ratelimit, |_| denied(RateLimited, Header)),
    rule("kong.rate-limited-by-message", |f| is_refusal(f) && f.says("rate limit exceeded"), |_| denied(RateLimited, Message)),
    rule("kong.rate-limited-by-status", |f| f.has_status(429), |_| denied(RateLimited, Status)),
    rule("kong.rate-limited-by-config", |f| is_refusal(f) && f.is_ratelimit_used_up && f.configured_reason == Some(RateLimited), |_| denied(RateLimited, Config)),

    // 401: who are you?
    rule("kong.token-expired-by-message", |f| f.has_status(401) && f.says("expired") && !f.says("invalid or has expired"), |_| denied(AuthTokenExpired, Message)),
    rule("kong.token-expired-by-claim", |f| f.has_status(401) && f.is_token_expired, |_| denied(AuthTokenExpired, Header)),
    rule("kong.token-invalid", |f| f.has_status(401) && f.challenge.says_invalid_token, |_| denied(AuthTokenInvalid, Header)),
    rule("kong.token-invalid-by-message", |f| f.has_status(401) && names_bad_token(f), |_| denied(AuthTokenInvalid, Message)),
    rule("kong.auth-missing", |f| f.has_status(401) && !f.credential.was_sent, |_| denied(AuthMissing, Header)),
    rule("kong.static-credential-invalid", |f| f.has_status(401) && has_static_scheme(f), |_| denied(AuthStaticInvalid, Header)),
    rule("kong.static-credential-invalid-by-config", |f| f.has_status(401) && f.has_configured_static_auth_only, |_| denied(AuthStaticInvalid, Config)),
    rule("kong.auth-failed", |f| matches!(f.status, Some(401 | 407)), |_| denied(AuthFailed, Status)),

    // 403: you may not.
    rule("kong.scope-missing", |f| f.has_status(403) && f.challenge.says_insufficient_scope, |_| denied(AuthzScope, Header)),
    rule("kong.acl-by-message", |f| f.has_status(403) && f.says("you cannot consume this service"), |_| denied(AuthzAcl, Message)),
    rule("kong.ip-by-message", |f| f.is_answered_by_kong() && f.says("ip address") && f.says("not allowed"), |_| denied(AuthzIp, Message)),
    rule("kong.scope-by-message", |f| f.has_status(403) && f.says("forbidden") && is_token_route(f), |_| denied(AuthzScope, Message)),

    // AI guards that leave no reason.
    rule("kong.ai-guard-before-model", |f| f.has_status(400) && f.is_ai_unspecified && !f.is_proxied, |_| denied(AiPromptBlocked, Header)),
    rule("kong.ai-guard-by-config", |f| f.has_status(400) && f.has_configured_ai_guard && f.is_answered_by_kong(), |_| denied(AiPromptBlocked, Config)),

    // Switched off, or the one plugin that can have answered like this.
    rule("kong.terminated-by-message", |f| f.has_status(503) && f.has_route && !f.is_proxied && names_termination(f), |_| denied(TerminatedByConfig, Message)),
    rule("kong.refused-by-config", |f| is_refusal(f) && f.configured_reason.is_some_and(|reason| reason != RateLimited), |f| denied(f.configured_reason.unwrap_or(AuthzOther), Config)),
    rule("kong.forbidden", |f| f.has_status(403), |_| denied(AuthzOther, Status)),

    // Kong could not or would not process it.
    rule("kong.request-too-large", |f| matches!(f.status, Some(411 | 413 | 417)), |_| denied(RequestTooLarge, Status)),
    rule("kong.request-invalid", |f| matches!(f.status, Some(400..500)), |_| error(RequestInvalid, Status)),
    rule("kong.no-healthy-target", |f| f.has_status(503) && !f.is_proxied, |_| error(NoHealthyTarget, Status)),
    rule("kong.gateway-error", |f| f.is_failure(), |_| error(GatewayError, Status)),
    rule("kong.broken-answer", |f| f.is_proxied && matches!(f.status, Some(1..100)), |_| error(UpstreamError, Status)),
];

fn stream_refused(f: &Facts) -> bool {
    f.is_stream && f.is_failure() && !f.is_proxied && f.has_no_upstream_bytes
}

fn grpc_denied(f: &Facts) -> bool {
    f.has_status(200) && matches!(f.grpc_status, Some(7 | 16)) && f.source != Some(Answerer::Kong)
}

/// Kong's own 4xx on a route, or a 5xx that a plugin may be set to.
fn is_refusal(f: &Facts) -> bool {
    f.is_answered_by_kong() && f.has_route
}

fn has_static_scheme(f: &Facts) -> bool {
    let is_static = |scheme: Option<Scheme>| {
        matches!(scheme, Some(Scheme::Key | Scheme::Basic | Scheme::Hmac | Scheme::Ldap))
    };
    is_static(f.challenge.scheme) || is_static(f.credential.scheme) || f.credential.has_key
}

/// The sentences of the jwt plugin, which sends no header before 3.8.
fn names_bad_token(f: &Facts) -> bool {
    [
        "invalid signature",
        "bad token",
        "no credentials found for given",
        "invalid algorithm",
        "invalid key/secret",
        "no mandatory 'iss'",
        "token not valid yet",
        "invalid or has expired",
        "invalid audience",
    ]
    .iter()
    .any(|words| f.says(words))
}

/// openid-connect answers "Forbidden"; bot-detection does too, but before anybody is known.
fn is_token_route(f: &Facts) -> bool {
    f.has_configured_oidc || f.has_token_claims || f.credential.scheme == Some(Scheme::Bearer)
}

/// Any sentence but those of the balancer and of Kong's error page.
fn names_termination(f: &Facts) -> bool {
    const OTHERS: [&str; 6] = [
        "failure to get a peer",
        "name resolution failed",
        "no service found",
        "failed the initial",
        "upstream server is currently unavailable",
        "unexpected error",
    ];
    f.message.as_deref().is_some_and(|message| !OTHERS.iter().any(|words| message.contains(words)))
}
