//! Keys: under which keys an event is indexed, and under which its partners are found.
//!
//! - In: join facts.
//! - Out: probes: a rung, a hash, and whether to look there, to be found there, or both.
//! - Invariants: two events of a pair meet on each rung they match by. Hash collisions only cost time: the
//!   ladder judges every pair by its facts.

use super::ladder::kong_run_ids;
use corridor_model::{JoinFacts, JoinMethod, Key128, Side};
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// What to do at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Look for partners, and be found.
    Both,
    /// Look only.
    Look,
    /// Look for ids with a counter.
    LookAtCounted,
    /// Be found only, as an id with a counter.
    BeFoundAsCounted,
}

/// One key of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// The event.
    pub(super) id: u32,
    /// Its number among the newcomers; 0 when that does not matter.
    pub(super) turn: u32,
    /// Its side.
    pub(super) side: Side,
    /// The rung it serves.
    pub(super) rung: JoinMethod,
    /// Hash of the key.
    pub(super) hash: u64,
    /// What to do there.
    pub(super) usage: Use,
}

impl Probe {
    /// Whether partners are looked for here.
    pub(super) fn looks(&self) -> bool {
        self.usage != Use::BeFoundAsCounted
    }

    /// Whether the event is found here.
    pub(super) fn is_found(&self) -> bool {
        matches!(self.usage, Use::Both | Use::BeFoundAsCounted)
    }
}

/// Kinds of keys; part of the hash, so that they share one table.
#[derive(Hash)]
enum Key {
    Request(Key128),
    /// A correlation id without counter.
    Bare(Key128),
    /// A correlation id with its counter.
    Counted(Key128, u64),
    /// A correlation id with any counter: found by ids without one.
    AnyCount(Key128),
    Run(Key128, Key128),
    /// A call by a principal, under one of its names. Names of unknown kind may equal names of any kind.
    Caller(Key128, Key128),
}

/// Adds the probes of an event to `out`.
pub(super) fn probes_of(
    facts: &JoinFacts,
    (id, turn): (u32, u32),
    hasher: &RandomState,
    out: &mut Vec<Probe>,
) {
    let side = facts.side;
    let mut add =
        |rung, usage, key: Key| out.push(Probe { id, turn, side, rung, usage, hash: hasher.hash_one(key) });
    for id in &facts.request_ids {
        add(JoinMethod::RequestId, Use::Both, Key::Request(*id));
    }
    for id in &facts.correlation_ids {
        // A gateway's `uuid#counter` ids share the uuid, so that those with a counter must not all meet.
        match id.counter {
            None => {
                add(JoinMethod::CorrelationId, Use::Both, Key::Bare(id.base));
                add(JoinMethod::CorrelationId, Use::LookAtCounted, Key::AnyCount(id.base));
            }
            Some(counter) => {
                add(JoinMethod::CorrelationId, Use::Both, Key::Counted(id.base, counter));
                add(JoinMethod::CorrelationId, Use::Look, Key::Bare(id.base));
                add(JoinMethod::CorrelationId, Use::BeFoundAsCounted, Key::AnyCount(id.base));
            }
        }
    }
    if let Some(call) = facts.call {
        match facts.side {
            Side::Kong => {
                kong_run_ids(facts).for_each(|run| add(JoinMethod::RunId, Use::Both, Key::Run(run, call)))
            }
            Side::Azure => facts
                .run_id
                .into_iter()
                .for_each(|run| add(JoinMethod::RunId, Use::Both, Key::Run(run, call))),
        }
    }
    if let Some(call) = facts.call_at_host {
        let identity = &facts.identity;
        let names = [identity.object_id, identity.app_id, identity.upn, identity.local];
        for name in names.into_iter().flatten() {
            add(JoinMethod::IdentityTime, Use::Both, Key::Caller(call, name));
        }
    }
}
