//! Headers: the headers the rules read, picked out of both header maps in one pass.
//!
//! - In: `request.headers`, `response.headers`: values are strings, arrays, numbers or booleans.
//! - Out: [`RequestHeaders`], [`ResponseHeaders`]; of a repeated header the first value, as Kong's plugins do.
//! - Invariants: names are compared in lower case; a value that is a secret is never kept, only that it was sent.

use crate::object::{Field, FromObject, deserialize_object};
use crate::redact;
use crate::scalar::{Key, Scalar};
use serde::de::{IgnoredAny, MapAccess};
use std::borrow::Cow;

/// A header that no rule knows by name: the configured correlation headers and key names are found here.
type Others<'a> = Vec<(Cow<'a, str>, Scalar<'a>)>;

/// The most headers kept without a field of their own; nginx itself reads 100.
const OTHERS_MAX: usize = 128;

/// Claims that openid-connect puts into `x-entra-*` headers.
#[derive(Debug, Default)]
pub(super) struct EntraHeaders<'a> {
    pub(super) is_present: bool,
    pub(super) tid: Scalar<'a>,
    pub(super) oid: Scalar<'a>,
    pub(super) app: Scalar<'a>,
    pub(super) upn: Scalar<'a>,
    pub(super) scp: Scalar<'a>,
    pub(super) roles: Scalar<'a>,
}

/// The request headers that the rules read.
#[derive(Debug, Default)]
pub(super) struct RequestHeaders<'a> {
    is_object: bool,
    pub(super) host: Scalar<'a>,
    pub(super) user_agent: Scalar<'a>,
    pub(super) content_type: Scalar<'a>,
    pub(super) traceparent: Scalar<'a>,
    pub(super) b3_trace_id: Scalar<'a>,
    pub(super) pipeline_run_id: Scalar<'a>,
    pub(super) credential_identifier: Scalar<'a>,
    pub(super) authenticated_scope: Scalar<'a>,
    pub(super) groups: Scalar<'a>,
    pub(super) entra: EntraHeaders<'a>,
    /// Sent, or added by a plugin; the value is dropped.
    pub(super) has_authorization: bool,
    /// First word of an authorization that the gateway did not redact.
    pub(super) authorization_scheme: Option<Scheme>,
    /// Sent under one of the usual names of API keys.
    pub(super) has_api_key: bool,
    /// A cookie that may carry a session or token was sent.
    pub(super) has_credential_cookie: bool,
    x_correlation_id: Scalar<'a>,
    kong_request_id: Scalar<'a>,
    client_request_id: Scalar<'a>,
    others: Others<'a>,
    /// Secret values that were dropped while reading.
    pub(super) secrets_withheld: u32,
}

/// Authorization scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Token.
    Bearer,
    /// User name and password.
    Basic,
    /// Signed request.
    Hmac,
    /// Directory password.
    Ldap,
    /// API key.
    Key,
}

impl Scheme {
    /// From the head of an `authorization` or `www-authenticate` value, or the custom field `auth_scheme`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let word = text.trim_start();
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let word = &word[..end];
        [
            ("bearer", Self::Bearer),
            ("basic", Self::Basic),
            ("hmac", Self::Hmac),
            ("ldap", Self::Ldap),
            ("key", Self::Key),
        ]
        .into_iter()
        .find_map(|(name, scheme)| word.eq_ignore_ascii_case(name).then_some(scheme))
    }
}

impl<'a> RequestHeaders<'a> {
    /// A header by its lower-case name: for the configured correlation headers.
    pub(super) fn find(&self, name: &str) -> Option<&Scalar<'a>> {
        let value = match name {
            "x-correlation-id" => &self.x_correlation_id,
            "kong-request-id" => &self.kong_request_id,
            "x-ms-client-request-id" => &self.client_request_id,
            "traceparent" => &self.traceparent,
            "x-pipeline-run-id" => &self.pipeline_run_id,
            _ => return find_other(&self.others, name),
        };
        (!value.is_null()).then_some(value)
    }

    /// Whether a header of that lower-case name was sent with a value.
    pub(super) fn has_named(&self, name: &str) -> bool {
        (self.has_api_key && is_api_key_name(name)) || self.find(name).is_some()
    }

    /// Whether a header without a field of its own carries a secret by its name.
    pub(super) fn has_secret_header(&self) -> bool {
        let is_credential = |name: &str| {
            // Named like keys and tokens, but they prove nobody's identity.
            let is_marker =
                ["idempotency", "websocket", "csrf", "xsrf"].iter().any(|word| name.contains(word));
            !is_marker && redact::is_secret_name(name)
        };
        self.others.iter().any(|(name, value)| !value.is_null() && is_credential(name))
    }

    /// Reads one header. Kong writes names in lower case, so they are compared as they are first.
    fn read_header<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_bytes() {
            b"host" => self.host.read(map)?,
            b"user-agent" => self.user_agent.read(map)?,
            b"content-type" => self.content_type.read(map)?,
            b"traceparent" => self.traceparent.read(map)?,
            b"x-b3-traceid" => self.b3_trace_id.read(map)?,
            b"x-pipeline-run-id" => self.pipeline_run_id.read(map)?,
            b"x-credential-identifier" => self.credential_identifier.read(map)?,
            b"x-authenticated-scope" => self.authenticated_scope.read(map)?,
            b"x-consumer-groups" | b"x-authenticated-groups" => self.groups.read(map)?,
            b"x-correlation-id" => self.x_correlation_id.read(map)?,
            b"kong-request-id" => self.kong_request_id.read(map)?,
            b"x-ms-client-request-id" => self.client_request_id.read(map)?,
            b"authorization" => self.read_authorization(&map.next_value()?),
            b"proxy-authorization" | b"x-userinfo" => self.withhold(&map.next_value()?),
            b"cookie" => self.read_cookie(&map.next_value()?),
            [b'x', b'-', b'e', b'n', b't', b'r', b'a', b'-', claim @ ..] if !has_upper(claim) => {
                self.entra.read_claim(claim, map)?;
            }
            known if is_plain_request_header(known) => drop(map.next_value::<IgnoredAny>()?),
            unknown if has_upper(unknown) => self.read_header(lower(&name), map)?,
            _ => self.read_other(name, map.next_value()?),
        }
        Ok(())
    }

    fn read_authorization(&mut self, value: &Scalar<'_>) {
        let Some(text) = value.as_str() else { return };
        self.has_authorization = true;
        if !text.eq_ignore_ascii_case("redacted") {
            self.authorization_scheme = Scheme::parse(text);
            self.secrets_withheld += 1;
        }
    }

    fn read_cookie(&mut self, value: &Scalar<'_>) {
        self.withhold(value);
        let names = value.as_str().into_iter().flat_map(|text| text.split(';'));
        self.has_credential_cookie |=
            names.filter_map(|pair| pair.split_once('=')).any(|(name, _)| is_credential_cookie(name.trim()));
    }

    fn withhold(&mut self, value: &Scalar<'_>) {
        let is_secret = value.as_str().is_some_and(|text| !text.eq_ignore_ascii_case("redacted"));
        self.secrets_withheld += u32::from(is_secret);
    }

    fn read_other(&mut self, name: Cow<'a, str>, value: Scalar<'a>) {
        if is_api_key_name(&name) {
            self.withhold(&value);
            self.has_api_key |= !value.is_null();
            return;
        }
        if redact::is_secret_name(&name) {
            self.withhold(&value);
        }
        if self.others.len() < OTHERS_MAX {
            self.others.push((name, value));
        }
    }
}

impl<'a> EntraHeaders<'a> {
    fn read_claim<A: MapAccess<'a>>(&mut self, claim: &[u8], map: &mut A) -> Result<(), A::Error> {
        let value: Scalar<'a> = map.next_value()?;
        self.is_present |= !value.is_null();
        match claim {
            b"tid" | b"tenant-id" => self.tid = value,
            b"oid" | b"object-id" => self.oid = value,
            b"azp" | b"appid" | b"app-id" => self.app = value,
            b"upn" | b"preferred-username" => self.upn = value,
            b"scp" | b"scope" => self.scp = value,
            b"roles" | b"role" => self.roles = value,
            _ => {}
        }
        Ok(())
    }
}

/// The response headers that the rules read.
#[derive(Debug, Default)]
pub(super) struct ResponseHeaders<'a> {
    is_object: bool,
    pub(super) www_authenticate: Scalar<'a>,
    pub(super) server: Scalar<'a>,
    pub(super) content_type: Scalar<'a>,
    pub(super) grpc_status: Scalar<'a>,
    pub(super) cache_status: Scalar<'a>,
    pub(super) ratelimit_remaining: Scalar<'a>,
    pub(super) has_ratelimit: bool,
    pub(super) has_ai_ratelimit: bool,
    x_correlation_id: Scalar<'a>,
    kong_request_id: Scalar<'a>,
    client_request_id: Scalar<'a>,
    others: Others<'a>,
    pub(super) secrets_withheld: u32,
}

impl<'a> ResponseHeaders<'a> {
    /// A header by its lower-case name: for the configured correlation headers.
    pub(super) fn find(&self, name: &str) -> Option<&Scalar<'a>> {
        let value = match name {
            "x-correlation-id" => &self.x_correlation_id,
            "kong-request-id" => &self.kong_request_id,
            "x-ms-client-request-id" => &self.client_request_id,
            _ => return find_other(&self.others, name),
        };
        (!value.is_null()).then_some(value)
    }

    /// Reads one header. Kong writes names in lower case, so they are compared as they are first.
    fn read_header<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_bytes() {
            b"www-authenticate" => self.www_authenticate.read(map)?,
            b"server" => self.server.read(map)?,
            b"content-type" => self.content_type.read(map)?,
            b"grpc-status" => self.grpc_status.read(map)?,
            b"x-cache-status" => self.cache_status.read(map)?,
            b"x-correlation-id" => self.x_correlation_id.read(map)?,
            b"kong-request-id" => self.kong_request_id.read(map)?,
            b"x-ms-client-request-id" => self.client_request_id.read(map)?,
            b"ratelimit-remaining" => {
                self.has_ratelimit = true;
                self.ratelimit_remaining.read(map)?;
            }
            b"set-cookie" => {
                map.next_value::<IgnoredAny>()?;
                self.secrets_withheld += 1;
            }
            known if is_plain_response_header(known) => drop(map.next_value::<IgnoredAny>()?),
            unknown if has_upper(unknown) => self.read_header(lower(&name), map)?,
            unknown if unknown.starts_with(b"x-ai-ratelimit-") => {
                map.next_value::<IgnoredAny>()?;
                self.has_ai_ratelimit = true;
            }
            unknown if unknown.starts_with(b"ratelimit-") || unknown.starts_with(b"x-ratelimit-") => {
                map.next_value::<IgnoredAny>()?;
                self.has_ratelimit = true;
            }
            _ => {
                let value = map.next_value()?;
                if redact::is_secret_name(&name) {
                    self.secrets_withheld += 1;
                }
                if self.others.len() < OTHERS_MAX {
                    self.others.push((name, value));
                }
            }
        }
        Ok(())
    }
}

fn find_other<'s, 'a>(others: &'s Others<'a>, name: &str) -> Option<&'s Scalar<'a>> {
    others.iter().find(|(other, value)| other == name && !value.is_null()).map(|(_, value)| value)
}

/// Usual names of API keys. Others come from the key names in the decK dump.
pub(super) fn is_api_key_name(name: &str) -> bool {
    matches!(name, "apikey" | "api-key" | "api_key" | "x-api-key" | "x-apikey")
}

fn is_credential_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("session")
        || name.eq_ignore_ascii_case("jwt")
        || is_api_key_name(name)
        || redact::is_secret_name(name)
}

/// Headers that no rule reads and nobody would name as a correlation header.
fn is_plain_request_header(name: &[u8]) -> bool {
    matches!(
        name,
        b"accept"
            | b"accept-encoding"
            | b"accept-language"
            | b"cache-control"
            | b"connection"
            | b"content-length"
            | b"origin"
            | b"pragma"
            | b"referer"
            | b"te"
            | b"upgrade-insecure-requests"
            | b"via"
            | b"x-anonymous-consumer"
            | b"x-consumer-custom-id"
            | b"x-consumer-id"
            | b"x-consumer-username"
            | b"x-forwarded-for"
            | b"x-forwarded-host"
            | b"x-forwarded-path"
            | b"x-forwarded-port"
            | b"x-forwarded-prefix"
            | b"x-forwarded-proto"
            | b"x-kong-request-id"
            | b"x-real-ip"
    )
}

fn is_plain_response_header(name: &[u8]) -> bool {
    matches!(
        name,
        b"age"
            | b"cache-control"
            | b"connection"
            | b"content-encoding"
            | b"content-length"
            | b"content-security-policy"
            | b"date"
            | b"etag"
            | b"expires"
            | b"last-modified"
            | b"location"
            | b"pragma"
            | b"retry-after"
            | b"strict-transport-security"
            | b"transfer-encoding"
            | b"vary"
            | b"via"
            | b"x-cache-key"
            | b"x-content-type-options"
            | b"x-frame-options"
            | b"x-kong-proxy-latency"
            | b"x-kong-request-id"
            | b"x-kong-response-latency"
            | b"x-kong-upstream-latency"
            | b"x-ms-request-id"
            | b"x-powered-by"
    )
}

fn has_upper(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_uppercase)
}

fn lower<'a>(name: &str) -> Cow<'a, str> {
    Cow::Owned(name.to_ascii_lowercase())
}

macro_rules! read_header_map {
    ($($name:ident),*) => {
        $(impl<'de> FromObject<'de> for $name<'de> {
            fn is_object(&self) -> bool {
                self.is_object
            }

            fn read_members<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
                self.is_object = true;
                while let Some(Key(name)) = map.next_key()? {
                    self.read_header(name, &mut map)?;
                }
                Ok(())
            }
        })*
    };
}
read_header_map!(RequestHeaders, ResponseHeaders);
deserialize_object!(RequestHeaders, ResponseHeaders);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_case_and_first_values_count() {
        let headers: RequestHeaders<'_> = serde_json::from_str(
            r#"{"X-Correlation-ID": ["one", "two"], "X-Call-Ref": 7, "Host": "h", "accept": true}"#,
        )
        .unwrap();
        assert_eq!(headers.find("x-correlation-id").and_then(Scalar::as_str), Some("one"));
        assert_eq!(headers.find("x-call-ref").and_then(Scalar::as_i64), Some(7));
        assert!(headers.find("kong-request-id").is_none());
    }

    #[test]
    fn secrets_are_noted_but_not_kept() {
        let headers: RequestHeaders<'_> = serde_json::from_str(
            r#"{"apikey": "k-1", "cookie": ["a=1", "session=2"], "authorization": "Basic dTpw", "x-userinfo": "e30="}"#,
        )
        .unwrap();
        assert!(headers.has_api_key && headers.has_authorization);
        assert_eq!(headers.authorization_scheme, Some(Scheme::Basic));
        assert_eq!(headers.secrets_withheld, 4);
        let debug = format!("{headers:?}");
        assert!(!debug.contains("k-1") && !debug.contains("dTpw") && !debug.contains("e30="));
        let redacted: RequestHeaders<'_> = serde_json::from_str(r#"{"authorization": "REDACTED"}"#).unwrap();
        assert!(redacted.has_authorization && redacted.secrets_withheld == 0);
    }

    #[test]
    fn scheme_is_the_first_word_in_any_case() {
        let cases = [
            ("Bearer error=\"invalid_token\"", Some(Scheme::Bearer)),
            ("Key", Some(Scheme::Key)),
            ("hmac username=\"x\"", Some(Scheme::Hmac)),
            ("LDAP", Some(Scheme::Ldap)),
            ("Keycloak", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(Scheme::parse(text), want, "{text}");
        }
    }
}
