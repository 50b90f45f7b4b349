//! Credential: by what means the caller authenticated, or tried to.
//!
//! - In: the entry, and the plugins that guard its route in the decK dump.
//! - Out: the method, whether it is a static credential, and whether any credential was sent.
//! - Rules: kong-http-log.md §6.2. The redacted `authorization` hides its scheme; other traces tell it.

use super::entry::Entry;
use super::headers::Scheme;
use crate::directory::{Directory, Guard};
use crate::scalar::Scalar;

/// Means of authentication, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Jwt,
    Oidc,
    KeyAuth,
    Basic,
    Hmac,
    Ldap,
    Oauth2,
    Mtls,
    Session,
    Saml,
}

impl Method {
    /// The stored text.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Oidc => "oidc",
            Self::KeyAuth => "key-auth",
            Self::Basic => "basic",
            Self::Hmac => "hmac",
            Self::Ldap => "ldap",
            Self::Oauth2 => "oauth2",
            Self::Mtls => "mtls",
            Self::Session => "session",
            Self::Saml => "saml",
        }
    }

    /// Long-lived secrets are static; of a session it is unknown by what it began.
    pub(super) fn is_static(self) -> Option<bool> {
        match self {
            Self::KeyAuth | Self::Basic | Self::Hmac | Self::Ldap => Some(true),
            Self::Jwt | Self::Oidc | Self::Oauth2 | Self::Mtls | Self::Saml => Some(false),
            Self::Session => None,
        }
    }

    /// Whether claims of a token, captured beside it, are about this caller.
    pub(super) fn carries_claims(self) -> bool {
        matches!(self, Self::Jwt | Self::Oidc | Self::Oauth2 | Self::Session | Self::Saml)
    }

    /// The means that a plugin provides. None for a plugin that does not authenticate.
    pub(super) fn of_plugin(plugin: &str) -> Option<Self> {
        Some(match plugin {
            "jwt" | "jwt-signer" => Self::Jwt,
            "openid-connect" => Self::Oidc,
            "key-auth" | "key-auth-enc" => Self::KeyAuth,
            "basic-auth" => Self::Basic,
            "hmac-auth" => Self::Hmac,
            "ldap-auth" | "ldap-auth-advanced" => Self::Ldap,
            "oauth2" | "oauth2-introspection" => Self::Oauth2,
            "mtls-auth" | "header-cert-auth" => Self::Mtls,
            "session" => Self::Session,
            "saml" => Self::Saml,
            _ => return None,
        })
    }

    fn of_scheme(scheme: Scheme) -> Option<Self> {
        match scheme {
            Scheme::Basic => Some(Self::Basic),
            Scheme::Hmac => Some(Self::Hmac),
            Scheme::Ldap => Some(Self::Ldap),
            Scheme::Key => Some(Self::KeyAuth),
            Scheme::Bearer => None,
        }
    }
}

/// What was sent to authenticate, and by what it was judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Credential {
    /// The means; None when unknown, or when nothing was sent.
    pub(super) method: Option<Method>,
    /// Whether a credential was sent at all, right or wrong.
    pub(super) was_sent: bool,
    /// A key in a header or in the query.
    pub(super) has_key: bool,
    /// Scheme of the authorization, as captured or unredacted.
    pub(super) scheme: Option<Scheme>,
}

impl Credential {
    /// Whether a long-lived secret was used. None when unknown or when none was sent.
    pub(super) fn is_static(&self) -> Option<bool> {
        self.method.and_then(Method::is_static)
    }

    /// Where neither traces nor route tell, the consumer's only kind of credential in the dump does.
    pub(super) fn completed_by(mut self, entry: &Entry<'_>, directory: &Directory) -> Self {
        if self.method.is_none() && entry.is_authenticated() {
            let (id, name) = (entry.consumer.id.as_str(), entry.consumer.username.as_str());
            let kinds = directory.consumer(id, name).map_or(&[][..], |consumer| &consumer.credential_kinds);
            if let [kind] = kinds {
                self.method = Method::of_plugin(kind);
            }
        }
        self
    }
}

/// Reads the means of authentication out of the entry and the query of its URL.
pub(super) fn credential_of(entry: &Entry<'_>, raw_query: &str, guards: &[Guard]) -> Credential {
    let headers = &entry.request.headers;
    let key_names = || guards.iter().flat_map(|guard| guard.key_names.iter());
    let is_key_name = |name: &str| {
        super::headers::is_api_key_name(name) || key_names().any(|key| key.eq_ignore_ascii_case(name))
    };
    let has_key = headers.has_api_key
        || key_names().any(|name| headers.has_named(name))
        || entry.request.query.contains(raw_query, is_key_name);
    let has_token_in_query =
        entry.request.query.contains(raw_query, |name| matches!(name, "jwt" | "access_token" | "id_token"));
    let has_certificate = entry.tls().client_verify.as_str() == Some("SUCCESS");
    let scheme = entry.auth_scheme.as_str().and_then(Scheme::parse).or(headers.authorization_scheme);
    let was_sent = has_key
        || has_token_in_query
        || headers.has_authorization
        || headers.has_credential_cookie
        || headers.has_secret_header();
    let mut credential = Credential { method: None, was_sent, has_key, scheme };
    if entry.is_authenticated() || (has_certificate && entry.consumer.is_object) {
        credential.method = method_of_authenticated(entry, guards, &credential);
    } else if was_sent {
        credential.method = method_of_refused(entry, guards, &credential);
    }
    credential
}

/// The caller is known: by what? The dump answers when the route has one means only, else the traces do.
fn method_of_authenticated(entry: &Entry<'_>, guards: &[Guard], credential: &Credential) -> Option<Method> {
    only_method(guards).or_else(|| {
        let traced = method_by_traces(entry, credential);
        let is_configured = |method: Method| methods(guards).any(|other| other == method);
        match traced {
            Some(method) if methods(guards).next().is_none() || is_configured(method) => Some(method),
            _ => None,
        }
    })
}

fn method_by_traces(entry: &Entry<'_>, credential: &Credential) -> Option<Method> {
    let headers = &entry.request.headers;
    let identifier = headers.credential_identifier.as_str();
    let is_own_id = identifier.is_some() && identifier == entry.authenticated_entity.id.as_str();
    let has_claims = entry.identity_unverified.is_object || entry.identity.is_object;
    if credential.has_key {
        return Some(Method::KeyAuth);
    }
    if let Some(method) = credential.scheme.and_then(Method::of_scheme) {
        return Some(method);
    }
    if headers.entra.is_present {
        return Some(Method::Oidc);
    }
    if !headers.authenticated_scope.is_null() {
        return Some(Method::Oauth2);
    }
    if identifier.is_some_and(|issuer| issuer.contains("://")) {
        return Some(Method::Jwt);
    }
    if credential.scheme == Some(Scheme::Bearer) || has_claims {
        return Some(if is_own_id || identifier.is_none() { Method::Oidc } else { Method::Jwt });
    }
    if headers.has_authorization {
        // A redacted authorization without traces of a token, and a user name as identifier. A GUID may be the key of
        // a jwt credential, and a plugin may have added the authorization: then nothing is known.
        let is_user = |name: &str| !is_own_id && corridor_model::id::parse_hex_id(name).is_none();
        return identifier.filter(|name| is_user(name)).map(|_| Method::Basic);
    }
    if entry.tls().client_verify.as_str() == Some("SUCCESS") {
        return Some(Method::Mtls);
    }
    if headers.has_credential_cookie {
        return Some(Method::Session);
    }
    // `hide_credentials` removed the key; key-auth alone writes its own credential id.
    is_own_id.then_some(Method::KeyAuth)
}

/// The caller was refused or nobody asked: the scheme tells what was tried.
fn method_of_refused(entry: &Entry<'_>, guards: &[Guard], credential: &Credential) -> Option<Method> {
    let challenge = entry.response.headers.www_authenticate.as_str().and_then(Scheme::parse);
    let is_refused = entry.status() == Some(401);
    if credential.has_key {
        return Some(Method::KeyAuth);
    }
    if let Some(method) = credential.scheme.and_then(Method::of_scheme) {
        return Some(method);
    }
    if let (true, Some(method)) = (is_refused, challenge.and_then(Method::of_scheme)) {
        return Some(method);
    }
    if is_refused && let Some(method) = only_method(guards) {
        return Some(method);
    }
    let is_token = credential.scheme == Some(Scheme::Bearer) || entry.identity_unverified.is_object;
    (is_refused && is_token && challenge == Some(Scheme::Bearer)).then_some(Method::Jwt)
}

fn methods(guards: &[Guard]) -> impl Iterator<Item = Method> {
    guards.iter().filter(|guard| !guard.is_partial).filter_map(|guard| Method::of_plugin(&guard.plugin))
}

/// The one means of authentication on the route, if the dump names exactly one.
fn only_method(guards: &[Guard]) -> Option<Method> {
    let mut all = methods(guards);
    let first = all.next()?;
    all.all(|method| method == first).then_some(first)
}

/// Whether the dump has a plugin on the route that authenticates.
pub(super) fn has_authentication(guards: &[Guard]) -> bool {
    methods(guards).next().is_some()
}

/// Whether every means of the route is a static one.
pub(super) fn has_static_only(guards: &[Guard]) -> bool {
    has_authentication(guards) && methods(guards).all(|method| method.is_static() == Some(true))
}

/// The credential's id: never the credential. None when the field holds something else.
pub(super) fn credential_id<'e>(entry: &'e Entry<'_>) -> Option<std::borrow::Cow<'e, str>> {
    Scalar::as_text(&entry.authenticated_entity.id)
}

#[cfg(test)]
mod tests {
    use super::super::event::target_of;
    use super::*;

    fn credential(entry: &Entry<'_>, guards: &[Guard]) -> Credential {
        credential_of(entry, target_of(entry).query, guards)
    }

    fn guard(plugin: &str) -> Guard {
        Guard {
            plugin: plugin.into(),
            status: None,
            key_names: Vec::new(),
            is_log_only: false,
            allows_anonymous: false,
            is_partial: false,
        }
    }

    #[test]
    #[rustfmt::skip]
    fn method_is_known_by_traces_or_by_the_dump() {
        let own = r#""authenticated_entity":{"id":"c-1"}"#;
        let cases: &[(&str, String, &[&str], Option<Method>)] = &[
            ("key in a header", format!(r#"{{"request":{{"headers":{{"apikey":"k","authorization":"REDACTED"}}}},{own}}}"#), &[], Some(Method::KeyAuth)),
            ("key in the query", format!(r#"{{"request":{{"uri":"/a?apikey=k"}},{own}}}"#), &[], Some(Method::KeyAuth)),
            ("hidden key", format!(r#"{{"request":{{"headers":{{"x-credential-identifier":"c-1"}}}},{own}}}"#), &[], Some(Method::KeyAuth)),
            ("scheme captured", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED"}}}},"auth_scheme":"Basic",{own}}}"#), &[], Some(Method::Basic)),
            ("user name and no token", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED","x-credential-identifier":"fin"}}}},{own}}}"#), &[], Some(Method::Basic)),
            ("client id and no token", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED","x-credential-identifier":"c1d2e3f4-5a6b-4c7d-8e9f-0a1b2c3d4e5f"}}}},{own}}}"#), &[], None),
            ("same, by the dump", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED","x-credential-identifier":"fin"}}}},{own}}}"#), &["hmac-auth", "acl"], Some(Method::Hmac)),
            ("entra headers", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED","x-entra-oid":"o","x-credential-identifier":"c-1"}}}},{own}}}"#), &[], Some(Method::Oidc)),
            ("issuer", format!(r#"{{"request":{{"headers":{{"authorization":"REDACTED","x-credential-identifier":"https://i/"}}}},{own}}}"#), &[], Some(Method::Jwt)),
            ("certificate", format!(r#"{{"request":{{"tls":{{"client_verify":"SUCCESS"}}}},{own}}}"#), &[], Some(Method::Mtls)),
            ("session", format!(r#"{{"request":{{"headers":{{"cookie":"session=x"}}}},{own}}}"#), &[], Some(Method::Session)),
            ("two means, traces choose", format!(r#"{{"request":{{"headers":{{"apikey":"k"}}}},{own}}}"#), &["jwt", "key-auth"], Some(Method::KeyAuth)),
            ("nothing sent", r#"{"request":{},"response":{"status":401,"headers":{"www-authenticate":"Key"}}}"#.into(), &[], None),
            ("wrong key", r#"{"request":{"headers":{"x-api-key":"k"}},"response":{"status":401}}"#.into(), &[], Some(Method::KeyAuth)),
            ("wrong password", r#"{"request":{"headers":{"authorization":"REDACTED"}},"response":{"status":401,"headers":{"www-authenticate":"Basic realm=\"service\""}}}"#.into(), &[], Some(Method::Basic)),
        ];
        for (name, json, plugins, want) in cases {
            let entry: Entry<'_> = serde_json::from_str(json).unwrap();
            let guards: Vec<Guard> = plugins.iter().map(|plugin| guard(plugin)).collect();
            assert_eq!(credential(&entry, &guards).method, *want, "{name}");
        }
    }

    #[test]
    fn configured_key_names_count_as_keys() {
        let entry: Entry<'_> = serde_json::from_str(r#"{"request":{"headers":{"x-partner":"k"}}}"#).unwrap();
        let guards = [Guard { key_names: vec!["x-partner".into()], ..guard("key-auth") }];
        assert!(credential(&entry, &guards).has_key);
        assert!(!credential(&entry, &[]).has_key);
    }
}
