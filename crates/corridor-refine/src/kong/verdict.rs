//! Verdict: what became of the request, who refused it, why, and how we know.
//!
//! - In: [`Facts`], read out of the entry once, and the guards of its route in the decK dump.
//! - Out: the verdict and the name of the rule that gave it.
//! - Rules: kong-http-log.md §5.3 as corrected by kong-observed.md and rulings.md, one ordered table: first match wins.

mod config;
mod rules;

use super::ai::GuardVerdicts;
use super::credential::{Credential, has_static_only};
use super::entry::Entry;
use super::headers::Scheme;
use super::message;
use crate::directory::Guard;
use crate::scalar::Scalar;
use corridor_model::{ReasonCode, Verdict};

/// What the rules read. Built once per entry; the costly parts only for failures.
#[derive(Debug, Default)]
pub(super) struct Facts {
    is_stream: bool,
    status: Option<i64>,
    /// `source`; None up to 3.5 and for streams.
    source: Option<Answerer>,
    /// Attempts on an upstream, or other proof that it was contacted.
    is_proxied: bool,
    has_failed_last_try: bool,
    has_route: bool,
    /// The last token of `upstream_status`.
    upstream_status: Option<i64>,
    /// `upstream` of a stream entry says nothing.
    has_no_upstream_bytes: bool,
    server: Server,
    is_cache_hit: bool,
    is_function_route: bool,
    challenge: Challenge,
    /// `grpc-status` of a gRPC answer.
    grpc_status: Option<i64>,
    has_ratelimit: bool,
    is_ratelimit_used_up: bool,
    has_ai_ratelimit: bool,
    /// The captured sentence, lower case.
    message: Option<String>,
    is_token_expired: bool,
    has_token_claims: bool,
    credential: Credential,
    has_consumer: bool,
    guards: GuardVerdicts,
    is_ai_unspecified: bool,
    has_configured_ai_guard: bool,
    has_configured_oidc: bool,
    has_configured_static_auth_only: bool,
    /// The reason of the one guard that can answer like this, by the dump.
    configured_reason: Option<ReasonCode>,
}

/// Who wrote the answer, by the entry's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answerer {
    Kong,
    Upstream,
}

/// The `server` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Server {
    #[default]
    Missing,
    Kong,
    Other,
}

/// What `www-authenticate` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Challenge {
    scheme: Option<Scheme>,
    says_invalid_token: bool,
    says_insufficient_scope: bool,
}

impl Challenge {
    fn of(header: &Scalar<'_>) -> Self {
        let Some(text) = header.as_str() else { return Self::default() };
        Self {
            scheme: Scheme::parse(text),
            says_invalid_token: text.contains("invalid_token"),
            says_insufficient_scope: text.contains("insufficient_scope"),
        }
    }
}

/// The verdict and the name of its rule.
pub(super) fn decide(facts: &Facts) -> (Verdict, &'static str) {
    rules::RULES
        .iter()
        .find(|rule| (rule.when)(facts))
        .map_or((Verdict::UNKNOWN, rules::NO_RULE), |rule| ((rule.then)(facts), rule.name))
}

/// Reads the facts. `is_token_expired` compares captured claims with the entry's own clock.
pub(super) fn facts_of(
    entry: &Entry<'_>,
    credential: Credential,
    guards: &[Guard],
    is_token_expired: bool,
) -> Facts {
    let status = entry.status();
    let headers = &entry.response.headers;
    let source = source_of(entry);
    let upstream_status = last_upstream_status(&entry.upstream_status);
    let mut facts = Facts {
        is_stream: entry.is_stream(),
        status,
        source,
        is_proxied: entry.tries.count > 0
            || (source == Some(Answerer::Upstream) && upstream_status.is_some()),
        has_failed_last_try: entry.tries.has_failed_last,
        has_route: entry.route.is_object,
        upstream_status,
        has_no_upstream_bytes: entry.upstream.received.is_null() && entry.upstream.sent.is_null(),
        server: server_of(&headers.server),
        grpc_status: grpc_status(entry),
        guards: entry.ai.guards,
        is_ai_unspecified: entry.ai.is_unspecified(),
        credential,
        ..Facts::default()
    };
    config::quiet_guards(&mut facts, guards);
    if status.is_some_and(|status| status >= 400) {
        read_failure(&mut facts, entry, guards);
        facts.is_token_expired = is_token_expired;
    }
    facts
}

/// What only matters for failures.
fn read_failure(facts: &mut Facts, entry: &Entry<'_>, guards: &[Guard]) {
    let headers = &entry.response.headers;
    facts.challenge = Challenge::of(&headers.www_authenticate);
    facts.is_cache_hit = headers.cache_status.as_str().is_some_and(|hit| hit.eq_ignore_ascii_case("hit"));
    facts.has_ratelimit = headers.has_ratelimit;
    facts.is_ratelimit_used_up = headers.ratelimit_remaining.as_i64() == Some(0);
    facts.has_ai_ratelimit = headers.has_ai_ratelimit;
    facts.message = entry.denial.message.as_str().and_then(message::sentence).map(|text| text.to_lowercase());
    facts.has_consumer = entry.consumer.is_object || entry.is_authenticated();
    facts.has_token_claims = entry.identity_unverified.is_object || entry.request.headers.entra.is_present;
    facts.has_configured_static_auth_only = has_static_only(guards);
    config::read_guards(facts, guards);
}

fn source_of(entry: &Entry<'_>) -> Option<Answerer> {
    match entry.source.as_str()? {
        "upstream" | "service" => Some(Answerer::Upstream),
        "kong" | "exit" | "error" => Some(Answerer::Kong),
        _ => None,
    }
}

/// `200`, `"502, 200"` or `"502 : 200"`: the last code counts. `-` and blanks are none.
fn last_upstream_status(value: &Scalar<'_>) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.rsplit([',', ':']).next()?.trim().parse().ok())
}

fn server_of(header: &Scalar<'_>) -> Server {
    match header.as_str() {
        None => Server::Missing,
        Some(name) if name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("kong/")) => Server::Kong,
        Some(_) => Server::Other,
    }
}

fn grpc_status(entry: &Entry<'_>) -> Option<i64> {
    let is_grpc =
        |value: &Scalar<'_>| value.as_str().is_some_and(|kind| kind.starts_with("application/grpc"));
    if is_grpc(&entry.request.headers.content_type) || is_grpc(&entry.response.headers.content_type) {
        entry.response.headers.grpc_status.as_i64()
    } else {
        None
    }
}

impl Facts {
    /// Whether Kong refused although the upstream had been contacted.
    pub(super) fn is_after_upstream(&self) -> bool {
        self.is_proxied
    }

    /// Whether a guard that only logs would have refused.
    pub(super) fn is_ai_flagged(&self) -> bool {
        self.guards.is_flagged
    }

    /// Guards that ran, and what they decided.
    pub(super) fn ai_guards(&self) -> GuardVerdicts {
        self.guards
    }

    fn has_status(&self, status: i64) -> bool {
        self.status == Some(status)
    }

    fn is_failure(&self) -> bool {
        self.status.is_some_and(|status| status >= 400)
    }

    fn says(&self, words: &str) -> bool {
        self.message.as_deref().is_some_and(|message| message.contains(words))
    }

    /// 502, 503 or 504 that Kong wrote after it had tried an upstream.
    fn has_upstream_failed(&self) -> bool {
        let is_gateway_status = matches!(self.status, Some(502..=504));
        let is_made_by_kong = match (self.source, self.server) {
            (Some(Answerer::Kong), _) | (None, Server::Kong) => true,
            (Some(Answerer::Upstream), _) | (None, Server::Other) => false,
            // `headers = off` hides the server.
            (None, Server::Missing) => self.has_failed_last_try || self.message.is_some(),
        };
        is_gateway_status && self.is_proxied && is_made_by_kong
    }

    /// The upstream's own answer reached the client, straight or from a cache.
    fn is_answered_by_upstream(&self) -> bool {
        match self.source {
            Some(Answerer::Upstream) => self.is_proxied,
            Some(Answerer::Kong) => self.is_cache_hit && !self.is_proxied,
            // Before 3.6: a last upstream status that differs was replaced in the response phase.
            None if self.is_proxied => self.upstream_status.is_none_or(|last| self.has_status(last)),
            None => self.is_cache_hit,
        }
    }

    /// Kong's own answer of status 400 or above.
    fn is_answered_by_kong(&self) -> bool {
        self.is_failure() && !self.is_stream && !self.is_answered_by_upstream() && !self.has_upstream_failed()
    }
}

#[cfg(test)]
mod tests;
