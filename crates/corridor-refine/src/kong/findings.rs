//! Findings: what an auditor should look at on a Kong row.
//!
//! - In: the caller, the credential, the verdict, the route's policy.
//! - Out: the findings known before the join.

use super::credential::{Credential, has_authentication};
use super::entry::Entry;
use super::identity::Caller;
use super::verdict::Facts;
use crate::directory::{Guard, RoutePolicy};
use crate::refiner::Settings;
use corridor_model::time::SECOND;
use corridor_model::{
    CorrelationOrigin, Decision, DeniedBy, Finding, FindingSet, Micros, ReasonCode, Verdict,
};

/// What the findings are read from.
#[derive(Debug)]
pub(super) struct Circumstances<'s, 'e> {
    /// When the request started.
    pub(super) event_time: Micros,
    /// Who called.
    pub(super) caller: &'s Caller<'e>,
    /// With what.
    pub(super) credential: Credential,
    /// What became of it.
    pub(super) verdict: Verdict,
    /// What the verdict was read from.
    pub(super) facts: &'s Facts,
    /// Whether there is a correlation id.
    pub(super) origin: CorrelationOrigin,
    /// Plugins on the route.
    pub(super) guards: &'s [Guard],
    /// The route's row in `routes.csv`.
    pub(super) policy: Option<&'s RoutePolicy>,
}

/// The findings of one entry.
pub(super) fn findings_of(
    entry: &Entry<'_>,
    seen: &Circumstances<'_, '_>,
    settings: &Settings,
) -> FindingSet {
    let is_allowed = seen.verdict.decision() == Decision::Allowed;
    let is_denied_here = seen.verdict.denied_by() == Some(DeniedBy::Gateway);
    let (issued, expires) = (seen.caller.token_issued_at, seen.caller.token_expires_at);
    let life_max = settings.token_lifetime_seconds_max.saturating_mul(SECOND);
    let lives_too_long = issued.zip(expires).is_some_and(|(from, to)| to.0.saturating_sub(from.0) > life_max);
    let checks = [
        (Finding::StaticCredential, seen.credential.is_static() == Some(true)),
        (Finding::UnauthenticatedSuccess, is_allowed && is_unauthenticated_success(entry, seen)),
        (Finding::ExpiredTokenAccepted, is_allowed && expires.is_some_and(|end| end < seen.event_time)),
        // Claims of a refused token are the caller's own text.
        (Finding::TokenTooLong, !seen.verdict.is_denied() && lives_too_long),
        (
            Finding::NoCorrelationId,
            !entry.is_stream() && entry.route.is_object && seen.origin == CorrelationOrigin::Missing,
        ),
        (Finding::UnknownPrincipal, seen.caller.identity.in_directory == Some(false)),
        (Finding::AiPromptBlocked, seen.verdict.reason() == Some(ReasonCode::AiPromptBlocked)),
        (Finding::AiPromptFlagged, seen.facts.is_ai_flagged()),
        (Finding::DeniedAfterUpstream, is_denied_here && seen.facts.is_after_upstream()),
    ];
    checks.into_iter().filter_map(|(finding, holds)| holds.then_some(finding)).collect()
}

/// A protected route gave an answer to nobody. Preflights carry no credential by design.
fn is_unauthenticated_success(entry: &Entry<'_>, seen: &Circumstances<'_, '_>) -> bool {
    let is_success = matches!(entry.status(), Some(101 | 200..=299));
    let is_preflight =
        entry.request.method.as_str().is_some_and(|method| method.eq_ignore_ascii_case("options"));
    let must_authenticate = match seen.policy.and_then(|policy| policy.required_auth) {
        Some(required) => required,
        None => has_authentication(seen.guards),
    };
    is_success && must_authenticate && !is_preflight && !entry.is_stream() && !seen.caller.is_authenticated
}
