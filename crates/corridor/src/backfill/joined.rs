//! Joined: the spilled events of all hours go through the join operator, hour by hour.
//!
//! - In: the spill, hours ascending.
//! - Out: one [`JoinedHour`] for each hour, as soon as all its rows are final.
//! - Keeps: the facts within the horizon of the hour in work, and the outcomes of hours that are not complete.
//! - Invariants: each spilled event leaves once, as a row or as a copy; hours leave complete.

use corridor_lake::FinalRow;
use corridor_lake::spill::{HourSummary, Position, Spill, SpillError, SpilledFacts};
use corridor_model::{EventId, HourBucket, JoinOutcome, Side};
use corridor_refine::join::{Emitted, Input, JoinConfig, Operator};
use std::collections::{BTreeMap, HashMap};

/// A row with what the join says of it.
#[derive(Debug)]
struct JoinedRow {
    position: Position,
    event_id: EventId,
    outcome: JoinOutcome,
}

/// A copy of a row.
#[derive(Debug)]
pub struct Copied {
    /// Where the copy is spilled.
    pub position: Position,
    /// Where the row is; None when the event of that id is of another hour, hence another event.
    pub of: Option<Position>,
}

/// All rows of one hour.
#[derive(Debug)]
pub struct JoinedHour {
    /// The hour of event time.
    pub hour: HourBucket,
    /// Where its rows are spilled, by event time and event id.
    pub rows: Vec<FinalRow>,
    /// What the join says of each row.
    pub outcomes: Vec<JoinOutcome>,
    /// Its copies, in the order of the input.
    pub copies: Vec<Copied>,
}

impl JoinedHour {
    /// An hour without rows, for rejects that have no hour of their own.
    pub fn empty(hour: HourBucket) -> Self {
        Self { hour, rows: Vec::new(), outcomes: Vec::new(), copies: Vec::new() }
    }
}

/// An hour that still waits for rows.
#[derive(Default)]
struct OpenHour {
    expected: u64,
    rows: Vec<JoinedRow>,
    copies: Vec<(EventId, Position)>,
}

impl OpenHour {
    fn is_complete(&self) -> bool {
        self.expected == (self.rows.len() + self.copies.len()) as u64
    }

    fn close(mut self, hour: HourBucket) -> JoinedHour {
        let rows_by_id: HashMap<_, _> = if self.copies.is_empty() {
            HashMap::new()
        } else {
            self.rows.iter().map(|row| (row.event_id, row.position)).collect()
        };
        self.rows.retain(|row| row.position.batch != Position::NO_ROW);
        self.rows.sort_unstable_by_key(|row| (row.position.time, row.event_id));
        self.copies.sort_unstable_by_key(|(_, position)| *position);
        let copies = self.copies.into_iter().filter(|(_, position)| position.batch != Position::NO_ROW);
        let copies =
            copies.map(|(id, position)| Copied { position, of: rows_by_id.get(&id).copied() }).collect();
        let place = |position: Position| FinalRow { batch: position.batch, row: position.row };
        let (rows, outcomes) = self.rows.into_iter().map(|row| (place(row.position), row.outcome)).unzip();
        JoinedHour { hour, rows, outcomes, copies }
    }
}

/// Joins all hours of the spill; `take` gets each complete hour.
///
/// # Errors
/// Those of the spill, and those of `take`.
pub fn join<E: From<SpillError>>(
    spill: &Spill,
    mut take: impl FnMut(JoinedHour) -> Result<(), E>,
) -> Result<(), E> {
    let config = JoinConfig::batch();
    let horizon = config.horizon;
    let mut operator = Operator::new(config);
    let mut open: BTreeMap<HourBucket, OpenHour> = BTreeMap::new();
    let mut emitted = Vec::new();
    for HourSummary { hour, events, .. } in spill.hours() {
        operator.push(Input::Tick { shard: 0, clock: hour.start() }, &mut emitted);
        settle(&mut open, &mut emitted, &mut take)?;
        open.insert(hour, OpenHour { expected: events, ..OpenHour::default() });
        spill.read_candidates(hour, |SpilledFacts { facts, .. }| {
            // It must still be known when its own record comes.
            let forget = facts.end.saturating_add(horizon).max(facts.summary.time.hour().end());
            operator.push(Input::Candidate { facts, forget, home: None }, &mut emitted);
        })?;
        spill.read_facts(hour, |SpilledFacts { position, facts }| {
            let due = last_partner(&facts).saturating_add(horizon);
            operator.push(Input::Event { facts, position, due, forget: due }, &mut emitted);
        })?;
        operator.push(Input::Tick { shard: 0, clock: hour.end() }, &mut emitted);
        settle(&mut open, &mut emitted, &mut take)?;
    }
    operator.finish(&mut emitted);
    settle(&mut open, &mut emitted, &mut take)
}

/// The last moment at which a partner of the event can begin, the horizon aside.
fn last_partner(facts: &corridor_model::JoinFacts) -> corridor_model::Micros {
    match facts.side {
        Side::Kong => facts.start,
        // The row must also outlive its own hour, where copies of it may still come.
        Side::Azure => facts.end.max(facts.summary.time),
    }
}

/// Sorts what the operator said into the open hours, and hands on those that are complete.
fn settle<E>(
    open: &mut BTreeMap<HourBucket, OpenHour>,
    emitted: &mut Vec<Emitted<Position>>,
    take: &mut impl FnMut(JoinedHour) -> Result<(), E>,
) -> Result<(), E> {
    for said in emitted.drain(..) {
        match said {
            Emitted::Row { position, event_id, outcome } => {
                let hour = open.entry(position.time.hour()).or_default();
                hour.rows.push(JoinedRow { position, event_id, outcome });
            }
            Emitted::Duplicate { position, event_id, of: _ } => {
                open.entry(position.time.hour()).or_default().copies.push((event_id, position));
            }
            Emitted::Introduction { .. } => unreachable!("batch is one shard"),
        }
    }
    let complete: Vec<_> =
        open.iter().filter(|(_, hour)| hour.is_complete()).map(|(hour, _)| *hour).collect();
    for hour in complete {
        if let Some(closed) = open.remove(&hour) {
            take(closed.close(hour))?;
        }
    }
    Ok(())
}
