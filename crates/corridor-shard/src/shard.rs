//! Shard state: what a shard knows at a position of its log, and what follows from the next record.
//!
//! - In: the records of the shard's log in order, from the floor that the last claim names.
//! - Out: [`Effect`]s, and [`ClaimState`], what a claim says of the state.
//! - Keeps: the join operator, the offsets of pending events, running totals.
//! - Invariants: no clock is read: the clock is the append time of the log, as a running maximum. An event is in the open set
//!   from the moment it is taken until one effect names what became of it; what is not in the open set has no effects, so a
//!   replay repeats none. `records in = rows + duplicates + rejects + pending` after every record.

mod append_times;
mod claim;
mod copies;
mod place;

#[cfg(test)]
mod tests;

pub use claim::{ClaimState, Resume, Totals};
pub use place::Place;

use crate::open_set::OpenSet;
use crate::record::{LoggedEvent, LoggedReject, ShardRecord, encode_introduction};
use append_times::AppendTimes;
use copies::Forgotten;
use corridor_model::time::{MINUTE, SECOND};
use corridor_model::{EventId, Finding, HourBucket, JoinFacts, JoinOutcome, Micros};
use corridor_refine::join::{Emitted, Input, JoinConfig, Operator, ShardId};
use std::collections::BTreeSet;

/// The rules of a shard.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Which shard.
    pub shard: ShardId,
    /// Number of shards of the log.
    pub shard_count: u32,
    /// How long a row waits for partners after its append. Microseconds.
    pub wait: i64,
    /// Partners' times lie within this of each other. Microseconds.
    pub horizon: i64,
    /// More peers than this on one rung, and the rung is skipped for that event.
    pub candidates_max: usize,
    /// Memory of the join beyond which [`Shard::relieve`] acts.
    pub memory_bytes_max: usize,
}

impl ShardConfig {
    /// A shard whose rows wait this long, with the default limits.
    pub fn new(shard: ShardId, shard_count: u32, wait: i64) -> Self {
        let candidates_max = JoinConfig::batch().candidates_max;
        let horizon = wait.saturating_mul(2);
        Self { shard, shard_count, wait, horizon, candidates_max, memory_bytes_max: 1 << 30 }
    }

    /// Candidates and ids are kept this long after their append.
    fn memory_span(&self) -> i64 {
        self.wait.saturating_mul(2)
    }

    fn join(&self) -> JoinConfig {
        JoinConfig {
            horizon: self.horizon,
            wait: self.wait,
            candidates_max: self.candidates_max,
            shard_count: self.shard_count,
            own_shard: self.shard,
            is_immediate: true,
            ..JoinConfig::batch()
        }
    }
}

/// Where a record stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Its offset.
    pub offset: u64,
    /// When the log took it.
    pub append_time: Micros,
    /// [`Shard::lookup_hour`] named an hour, and the event's id is among those published there.
    pub is_published: bool,
}

/// What a record leads to. Effects name events by their offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The record just taken is an event that is pending: its bytes are needed until another effect names it.
    Keep {
        /// Which.
        offset: u64,
    },
    /// An event's row is final.
    Final {
        /// Which event.
        offset: u64,
        /// The join's columns and all findings.
        outcome: JoinOutcome,
        /// Where its row goes.
        place: Place,
        /// Memory was short: it did not get its whole wait.
        is_early: bool,
    },
    /// An event is a copy of another, and gets no row.
    Duplicate {
        /// Which is a copy.
        offset: u64,
        /// Of which; None if that one was published too long ago to be remembered.
        of: Option<u64>,
    },
    /// An event has the id of another one and says something else. It becomes a reject ID_CONFLICT.
    Conflict {
        /// Which becomes a reject.
        offset: u64,
        /// Which it contradicts.
        of: u64,
        /// Where the reject goes.
        place: Place,
    },
    /// The record just taken is a reject.
    Reject {
        /// Which.
        offset: u64,
        /// Where it goes: by append time, because it may have no time of its own.
        place: Place,
    },
    /// A record to be appended to another shard, before the next tick and before a claim that covers the record just taken.
    Introduce {
        /// To which shard.
        shard: ShardId,
        /// The record.
        payload: Vec<u8>,
    },
}

/// Where an event stands, and what is needed of it when its row is final. Ordered by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    offset: u64,
    content: [u8; 16],
    event_time: Micros,
    append_time: Micros,
}

/// The state of one shard.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    operator: Operator<Mark>,
    /// Where the claims of others end: what stands before it has had its effects.
    resumed: Resume,
    /// Behind the last record taken.
    next: u64,
    clock: Option<Micros>,
    times: AppendTimes,
    open: OpenSet,
    totals: Totals,
    sealed: BTreeSet<corridor_chain::Day>,
    sealed_days: BTreeSet<i64>,
    claimed_until: u64,
    claimed_floor: u64,
    last_offset: Option<u64>,
    forgotten: Forgotten,
    said: Vec<Emitted<Mark>>,
}

impl Shard {
    /// A shard that continues from a claim, or from the begin of its chain. [`Shard::replay_from`] is the first record to take.
    pub fn new(config: ShardConfig, resume: Resume) -> Self {
        let mut shard = Self {
            operator: Operator::new(config.join()),
            next: resume.floor.min(resume.end),
            clock: None,
            // Steps are short beside the wait, so that a floor is hardly lower and a row hardly later than it must.
            times: AppendTimes::new((config.wait / 64).clamp(1, SECOND)),
            open: resume.open.clone(),
            totals: resume.totals,
            sealed: BTreeSet::new(),
            sealed_days: BTreeSet::new(),
            claimed_until: resume.end,
            claimed_floor: resume.floor.min(resume.end),
            last_offset: resume.last_offset,
            forgotten: Forgotten::default(),
            said: Vec::new(),
            config,
            resumed: resume,
        };
        shard.resumed.sealed.clone().into_iter().for_each(|day| shard.obey_seal(day));
        shard
    }

    /// The first record to take.
    pub fn replay_from(&self) -> u64 {
        self.resumed.floor.min(self.resumed.end)
    }

    /// Whether records are being taken again that a claim covers.
    pub fn is_replaying(&self) -> bool {
        self.next < self.resumed.end
    }

    /// Takes the next record. What follows from it is added to `out`.
    pub fn take(&mut self, at: At, record: ShardRecord<'_>, out: &mut Vec<Effect>) {
        let clock = self.clock.map_or(at.append_time, |clock| clock.max(at.append_time));
        self.clock = Some(clock);
        if self.times.note(clock, at.offset) {
            self.push(Input::Tick { shard: self.config.shard, clock }, at.offset, out);
        }
        let forget = clock.saturating_add(self.config.memory_span());
        match record {
            ShardRecord::Event(event) => self.take_event(event, at, clock, out),
            ShardRecord::Reject(reject) => self.take_reject(&reject, at.offset, clock, out),
            ShardRecord::Hint { facts, home } => {
                self.push(Input::Candidate { facts, forget, home: Some(home) }, at.offset, out);
            }
            ShardRecord::Introduction { to, peer } => {
                self.push(Input::Introduction { to, peer, forget }, at.offset, out);
            }
            // The own clock is the append time; it has moved already.
            ShardRecord::Tick { shard, .. } if shard == self.config.shard => {}
            ShardRecord::Tick { shard, clock } => self.push(Input::Tick { shard, clock }, at.offset, out),
        }
        self.next = at.offset.saturating_add(1);
        if at.offset >= self.resumed.end {
            self.last_offset = Some(at.offset);
        }
    }

    /// The clock to announce to every shard, this one too. The caller appends it after every introduction that it was told so
    /// far is durable. None while records are replayed. A shard without records announces the epoch, which nobody waits
    /// for: reading its own tick is what gives it a clock.
    pub fn tick(&self) -> Option<Micros> {
        (!self.is_replaying()).then(|| self.clock.unwrap_or_default())
    }

    /// The clock: the append time of the last record taken.
    pub fn clock(&self) -> Option<Micros> {
        self.clock
    }

    /// Number of pending events.
    pub fn pending(&self) -> u64 {
        self.open.len()
    }

    /// Estimate of the memory in use.
    pub fn memory_bytes(&self) -> usize {
        self.operator.memory_bytes() + self.forgotten.memory_bytes() + self.open.memory_bytes()
    }

    /// A day was sealed: rows of it that become final from now on are late.
    pub fn obey_seal(&mut self, day: corridor_chain::Day) {
        self.sealed_days.insert(place::day_of(Micros(day.start().timestamp_micros()).hour()));
        self.sealed.insert(day);
    }

    /// Whether the day of an hour is sealed.
    pub fn is_sealed(&self, hour: HourBucket) -> bool {
        self.sealed_days.contains(&place::day_of(hour))
    }

    /// Where a row of this event time goes that was appended at this time, as far as is known now.
    pub fn place(&self, event_time: Micros, append_time: Micros) -> Place {
        place::place(event_time, append_time, &self.sealed_days)
    }

    fn take_event(&mut self, event: LoggedEvent<'_>, at: At, clock: Micros, out: &mut Vec<Effect>) {
        let (facts, offset) = (event.facts, at.offset);
        let mark =
            Mark { offset, content: event.content, event_time: facts.summary.time, append_time: clock };
        if offset >= self.resumed.end {
            self.totals.records_in += 1;
            self.open.insert(offset);
        }
        if self.operator.position_of(&facts.summary.event_id).is_none() {
            if let Some(first) = self.forgotten.find(&facts.summary.event_id) {
                return self.say_copy(mark, Some(first), out);
            }
            if at.is_published {
                return self.say_copy(mark, None, out);
            }
        }
        let due = clock.saturating_add(self.config.wait);
        let forget = clock.saturating_add(self.config.memory_span());
        self.push(Input::Event { facts, position: mark, due, forget }, offset, out);
        if self.open.contains(offset) {
            out.push(Effect::Keep { offset });
        }
    }

    fn take_reject(&mut self, _: &LoggedReject<'_>, offset: u64, clock: Micros, out: &mut Vec<Effect>) {
        if offset >= self.resumed.end {
            self.totals.records_in += 1;
            self.totals.rejects += 1;
            out.push(Effect::Reject { offset, place: self.place(clock, clock) });
        }
    }

    /// Tells the operator, and says what it says while the record at `offset` is taken.
    fn push(&mut self, input: Input<Mark>, offset: u64, out: &mut Vec<Effect>) {
        let mut said = std::mem::take(&mut self.said);
        self.operator.push(input, &mut said);
        self.say_all(said, offset, out);
    }

    fn say_all(&mut self, mut said: Vec<Emitted<Mark>>, offset: u64, out: &mut Vec<Effect>) {
        for emitted in said.drain(..) {
            self.say(emitted, offset, out);
        }
        self.said = said;
        for event in self.operator.take_unpublished() {
            self.forgotten.insert(event);
        }
    }

    fn say(&mut self, emitted: Emitted<Mark>, offset: u64, out: &mut Vec<Effect>) {
        match emitted {
            Emitted::Row { position, outcome, .. } => self.say_final(position, outcome, out),
            Emitted::Duplicate { position, of, .. } => self.say_copy(position, Some(of), out),
            Emitted::Introduction { home, to, peer, .. } => {
                // Those of covered records were durable before the claim.
                if offset >= self.resumed.end {
                    let mut payload = Vec::new();
                    encode_introduction(&to, &peer, &mut payload);
                    out.push(Effect::Introduce { shard: home, payload });
                }
            }
        }
    }

    fn say_final(&mut self, mark: Mark, mut outcome: JoinOutcome, out: &mut Vec<Effect>) {
        if !self.open.remove(mark.offset) {
            return;
        }
        if place::is_ahead(mark.event_time, mark.append_time) {
            outcome.findings.insert(Finding::ClockAhead);
        }
        let place = self.place(mark.event_time, mark.append_time);
        let is_early = outcome.findings.contains(Finding::JoinedEarly);
        self.totals.rows += 1;
        self.totals.early += u64::from(is_early);
        self.totals.late += u64::from(matches!(place, Place::Late(_)));
        out.push(Effect::Final { offset: mark.offset, outcome, place, is_early });
    }

    fn say_copy(&mut self, copy: Mark, of: Option<Mark>, out: &mut Vec<Effect>) {
        if !self.open.remove(copy.offset) {
            return;
        }
        match of.filter(|first| first.content != copy.content) {
            None => {
                self.totals.duplicates += 1;
                out.push(Effect::Duplicate { offset: copy.offset, of: of.map(|first| first.offset) });
            }
            Some(first) => {
                self.totals.rejects += 1;
                self.totals.conflicts += 1;
                let place = self.place(copy.append_time, copy.append_time);
                out.push(Effect::Conflict { offset: copy.offset, of: first.offset, place });
            }
        }
    }
}
