//! Traffic: groups of events that affect each other and arrive within the wait; copies, conflicts, late copies and rejects.
//!
//! - In: dice.
//! - Out: distinct events, and when which copy is delivered.
//! - Invariants: all that matters to a group's rows arrives within the wait; later copies say the same.

use crate::dice::Dice;
use crate::{START, WAIT};
use corridor_model::join::CorrelationKey;
use corridor_model::time::{MINUTE, SECOND};
use corridor_model::{
    DeniedBy, EventId, FindingSet, IdentityKeys, JoinFacts, Key128, Micros, PeerSummary, PeerTexts,
    ReasonBasis, ReasonCode, Side, Verdict,
};

/// What comes in from outside.
#[derive(Debug, Clone)]
pub(crate) enum Arrival {
    /// A copy of an event, with the digest of its content.
    Event { facts: Box<JoinFacts>, content: u8 },
    /// A record that is no event.
    Reject,
}

/// The traffic of a run.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Each event once. A contradicting copy has the same keys and another verdict.
    pub(crate) events: Vec<JoinFacts>,
    /// When what arrives.
    pub(crate) arrivals: Vec<(Micros, Arrival)>,
}

/// Group starts lie within this.
const SPAN: i64 = 3 * WAIT;
/// All of a group arrives within this, leaving the rest of the wait to intakes that crash and try again.
const GROUP_SPAN: i64 = WAIT * 7 / 10;

impl Traffic {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut traffic = Self::default();
        for group in 0..8 + dice.below(10) {
            let start = START + dice.time(SPAN);
            let events = group_of(group as u128 + 1, start, dice);
            for facts in events {
                traffic.add(facts, start, dice);
            }
        }
        for _ in 0..dice.below(4) {
            traffic.arrivals.push((Micros(START + dice.time(SPAN)), Arrival::Reject));
        }
        traffic
    }

    fn add(&mut self, mut facts: JoinFacts, start: i64, dice: &mut Dice) {
        let number = self.events.len() as u64 + 1;
        facts.summary.event_id = id_of(number, dice);
        let copies = [1, 1, 1, 2, 3][dice.below(5)];
        for _ in 0..copies {
            let at = Micros(start + dice.time(GROUP_SPAN));
            let (mut copy, mut content) = (facts.clone(), 0);
            // Only Kong's: hints carry what an Azure record says, and the one in the log of its home need not be the first.
            if facts.side == Side::Kong && dice.percent(5) {
                (copy.verdict, content) = (Verdict::UNKNOWN, 1);
            }
            self.arrivals.push((at, Arrival::Event { facts: Box::new(copy), content }));
        }
        if dice.percent(12) {
            let at = Micros(start + 2 * WAIT + dice.time(2 * WAIT));
            self.arrivals.push((at, Arrival::Event { facts: Box::new(facts.clone()), content: 0 }));
        }
        self.events.push(facts);
    }
}

/// Ids do not follow the order of arrival.
fn id_of(number: u64, dice: &mut Dice) -> EventId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&dice.time(i64::MAX).to_be_bytes());
    id[8..16].copy_from_slice(&number.to_be_bytes());
    EventId(id)
}

fn facts(side: Side, start: i64, length: i64) -> JoinFacts {
    let end = Micros(start + length);
    JoinFacts {
        side,
        summary: PeerSummary {
            event_id: EventId([0; 32]),
            time: end,
            texts: PeerTexts::new(side.as_str(), Some("x"), None, None),
        },
        start: Micros(start),
        end,
        request_ids: Default::default(),
        correlation_ids: Default::default(),
        run_id: None,
        call: None,
        call_at_host: None,
        identity: IdentityKeys::default(),
        verdict: Verdict::ALLOWED,
        findings: FindingSet::EMPTY,
        is_eligible: true,
        is_final_record: true,
        takes_partner_verdict: false,
        expects_gateway_record: false,
        reuse_key: None,
    }
}

fn key(group: u128, kind: u128) -> Key128 {
    Key128::new(group * 1000 + kind)
}

fn correlate(facts: &mut JoinFacts, key: Key128) {
    facts.correlation_ids = [CorrelationKey { base: key, counter: None }].into_iter().collect();
}

/// The events of a group; some seconds before its start, so that nothing arrives before it happened.
fn group_of(group: u128, start: i64, dice: &mut Dice) -> Vec<JoinFacts> {
    let mut moment = || start - MINUTE + dice.time(3 * SECOND);
    let mut kongs = vec![facts(Side::Kong, moment(), 0), facts(Side::Kong, moment(), 0)];
    let mut azures = vec![facts(Side::Azure, moment(), 4 * SECOND), facts(Side::Azure, moment(), 4 * SECOND)];
    for (number, kong) in (1..).zip(&mut kongs) {
        // Kong gives each of its events a request id, and by it they spread over the shards.
        kong.request_ids = [key(group, number)].into_iter().collect();
        kong.verdict = Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Message, DeniedBy::Gateway);
    }
    azures.iter_mut().for_each(|azure| azure.takes_partner_verdict = true);
    link(group, &mut kongs, &mut azures, dice);
    kongs.into_iter().chain(azures).collect()
}

/// How the events of a group belong together, and which of them there are.
fn link(group: u128, kongs: &mut Vec<JoinFacts>, azures: &mut Vec<JoinFacts>, dice: &mut Dice) {
    let all = || [key(group, 9)];
    match dice.below(8) {
        0 => {
            azures.truncate(1);
            azures[0].request_ids = (1..=2).map(|number| key(group, number)).collect();
        }
        1 => {
            kongs.truncate(1);
            azures.iter_mut().for_each(|azure| azure.request_ids = [key(group, 1)].into_iter().collect());
            azures[0].is_final_record = false;
        }
        2 => {
            kongs.iter_mut().chain(&mut azures[..]).for_each(|event| correlate(event, all()[0]));
        }
        3 => {
            for event in kongs.iter_mut().chain(&mut azures[..]) {
                (event.run_id, event.call) = (Some(all()[0]), Some(key(group, 8)));
            }
        }
        4 => {
            for event in kongs.iter_mut().chain(&mut azures[..]) {
                event.call_at_host = Some(key(group, 8));
                event.identity.object_id = Some(all()[0]);
            }
        }
        5 => {
            // One correlation id, two principals, and an activity that knows it.
            azures.truncate(1);
            correlate(&mut azures[0], all()[0]);
            for (number, kong) in (20..).zip(kongs) {
                correlate(kong, all()[0]);
                kong.reuse_key = Some(all()[0]);
                kong.identity.object_id = Some(key(group, number));
            }
        }
        6 => {
            azures.truncate(1);
            azures[0].is_eligible = false;
            kongs.truncate(1);
        }
        _ => azures[0].expects_gateway_record = true,
    }
}
