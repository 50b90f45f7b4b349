//! Azure: one diagnostic record becomes a classified event.
//!
//! - In: one record of any Synapse category, or of a neighbour (Activity Log, Entra logs), as its text.
//! - Out: one event with its join facts, or one rejection.
//! - Invariants: typed borrowed decoding in one pass; never panics; no header value, body, statement or claim dump
//!   leaves this module; unknown categories are events like all others.
//!
//! Modules stand in flow order: fields, key_table → decode → kind, timestamp → sql, answer → verdict → identity → ids →
//! columns, extra → facts.

mod fields;
mod key_table;

mod decode;

mod kind;
mod timestamp;

mod phrase;
mod sql;

mod answer;

mod verdict;

mod identity;

mod ids;

mod columns;
mod extra;

mod facts;

use crate::call::{UrlParts, split_url};
use crate::canonical::canonical_json;
use crate::column_limit::cut_texts;
use crate::identify::{self, Identity};
use crate::redact;
use crate::refiner::{Context, Explanation, Outcome, Record, Refined, reject};
use answer::{Answer, read_answer, status_of_word};
use corridor_model::{Event, EventId, Finding, Micros, RecordDigest, RejectCode, Source};
use decode::Raw;
use fields::Field;
use kind::{Kind, Resource};
use sql::SqlAction;
use std::borrow::Cow;
use timestamp::parse_time;
use verdict::{Signals, Word};

/// Refines one record: parse → identify → classify → redact → facts.
pub fn refine_record(record: Record<'_>, context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) {
    match refine(record, context) {
        Ok(refined) => sink(Outcome::Event(Box::new(refined), record.text)),
        Err((code, detail)) => sink(Outcome::Rejected(reject(code, detail, record.original), record.index)),
    }
}

fn refine<'a>(
    record: Record<'a>,
    context: &'a Context,
) -> Result<Refined<'a>, (RejectCode, Cow<'static, str>)> {
    let parsed = parse(record.text)?;
    let event_id = event_id(&parsed, record.text);
    let mut event = Event::new(parsed.source, parsed.category.clone(), event_id, parsed.event_time);
    event.record_sha256 = RecordDigest::of(record.original);
    event.record_index = record.index;
    let (verdict, rule) = verdict::decide(&parsed.signals());
    event.verdict = verdict;
    let caller =
        identity::read_caller(&parsed.raw, parsed.kind, &parsed.resource_id, &verdict, &context.directory);
    let identity = identify::resolve(&caller.claims, caller.basis, &context.directory);
    let kong_ids = ids::read_ids(&parsed.raw, parsed.statement(), &context.settings.correlation_headers);
    columns::fill(&mut event, &parsed, &kong_ids, &identity, context);
    find(&mut event, &parsed, &identity, context);
    redact::sweep(&mut event);
    cut_texts(&mut event);
    if let Some(pseudonyms) = &context.pseudonyms {
        pseudonyms.apply(&mut event);
    }
    let facts = facts::gather(&parsed, &kong_ids, &identity, &event, context);
    Ok(Refined { event, facts, explanation: Explanation { rule, identity: caller.how } })
}

/// What an auditor should look at.
fn find(event: &mut Event<'_>, parsed: &Parsed<'_>, identity: &Identity<'_>, context: &Context) {
    let went_round = parsed.host().is_some_and(|host| {
        context.directory.is_service_host(&host) && !facts::is_gateway_host(&host, context)
    });
    if parsed.kind == Kind::Activity && parsed.got_answer() && went_round {
        event.findings.insert(Finding::GatewayBypass);
    }
    if event.static_credential == Some(true) {
        event.findings.insert(Finding::StaticCredential);
    }
    if identity.in_directory == Some(false) {
        event.findings.insert(Finding::UnknownPrincipal);
    }
}

/// A record with everything that more than one later step needs.
struct Parsed<'a> {
    raw: Raw<'a>,
    kind: Kind,
    source: Source,
    category: Cow<'a, str>,
    /// Lower case; empty when the record has none.
    resource_id: Cow<'a, str>,
    workspace: Option<Cow<'a, str>>,
    event_time: Micros,
    word: Word,
    /// What a web activity got back.
    answer: Answer,
    http: Option<u16>,
    error_text: Cow<'a, str>,
    sql_error: Option<u32>,
}

fn parse(text: &str) -> Result<Parsed<'_>, (RejectCode, Cow<'static, str>)> {
    let raw = Raw::parse(text).map_err(|error| {
        if error.is_data() {
            return (RejectCode::NotARecord, Cow::Borrowed("a diagnostic record must be a JSON object"));
        }
        let detail =
            format!("the record is not JSON: it breaks at line {}, column {}", error.line(), error.column());
        (RejectCode::NotJson, Cow::Owned(detail))
    })?;
    let category = raw.text(Field::Category);
    if category.is_none() && raw.get(Field::MetricName).is_some() {
        return Err((RejectCode::MetricRecord, Cow::Borrowed("a metric, not a log record")));
    }
    let times = [Field::EventTime, Field::OriginalTime, Field::Time, Field::OtherTime, Field::Start];
    if category.is_none() && raw.get(Field::ResourceId).is_none() && raw.first(&times[..4]).is_none() {
        return Err((RejectCode::NotARecord, Cow::Borrowed("neither time nor category nor resourceId")));
    }
    let event_time = times.into_iter().find_map(|field| raw.get(field).and_then(parse_time));
    let event_time = event_time.ok_or((
        RejectCode::EventTimeInvalid,
        Cow::Borrowed("no time field holds a moment between 1970 and 9999"),
    ))?;
    let category = category.unwrap_or(Cow::Borrowed("Unknown"));
    let resource_id = raw.text(Field::ResourceId).map_or(Cow::Borrowed(""), lower);
    let resource = Resource::parse(&resource_id);
    let kind = Kind::of(&resource, &category);
    let source = kind.source(&resource);
    let workspace =
        resource.workspace.map(|name| Cow::Owned(name.to_owned())).or_else(|| server_name(&raw, kind));
    let error_text = columns::error_text(&raw, kind);
    let answer = match kind {
        Kind::Activity => read_answer(raw.get(Field::OutputStatus), Some(&error_text)),
        _ => Answer::default(),
    };
    let word = raw.first(&[Field::Status, Field::ResultType]).map_or(Word::Unknown, Word::parse);
    let http = http_status(&raw, kind, &answer);
    let sql_error = match kind {
        Kind::SqlAudit => sql::deciding_error(&[raw.get(Field::AdditionalInformation)], None),
        Kind::BuiltinSql => sql::deciding_error(&[Some(&error_text)], raw.get(Field::ErrorCode)),
        _ => None,
    };
    Ok(Parsed {
        raw,
        kind,
        source,
        category,
        resource_id,
        workspace,
        event_time,
        word,
        answer,
        http,
        error_text,
        sql_error,
    })
}

fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

/// The workspace behind the name of its SQL server; the serverless one ends with `-ondemand`.
fn server_name<'a>(raw: &Raw<'a>, kind: Kind) -> Option<Cow<'a, str>> {
    let name = raw.text(Field::LogicalServer).filter(|_| kind.is_sql()).map(lower)?;
    Some(match name.strip_suffix("-ondemand") {
        Some(head) => Cow::Owned(head.to_owned()),
        None => name,
    })
}

fn http_status(raw: &Raw<'_>, kind: Kind, answer: &Answer) -> Option<u16> {
    match kind {
        Kind::Activity => return answer.status,
        Kind::PipelineRun | Kind::TriggerRun => return None,
        _ if kind.is_sql() => return None,
        _ => {}
    }
    let signature = raw.get(Field::ResultSignature).and_then(|text| {
        let number = phrase::first_number(text).and_then(|number| u16::try_from(number).ok());
        number.filter(|status| (100..=599).contains(status)).or_else(|| status_of_signature(text))
    });
    signature.or_else(|| raw.get(Field::StatusCode).and_then(status_of_word))
}

/// `Forbidden`, or `Failed.Forbidden` as the Activity Log has it.
fn status_of_signature(text: &str) -> Option<u16> {
    status_of_word(text).or_else(|| status_of_word(text.rsplit('.').next()?))
}

impl<'a> Parsed<'a> {
    fn signals(&self) -> Signals<'_> {
        let raw = &self.raw;
        let is_audit = self.kind == Kind::SqlAudit;
        Signals {
            kind: self.kind,
            is_web: self.is_web_activity(),
            word: self.word,
            result: match self.kind {
                // `properties.status.errorCode`, where the record itself states no result.
                Kind::SignIn => raw.first(&[Field::ResultType, Field::ErrorCode]).unwrap_or(""),
                _ => raw.first(&[Field::ResultType, Field::Status]).unwrap_or(""),
            },
            http: self.http,
            answer: self.answer,
            text: &self.error_text,
            sql_error: self.sql_error,
            sql_action: match is_audit {
                true => sql::sql_action(raw.get(Field::ActionId), raw.get(Field::ActionName)),
                false => SqlAction::Unknown,
            },
            succeeded: raw.get(Field::Succeeded).and_then(truth),
        }
    }

    /// Whether the activity is one that makes a single web call.
    fn is_web_activity(&self) -> bool {
        let is_web = |kind: &str| {
            ["WebActivity", "WebHook", "Web", "AzureFunction", "AzureFunctionActivity"]
                .iter()
                .any(|known| kind.eq_ignore_ascii_case(known))
        };
        self.kind == Kind::Activity && self.raw.get(Field::ActivityType).is_none_or(is_web)
    }

    /// Whether the activity calls a URL: a web activity, or a copy from a REST source.
    fn makes_calls(&self) -> bool {
        let is_copy = self.raw.get(Field::ActivityType).is_some_and(|kind| kind.eq_ignore_ascii_case("Copy"));
        self.is_web_activity() || self.kind == Kind::Activity && is_copy
    }

    /// The URL that an activity called, or that a gateway request asked for.
    fn url(&self) -> Option<UrlParts<'_>> {
        let field = if self.kind == Kind::Activity { Field::Url } else { Field::RequestUri };
        self.raw.get(field).map(split_url).filter(|parts| parts.host.is_some() || parts.path.starts_with('/'))
    }

    /// The host that an activity called.
    fn host(&self) -> Option<Cow<'_, str>> {
        self.url()?.host
    }

    /// Whether the activity got an answer.
    fn got_answer(&self) -> bool {
        self.kind == Kind::Activity && (self.word == Word::Succeeded || self.answer.status.is_some())
    }

    /// The SQL or query text, which never leaves the crate.
    fn statement(&self) -> Option<&str> {
        let field = match self.kind {
            Kind::ExecRequest | Kind::PoolStep => Field::Command,
            _ => Field::QueryText,
        };
        self.raw.get(field)
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The natural key of synapse-diagnostics.md §3.2, else the hash of the canonical record.
fn event_id(parsed: &Parsed<'_>, text: &str) -> EventId {
    natural_key(parsed).unwrap_or_else(|| {
        let canonical = canonical_json(text);
        EventId::from_canonical_json(canonical.as_deref().unwrap_or(text.as_bytes()))
    })
}

fn natural_key(parsed: &Parsed<'_>) -> Option<EventId> {
    let raw = &parsed.raw;
    let id = |field| raw.get(field).map(|text| corridor_model::id::trim_id(text).to_ascii_lowercase());
    let word = |field| raw.get(field).unwrap_or("");
    let time = raw.get(Field::Time).and_then(parse_time).unwrap_or(parsed.event_time).0.to_string();
    let domain = format!("azure/{}", parsed.category.to_ascii_lowercase());
    match parsed.kind {
        Kind::Activity => {
            let run = id(Field::ActivityRunId)?;
            Some(EventId::from_natural_key(&domain, &[&run, word(Field::Status), &time]))
        }
        Kind::PipelineRun => {
            let run = id(Field::RunId).or_else(|| id(Field::PipelineRunId))?;
            Some(EventId::from_natural_key(&domain, &[&run, word(Field::Status), &time]))
        }
        Kind::SqlAudit => {
            if let Some(event) = id(Field::EventRecordId) {
                return Some(EventId::from_natural_key(&domain, &["event_id", &event]));
            }
            let group = id(Field::SequenceGroupId)?;
            let event_time = parsed.event_time.0.to_string();
            let (number, session) = (word(Field::SequenceNumber), word(Field::SessionId));
            let action = word(Field::ActionId);
            let parts = ["sequence", &group, number, &event_time, session, action, &parsed.resource_id];
            Some(EventId::from_natural_key(&domain, &parts))
        }
        Kind::ExecRequest => {
            let request = raw.get(Field::RequestId)?;
            Some(EventId::from_natural_key(
                &domain,
                &[&parsed.resource_id, request, word(Field::Status), &time],
            ))
        }
        Kind::TriggerRun
        | Kind::BuiltinSql
        | Kind::PoolStep
        | Kind::Gateway
        | Kind::Rbac
        | Kind::Kusto
        | Kind::ActivityLog
        | Kind::SignIn
        | Kind::EntraAudit
        | Kind::Other => None,
    }
}

#[cfg(test)]
mod tests;
