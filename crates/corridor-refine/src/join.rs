//! Join: the operator that lets Kong events and Azure events meet. The same code runs in batch and live.
//!
//! - In: [`Input`]: events, candidates (hints), introductions and ticks, in any order within the wait.
//! - Out: [`Emitted`]: one row per distinct event with its final outcome, one duplicate per further copy, and
//!   the introductions owed to other shards.
//! - Keeps: each event until the clock has passed its `forget`, and what a pending row still needs of its peers.
//! - Invariants: pure and synchronous. What partners may be is decided pair by pair when the later of both
//!   arrives; so every order of arrival gives the same rows. A row leaves once.

mod arrival;
mod at_once;
mod departure;
mod entities;
pub mod facts_codec;
mod finality;
mod index;
mod keys;
mod ladder;
mod log;
mod outcome;
mod place;
mod reuse;
mod shard;
mod timeline;
mod wheel;

#[cfg(test)]
mod tests;

pub use at_once::join_at_once;
pub use shard::{ShardId, home_shard};

use corridor_model::{EventId, JoinFacts, JoinOutcome, Micros, time};
use entities::{Entities, Role};
use finality::Gate;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use wheel::Wheel;

/// The rules of the join.
#[derive(Debug, Clone)]
pub struct JoinConfig {
    /// Partners' times lie within this of each other. Microseconds; twice the wait.
    pub horizon: i64,
    /// How far a Kong start may lie outside an activity's time, for the rungs run_id and identity_time. Microseconds.
    pub run_slack: i64,
    /// A row that lacks other shards' ticks is final after four times this on its own clock. Microseconds.
    pub wait: i64,
    /// More peers than this on one rung, and the rung is skipped for that event.
    pub candidates_max: usize,
    /// Number of shards; batch is one.
    pub shard_count: u32,
    /// The shard this operator owns.
    pub own_shard: ShardId,
    /// Rows that nothing can change leave at once (live). In batch they wait as well, so that of two copies
    /// the one with the smaller position is the row, whichever is read first.
    pub is_immediate: bool,
}

impl JoinConfig {
    /// One shard, the default times, every row waits.
    pub fn batch() -> Self {
        Self {
            horizon: 60 * time::MINUTE,
            run_slack: 5 * time::SECOND,
            wait: 30 * time::MINUTE,
            candidates_max: 256,
            shard_count: 1,
            own_shard: 0,
            is_immediate: false,
        }
    }
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self::batch()
    }
}

/// What the operator is told.
#[derive(Debug, Clone)]
pub enum Input<P> {
    /// An event that has its home here: it gets a row.
    Event {
        /// What the join needs of it.
        facts: JoinFacts,
        /// Where it was read. Of several copies, the smallest is the row.
        position: P,
        /// Its row is final as soon as the clock is past this.
        due: Micros,
        /// It stays a candidate, and its id is remembered, until the clock is past this.
        forget: Micros,
    },
    /// A hint: an Azure event whose home is another shard, or whose own record comes later.
    Candidate {
        /// What the join needs of it.
        facts: JoinFacts,
        /// It stays a candidate until the clock is past this. If its event comes here, not before that.
        forget: Micros,
        /// Its home; None for this shard.
        home: Option<ShardId>,
    },
    /// A Kong event of another shard that matches an Azure event which has its home here.
    Introduction {
        /// The Azure event.
        to: EventId,
        /// The Kong event.
        peer: JoinFacts,
        /// It waits for the Azure event until the clock is past this.
        forget: Micros,
    },
    /// The clock of a shard: no event that matters to rows due before it will come from that shard any more.
    Tick {
        /// Whose clock.
        shard: ShardId,
        /// In batch the end of the hour that was fed.
        clock: Micros,
    },
}

/// What the operator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emitted<P> {
    /// A final row.
    Row {
        /// Where its event was read.
        position: P,
        /// Its event.
        event_id: EventId,
        /// The join's columns.
        outcome: JoinOutcome,
    },
    /// A further copy of an event. It gets no row.
    Duplicate {
        /// Where the copy was read.
        position: P,
        /// The event.
        event_id: EventId,
        /// The copy that is the row, as far as is known now.
        of: P,
    },
    /// To be appended to shard `home`.
    Introduction {
        /// The Azure event's home.
        home: ShardId,
        /// The Azure event.
        to: EventId,
        /// The Kong event that matches it.
        peer: Box<JoinFacts>,
        /// When the introduction may be forgotten.
        forget: Micros,
    },
}

/// An event that was forgotten before its row was published: who asks for copies must know it still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpublished<P> {
    /// The event.
    pub event_id: EventId,
    /// The copy that is the row.
    pub position: P,
    /// Its row is among the first so many.
    pub row_number: u64,
}

/// The join operator of one shard. `P` is a position in its input.
#[derive(Debug)]
pub struct Operator<P> {
    config: JoinConfig,
    entities: Entities<P>,
    /// Entities by their event id.
    ids: HashTable<u32>,
    index: index::Index,
    log: log::Log,
    reuse: reuse::ReuseIndex,
    /// Rows that wait for this shard's clock only.
    due_here: Wheel,
    /// Rows that wait for the clocks of all shards.
    due_everywhere: Wheel,
    forgets: Wheel,
    clocks: Vec<Option<Micros>>,
    pending_count: usize,
    /// Rows that left so far, and how many of them the caller has published.
    row_count: u64,
    published_count: u64,
    unpublished: Vec<Unpublished<P>>,
    hasher: RandomState,
    newcomers: arrival::Newcomers,
    departures: departure::Departures,
    scratch: arrival::Scratch,
}

impl<P: Copy + Ord> Operator<P> {
    /// An operator that knows nothing yet.
    pub fn new(config: JoinConfig) -> Self {
        Self {
            clocks: vec![None; config.shard_count.max(1) as usize],
            config,
            entities: Entities::default(),
            ids: HashTable::new(),
            index: index::Index::default(),
            log: log::Log::default(),
            reuse: reuse::ReuseIndex::default(),
            due_here: Wheel::default(),
            due_everywhere: Wheel::default(),
            forgets: Wheel::default(),
            pending_count: 0,
            row_count: 0,
            published_count: 0,
            unpublished: Vec::new(),
            hasher: RandomState::default(),
            newcomers: arrival::Newcomers::default(),
            departures: departure::Departures::default(),
            scratch: arrival::Scratch::default(),
        }
    }

    /// Takes one input; what follows from it is added to `out`.
    pub fn push(&mut self, input: Input<P>, out: &mut Vec<Emitted<P>>) {
        match input {
            Input::Event { facts, position, due, forget } => {
                self.take_event(facts, position, due, forget, out);
            }
            Input::Candidate { facts, forget, home } => {
                let home = home.filter(|home| *home != self.config.own_shard);
                self.take_candidate(facts, forget, home, out);
            }
            // The pair is judged again here, so the introduced event is a candidate like any other. It finds
            // `to`, or is found by it later.
            Input::Introduction { to: _, peer, forget } => self.take_candidate(peer, forget, None, out),
            Input::Tick { shard, clock } => self.take_tick(shard, clock, out),
        }
    }

    /// The end of the input: every pending row is final.
    pub fn finish(&mut self, out: &mut Vec<Emitted<P>>) {
        self.settle(out);
        let (mut due_here, mut due_everywhere) = (Vec::new(), Vec::new());
        self.due_here.drain_all(&mut due_here);
        self.due_everywhere.drain_all(&mut due_everywhere);
        let mut due = self.rows_due(due_here, Gate::Here);
        due.append(&mut self.rows_due(due_everywhere, Gate::Everywhere));
        self.finalise_all(due, out);
        self.sweep();
    }

    /// Number of rows that are not final yet.
    pub fn pending(&self) -> usize {
        self.pending_count
    }

    /// Number of events and candidates in memory.
    pub fn remembered(&self) -> usize {
        self.entities.len()
    }

    /// Number of rows that left.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// The first `row_count` rows are published.
    pub fn set_published(&mut self, row_count: u64) {
        self.published_count = row_count;
    }

    /// Events that were forgotten since the last call although their rows are not published. Only where rows may leave at
    /// once: a batch publishes everything together.
    pub fn take_unpublished(&mut self) -> std::vec::Drain<'_, Unpublished<P>> {
        self.unpublished.drain(..)
    }

    /// The position of the copy of an event that is its row, if this shard remembers one.
    pub fn position_of(&self, event_id: &EventId) -> Option<P> {
        match self.entities.get(self.find(event_id)?).role {
            Role::Candidate => None,
            Role::Pending(position) | Role::Final(position) => Some(position),
        }
    }

    /// Estimate of the memory in use, in bytes. What is forgotten makes room for others and is not given back, so the
    /// highest value so far is what the operator holds.
    pub fn memory_bytes(&self) -> usize {
        self.entities.memory_bytes()
            + self.ids.len() * 2 * (size_of::<u32>() + 1)
            + self.index.memory_bytes()
            + self.log.memory_bytes()
            + self.reuse.memory_bytes()
    }

    fn take_event(
        &mut self,
        facts: JoinFacts,
        position: P,
        due: Micros,
        forget: Micros,
        out: &mut Vec<Emitted<P>>,
    ) {
        let event_id = facts.summary.event_id;
        let Some(id) = self.find(&event_id) else {
            let id = self.remember(facts, Role::Pending(position), forget, None);
            self.await_row(id, due);
            self.arrive(id, out);
            return self.leave_at_once(id, out);
        };
        self.remember_longer(id, forget);
        match self.entities.get(id).role {
            Role::Candidate => {
                let entity = self.entities.get_mut(id);
                entity.adopt(facts);
                entity.role = Role::Pending(position);
                entity.home = None;
                self.await_row(id, due);
                self.introduce_to_peers(id, out);
                self.leave_at_once(id, out);
            }
            Role::Pending(row) if position < row => {
                let entity = self.entities.get_mut(id);
                entity.adopt(facts);
                entity.role = Role::Pending(position);
                out.push(Emitted::Duplicate { position: row, event_id, of: position });
            }
            // The same position again is the same copy, delivered twice.
            Role::Pending(row) | Role::Final(row) if position == row => {}
            Role::Pending(row) | Role::Final(row) => {
                out.push(Emitted::Duplicate { position, event_id, of: row });
            }
        }
    }

    fn take_candidate(
        &mut self,
        facts: JoinFacts,
        forget: Micros,
        home: Option<ShardId>,
        out: &mut Vec<Emitted<P>>,
    ) {
        match self.find(&facts.summary.event_id) {
            Some(id) => self.remember_longer(id, forget),
            None => {
                let id = self.remember(facts, Role::Candidate, forget, home);
                self.arrive(id, out);
            }
        }
    }

    fn take_tick(&mut self, shard: ShardId, clock: Micros, out: &mut Vec<Emitted<P>>) {
        let Some(known) = self.clocks.get_mut(shard as usize) else { return };
        if known.is_some_and(|known| known >= clock) {
            return;
        }
        *known = Some(clock);
        self.settle(out);
        let here = self.clocks.get(self.config.own_shard as usize).copied().flatten();
        let everywhere = self.clocks.iter().copied().min().flatten();
        let (mut due_here, mut due_everywhere) = (Vec::new(), Vec::new());
        if let Some(here) = here {
            self.due_here.drain_before(here, &mut due_here);
        }
        if let Some(everywhere) = everywhere {
            self.due_everywhere.drain_before(everywhere, &mut due_everywhere);
        }
        let in_time = due_everywhere.len();
        if let Some(here) = here {
            // The wait is over at `due`, so four waits after its arrival is three waits after `due`.
            let patience = here.saturating_add(self.config.wait.saturating_mul(-3));
            self.due_everywhere.drain_before(patience, &mut due_everywhere);
        }
        for &entry in &due_everywhere[in_time..] {
            if self.is_due(entry, Gate::Everywhere) {
                self.entities.get_mut(entry.1).lacks_ticks = true;
            }
        }
        let mut due = self.rows_due(due_here, Gate::Here);
        due.append(&mut self.rows_due(due_everywhere, Gate::Everywhere));
        if let Some(here) = here {
            self.forget_before(here);
        }
        self.finalise_all(due, out);
        self.sweep();
    }
}
