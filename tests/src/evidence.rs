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
use corridor_model::{JoinFacts, Key128, Origin, RejectCode, Rejection, Side};
use corridor_refine::directory::{Directory, DirectoryFiles};
use corridor_refine::join::join_at_once;
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
    Event { explanation: Explanation, facts: JoinFacts },
    Rejected(Rejection),
}

/// Files read one after the other.
pub struct Reading<'c> {
    context: &'c Context,
    events: EventRows,
    told: Vec<Told>,
}

impl<'c> Reading<'c> {
    /// Nothing read yet.
    pub fn new(context: &'c Context) -> Self {
        Self { context, events: EventRows::default(), told: Vec::new() }
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
                self.told.push(Told::Event { explanation, facts });
            }
        });
    }

    /// What became of each record, in the order of reading: columns that are not null, and `explain`; or `reject`.
    ///
    /// # Panics
    /// When a row cannot be built.
    pub fn rows(mut self) -> Vec<Value> {
        let events = StoredRows::of([self.events.finish()]);
        let facts = self.told.iter().filter_map(|told| match told {
            Told::Event { facts, .. } => Some(facts.clone()),
            Told::Rejected(_) => None,
        });
        let outcomes = join_at_once(facts);
        let order: Vec<_> = (0..).take(outcomes.len()).map(|row| FinalRow { batch: 0, row }).collect();
        let evidence: Vec<RecordBatch> = evidence_batches(&events, &order, &outcomes, usize::MAX)
            .map(|batch| batch.expect("evidence fits its schema"))
            .collect();
        let mut rows = 0..;
        let mut row_of = |told: &Told| match told {
            Told::Rejected(rejection) => json!({"reject": {
                "code": rejection.code.as_str(), "detail": rejection.detail, "preview": rejection.preview}}),
            Told::Event { explanation, facts } => {
                let index = rows.next().expect("rows do not end");
                let mut row = columns(&evidence[0], index);
                row.insert(
                    "explain".into(),
                    json!({"rule": explanation.rule, "identity": explanation.identity, "join_keys": join_keys(facts)}),
                );
                Value::Object(row)
            }
        };
        self.told.iter().map(&mut row_of).collect()
    }
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
