//! Entry: the fields of one http-log entry, borrowed from its text.
//!
//! - In: the JSON of one entry, of any version, with values in any form.
//! - Out: [`Entry`]; what has no field stands in `leftovers` as raw JSON.
//! - Invariants: repeated keys, `null`, wrong types and unknown fields never fail; bodies, prompts, cookies and
//!   credentials are skipped while reading, and only counted.

use super::ai::Ai;
use super::headers::{RequestHeaders, ResponseHeaders};
use super::query::QueryNames;
use crate::scalar::{Key, List, Scalar, lenient_object, missing_unless_object};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

lenient_object! {
    /// `request`: what the client sent, after the plugins changed its headers.
    pub(super) struct Request<'a> {
        id: Scalar<'a> = "id",
        method: Scalar<'a> = "method",
        uri: Scalar<'a> = "uri",
        url: Scalar<'a> = "url",
        size: Scalar<'a> = "size",
        query: QueryNames<'a> = "querystring",
        headers: RequestHeaders<'a> = "headers",
        tls: Tls<'a> = "tls",
    }
}

lenient_object! {
    /// `request.tls`, `session.tls`.
    pub(super) struct Tls<'a> {
        version: Scalar<'a> = "version",
        client_verify: Scalar<'a> = "client_verify",
    }
}

lenient_object! {
    /// `response`: what the client got.
    pub(super) struct Response<'a> {
        status: Scalar<'a> = "status",
        size: Scalar<'a> = "size",
        headers: ResponseHeaders<'a> = "headers",
    }
}

lenient_object! {
    /// `session` of a stream entry.
    pub(super) struct Session<'a> {
        status: Scalar<'a> = "status",
        received: Scalar<'a> = "received",
        sent: Scalar<'a> = "sent",
        tls: Tls<'a> = "tls",
    }
}

lenient_object! {
    /// `upstream` of a stream entry; empty when the session was refused.
    pub(super) struct UpstreamBytes<'a> {
        received: Scalar<'a> = "received",
        sent: Scalar<'a> = "sent",
    }
}

lenient_object! {
    /// `latencies`, milliseconds; `proxy` is -1 when the request was not proxied.
    pub(super) struct Latencies<'a> {
        request: Scalar<'a> = "request",
        session: Scalar<'a> = "session",
        kong: Scalar<'a> = "kong",
        proxy: Scalar<'a> = "proxy",
        receive: Scalar<'a> = "receive",
    }
}

lenient_object! {
    /// `route`, `service`: of the configuration copies only the names.
    pub(super) struct Entity<'a> {
        id: Scalar<'a> = "id",
        name: Scalar<'a> = "name",
    }
}

impl Entity<'_> {
    /// Name, else id.
    pub(super) fn label(&self) -> Option<Cow<'_, str>> {
        self.name.as_text().or_else(|| self.id.as_text())
    }
}

lenient_object! {
    /// `consumer`: the caller, or the anonymous fallback.
    pub(super) struct Consumer<'a> {
        id: Scalar<'a> = "id",
        username: Scalar<'a> = "username",
        custom_id: Scalar<'a> = "custom_id",
    }
}

lenient_object! {
    /// `authenticated_entity`: present exactly when a plugin authenticated the caller.
    pub(super) struct AuthenticatedEntity<'a> {
        id: Scalar<'a> = "id",
        consumer_id: Scalar<'a> = "consumer_id",
    }
}

lenient_object! {
    /// Custom fields with token claims: `identity`, `identity_unverified`.
    pub(super) struct TokenClaims<'a> {
        tid: Scalar<'a> = "tid",
        oid: Scalar<'a> = "oid",
        azp: Scalar<'a> = "azp",
        appid: Scalar<'a> = "appid" | "app_id" | "client_id",
        upn: Scalar<'a> = "upn",
        preferred_username: Scalar<'a> = "preferred_username",
        unique_name: Scalar<'a> = "unique_name",
        name: Scalar<'a> = "name",
        idtyp: Scalar<'a> = "idtyp",
        sub: Scalar<'a> = "sub",
        scp: List<'a> = "scp",
        scope: List<'a> = "scope",
        roles: List<'a> = "roles",
        issued_at: Scalar<'a> = "iat",
        expires_at: Scalar<'a> = "exp",
    }
}

lenient_object! {
    /// Custom field `denial`: the head of the error body.
    pub(super) struct Denial<'a> {
        message: Scalar<'a> = "message",
    }
}

lenient_object! {
    /// Custom field `gateway`.
    pub(super) struct GatewayNode<'a> {
        node: Scalar<'a> = "node" | "hostname" | "name",
    }
}

lenient_object! {
    struct Try<'a> {
        state: Scalar<'a> = "state",
    }
}

lenient_object! {
    struct TraceIds<'a> {
        w3c: Scalar<'a> = "w3c",
        b3: Scalar<'a> = "b3",
        datadog: Scalar<'a> = "datadog",
        jaeger: Scalar<'a> = "jaeger",
        ot: Scalar<'a> = "ot",
        aws: Scalar<'a> = "aws",
        gcp: Scalar<'a> = "gcp",
    }
}

/// `tries`: the attempts on upstream targets.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Absent means that no route matched; an empty list, that no upstream was contacted.
    pub(super) is_present: bool,
    /// Number of attempts.
    pub(super) count: u32,
    /// Whether the last attempt carries `state: failed`.
    pub(super) has_failed_last: bool,
}

impl Tries {
    fn add(&mut self, attempt: &Try<'_>) {
        self.count = self.count.saturating_add(1);
        self.has_failed_last = attempt.state.as_str() == Some("failed");
    }
}

impl<'de> Deserialize<'de> for Tries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TriesVisitor;
        impl<'de> Visitor<'de> for TriesVisitor {
            type Value = Tries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tries")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Tries::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut tries = Tries { is_present: true, ..Tries::default() };
                while let Some(attempt) = seq.next_element::<Try<'de>>()? {
                    tries.add(&attempt);
                }
                Ok(tries)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // An empty Lua list is written `{}`; a sparse one has its positions as keys.
                let mut tries = Tries { is_present: true, ..Tries::default() };
                while let Some((IgnoredAny, attempt)) = map.next_entry::<IgnoredAny, Try<'de>>()? {
                    tries.add(&attempt);
                }
                Ok(tries)
            }
        }
        deserializer.deserialize_any(TriesVisitor)
    }
}

/// `trace_id`: an object of formats since 3.5, or one id.
#[derive(Debug, Default)]
pub(super) struct TraceId<'a>(Scalar<'a>);

impl TraceId<'_> {
    /// The W3C id, else the first other one.
    pub(super) fn as_text(&self) -> Option<Cow<'_, str>> {
        self.0.as_text()
    }
}

impl<'de> Deserialize<'de> for TraceId<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        // A raw value is valid JSON, so reading it leniently cannot fail but by nesting, which no trace id has.
        if raw.starts_with('{') {
            let ids: TraceIds<'de> = serde_json::from_str(raw).unwrap_or_default();
            let all = [ids.w3c, ids.b3, ids.datadog, ids.jaeger, ids.ot, ids.aws, ids.gcp];
            return Ok(Self(all.into_iter().find(|id| !id.is_null()).unwrap_or_default()));
        }
        Ok(Self(serde_json::from_str(raw).unwrap_or_default()))
    }
}

/// One entry.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) request: Request<'a>,
    pub(super) response: Response<'a>,
    pub(super) session: Session<'a>,
    pub(super) upstream: UpstreamBytes<'a>,
    pub(super) latencies: Latencies<'a>,
    pub(super) tries: Tries,
    pub(super) route: Entity<'a>,
    pub(super) service: Entity<'a>,
    pub(super) consumer: Consumer<'a>,
    pub(super) authenticated_entity: AuthenticatedEntity<'a>,
    pub(super) client_ip: Scalar<'a>,
    pub(super) started_at: Scalar<'a>,
    pub(super) source: Scalar<'a>,
    pub(super) workspace: Scalar<'a>,
    pub(super) workspace_name: Scalar<'a>,
    pub(super) upstream_status: Scalar<'a>,
    pub(super) correlation_id: Scalar<'a>,
    pub(super) trace_id: TraceId<'a>,
    pub(super) ai: Ai<'a>,
    pub(super) identity: TokenClaims<'a>,
    pub(super) identity_unverified: TokenClaims<'a>,
    pub(super) denial: Denial<'a>,
    pub(super) auth_scheme: Scalar<'a>,
    pub(super) gateway: GatewayNode<'a>,
    /// Fields without a place above, as raw JSON, in the order of the record.
    pub(super) leftovers: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl Entry<'_> {
    /// Whether this is an entry at all: it has a `request` or a `session` object.
    pub(super) fn is_entry(&self) -> bool {
        self.request.is_object || self.session.is_object
    }

    /// Whether it is a stream entry.
    pub(super) fn is_stream(&self) -> bool {
        self.session.is_object && !self.request.is_object
    }

    /// Whether a plugin authenticated the caller.
    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated_entity.is_object
    }

    /// The status the client saw.
    pub(super) fn status(&self) -> Option<i64> {
        if self.is_stream() { self.session.status.as_i64() } else { self.response.status.as_i64() }
    }

    /// TLS of the client's connection.
    pub(super) fn tls(&self) -> &Tls<'_> {
        if self.is_stream() { &self.session.tls } else { &self.request.tls }
    }
}

/// Unknown top-level fields that are kept for `extra`; more are dropped.
const LEFTOVERS_MAX: usize = 64;

impl<'a> Entry<'a> {
    fn read_field<A: MapAccess<'a>>(&mut self, key: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*key {
            "request" => self.request = map.next_value()?,
            "response" => self.response = map.next_value()?,
            "session" => self.session = map.next_value()?,
            "upstream" => self.upstream = map.next_value()?,
            "latencies" => self.latencies = map.next_value()?,
            "tries" => self.tries = map.next_value()?,
            "route" => self.route = map.next_value()?,
            "service" => self.service = map.next_value()?,
            "consumer" => self.consumer = map.next_value()?,
            "authenticated_entity" => self.authenticated_entity = map.next_value()?,
            "client_ip" => self.client_ip = map.next_value()?,
            "started_at" => self.started_at = map.next_value()?,
            "source" => self.source = map.next_value()?,
            "workspace" => self.workspace = map.next_value()?,
            "workspace_name" => self.workspace_name = map.next_value()?,
            "upstream_status" => self.upstream_status = map.next_value()?,
            "correlation_id" => self.correlation_id = map.next_value()?,
            "trace_id" => self.trace_id = map.next_value()?,
            "ai" => self.ai = map.next_value()?,
            "identity" => self.identity = map.next_value()?,
            "identity_unverified" => self.identity_unverified = map.next_value()?,
            "denial" => self.denial = map.next_value()?,
            "auth_scheme" => self.auth_scheme = map.next_value()?,
            "gateway" => self.gateway = map.next_value()?,
            "upstream_uri" => drop(map.next_value::<IgnoredAny>()?),
            _ => {
                let raw = map.next_value()?;
                if self.leftovers.len() < LEFTOVERS_MAX {
                    self.leftovers.push((key, raw));
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Entry<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry<'de>;

            missing_unless_object!('de);

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entry = Entry::default();
                while let Some(Key(key)) = map.next_key()? {
                    entry.read_field(key, &mut map)?;
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_any(EntryVisitor)
    }
}
