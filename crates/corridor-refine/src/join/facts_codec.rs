//! Facts codec: join facts as bytes. The log and the spill of a backfill share it.
//!
//! - In: facts, and a time that they are near, so that times are short.
//! - Out: flags, the event id, what the flags announce, and the sizes of the texts. Whoever writes decides where the texts
//!   themselves stand: the facts of a batch share one block.
//! - Invariants: logs hold these bytes, so a change needs another version of the log record. Bytes that no encoder wrote
//!   give None, never a panic.

use corridor_model::join::{CorrelationKey, FewKeys};
use corridor_model::{
    EventId, FindingSet, IdentityKeys, JoinFacts, Key128, Micros, PeerSummary, PeerTexts, Side, Verdict,
};
use std::sync::Arc;

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

/// Appends facts without their texts, which are `facts.summary.texts.all()`.
pub fn put_facts(facts: &JoinFacts, time: Micros, out: &mut Vec<u8>) {
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
        put_number(facts.findings.bits().into(), out);
    }
    facts.summary.texts.sizes().into_iter().for_each(|size| put_number(size.into(), out));
}

fn put_keys(facts: &JoinFacts, flags: u32, out: &mut Vec<u8>) {
    if flags & flag::REQUESTS != 0 {
        put_number(facts.request_ids.len() as u64, out);
    }
    facts.request_ids.iter().for_each(|id| put_key(*id, out));
    if flags & flag::CORRELATIONS != 0 {
        put_number(facts.correlation_ids.len() as u64, out);
    }
    for id in &facts.correlation_ids {
        put_key(id.base, out);
        if flags & flag::CORRELATIONS != 0 {
            out.push(id.counter.is_some().into());
            put_number(id.counter.unwrap_or_default(), out);
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

fn put_key(key: Key128, out: &mut Vec<u8>) {
    out.extend_from_slice(&key.value().to_le_bytes());
}

/// Appends a number by its difference from another. Small differences of either sign are short.
pub fn put_difference(number: i64, before: i64, out: &mut Vec<u8>) {
    let difference = number.wrapping_sub(before);
    put_number((difference << 1 ^ difference >> 63) as u64, out);
}

/// Appends a number, seven bits a byte; the high bit says that more follow.
pub fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes that were not read yet.
pub struct ByteReader<'b> {
    bytes: &'b [u8],
}

impl<'b> ByteReader<'b> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'b [u8] {
        self.bytes
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count)?;
        self.bytes = tail;
        Some(head)
    }

    /// The next facts, written near `time`. Their texts stand in a block from byte `text_at` on, which moves behind them.
    pub fn facts(&mut self, time: Micros, texts: &Arc<str>, text_at: &mut u32) -> Option<JoinFacts> {
        self.facts_with(time, |reader| reader.texts(texts, text_at))
    }

    /// The next facts, written near `time`, whose texts stand right behind them.
    pub fn facts_alone(&mut self, time: Micros) -> Option<JoinFacts> {
        self.facts_with(time, |reader| {
            let sizes = reader.sizes()?;
            let length: u64 = sizes.iter().map(|size| u64::from(size.saturating_sub(1))).sum();
            let texts = reader.take(usize::try_from(length).ok()?)?;
            PeerTexts::shared(&std::str::from_utf8(texts).ok()?.into(), 0, sizes)
        })
    }

    fn facts_with(
        &mut self,
        time: Micros,
        texts: impl FnOnce(&mut Self) -> Option<PeerTexts>,
    ) -> Option<JoinFacts> {
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
            summary: PeerSummary { event_id, time, texts: texts(self)? },
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
        let sizes = self.sizes()?;
        let texts = PeerTexts::shared(block, *at, sizes)?;
        *at = sizes.iter().try_fold(*at, |at, size| at.checked_add(size.saturating_sub(1)))?;
        Some(texts)
    }

    fn sizes(&mut self) -> Option<[u32; 4]> {
        Some([self.narrow()?, self.narrow()?, self.narrow()?, self.narrow()?])
    }

    /// The next key, if there is one; None if the bytes end before it.
    fn key_if(&mut self, is_there: bool) -> Option<Option<Key128>> {
        if is_there { self.key().map(Some) } else { Some(None) }
    }

    fn key(&mut self) -> Option<Key128> {
        Some(Key128::new(u128::from_le_bytes(self.array()?)))
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk()?;
        self.bytes = tail;
        Some(*head)
    }

    /// The next number that was written as a difference.
    pub fn difference(&mut self, before: i64) -> Option<i64> {
        let number = self.number()?;
        let difference = (number >> 1) as i64 ^ -((number & 1) as i64);
        Some(before.wrapping_add(difference))
    }

    /// The next number, if it has 32 bits.
    pub fn narrow(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// The next number.
    pub fn number(&mut self) -> Option<u64> {
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
