//! The words of Corridor: the types that travel from intake to the lake.
//!
//! - In: nothing; this crate does no I/O, reads no clock and is synchronous.
//! - Out: events, verdicts, findings, join facts, rejections, counts.
//! - Invariants: times are UTC microseconds; a code is an enum here and text only in the lake.
//!
//! Modules stand in the order in which a record meets them.

pub mod text;

pub mod time;

pub mod id;

pub mod origin;

pub mod rejection;

pub mod event;

pub mod identity;

pub mod decision;

pub mod finding;

pub mod join;

pub mod ledger;

pub use decision::{Decision, DeniedBy, ReasonBasis, ReasonCode, Verdict};
pub use event::{CorrelationOrigin, Event, Source};
pub use finding::{Finding, FindingSet};
pub use id::{EventId, Key128, RecordDigest};
pub use identity::{IdentityBasis, IdentityKeys, IdentityMatch, PrincipalType};
pub use join::{JoinConfidence, JoinFacts, JoinMethod, JoinOutcome, JoinState, PeerSummary, PeerTexts, Side};
pub use ledger::Ledger;
pub use origin::{LogIdentity, Origin};
pub use rejection::{RejectCode, Rejection};
pub use time::{HourBucket, Micros, Slice};
