//! Codec: facts as bytes. They never leave the run that wrote them, so that there is no version.
//!
//! - In and out: batches of facts.
//! - Form: a [`Head`], the records, then the texts of all records in one block, which all facts of the batch
//!   share when they are read. A record is its position, told as the difference from the one before, its flags,
//!   its event id, and what the flags announce.
//! - Invariants: bytes that no encoder wrote give None, never a panic.

use super::SpilledFacts;
use crate::spill::Position;
use corridor_model::join::{CorrelationKey, FewKeys};
use corridor_model::{
    EventId, FindingSet, IdentityKeys, JoinFacts, Key128, Micros, PeerSummary, PeerTexts, Side, Verdict,
};
use std::sync::Arc;

/// Bytes of a [`Head`].
pub(super) const HEAD_SIZE: usize = 16;

/// What a batch begins with.
#[derive(Debug)]
pub(super) struct Head {
    /// Number of the batch in its slice.
    batch: u32,
    count: u32,
    record_bytes: u32,
    text_bytes: u32,
}

impl Head {
    /// From its bytes.
    pub(super) fn of(bytes: [u8; HEAD_SIZE]) -> Self {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { batch: number(0), count: number(4), record_bytes: number(8), text_bytes: number(12) }
    }

    /// Number of bytes that follow it.
    pub(super) fn byte_size(&self) -> usize {
        self.record_bytes as usize + self.text_bytes as usize
    }
}

/// Facts that are written together, as bytes from the start: as values they would fill the caches.
#[derive(Debug, Default)]
pub struct FactsBatch {
    count: u32,
    records: Vec<u8>,
    texts: String,
    /// Source and time of the last record.
    before: Option<Position>,
}

impl FactsBatch {
    /// Adds those of one event. Batch and row of its position are told when the batch is written.
    pub fn push(&mut self, position: &Position, facts: &JoinFacts) {
        put_position(position, &self.before.unwrap_or(ORIGIN), &mut self.records);
        put_facts(facts, position.time, &mut self.records);
        self.texts.push_str(facts.summary.texts.all());
        self.before = Some(*position);
        self.count += 1;
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes it takes.
    pub fn byte_size(&self) -> usize {
        self.records.len() + self.texts.len()
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        (self.count, self.before) = (0, None);
        self.records.clear();
        self.texts.clear();
    }

    /// All bytes, as the batch of this number.
    pub(super) fn parts(&self, batch: u32) -> ([u8; HEAD_SIZE], [&[u8]; 2]) {
        let size = |bytes: usize| u32::try_from(bytes).expect("a batch of rows is far below 4 GiB");
        let mut head = [0; HEAD_SIZE];
        let numbers = [batch, self.count, size(self.records.len()), size(self.texts.len())];
        for (place, number) in head.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        (head, [&self.records, self.texts.as_bytes()])
    }
}

/// Yes and no of a record, and which of its parts are there.
mod flag {
    pub(super) const AZURE: u32 = 1;
    pub(super) const ELIGIBLE: u32 = 1 << 1;
    pub(super) const FINAL_RECORD: u32 = 1 << 2;
    pub(super) const TAKES_PARTNER_VERDICT: u32 = 1 << 3;
    pub(super) const EXPECTS_GATEWAY_RECORD: u32 = 1 << 4;
    /// The event time is not the start.
    pub(super) const TIME: u32 = 1 << 5;
    /// The end is not the start.
    pub(super) const END: u32 = 1 << 6;
    /// Request ids other than exactly one.
    pub(super) const REQUESTS: u32 = 1 << 7;
    /// Correlation ids other than exactly one without a counter.
    pub(super) const CORRELATIONS: u32 = 1 << 8;
    pub(super) const RUN: u32 = 1 << 9;
    pub(super) const CALL: u32 = 1 << 10;
    pub(super) const CALL_AT_HOST: u32 = 1 << 11;
    pub(super) const OBJECT: u32 = 1 << 12;
    pub(super) const APP: u32 = 1 << 13;
    pub(super) const UPN: u32 = 1 << 14;
    pub(super) const LOCAL: u32 = 1 << 15;
    pub(super) const REUSE: u32 = 1 << 16;
    /// The run id is the first correlation id.
    pub(super) const RUN_IS_CORRELATION: u32 = 1 << 17;
    /// The reuse key is the first correlation id.
    pub(super) const REUSE_IS_CORRELATION: u32 = 1 << 18;
    /// The verdict is not "allowed".
    pub(super) const VERDICT: u32 = 1 << 19;
    pub(super) const FINDINGS: u32 = 1 << 20;
}

/// Before the first position of a batch.
const ORIGIN: Position =
    Position { file_index: 0, byte_offset: 0, record_index: 0, time: Micros(0), batch: 0, row: 0 };

fn flags_of(facts: &JoinFacts) -> u32 {
    let correlation = facts.correlation_ids.first().map(|id| id.base);
    let is_plain = matches!(&facts.correlation_ids[..], [CorrelationKey { counter: None, .. }]);
    let (has_run, has_reuse) = (facts.run_id.is_some(), facts.reuse_key.is_some());
    let identity = &facts.identity;
    [
        (facts.side == Side::Azure, flag::AZURE),
        (facts.is_eligible, flag::ELIGIBLE),
        (facts.is_final_record, flag::FINAL_RECORD),
        (facts.takes_partner_verdict, flag::TAKES_PARTNER_VERDICT),
        (facts.expects_gateway_record, flag::EXPECTS_GATEWAY_RECORD),
        (facts.summary.time != facts.start, flag::TIME),
        (facts.end != facts.start, flag::END),
        (facts.request_ids.len() != 1, flag::REQUESTS),
        (!is_plain, flag::CORRELATIONS),
        (has_run && facts.run_id != correlation, flag::RUN),
        (facts.call.is_some(), flag::CALL),
        (facts.call_at_host.is_some(), flag::CALL_AT_HOST),
        (identity.object_id.is_some(), flag::OBJECT),
        (identity.app_id.is_some(), flag::APP),
        (identity.upn.is_some(), flag::UPN),
        (identity.local.is_some(), flag::LOCAL),
        (has_reuse && facts.reuse_key != correlation, flag::REUSE),
        (has_run && facts.run_id == correlation, flag::RUN_IS_CORRELATION),
        (has_reuse && facts.reuse_key == correlation, flag::REUSE_IS_CORRELATION),
        (facts.verdict != Verdict::ALLOWED, flag::VERDICT),
        (!facts.findings.is_empty(), flag::FINDINGS),
    ]
    .into_iter()
    .fold(0, |flags, (is_set, flag)| flags | if is_set { flag } else { 0 })
}

fn put_facts(facts: &JoinFacts, time: Micros, out: &mut Vec<u8>) {
    let flags = flags_of(facts);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&facts.summary.event_id.0);
    put_keys(facts, flags, out);
    put_difference(facts.start.0, time.0, out);
    if flags & flag::TIME != 0 {
        put_difference(facts.summary.time.0, facts.start.0, out);
    }
    if flags & flag::END != 0 {
        put_difference(facts.end.0, facts.start.0, out);
    }
    if flags & flag::VERDICT != 0 {
        out.extend_from_slice(&facts.verdict.to_bytes());
    }
    if flags & flag::FINDINGS != 0 {
        put(facts.findings.bits().into(), out);
    }
    facts.summary.texts.sizes().into_iter().for_each(|size| put(size.into(), out));
}

fn put_keys(facts: &JoinFacts, flags: u32, out: &mut Vec<u8>) {
    if flags & flag::REQUESTS != 0 {
        put(facts.request_ids.len() as u64, out);
    }
    facts.request_ids.iter().for_each(|id| put_key(*id, out));
    if flags & flag::CORRELATIONS != 0 {
        put(facts.correlation_ids.len() as u64, out);
    }
    for id in &facts.correlation_ids {
        put_key(id.base, out);
        if flags & flag::CORRELATIONS != 0 {
            out.push(id.counter.is_some().into());
            put(id.counter.unwrap_or_default(), out);
        }
    }
    let identity = &facts.identity;
    let single = [
        facts.run_id.filter(|_| flags & flag::RUN != 0),
        facts.call,
        facts.call_at_host,
        identity.object_id,
        identity.app_id,
        identity.upn,
        identity.local,
        facts.reuse_key.filter(|_| flags & flag::REUSE != 0),
    ];
    single.into_iter().flatten().for_each(|key| put_key(key, out));
}

fn put_position(position: &Position, before: &Position, out: &mut Vec<u8>) {
    put_difference(position.file_index.into(), before.file_index.into(), out);
    put_difference(position.byte_offset as i64, before.byte_offset as i64, out);
    put_difference(position.record_index.into(), before.record_index.into(), out);
    put_difference(position.time.0, before.time.0, out);
}

fn put_key(key: Key128, out: &mut Vec<u8>) {
    out.extend_from_slice(&key.value().to_le_bytes());
}

/// Small differences of either sign are short.
fn put_difference(number: i64, before: i64, out: &mut Vec<u8>) {
    let difference = number.wrapping_sub(before);
    put((difference << 1 ^ difference >> 63) as u64, out);
}

/// Seven bits a byte; the high bit says that more follow.
fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Calls `visit` with the facts of a batch. None if the bytes are not those of a [`FactsBatch`].
pub(super) fn decode(head: &Head, bytes: &[u8], visit: &mut impl FnMut(SpilledFacts)) -> Option<()> {
    let (records, texts) = bytes.split_at_checked(head.record_bytes as usize)?;
    let mut records = Records { bytes: records };
    let texts: Arc<str> = std::str::from_utf8(texts).ok()?.into();
    let mut at = 0;
    let mut before = ORIGIN;
    for row in 0..head.count {
        let position = records.position(&before)?;
        let facts = records.facts(position.time, &texts, &mut at)?;
        before = position;
        let row = if head.batch == Position::NO_ROW { 0 } else { row };
        visit(SpilledFacts { position: Position { batch: head.batch, row, ..position }, facts });
    }
    Some(())
}

/// The bytes that were not read yet.
struct Records<'b> {
    bytes: &'b [u8],
}

impl Records<'_> {
    fn facts(&mut self, time: Micros, texts: &Arc<str>, text_at: &mut u32) -> Option<JoinFacts> {
        let flags = u32::from_le_bytes(self.array()?);
        let has = |flag| flags & flag != 0;
        let event_id = EventId(self.array()?);
        let request_ids = self.requests(flags)?;
        let correlation_ids = self.correlations(flags)?;
        let correlation = correlation_ids.first().map(|id| id.base);
        let run_id = self.key_if(has(flag::RUN))?;
        let call = self.key_if(has(flag::CALL))?;
        let call_at_host = self.key_if(has(flag::CALL_AT_HOST))?;
        let identity = IdentityKeys {
            object_id: self.key_if(has(flag::OBJECT))?,
            app_id: self.key_if(has(flag::APP))?,
            upn: self.key_if(has(flag::UPN))?,
            local: self.key_if(has(flag::LOCAL))?,
        };
        let reuse_key = self.key_if(has(flag::REUSE))?;
        let start = self.difference(time.0)?;
        let mut moment = |flag| Some(Micros(if has(flag) { self.difference(start)? } else { start }));
        let (time, end) = (moment(flag::TIME)?, moment(flag::END)?);
        let verdict = if has(flag::VERDICT) { Verdict::from_bytes(self.array()?)? } else { Verdict::ALLOWED };
        let findings = if has(flag::FINDINGS) { self.narrow()? } else { 0 };
        Some(JoinFacts {
            side: if has(flag::AZURE) { Side::Azure } else { Side::Kong },
            summary: PeerSummary { event_id, time, texts: self.texts(texts, text_at)? },
            start: Micros(start),
            end,
            request_ids,
            correlation_ids,
            run_id: if has(flag::RUN_IS_CORRELATION) { correlation } else { run_id },
            call,
            call_at_host,
            identity,
            verdict,
            findings: FindingSet::from_bits(findings)?,
            is_eligible: has(flag::ELIGIBLE),
            is_final_record: has(flag::FINAL_RECORD),
            takes_partner_verdict: has(flag::TAKES_PARTNER_VERDICT),
            expects_gateway_record: has(flag::EXPECTS_GATEWAY_RECORD),
            reuse_key: if has(flag::REUSE_IS_CORRELATION) { correlation } else { reuse_key },
        })
    }

    fn requests(&mut self, flags: u32) -> Option<FewKeys<Key128>> {
        let count = if flags & flag::REQUESTS != 0 { self.number()? } else { 1 };
        (0..count).map(|_| self.key()).collect()
    }

    fn correlations(&mut self, flags: u32) -> Option<FewKeys<CorrelationKey>> {
        if flags & flag::CORRELATIONS == 0 {
            return Some(FewKeys::from_buf([CorrelationKey { base: self.key()?, counter: None }]));
        }
        let count = self.number()?;
        let one = |_| {
            let (base, [has_counter], counter) = (self.key()?, self.array()?, self.number()?);
            Some(CorrelationKey { base, counter: (has_counter != 0).then_some(counter) })
        };
        (0..count).map(one).collect()
    }

    fn texts(&mut self, block: &Arc<str>, at: &mut u32) -> Option<PeerTexts> {
        let sizes = [self.narrow()?, self.narrow()?, self.narrow()?, self.narrow()?];
        let texts = PeerTexts::shared(block, *at, sizes)?;
        *at = sizes.iter().try_fold(*at, |at, size| at.checked_add(size.saturating_sub(1)))?;
        Some(texts)
    }

    fn position(&mut self, before: &Position) -> Option<Position> {
        Some(Position {
            file_index: self.difference(before.file_index.into())?.try_into().ok()?,
            byte_offset: self.difference(before.byte_offset as i64)? as u64,
            record_index: self.difference(before.record_index.into())?.try_into().ok()?,
            time: Micros(self.difference(before.time.0)?),
            batch: 0,
            row: 0,
        })
    }

    /// The next key, if there is one; None if the bytes end before it.
    fn key_if(&mut self, is_there: bool) -> Option<Option<Key128>> {
        if is_there { self.key().map(Some) } else { Some(None) }
    }

    fn key(&mut self) -> Option<Key128> {
        Some(Key128::new(u128::from_le_bytes(self.array()?)))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk()?;
        self.bytes = tail;
        Some(*head)
    }

    fn difference(&mut self, before: i64) -> Option<i64> {
        let number = self.number()?;
        let difference = (number >> 1) as i64 ^ -((number & 1) as i64);
        Some(before.wrapping_add(difference))
    }

    fn narrow(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
