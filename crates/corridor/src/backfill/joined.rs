//! Joined: the spilled events of all slices go through the join operator, slice by slice.
//!
//! - In: the spill, slices ascending.
//! - Out: one [`JoinedSlice`] for each slice, as soon as all its rows are final.
//! - Keeps: the facts within the horizon of the slice in work, and the outcomes of slices that are not complete.
//! - Invariants: each spilled event leaves once, as a row or as a copy; slices leave complete.

use corridor_lake::FinalRow;
use corridor_lake::spill::{Position, SliceSummary, Spill, SpillError, SpilledFacts};
use corridor_model::{EventId, JoinOutcome, Side, Slice};
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
    /// Where the row is; None when the event of that id is of another slice, hence another event.
    pub of: Option<Position>,
}

/// All rows of one slice.
#[derive(Debug)]
pub struct JoinedSlice {
    /// The slice of event time.
    pub slice: Slice,
    /// Where its rows are spilled, by event time and event id.
    pub rows: Vec<FinalRow>,
    /// What the join says of each row.
    pub outcomes: Vec<JoinOutcome>,
    /// Its copies, in the order of the input.
    pub copies: Vec<Copied>,
}

/// A slice that still waits for rows.
#[derive(Default)]
struct OpenSlice {
    expected: u64,
    rows: Vec<JoinedRow>,
    copies: Vec<(EventId, Position)>,
}

impl OpenSlice {
    fn is_complete(&self) -> bool {
        self.expected == (self.rows.len() + self.copies.len()) as u64
    }

    fn close(mut self, slice: Slice) -> JoinedSlice {
        let rows_by_id: HashMap<_, _> = if self.copies.is_empty() {
            HashMap::new()
        } else {
            self.rows.iter().map(|row| (row.event_id, row.position)).collect()
        };
        self.rows.retain(|row| row.position.batch != Position::NO_ROW);
        // Cached, because rows are much larger than their keys: they move once, and not at every step.
        self.rows.sort_by_cached_key(|row| (row.position.time, row.event_id));
        self.copies.sort_unstable_by_key(|(_, position)| *position);
        let copies = self.copies.into_iter().filter(|(_, position)| position.batch != Position::NO_ROW);
        let copies =
            copies.map(|(id, position)| Copied { position, of: rows_by_id.get(&id).copied() }).collect();
        let place = |position: Position| FinalRow { batch: position.batch, row: position.row };
        let (rows, outcomes) = self.rows.into_iter().map(|row| (place(row.position), row.outcome)).unzip();
        JoinedSlice { slice, rows, outcomes, copies }
    }
}

/// Joins all slices of the spill; `take` gets each complete slice.
///
/// # Errors
/// Those of the spill, and those of `take`.
pub fn join<E: From<SpillError>>(
    spill: &Spill,
    mut take: impl FnMut(JoinedSlice) -> Result<(), E>,
) -> Result<(), E> {
    let config = JoinConfig::batch();
    let horizon = config.horizon;
    let mut operator = Operator::new(config);
    let mut open: BTreeMap<Slice, OpenSlice> = BTreeMap::new();
    let mut emitted = Vec::new();
    let mut facts_of_slice = Vec::new();
    for SliceSummary { slice, events, .. } in spill.slices() {
        operator.push(Input::Tick { shard: 0, clock: slice.start() }, &mut emitted);
        settle(&mut open, &mut emitted, &mut take)?;
        let rows = Vec::with_capacity(usize::try_from(events).unwrap_or_default());
        open.insert(slice, OpenSlice { expected: events, rows, copies: Vec::new() });
        spill.read_candidates(slice, |spilled| facts_of_slice.push(spilled))?;
        for SpilledFacts { facts, .. } in in_order(&mut facts_of_slice) {
            // It must still be known when its own record comes.
            let forget = facts.end.saturating_add(horizon).max(facts.summary.time.slice().end());
            operator.push(Input::Candidate { facts, forget, home: None }, &mut emitted);
        }
        spill.read_facts(slice, |spilled| facts_of_slice.push(spilled))?;
        for SpilledFacts { position, facts } in in_order(&mut facts_of_slice) {
            let due = last_partner(&facts).saturating_add(horizon);
            operator.push(Input::Event { facts, position, due, forget: due }, &mut emitted);
        }
        operator.push(Input::Tick { shard: 0, clock: slice.end() }, &mut emitted);
        tracing::debug!(
            until = %slice.end(),
            pending = operator.pending(),
            remembered = operator.remembered(),
            memory_bytes = operator.memory_bytes(),
            open_slices = open.len(),
            "joined a slice"
        );
        settle(&mut open, &mut emitted, &mut take)?;
    }
    operator.finish(&mut emitted);
    settle(&mut open, &mut emitted, &mut take)
}

/// The facts in the order of the input. Copies of an event that say different things are joined by the keys of
/// the first, and threads spill in any order. Each batch is a run, which makes sorting cheap.
fn in_order(facts: &mut Vec<SpilledFacts>) -> std::vec::Drain<'_, SpilledFacts> {
    facts.sort_by_key(|spilled| spilled.position);
    facts.drain(..)
}

/// The last moment at which a partner of the event can begin, the horizon aside.
fn last_partner(facts: &corridor_model::JoinFacts) -> corridor_model::Micros {
    match facts.side {
        Side::Kong => facts.start,
        // The row must also outlive its own slice, where copies of it may still come.
        Side::Azure => facts.end.max(facts.summary.time),
    }
}

/// Sorts what the operator said into the open slices, and hands on those that are complete.
fn settle<E>(
    open: &mut BTreeMap<Slice, OpenSlice>,
    emitted: &mut Vec<Emitted<Position>>,
    take: &mut impl FnMut(JoinedSlice) -> Result<(), E>,
) -> Result<(), E> {
    for said in emitted.drain(..) {
        match said {
            Emitted::Row { position, event_id, outcome } => {
                let slice = open.entry(position.time.slice()).or_default();
                slice.rows.push(JoinedRow { position, event_id, outcome });
            }
            Emitted::Duplicate { position, event_id, of: _ } => {
                open.entry(position.time.slice()).or_default().copies.push((event_id, position));
            }
            Emitted::Introduction { .. } => unreachable!("batch is one shard"),
        }
    }
    let complete: Vec<_> =
        open.iter().filter(|(_, slice)| slice.is_complete()).map(|(slice, _)| *slice).collect();
    for slice in complete {
        if let Some(closed) = open.remove(&slice) {
            take(closed.close(slice))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use corridor_lake::EventRows;
    use corridor_lake::spill::FactsBatch;
    use corridor_model::{JoinState, Origin};
    use corridor_refine::{Context, Outcome, refine};

    const RUN: &str = r#"{"time":"2026-03-04T09:00:01Z","category":"ExecRequests","operationName":"ExecRequests",
        "resourceId":"/SUBSCRIPTIONS/3F6C2A10-0D1B-4C7E-9A55-6B1F0E2D4C88/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.SYNAPSE/WORKSPACES/WS/SQLPOOLS/DWH",
        "properties":{"RequestId":"QID1","SubmitTime":"2026-03-04T09:00:00Z","StartTime":"2026-03-04T09:00:00Z",
            "EndTime":"2026-03-04T09:00:01Z","Status":"Completed","Command":"SELECT 1",
            "Label":"kong:b62cbe19-a36e-4ab1-89a0-e0c93010bc85"}}"#;

    /// A Kong entry, always of one event id, with this correlation id.
    fn copy(correlation_id: &str) -> String {
        format!(
            r#"{{"started_at":1772614800000,"response":{{"status":200}},"request":{{"id":"5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6",
            "method":"GET","uri":"/","headers":{{"x-correlation-id":"{correlation_id}"}}}}}}"#
        )
    }

    /// Spills a record as a batch of its own.
    fn put(spill: &Spill, side: Side, record: &str, byte_offset: u64) {
        let origin = Origin { file_index: side as u32, path: "in".into(), byte_offset };
        refine(side, record.as_bytes(), &Context::default(), &mut |outcome| {
            let Outcome::Event(refined, _) = outcome else { panic!("it is an event") };
            let time = refined.event.event_time;
            let file_index = origin.file_index;
            let position = Position { file_index, byte_offset, record_index: 0, time, batch: 0, row: 0 };
            let (mut events, mut facts) = (EventRows::default(), FactsBatch::default());
            events.append(&refined.event, &origin, None);
            facts.push(&position, &refined.facts);
            spill.write(time.slice(), events.finish(), None, &facts).unwrap();
        });
    }

    fn states(spilled: &[(Side, &str, u64)]) -> Vec<JoinState> {
        let parent = tempfile::tempdir().unwrap();
        let spill = Spill::create(parent.path()).unwrap();
        spilled.iter().for_each(|(side, record, byte_offset)| put(&spill, *side, record, *byte_offset));
        let mut states = Vec::new();
        let joined = join::<SpillError>(&spill, |slice| {
            states.extend(slice.outcomes.iter().map(|outcome| outcome.state));
            Ok(())
        });
        joined.unwrap();
        states
    }

    #[test]
    fn of_copies_that_differ_the_first_of_the_input_is_joined_whichever_is_spilled_first() {
        let known = copy("b62cbe19-a36e-4ab1-89a0-e0c93010bc85");
        let other = copy("00000000-0000-4000-8000-000000000001");
        for (first, second, state) in
            [(&known, &other, JoinState::Matched), (&other, &known, JoinState::Unmatched)]
        {
            let copies = [(Side::Kong, first.as_str(), 0), (Side::Kong, second.as_str(), 900)];
            let run = (Side::Azure, RUN, 0);
            assert_eq!(states(&[copies[0], copies[1], run]), [state, state]);
            assert_eq!(states(&[run, copies[1], copies[0]]), [state, state]);
        }
    }
}
