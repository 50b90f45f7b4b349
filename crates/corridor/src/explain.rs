//! Explain: one file of records in, and out comes what Corridor makes of each: the operator's "why was this denied?".
//!
//! - In: a file or standard input, in any form that backfill reads; both sides may be mixed.
//! - Out: per event its columns, the rule that decided it, why its principal is who it is, and its join keys.
//! - Invariants: the records of the file are joined with each other only; nothing is written.

use crate::cli::{ExplainArgs, SideArg};
use crate::config::Config;
use crate::{backfill, print};
use anyhow::{Context as _, Result};
use arrow_array::RecordBatch;
use corridor_intake::decompress::decompress;
use corridor_intake::{FrameReader, RECORD_BYTES_MAX};
use corridor_lake::cell::cell;
use corridor_lake::columns::{ColumnSpec, evidence_columns};
use corridor_lake::{EventRows, FinalRow, StoredRows, evidence_batches};
use corridor_model::{JoinFacts, Origin, RejectCode, Rejection, Side};
use corridor_refine::join::join_at_once;
use corridor_refine::{Context, Explanation, Outcome, redact, refine};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

/// What is told about one event beside its columns.
struct Told {
    explanation: Explanation,
    facts: JoinFacts,
    redacted: String,
}

/// All that was found in the file.
struct Found {
    events: EventRows,
    directory_version: Option<Arc<str>>,
    told: Vec<Told>,
    rejections: Vec<(Rejection, String)>,
}

/// Explains a file.
pub fn run(args: &ExplainArgs, config: &Config) -> Result<ExitCode> {
    let context = backfill::load_context(args.directory.as_deref(), config)?;
    let found = read(args, &context)?;
    let count = found.told.len();
    let rejections = found.rejections;
    if count == 0 && rejections.is_empty() {
        eprintln!("there is no record in {}", args.file);
    }
    let rows = evidence_rows(found.events, &found.told)?;
    for (index, (told, (batch, row))) in found.told.iter().zip(&rows).enumerate() {
        let text = match args.json {
            true => serde_json::to_string(&as_json(batch, *row, told))?,
            false => as_text(batch, *row, told, index + 1, count),
        };
        print(&text)?;
    }
    for (rejection, origin) in rejections {
        print(&match args.json {
            true => json!({ "reject": { "code": rejection.code.as_str(), "detail": rejection.detail, "preview": rejection.preview, "origin": origin } }).to_string(),
            false => format!("rejected: {} at {origin}: {}\n  {}", rejection.code, rejection.detail, rejection.preview),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &ExplainArgs, context: &Context) -> Result<Found> {
    let stored: Box<dyn Read + Send> = match args.file.as_str() {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(std::fs::File::open(path).with_context(|| format!("open {path}"))?),
    };
    let mut frames = FrameReader::new(decompress(stored)?);
    let mut found = Found {
        events: EventRows::default(),
        directory_version: context.directory.version().map(Arc::from),
        told: Vec::new(),
        rejections: Vec::new(),
    };
    let path: Arc<str> = args.file.as_str().into();
    while let Some(chunk) = frames.next_chunk().with_context(|| format!("read {}", args.file))? {
        for frame in chunk.frames() {
            let origin = Origin { file_index: 0, path: Arc::clone(&path), byte_offset: frame.byte_offset };
            if frame.defect.is_some() {
                let detail = format!("cut off, or longer than {RECORD_BYTES_MAX} bytes");
                let rejection = corridor_refine::reject(RejectCode::Truncated, &detail, frame.bytes);
                found.rejections.push((rejection, origin.to_string()));
                continue;
            }
            let side = args.side.map_or_else(|| side_of(frame.bytes, context), to_side);
            found.take(side, frame.bytes, &origin, context);
        }
    }
    Ok(found)
}

fn to_side(side: SideArg) -> Side {
    match side {
        SideArg::Kong => Side::Kong,
        SideArg::Azure => Side::Azure,
    }
}

/// Azure if Kong's parser finds no record and Azure's does, be it a metric.
fn side_of(bytes: &[u8], context: &Context) -> Side {
    let finds_events = |side| {
        let mut found = false;
        refine(side, bytes, context, &mut |outcome| {
            found |= match outcome {
                Outcome::Event(..) => true,
                Outcome::Rejected(rejection, _) => rejection.code == RejectCode::MetricRecord,
            };
        });
        found
    };
    if !finds_events(Side::Kong) && finds_events(Side::Azure) { Side::Azure } else { Side::Kong }
}

impl Found {
    fn take(&mut self, side: Side, bytes: &[u8], origin: &Origin, context: &Context) {
        refine(side, bytes, context, &mut |outcome| match outcome {
            Outcome::Rejected(rejection, _) => self.rejections.push((rejection, origin.to_string())),
            Outcome::Event(refined, text) => {
                self.events.append(&refined.event, origin, self.directory_version.as_ref());
                let mut redacted = Vec::new();
                redact::record(side, text, context.pseudonyms.as_ref(), &mut redacted);
                self.told.push(Told {
                    explanation: refined.explanation,
                    facts: refined.facts,
                    redacted: String::from_utf8_lossy(&redacted).into_owned(),
                });
            }
        });
    }
}

/// The evidence row of each event: the events of the file are joined with each other.
fn evidence_rows(mut events: EventRows, told: &[Told]) -> Result<Vec<(RecordBatch, usize)>> {
    let events = StoredRows::of([events.finish()]);
    let outcomes = join_at_once(told.iter().map(|told| told.facts.clone()));
    let rows: Vec<_> = (0..).take(outcomes.len()).map(|row| FinalRow { batch: 0, row }).collect();
    let mut found = Vec::with_capacity(rows.len());
    for evidence in evidence_batches(&events, &rows, &outcomes, 1024) {
        let evidence = evidence?;
        found.extend((0..evidence.num_rows()).map(|row| (evidence.clone(), row)));
    }
    Ok(found)
}

fn as_json(batch: &RecordBatch, row: usize, told: &Told) -> Value {
    let mut object: Map<String, Value> = evidence_columns()
        .iter()
        .map(|column| (column.name.clone(), cell(batch, &column.name, row)))
        .collect();
    object.insert(
        "explain".into(),
        json!({ "rule": told.explanation.rule, "identity": told.explanation.identity, "join_keys": join_keys(&told.facts) }),
    );
    Value::Object(object)
}

fn as_text(batch: &RecordBatch, row: usize, told: &Told, number: usize, count: usize) -> String {
    use std::fmt::Write as _;
    let mut text = format!("event {number} of {count}\n");
    let mut group = "";
    for ColumnSpec { name, group: column_group, .. } in evidence_columns() {
        let value = cell(batch, name, row);
        if value.is_null() || value == Value::String(String::new()) {
            continue;
        }
        if group != column_group {
            group = column_group;
            let _ = writeln!(text, "  {group}");
        }
        let value = value.as_str().map_or_else(|| value.to_string(), String::from);
        let _ = writeln!(text, "    {name:<22} {value}");
    }
    let _ = writeln!(text, "  why");
    let _ = writeln!(text, "    {:<22} {}", "rule", told.explanation.rule);
    let _ = writeln!(text, "    {:<22} {}", "identity", told.explanation.identity);
    for (name, value) in join_keys(&told.facts) {
        let _ = writeln!(text, "    {:<22} {value}", format!("key {name}"));
    }
    let _ = write!(text, "  record as kept\n    {}", told.redacted);
    text
}

/// The join keys under the names of the rungs.
fn join_keys(facts: &JoinFacts) -> BTreeMap<&'static str, String> {
    let hex = |key: &corridor_model::Key128| format!("{:032x}", key.value());
    let mut keys = BTreeMap::new();
    let list = |keys: Vec<String>| keys.join(" ");
    keys.insert("request_id", list(facts.request_ids.iter().map(hex).collect()));
    keys.insert("correlation_id", list(facts.correlation_ids.iter().map(|key| hex(&key.base)).collect()));
    keys.insert("run_id", facts.run_id.as_ref().map(hex).unwrap_or_default());
    keys.insert("call", facts.call.as_ref().map(hex).unwrap_or_default());
    keys.insert("identity_time", facts.call_at_host.as_ref().map(hex).unwrap_or_default());
    keys.insert("time", format!("{} to {}", facts.start, facts.end));
    keys.retain(|_, value| !value.is_empty());
    keys
}
