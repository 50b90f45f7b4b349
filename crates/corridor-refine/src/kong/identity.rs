//! Identity: who called, and how far the entry can be believed.
//!
//! - In: the entry and its credential.
//! - Out: the principal, token times, scopes and roles.
//! - Invariants: verified only if `authenticated_entity` is present, or a certificate was verified and a consumer found.
//!   `x-consumer-*` headers are never read: without authentication the client chose them, with it `consumer` says the
//!   same. Claims beside a static credential are not the caller's: anybody can add a token to a valid key.

use super::credential::{Credential, Method};
use super::entry::{Entry, TokenClaims};
use crate::directory::Directory;
use crate::identify::{self, Claims, Identity};
use crate::scalar::{List, Scalar};
use corridor_model::id::parse_hex_id;
use corridor_model::{IdentityBasis, Micros, PrincipalType};
use std::borrow::Cow;

/// The caller.
#[derive(Debug)]
pub(super) struct Caller<'e> {
    /// The principal.
    pub(super) identity: Identity<'e>,
    /// Why, for `corridor explain`.
    pub(super) why: &'static str,
    /// Whether the gateway authenticated the caller.
    pub(super) is_authenticated: bool,
    /// Begin of the token's life.
    pub(super) token_issued_at: Option<Micros>,
    /// End of the token's life.
    pub(super) token_expires_at: Option<Micros>,
    /// Delegated permissions.
    pub(super) scopes: Option<Cow<'e, str>>,
    /// Roles in the token, else groups.
    pub(super) roles: Option<Cow<'e, str>>,
}

/// Finds the caller.
pub(super) fn caller_of<'e>(
    entry: &'e Entry<'_>,
    credential: &Credential,
    directory: &'e Directory,
) -> Caller<'e> {
    let has_certificate = entry.tls().client_verify.as_str() == Some("SUCCESS")
        && entry.consumer.is_object
        && !entry.consumer.id.is_null();
    let is_authenticated = entry.is_authenticated() || has_certificate;
    // An unknown means may be a token; a static one is not.
    let trusts_claims = is_authenticated && credential.method.is_none_or(Method::carries_claims);
    let claims = if is_authenticated {
        authenticated_claims(entry, credential, trusts_claims)
    } else {
        token_claims(entry, false)
    };
    let (identity, why) = if is_authenticated {
        let why = if has_entra_name(&claims) {
            "claims of an authenticated token"
        } else {
            "authenticated consumer"
        };
        (identify::resolve(&claims, IdentityBasis::Verified, directory), why)
    } else if entry.consumer.is_object {
        let anonymous = Identity { principal_type: PrincipalType::Anonymous, ..Identity::none() };
        (anonymous, "consumer without authenticated entity: anonymous fallback")
    } else if has_entra_name(&claims) {
        (
            identify::resolve(&claims, IdentityBasis::Claimed, directory),
            "claims of a token that nobody verified",
        )
    } else {
        (Identity::none(), "nobody is known")
    };
    let uses_claims = trusts_claims || !is_authenticated;
    let (issued, expires) = if uses_claims { token_times(entry) } else { (None, None) };
    Caller {
        identity,
        why,
        is_authenticated,
        token_issued_at: issued,
        token_expires_at: expires,
        scopes: uses_claims.then(|| scopes_of(entry, is_authenticated)).flatten(),
        roles: roles_of(entry, uses_claims, is_authenticated, directory),
    }
}

fn has_entra_name(claims: &Claims<'_>) -> bool {
    claims.object_id.is_some() || claims.app_id.is_some() || claims.upn.is_some()
}

/// Claims of the token where they may be used, and the consumer. A consumer that stands for a whole issuer does not
/// hide the token's own names, so its `custom_id` is only used without them.
fn authenticated_claims<'e>(
    entry: &'e Entry<'_>,
    credential: &Credential,
    trusts_claims: bool,
) -> Claims<'e> {
    let mut claims = if trusts_claims { token_claims(entry, true) } else { Claims::default() };
    if !has_entra_name(&claims) {
        claims.custom_id = entry.consumer.custom_id.as_text();
    }
    claims.consumer_id =
        entry.consumer.id.as_text().or_else(|| entry.authenticated_entity.consumer_id.as_text());
    claims.consumer_name = entry.consumer.username.as_text();
    if claims.name.is_none() && is_same_principal(entry.consumer.custom_id.as_str(), &claims) {
        claims.name = claims.consumer_name.clone();
    }
    let is_nameless =
        !has_entra_name(&claims) && claims.consumer_id.is_none() && claims.consumer_name.is_none();
    if is_nameless {
        // LDAP and virtual credentials have no consumer; the identifier is the user or the claim.
        let identifier = entry.request.headers.credential_identifier.as_text();
        let name = identifier.or_else(|| entry.authenticated_entity.id.as_text());
        let is_id = name.as_deref().is_some_and(|name| parse_hex_id(name).is_some());
        match credential.method {
            Some(Method::Oidc) => claims.custom_id = name,
            // A claim of openid-connect, which left no other trace.
            None if is_id => claims.custom_id = name,
            _ => claims.consumer_name = name,
        }
    }
    claims
}

/// Whether the consumer stands for the token's own principal, so that its user name is that principal's name.
fn is_same_principal(custom_id: Option<&str>, claims: &Claims<'_>) -> bool {
    let names = [&claims.object_id, &claims.app_id, &claims.upn];
    custom_id.is_some_and(|id| names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(id)))
}

/// The token's claims in the custom fields, those that were verified first.
fn captured_claims<'s, 'e>(entry: &'s Entry<'e>) -> impl Iterator<Item = &'s TokenClaims<'e>> {
    [&entry.identity, &entry.identity_unverified].into_iter().filter(|claims| claims.is_object)
}

/// Claims of the token. Headers set by openid-connect count only behind authentication.
fn token_claims<'e>(entry: &'e Entry<'_>, reads_headers: bool) -> Claims<'e> {
    let pick = |field: for<'c, 'd> fn(&'c TokenClaims<'d>) -> &'c Scalar<'d>| {
        captured_claims(entry).find_map(|claims| field(claims).as_text())
    };
    let header = |value: &'e Scalar<'_>| if reads_headers { value.as_text() } else { None };
    let entra = &entry.request.headers.entra;
    let upn = pick(|claims| &claims.upn).or_else(|| pick(|claims| &claims.preferred_username));
    let unique_name = || pick(|claims| &claims.unique_name).filter(|name| name.contains('@'));
    Claims {
        tenant_id: pick(|claims| &claims.tid).or_else(|| header(&entra.tid)),
        object_id: pick(|claims| &claims.oid).or_else(|| header(&entra.oid)),
        app_id: pick(|claims| &claims.azp)
            .or_else(|| pick(|claims| &claims.appid))
            .or_else(|| header(&entra.app)),
        upn: upn.or_else(unique_name).or_else(|| header(&entra.upn)),
        name: pick(|claims| &claims.name),
        type_hint: type_hint(entry),
        ..Claims::default()
    }
}

/// `idtyp` says it, or the subject; else delegated scopes belong to users and roles without scopes to applications.
fn type_hint(entry: &Entry<'_>) -> Option<PrincipalType> {
    let idtyp = captured_claims(entry).find_map(|claims| claims.idtyp.as_str());
    let has = |list: fn(&TokenClaims<'_>) -> bool| captured_claims(entry).any(list);
    match idtyp {
        Some("app") => Some(PrincipalType::ServicePrincipal),
        Some("user") => Some(PrincipalType::User),
        _ if has(|claims| !claims.upn.is_null() || !claims.preferred_username.is_null()) => {
            Some(PrincipalType::User)
        }
        // The subject of an application's own token is its object id; a user's is made up per application.
        _ if has(|claims| !claims.sub.is_null() && claims.sub.as_str() == claims.oid.as_str()) => {
            Some(PrincipalType::ServicePrincipal)
        }
        _ if has(|claims| !claims.scp.0.is_empty()) => None,
        _ if has(|claims| !claims.roles.0.is_empty()) => Some(PrincipalType::ServicePrincipal),
        _ => None,
    }
}

fn token_times(entry: &Entry<'_>) -> (Option<Micros>, Option<Micros>) {
    let time = |field: for<'c, 'd> fn(&'c TokenClaims<'d>) -> &'c Scalar<'d>| {
        captured_claims(entry).find_map(|claims| field(claims).as_i64()).and_then(from_epoch)
    };
    (time(|claims| &claims.issued_at), time(|claims| &claims.expires_at))
}

/// Token times are epoch seconds; some snippets multiply them.
fn from_epoch(value: i64) -> Option<Micros> {
    const LARGEST_SECONDS: i64 = 100_000_000_000;
    let millis = if value < LARGEST_SECONDS { value.checked_mul(1_000)? } else { value };
    Micros::from_millis(millis)
}

fn scopes_of<'e>(entry: &'e Entry<'_>, is_authenticated: bool) -> Option<Cow<'e, str>> {
    let headers = &entry.request.headers;
    let claimed = captured_claims(entry)
        .find_map(|claims| joined(&claims.scp, " ").or_else(|| joined(&claims.scope, " ")));
    claimed.or_else(|| {
        let header = headers.entra.scp.as_text().or_else(|| headers.authenticated_scope.as_text());
        header.filter(|_| is_authenticated)
    })
}

fn roles_of<'e>(
    entry: &'e Entry<'_>,
    uses_claims: bool,
    is_authenticated: bool,
    directory: &'e Directory,
) -> Option<Cow<'e, str>> {
    let headers = &entry.request.headers;
    let claimed =
        captured_claims(entry).find_map(|claims| joined(&claims.roles, ",")).filter(|_| uses_claims);
    claimed.or_else(|| {
        if !is_authenticated {
            return None;
        }
        let entra = headers.entra.roles.as_text().filter(|_| uses_claims);
        entra.or_else(|| headers.groups.as_text()).or_else(|| {
            let (id, name) = (entry.consumer.id.as_str(), entry.consumer.username.as_str());
            directory.consumer_groups(id, name).map(Cow::Borrowed)
        })
    })
}

fn joined<'e>(list: &'e List<'_>, separator: &str) -> Option<Cow<'e, str>> {
    match &list.0[..] {
        [] => None,
        [one] => one.as_text(),
        many => Some(Cow::Owned(many.iter().filter_map(Scalar::as_text).collect::<Vec<_>>().join(separator))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credential::credential_of;
    use super::*;

    fn nobody() -> &'static Directory {
        static NOBODY: std::sync::LazyLock<Directory> = std::sync::LazyLock::new(Directory::default);
        &NOBODY
    }

    fn caller<'e>(entry: &'e Entry<'_>) -> Caller<'e> {
        let credential = credential_of(entry, "", &[]);
        caller_of(entry, &credential, nobody())
    }

    #[test]
    fn spoofed_headers_name_nobody() {
        let json =
            r#"{"request":{"headers":{"x-consumer-username":"root","x-consumer-id":"1","x-entra-oid":"o"}}}"#;
        let entry: Entry<'_> = serde_json::from_str(json).unwrap();
        let caller = caller(&entry);
        assert!(!caller.is_authenticated);
        assert_eq!(caller.identity.basis, IdentityBasis::None);
        assert_eq!(caller.identity.principal_id, None);
    }

    #[test]
    fn consumer_without_authentication_is_the_anonymous_fallback() {
        let entry: Entry<'_> =
            serde_json::from_str(r#"{"request":{},"consumer":{"id":"c","username":"anonymous"}}"#).unwrap();
        assert_eq!(caller(&entry).identity.principal_type, PrincipalType::Anonymous);
    }

    #[test]
    fn claims_beside_an_api_key_are_not_believed() {
        let json = r#"{"request":{"headers":{"apikey":"k","authorization":"REDACTED","x-entra-oid":"ceo"}},
            "identity_unverified":{"oid":"ceo","exp":1,"scp":"all"},"consumer":{"id":"c","username":"etl"},
            "authenticated_entity":{"id":"a"}}"#;
        let entry: Entry<'_> = serde_json::from_str(json).unwrap();
        let credential = credential_of(&entry, "", &[]);
        let claims = authenticated_claims(&entry, &credential, false);
        assert_eq!((claims.object_id, claims.consumer_name.as_deref()), (None, Some("etl")));
        let caller = caller(&entry);
        assert_eq!((caller.token_expires_at, caller.scopes), (None, None));
    }

    #[test]
    fn token_names_win_over_a_consumer_that_stands_for_the_issuer() {
        let json = r#"{"request":{"headers":{"authorization":"REDACTED","x-credential-identifier":"https://i/"}},
            "identity_unverified":{"oid":"o","tid":"t","azp":"a","iat":"1763960000","exp":1763963600000,"scp":["a","b"],"roles":["r","s"]},
            "consumer":{"id":"c","username":"everybody","custom_id":"x"},"authenticated_entity":{"id":"k"}}"#;
        let entry: Entry<'_> = serde_json::from_str(json).unwrap();
        let claims = authenticated_claims(&entry, &credential_of(&entry, "", &[]), true);
        assert_eq!((claims.object_id.as_deref(), claims.custom_id), (Some("o"), None));
        let caller = caller(&entry);
        assert_eq!(caller.token_issued_at, Micros::from_millis(1_763_960_000_000));
        assert_eq!(caller.token_expires_at, Micros::from_millis(1_763_963_600_000));
        assert_eq!(caller.scopes.as_deref(), Some("a b"));
        assert_eq!(caller.roles.as_deref(), Some("r,s"));
    }
}
