//! Verdict: what became of the operation, by one table of rules.
//!
//! - In: [`Signals`], what the record says about its outcome.
//! - Out: the verdict and the name of the rule that gave it.
//! - Invariants: synapse-diagnostics.md §2.10 and rulings.md; the first rule that applies decides; the last always does.

use super::kind::Kind;
use super::sql::{SqlAction, SqlErrorClass, is_denied_or_missing_text, is_permission_text, sql_error_class};
use super::{answer, phrase};
use corridor_model::{DeniedBy, ReasonBasis, ReasonCode, Verdict};

/// The outcome as a word says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Word {
    /// It worked.
    Succeeded,
    /// It did not work.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It goes on.
    Running,
    /// Not stated, or a word that nobody knows.
    #[default]
    Unknown,
}

impl Word {
    /// Reads a word of `status`, `resultType` and the like; `Succeeded.OK` counts by its head.
    pub(super) fn parse(text: &str) -> Self {
        let head = text.trim().split(['.', ' ']).next().unwrap_or("");
        let is = |words: &[&str]| words.iter().any(|word| head.eq_ignore_ascii_case(word));
        if is(&[
            "succeeded",
            "success",
            "completed",
            "complete",
            "stepcomplete",
            "ok",
            "accepted",
            "created",
            "granted",
        ]) {
            Self::Succeeded
        } else if is(&[
            "failed",
            "failure",
            "fail",
            "error",
            "faulted",
            "aborted",
            "timedout",
            "unauthorized",
            "forbidden",
            "denied",
        ]) {
            Self::Failed
        } else if is(&["cancelled", "canceled"]) {
            Self::Cancelled
        } else if is(&[
            "inprogress",
            "in",
            "queued",
            "running",
            "suspended",
            "started",
            "start",
            "pending",
            "waiting",
            "active",
        ]) {
            Self::Running
        } else {
            Self::Unknown
        }
    }
}

/// What the record says about its outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals<'r> {
    pub(super) kind: Kind,
    /// Whether the activity is a web call.
    pub(super) is_web: bool,
    /// `status` or `resultType`.
    pub(super) word: Word,
    /// The outcome as the record writes it.
    pub(super) result: &'r str,
    /// HTTP status: of `resultSignature`, or what a web activity got back.
    pub(super) http: Option<u16>,
    /// What a web activity got back.
    pub(super) answer: answer::Answer,
    /// Error text or description.
    pub(super) text: &'r str,
    /// SQL error number that decides.
    pub(super) sql_error: Option<u32>,
    pub(super) sql_action: SqlAction,
    /// SQL audit `succeeded`.
    pub(super) succeeded: Option<bool>,
}

impl Signals<'_> {
    fn has_failed(&self) -> bool {
        self.word == Word::Failed || self.http.is_some_and(|status| status >= 400)
    }

    fn is_failed_web(&self, status: u16) -> bool {
        self.is_web && self.word == Word::Failed && self.answer.status == Some(status)
    }

    fn is_failed_audit(&self, actions: &[SqlAction]) -> bool {
        self.kind == Kind::SqlAudit && self.succeeded == Some(false) && actions.contains(&self.sql_action)
    }

    fn is_failed_builtin(&self) -> bool {
        self.kind == Kind::BuiltinSql
            && (self.word == Word::Failed || self.sql_error.is_some() || !self.text.is_empty())
    }

    fn sql_class(&self) -> Option<SqlErrorClass> {
        self.sql_error.map(sql_error_class)
    }

    /// A number or text says so, else only the status.
    fn sql_basis(&self) -> ReasonBasis {
        if self.sql_error.is_some() || !self.text.is_empty() {
            ReasonBasis::Message
        } else {
            ReasonBasis::Status
        }
    }

    fn web_basis(&self) -> ReasonBasis {
        if self.answer.is_from_text { ReasonBasis::Message } else { ReasonBasis::Status }
    }

    fn web_author(&self) -> DeniedBy {
        if self.answer.is_kongs { DeniedBy::Gateway } else { DeniedBy::Unknown }
    }
}

struct Rule {
    name: &'static str,
    applies: fn(&Signals<'_>) -> bool,
    gives: fn(&Signals<'_>) -> Verdict,
}

fn by_status(reason: ReasonCode) -> Verdict {
    Verdict::denied(reason, ReasonBasis::Status, DeniedBy::Synapse)
}

fn by_sql(signals: &Signals<'_>, reason: ReasonCode) -> Verdict {
    Verdict::denied(reason, signals.sql_basis(), DeniedBy::Synapse)
}

fn by_web(signals: &Signals<'_>, reason: ReasonCode) -> Verdict {
    Verdict::denied(reason, signals.web_basis(), signals.web_author())
}

fn failed(_: &Signals<'_>) -> Verdict {
    Verdict::error(ReasonCode::OperationFailed, ReasonBasis::Status)
}

/// A batch or remote call of SQL; records without an action count here, because `succeeded` then means "worked".
const BATCHES: &[SqlAction] = &[SqlAction::Batch, SqlAction::Unknown];

const RULES: &[Rule] = &[
    Rule {
        name: "SYN-GW-401",
        applies: |s| s.kind == Kind::Gateway && s.http == Some(401),
        gives: |_| by_status(ReasonCode::SynapseUnauthenticated),
    },
    Rule {
        name: "SYN-GW-403",
        applies: |s| s.kind == Kind::Gateway && s.http == Some(403),
        gives: |_| by_status(ReasonCode::SynapseForbidden),
    },
    Rule {
        name: "SYN-GW-429",
        applies: |s| matches!(s.kind, Kind::Gateway | Kind::Rbac) && s.http == Some(429),
        gives: |_| by_status(ReasonCode::SynapseThrottled),
    },
    Rule {
        name: "SYN-RBAC",
        applies: |s| s.kind == Kind::Rbac && matches!(s.http, Some(401 | 403)),
        gives: |_| by_status(ReasonCode::SynapseRbacDenied),
    },
    Rule {
        name: "SYN-RBAC",
        applies: |s| {
            s.kind == Kind::Rbac
                && s.has_failed()
                && phrase::contains(s.text, "does not have the required Synapse RBAC permission")
        },
        gives: |_| Verdict::denied(ReasonCode::SynapseRbacDenied, ReasonBasis::Message, DeniedBy::Synapse),
    },
    Rule {
        name: "SYN-SQL-LOGIN",
        applies: |s| {
            s.kind == Kind::SqlAudit && s.sql_action == SqlAction::LoginFailed
                || s.is_failed_audit(&[SqlAction::Login])
        },
        gives: |s| by_sql(s, ReasonCode::SqlLoginFailed),
    },
    Rule {
        name: "SYN-SQL-PERM",
        applies: |s| s.is_failed_audit(&[SqlAction::Object]),
        gives: |s| by_sql(s, ReasonCode::SqlPermissionDenied),
    },
    Rule {
        name: "SYN-SQL-BATCH",
        applies: |s| s.is_failed_audit(BATCHES) && s.sql_class() == Some(SqlErrorClass::Permission),
        gives: |s| by_sql(s, ReasonCode::SqlPermissionDenied),
    },
    Rule {
        name: "SYN-SQL-BATCH",
        applies: |s| s.is_failed_audit(BATCHES) && s.sql_class() == Some(SqlErrorClass::DeniedOrMissing),
        gives: |s| by_sql(s, ReasonCode::SqlDeniedOrMissing),
    },
    Rule {
        name: "SYN-SQL-BATCH",
        applies: |s| s.is_failed_audit(BATCHES) && s.sql_class() == Some(SqlErrorClass::Login),
        gives: |s| by_sql(s, ReasonCode::SqlLoginFailed),
    },
    Rule {
        name: "SYN-SQL-FAIL",
        applies: |s| s.is_failed_audit(BATCHES),
        gives: |s| Verdict::error(ReasonCode::SqlFailed, s.sql_basis()),
    },
    Rule {
        name: "SYN-SQL-OK",
        applies: |s| s.kind == Kind::SqlAudit && s.succeeded == Some(true),
        gives: |_| Verdict::ALLOWED,
    },
    Rule {
        name: "SYN-BSQL",
        applies: |s| {
            let is_open = s.sql_class() == Some(SqlErrorClass::DeniedOrMissing)
                || s.sql_error.is_none() && is_denied_or_missing_text(s.text);
            s.is_failed_builtin() && is_open
        },
        gives: |s| by_sql(s, ReasonCode::SqlDeniedOrMissing),
    },
    Rule {
        name: "SYN-BSQL",
        applies: |s| {
            let is_denied = matches!(s.sql_class(), Some(SqlErrorClass::Permission | SqlErrorClass::Login));
            s.is_failed_builtin() && (is_denied || is_permission_text(s.text))
        },
        gives: |s| by_sql(s, ReasonCode::SqlPermissionDenied),
    },
    Rule {
        name: "SYN-BSQL-FAIL",
        applies: |s| s.is_failed_builtin(),
        gives: |s| Verdict::error(ReasonCode::SqlFailed, s.sql_basis()),
    },
    Rule {
        name: "SYN-WEB-401",
        applies: |s| s.is_failed_web(401),
        gives: |s| by_web(s, ReasonCode::WebUnauthenticated),
    },
    Rule {
        name: "SYN-WEB-403",
        applies: |s| s.is_failed_web(403),
        gives: |s| by_web(s, ReasonCode::WebForbidden),
    },
    Rule {
        name: "SYN-WEB-429",
        applies: |s| s.is_failed_web(429),
        gives: |s| by_web(s, ReasonCode::WebThrottled),
    },
    Rule {
        name: "SYN-WEB-ERR",
        applies: |s| s.is_web && s.word == Word::Failed,
        gives: |s| {
            let basis = if s.text.is_empty() { s.web_basis() } else { ReasonBasis::Message };
            Verdict::error(ReasonCode::WebFailed, basis)
        },
    },
    Rule {
        name: "AZ-SIGNIN",
        applies: |s| s.kind == Kind::SignIn && !matches!(s.result, "" | "0") && s.word != Word::Succeeded,
        gives: |s| {
            let basis = if s.text.is_empty() { ReasonBasis::Status } else { ReasonBasis::Message };
            Verdict::denied(ReasonCode::AzureDenied, basis, DeniedBy::Synapse)
        },
    },
    Rule {
        name: "AZ-SIGNIN-OK",
        applies: |s| s.kind == Kind::SignIn && (s.result == "0" || s.word == Word::Succeeded),
        gives: |_| Verdict::ALLOWED,
    },
    Rule {
        name: "AZ-DENIED",
        applies: |s| is_generic(s.kind) && matches!(s.http, Some(401 | 403)) && s.word != Word::Succeeded,
        gives: |_| by_status(ReasonCode::AzureDenied),
    },
    Rule {
        name: "AZ-429",
        applies: |s| is_generic(s.kind) && s.http == Some(429) && s.word != Word::Succeeded,
        gives: |_| by_status(ReasonCode::SynapseThrottled),
    },
    Rule { name: "RESULT-FAILED", applies: |s| s.has_failed(), gives: failed },
    Rule { name: "RESULT-CANCELLED", applies: |s| s.word == Word::Cancelled, gives: failed },
    Rule { name: "RESULT-OK", applies: |s| s.word == Word::Succeeded, gives: |_| Verdict::ALLOWED },
    Rule {
        name: "RESULT-OK",
        applies: |s| s.word == Word::Unknown && s.http.is_some_and(|status| (200..400).contains(&status)),
        gives: |_| Verdict::ALLOWED,
    },
    Rule { name: "RESULT-UNKNOWN", applies: |_| true, gives: |_| Verdict::UNKNOWN },
];

fn is_generic(kind: Kind) -> bool {
    matches!(kind, Kind::ActivityLog | Kind::EntraAudit | Kind::Kusto | Kind::Other)
}

/// The verdict of the first rule that applies, and its name.
pub(super) fn decide(signals: &Signals<'_>) -> (Verdict, &'static str) {
    let rule =
        RULES.iter().find(|rule| (rule.applies)(signals)).expect("the last rule applies to everything");
    ((rule.gives)(signals), rule.name)
}

#[cfg(test)]
mod tests;
