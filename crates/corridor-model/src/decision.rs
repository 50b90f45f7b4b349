//! Decisions: what became of a request, who refused it, why, and how we know.

use serde::{Deserialize, Serialize};

/// Declares an enum of codes together with its stored text, so that the two cannot drift apart.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The value of this index in [`Self::ALL`].
            pub fn at(index: u8) -> Option<Self> {
                Self::ALL.get(usize::from(index)).copied()
            }

            /// The stored text.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// Outcome of an event (`decision`).
    Decision {
        /// Access was granted, or the request went through.
        Allowed => "allowed",
        /// Access was refused by policy: authentication, authorisation, limits, guards.
        Denied => "denied",
        /// It failed, but nobody's access was decided.
        Error => "error",
        /// The record does not tell.
        Unknown => "unknown",
    }
}

codes! {
    /// Who refused (`denied_by`).
    DeniedBy {
        /// Kong answered itself.
        Gateway => "gateway",
        /// The service behind Kong answered.
        Upstream => "upstream",
        /// Synapse or Azure refused.
        Synapse => "synapse",
        /// Refused, but the record does not tell by whom.
        Unknown => "unknown",
    }
}

codes! {
    /// How the reason is known (`reason_basis`).
    ReasonBasis {
        /// A captured message or error text says so.
        Message => "message",
        /// A header says so.
        Header => "header",
        /// Only the status says so.
        Status => "status",
        /// The decK dump turns a guess into knowledge.
        Config => "config",
        /// The partner event of the join says so.
        Join => "join",
    }
}

codes! {
    /// Why (`reason_code`). Kong: kong-http-log.md §5.3. Azure: synapse-diagnostics.md §2.10.
    ReasonCode {
        /// Kong could not reach the upstream (502/503 after tries).
        UpstreamUnreachable => "UPSTREAM_UNREACHABLE",
        /// The upstream did not answer in time (504 after tries).
        UpstreamTimeout => "UPSTREAM_TIMEOUT",
        /// The upstream refused: 401, 403, 407, 429, or gRPC status 7 or 16.
        UpstreamDenied => "UPSTREAM_DENIED",
        /// The upstream answered 5xx.
        UpstreamError => "UPSTREAM_ERROR",
        /// The upstream answered another 4xx.
        UpstreamRejected => "UPSTREAM_REJECTED",
        /// No route matched.
        NoRoute => "NO_ROUTE",
        /// Refused before routing: malformed request.
        BadRequestPrerouting => "BAD_REQUEST_PREROUTING",
        /// The route wants TLS.
        TlsRequired => "TLS_REQUIRED",
        /// An AI token or cost limit was reached.
        RateLimitedAi => "RATE_LIMITED_AI",
        /// A rate limit was reached.
        RateLimited => "RATE_LIMITED",
        /// The token had expired.
        AuthTokenExpired => "AUTH_TOKEN_EXPIRED",
        /// The token was not valid.
        AuthTokenInvalid => "AUTH_TOKEN_INVALID",
        /// No credential was sent.
        AuthMissing => "AUTH_MISSING",
        /// A static credential was wrong.
        AuthStaticInvalid => "AUTH_STATIC_INVALID",
        /// Authentication failed otherwise.
        AuthFailed => "AUTH_FAILED",
        /// The token lacks a scope, audience, role or group.
        AuthzScope => "AUTHZ_SCOPE",
        /// An access control list refused the consumer.
        AuthzAcl => "AUTHZ_ACL",
        /// The address is not allowed.
        AuthzIp => "AUTHZ_IP",
        /// A bot was detected.
        AuthzBot => "AUTHZ_BOT",
        /// Refused with 403 for a reason that the entry does not show.
        AuthzOther => "AUTHZ_OTHER",
        /// An AI guard refused the prompt.
        AiPromptBlocked => "AI_PROMPT_BLOCKED",
        /// An AI guard refused the answer.
        AiContentBlocked => "AI_CONTENT_BLOCKED",
        /// An AI agent's tool call was refused (`ai.mcp.audit`).
        AiToolDenied => "AI_TOOL_DENIED",
        /// A size limit refused the request.
        RequestTooLarge => "REQUEST_TOO_LARGE",
        /// The request was not valid.
        RequestInvalid => "REQUEST_INVALID",
        /// A request-termination plugin answers here.
        TerminatedByConfig => "TERMINATED_BY_CONFIG",
        /// No target was healthy, or its name did not resolve.
        NoHealthyTarget => "NO_HEALTHY_TARGET",
        /// Kong failed.
        GatewayError => "GATEWAY_ERROR",
        /// The client went away.
        ClientAbort => "CLIENT_ABORT",
        /// The Synapse endpoint answered 401 (SYN-GW-401).
        SynapseUnauthenticated => "SYNAPSE_UNAUTHENTICATED",
        /// The Synapse endpoint answered 403 (SYN-GW-403).
        SynapseForbidden => "SYNAPSE_FORBIDDEN",
        /// The Synapse endpoint answered 429.
        SynapseThrottled => "SYNAPSE_THROTTLED",
        /// A Synapse role operation was refused (SYN-RBAC).
        SynapseRbacDenied => "SYNAPSE_RBAC_DENIED",
        /// A SQL login failed (SYN-SQL-LOGIN).
        SqlLoginFailed => "SQL_LOGIN_FAILED",
        /// A SQL permission was missing (SYN-SQL-PERM, SYN-SQL-BATCH, SYN-BSQL).
        SqlPermissionDenied => "SQL_PERMISSION_DENIED",
        /// The SQL object is missing or forbidden, and the server does not say which (15151, 13807, 4060).
        SqlDeniedOrMissing => "SQL_DENIED_OR_MISSING",
        /// A SQL statement failed for another reason (SYN-SQL-FAIL).
        SqlFailed => "SQL_FAILED",
        /// A web activity got 401 and has no partner (SYN-WEB-401).
        WebUnauthenticated => "WEB_UNAUTHENTICATED",
        /// A web activity got 403 and has no partner (SYN-WEB-403).
        WebForbidden => "WEB_FORBIDDEN",
        /// A web activity got 429 and has no partner (SYN-WEB-429).
        WebThrottled => "WEB_THROTTLED",
        /// A web activity failed otherwise (SYN-WEB-ERR).
        WebFailed => "WEB_FAILED",
        /// An Azure role or Entra sign-in operation was refused.
        AzureDenied => "AZURE_DENIED",
        /// Another operation failed.
        OperationFailed => "OPERATION_FAILED",
    }
}

/// The verdict on one event. Built by the constructors only, so that a denial always names its reason,
/// basis and author, and an allowed event names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    decision: Decision,
    reason: Option<ReasonCode>,
    basis: Option<ReasonBasis>,
    denied_by: Option<DeniedBy>,
}

impl Verdict {
    /// The request went through.
    pub const ALLOWED: Verdict =
        Verdict { decision: Decision::Allowed, reason: None, basis: None, denied_by: None };
    /// The record does not tell.
    pub const UNKNOWN: Verdict =
        Verdict { decision: Decision::Unknown, reason: None, basis: None, denied_by: None };

    /// Refused by policy.
    pub fn denied(reason: ReasonCode, basis: ReasonBasis, by: DeniedBy) -> Self {
        Self { decision: Decision::Denied, reason: Some(reason), basis: Some(basis), denied_by: Some(by) }
    }

    /// Failed without a decision about access.
    pub fn error(reason: ReasonCode, basis: ReasonBasis) -> Self {
        Self { decision: Decision::Error, reason: Some(reason), basis: Some(basis), denied_by: None }
    }

    /// The same verdict, known from the partner event.
    pub fn known_by_join(self) -> Self {
        Self { basis: self.reason.map(|_| ReasonBasis::Join), ..self }
    }

    /// Outcome.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether access was refused.
    pub fn is_denied(&self) -> bool {
        self.decision == Decision::Denied
    }

    /// Why, unless allowed or unknown.
    pub fn reason(&self) -> Option<ReasonCode> {
        self.reason
    }

    /// How the reason is known; present exactly when a reason is.
    pub fn basis(&self) -> Option<ReasonBasis> {
        self.basis
    }

    /// Who refused; present exactly for denials.
    pub fn denied_by(&self) -> Option<DeniedBy> {
        self.denied_by
    }

    /// As bytes, for files of one run: one above the index of each part, 0 for a missing one.
    pub fn to_bytes(self) -> [u8; 4] {
        [
            self.decision as u8,
            self.reason.map_or(0, |reason| reason as u8 + 1),
            self.basis.map_or(0, |basis| basis as u8 + 1),
            self.denied_by.map_or(0, |by| by as u8 + 1),
        ]
    }

    /// From the bytes of [`Verdict::to_bytes`]. None for any that no verdict has.
    pub fn from_bytes([decision, reason, basis, denied_by]: [u8; 4]) -> Option<Self> {
        let reason = reason.checked_sub(1).and_then(ReasonCode::at);
        let basis = basis.checked_sub(1).and_then(ReasonBasis::at);
        let denied_by = denied_by.checked_sub(1).and_then(DeniedBy::at);
        match (Decision::at(decision)?, reason, basis, denied_by) {
            (Decision::Allowed, None, None, None) => Some(Self::ALLOWED),
            (Decision::Unknown, None, None, None) => Some(Self::UNKNOWN),
            (Decision::Denied, Some(reason), Some(basis), Some(by)) => Some(Self::denied(reason, basis, by)),
            (Decision::Error, Some(reason), Some(basis), None) => Some(Self::error(reason, basis)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_come_back_from_their_bytes() {
        for &reason in ReasonCode::ALL {
            let denied = Verdict::denied(reason, ReasonBasis::Join, DeniedBy::Unknown);
            for verdict in
                [Verdict::ALLOWED, Verdict::UNKNOWN, Verdict::error(reason, ReasonBasis::Message), denied]
            {
                assert_eq!(Verdict::from_bytes(verdict.to_bytes()), Some(verdict));
            }
        }
        assert_eq!(Verdict::from_bytes([0, 1, 1, 0]), None, "allowed events name no reason");
        assert_eq!(Verdict::from_bytes([9, 0, 0, 0]), None);
    }
}
