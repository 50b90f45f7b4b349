//! Config: what the decK dump adds to the facts.
//!
//! - In: the plugins that guard the entry's route.
//! - Out: the reason of the one plugin that can have answered like this, and guards that only log.
//! - Invariants: a plugin counts only if it can give this status to this caller; two candidates are no knowledge.

use super::Facts;
use crate::directory::Guard;
use corridor_model::ReasonCode;

/// Turns refusals into flags where every AI guard on the route only logs.
pub(super) fn quiet_guards(facts: &mut Facts, guards: &[Guard]) {
    let verdicts = &mut facts.guards;
    if !(verdicts.is_prompt_refused || verdicts.is_answer_refused) {
        return;
    }
    let mut ai_guards = guards.iter().filter(|guard| is_ai_guard(&guard.plugin)).peekable();
    if ai_guards.peek().is_some() && ai_guards.all(|guard| guard.is_log_only) {
        verdicts.is_flagged = true;
        verdicts.is_prompt_refused = false;
        verdicts.is_answer_refused = false;
    }
}

/// Reads what the dump says of a failure.
pub(super) fn read_guards(facts: &mut Facts, guards: &[Guard]) {
    if guards.is_empty() {
        return;
    }
    let has = |name: &str| guards.iter().any(|guard| guard.plugin == name);
    facts.has_configured_oidc = has("openid-connect");
    facts.is_function_route = has("aws-lambda") || has("azure-functions");
    facts.has_configured_ai_guard =
        guards.iter().any(|guard| is_ai_guard(&guard.plugin) && !guard.is_log_only);
    // A refused session has status 500 or 403, whatever the plugin is set to.
    let status = if facts.is_stream { Some(403) } else { facts.status };
    let mut candidates = guards.iter().filter_map(|guard| {
        // A guard of some consumers cannot have refused before the consumer was known.
        let reason =
            reason_of(guard, facts.has_consumer).filter(|_| facts.has_consumer || !guard.is_partial)?;
        (status_of(guard) == status).then_some((&guard.plugin, reason))
    });
    if let Some((plugin, reason)) = candidates.next()
        && candidates.all(|(other, _)| other == plugin)
    {
        facts.configured_reason = Some(reason);
    }
}

/// The reason a plugin refuses for. None if it cannot refuse such a caller, or may do anything.
fn reason_of(guard: &Guard, has_consumer: bool) -> Option<ReasonCode> {
    Some(match guard.plugin.as_str() {
        "acl" if has_consumer => ReasonCode::AuthzAcl,
        "ip-restriction" => ReasonCode::AuthzIp,
        "bot-detection" if !has_consumer => ReasonCode::AuthzBot,
        "openid-connect" => ReasonCode::AuthzScope,
        "opa" => ReasonCode::AuthzOther,
        "rate-limiting" | "rate-limiting-advanced" | "response-ratelimiting" | "service-protection" => {
            ReasonCode::RateLimited
        }
        "ai-rate-limiting-advanced" => ReasonCode::RateLimitedAi,
        "request-termination" => ReasonCode::TerminatedByConfig,
        plugin if is_ai_guard(plugin) && !guard.is_log_only => ReasonCode::AiPromptBlocked,
        _ => return None,
    })
}

/// The status a plugin refuses with, as set or by default.
fn status_of(guard: &Guard) -> Option<i64> {
    let default = match guard.plugin.as_str() {
        "acl"
        | "ip-restriction"
        | "bot-detection"
        | "openid-connect"
        | "opa"
        | "ai-semantic-prompt-guard" => 403,
        "request-termination" => 503,
        plugin if plugin.contains("rate") || plugin == "service-protection" => 429,
        plugin if is_ai_guard(plugin) => 400,
        _ => return None,
    };
    Some(guard.status.map_or(default, i64::from))
}

fn is_ai_guard(plugin: &str) -> bool {
    plugin.starts_with("ai-") && ["guard", "safety", "armor"].iter().any(|word| plugin.contains(word))
}
