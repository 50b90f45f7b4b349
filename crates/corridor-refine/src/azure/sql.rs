//! SQL: what audit and request records say of a statement.
//!
//! - In: action, XML fragments, error texts, statements, SIDs.
//! - Out: kind of action, error numbers and their class, planted correlation ids, the Entra id in a SID.
//! - Invariants: malformed XML is read as far as it goes; no statement text leaves this module.

use super::phrase::{after, contains, leading_number};

/// Kind of an audited action: it decides what `succeeded` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqlAction {
    /// A login that failed, by its code or name.
    LoginFailed,
    /// Any other login or logout.
    Login,
    /// A batch or remote call: `succeeded` tells whether it worked.
    Batch,
    /// An action on an object: `succeeded` tells whether the permission check passed.
    Object,
    /// Not stated.
    Unknown,
}

/// Kind of an action by its code and name; codes are padded with blanks at the source.
pub(super) fn sql_action(code: Option<&str>, name: Option<&str>) -> SqlAction {
    let code = code.unwrap_or("").trim();
    let name = name.unwrap_or("").trim();
    let is = |codes: &[&str]| codes.iter().any(|known| code.eq_ignore_ascii_case(known));
    let ends = |tails: &[&str]| {
        tails.iter().any(|tail| {
            let start = name.len().checked_sub(tail.len());
            start.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(tail))
        })
    };
    if is(&["DBAF", "LGIF"]) || ends(&["AUTHENTICATION FAILED", "LOGIN FAILED"]) {
        SqlAction::LoginFailed
    } else if is(&["DBAS", "LGIS", "LGO", "DBL"])
        || ends(&["AUTHENTICATION SUCCEEDED", "LOGIN SUCCEEDED", "LOGOUT"])
    {
        SqlAction::Login
    } else if is(&["BCM", "BST", "RCM", "RST"])
        || ends(&["BATCH COMPLETED", "BATCH STARTED", "RPC COMPLETED", "RPC STARTED"])
    {
        SqlAction::Batch
    } else if code.is_empty() && name.is_empty() {
        SqlAction::Unknown
    } else {
        SqlAction::Object
    }
}

/// What a SQL error number says about access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqlErrorClass {
    /// Login refused.
    Login,
    /// Permission missing.
    Permission,
    /// Missing or forbidden: the server does not say which.
    DeniedOrMissing,
    /// Anything else.
    Failed,
}

/// Class of an error number (synapse-diagnostics.md §2.5, §5.3; rulings.md).
pub(super) fn sql_error_class(number: u32) -> SqlErrorClass {
    match number {
        18456 | 18470 | 18486 | 18488 | 40615 | 47073 => SqlErrorClass::Login,
        229 | 230 | 262 | 297 | 300 | 916 | 13822 | 15247 => SqlErrorClass::Permission,
        15151 | 13807 | 4060 => SqlErrorClass::DeniedOrMissing,
        _ => SqlErrorClass::Failed,
    }
}

/// The error number that decides: of several the one that says most about access.
pub(super) fn deciding_error(texts: &[Option<&str>], code: Option<&str>) -> Option<u32> {
    let stated = code.and_then(|code| code.trim().parse::<u32>().ok()).filter(|number| *number != 0);
    let told = texts.iter().flatten().flat_map(|text| error_numbers(text));
    let rank = |number: &u32| match sql_error_class(*number) {
        SqlErrorClass::Permission => 0,
        SqlErrorClass::DeniedOrMissing => 1,
        SqlErrorClass::Login => 2,
        SqlErrorClass::Failed => 3,
    };
    stated.into_iter().chain(told).min_by_key(rank)
}

/// Labels in front of an error number.
const NUMBER_LABELS: &[&str] =
    &["error_code>", "Err ", "Msg ", "Error number ", "Error: ", "SqlErrorNumber="];

fn error_numbers(text: &str) -> impl Iterator<Item = u32> {
    NUMBER_LABELS.iter().flat_map(move |label| {
        let mut rest = text;
        std::iter::from_fn(move || {
            rest = after(rest, label)?;
            Some(leading_number(rest))
        })
        .flatten()
        .filter(|number| *number != 0)
    })
}

/// The failure text inside `additional_information`.
pub(super) fn failure_reason(information: &str) -> Option<&str> {
    let text = after(information, "<failure_reason>")?;
    let text = text.split_once('<').map_or(text, |(head, _)| head).trim();
    (!text.is_empty()).then_some(text)
}

/// Whether an error text speaks of missing rights.
pub(super) fn is_permission_text(text: &str) -> bool {
    contains(text, "permission") || contains(text, "not authorized") || contains(text, "access denied")
}

/// Whether an error text leaves open if the object is missing or forbidden.
pub(super) fn is_denied_or_missing_text(text: &str) -> bool {
    contains(text, "does not exist or you do not have permission")
        || contains(text, "does not exist, or you do not have permission")
        || contains(text, "because it does not exist or")
        || contains(text, "cannot be listed")
}

/// Correlation ids that a service planted in a statement: `LABEL = 'kong:<id>'` and `sp_set_session_context`.
pub(super) fn planted_ids(statement: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = statement;
    while let Some(tail) = after(rest, "kong:") {
        let before = &rest[..rest.len() - tail.len() - "kong:".len()];
        if is_label(before) {
            found.extend(quoted_id(tail));
        }
        rest = tail;
    }
    found.extend(session_id(statement));
    found
}

/// Whether a text ends with `LABEL = '` or `LABEL = N'`.
fn is_label(before: &str) -> bool {
    let before = before.trim_end_matches(' ').strip_suffix('\'').unwrap_or("");
    let before = before.strip_suffix(['N', 'n']).unwrap_or(before).trim_end();
    let word = before.strip_suffix('=').unwrap_or("").trim_end();
    word.len()
        .checked_sub(5)
        .and_then(|at| word.get(at..))
        .is_some_and(|word| word.eq_ignore_ascii_case("label"))
}

/// The id behind `kong:` in a label column.
pub(super) fn label_id(label: &str) -> Option<&str> {
    let head = label.trim().get(..5).filter(|head| head.eq_ignore_ascii_case("kong:"))?;
    let id = label.trim()[head.len()..].trim();
    (!id.is_empty()).then_some(id)
}

/// The id behind the key `client_correlation_id`, in a statement or a session context of any form.
pub(super) fn session_id(text: &str) -> Option<&str> {
    let tail = after(text, "client_correlation_id")?;
    let is_mark = |c: char| matches!(c, '\'' | '"' | '\\' | ',' | ':' | '=' | '>') || c.is_whitespace();
    let tail = tail.trim_start_matches(is_mark);
    let tail = tail.strip_prefix("@value").map_or(tail, |tail| tail.trim_start_matches(is_mark));
    let tail = tail.strip_prefix("N'").or_else(|| tail.strip_prefix("<value>")).unwrap_or(tail);
    quoted_id(tail)
}

/// The id at the head of a text, up to a quote, bracket or blank.
fn quoted_id(text: &str) -> Option<&str> {
    let is_id =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '#' | ':' | '{' | '}' | '/');
    let id = &text[..text.find(|c| !is_id(c)).unwrap_or(text.len())];
    (id.len() >= 4 && id.len() <= 255).then_some(id)
}

/// The Entra object or client id in a SID: 16 bytes in the mixed order of `uniqueidentifier`.
pub(super) fn entra_id_of_sid(sid: &str) -> Option<String> {
    let hex = sid.trim().strip_prefix("0x").or_else(|| sid.trim().strip_prefix("0X"))?;
    let head = hex.get(..32)?;
    if is_sql_login_sid(sid) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |index: usize| &head[2 * index..2 * index + 2];
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut guid = String::with_capacity(36);
    for (position, index) in ORDER.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            guid.push('-');
        }
        guid.push_str(byte(index));
    }
    guid.make_ascii_lowercase();
    Some(guid)
}

/// Whether a SID is that of a SQL login.
pub(super) fn is_sql_login_sid(sid: &str) -> bool {
    sid.trim().get(..12).is_some_and(|head| head.eq_ignore_ascii_case("0x0106000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_known_by_code_and_name() {
        let cases = [
            (Some("DBAF"), None, SqlAction::LoginFailed),
            (None, Some("Login Failed"), SqlAction::LoginFailed),
            (Some("LGIS"), None, SqlAction::Login),
            (Some("BCM "), Some(""), SqlAction::Batch),
            (Some("SL  "), Some("SELECT"), SqlAction::Object),
            (None, None, SqlAction::Unknown),
        ];
        for (code, name, want) in cases {
            assert_eq!(sql_action(code, name), want, "{code:?} {name:?}");
        }
    }

    #[test]
    fn deciding_error_says_most_about_access() {
        let batch =
            "<batch_information><failure_reason>Err 208, Level 16, x Err 229, Level 14, y</failure_reason>";
        let login = "<login_information><error_code>18456</error_code>";
        assert_eq!(deciding_error(&[Some(batch)], None), Some(229));
        assert_eq!(deciding_error(&[Some(login)], None), Some(18456));
        assert_eq!(deciding_error(&[None], Some("15151")), Some(15151));
        assert_eq!(deciding_error(&[Some("Msg 13807, Level 16")], Some("0")), Some(13807));
        assert_eq!(deciding_error(&[Some("no number Err x")], None), None);
        assert!(failure_reason(batch).is_some_and(|text| text.starts_with("Err 208")));
    }

    #[test]
    fn planted_ids_are_found() {
        let id = "5d3c7e10-9b2f-4f6a-8c41-72e0a9d4b618";
        for statement in [
            format!("SELECT 1 OPTION (LABEL = 'kong:{id}')"),
            format!("select 1 option(label=N'kong:{id}')"),
            format!("EXEC sp_set_session_context 'client_correlation_id', '{id}'"),
            format!("EXEC sys.sp_set_session_context @key = N'client_correlation_id', @value = N'{id}';"),
        ] {
            assert_eq!(planted_ids(&statement), [id], "{statement}");
        }
        assert!(planted_ids("SELECT 'kong:secretsecret'").is_empty());
        assert_eq!(session_id(&format!(r#"{{"client_correlation_id":"{id}"}}"#)), Some(id));
        assert_eq!(label_id(&format!("kong:{id}")), Some(id));
        assert_eq!(label_id("nightly"), None);
    }

    #[test]
    fn sids_of_entra_principals_hold_their_id() {
        let want = Some("5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55".to_owned());
        assert_eq!(entra_id_of_sid("0x397C1D5ABE84204F9B6E0C3F2D8A1E55"), want);
        assert_eq!(entra_id_of_sid("0x397C1D5ABE84204F9B6E0C3F2D8A1E55000000"), want);
        assert_eq!(entra_id_of_sid("0x01060000000001640000000000000000AABBCCDDEEFF00112233445566"), None);
        assert_eq!(entra_id_of_sid("0xZZ"), None);
        assert_eq!(entra_id_of_sid(""), None);
    }
}
