//! Identity: the names that a record gives its caller.
//!
//! - In: the record's values, the verdict, the directory (for the workspace's managed identity).
//! - Out: [`Claims`] for the resolver, how sure they are at most, and where they came from.
//! - Invariants: the caller of a refused login or token is only claimed; runs and activities name nobody, so their
//!   principal is the workspace's managed identity by configuration, unless the activity used another credential.

use super::decode::Raw;
use super::fields::Field;
use super::kind::Kind;
use super::sql::{entra_id_of_sid, is_sql_login_sid};
use crate::directory::Directory;
use crate::identify::Claims;
use corridor_model::id::{parse_hex_id, trim_id};
use corridor_model::{IdentityBasis, PrincipalType, ReasonCode, Verdict};
use std::borrow::Cow;

/// The caller's names, and how they are known.
pub(super) struct Caller<'a> {
    pub(super) claims: Claims<'a>,
    pub(super) basis: IdentityBasis,
    /// For `explain`.
    pub(super) how: &'static str,
}

impl Caller<'_> {
    fn nobody(how: &'static str) -> Self {
        Self { claims: Claims::default(), basis: IdentityBasis::None, how }
    }
}

/// Reads the caller.
pub(super) fn read_caller<'a>(
    raw: &Raw<'a>,
    kind: Kind,
    resource_id: &str,
    verdict: &Verdict,
    directory: &Directory,
) -> Caller<'a> {
    if kind.runs_as_workspace() {
        return workspace_identity(raw, resource_id, directory);
    }
    let was_refused = match verdict.reason() {
        Some(ReasonCode::SynapseUnauthenticated | ReasonCode::SqlLoginFailed) => true,
        // Only the sign-in decides who the caller is; elsewhere a known caller was refused.
        Some(ReasonCode::AzureDenied) => kind == Kind::SignIn,
        _ => false,
    };
    let basis = if was_refused { IdentityBasis::Claimed } else { IdentityBasis::Verified };
    let sources: [(&'static str, Option<Claims<'a>>); 7] = [
        ("the principal of the SQL audit record", sql_principal(raw)),
        ("the claims of the record", token_claims(raw)),
        ("the login name of the record", login_name(raw)),
        ("the principal of the Data Explorer record", kusto_principal(raw)),
        ("the principal of the Entra record", entra_principal(raw)),
        ("the caller of the record", other_principal(raw)),
        ("the display name of the record", display_name(raw)),
    ];
    for (how, claims) in sources {
        if let Some(claims) = claims {
            return Caller { claims, basis, how };
        }
    }
    Caller::nobody("the record names nobody")
}

/// The managed identity of the record's workspace.
fn workspace_identity<'a>(raw: &Raw<'a>, resource_id: &str, directory: &Directory) -> Caller<'a> {
    let is_managed = |kind: &str| {
        ["msi", "managedidentity", "managedserviceidentity", "systemassignedmanagedidentity", "none"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
    };
    if raw.get(Field::AuthType).is_some_and(|kind| !is_managed(kind)) {
        return Caller::nobody("the activity used a credential of its own");
    }
    let Some(entry) = directory.workspace(resource_id) else {
        return Caller::nobody("workspaces.csv does not know the workspace");
    };
    let owned = |text: &Option<String>| text.clone().map(Cow::Owned);
    let claims = Claims {
        tenant_id: owned(&entry.tenant_id),
        object_id: owned(&entry.object_id),
        app_id: owned(&entry.client_id),
        name: Some(Cow::Owned(entry.workspace.clone())),
        type_hint: Some(PrincipalType::ManagedIdentity),
        ..Claims::default()
    };
    Caller {
        claims,
        basis: IdentityBasis::Configured,
        how: "the workspace's managed identity in workspaces.csv",
    }
}

/// The original login of an audit record: it stays the same when the session changes its context.
fn sql_principal<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let session = raw.text(Field::SessionPrincipalName);
    let current = raw.text(Field::PrincipalName);
    let is_same = session.is_none() || session == current;
    let name = session.or(current).or_else(|| raw.text(Field::DatabasePrincipalName))?;
    let sid = raw.get(Field::PrincipalSid).filter(|_| is_same).unwrap_or("");
    // `<appId>@<tenantId>` already holds the id that the SID would give.
    let is_application = name.split('@').next().is_some_and(|head| parse_hex_id(trim_id(head)).is_some());
    let sid_id = if is_application { None } else { entra_id_of_sid(sid).map(Cow::Owned) };
    let type_hint = is_sql_login_sid(sid).then_some(PrincipalType::SqlLogin);
    Some(Claims { sql_name: Some(name), sid_id, type_hint, ..Claims::default() })
}

fn token_claims<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let upn = raw.text(Field::Upn).or_else(|| {
        let named = [raw.text(Field::PreferredName), raw.text(Field::NameUri)];
        named.into_iter().flatten().find(|name| name.contains('@'))
    });
    let object_id = raw.text(Field::Oid).or_else(|| raw.text(Field::EvidencePrincipal).map(hyphenated));
    let app_id = raw.text(Field::AppClaim);
    if upn.is_none() && object_id.is_none() && app_id.is_none() {
        return None;
    }
    Some(Claims {
        tenant_id: raw.text(Field::Tid).or_else(|| raw.text(Field::TenantId)),
        name: raw.text(Field::Name),
        type_hint: token_type(raw, upn.is_some()),
        object_id,
        app_id,
        upn,
        ..Claims::default()
    })
}

fn token_type(raw: &Raw<'_>, has_upn: bool) -> Option<PrincipalType> {
    let is = |field, word: &str| raw.get(field).is_some_and(|text| text.eq_ignore_ascii_case(word));
    if raw.get(Field::MiResource).is_some() {
        return Some(PrincipalType::ManagedIdentity);
    }
    if is(Field::IdTyp, "app") || is(Field::EvidenceType, "ServicePrincipal") {
        return Some(PrincipalType::ServicePrincipal);
    }
    if has_upn || is(Field::IdTyp, "user") || is(Field::EvidenceType, "User") {
        return Some(PrincipalType::User);
    }
    // The subject of an application's own token is its object id; a user's is made up per application.
    let subject = raw.get(Field::Sub).and_then(|sub| parse_hex_id(trim_id(sub)));
    let object = raw.get(Field::Oid).and_then(|oid| parse_hex_id(trim_id(oid)));
    (subject.is_some() && subject == object).then_some(PrincipalType::ServicePrincipal)
}

/// Azure prints object ids without hyphens in `evidence`.
fn hyphenated(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return id;
    }
    Cow::Owned(format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]))
}

fn login_name<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let name = raw.text(Field::LoginName).or_else(|| raw.text(Field::IdentityText))?;
    let is_name =
        name.contains('@') || raw.get(Field::LoginName).is_some() || parse_hex_id(trim_id(&name)).is_some();
    is_name.then(|| Claims { sql_name: Some(name), ..Claims::default() })
}

/// `identity` as a plain text that is no login: sign-ins have it beside better names.
fn display_name<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    raw.text(Field::IdentityText).map(|name| Claims { name: Some(name), ..Claims::default() })
}

/// `aadapp=<appId>;<tenantId>` or `aaduser=<objectId>;<tenantId>`.
fn kusto_principal<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let text = raw.get(Field::KustoPrincipal)?;
    let (kind, rest) = text.split_once('=')?;
    let (id, tenant) = rest.split_once(';').unwrap_or((rest, ""));
    let id = Some(Cow::Owned(id.trim().to_owned()));
    let tenant_id =
        Some(tenant.trim()).filter(|tenant| !tenant.is_empty()).map(|tenant| Cow::Owned(tenant.to_owned()));
    let base = Claims { tenant_id, ..Claims::default() };
    if kind.trim().eq_ignore_ascii_case("aadapp") {
        Some(Claims { app_id: id, type_hint: Some(PrincipalType::ServicePrincipal), ..base })
    } else if !kind.trim().eq_ignore_ascii_case("aaduser") {
        None
    } else if rest.contains('@') {
        Some(Claims { upn: id, type_hint: Some(PrincipalType::User), ..base })
    } else {
        Some(Claims { object_id: id, type_hint: Some(PrincipalType::User), ..base })
    }
}

/// Sign-in and audit logs of Entra.
fn entra_principal<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let tenant_id = raw.text(Field::TenantId);
    let app_id = raw.text(Field::AppId);
    if let Some(object_id) = raw.text(Field::ServicePrincipalId) {
        let name = raw.text(Field::ServicePrincipalName);
        let type_hint = Some(PrincipalType::ServicePrincipal);
        return Some(Claims {
            tenant_id,
            object_id: Some(object_id),
            app_id,
            name,
            type_hint,
            ..Claims::default()
        });
    }
    let (object_id, upn) = (raw.text(Field::UserId), raw.text(Field::UserUpn));
    if object_id.is_some() || upn.is_some() {
        let name = raw.text(Field::Name);
        let type_hint = Some(PrincipalType::User);
        return Some(Claims { tenant_id, object_id, app_id, upn, name, type_hint, ..Claims::default() });
    }
    app_id.map(|app_id| Claims {
        tenant_id,
        app_id: Some(app_id),
        name: raw.text(Field::ServicePrincipalName),
        type_hint: Some(PrincipalType::ServicePrincipal),
        ..Claims::default()
    })
}

/// `caller` of the Activity Log, or the submitter of a Spark application.
fn other_principal<'a>(raw: &Raw<'a>) -> Option<Claims<'a>> {
    let name = raw.text(Field::Caller).or_else(|| raw.text(Field::SubmitterId))?;
    Some(if parse_hex_id(trim_id(&name)).is_some() {
        Claims { object_id: Some(name), ..Claims::default() }
    } else {
        Claims { upn: Some(name), ..Claims::default() }
    })
}
