//! Columns: the record's values under the names of the evidence columns.
//!
//! - In: the parsed record, its identity and Kong's ids in it.
//! - Out: the event's columns, and the count of what was withheld.
//! - Invariants: no header value, body, statement or query value is stored.

use super::decode::Raw;
use super::extra::{Personal, without_queries, write_extra};
use super::fields::Field;
use super::ids::KongIds;
use super::kind::Kind;
use super::timestamp::parse_time;
use super::{Parsed, sql};
use crate::identify::Identity;
use crate::redact;
use crate::refiner::Context;
use corridor_model::id::{parse_hex_id, trim_id};
use corridor_model::{CorrelationOrigin, Event, EventId, IdentityBasis, Key128, Micros, PrincipalType};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Longest error text.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Fills the columns.
pub(super) fn fill<'a>(
    event: &mut Event<'a>,
    parsed: &Parsed<'a>,
    ids: &KongIds<'a>,
    identity: &Identity<'a>,
    context: &Context,
) {
    event.redactions = parsed.raw.withheld;
    fill_ids(event, parsed, ids);
    fill_identity(event, parsed, identity);
    fill_request(event, parsed);
    fill_result(event, parsed);
    fill_statement(event, parsed, context);
    fill_extra(event, parsed, context);
    let stored = usize::from(event.correlation_origin == CorrelationOrigin::Client);
    let headers = parsed.raw.input_headers.len().saturating_sub(stored) + parsed.raw.response_headers.len();
    event.redactions = event.redactions.saturating_add(u32::try_from(headers).unwrap_or(u32::MAX));
}

fn fill_ids<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>, ids: &KongIds<'a>) {
    let raw = &parsed.raw;
    let azure = raw.text(Field::CorrelationId).filter(|id| Key128::of_id(id).is_some()).map(plain_id);
    event.azure_correlation_id = azure.clone();
    match ids.correlation.first() {
        Some(id) => {
            event.correlation_id = Some(id.clone());
            event.correlation_origin = ids.origin.unwrap_or(CorrelationOrigin::Client);
        }
        None if azure.is_some() => {
            event.correlation_id = azure;
            event.correlation_origin = CorrelationOrigin::Synapse;
        }
        None => event.correlation_origin = CorrelationOrigin::Missing,
    }
    event.request_id = ids.request.first().cloned();
    event.pipeline_run_id = raw.text(Field::PipelineRunId).or_else(|| raw.text(Field::RunId)).map(plain_id);
    event.activity_run_id = raw.text(Field::ActivityRunId).map(plain_id);
    event.pipeline_name = raw.text(Field::PipelineName);
    event.activity_name = raw.text(Field::ActivityName);
    event.activity_type = raw.text(Field::ActivityType);
    event.workspace = parsed.workspace.clone();
    event.resource_id = Some(&parsed.resource_id).filter(|id| !id.is_empty()).cloned();
    event.operation = [Field::OperationName, Field::ActionName, Field::Command]
        .into_iter()
        .filter(|field| *field != Field::Command || parsed.kind == Kind::BuiltinSql)
        .find_map(|field| raw.text(field));
}

fn fill_identity<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>, identity: &Identity<'a>) {
    event.principal_id = identity.principal_id.clone();
    event.principal_name = identity.principal_name.clone();
    event.tenant_id = identity.tenant_id.clone();
    event.object_id = identity.object_id.clone();
    event.app_id = identity.app_id.clone();
    event.identity_basis = Some(Cow::Borrowed(identity.basis.as_str()));
    if identity.basis != IdentityBasis::None {
        event.principal_type = Some(Cow::Borrowed(identity.principal_type.as_str()));
    }
    let raw = &parsed.raw;
    event.scopes = raw.text(Field::Scopes);
    event.roles = raw.text(Field::Roles);
    let seconds = |field| {
        let seconds: i64 = raw.get(field)?.parse().ok()?;
        Micros(seconds.checked_mul(1_000_000)?).in_event_range()
    };
    event.token_issued_at = seconds(Field::Iat);
    event.token_expires_at = seconds(Field::Exp);
    (event.auth_method, event.static_credential) = credential(parsed, identity);
}

/// How the caller authenticated, and whether with a long-lived secret.
fn credential<'a>(parsed: &Parsed<'a>, identity: &Identity<'_>) -> (Option<Cow<'a, str>>, Option<bool>) {
    let raw = &parsed.raw;
    if let Some(kind) = raw.get(Field::AuthType) {
        let kind = kind.to_ascii_lowercase();
        let is_static = match kind.as_str() {
            "basic" => Some(true),
            "msi"
            | "managedidentity"
            | "managedserviceidentity"
            | "userassignedmanagedidentity"
            | "clientcertificate"
            | "serviceprincipal" => Some(false),
            _ => None,
        };
        return (Some(Cow::Owned(kind)), is_static);
    }
    if identity.basis == IdentityBasis::None {
        return (None, None);
    }
    match identity.principal_type {
        PrincipalType::SqlLogin => (Some(Cow::Borrowed("sql")), Some(true)),
        PrincipalType::Unknown if identity.object_id.is_none() && identity.app_id.is_none() => (None, None),
        _ if parsed.kind == Kind::SignIn => (None, None),
        PrincipalType::ManagedIdentity if parsed.kind.runs_as_workspace() => (None, Some(false)),
        _ => {
            let method = match raw.get(Field::AppIdAcr) {
                Some("1") => "entra-secret",
                Some("2") => "entra-certificate",
                _ => "entra",
            };
            (Some(Cow::Borrowed(method)), Some(false))
        }
    }
}

fn fill_request<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>) {
    let raw = &parsed.raw;
    event.http_method = raw
        .text(Field::Method)
        .or_else(|| raw.text(Field::HttpMethod))
        .map(|method| Cow::Owned(method.to_ascii_uppercase()));
    if let Some(parts) = parsed.url() {
        event.url_host = parts.host.as_ref().map(|host| Cow::Owned(host.to_string()));
        let mut path = parts.path.to_owned();
        if path.is_empty() {
            path.push('/');
        }
        event.url_path = Some(Cow::Owned(path));
        let mut names: Vec<&str> = parts
            .query
            .split('&')
            .filter_map(|pair| pair.split('=').next())
            .filter(|name| !name.is_empty())
            .collect();
        event.redactions = event.redactions.saturating_add(u32::try_from(names.len()).unwrap_or(u32::MAX));
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            event.query_names = Some(Cow::Owned(names.join(",")));
        }
    }
    event.http_status = parsed.http.map(i32::from);
    event.client_ip = raw.text(Field::CallerIp).map(plain_address);
    event.user_agent =
        raw.get(Field::ApplicationName).map(|name| Cow::Owned(redact::user_agent_family(name).into_owned()));
    event.tls_version = raw.get(Field::TlsVersion).and_then(tls_version).map(Cow::Borrowed);
}

/// An address without port, an IPv4 address not dressed up as IPv6; anything else as it stands.
fn plain_address(text: Cow<'_, str>) -> Cow<'_, str> {
    let address =
        text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    match address.map(|address| address.to_canonical().to_string()) {
        Some(plain) if plain != text => Cow::Owned(plain),
        _ => text,
    }
}

/// SQL Server prints the protocol number of the version.
fn tls_version(text: &str) -> Option<&'static str> {
    match text {
        "769" => Some("TLSv1"),
        "770" => Some("TLSv1.1"),
        "771" => Some("TLSv1.2"),
        "772" => Some("TLSv1.3"),
        _ => None,
    }
}

fn fill_result<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>) {
    let raw = &parsed.raw;
    event.result_type =
        [Field::Status, Field::ResultType, Field::Succeeded].into_iter().find_map(|field| raw.text(field));
    event.result_code = raw.text(Field::ResultSignature);
    event.activity_start = raw.get(Field::Start).and_then(parse_time);
    event.activity_end = raw.get(Field::End).and_then(parse_time);
    event.duration_ms = raw.get(Field::DurationMs).and_then(whole_number).or_else(|| {
        let (start, end) = (event.activity_start?, event.activity_end?);
        Some((end.0 - start.0) / 1000).filter(|millis| *millis >= 0)
    });
    if event.verdict.reason().is_none() {
        return;
    }
    event.error_code = error_code(parsed);
    if !parsed.error_text.is_empty() {
        let text = if parsed.kind.is_sql() && !event.verdict.is_denied() {
            // Errors of other kinds quote the values that they stumbled over.
            Cow::Owned(without_quotes(&parsed.error_text, &mut event.redactions))
        } else {
            without_queries(&parsed.error_text, &mut event.redactions)
        };
        let text = redact::mask_text(&text, &mut event.redactions);
        event.error_message = Some(Cow::Owned(text.chars().take(MESSAGE_CHARS_MAX).collect()));
    }
}

fn error_code<'a>(parsed: &Parsed<'a>) -> Option<Cow<'a, str>> {
    let raw = &parsed.raw;
    let stated = raw.text(Field::ErrorCode).filter(|code| code != "0");
    stated
        .or_else(|| parsed.sql_error.map(|number| Cow::Owned(number.to_string())))
        .or_else(|| raw.text(Field::ErrorId))
        .or_else(|| raw.text(Field::ResultType).filter(|_| parsed.kind == Kind::SignIn))
}

fn whole_number(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && (0.0..9e15).contains(&value)).then(|| value.round() as i64)
}

/// A text in which everything between quotes is replaced.
fn without_quotes(text: &str, redactions: &mut u32) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split(['\'', '"']).enumerate() {
        if index % 2 == 0 {
            out.push_str(part);
        } else {
            out.push_str("'?'");
            *redactions = redactions.saturating_add(1);
        }
    }
    out
}

fn fill_statement<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>, context: &Context) {
    let raw = &parsed.raw;
    let stated = [Field::StatementType, Field::Command].into_iter().find_map(|field| {
        let is_type = field == Field::StatementType || parsed.kind == Kind::BuiltinSql;
        raw.get(field).filter(|_| is_type)
    });
    let Some(statement) = parsed.statement() else {
        event.statement_verb = stated.map(verb_of_type);
        return;
    };
    let normal = redact::normalise_sql(statement);
    let hash = match &context.pseudonyms {
        Some(pseudonyms) => pseudonyms.hash("statement", &normal),
        None => EventId::from_canonical_json(normal.as_bytes()).to_string(),
    };
    event.statement_hash = Some(Cow::Owned(hash));
    event.statement_verb =
        redact::sql_verb(statement).map(Cow::Borrowed).or_else(|| stated.map(verb_of_type));
    event.redactions = event.redactions.saturating_add(1);
}

fn verb_of_type<'a>(text: &str) -> Cow<'a, str> {
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).take(32).collect();
    Cow::Owned(word.to_ascii_uppercase())
}

/// Fields with a meaning to auditors, but without a column.
const EXTRA_FIELDS: &[(&str, Field)] = &[
    ("action_id", Field::ActionId),
    ("action_name", Field::ActionName),
    ("logical_server", Field::LogicalServer),
    ("source_type", Field::SourceType),
    ("sql_request", Field::RequestId),
    ("sql_session", Field::SessionId),
];

fn fill_extra<'a>(event: &mut Event<'a>, parsed: &Parsed<'a>, context: &Context) {
    let raw: &Raw<'a> = &parsed.raw;
    let known = EXTRA_FIELDS.iter().filter_map(|(name, field)| {
        let text = raw.get(*field)?;
        let json = serde_json::to_string(text).ok()?;
        Some((*name, Cow::Owned(json)))
    });
    let unknown = raw.leftovers.iter().map(|(name, json)| (name.as_ref(), Cow::Borrowed(json.as_ref())));
    let personal = if context.pseudonyms.is_some() { Personal::Withheld } else { Personal::Clear };
    event.extra = write_extra(known.chain(unknown), personal, &mut event.redactions).map(Cow::Owned);
}

/// An id of Azure's own in the one spelling that rows can be compared by: a GUID in lower case and without braces.
fn plain_id(id: Cow<'_, str>) -> Cow<'_, str> {
    let bare = trim_id(&id);
    let is_plain = bare.len() == id.len() && !bare.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_plain || parse_hex_id(bare).is_none() {
        return id;
    }
    Cow::Owned(bare.to_ascii_lowercase())
}

/// The failure text of an audit record or the error text of any other, as the record states it.
pub(super) fn error_text<'a>(raw: &Raw<'a>, kind: Kind) -> Cow<'a, str> {
    let fields: &[Field] = match kind {
        Kind::SqlAudit => {
            let reason = raw.get(Field::AdditionalInformation).and_then(sql::failure_reason);
            return reason.map_or(Cow::Borrowed(""), |text| Cow::Owned(text.to_owned()));
        }
        Kind::Activity | Kind::BuiltinSql => &[Field::ErrorMessage, Field::FailureReason],
        _ => &[Field::ErrorMessage, Field::FailureReason, Field::ResultDescription],
    };
    fields.iter().find_map(|field| raw.text(*field)).unwrap_or(Cow::Borrowed(""))
}
