//! World: the logs, the chains and the intakes that all workers share.
//!
//! - In: appends, claims, and time.
//! - Out: stored records with offsets and append times that never change; claims that are created once.
//! - Invariants: an append may be there twice, because its reply was lost; a claim never.

use crate::Mutation;
use crate::dice::Dice;
use crate::traffic::{Arrival, Traffic};
use crate::{START, WAIT};
use corridor_model::time::{MINUTE, SECOND};
use corridor_model::{EventId, HourBucket, JoinOutcome, Micros, RecordDigest, RejectCode, Side};
use corridor_refine::join::home_shard;
use corridor_shard::record::{encode_event, encode_hint, encode_reject};
use corridor_shard::{ClaimState, LoggedEvent, LoggedReject};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A record of a log.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) append_time: Micros,
    pub(crate) payload: Rc<[u8]>,
}

/// A published row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) event_id: EventId,
    pub(crate) hour: HourBucket,
    pub(crate) outcome: JoinOutcome,
}

/// What a claim publishes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    pub(crate) rejects: u64,
}

/// An entry of a chain.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) claim: ClaimState,
    pub(crate) batch: Batch,
}

/// What an intake has to do at a time.
enum Step {
    Arrive(Arrival),
    Append(usize, Rc<[u8]>),
}

/// All that is shared.
pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) logs: Vec<Vec<Stored>>,
    pub(crate) chains: Vec<Vec<Entry>>,
    published: Vec<HashMap<EventId, HourBucket>>,
    steps: BTreeMap<(Micros, u64), Step>,
    step_count: u64,
    pub(crate) dice: Dice,
}

impl World {
    pub(crate) fn new(shard_count: usize, traffic: &Traffic, mutation: Option<Mutation>, dice: Dice) -> Self {
        let mut world = Self {
            now: Micros(START),
            mutation,
            logs: vec![Vec::new(); shard_count],
            chains: (0..shard_count).map(|_| Vec::new()).collect(),
            published: vec![HashMap::new(); shard_count],
            steps: BTreeMap::new(),
            step_count: 0,
            dice,
        };
        for (at, arrival) in &traffic.arrivals {
            world.plan(*at, Step::Arrive(arrival.clone()));
        }
        world
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.logs.len()
    }

    pub(crate) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether everything has arrived.
    pub(crate) fn has_all(&self) -> bool {
        self.steps.is_empty()
    }

    /// Lets time pass, and does what intakes do meanwhile.
    pub(crate) fn pass(&mut self, time: i64) {
        self.now = self.now.saturating_add(time);
        while let Some(entry) = self.steps.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Step::Arrive(arrival) => self.arrive(arrival),
                Step::Append(shard, payload) => self.append(shard, payload),
            }
        }
    }

    /// Appends; the reply may be lost, and then it is appended again.
    pub(crate) fn append(&mut self, shard: usize, payload: Rc<[u8]>) {
        for _ in 0..1 + usize::from(self.dice.percent(8)) {
            let (last, offset) = match self.logs[shard].last() {
                Some(stored) => (stored.append_time, stored.offset + 1 + u64::from(self.dice.percent(3))),
                None => (self.now, 0),
            };
            // Brokers' clocks differ.
            let append_time = last.max(self.now.saturating_add(shard as i64 * SECOND));
            self.logs[shard].push(Stored { offset, append_time, payload: Rc::clone(&payload) });
        }
    }

    /// Creates a claim; false if there is one of this number.
    pub(crate) fn create(&mut self, shard: usize, number: usize, entry: Entry) -> bool {
        if self.chains[shard].len() != number && !self.is(Mutation::NoFence) {
            return false;
        }
        self.published[shard].extend(entry.batch.rows.iter().map(|row| (row.event_id, row.hour)));
        self.chains[shard].push(entry);
        true
    }

    /// Whether a row of the event was published in this hour.
    pub(crate) fn is_published(&self, shard: usize, event_id: &EventId, hour: HourBucket) -> bool {
        self.published[shard].get(event_id) == Some(&hour)
    }

    fn plan(&mut self, at: Micros, step: Step) {
        self.step_count += 1;
        self.steps.insert((at, self.step_count), step);
    }

    /// The record first, then its hints. An intake may die on the way; nobody got a reply, so it is sent again.
    fn arrive(&mut self, arrival: Arrival) {
        let appends = self.appends_of(&arrival);
        let survives = if self.dice.percent(15) { self.dice.below(appends.len()) } else { appends.len() };
        let mut at = self.now;
        let is_acknowledged = survives >= 1 && self.is(Mutation::AcknowledgeBeforeHints);
        if survives < appends.len() && !is_acknowledged {
            let again = at.saturating_add(MINUTE + self.dice.time(2 * MINUTE));
            self.plan(again, Step::Arrive(arrival));
        }
        for (shard, payload) in appends.into_iter().take(survives) {
            at = at.saturating_add(self.dice.time(10 * SECOND));
            self.plan(at, Step::Append(shard, payload));
        }
    }

    fn appends_of(&mut self, arrival: &Arrival) -> Vec<(usize, Rc<[u8]>)> {
        let shard_count = self.shard_count();
        let Arrival::Event { facts, content } = arrival else {
            return vec![(self.dice.below(shard_count), reject())];
        };
        let home = home_shard(facts, shard_count as u32);
        let mut bytes = Vec::new();
        let event = LoggedEvent {
            facts: (**facts).clone(),
            content: [*content; 16],
            row: b"row",
            record: None,
            path: "somewhere",
            directory_version: None,
        };
        encode_event(&event, &mut bytes);
        let mut appends = vec![(home as usize, bytes.into())];
        if facts.side == Side::Azure && facts.is_eligible && !self.is(Mutation::NoHints) {
            let mut bytes = Vec::new();
            encode_hint(facts, home, &mut bytes);
            let hint: Rc<[u8]> = bytes.into();
            let others = (0..shard_count).filter(|shard| *shard != home as usize);
            appends.extend(others.map(|shard| (shard, Rc::clone(&hint))));
        }
        appends
    }

    /// Nothing waits longer than this for a worker that makes its way.
    pub(crate) const OUTAGE_MAX: i64 = WAIT;
}

fn reject() -> Rc<[u8]> {
    let reject = LoggedReject {
        code: RejectCode::NotJson,
        detail: "no JSON",
        preview: "<html>",
        side: Side::Kong,
        path: "somewhere",
        byte_offset: 0,
        record_index: 0,
        record_sha256: RecordDigest([0; 32]),
        received_time: Micros(0),
    };
    let mut bytes = Vec::new();
    encode_reject(&reject, &mut bytes);
    bytes.into()
}
