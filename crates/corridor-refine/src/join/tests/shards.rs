//! Shards: events at their home, hints everywhere else, introductions and ticks, in any interleaving.

use super::worlds::{Dice, hours_of, small, world};
use super::*;
use corridor_model::HourBucket;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// What stands in a shard's log.
enum Entry {
    Input(Input<u32>),
    /// The log's own clock reached the end of this hour: the owner, when it reads this, owes everybody a tick.
    Clock(Micros),
}

/// Logs, and the operators that read them.
struct Cluster {
    logs: Vec<VecDeque<Entry>>,
    operators: Vec<Operator<u32>>,
    out: Vec<Emitted<u32>>,
    dice: Dice,
}

impl Cluster {
    fn new(shard_count: u32, is_immediate: bool, dice: Dice) -> Self {
        let config = |own_shard| JoinConfig { shard_count, own_shard, is_immediate, ..small() };
        Self {
            logs: (0..shard_count).map(|_| VecDeque::new()).collect(),
            operators: (0..shard_count).map(|shard| Operator::new(config(shard))).collect(),
            out: Vec::new(),
            dice,
        }
    }

    /// Appends, now and then twice: facts need at-least-once only.
    fn append(&mut self, shard: usize, input: Input<u32>) {
        for _ in 0..[1, 1, 1, 2][self.dice.below(4)] {
            self.logs[shard].push_back(Entry::Input(input.clone()));
        }
    }

    fn append_hour(&mut self, hour: i64, events: &[JoinFacts]) {
        let shard_count = self.logs.len();
        let mut entries = Vec::new();
        for (number, facts) in (0_u32..).zip(events) {
            let home = home_shard(facts, shard_count as u32);
            let forget = facts.end.saturating_add(small().horizon);
            let is_own_hour = facts.summary.time.hour().0 == hour;
            if is_own_hour {
                entries.push((home as usize, event(facts.clone(), number)));
            }
            if facts.side == Side::Azure && (is_own_hour || facts.start.hour().0 == hour) {
                let hint = Input::Candidate { facts: facts.clone(), forget, home: Some(home) };
                entries.extend((0..shard_count).map(|shard| (shard, hint.clone())));
            }
        }
        self.dice.shuffle(&mut entries);
        for (shard, input) in entries {
            self.append(shard, input);
        }
        for log in &mut self.logs {
            log.push_back(Entry::Clock(HourBucket(hour).end()));
        }
    }

    /// One shard reads one entry. False if its log is empty.
    fn step(&mut self) -> bool {
        let shard = self.dice.below(self.logs.len());
        match self.logs[shard].pop_front() {
            None => return false,
            Some(Entry::Clock(clock)) => {
                for to in 0..self.logs.len() {
                    self.append(to, Input::Tick { shard: shard as u32, clock });
                }
            }
            Some(Entry::Input(input)) => {
                let mut emitted = Vec::new();
                self.operators[shard].push(input, &mut emitted);
                for emitted in emitted {
                    match emitted {
                        Emitted::Introduction { home, to, peer, forget } => {
                            self.append(home as usize, Input::Introduction { to, peer: *peer, forget });
                        }
                        Emitted::Row { .. } | Emitted::Duplicate { .. } => self.out.push(emitted),
                    }
                }
            }
        }
        true
    }

    fn run_until_read(&mut self) {
        while self.logs.iter().any(|log| !log.is_empty()) {
            self.step();
        }
    }
}

/// Kong makes a request id for one event: later events of the world get other ids.
fn own_request_ids(events: &mut [JoinFacts]) {
    let mut taken = BTreeSet::new();
    for (number, facts) in (1000_u128..).zip(events) {
        if facts.side == Side::Kong && !facts.request_ids.iter().all(|id| taken.insert(*id)) {
            facts.request_ids = [Key128::new(number)].into_iter().collect();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn many_shards_say_what_one_says(
        (mut events, seed) in world(), shard_count in 1_u32..7, is_immediate in any::<bool>(),
    ) {
        if is_immediate {
            own_request_ids(&mut events);
        }
        let mut cluster = Cluster::new(shard_count, is_immediate, Dice::new(seed));
        for hour in hours_of(&events) {
            cluster.append_hour(hour, &events);
            for _ in 0..cluster.dice.below(60) {
                cluster.step();
            }
        }
        cluster.run_until_read();
        for log in &mut cluster.logs {
            log.push_back(Entry::Clock(Micros::MAX_EVENT));
        }
        cluster.run_until_read();
        prop_assert!(cluster.operators.iter().all(|operator| operator.pending() == 0));
        prop_assert!(cluster.operators.iter().all(|operator| operator.remembered() == 0));
        prop_assert_eq!(rows(&cluster.out), naive::join(&events, &small()));
    }
}

#[test]
fn home_is_stable_and_follows_the_correlation_id() {
    let mut one = kong(1, 0);
    one.correlation_ids.push(correlation(7, None));
    let mut other = azure(2, 0, 0);
    other.correlation_ids.push(correlation(7, Some(3)));
    assert_eq!(home_shard(&one, 1 << 20), home_shard(&other, 1 << 20));
    assert_eq!(home_shard(&one, 1_000_003), 64_619, "logs depend on this number");
    assert_eq!(home_shard(&one, 0), 0);
}

#[test]
fn row_waits_for_all_ticks_but_not_for_ever() {
    use corridor_model::Finding;
    let config = JoinConfig { shard_count: 2, ..JoinConfig::batch() };
    let due = Micros(NOON);
    let push = |facts: JoinFacts, operator: &mut Operator<u32>, out: &mut Vec<_>| {
        operator.push(Input::Event { facts, position: 1, due, forget: due }, out);
    };
    let tick = |shard, minutes: i64| Input::Tick { shard, clock: Micros(NOON + minutes * MINUTE) };

    let (mut operator, mut out) = (Operator::new(config.clone()), Vec::new());
    push(azure(1, 0, 0), &mut operator, &mut out);
    operator.push(tick(0, 1), &mut out);
    assert!(out.is_empty(), "the other shard's tick is missing");
    operator.push(tick(1, 0), &mut out);
    assert!(out.is_empty(), "the clock must be past the wait");
    operator.push(tick(1, 1), &mut out);
    assert!(!rows(&out)[&event_id(1)].findings.contains(Finding::TicksMissing));

    let (mut operator, mut out) = (Operator::new(config.clone()), Vec::new());
    push(azure(1, 0, 0), &mut operator, &mut out);
    operator.push(tick(0, 90), &mut out);
    assert!(out.is_empty());
    operator.push(tick(0, 91), &mut out);
    assert!(rows(&out)[&event_id(1)].findings.contains(Finding::TicksMissing));

    let (mut operator, mut out) = (Operator::new(config), Vec::new());
    push(kong(1, 0), &mut operator, &mut out);
    operator.push(tick(0, 1), &mut out);
    assert_eq!(out.len(), 1, "a Kong row needs its own clock only");
}
