//! The front door: one line, document or message in; events and rejections out.
//!
//! - In: bytes of any form a source sends, and which side they are from.
//! - Out: calls of the sink, in the order of the records inside the bytes.
//! - Invariants: each record inside the bytes leaves exactly once, as an event or as a rejection.

use crate::directory::Directory;
use crate::redact::{self, Pseudonymiser};
use crate::split::{self, Piece};
use crate::{azure, kong};
use corridor_model::{Event, Finding, JoinFacts, RejectCode, Rejection, Side};
use std::borrow::Cow;

/// What refining depends on beside the record. Shared by all threads.
#[derive(Debug, Default)]
pub struct Context {
    /// The directory folder, as loaded.
    pub directory: Directory,
    /// Rules that an operator may set.
    pub settings: Settings,
    /// Keyed pseudonyms for client IP and UPN; None stores both in clear.
    pub pseudonyms: Option<Pseudonymiser>,
}

/// Rules that an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lower-case names of the headers that carry the correlation id, in order of preference.
    pub correlation_headers: Vec<String>,
    /// Host names of the gateway, beside those of the decK dump. Lower case.
    pub gateway_hosts: Vec<String>,
    /// A token that lives longer than this is the finding TOKEN_TOO_LONG. Seconds. Entra's longest default
    /// access-token life is 90 min.
    pub token_lifetime_seconds_max: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            correlation_headers: ["x-correlation-id", "kong-request-id", "x-ms-client-request-id"]
                .map(String::from)
                .to_vec(),
            gateway_hosts: Vec::new(),
            token_lifetime_seconds_max: 90 * 60,
        }
    }
}

/// One record cut out of its batch or envelope.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The record's text; decoded lossily if the bytes were not UTF-8.
    pub text: &'a str,
    /// The record's bytes as received.
    pub original: &'a [u8],
    /// Position inside the batch or envelope, from 0.
    pub index: u32,
}

/// Why the event says what it says, for `corridor explain`. Not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explanation {
    /// Name of the rule that gave the verdict.
    pub rule: &'static str,
    /// How the principal was found.
    pub identity: &'static str,
}

/// A classified event with what the join needs of it.
#[derive(Debug)]
pub struct Refined<'a> {
    /// The event under the evidence columns.
    pub event: Event<'a>,
    /// Its join facts.
    pub facts: JoinFacts,
    /// Why.
    pub explanation: Explanation,
}

/// What became of one record.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// It is an event. The text is the original record: redact it before storing it.
    Event(Box<Refined<'a>>, &'a str),
    /// It is a rejection; the index is its position inside the batch or envelope.
    Rejected(Rejection, u32),
}

/// Refines all records inside `bytes`.
pub fn refine(side: Side, bytes: &[u8], context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) {
    let is_done = match side {
        Side::Kong => kong::refine_alone(split::trimmed(bytes), context, sink),
        Side::Azure => false,
    };
    if is_done {
        return;
    }
    split::split(bytes, &mut |piece| match piece {
        Piece::Record { bytes, index } => refine_record(side, bytes, index, context, sink),
        Piece::Broken { bytes, index, code, detail } => {
            sink(Outcome::Rejected(reject(code, detail, bytes), index));
        }
    });
}

fn refine_record(
    side: Side,
    original: &[u8],
    index: u32,
    context: &Context,
    sink: &mut dyn FnMut(Outcome<'_>),
) {
    let text = match std::str::from_utf8(original) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(original),
    };
    let was_lossy = matches!(text, Cow::Owned(_));
    let record = Record { text: &text, original, index };
    let mut mark = |mut outcome: Outcome<'_>| {
        if let (true, Outcome::Event(refined, _)) = (was_lossy, &mut outcome) {
            refined.event.findings.insert(Finding::InvalidUtf8);
            refined.facts.findings.insert(Finding::InvalidUtf8);
        }
        sink(outcome);
    };
    match side {
        Side::Kong => kong::refine_entry(record, context, &mut mark),
        Side::Azure => azure::refine_record(record, context, &mut mark),
    }
}

/// Longest stored head of a rejected record, in bytes before redaction.
const PREVIEW_BYTES_MAX: usize = 2_048;

/// A rejection with a redacted head of the bytes.
pub fn reject(code: RejectCode, detail: impl AsRef<str>, bytes: &[u8]) -> Rejection {
    let head = &bytes[..bytes.len().min(PREVIEW_BYTES_MAX)];
    Rejection {
        code,
        detail: redact::preview(detail.as_ref()),
        preview: redact::preview(&String::from_utf8_lossy(head)),
    }
}
