//! Kong: one http-log entry becomes a classified event.
//!
//! - In: one record of any version from 2.8 to 3.15, http or stream, bare or wrapped by an agent.
//! - Out: one event with its join facts, or one rejection.
//! - Invariants: never panics; keys are made of the clear values, stored texts are masked first.

mod ai;
mod correlation;
mod credential;
mod entry;
mod event;
mod extra;
mod facts;
mod findings;
mod headers;
mod identity;
mod message;
mod query;
mod unwrap;
mod verdict;

use crate::column_limit::cut_texts;
use crate::object::Place;
use crate::reader::read_usual;
use crate::refiner::{Context, Explanation, Outcome, Record, Refined, reject};
use crate::{canonical, redact};
use corridor_model::{EventId, Micros, RejectCode};
use entry::Entry;

/// Refines one entry: parse → identify → classify → redact → facts.
pub fn refine_entry(record: Record<'_>, context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) {
    let unwrapped =
        unwrap::with_entry(record.text, &mut |text, entry| refine_read(&record, text, entry, context, sink));
    if let Err(no_entry) = unwrapped {
        sink(Outcome::Rejected(reject(no_entry.code, no_entry.detail, record.original), record.index));
    }
}

/// Refines a record that stands alone in its bytes, as nearly all do: reading it tells that it does, and looking for
/// its end and for envelopes is saved. Returns whether it does; if not, nothing was done.
pub fn refine_alone(bytes: &[u8], context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) -> bool {
    let mut entry = Entry::default();
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let is_object = text.starts_with('{') && read_usual(text, Place(&mut entry)).is_some();
    if !is_object || entry.may_be_envelope() {
        return false;
    }
    let record = Record { text, original: bytes, index: 0 };
    let unwrapped = unwrap::accept(text, &entry, &mut |text, entry| {
        refine_read(&record, text, entry, context, sink);
    });
    if let Err(no_entry) = unwrapped {
        sink(Outcome::Rejected(reject(no_entry.code, no_entry.detail, bytes), record.index));
    }
    true
}

fn refine_read(
    record: &Record<'_>,
    text: &str,
    entry: &Entry<'_>,
    context: &Context,
    sink: &mut dyn FnMut(Outcome<'_>),
) {
    match entry.started_at.as_i64().and_then(Micros::from_millis) {
        Some(time) => {
            let refined = refine_parsed(record, text, entry, time, context);
            sink(Outcome::Event(Box::new(refined), record.text));
        }
        None => {
            let detail = "started_at is missing or not a time from 1970 to 9999 in epoch milliseconds";
            let rejection = reject(RejectCode::EventTimeInvalid, detail, record.original);
            sink(Outcome::Rejected(rejection, record.index));
        }
    }
}

fn refine_parsed<'e>(
    record: &Record<'_>,
    text: &str,
    entry: &'e Entry<'_>,
    event_time: Micros,
    context: &'e Context,
) -> Refined<'e> {
    let directory = &context.directory;
    let (route, service) = (entry.route.label(), entry.service.label());
    let guards =
        if entry.route.is_object { directory.guards(route.as_deref(), service.as_deref()) } else { &[] };
    let policy = directory.route_policy(route.as_deref(), service.as_deref());

    let target = event::target_of(entry);
    let credential = credential::credential_of(entry, target.query, guards).completed_by(entry, directory);
    let caller = identity::caller_of(entry, &credential, directory);
    let correlation = correlation::correlation_of(entry, &context.settings.correlation_headers);

    let is_token_expired = caller.token_expires_at.is_some_and(|end| end < event_time);
    let facts = verdict::facts_of(entry, credential, guards, is_token_expired);
    let (verdict, rule) = verdict::decide(&facts);

    let circumstances = findings::Circumstances {
        event_time,
        caller: &caller,
        credential,
        verdict,
        facts: &facts,
        origin: correlation.1,
        guards,
        policy,
    };
    let findings = findings::findings_of(entry, &circumstances, &context.settings);
    let keys = facts::Keys::of(entry, correlation.0.as_deref(), &target, caller.identity.keys);

    let event_id = event_id_of(entry, text, event_time);
    let found = event::Found {
        event_id,
        event_time,
        correlation,
        target,
        caller: &caller,
        credential,
        verdict,
        facts: &facts,
    };
    let mut event = event::event_of(entry, record, found);
    event.findings = findings;
    redact::sweep(&mut event);
    cut_texts(&mut event);
    if let Some(pseudonyms) = &context.pseudonyms {
        pseudonyms.apply(&mut event);
    }
    let facts = keys.into_facts(&event, policy, directory);
    Refined { event, facts, explanation: Explanation { rule, identity: caller.why } }
}

/// `request.id` with the gateway's workspace and the start; before 3.5, and for streams, the entry's content.
fn event_id_of(entry: &Entry<'_>, text: &str, event_time: Micros) -> EventId {
    match entry.request.id.as_text() {
        Some(request_id) if !entry.is_stream() => {
            let workspace = entry.workspace.as_text().or_else(|| entry.workspace_name.as_text());
            let started_at = (event_time.0 / 1_000).to_string();
            EventId::from_natural_key("kong", &[&request_id, workspace.as_deref().unwrap_or(""), &started_at])
        }
        _ => match canonical::canonical_json(text) {
            Some(json) => EventId::from_canonical_json(&json),
            None => EventId::from_canonical_json(text.as_bytes()),
        },
    }
}

#[cfg(test)]
mod tests;
