//! Read: all input files are refined once and spilled by event hour.
//!
//! - In: the files of both sides; one reader thread, and workers that share a short queue of chunks.
//! - Out: [`ReadResult`]: the spill, the counts, the input digest, and every file that could not be read.
//! - Keeps: the queue and one batch per worker.
//! - Invariants: every record is counted once: spilled, outside the range, or a reject.

use super::digest::InputDigest;
use super::progress::{Progress, Unit};
use super::worker::{Counts, Digests, Worker};
use super::{Input, Range};
use corridor_intake::decompress::decompress;
use corridor_intake::{Chunk, FrameReader, ReadProblem};
use corridor_lake::spill::{Spill, SpillError};
use corridor_model::Side;
use corridor_refine::Context;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Chunks that wait for a worker. With 2 MiB each this is the reader's share of memory.
const QUEUE_CHUNKS: usize = 4;

/// How reading is done.
pub struct ReadPlan<'p> {
    /// The files, in the order that breaks ties between copies.
    pub inputs: &'p [Input],
    /// Rules and directory.
    pub context: &'p Context,
    /// Event times that get rows.
    pub range: Range,
    /// Whether redacted records are kept.
    pub keeps_records: bool,
    /// Number of workers.
    pub threads: usize,
    /// Reads objects of stores.
    pub runtime: tokio::runtime::Handle,
}

/// What reading gave.
pub struct ReadResult {
    /// Sums over all workers.
    pub counts: Counts,
    /// Sum of the records of each file, by file index.
    pub digests: Digests,
    /// Files that could not be read to their end.
    pub problems: Vec<ReadProblem>,
    /// Decompressed bytes.
    pub bytes: u64,
}

impl ReadResult {
    /// Sum of all records.
    pub fn digest(&self) -> InputDigest {
        let mut sum = InputDigest::default();
        self.digests.values().for_each(|digest| sum.add_sum(digest));
        sum
    }
}

/// A chunk on its way to a worker.
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

/// Reads everything into `spill`.
///
/// # Errors
/// The first failure of the spill folder; reading stops then. Unreadable inputs are no error here.
pub fn read(plan: &ReadPlan<'_>, spill: &Spill) -> Result<ReadResult, SpillError> {
    let total = plan.inputs.iter().map(|input| input.file.size).sum();
    let progress = Arc::new(Progress::start("reading", Unit::Bytes, total));
    let (sender, receiver) = sync_channel(QUEUE_CHUNKS);
    let receiver = Mutex::new(receiver);
    let result = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..plan.threads).map(|_| scope.spawn(|| work(plan, spill, &receiver))).collect();
        let (problems, bytes) = feed(plan, &sender, &progress);
        drop(sender);
        let mut result = ReadResult { counts: Counts::default(), digests: Digests::new(), problems, bytes };
        let mut failure = None;
        for worker in workers {
            match worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok((counts, digests)) => {
                    result.counts.add(&counts);
                    for (file_index, digest) in digests {
                        result.digests.entry(file_index).or_default().add_sum(&digest);
                    }
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(result), Err)
    });
    progress.finish();
    result
}

fn work(
    plan: &ReadPlan<'_>,
    spill: &Spill,
    queue: &Mutex<Receiver<Work>>,
) -> Result<(Counts, Digests), SpillError> {
    let mut worker = Worker::new(plan, spill);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => {
                if let Err(error) = worker.process(&work) {
                    // Taking the rest keeps the reader from waiting for ever; the run fails all the same.
                    while queue.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {}
                    return Err(error);
                }
            }
            Err(_) => return worker.finish(),
        }
    }
}

/// Reads the files one after another; returns those that failed, and the bytes read.
fn feed(plan: &ReadPlan<'_>, queue: &SyncSender<Work>, progress: &Arc<Progress>) -> (Vec<ReadProblem>, u64) {
    let (mut problems, mut bytes) = (Vec::new(), 0);
    for (file_index, input) in (0..).zip(plan.inputs) {
        let mut byte_offset = 0;
        if let Err(source) = feed_file(plan, input, file_index, queue, progress, &mut byte_offset) {
            problems.push(ReadProblem { path: input.file.name.to_string(), byte_offset, source });
        }
        bytes += byte_offset;
    }
    (problems, bytes)
}

fn feed_file(
    plan: &ReadPlan<'_>,
    input: &Input,
    file_index: u32,
    queue: &SyncSender<Work>,
    progress: &Arc<Progress>,
    byte_offset: &mut u64,
) -> io::Result<()> {
    let stored = Counted { inner: input.file.open(&plan.runtime)?, progress: Arc::clone(progress) };
    let mut frames = FrameReader::new(decompress(Box::new(stored))?);
    while let Some(chunk) = frames.next_chunk()? {
        *byte_offset = frames.byte_offset();
        let work = Work { file_index, path: Arc::clone(&input.file.name), side: input.side, chunk };
        if queue.send(work).is_err() {
            return Err(io::Error::other("the workers stopped"));
        }
    }
    *byte_offset = frames.byte_offset();
    Ok(())
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
