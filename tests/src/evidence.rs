//! Evidence: files as Corridor reads them become evidence rows, without a lake.
//!
//! - In: files of either side, a directory folder.
//! - Out: per record its evidence columns as JSON, with the rule that decided it and its join keys; or its rejection.
//! - Keeps: the events of the files read so far; they are joined with each other.

use arrow_array::RecordBatch;
use corridor_intake::FrameReader;
use corridor_intake::decompress::decompress;
use corridor_lake::cell::cell;
use corridor_lake::columns::evidence_columns;
use corridor_lake::{EventRows, FinalRow, StoredRows, evidence_batches};
use corridor_model::{JoinFacts, JoinOutcome, Key128, Origin, RejectCode, Rejection, Side};
use corridor_refine::directory::{Directory, DirectoryFiles};
use corridor_refine::join::{Emitted, Input, JoinConfig, Operator};
use corridor_refine::{Context, Explanation, Outcome, refine, reject};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A context with the directory of a folder.
///
/// # Panics
/// When the folder holds a wrong file, or one that calls for a warning.
pub fn context_with(folder: &Path) -> Context {
    let read = |name: &str| Some(fs::read(folder.join(name)).expect("every directory file is there"));
    let files = DirectoryFiles {
        principals: read("principals.csv"),
        workspaces: read("workspaces.csv"),
        kong: read("kong.yaml"),
        routes: read("routes.csv"),
    };
    let (directory, warnings) = Directory::load(&files).expect("the directory is good");
    assert!(warnings.is_empty(), "the directory has warnings: {}", warnings.len());
    Context { directory, ..Context::default() }
}

/// What became of one record.
enum Told {
    Event { position: u32, explanation: Explanation, facts: JoinFacts },
    Rejected(Rejection),
}

/// Files read one after the other.
pub struct Reading<'c> {
    context: &'c Context,
    events: EventRows,
    told: Vec<Told>,
    event_count: u32,
}

impl<'c> Reading<'c> {
    /// Nothing read yet.
    pub fn new(context: &'c Context) -> Self {
        Self { context, events: EventRows::default(), told: Vec::new(), event_count: 0 }
    }

    /// Reads a file of one side. `name` stands in the rows' origin.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn file(mut self, side: Side, path: &Path, name: &str) -> Self {
        let stored = fs::File::open(path).unwrap_or_else(|err| panic!("open {}: {err}", path.display()));
        let stored = decompress(Box::new(stored)).expect("the fixture's head can be read");
        let mut frames = FrameReader::new(stored);
        let path: Arc<str> = name.into();
        while let Some(chunk) = frames.next_chunk().expect("the fixture can be read") {
            for frame in chunk.frames() {
                let origin =
                    Origin { file_index: 0, path: Arc::clone(&path), byte_offset: frame.byte_offset };
                if frame.defect.is_some() {
                    self.told.push(Told::Rejected(reject(RejectCode::Truncated, "cut off", frame.bytes)));
                } else {
                    self.frame(side, frame.bytes, &origin);
                }
            }
        }
        self
    }

    fn frame(&mut self, side: Side, bytes: &[u8], origin: &Origin) {
        refine(side, bytes, self.context, &mut |outcome| match outcome {
            Outcome::Rejected(rejection, _) => self.told.push(Told::Rejected(rejection)),
            Outcome::Event(refined, _) => {
                self.events.append(&refined.event, origin, None);
                let (explanation, facts) = (refined.explanation, refined.facts);
                self.told.push(Told::Event { position: self.event_count, explanation, facts });
                self.event_count += 1;
            }
        });
    }

    /// What became of each record, in the order of reading: columns that are not null, and `explain`; or `reject`.
    ///
    /// # Panics
    /// When a row cannot be built.
    pub fn rows(mut self) -> Vec<Value> {
        let events = StoredRows::of([self.events.finish()]);
        let outcomes = outcomes_of(&self.told);
        let order: Vec<_> = outcomes.keys().map(|&row| FinalRow { batch: 0, row }).collect();
        let values: Vec<_> = outcomes.values().cloned().collect();
        let evidence: Vec<RecordBatch> = evidence_batches(&events, &order, &values, usize::MAX)
            .map(|batch| batch.expect("evidence fits its schema"))
            .collect();
        let place: BTreeMap<u32, usize> = outcomes.keys().copied().zip(0..).collect();
        let row_of = |told: &Told| match told {
            Told::Rejected(rejection) => json!({"reject": {
                "code": rejection.code.as_str(), "detail": rejection.detail, "preview": rejection.preview}}),
            Told::Event { position, explanation, facts } => {
                let mut row = columns(&evidence[0], place[position]);
                row.insert(
                    "explain".into(),
                    json!({"rule": explanation.rule, "identity": explanation.identity, "join_keys": join_keys(facts)}),
                );
                Value::Object(row)
            }
        };
        self.told.iter().map(row_of).collect()
    }
}

fn outcomes_of(told: &[Told]) -> BTreeMap<u32, JoinOutcome> {
    let mut operator = Operator::new(JoinConfig::batch());
    let mut emitted = Vec::new();
    for told in told {
        if let Told::Event { position, facts, .. } = told {
            let facts = facts.clone();
            let due = facts.end.saturating_add(i64::MAX);
            operator.push(Input::Event { facts, position: *position, due, forget: due }, &mut emitted);
        }
    }
    operator.finish(&mut emitted);
    let mut outcomes = BTreeMap::new();
    let mut copies = Vec::new();
    for said in emitted {
        match said {
            Emitted::Row { position, outcome, .. } => drop(outcomes.insert(position, outcome)),
            Emitted::Duplicate { position, of, .. } => copies.push((position, of)),
            Emitted::Introduction { .. } => {}
        }
    }
    // A copy says the same as its row.
    for (position, of) in copies {
        let outcome = outcomes[&of].clone();
        outcomes.insert(position, outcome);
    }
    outcomes
}

fn columns(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let all = evidence_columns().iter().map(|column| (column.name.clone(), cell(batch, &column.name, row)));
    all.filter(|(_, value)| !value.is_null()).collect()
}

/// Join keys under the names of the rungs.
fn join_keys(facts: &JoinFacts) -> Value {
    let hex = |key: &Key128| format!("{:032x}", key.value());
    let list = |keys: Vec<String>| keys.join(" ");
    let mut keys = BTreeMap::from([
        ("request_id", list(facts.request_ids.iter().map(hex).collect())),
        ("correlation_id", list(facts.correlation_ids.iter().map(|key| hex(&key.base)).collect())),
        ("run_id", facts.run_id.as_ref().map(hex).unwrap_or_default()),
        ("call", facts.call.as_ref().map(hex).unwrap_or_default()),
        ("identity_time", facts.call_at_host.as_ref().map(hex).unwrap_or_default()),
        ("time", format!("{} to {}", facts.start, facts.end)),
    ]);
    keys.retain(|_, value| !value.is_empty());
    json!(keys)
}
