use super::*;
use corridor_model::Decision;

const BLANK: Signals<'static> = Signals {
    kind: Kind::Other,
    is_web: false,
    word: Word::Unknown,
    result: "",
    http: None,
    answer: answer::Answer { status: None, is_from_text: false, is_kongs: false },
    text: "",
    sql_error: None,
    sql_action: SqlAction::Unknown,
    succeeded: None,
};

fn gateway(http: u16) -> Signals<'static> {
    Signals { kind: Kind::Gateway, http: Some(http), ..BLANK }
}

fn rbac(http: Option<u16>, text: &'static str) -> Signals<'static> {
    Signals { kind: Kind::Rbac, word: Word::Failed, http, text, ..BLANK }
}

fn audit(sql_action: SqlAction, succeeded: bool, sql_error: Option<u32>) -> Signals<'static> {
    Signals { kind: Kind::SqlAudit, sql_action, succeeded: Some(succeeded), sql_error, ..BLANK }
}

fn builtin(word: Word, sql_error: Option<u32>, text: &'static str) -> Signals<'static> {
    Signals { kind: Kind::BuiltinSql, word, sql_error, text, ..BLANK }
}

fn web(status: Option<u16>, is_from_text: bool, is_kongs: bool) -> Signals<'static> {
    let answer = answer::Answer { status, is_from_text, is_kongs };
    Signals { kind: Kind::Activity, is_web: true, word: Word::Failed, answer, http: status, ..BLANK }
}

fn result(kind: Kind, word: Word, http: Option<u16>) -> Signals<'static> {
    Signals { kind, word, http, ..BLANK }
}

/// One row per rule and per way into it: rule, decision, reason, basis, author.
#[test]
fn every_rule_gives_its_verdict() {
    use Decision::{Allowed, Denied, Error, Unknown};
    let rights = "The SELECT permission was denied on the object";
    let sign_in = |result| Signals { kind: Kind::SignIn, result, ..BLANK };
    let cases = [
        (gateway(401), "SYN-GW-401", Denied, "SYNAPSE_UNAUTHENTICATED status synapse"),
        (gateway(403), "SYN-GW-403", Denied, "SYNAPSE_FORBIDDEN status synapse"),
        (gateway(429), "SYN-GW-429", Denied, "SYNAPSE_THROTTLED status synapse"),
        (gateway(500), "RESULT-FAILED", Error, "OPERATION_FAILED status -"),
        (gateway(202), "RESULT-OK", Allowed, "- - -"),
        (rbac(Some(403), ""), "SYN-RBAC", Denied, "SYNAPSE_RBAC_DENIED status synapse"),
        (
            rbac(None, "The principal 'x' does not have the required Synapse RBAC permission to"),
            "SYN-RBAC",
            Denied,
            "SYNAPSE_RBAC_DENIED message synapse",
        ),
        (rbac(Some(409), "role assignment exists"), "RESULT-FAILED", Error, "OPERATION_FAILED status -"),
        (
            audit(SqlAction::LoginFailed, false, Some(18456)),
            "SYN-SQL-LOGIN",
            Denied,
            "SQL_LOGIN_FAILED message synapse",
        ),
        (audit(SqlAction::Login, false, None), "SYN-SQL-LOGIN", Denied, "SQL_LOGIN_FAILED status synapse"),
        (audit(SqlAction::Login, true, None), "SYN-SQL-OK", Allowed, "- - -"),
        (
            audit(SqlAction::Object, false, None),
            "SYN-SQL-PERM",
            Denied,
            "SQL_PERMISSION_DENIED status synapse",
        ),
        (
            audit(SqlAction::Batch, false, Some(229)),
            "SYN-SQL-BATCH",
            Denied,
            "SQL_PERMISSION_DENIED message synapse",
        ),
        (
            audit(SqlAction::Batch, false, Some(15151)),
            "SYN-SQL-BATCH",
            Denied,
            "SQL_DENIED_OR_MISSING message synapse",
        ),
        (
            audit(SqlAction::Batch, false, Some(4060)),
            "SYN-SQL-BATCH",
            Denied,
            "SQL_DENIED_OR_MISSING message synapse",
        ),
        (
            audit(SqlAction::Batch, false, Some(18456)),
            "SYN-SQL-BATCH",
            Denied,
            "SQL_LOGIN_FAILED message synapse",
        ),
        (audit(SqlAction::Batch, false, Some(208)), "SYN-SQL-FAIL", Error, "SQL_FAILED message -"),
        (audit(SqlAction::Batch, false, None), "SYN-SQL-FAIL", Error, "SQL_FAILED status -"),
        (audit(SqlAction::Batch, true, None), "SYN-SQL-OK", Allowed, "- - -"),
        (
            builtin(Word::Failed, Some(15151), rights),
            "SYN-BSQL",
            Denied,
            "SQL_DENIED_OR_MISSING message synapse",
        ),
        (builtin(Word::Failed, Some(13807), ""), "SYN-BSQL", Denied, "SQL_DENIED_OR_MISSING message synapse"),
        (builtin(Word::Failed, Some(229), ""), "SYN-BSQL", Denied, "SQL_PERMISSION_DENIED message synapse"),
        (builtin(Word::Succeeded, None, rights), "SYN-BSQL", Denied, "SQL_PERMISSION_DENIED message synapse"),
        (builtin(Word::Failed, Some(208), ""), "SYN-BSQL-FAIL", Error, "SQL_FAILED message -"),
        (builtin(Word::Succeeded, None, ""), "RESULT-OK", Allowed, "- - -"),
        (web(Some(401), true, true), "SYN-WEB-401", Denied, "WEB_UNAUTHENTICATED message gateway"),
        (web(Some(403), true, false), "SYN-WEB-403", Denied, "WEB_FORBIDDEN message unknown"),
        (web(Some(429), false, false), "SYN-WEB-429", Denied, "WEB_THROTTLED status unknown"),
        (web(Some(500), true, false), "SYN-WEB-ERR", Error, "WEB_FAILED message -"),
        (web(None, false, false), "SYN-WEB-ERR", Error, "WEB_FAILED status -"),
        (Signals { word: Word::Succeeded, ..web(Some(200), false, false) }, "RESULT-OK", Allowed, "- - -"),
        (Signals { word: Word::Running, ..web(None, false, false) }, "RESULT-UNKNOWN", Unknown, "- - -"),
        (
            result(Kind::Activity, Word::Cancelled, None),
            "RESULT-CANCELLED",
            Error,
            "OPERATION_FAILED status -",
        ),
        (result(Kind::PipelineRun, Word::Failed, None), "RESULT-FAILED", Error, "OPERATION_FAILED status -"),
        (result(Kind::ExecRequest, Word::Failed, None), "RESULT-FAILED", Error, "OPERATION_FAILED status -"),
        (sign_in("7000215"), "AZ-SIGNIN", Denied, "AZURE_DENIED status synapse"),
        (sign_in("0"), "AZ-SIGNIN-OK", Allowed, "- - -"),
        (
            result(Kind::ActivityLog, Word::Failed, Some(403)),
            "AZ-DENIED",
            Denied,
            "AZURE_DENIED status synapse",
        ),
        (result(Kind::Other, Word::Unknown, Some(429)), "AZ-429", Denied, "SYNAPSE_THROTTLED status synapse"),
        (result(Kind::ActivityLog, Word::Succeeded, Some(201)), "RESULT-OK", Allowed, "- - -"),
        (BLANK, "RESULT-UNKNOWN", Unknown, "- - -"),
    ];
    for (signals, rule, decision, rest) in &cases {
        let (verdict, name) = decide(signals);
        let reason = verdict.reason().map_or("-", |code| code.as_str());
        let basis = verdict.basis().map_or("-", |basis| basis.as_str());
        let author = verdict.denied_by().map_or("-", |author| author.as_str());
        let got = format!("{reason} {basis} {author}");
        assert_eq!((name, verdict.decision(), got.as_str()), (*rule, *decision, *rest), "{signals:?}");
    }
    for rule in RULES {
        assert!(cases.iter().any(|(_, name, _, _)| *name == rule.name), "{} has no row", rule.name);
    }
}

#[test]
fn outcome_words_are_known() {
    let cases = [
        ("Succeeded.OK", Word::Succeeded),
        ("StepComplete", Word::Succeeded),
        ("FAILURE", Word::Failed),
        ("Cancelled", Word::Cancelled),
        ("InProgress", Word::Running),
        ("Started.", Word::Running),
        ("None", Word::Unknown),
    ];
    for (text, want) in cases {
        assert_eq!(Word::parse(text), want, "{text}");
    }
}
