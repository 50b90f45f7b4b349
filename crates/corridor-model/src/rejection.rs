//! Rejections: records that could not become events. Data, not errors: counted, stored and shown.

use std::fmt;

/// Why a record was rejected. The text form is stored in `rejects.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectCode {
    /// The bytes are not JSON.
    NotJson,
    /// JSON, but not an object that either parser knows as a record.
    NotARecord,
    /// No usable event time, or one outside 1970 to 9999.
    EventTimeInvalid,
    /// An Azure metric (`metricName` and no `category`): counted, no alarm.
    MetricRecord,
    /// Longer than the limit for one record.
    RecordTooLarge,
    /// The end of a batch, envelope or line is missing.
    Truncated,
    /// The same event id as an accepted event, with other content.
    IdConflict,
}

impl RejectCode {
    /// All codes, for documentation and tests.
    pub const ALL: [RejectCode; 7] = [
        Self::NotJson,
        Self::NotARecord,
        Self::EventTimeInvalid,
        Self::MetricRecord,
        Self::RecordTooLarge,
        Self::Truncated,
        Self::IdConflict,
    ];

    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "NOT_JSON",
            Self::NotARecord => "NOT_A_RECORD",
            Self::EventTimeInvalid => "EVENT_TIME_INVALID",
            Self::MetricRecord => "METRIC_RECORD",
            Self::RecordTooLarge => "RECORD_TOO_LARGE",
            Self::Truncated => "TRUNCATED",
            Self::IdConflict => "ID_CONFLICT",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rejected record: what was wrong, and its redacted head. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Machine-readable cause.
    pub code: RejectCode,
    /// What we tried and what stood in the way, for a person. Redacted.
    pub detail: String,
    /// Redacted head of the record (lossy UTF-8), for diagnosis.
    pub preview: String,
}
