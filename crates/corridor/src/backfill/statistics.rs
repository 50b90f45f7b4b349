//! Statistics: what the landed rows say, for the summary.

use corridor_model::JoinOutcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts of rows by what they say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// By decision.
    pub decisions: BTreeMap<&'static str, u64>,
    /// Denied rows by reason.
    pub denials: BTreeMap<&'static str, u64>,
    /// By join state.
    pub join_states: BTreeMap<&'static str, u64>,
    /// Matched rows by rung.
    pub join_methods: BTreeMap<&'static str, u64>,
    /// Matched rows by comparison of principals.
    pub identity_matches: BTreeMap<&'static str, u64>,
    /// By finding; a row may have several.
    pub findings: BTreeMap<&'static str, u64>,
    /// Copies of an event id with other content.
    pub conflicts: u64,
}

impl Statistics {
    /// Counts one row.
    pub fn count(&mut self, outcome: &JoinOutcome) {
        let bump = |counts: &mut BTreeMap<&'static str, u64>, key| *counts.entry(key).or_default() += 1;
        bump(&mut self.decisions, outcome.verdict.decision().as_str());
        if let (true, Some(reason)) = (outcome.verdict.is_denied(), outcome.verdict.reason()) {
            bump(&mut self.denials, reason.as_str());
        }
        bump(&mut self.join_states, outcome.state.as_str());
        if let Some(method) = outcome.method {
            bump(&mut self.join_methods, method.as_str());
        }
        if let Some(identity) = outcome.identity_match {
            bump(&mut self.identity_matches, identity.as_str());
        }
        for finding in outcome.findings.iter() {
            bump(&mut self.findings, finding.as_str());
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        let merge = |mine: &mut BTreeMap<&'static str, u64>, theirs: &BTreeMap<&'static str, u64>| {
            theirs.iter().for_each(|(key, count)| *mine.entry(*key).or_default() += count);
        };
        merge(&mut self.decisions, &other.decisions);
        merge(&mut self.denials, &other.denials);
        merge(&mut self.join_states, &other.join_states);
        merge(&mut self.join_methods, &other.join_methods);
        merge(&mut self.identity_matches, &other.identity_matches);
        merge(&mut self.findings, &other.findings);
        self.conflicts += other.conflicts;
    }
}
