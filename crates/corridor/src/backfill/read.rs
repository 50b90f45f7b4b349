//! Read: all input files are refined once and spilled by slices of event time.
//!
//! - In: the files of both sides, shared by the workers: see [`feed`](super::feed).
//! - Out: [`ReadResult`]: the counts, the input digest, and every file that could not be read.
//! - Keeps: one chunk and the waiting rows of each worker.
//! - Invariants: every record is counted once: spilled, outside the range, or a reject.

use super::digest::InputDigest;
use super::feed::Feed;
use super::worker::{Counts, Digests, Worker};
use super::{Input, Range};
use corridor_intake::ReadProblem;
use corridor_lake::spill::{Spill, SpillError};
use corridor_refine::Context;
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

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

/// Reads everything into `spill`.
///
/// # Errors
/// The first failure of the spill folder; reading stops then. Unreadable inputs are no error here.
pub fn read(plan: &ReadPlan<'_>, spill: &Spill) -> Result<ReadResult, SpillError> {
    let feed = Feed::new(plan);
    let read: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads)
            .map(|worker| {
                let feed = &feed;
                scope.spawn(move || work(plan, spill, feed, worker))
            })
            .collect();
        let join =
            |worker: ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        workers.into_iter().map(join).collect()
    });
    let (problems, bytes) = feed.finish();
    let mut result = ReadResult { counts: Counts::default(), digests: Digests::new(), problems, bytes };
    for worker in read {
        let (counts, digests) = worker?;
        result.counts.add(&counts);
        for (file_index, digest) in digests {
            result.digests.entry(file_index).or_default().add_sum(&digest);
        }
    }
    Ok(result)
}

fn work(
    plan: &ReadPlan<'_>,
    spill: &Spill,
    feed: &Feed<'_>,
    number: usize,
) -> Result<(Counts, Digests), SpillError> {
    let mut worker = Worker::new(plan, spill);
    while let Some(work) = feed.next(number) {
        if let Err(error) = worker.process(&work) {
            feed.stop();
            return Err(error);
        }
    }
    worker.finish()
}
