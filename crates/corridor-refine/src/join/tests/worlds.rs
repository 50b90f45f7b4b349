//! Small worlds full of collisions: every order, chunking and repetition gives what the naive join gives.

use super::*;
use corridor_model::{DeniedBy, ReasonBasis, ReasonCode};
use proptest::prelude::*;
use proptest::sample::select;

/// Small limits, so that small worlds reach them.
pub(super) fn small() -> JoinConfig {
    JoinConfig { candidates_max: 3, wait: i64::MAX / 8, ..JoinConfig::batch() }
}

fn id() -> impl Strategy<Value = Option<u128>> {
    select(vec![None, Some(1), Some(2), Some(3)])
}

fn identity() -> impl Strategy<Value = IdentityKeys> {
    let name = || select(vec![None, None, key(1), key(2)]);
    (name(), name(), name()).prop_map(|(object_id, app_id, local)| IdentityKeys {
        object_id,
        app_id,
        upn: None,
        local,
    })
}

/// Starts gather on marks that are exactly a slack or a horizon apart, across seven hours.
fn start() -> impl Strategy<Value = i64> {
    let step =
        select(vec![-5 * SECOND - 1, -5 * SECOND, -1, 0, 0, 0, 1, 5 * SECOND, 5 * SECOND + 1, 7 * MINUTE]);
    (0_i64..14, step).prop_map(|(half_hour, step)| half_hour * 30 * MINUTE + step)
}

fn length() -> impl Strategy<Value = i64> {
    select(vec![0, 0, SECOND, 10 * MINUTE, 30 * MINUTE, 60 * MINUTE, 150 * MINUTE])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![
        Verdict::ALLOWED,
        Verdict::UNKNOWN,
        Verdict::denied(ReasonCode::AuthzAcl, ReasonBasis::Message, DeniedBy::Gateway),
        Verdict::error(ReasonCode::GatewayError, ReasonBasis::Status),
    ])
}

fn one_event() -> impl Strategy<Value = JoinFacts> {
    let keys = (id(), id(), id(), id(), select(vec![None, None, Some(1), Some(2)]), id());
    let flags = (0_u8..8, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (any::<bool>(), start(), length(), keys, identity(), verdict(), flags).prop_map(
        |(is_kong, start, length, (request, more, base, run, counter, call), identity, verdict, flags)| {
            let mut facts = if is_kong { kong(0, start) } else { azure(0, start, start + length) };
            facts.request_ids.extend(request.map(Key128::new));
            if !is_kong && more != request {
                facts.request_ids.extend(more.map(Key128::new));
            }
            facts.correlation_ids.extend(base.map(|base| correlation(10 + base, counter)));
            if !is_kong {
                facts.correlation_ids.extend(more.map(|base| correlation(10 + base, None)));
            }
            // Run ids overlap with correlation ids.
            facts.run_id = run.map(|run| Key128::new(12 + run));
            facts.call = call.map(Key128::new);
            facts.call_at_host = call.filter(|_| flags.1).map(Key128::new);
            facts.identity = identity;
            facts.verdict = verdict;
            facts.is_eligible = flags.0 > 0;
            facts.is_final_record = is_kong || flags.2;
            facts.takes_partner_verdict = !is_kong && flags.3;
            facts.expects_gateway_record = !is_kong && flags.4;
            facts.reuse_key = base.map(Key128::new);
            facts
        },
    )
}

/// A world: distinct events, and the seed of everything that must not matter.
pub(super) fn world() -> impl Strategy<Value = (Vec<JoinFacts>, u64)> {
    (prop::collection::vec(one_event(), 1..40), any::<u64>()).prop_map(|(mut events, seed)| {
        for (number, facts) in (1_u32..).zip(&mut events) {
            // Ids do not follow the order of the input.
            facts.summary.event_id = event_id(number.wrapping_mul(0x9e37_79b1));
            // An Azure record is written at its end, so its hour may be a later one than that of its start.
            facts.summary.time = facts.end;
        }
        (events, seed)
    })
}

/// A small generator, so that one seed gives one schedule.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

/// What a batch driver feeds in an hour, in any order: the hour's events, some of them twice, and candidates
/// of Azure events that start in this hour and are written later.
fn hour_of(hour: i64, events: &[JoinFacts], dice: &mut Dice) -> Vec<Input<u32>> {
    let mut inputs = Vec::new();
    for (number, facts) in (0_u32..).zip(events) {
        let forget = facts.end.saturating_add(JoinConfig::batch().horizon);
        if facts.summary.time.hour().0 == hour {
            let copies = [1, 1, 2, 3][dice.below(4)];
            inputs.extend((0..copies).map(|copy| event(facts.clone(), number * 4 + copy)));
        } else if facts.start.hour().0 == hour {
            inputs.push(Input::Candidate { facts: facts.clone(), forget, home: None });
        }
    }
    dice.shuffle(&mut inputs);
    inputs
}

pub(super) fn hours_of(events: &[JoinFacts]) -> std::ops::RangeInclusive<i64> {
    let first = events.iter().map(|facts| facts.start.hour().0).min().unwrap();
    let last = events.iter().map(|facts| facts.end.hour().0).max().unwrap();
    first..=last
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_and_repetition_equals_the_naive_join((events, seed) in world()) {
        let mut dice = Dice::new(seed);
        let mut operator = Operator::new(small());
        let mut out = Vec::new();
        let mut fed = 0;
        for hour in hours_of(&events) {
            for input in hour_of(hour, &events, &mut dice) {
                fed += usize::from(matches!(input, Input::Event { .. }));
                operator.push(input, &mut out);
            }
            operator.push(Input::Tick { shard: 0, clock: corridor_model::HourBucket(hour).end() }, &mut out);
        }
        operator.finish(&mut out);
        prop_assert_eq!(rows(&out), naive::join(&events, &small()));
        for emitted in &out {
            match emitted {
                Emitted::Row { position, .. } => prop_assert_eq!(position % 4, 0, "the first copy is the row"),
                Emitted::Duplicate { position, of, .. } => prop_assert!(of < position),
                Emitted::Introduction { .. } => prop_assert!(false, "one shard owes no introductions"),
            }
        }
        prop_assert_eq!(out.len(), fed, "each event leaves once");
        operator.push(Input::Tick { shard: 0, clock: Micros::MAX_EVENT }, &mut out);
        prop_assert_eq!(operator.remembered(), 0, "the clock frees everything");
    }
}
