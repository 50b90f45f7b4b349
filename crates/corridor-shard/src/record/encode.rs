//! Encode: log records as bytes.
//!
//! - In: the values of a record.
//! - Out: its bytes, behind those that stand in the buffer already.
//! - Form: version, kind, then for events and rejects the lengths of the parts, then the parts. Facts are followed by their
//!   texts. Numbers are seven bits a byte.

use super::{LoggedEvent, LoggedReject, VERSION, kind};
use corridor_model::{EventId, JoinFacts, Micros};
use corridor_refine::join::ShardId;
use corridor_refine::join::facts_codec::{put_difference, put_facts, put_number};

/// The moment near which times are told. A fixed one: a record is read alone.
pub(super) const EPOCH: Micros = Micros(0);

/// Appends an event.
pub fn encode_event(event: &LoggedEvent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind::EVENT]);
    out.extend_from_slice(&event.content);
    put_number(event.row.len() as u64, out);
    put_optional_length(event.record.map(<[u8]>::len), out);
    put_number(event.path.len() as u64, out);
    put_optional_length(event.directory_version.map(str::len), out);
    put_facts_and_texts(&event.facts, out);
    out.extend_from_slice(event.path.as_bytes());
    out.extend_from_slice(event.directory_version.unwrap_or_default().as_bytes());
    out.extend_from_slice(event.row);
    out.extend_from_slice(event.record.unwrap_or_default());
}

/// Appends a reject.
pub fn encode_reject(reject: &LoggedReject<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind::REJECT, reject.side as u8]);
    out.extend_from_slice(&reject.record_sha256.0);
    put_number(reject.byte_offset, out);
    put_number(reject.record_index.into(), out);
    put_difference(reject.received_time.0, EPOCH.0, out);
    for text in [reject.code.as_str(), reject.detail, reject.preview, reject.path] {
        put_number(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a hint, for every shard but the event's home.
pub fn encode_hint(facts: &JoinFacts, home: ShardId, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind::HINT]);
    put_number(home.into(), out);
    put_facts_and_texts(facts, out);
}

/// Appends an introduction.
pub fn encode_introduction(to: &EventId, peer: &JoinFacts, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind::INTRODUCTION]);
    out.extend_from_slice(&to.0);
    put_facts_and_texts(peer, out);
}

/// Appends a tick.
pub fn encode_tick(shard: ShardId, clock: Micros, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind::TICK]);
    put_number(shard.into(), out);
    put_difference(clock.0, EPOCH.0, out);
}

fn put_facts_and_texts(facts: &JoinFacts, out: &mut Vec<u8>) {
    put_facts(facts, EPOCH, out);
    out.extend_from_slice(facts.summary.texts.all().as_bytes());
}

/// 0 for a part that is missing, else one above its length.
fn put_optional_length(length: Option<usize>, out: &mut Vec<u8>) {
    put_number(length.map_or(0, |length| length as u64 + 1), out);
}
