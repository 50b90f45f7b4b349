//! Answer: the ways a call can end at the gateway, each with the verdict a right reading gives.
//!
//! - In: nothing. Out: constants, following kong-http-log §5 and the rulings.
//! - Invariants: each answer shows enough (captured message, header, status) for exactly one reason code.

use crate::truth::Verdict;

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// The upstream answered.
    Upstream,
    /// The upstream answered at the second try.
    Retried,
    /// Kong answered before the upstream was asked.
    Gateway,
    /// Kong's cache answered.
    Cached,
    /// The upstream answered, and then Kong refused.
    AfterUpstream,
    /// The upstream could not be reached.
    Unreachable,
    /// The upstream did not answer in time.
    TimedOut,
    /// The client went away.
    Aborted,
}

impl Path {
    /// `source` is `upstream`.
    pub(crate) fn is_from_upstream(self) -> bool {
        matches!(self, Self::Upstream | Self::Retried | Self::Aborted)
    }

    /// The response has upstream latency headers.
    pub(crate) fn has_upstream_latency(self) -> bool {
        !matches!(self, Self::Gateway | Self::Aborted)
    }

    /// Balancer attempts.
    pub(crate) fn tries(self) -> u64 {
        match self {
            Self::Gateway | Self::Cached => 0,
            Self::Upstream | Self::AfterUpstream | Self::TimedOut | Self::Aborted => 1,
            Self::Retried | Self::Unreachable => 2,
        }
    }

    /// Attempts marked as failed.
    pub(crate) fn failed_tries(self) -> u64 {
        match self {
            Self::Unreachable => 2,
            Self::Retried | Self::TimedOut => 1,
            _ => 0,
        }
    }

    /// `tries[].code` of a failed attempt.
    pub(crate) fn failure_code(self) -> u64 {
        if self == Self::TimedOut { 504 } else { 502 }
    }

    /// `upstream_status`, where it is not simply the status.
    pub(crate) fn upstream_status(self) -> &'static str {
        match self {
            Self::Upstream | Self::Gateway | Self::Cached => "",
            Self::Retried => "502, 200",
            Self::AfterUpstream => "200",
            Self::Unreachable => "502, 502",
            Self::TimedOut => "504",
            Self::Aborted => "-",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// Name of the case in `truth.json`.
    pub(crate) case: &'static str,
    pub(crate) status: u64,
    pub(crate) path: Path,
    /// Captured error body; None when none was captured.
    pub(crate) message: Option<&'static str>,
    /// The captured body is Kong's template around `words`, with the request id.
    pub(crate) shows_request_id: bool,
    /// Words of the template.
    pub(crate) words: &'static str,
    /// More response headers, each with a leading comma.
    pub(crate) headers: &'static str,
    /// More members of the entry, each with a leading comma.
    pub(crate) entry: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) findings: &'static [&'static str],
}

const fn answer(case: &'static str, status: u64, path: Path, verdict: Verdict) -> Answer {
    Answer {
        case,
        status,
        path,
        message: None,
        shows_request_id: false,
        words: "",
        headers: "",
        entry: "",
        verdict,
        findings: &[],
    }
}

const fn refused(case: &'static str, status: u64, words: &'static str, verdict: Verdict) -> Answer {
    Answer {
        message: Some(""),
        shows_request_id: true,
        words,
        ..answer(case, status, Path::Gateway, verdict)
    }
}

const fn allowed(case: &'static str, status: u64, path: Path) -> Answer {
    answer(case, status, path, Verdict::ALLOWED)
}

const INVALID_TOKEN: &str = ",\"www-authenticate\":\"Bearer error=\\\"invalid_token\\\"\"";

pub(crate) const OK: Answer = allowed("ok", 200, Path::Upstream);
pub(crate) const CREATED: Answer = allowed("created", 201, Path::Upstream);
pub(crate) const NO_CONTENT: Answer = allowed("no_content", 204, Path::Upstream);
pub(crate) const ACCEPTED: Answer = allowed("accepted", 202, Path::Upstream);
pub(crate) const RETRIED: Answer = allowed("retried_by_gateway", 200, Path::Retried);
pub(crate) const CACHED: Answer = Answer {
    headers: ",\"x-cache-status\":\"Hit\",\"x-cache-key\":\"7a1f3c0d9e8b7a6f5e4d3c2b1a0f9e8d\",\"age\":\"12\"",
    ..allowed("cache_hit", 200, Path::Cached)
};
pub(crate) const PREFLIGHT: Answer = Answer {
    headers: ",\"access-control-allow-origin\":\"https://portal.contoso.example\"",
    ..allowed("cors_preflight", 200, Path::Gateway)
};

pub(crate) const TOKEN_EXPIRED: Answer = Answer {
    message: Some("{\"exp\":\"token expired\"}"),
    headers: INVALID_TOKEN,
    ..answer("token_expired", 401, Path::Gateway, Verdict::denied("AUTH_TOKEN_EXPIRED"))
};
pub(crate) const TOKEN_INVALID: Answer = Answer {
    message: Some("{\"message\":\"Invalid signature\"}"),
    headers: INVALID_TOKEN,
    ..answer("token_invalid", 401, Path::Gateway, Verdict::denied("AUTH_TOKEN_INVALID"))
};
pub(crate) const NO_TOKEN: Answer = Answer {
    message: Some("{\"message\":\"Unauthorized\"}"),
    headers: ",\"www-authenticate\":\"Bearer\"",
    ..answer("no_token", 401, Path::Gateway, Verdict::denied("AUTH_MISSING"))
};
pub(crate) const BAD_KEY: Answer = Answer {
    headers: ",\"www-authenticate\":\"Key\"",
    ..refused("bad_key", 401, "Unauthorized", Verdict::denied("AUTH_STATIC_INVALID"))
};
pub(crate) const BAD_PASSWORD: Answer = Answer {
    headers: ",\"www-authenticate\":\"Basic realm=\\\"service\\\"\"",
    ..refused("bad_password", 401, "Unauthorized", Verdict::denied("AUTH_STATIC_INVALID"))
};
pub(crate) const ACL: Answer =
    refused("acl", 403, "You cannot consume this service", Verdict::denied("AUTHZ_ACL"));
pub(crate) const IP: Answer =
    refused("ip_restriction", 403, "IP address not allowed: 203.0.113.77", Verdict::denied("AUTHZ_IP"));
pub(crate) const SCOPE: Answer = Answer {
    headers: ",\"www-authenticate\":\"Bearer error=\\\"insufficient_scope\\\"\"",
    ..refused("scope", 403, "Forbidden", Verdict::denied("AUTHZ_SCOPE"))
};
pub(crate) const RATE: Answer = Answer {
    headers: ",\"ratelimit-limit\":\"600\",\"ratelimit-remaining\":\"0\",\"ratelimit-reset\":\"42\",\"retry-after\":\"42\",\"x-ratelimit-limit-minute\":\"600\",\"x-ratelimit-remaining-minute\":\"0\"",
    ..refused("rate_limit", 429, "API rate limit exceeded", Verdict::denied("RATE_LIMITED"))
};
pub(crate) const AI_RATE: Answer = Answer {
    headers: ",\"x-ai-ratelimit-limit-minute-azure\":\"5000\",\"x-ai-ratelimit-remaining-minute-azure\":\"0\"",
    ..refused(
        "ai_rate_limit",
        429,
        "AI token rate limit exceeded for provider(s): azure",
        Verdict::denied("RATE_LIMITED_AI"),
    )
};
pub(crate) const TOO_LARGE: Answer =
    refused("too_large", 413, "Request size limit exceeded", Verdict::denied("REQUEST_TOO_LARGE"));
pub(crate) const TERMINATED: Answer = Answer {
    message: Some("{\"message\":\"Maintenance until 18:00\"}"),
    ..answer("request_termination", 503, Path::Gateway, Verdict::denied("TERMINATED_BY_CONFIG"))
};
pub(crate) const PROMPT: Answer = Answer {
    message: Some("{\"error\":{\"message\":\"bad request\"}}"),
    entry: ",\"ai\":{\"proxy\":{\"meta\":{\"provider_name\":\"UNSPECIFIED\",\"request_model\":\"UNSPECIFIED\",\"response_model\":\"UNSPECIFIED\"},\"usage\":{}}}",
    findings: &["AI_PROMPT_BLOCKED"],
    ..answer("ai_prompt_guard", 400, Path::Gateway, Verdict::denied("AI_PROMPT_BLOCKED"))
};
pub(crate) const PROMPT_CONTENT_SAFETY: Answer = Answer {
    message: Some("{\"error\":{\"message\":\"request failed content safety check\"}}"),
    entry: ",\"ai\":{\"proxy\":{\"meta\":{\"provider_name\":\"azure\",\"request_model\":\"gpt-4o\"},\"azure-content-safety\":{\"input_block_reason\":\"Hate: 4\",\"mode\":\"INPUT\"}}}",
    findings: &["AI_PROMPT_BLOCKED"],
    ..answer("ai_content_safety", 400, Path::Gateway, Verdict::denied("AI_PROMPT_BLOCKED"))
};
pub(crate) const CONTENT: Answer = Answer {
    message: Some("{\"error\":{\"message\":\"response failed content safety check\"}}"),
    entry: ",\"ai\":{\"proxy\":{\"meta\":{\"provider_name\":\"azure\",\"request_model\":\"gpt-4o\"},\"azure-content-safety\":{\"output_block_reason\":\"Violence: 5\",\"mode\":\"OUTPUT\"}}}",
    findings: &["DENIED_AFTER_UPSTREAM"],
    ..answer("ai_response_guard", 400, Path::AfterUpstream, Verdict::denied("AI_CONTENT_BLOCKED"))
};
pub(crate) const RATE_AFTER: Answer = Answer {
    headers: ",\"x-ratelimit-limit-videos-minute\":\"10\",\"x-ratelimit-remaining-videos-minute\":\"0\"",
    findings: &["DENIED_AFTER_UPSTREAM"],
    ..answer("response_rate_limit", 429, Path::AfterUpstream, Verdict::denied("RATE_LIMITED"))
};
pub(crate) const UPSTREAM_401: Answer =
    answer("upstream_401", 401, Path::Upstream, Verdict::denied("UPSTREAM_DENIED"));
pub(crate) const UPSTREAM_403: Answer =
    answer("upstream_403", 403, Path::Upstream, Verdict::denied("UPSTREAM_DENIED"));
pub(crate) const UPSTREAM_429: Answer =
    answer("upstream_429", 429, Path::Upstream, Verdict::denied("UPSTREAM_DENIED"));

pub(crate) const UPSTREAM_500: Answer =
    answer("upstream_500", 500, Path::Upstream, Verdict::error("UPSTREAM_ERROR"));
pub(crate) const UNREACHABLE: Answer = Answer {
    message: Some("An invalid response was received from the upstream server"),
    ..answer("upstream_unreachable", 502, Path::Unreachable, Verdict::error("UPSTREAM_UNREACHABLE"))
};
pub(crate) const TIMED_OUT: Answer = Answer {
    message: Some("The upstream server is timing out"),
    ..answer("upstream_timeout", 504, Path::TimedOut, Verdict::error("UPSTREAM_TIMEOUT"))
};
pub(crate) const NO_TARGET: Answer = refused(
    "no_healthy_target",
    503,
    "failure to get a peer from the ring-balancer",
    Verdict::error("NO_HEALTHY_TARGET"),
);
pub(crate) const CRASHED: Answer =
    refused("gateway_error", 500, "An unexpected error occurred", Verdict::error("GATEWAY_ERROR"));
pub(crate) const ABORTED: Answer = answer("client_abort", 499, Path::Aborted, Verdict::error("CLIENT_ABORT"));
pub(crate) const NO_ROUTE: Answer =
    refused("no_route", 404, "no Route matched with those values", Verdict::error("NO_ROUTE"));
pub(crate) const BAD_REQUEST: Answer =
    refused("bad_request_prerouting", 400, "Bad request", Verdict::error("BAD_REQUEST_PREROUTING"));
pub(crate) const TLS_REQUIRED: Answer = Answer {
    headers: ",\"upgrade\":\"TLS/1.2, HTTP/1.1\"",
    ..refused("tls_required", 426, "Please use HTTPS protocol", Verdict::error("TLS_REQUIRED"))
};
