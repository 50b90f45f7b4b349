//! Ladder: by which rungs a Kong event and an Azure event match.
//!
//! - In: the facts of both.
//! - Out: the set of rungs.
//! - Invariants: a function of the pair alone.

use super::JoinConfig;
use super::timeline::Span;
use corridor_model::{IdentityMatch, JoinFacts, JoinMethod, Key128, Side};

/// A set of rungs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rungs(u8);

impl Rungs {
    /// Number of rungs.
    pub(super) const COUNT: usize = JoinMethod::ALL.len();
    /// No rung.
    pub(super) const NONE: Rungs = Rungs(0);

    /// Adds one.
    pub(super) fn insert(&mut self, rung: JoinMethod) {
        self.0 |= 1 << rung as u8;
    }

    /// Whether it is in the set.
    pub(super) fn contains(self, rung: JoinMethod) -> bool {
        self.0 & (1 << rung as u8) != 0
    }

    /// Without the rungs of another set.
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rungs, strongest first.
    pub(super) fn iter(self) -> impl Iterator<Item = JoinMethod> {
        JoinMethod::ALL.iter().copied().filter(move |rung| self.contains(*rung))
    }
}

/// The time that partners must be near: an activity's `start` to `end`, a Kong event's start.
pub(super) fn span_of(facts: &JoinFacts) -> Span {
    match facts.side {
        Side::Kong => Span::at(facts.start),
        Side::Azure => Span { start: facts.start, end: facts.end.max(facts.start) },
    }
}

/// How far apart two partners may be on a rung.
pub(super) fn slack_of(rung: JoinMethod, config: &JoinConfig) -> i64 {
    match rung {
        JoinMethod::RequestId | JoinMethod::CorrelationId => config.horizon,
        JoinMethod::RunId | JoinMethod::IdentityTime => config.run_slack.min(config.horizon),
    }
}

/// The pipeline run ids that a Kong event names: its own header, and a correlation id that may be one.
pub(super) fn kong_run_ids(kong: &JoinFacts) -> impl Iterator<Item = Key128> + '_ {
    let correlation = kong.correlation_ids.iter().filter(|id| id.counter.is_none()).map(|id| id.base);
    kong.run_id.into_iter().chain(correlation.filter(|id| kong.run_id != Some(*id)))
}

/// The rungs by which the two match.
pub(super) fn rungs_of_pair(kong: &JoinFacts, azure: &JoinFacts, config: &JoinConfig) -> Rungs {
    let mut rungs = Rungs::NONE;
    let (kong_span, azure_span) = (span_of(kong), span_of(azure));
    let is_near = |rung| kong_span.is_near(azure_span, slack_of(rung, config));
    if is_near(JoinMethod::RequestId) {
        if kong.request_ids.iter().any(|id| azure.request_ids.contains(id)) {
            rungs.insert(JoinMethod::RequestId);
        }
        if shares_correlation_id(kong, azure) {
            rungs.insert(JoinMethod::CorrelationId);
        }
    }
    if is_near(JoinMethod::RunId) {
        if azure.call.is_some()
            && azure.call == kong.call
            && azure.run_id.is_some_and(|run| kong_run_ids(kong).any(|id| id == run))
        {
            rungs.insert(JoinMethod::RunId);
        }
        if azure.call_at_host.is_some()
            && azure.call_at_host == kong.call_at_host
            && azure.identity.compare(&kong.identity) == IdentityMatch::Equal
        {
            rungs.insert(JoinMethod::IdentityTime);
        }
    }
    rungs
}

/// A correlation id that is the activity's run id names many calls, so it belongs to the run_id rung.
fn shares_correlation_id(kong: &JoinFacts, azure: &JoinFacts) -> bool {
    let mut own = kong.correlation_ids.iter().filter(|id| azure.run_id != Some(id.base));
    own.any(|id| azure.correlation_ids.iter().any(|other| id.matches(other)))
}

/// The side that partners are on.
pub(super) fn opposite(side: Side) -> Side {
    match side {
        Side::Kong => Side::Azure,
        Side::Azure => Side::Kong,
    }
}
