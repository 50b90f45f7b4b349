//! The join's words: what the operator needs of an event, and what it says of it.

use crate::decision::{Verdict, codes};
use crate::finding::FindingSet;
use crate::id::{EventId, Key128};
use crate::identity::{IdentityKeys, IdentityMatch};
use crate::time::Micros;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

codes! {
    /// Side of the corridor an event belongs to. Only events of different sides are partners.
    Side {
        /// Kong entries.
        Kong => "kong",
        /// Azure records.
        Azure => "azure",
    }
}

codes! {
    /// Whether the event has a partner (`join_state`).
    JoinState {
        /// It has.
        Matched => "matched",
        /// It could have, but none was found.
        Unmatched => "unmatched",
        /// It carries no key that the other side could hold.
        NotEligible => "not_eligible",
    }
}

codes! {
    /// The rung of the ladder that matched (`join_method`), strongest first.
    JoinMethod {
        /// Kong's request id seen by the activity.
        RequestId => "request_id",
        /// The same correlation id on both sides.
        CorrelationId => "correlation_id",
        /// The pipeline run id, with method, path and time.
        RunId => "run_id",
        /// The same principal, method, host, path and time.
        IdentityTime => "identity_time",
    }
}

codes! {
    /// How sure the match is (`join_confidence`).
    JoinConfidence {
        /// An id that only the partner can hold.
        Exact => "exact",
        /// A run id with method, path and time, or an exact rung with a rival.
        Strong => "strong",
        /// Circumstance, or a strong rung with a rival.
        Probable => "probable",
    }
}

/// A correlation id for comparison. Kong's `uuid#counter` ids equal a bare uuid, but not another counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CorrelationKey {
    /// Key of the id without its counter.
    pub base: Key128,
    /// The counter behind `#`, if there is one.
    pub counter: Option<u64>,
}

impl CorrelationKey {
    /// Key of an id as either system prints it. None for a missing id.
    pub fn of(raw: &str) -> Option<Self> {
        let id = crate::id::trim_id(raw);
        if let Some((head, tail)) = id.rsplit_once('#')
            && crate::id::parse_hex_id(head).is_some()
            && !tail.is_empty()
            && let Ok(counter) = tail.parse()
        {
            return Key128::of_id(head).map(|base| Self { base, counter: Some(counter) });
        }
        Key128::of_id(id).map(|base| Self { base, counter: None })
    }

    /// Whether two keys may name the same call.
    pub fn matches(&self, other: &Self) -> bool {
        self.base == other.base
            && (self.counter.is_none() || other.counter.is_none() || self.counter == other.counter)
    }
}

/// What the other side's row says about its peer: the `peer_*` columns.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerSummary {
    /// The peer's id.
    pub event_id: EventId,
    /// The peer's event time.
    pub time: Micros,
    /// The texts.
    pub texts: PeerTexts,
}

impl fmt::Debug for PeerSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSummary")
            .field("event_id", &self.event_id)
            .field("category", &self.texts.category())
            .field("operation", &self.texts.operation())
            .field("status", &self.texts.status())
            .field("principal_id", &self.texts.principal_id())
            .field("time", &self.time)
            .finish()
    }
}

/// The texts of a [`PeerSummary`], one behind the other: the join holds them for each event of the last hours.
#[derive(Clone)]
pub struct PeerTexts {
    place: Place,
    /// One above the length of each; 0 for one that is missing.
    sizes: [u32; 4],
}

/// Where the texts are.
#[derive(Clone)]
enum Place {
    Own(Box<str>),
    /// In a block that the texts of many events share, from this byte on.
    Shared(Arc<str>, u32),
}

impl PeerTexts {
    /// Puts the texts together.
    pub fn new(
        category: &str,
        operation: Option<&str>,
        status: Option<&str>,
        principal_id: Option<&str>,
    ) -> Self {
        let texts = [Some(category), operation, status, principal_id];
        let mut all = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        let sizes = texts.map(|text| {
            let text = text.filter(|text| text.len() < u32::MAX as usize);
            all.push_str(text.unwrap_or_default());
            text.map_or(0, |text| text.len() as u32 + 1)
        });
        Self { place: Place::Own(all.into_boxed_str()), sizes }
    }

    /// Texts that stand in a block, from byte `start` on; sizes as [`PeerTexts::sizes`] tells them. None if the
    /// block has no such texts.
    pub fn shared(block: &Arc<str>, start: u32, sizes: [u32; 4]) -> Option<Self> {
        let texts = Self { place: Place::Shared(Arc::clone(block), start), sizes };
        (0..sizes.len()).all(|index| sizes[index] == 0 || texts.text(index).is_some()).then_some(texts)
    }

    /// One above the length of each text; 0 for one that is missing.
    pub fn sizes(&self) -> [u32; 4] {
        self.sizes
    }

    /// The texts, one behind the other.
    pub fn all(&self) -> &str {
        match &self.place {
            Place::Own(all) => all,
            Place::Shared(block, start) => {
                let length: usize = self.sizes.iter().map(|size| size.saturating_sub(1) as usize).sum();
                block.get(*start as usize..*start as usize + length).unwrap_or_default()
            }
        }
    }

    /// The peer's category.
    pub fn category(&self) -> &str {
        self.text(0).unwrap_or_default()
    }

    /// The peer's operation: for Kong method and path, for Azure the operation name.
    pub fn operation(&self) -> Option<&str> {
        self.text(1)
    }

    /// The peer's status: HTTP status, or the activity's status word.
    pub fn status(&self) -> Option<&str> {
        self.text(2)
    }

    /// The peer's principal.
    pub fn principal_id(&self) -> Option<&str> {
        self.text(3)
    }

    fn text(&self, index: usize) -> Option<&str> {
        let length = self.sizes[index].checked_sub(1)? as usize;
        let before: usize = self.sizes[..index].iter().map(|size| size.saturating_sub(1) as usize).sum();
        let (all, start) = match &self.place {
            Place::Own(all) => (&**all, before),
            Place::Shared(block, start) => (&**block, *start as usize + before),
        };
        all.get(start..start + length)
    }
}

impl PartialEq for PeerTexts {
    fn eq(&self, other: &Self) -> bool {
        self.sizes == other.sizes && self.all() == other.all()
    }
}

impl Eq for PeerTexts {}

impl fmt::Debug for PeerTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [Some(self.category()), self.operation(), self.status(), self.principal_id()];
        f.debug_list().entries(texts).finish()
    }
}

/// Keys of an event, nearly always one.
pub type FewKeys<K> = SmallVec<[K; 1]>;

/// Everything the join operator needs of one event. Small and owned: it is also what a hint and an introduction
/// carry between shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinFacts {
    /// Which side.
    pub side: Side,
    /// The `peer_*` columns this event gives its partner; holds the event's id and time.
    pub summary: PeerSummary,
    /// First moment of the event: Kong `started_at`, an activity's `start`, else the event time.
    pub start: Micros,
    /// Last moment: an activity's `end` (`start` + 10 min while it runs), else `start`. Never before `start`.
    pub end: Micros,
    /// Kong: its own request id. Azure: the request ids seen in response headers or error text.
    pub request_ids: FewKeys<Key128>,
    /// The correlation ids of the correlation_id rung. Kong: at most one.
    pub correlation_ids: FewKeys<CorrelationKey>,
    /// Pipeline run id, if the event carries one for the run_id rung.
    pub run_id: Option<Key128>,
    /// Key of method and URL path (run_id rung).
    pub call: Option<Key128>,
    /// Key of method, host and URL path (identity_time rung); only set when that rung may apply.
    pub call_at_host: Option<Key128>,
    /// The principal's names.
    pub identity: IdentityKeys,
    /// Verdict before the join.
    pub verdict: Verdict,
    /// Findings known before the join.
    pub findings: FindingSet,
    /// False when the event can have no partner: `not_eligible`, final at once.
    pub is_eligible: bool,
    /// True for a final run record, false for a heartbeat (`InProgress`, `Queued`). Kong entries are final.
    pub is_final_record: bool,
    /// Azure: a failed activity that takes its Kong partner's decision.
    pub takes_partner_verdict: bool,
    /// Azure: an activity that got an answer from a gateway host; without a partner the gateway's record is missing.
    pub expects_gateway_record: bool,
    /// The correlation id whose reuse by several principals is a finding (the `correlation_id` column, where Kong made or carried it).
    pub reuse_key: Option<Key128>,
}

/// What the join says of one event: the `join_*` and `peer_*` columns, and the final verdict and findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOutcome {
    /// Whether a partner was found.
    pub state: JoinState,
    /// By which rung; present exactly when matched.
    pub method: Option<JoinMethod>,
    /// How surely; present exactly when matched.
    pub confidence: Option<JoinConfidence>,
    /// The best peer; present exactly when matched.
    pub peer: Option<PeerSummary>,
    /// Number of peers on that rung; 0 when not matched.
    pub peer_count: u32,
    /// Comparison of the two principals; present exactly when matched.
    pub identity_match: Option<IdentityMatch>,
    /// The verdict after the join.
    pub verdict: Verdict,
    /// All findings of the row.
    pub findings: FindingSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_texts_differ_from_empty_ones() {
        let texts = PeerTexts::new("http", None, Some(""), Some("ö"));
        assert_eq!((texts.category(), texts.operation()), ("http", None));
        assert_eq!((texts.status(), texts.principal_id()), (Some(""), Some("ö")));
        assert_eq!(PeerTexts::new("", Some("x"), None, None).operation(), Some("x"));
    }

    #[test]
    fn texts_in_a_block_equal_texts_of_their_own() {
        let texts = PeerTexts::new("http", None, Some(""), Some("ö"));
        let block = Arc::from(format!("other{}", texts.all()));
        assert_eq!(PeerTexts::shared(&block, 5, texts.sizes()), Some(texts.clone()));
        assert_ne!(PeerTexts::shared(&block, 4, texts.sizes()), Some(texts.clone()));
        assert_eq!(PeerTexts::shared(&block, 6, texts.sizes()), None, "the block ends before");
    }

    #[test]
    fn counter_counts_only_against_another_counter() {
        let bare = CorrelationKey::of("3a9c52f0-6c0d-4e0f-9a77-1b8f6f1d2c3e").unwrap();
        let one = CorrelationKey::of("3A9C52F0-6c0d-4e0f-9a77-1b8f6f1d2c3e#1").unwrap();
        let two = CorrelationKey::of("3a9c52f0-6c0d-4e0f-9a77-1b8f6f1d2c3e#2").unwrap();
        assert!(bare.matches(&one) && bare.matches(&two) && !one.matches(&two));
        assert_ne!(CorrelationKey::of("order#1"), CorrelationKey::of("order#2"));
        assert_eq!(CorrelationKey::of(" {} "), None);
    }
}
