//! Entities: the events and candidates in memory, under small numbers.
//!
//! - In: join facts, once per event id.
//! - Out: a number that stays valid until the entity is forgotten.
//! - Keeps: each entity's facts, peers and counts.

use super::ladder::{Rungs, span_of};
use super::shard::ShardId;
use super::timeline::Span;
use corridor_model::{JoinFacts, Micros, Side};
use smallvec::SmallVec;

/// What an entity is to this shard.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<P> {
    /// Only a possible partner of others.
    Candidate,
    /// An event whose row is not final; the position of the copy that is the row.
    Pending(P),
    /// An event whose row has left.
    Final(P),
}

/// A peer, and the rungs by which it matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The peer's number.
    pub(super) id: u32,
    /// The rungs.
    pub(super) rungs: Rungs,
}

/// A list of peers. Mostly none or one.
pub(super) type Peers = SmallVec<[Peer; 2]>;

/// One event in memory.
#[derive(Debug)]
pub(super) struct Entity<P> {
    /// What the join needs of it.
    pub(super) facts: JoinFacts,
    /// What it is to this shard.
    pub(super) role: Role<P>,
    /// Its home, if that is another shard.
    pub(super) home: Option<ShardId>,
    /// Peers on rungs that are not full.
    pub(super) peers: Peers,
    /// Number of peers per rung, up to one above the limit.
    pub(super) counts: [u32; Rungs::COUNT],
    /// Rungs with more peers than the limit.
    pub(super) full: Rungs,
    /// Its row is final when the clock is past this, if it gets one.
    pub(super) due: Micros,
    /// It stays a candidate until the clock is past this.
    pub(super) forget: Micros,
    /// The clock is past `forget`, but its row is still pending, or a pending row names it.
    pub(super) is_overdue: bool,
    /// It is forgotten by the end of the call.
    pub(super) is_leaving: bool,
    /// Its place among all that arrived and may have partners, from 1; 0 for others.
    pub(super) arrival: u64,
    /// The log may hold keys of it.
    pub(super) is_logged: bool,
    /// The index may hold it.
    pub(super) is_indexed: bool,
    /// Its correlation id is used by another principal.
    pub(super) is_reused: bool,
    /// The row leaves although ticks of other shards are missing.
    pub(super) lacks_ticks: bool,
    /// The row leaves before its time, because memory is short.
    pub(super) is_early: bool,
    /// Number of its row, from 1, when it is final.
    pub(super) row_number: u64,
    /// Number of peer lists that name it.
    references: u32,
    /// The meeting that looked at it last.
    seen_by: u64,
}

impl<P: Copy> Entity<P> {
    fn new(facts: JoinFacts, role: Role<P>, forget: Micros, home: Option<ShardId>) -> Self {
        Self {
            facts,
            role,
            home,
            peers: Peers::new(),
            counts: [0; Rungs::COUNT],
            full: Rungs::NONE,
            due: forget,
            forget,
            is_overdue: false,
            is_leaving: false,
            arrival: 0,
            is_logged: false,
            is_indexed: false,
            is_reused: false,
            lacks_ticks: false,
            is_early: false,
            row_number: 0,
            references: 0,
            seen_by: 0,
        }
    }

    /// Takes what the row says from the copy that is the row. The keys stay: they are those of the event id,
    /// and the index holds them.
    pub(super) fn adopt(&mut self, facts: JoinFacts) {
        self.facts.summary = facts.summary;
        self.facts.verdict = facts.verdict;
        self.facts.findings = facts.findings;
        self.facts.takes_partner_verdict = facts.takes_partner_verdict;
        self.facts.expects_gateway_record = facts.expects_gateway_record;
    }

    /// The time that its partners must be near.
    pub(super) fn span(&self) -> Span {
        span_of(&self.facts)
    }

    /// Whether its row waits for the clocks of all shards, because introductions may come from each of them.
    pub(super) fn waits_everywhere(&self) -> bool {
        self.facts.is_eligible && self.facts.side == Side::Azure
    }

    /// Whether its row has not left.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.role, Role::Pending(_))
    }

    /// Whether it needs a list of its peers: its row is not final, or may still come.
    pub(super) fn lists_peers(&self) -> bool {
        match self.role {
            Role::Candidate => !self.is_overdue,
            Role::Pending(_) => true,
            Role::Final(_) => false,
        }
    }

    /// Whether nothing needs it any more.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_overdue && self.references == 0 && !self.is_pending()
    }

    /// Marks it as seen in a meeting; true the first time.
    pub(super) fn is_news_to(&mut self, meeting: u64) -> bool {
        std::mem::replace(&mut self.seen_by, meeting) != meeting
    }
}

/// Entities of one block. A block never moves, however many there will be.
const BLOCK: usize = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 10;

/// All entities.
#[derive(Debug)]
pub(super) struct Entities<P> {
    blocks: Vec<Vec<Option<Entity<P>>>>,
    free: Vec<u32>,
    meeting_count: u64,
}

impl<P> Default for Entities<P> {
    fn default() -> Self {
        Self { blocks: Vec::new(), free: Vec::new(), meeting_count: 0 }
    }
}

impl<P: Copy> Entities<P> {
    /// Adds one.
    pub(super) fn insert(
        &mut self,
        facts: JoinFacts,
        role: Role<P>,
        forget: Micros,
        home: Option<ShardId>,
    ) -> u32 {
        let entity = Some(Entity::new(facts, role, forget, home));
        if let Some(id) = self.free.pop() {
            *self.slot_mut(id) = entity;
            return id;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let count = self.blocks.len();
        let block = self.blocks.last_mut().expect("one was pushed");
        block.push(entity);
        let index = (count - 1) * BLOCK + block.len() - 1;
        u32::try_from(index).expect("memory ends before 2^32 entities")
    }

    fn slot_mut(&mut self, id: u32) -> &mut Option<Entity<P>> {
        &mut self.blocks[(id >> BLOCK_BITS) as usize][id as usize % BLOCK]
    }

    /// The entity that has a number now, if any.
    pub(super) fn find(&self, id: u32) -> Option<&Entity<P>> {
        self.blocks[(id >> BLOCK_BITS) as usize][id as usize % BLOCK].as_ref()
    }

    /// An entity by its number.
    pub(super) fn get(&self, id: u32) -> &Entity<P> {
        self.find(id).expect("numbers are dropped with their entity")
    }

    /// An entity by its number.
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Entity<P> {
        self.slot_mut(id).as_mut().expect("numbers are dropped with their entity")
    }

    /// A new number for a meeting; see [`Entity::is_news_to`].
    pub(super) fn next_meeting(&mut self) -> u64 {
        self.meeting_count += 1;
        self.meeting_count
    }

    /// A peer list names it.
    pub(super) fn hold(&mut self, id: u32) {
        self.get_mut(id).references += 1;
    }

    /// A peer list names it no more.
    pub(super) fn release(&mut self, id: u32) {
        self.get_mut(id).references -= 1;
    }

    /// Drops one that nothing finds or names.
    pub(super) fn remove(&mut self, id: u32) {
        *self.slot_mut(id) = None;
        self.free.push(id);
    }

    /// Number of entities.
    pub(super) fn len(&self) -> usize {
        let slots: usize = self.blocks.iter().map(Vec::len).sum();
        slots - self.free.len()
    }

    /// Estimate; the texts of a summary are taken as 128 bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.len() * (size_of::<Option<Entity<P>>>() + 128)
    }
}
