//! Findings: what an auditor should look at on a row. Stored as sorted, comma-separated codes.

use crate::decision::codes;
use serde::{Deserialize, Serialize};
use std::fmt;

codes! {
    /// A finding. Declared in alphabetical order of the codes: the stored list is sorted.
    Finding {
        /// An AI guard refused a prompt.
        AiPromptBlocked => "AI_PROMPT_BLOCKED",
        /// A guard in log-only mode would have refused.
        AiPromptFlagged => "AI_PROMPT_FLAGGED",
        /// The event's clock is ahead of the time it was appended.
        ClockAhead => "CLOCK_AHEAD",
        /// One correlation id, two or more principals within the horizon.
        CorrelationReused => "CORRELATION_REUSED",
        /// The gateway refused after the upstream had done the work.
        DeniedAfterUpstream => "DENIED_AFTER_UPSTREAM",
        /// A token was accepted after its `exp`.
        ExpiredTokenAccepted => "EXPIRED_TOKEN_ACCEPTED",
        /// An activity went round the gateway.
        GatewayBypass => "GATEWAY_BYPASS",
        /// An activity got its answer through the gateway, but the gateway's record is missing.
        GatewayRecordMissing => "GATEWAY_RECORD_MISSING",
        /// The two sides of a match name different principals.
        IdentityMismatch => "IDENTITY_MISMATCH",
        /// The bytes were not valid UTF-8 and were decoded lossily.
        InvalidUtf8 => "INVALID_UTF8",
        /// The row was made final early because the memory budget was reached.
        JoinedEarly => "JOINED_EARLY",
        /// More than 256 candidates shared one key: that rung was skipped.
        JoinKeyHot => "JOIN_KEY_HOT",
        /// A Kong http request on a route carries no correlation id.
        NoCorrelationId => "NO_CORRELATION_ID",
        /// A long-lived secret was used.
        StaticCredential => "STATIC_CREDENTIAL",
        /// Not all shards' ticks arrived in time.
        TicksMissing => "TICKS_MISSING",
        /// The token lived longer than the limit.
        TokenTooLong => "TOKEN_TOO_LONG",
        /// A protected route answered without an authenticated caller.
        UnauthenticatedSuccess => "UNAUTHENTICATED_SUCCESS",
        /// The principal is not in the directory.
        UnknownPrincipal => "UNKNOWN_PRINCIPAL",
    }
}

/// A set of findings.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct FindingSet(u32);

impl FindingSet {
    /// No finding.
    pub const EMPTY: FindingSet = FindingSet(0);

    /// Adds one.
    pub fn insert(&mut self, finding: Finding) {
        self.0 |= 1 << finding as u32;
    }

    /// Whether it is in the set.
    pub fn contains(&self, finding: Finding) -> bool {
        self.0 & (1 << finding as u32) != 0
    }

    /// Both sets together.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// One bit per finding, for files of one run.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The findings of [`FindingSet::bits`]. None if there is a bit that stands for none.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (bits >> Finding::ALL.len() == 0).then_some(Self(bits))
    }

    /// The findings in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL.iter().copied().filter(move |finding| self.contains(*finding))
    }
}

impl FromIterator<Finding> for FindingSet {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let mut set = Self::EMPTY;
        findings.into_iter().for_each(|finding| set.insert(finding));
        set
    }
}

impl fmt::Display for FindingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(finding.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for FindingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_print_sorted_without_repeats() {
        let set: FindingSet =
            [Finding::UnknownPrincipal, Finding::ClockAhead, Finding::UnknownPrincipal].into_iter().collect();
        assert_eq!(set.to_string(), "CLOCK_AHEAD,UNKNOWN_PRINCIPAL");
        assert!(FindingSet::EMPTY.to_string().is_empty());
    }

    #[test]
    fn declaration_order_is_code_order() {
        assert!(Finding::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }
}
