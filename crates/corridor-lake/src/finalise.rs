//! Finalise: events and what the join says of them become evidence rows.
//!
//! - In: the [event rows](crate::event_row) of a slice, those wanted in their final order, and one outcome per row.
//! - Out: batches in [`evidence_schema`], one row per event.
//! - Invariants: rows leave in the given order; `reason_basis` and `denied_by` agree with `decision` because
//!   [`corridor_model::Verdict`] says so. Peer and confidence columns are set exactly for matched rows.

use crate::columns::{evidence_columns, schema_version};
use crate::encode_error::EncodeError;
use crate::event_columns::{EventColumns, NamedArrays, time_builder, to_int};
use crate::rows::{FinalRow, StoredRows};
use crate::schema::evidence_schema;
use crate::text_column::TextColumn;
use arrow_array::builder::{BooleanBuilder, Int32Builder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, new_null_array};
use arrow_schema::ArrowError;
use corridor_model::JoinOutcome;
use std::sync::Arc;

/// Longest list of findings, as a bound for printing.
const FINDINGS_LENGTH_MAX: usize = 512;

/// Where the rows of a live lake came from. Rows of a backfill came from no log.
#[derive(Debug, Clone, Copy)]
pub struct LiveRows<'a> {
    /// The shard of the log.
    pub shard: u32,
    /// The offset of each row's record.
    pub offsets: &'a [u64],
    /// Whether their days were sealed before they came.
    pub is_late: bool,
}

/// Evidence rows in batches of at most `batch_rows`. `outcomes` belong to `rows`, one by one.
pub fn evidence_batches<'a>(
    events: &'a StoredRows,
    rows: &'a [FinalRow],
    outcomes: &'a [JoinOutcome],
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, EncodeError>> + 'a {
    batches(events, rows, outcomes, None, batch_rows)
}

/// Evidence rows of a live lake; offsets belong to `rows`, one by one.
pub fn live_evidence_batches<'a>(
    events: &'a StoredRows,
    rows: &'a [FinalRow],
    outcomes: &'a [JoinOutcome],
    live: LiveRows<'a>,
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, EncodeError>> + 'a {
    assert_eq!(rows.len(), live.offsets.len(), "every row has one offset");
    batches(events, rows, outcomes, Some(live), batch_rows)
}

fn batches<'a>(
    events: &'a StoredRows,
    rows: &'a [FinalRow],
    outcomes: &'a [JoinOutcome],
    live: Option<LiveRows<'a>>,
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, EncodeError>> + 'a {
    assert_eq!(rows.len(), outcomes.len(), "every row has one outcome");
    let mut event_columns = EventColumns::new();
    let mut outcome_columns = OutcomeColumns::new();
    let batch_rows = batch_rows.max(1);
    (0..rows.len()).step_by(batch_rows).map(move |start| {
        let chunk = start..rows.len().min(start + batch_rows);
        rows[chunk.clone()].iter().try_for_each(|row| event_columns.append(events, *row))?;
        outcomes[chunk.clone()].iter().for_each(|outcome| outcome_columns.append(outcome));
        let mut columns = event_columns.finish()?;
        outcome_columns.finish(&mut columns).map_err(EncodeError::Gather)?;
        if let Some(live) = live {
            put_log_columns(live.shard, &live.offsets[chunk.clone()], &mut columns);
        }
        assemble(columns, chunk.len(), live.is_some_and(|live| live.is_late))
    })
}

fn put_log_columns(shard: u32, offsets: &[u64], columns: &mut NamedArrays) {
    let offsets = offsets.iter().map(|offset| i64::try_from(*offset).unwrap_or(i64::MAX));
    columns.insert("shard", Arc::new(Int32Array::from_value(to_int(shard), offsets.len())));
    columns.insert("log_offset", Arc::new(Int64Array::from_iter_values(offsets)));
}

/// Puts the columns in the order of the evidence schema.
fn assemble(mut columns: NamedArrays, row_count: usize, is_late: bool) -> Result<RecordBatch, EncodeError> {
    let schema = evidence_schema();
    let column = |field: &Arc<arrow_schema::Field>| match field.name().as_str() {
        "schema_version" => Arc::new(Int32Array::from_value(schema_version(), row_count)) as ArrayRef,
        "is_late" => Arc::new(BooleanArray::from(vec![is_late; row_count])),
        name => columns.remove(name).unwrap_or_else(|| new_null_array(field.data_type(), row_count)),
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema, columns).map_err(EncodeError::Gather)
}

/// One builder per column that the join fills.
struct OutcomeColumns {
    decision: TextColumn,
    denied: BooleanBuilder,
    reason_code: TextColumn,
    reason_basis: TextColumn,
    denied_by: TextColumn,
    join_state: TextColumn,
    join_method: TextColumn,
    join_confidence: TextColumn,
    peer_event_id: TextColumn,
    peer_count: Int32Builder,
    peer_category: TextColumn,
    peer_operation: TextColumn,
    peer_status: TextColumn,
    peer_principal_id: TextColumn,
    peer_time: TimestampMicrosecondBuilder,
    identity_match: TextColumn,
    findings: TextColumn,
}

impl OutcomeColumns {
    fn new() -> Self {
        let text = |name| TextColumn::new(evidence_columns(), name);
        Self {
            decision: text("decision"),
            denied: BooleanBuilder::new(),
            reason_code: text("reason_code"),
            reason_basis: text("reason_basis"),
            denied_by: text("denied_by"),
            join_state: text("join_state"),
            join_method: text("join_method"),
            join_confidence: text("join_confidence"),
            peer_event_id: text("peer_event_id"),
            peer_count: Int32Builder::new(),
            peer_category: text("peer_category"),
            peer_operation: text("peer_operation"),
            peer_status: text("peer_status"),
            peer_principal_id: text("peer_principal_id"),
            peer_time: time_builder(),
            identity_match: text("identity_match"),
            findings: text("findings"),
        }
    }

    fn append(&mut self, outcome: &JoinOutcome) {
        let verdict = &outcome.verdict;
        self.decision.append(verdict.decision().as_str());
        self.denied.append_value(verdict.is_denied());
        self.reason_code.append_option(verdict.reason().map(|reason| reason.as_str()));
        self.reason_basis.append_option(verdict.basis().map(|basis| basis.as_str()));
        self.denied_by.append_option(verdict.denied_by().map(|by| by.as_str()));
        self.join_state.append(outcome.state.as_str());
        self.join_method.append_option(outcome.method.map(|method| method.as_str()));
        self.join_confidence.append_option(outcome.confidence.map(|confidence| confidence.as_str()));
        self.peer_count.append_value(to_int(outcome.peer_count));
        self.append_peer(outcome);
        self.identity_match.append_option(outcome.identity_match.map(|identity| identity.as_str()));
        match outcome.findings.is_empty() {
            true => self.findings.append(""),
            false => self.findings.append_display(&outcome.findings, FINDINGS_LENGTH_MAX),
        }
    }

    fn append_peer(&mut self, outcome: &JoinOutcome) {
        let peer = outcome.peer.as_ref();
        let mut hex = [0; 64];
        self.peer_event_id.append_option(peer.map(|peer| peer.event_id.as_hex(&mut hex)));
        self.peer_category.append_option(peer.map(|peer| peer.texts.category()));
        self.peer_operation.append_option(peer.and_then(|peer| peer.texts.operation()));
        self.peer_status.append_option(peer.and_then(|peer| peer.texts.status()));
        self.peer_principal_id.append_option(peer.and_then(|peer| peer.texts.principal_id()));
        self.peer_time.append_option(peer.map(|peer| peer.time.0));
    }

    fn finish(&mut self, arrays: &mut NamedArrays) -> Result<(), ArrowError> {
        arrays.extend([
            ("decision", self.decision.finish()?),
            ("denied", Arc::new(self.denied.finish()) as ArrayRef),
            ("reason_code", self.reason_code.finish()?),
            ("reason_basis", self.reason_basis.finish()?),
            ("denied_by", self.denied_by.finish()?),
            ("join_state", self.join_state.finish()?),
            ("join_method", self.join_method.finish()?),
            ("join_confidence", self.join_confidence.finish()?),
            ("peer_event_id", self.peer_event_id.finish()?),
            ("peer_count", Arc::new(self.peer_count.finish())),
            ("peer_category", self.peer_category.finish()?),
            ("peer_operation", self.peer_operation.finish()?),
            ("peer_status", self.peer_status.finish()?),
            ("peer_principal_id", self.peer_principal_id.finish()?),
            ("peer_time", Arc::new(self.peer_time.finish())),
            ("identity_match", self.identity_match.finish()?),
            ("findings", self.findings.finish()?),
        ]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
