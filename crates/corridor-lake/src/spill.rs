//! Spill: events wait on the local disk, by slices of event time, until their slice is joined and written.
//!
//! - In: batches of event rows with their join facts, from any thread and in any order of time.
//! - Out: slice by slice: the facts for the join, then the rows for the files.
//! - Keeps: only counters; everything else is in files below one temporary folder, gone when it is dropped, or
//!   swept by the next run when the process was killed.
//! - Invariants: row `r` of batch `b` of a slice is the row whose position says so. What is spilled is redacted.

mod facts;
mod folder;

pub use facts::{FactsBatch, SpilledFacts};

use crate::rows::{RowBatch, StoredRows};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use corridor_model::{Micros, Slice};
pub(crate) use folder::SpillFolder;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a spilled row is, and which of several copies comes first: the order is that of the input, so that
/// the choice does not depend on threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Index of the input file.
    pub file_index: u32,
    /// Offset of the frame in the file.
    pub byte_offset: u64,
    /// Index of the record in the frame.
    pub record_index: u32,
    /// Event time; its slice names the spill.
    pub time: Micros,
    /// Batch in the slice's spill; [`Position::NO_ROW`] for an event outside the asked range.
    pub batch: u32,
    /// Row in the batch.
    pub row: u32,
}

impl Position {
    /// `batch` of an event that only serves as a partner and has no row of its own.
    pub const NO_ROW: u32 = u32::MAX;
}

/// What went wrong with the spill folder.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The disk refused.
    #[error("{action} spill file {path}; free space there or name another folder with --spill")]
    Io {
        /// What we tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The batch could not be encoded or decoded.
    #[error("{action} spilled rows of {path}")]
    Arrow {
        /// What we tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What Arrow said.
        source: ArrowError,
    },
    /// What was read is not what was written.
    #[error("read spilled rows of {path}: the file is damaged; check the disk and run again")]
    Damaged {
        /// On what.
        path: PathBuf,
    },
    /// Facts could not be decoded.
    #[error("decode spilled facts of {path}")]
    Facts {
        /// On what.
        path: PathBuf,
    },
}

/// Kinds of spill files of one slice.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Events,
    Records,
    Rejects,
    Facts,
    Candidates,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Records => "records",
            Self::Rejects => "rejects",
            Self::Facts => "facts",
            Self::Candidates => "candidates",
        }
    }
}

/// Counters of one slice.
#[derive(Debug, Default)]
struct SliceState {
    batch_count: u32,
    event_count: u64,
    row_count: u64,
    reject_count: u64,
}

/// What the spill holds of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceSummary {
    /// The slice of event time.
    pub slice: Slice,
    /// Events that the join must see.
    pub events: u64,
    /// Those of them that have rows.
    pub rows: u64,
    /// Rejects.
    pub rejects: u64,
}

/// The spill folder.
#[derive(Debug)]
pub struct Spill {
    folder: SpillFolder,
    slices: Mutex<BTreeMap<Slice, Arc<Mutex<SliceState>>>>,
}

impl Spill {
    /// A new folder below `parent`.
    pub fn create(parent: &Path) -> Result<Self, SpillError> {
        let to_error = |source| SpillError::Io { action: "create", path: parent.to_owned(), source };
        let folder = SpillFolder::create(parent).map_err(to_error)?;
        Ok(Self { folder, slices: Mutex::default() })
    }

    fn slice(&self, slice: Slice) -> Arc<Mutex<SliceState>> {
        let mut slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slices.entry(slice).or_default())
    }

    fn path(&self, slice: Slice, kind: Kind) -> PathBuf {
        self.folder.path().join(format!("{}.{}", slice.0, kind.suffix()))
    }

    /// Adds one batch of rows to a slice, the facts of each row in the same order. `records`, when kept, has the
    /// record of each of them.
    pub fn write(
        &self,
        slice: Slice,
        events: &RowBatch,
        records: Option<&RowBatch>,
        facts: &FactsBatch,
    ) -> Result<(), SpillError> {
        let state = self.slice(slice);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        self.append_rows(slice, Kind::Events, events)?;
        if let Some(records) = records {
            self.append_rows(slice, Kind::Records, records)?;
        }
        self.append_facts(slice, Kind::Facts, facts, state.batch_count)?;
        state.batch_count += 1;
        state.event_count += facts.len() as u64;
        state.row_count += facts.len() as u64;
        Ok(())
    }

    /// Adds events that have no row: those outside the asked range that may be partners.
    pub fn write_context(&self, slice: Slice, facts: &FactsBatch) -> Result<(), SpillError> {
        let state = self.slice(slice);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        self.append_facts(slice, Kind::Facts, facts, Position::NO_ROW)?;
        state.event_count += facts.len() as u64;
        Ok(())
    }

    /// Announces events of later slices in the slice in which they begin.
    pub fn write_candidates(&self, slice: Slice, facts: &FactsBatch) -> Result<(), SpillError> {
        let state = self.slice(slice);
        let _held = state.lock().unwrap_or_else(PoisonError::into_inner);
        self.append_facts(slice, Kind::Candidates, facts, Position::NO_ROW)
    }

    /// Adds rejects that stood among the events of a slice.
    pub fn write_rejects(&self, slice: Slice, rejects: &RecordBatch) -> Result<(), SpillError> {
        let state = self.slice(slice);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reject_count += rejects.num_rows() as u64;
        self.append_batch(slice, Kind::Rejects, rejects)
    }

    fn append(&self, path: &Path) -> Result<File, SpillError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map_err(|source| SpillError::Io { action: "open", path: path.to_owned(), source })
    }

    fn append_rows(&self, slice: Slice, kind: Kind, rows: &RowBatch) -> Result<(), SpillError> {
        let path = self.path(slice, kind);
        let mut file = self.append(&path)?;
        let written = file.write_all(&rows.head()).and_then(|()| file.write_all(rows.body()));
        written.map_err(|source| SpillError::Io { action: "write", path, source })
    }

    fn append_batch(&self, slice: Slice, kind: Kind, batch: &RecordBatch) -> Result<(), SpillError> {
        let path = self.path(slice, kind);
        let to_error = |source| SpillError::Arrow { action: "encode", path: path.clone(), source };
        let bytes = encode(batch).map_err(to_error)?;
        let written = self.append(&path)?.write_all(&bytes);
        written.map_err(|source| SpillError::Io { action: "write", path, source })
    }

    /// The slices that hold anything, ascending.
    pub fn slices(&self) -> Vec<SliceSummary> {
        let slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = |(slice, state): (&Slice, &Arc<Mutex<SliceState>>)| {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            SliceSummary {
                slice: *slice,
                events: state.event_count,
                rows: state.row_count,
                rejects: state.reject_count,
            }
        };
        slices.iter().map(summary).collect()
    }

    /// The event rows of a slice, by batch number. They replace those in `rows`, whose memory is used again.
    pub fn read_events(&self, slice: Slice, rows: &mut StoredRows) -> Result<(), SpillError> {
        self.read_rows(&self.path(slice, Kind::Events), rows)
    }

    /// The redacted records of a slice, by batch number; none when they are not kept.
    pub fn read_records(&self, slice: Slice, rows: &mut StoredRows) -> Result<(), SpillError> {
        self.read_rows(&self.path(slice, Kind::Records), rows)
    }

    fn read_rows(&self, path: &Path, rows: &mut StoredRows) -> Result<(), SpillError> {
        let read = rows.refill(|bytes| match File::open(path) {
            Ok(mut file) => file.read_to_end(bytes).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        });
        let whole =
            read.map_err(|source| SpillError::Io { action: "read", path: path.to_owned(), source })?;
        whole.ok_or_else(|| SpillError::Damaged { path: path.to_owned() })
    }

    /// The rejects of a slice.
    pub fn read_rejects(&self, slice: Slice) -> Result<Vec<RecordBatch>, SpillError> {
        self.read_batches(&self.path(slice, Kind::Rejects))
    }

    fn read_batches(&self, path: &Path) -> Result<Vec<RecordBatch>, SpillError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(SpillError::Io { action: "read", path: path.to_owned(), source }),
        };
        let to_error = |source| SpillError::Arrow { action: "decode", path: path.to_owned(), source };
        let (mut rest, mut batches) = (Buffer::from_vec(bytes), Vec::new());
        while let Some(length) = rest.first_chunk() {
            let end = size_of::<u64>() + u64::from_le_bytes(*length) as usize;
            let mut stream = rest.slice_with_length(size_of::<u64>(), end.min(rest.len()) - size_of::<u64>());
            batches.extend(StreamDecoder::new().decode(&mut stream).map_err(to_error)?);
            rest.advance(end.min(rest.len()));
        }
        Ok(batches)
    }

    /// Frees the disk that a slice takes.
    pub fn remove(&self, slice: Slice) {
        for kind in [Kind::Events, Kind::Records, Kind::Rejects, Kind::Facts, Kind::Candidates] {
            // A file that stays only costs disk until the folder is dropped.
            let _ = std::fs::remove_file(self.path(slice, kind));
        }
    }
}

/// The length of an IPC stream, then the stream of one batch.
fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(vec![0; size_of::<u64>()], &batch.schema())?;
    writer.write(batch)?;
    let mut bytes = writer.into_inner()?;
    let length = (bytes.len() - size_of::<u64>()) as u64;
    bytes[..size_of::<u64>()].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::FinalRow;
    use arrow_array::Int64Array;
    use corridor_model::{
        EventId, FindingSet, IdentityKeys, JoinFacts, PeerSummary, PeerTexts, Side, Verdict,
    };
    use std::sync::Arc;

    fn facts(numbers: &[u8]) -> FactsBatch {
        let mut batch = FactsBatch::default();
        for &n in numbers {
            let time = Micros(i64::from(n));
            let position = Position {
                file_index: 0,
                byte_offset: n.into(),
                record_index: 0,
                time,
                batch: Position::NO_ROW,
                row: 0,
            };
            batch.push(&position, &facts_of(EventId([n; 32]), time));
        }
        batch
    }

    fn facts_of(event_id: EventId, time: Micros) -> JoinFacts {
        JoinFacts {
            side: Side::Kong,
            summary: PeerSummary { event_id, time, texts: PeerTexts::new("http", None, None, None) },
            start: time,
            end: time,
            request_ids: Default::default(),
            correlation_ids: Default::default(),
            run_id: None,
            call: None,
            call_at_host: None,
            identity: IdentityKeys::default(),
            verdict: Verdict::ALLOWED,
            findings: FindingSet::EMPTY,
            is_eligible: true,
            is_final_record: true,
            takes_partner_verdict: false,
            expects_gateway_record: false,
            reuse_key: None,
        }
    }

    fn batch(values: &[u8]) -> RowBatch {
        let mut batch = RowBatch::default();
        values.iter().for_each(|value| batch.push_with(|bytes| bytes.push(*value)));
        batch
    }

    #[test]
    fn rows_and_facts_come_back_by_position() {
        let parent = tempfile::tempdir().unwrap();
        let spill = Spill::create(parent.path()).unwrap();
        let slice = Slice(7);
        spill.write(slice, &batch(&[10, 11]), None, &facts(&[0, 1])).unwrap();
        spill.write(slice, &batch(&[12]), None, &facts(&[2])).unwrap();
        spill.write_candidates(Slice(5), &facts(&[2])).unwrap();
        let counts: Vec<_> =
            spill.slices().iter().map(|found| (found.slice, found.events, found.rows)).collect();
        assert_eq!(counts, [(Slice(5), 0, 0), (slice, 3, 3)]);
        let mut rows = StoredRows::default();
        spill.read_events(slice, &mut rows).unwrap();
        let mut seen = Vec::new();
        spill
            .read_facts(slice, |SpilledFacts { position, .. }| {
                let row = rows.get(FinalRow { batch: position.batch, row: position.row });
                seen.push((position.byte_offset, row.unwrap()[0]));
            })
            .unwrap();
        assert_eq!(seen, [(0, 10), (1, 11), (2, 12)]);
        spill.remove(slice);
        spill.read_events(slice, &mut rows).unwrap();
        assert_eq!(rows.batch_count(), 0);
        drop(spill);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "the folder goes with the value");
    }

    #[test]
    fn rejects_come_back_batch_by_batch() {
        let parent = tempfile::tempdir().unwrap();
        let spill = Spill::create(parent.path()).unwrap();
        let numbers = |values: &[i64]| {
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(values.to_vec())) as _)]).unwrap()
        };
        let batches = [numbers(&[1, 2]), numbers(&[3])];
        batches.iter().for_each(|batch| spill.write_rejects(Slice(1), batch).unwrap());
        assert_eq!(spill.read_rejects(Slice(1)).unwrap(), batches);
    }
}
