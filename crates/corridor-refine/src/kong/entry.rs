//! Entry: the fields of one http-log entry, borrowed from its text.
//!
//! - In: the JSON of one entry, of any version, with values in any form.
//! - Out: [`Entry`]; what has no field stands in `leftovers` as raw JSON.
//! - Invariants: repeated keys, `null`, wrong types and unknown fields never fail; bodies, prompts, cookies and
//!   credentials are skipped while reading, and only counted.

use super::ai::Ai;
use super::headers::{RequestHeaders, ResponseHeaders};
use super::query::QueryNames;
use crate::object::{Field, FromObject, deserialize_object, field_by_value, lenient_object};
use crate::scalar::{Key, List, Raw, Scalar};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

lenient_object! {
    /// `request`: what the client sent, after the plugins changed its headers.
    pub(super) struct Request<'a> {
        id: Scalar<'a> = b"id",
        method: Scalar<'a> = b"method",
        uri: Scalar<'a> = b"uri",
        url: Scalar<'a> = b"url",
        size: Scalar<'a> = b"size",
        query: QueryNames<'a> = b"querystring",
        headers: RequestHeaders<'a> = b"headers",
        tls: Tls<'a> = b"tls",
    }
}

lenient_object! {
    /// `request.tls`, `session.tls`.
    pub(super) struct Tls<'a> {
        version: Scalar<'a> = b"version",
        client_verify: Scalar<'a> = b"client_verify",
    }
}

lenient_object! {
    /// `response`: what the client got.
    pub(super) struct Response<'a> {
        status: Scalar<'a> = b"status",
        size: Scalar<'a> = b"size",
        headers: ResponseHeaders<'a> = b"headers",
    }
}

lenient_object! {
    /// `session` of a stream entry.
    pub(super) struct Session<'a> {
        status: Scalar<'a> = b"status",
        received: Scalar<'a> = b"received",
        sent: Scalar<'a> = b"sent",
        tls: Tls<'a> = b"tls",
    }
}

lenient_object! {
    /// `upstream` of a stream entry; empty when the session was refused.
    pub(super) struct UpstreamBytes<'a> {
        received: Scalar<'a> = b"received",
        sent: Scalar<'a> = b"sent",
    }
}

lenient_object! {
    /// `latencies`, milliseconds; `proxy` is -1 when the request was not proxied.
    pub(super) struct Latencies<'a> {
        request: Scalar<'a> = b"request",
        session: Scalar<'a> = b"session",
        kong: Scalar<'a> = b"kong",
        proxy: Scalar<'a> = b"proxy",
        receive: Scalar<'a> = b"receive",
    }
}

lenient_object! {
    /// `route`, `service`: of the configuration copies only the names.
    pub(super) struct Entity<'a> copied as "corridor::Entity" {
        id: Scalar<'a> = b"id",
        name: Scalar<'a> = b"name",
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
        id: Scalar<'a> = b"id",
        username: Scalar<'a> = b"username",
        custom_id: Scalar<'a> = b"custom_id",
    }
}

lenient_object! {
    /// `authenticated_entity`: present exactly when a plugin authenticated the caller.
    pub(super) struct AuthenticatedEntity<'a> {
        id: Scalar<'a> = b"id",
        consumer_id: Scalar<'a> = b"consumer_id",
    }
}

lenient_object! {
    /// Custom fields with token claims: `identity`, `identity_unverified`.
    pub(super) struct TokenClaims<'a> {
        tid: Scalar<'a> = b"tid",
        oid: Scalar<'a> = b"oid",
        azp: Scalar<'a> = b"azp",
        appid: Scalar<'a> = b"appid" | b"app_id" | b"client_id",
        upn: Scalar<'a> = b"upn",
        preferred_username: Scalar<'a> = b"preferred_username",
        unique_name: Scalar<'a> = b"unique_name",
        name: Scalar<'a> = b"name",
        idtyp: Scalar<'a> = b"idtyp",
        sub: Scalar<'a> = b"sub",
        scp: List<'a> = b"scp",
        scope: List<'a> = b"scope",
        roles: List<'a> = b"roles",
        issued_at: Scalar<'a> = b"iat",
        expires_at: Scalar<'a> = b"exp",
    }
}

lenient_object! {
    /// Custom field `denial`: the head of the error body.
    pub(super) struct Denial<'a> {
        message: Scalar<'a> = b"message",
    }
}

lenient_object! {
    /// Custom field `gateway`.
    pub(super) struct GatewayNode<'a> {
        node: Scalar<'a> = b"node" | b"hostname" | b"name",
    }
}

lenient_object! {
    struct Try<'a> {
        state: Scalar<'a> = b"state",
    }
}

lenient_object! {
    struct TraceIds<'a> {
        w3c: Scalar<'a> = b"w3c",
        b3: Scalar<'a> = b"b3",
        datadog: Scalar<'a> = b"datadog",
        jaeger: Scalar<'a> = b"jaeger",
        ot: Scalar<'a> = b"ot",
        aws: Scalar<'a> = b"aws",
        gcp: Scalar<'a> = b"gcp",
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
        let Raw(raw) = Raw::deserialize(deserializer)?;
        // A raw value is valid JSON, so reading it leniently cannot fail but by nesting, which no trace id has.
        if raw.starts_with('{') {
            let ids: TraceIds<'de> = serde_json::from_str(raw).unwrap_or_default();
            let all = [ids.w3c, ids.b3, ids.datadog, ids.jaeger, ids.ot, ids.aws, ids.gcp];
            return Ok(Self(all.into_iter().find(|id| !id.is_null()).unwrap_or_default()));
        }
        Ok(Self(serde_json::from_str(raw).unwrap_or_default()))
    }
}

field_by_value!(TraceId);

impl<'de> Field<'de> for Tries {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        *self = map.next_value()?;
        Ok(())
    }
}

/// One entry.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    is_object: bool,
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
    pub(super) leftovers: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl Entry<'_> {
    /// Whether this is an entry at all: it has a `request` or a `session` object.
    pub(super) fn is_entry(&self) -> bool {
        self.request.is_object || self.session.is_object
    }

    /// Whether the object may be an envelope round records. It is none without a field of that name.
    pub(super) fn may_be_envelope(&self) -> bool {
        let is_records = |name: &str| name.eq_ignore_ascii_case("records");
        self.leftovers.len() == LEFTOVERS_MAX || self.leftovers.iter().any(|(name, _)| is_records(name))
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
        match key.as_bytes() {
            b"request" => self.request.read(map)?,
            b"response" => self.response.read(map)?,
            b"session" => self.session.read(map)?,
            b"upstream" => self.upstream.read(map)?,
            b"latencies" => self.latencies.read(map)?,
            b"tries" => self.tries.read(map)?,
            b"route" => self.route.read(map)?,
            b"service" => self.service.read(map)?,
            b"consumer" => self.consumer.read(map)?,
            b"authenticated_entity" => self.authenticated_entity.read(map)?,
            b"client_ip" => self.client_ip.read(map)?,
            b"started_at" => self.started_at.read(map)?,
            b"source" => self.source.read(map)?,
            b"workspace" => self.workspace.read(map)?,
            b"workspace_name" => self.workspace_name.read(map)?,
            b"upstream_status" => self.upstream_status.read(map)?,
            b"correlation_id" => self.correlation_id.read(map)?,
            b"trace_id" => self.trace_id.read(map)?,
            b"ai" => self.ai.read(map)?,
            b"identity" => self.identity.read(map)?,
            b"identity_unverified" => self.identity_unverified.read(map)?,
            b"denial" => self.denial.read(map)?,
            b"auth_scheme" => self.auth_scheme.read(map)?,
            b"gateway" => self.gateway.read(map)?,
            b"upstream_uri" => drop(map.next_value::<IgnoredAny>()?),
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

impl<'de> FromObject<'de> for Entry<'de> {
    fn is_object(&self) -> bool {
        self.is_object
    }

    fn read_members<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.is_object = true;
        while let Some(Key(key)) = map.next_key()? {
            self.read_field(key, &mut map)?;
        }
        Ok(())
    }
}

deserialize_object!(Entry);
