//! Feed: the workers share the input files, each reading the chunk it will refine.
//!
//! - In: the files, in order.
//! - Out: chunks, to whichever worker asks; and every file that could not be read to its end.
//! - Keeps: one open file per worker.
//! - Invariants: each byte of a file leaves once. A worker reads its own file, and helps with those of others when no
//!   file is left: so the bytes are still in the cache of the core that refines them.

use super::Input;
use super::progress::{Progress, Unit};
use super::read::ReadPlan;
use corridor_intake::decompress::decompress;
use corridor_intake::{Chunk, FrameReader, ReadProblem};
use corridor_model::Side;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A chunk for a worker.
pub struct Work {
    /// The file's position among the inputs.
    pub file_index: u32,
    /// The file's name.
    pub path: Arc<str>,
    /// Its side.
    pub side: Side,
    /// The bytes.
    pub chunk: Chunk,
}

/// A file that is being read.
struct OpenFile<'p> {
    index: usize,
    input: &'p Input,
    frames: FrameReader<Box<dyn Read + Send>>,
}

/// The input files.
pub struct Feed<'p> {
    plan: &'p ReadPlan<'p>,
    progress: Arc<Progress>,
    /// Files that were taken.
    taken: AtomicUsize,
    /// The open file of each worker.
    lanes: Vec<Mutex<Option<OpenFile<'p>>>>,
    problems: Mutex<Vec<(usize, ReadProblem)>>,
    bytes: AtomicU64,
    is_stopped: AtomicBool,
}

impl<'p> Feed<'p> {
    /// Nothing is read yet.
    pub fn new(plan: &'p ReadPlan<'p>) -> Self {
        let total = plan.inputs.iter().map(|input| input.file.size).sum();
        Self {
            plan,
            progress: Arc::new(Progress::start("reading", Unit::Bytes, total)),
            taken: AtomicUsize::new(0),
            lanes: (0..plan.threads).map(|_| Mutex::default()).collect(),
            problems: Mutex::default(),
            bytes: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// The next chunk for a worker; None when everything was read.
    pub fn next(&self, worker: usize) -> Option<Work> {
        let lanes = self.lanes.iter().cycle().skip(worker).take(self.lanes.len());
        lanes.enumerate().find_map(|(distance, lane)| {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            self.next_of_lane(&mut lane, distance == 0)
        })
    }

    fn next_of_lane(&self, lane: &mut Option<OpenFile<'p>>, is_own: bool) -> Option<Work> {
        while !self.is_stopped.load(Ordering::Relaxed) {
            if lane.is_none() && is_own {
                *lane = self.open_next();
            }
            let file = lane.as_mut()?;
            match file.frames.next_chunk() {
                Ok(Some(chunk)) => {
                    let file_index = u32::try_from(file.index).expect("a command line names fewer files");
                    let Input { side, file } = file.input;
                    return Some(Work { file_index, path: Arc::clone(&file.name), side: *side, chunk });
                }
                Ok(None) => self.close(lane.take()?, None),
                Err(error) => self.close(lane.take()?, Some(error)),
            }
        }
        None
    }

    /// Opens the next file that can be opened.
    fn open_next(&self) -> Option<OpenFile<'p>> {
        loop {
            let index = self.taken.fetch_add(1, Ordering::Relaxed);
            let input = self.plan.inputs.get(index)?;
            match self.open(input) {
                Ok(frames) => return Some(OpenFile { index, input, frames }),
                Err(error) => self.report(index, input, 0, error),
            }
        }
    }

    fn open(&self, input: &Input) -> io::Result<FrameReader<Box<dyn Read + Send>>> {
        let stored = input.file.open(&self.plan.runtime)?;
        let stored = Counted { inner: stored, progress: Arc::clone(&self.progress) };
        Ok(FrameReader::new(decompress(Box::new(stored))?))
    }

    fn close(&self, file: OpenFile<'_>, error: Option<io::Error>) {
        let byte_offset = file.frames.byte_offset();
        self.bytes.fetch_add(byte_offset, Ordering::Relaxed);
        if let Some(error) = error {
            self.report(file.index, file.input, byte_offset, error);
        }
    }

    fn report(&self, index: usize, input: &Input, byte_offset: u64, source: io::Error) {
        let problem = ReadProblem { path: input.file.name.to_string(), byte_offset, source };
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push((index, problem));
    }

    /// Gives no further chunk: a worker failed, and the run with it.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// The files that could not be read to their end, in the order of the inputs, and the decompressed bytes read.
    pub fn finish(self) -> (Vec<ReadProblem>, u64) {
        self.progress.finish();
        let mut problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by_key(|(index, _)| *index);
        (problems.into_iter().map(|(_, problem)| problem).collect(), self.bytes.into_inner())
    }
}

/// Tells the progress how many stored bytes were read.
struct Counted {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
