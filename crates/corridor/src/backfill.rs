//! Backfill: files of both sides become a new generation of the days they touch.
//!
//! - In: sources, directory, lake, range.
//! - Out: landed days and a [`Summary`]; nothing is visible unless everything was read and written.
//! - Stages, in this order: read (refine and spill) → plan (which days, which numbers) → join → write → close → seal.
//! - Invariants: a run that is stopped anywhere is repeated with the same command; the same input twice changes nothing.

mod digest;
mod feed;
mod hours;
mod inputs;
mod joined;
mod progress;
mod read;
mod statistics;
mod summary;
mod waiting;
mod worker;
mod write;

pub use summary::Summary;

use crate::cli::{BackfillArgs, Records};
use crate::config::{Config, UsageError};
use crate::directory_folder;
use anyhow::{Context as _, Result, anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};
use corridor_chain::{InputEntry, RunIdentity, Table};
use corridor_intake::SourceFile;
use corridor_lake::landing::{self, Landing, NewFile, RunReport};
use corridor_lake::seed_file;
use corridor_lake::spill::Spill;
use corridor_lake::store::{StoreKind, open_lake, open_lake_to_plan};
use corridor_model::{HourBucket, Ledger, Micros, Side};
use corridor_refine::Context;
use hours::{Homes, days_of, reject_homes, slices_by_hour};
use inputs::find_inputs;
use joined::JoinedSlice;
use progress::{Progress, Unit};
use read::{ReadPlan, ReadResult};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;
use tokio::runtime::Runtime;
use write::{HourWork, Target, Written};

/// A file and the side it holds.
#[derive(Debug, Clone)]
pub struct Input {
    /// The side.
    pub side: Side,
    /// The file.
    pub file: SourceFile,
}

/// Event times that get rows: half-open, either end may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    from: Option<Micros>,
    to: Option<Micros>,
}

impl Range {
    /// From the command line.
    pub fn new(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<Self> {
        let micros = |moment: DateTime<Utc>| Micros(moment.timestamp_micros());
        let range = Self { from: from.map(micros), to: to.map(micros) };
        match (range.from, range.to) {
            (Some(from), Some(to)) if from >= to => {
                bail!(UsageError(format!("--from {from} is not before --to {to}")))
            }
            _ => Ok(range),
        }
    }

    /// Whether an event of this time gets a row.
    pub fn contains(&self, time: Micros) -> bool {
        self.distance(time) == 0 && self.to.is_none_or(|to| time < to)
    }

    /// How far outside the range a time is; 0 inside and at its end.
    pub fn distance(&self, time: Micros) -> i64 {
        let before = self.from.map_or(0, |from| from.0.saturating_sub(time.0));
        let after = self.to.map_or(0, |to| time.0.saturating_sub(to.0));
        before.max(after).max(0)
    }
}

/// Runs a backfill. `now` is the time of the run: it stands in entries and seals, never in rows.
pub fn run(args: &BackfillArgs, config: &Config, now: DateTime<Utc>) -> Result<Summary> {
    let started = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let job = Job::prepare(args, config, runtime)?;
    let spill = Spill::create(&args.spill.clone().unwrap_or_else(std::env::temp_dir))?;
    let read = job.read(&spill)?;
    let digest = read.digest().finish(&job.settings());
    let mut summary = Summary::new(&job, &read, &digest);
    if read.problems.is_empty() {
        let run = RunIdentity {
            run: format!("{}-{}", now.format("%Y%m%dT%H%M%SZ"), &digest[..8]),
            input_digest: digest,
            build: format!("corridor {}", env!("CARGO_PKG_VERSION")),
            why: args.why.clone(),
        };
        job.finish(&spill, &read, run, now, &mut summary)?;
    }
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// Everything a run needs and does not change.
pub struct Job<'a> {
    args: &'a BackfillArgs,
    config: &'a Config,
    context: Context,
    inputs: Vec<Input>,
    lake: &'a str,
    records: Records,
    threads: usize,
    range: Range,
    runtime: Runtime,
}

impl<'a> Job<'a> {
    fn prepare(args: &'a BackfillArgs, config: &'a Config, runtime: Runtime) -> Result<Self> {
        let context = load_context(args.directory.as_deref(), config)?;
        let lake = args.lake.as_deref().unwrap_or(&config.lake);
        let records = args.records.unwrap_or(config.records);
        let cores = || std::thread::available_parallelism().map_or(2, usize::from);
        let threads = args.threads.unwrap_or_else(cores).max(1);
        let range = Range::new(args.from, args.to)?;
        let inputs = find_inputs(args, &runtime)?;
        Ok(Self { args, config, context, inputs, lake, records, threads, range, runtime })
    }

    fn read(&self, spill: &Spill) -> Result<ReadResult> {
        let plan = ReadPlan {
            inputs: &self.inputs,
            context: &self.context,
            range: self.range,
            keeps_records: self.records == Records::On,
            threads: self.threads,
            runtime: self.runtime.handle().clone(),
        };
        Ok(read::read(&plan, spill)?)
    }

    /// What shapes the rows beside the records: another value is another job.
    fn settings(&self) -> Vec<String> {
        let key_id = self.config.pseudonym_key_id.clone().unwrap_or_default();
        vec![
            format!("records={:?}", self.records),
            format!("range={:?}", self.range),
            format!("rules={:?}", self.context.settings),
            format!("directory={}", self.context.directory.version().unwrap_or_default()),
            format!("pseudonyms={key_id}"),
        ]
    }

    /// Plans, joins, writes, closes and seals; or only joins and counts, in a dry run.
    fn finish(
        &self,
        spill: &Spill,
        read: &ReadResult,
        run: RunIdentity,
        now: DateTime<Utc>,
        summary: &mut Summary,
    ) -> Result<()> {
        let slices = spill.slices();
        let homes = reject_homes(&slices);
        let days = days_of(&slices, &homes)?;
        if days.is_empty() {
            summary.nothing_to_land();
            return Ok(());
        }
        let url = self.lake;
        let lake = if self.args.dry_run { open_lake_to_plan(url)? } else { open_lake(url)? };
        let plan = self.runtime.block_on(Landing::begin(lake.clone(), &days, run))?;
        if plan.is_already_landed() {
            summary.already_landed(&plan);
            return Ok(());
        }
        if self.args.dry_run {
            let written = self.join_and_write(spill, None, &homes)?;
            summary.dry_run(&written, summary::plan_of(&plan).into_iter());
            return Ok(());
        }
        self.runtime.block_on(landing::seed(&lake, &seeds()?))?;
        let mut landing = self.runtime.block_on(plan.open(now))?;
        let written = self.join_and_write(spill, Some(&mut landing), &homes)?;
        check_conservation(summary.ledger.records_in, &written.total())?;
        let report = RunReport {
            totals: written.total(),
            ledgers: written.ledgers.clone(),
            inputs: self.input_entries(read),
            directory_version: self.context.directory.version().map(String::from),
        };
        let default_delay = match lake.kind() {
            StoreKind::LocalFolder => TimeDelta::zero(),
            StoreKind::ObjectStore => TimeDelta::seconds(self.config.activation_delay_seconds.into()),
        };
        let delay =
            self.args.activate_after.map_or(default_delay, |seconds| TimeDelta::seconds(seconds.into()));
        let closed = self.runtime.block_on(landing.close_all(&report, now))?;
        // The wait begins when everything exists, not when the run began.
        let activate_at = Utc::now() + delay;
        let landed = self.runtime.block_on(closed.seal_all(activate_at))?;
        summary.landed(&written, &landed, activate_at);
        Ok(())
    }

    /// Without a landing everything is joined and counted, and nothing is written.
    fn join_and_write(&self, spill: &Spill, landing: Option<&mut Landing>, homes: &Homes) -> Result<Written> {
        let days = landing.as_ref().map(|landing| landing.days_to_write()).unwrap_or_default();
        // A writer hands its file over while the last one is on the disk; none wait in between, for files are large.
        let (files, to_land) = sync_channel(0);
        let hour_count = slices_by_hour(&spill.slices()).len() as u64;
        let progress = Progress::start("writing", Unit::Hours, hour_count);
        let written = std::thread::scope(|scope| {
            let lander = landing.map(|landing| scope.spawn(|| self.land_files(landing, to_land)));
            let written = self.write_hours(spill, &Target { days, files }, homes, &progress);
            let landed = lander.map_or(Ok(()), join_thread);
            // Writers that lost their lander only say so.
            landed.and(written)
        });
        progress.finish();
        written
    }

    fn write_hours(
        &self,
        spill: &Spill,
        target: &Target,
        homes: &Homes,
        progress: &Progress,
    ) -> Result<Written> {
        // One hour waits while each thread has one in work: the bound on rows in memory.
        let (sender, receiver) = sync_channel::<HourWork>(1);
        let receiver = Mutex::new(receiver);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..self.threads)
                .map(|_| scope.spawn(|| write::write_hours(spill, target, &receiver, progress)))
                .collect();
            let joined = feed_writers(spill, homes, &sender);
            drop(sender);
            let mut written = Written::default();
            for writer in writers {
                written.add(join_thread(writer)?);
            }
            joined.map(|()| written)
        })
    }

    /// Stores files until no writer is left.
    fn land_files(&self, landing: &mut Landing, files: Receiver<NewFile>) -> Result<()> {
        for file in files {
            let place = format!("land {} of hour {} of {}", file.table, file.hour, file.day);
            self.runtime.block_on(landing.put_file(file)).context(place)?;
        }
        Ok(())
    }

    fn input_entries(&self, read: &ReadResult) -> Vec<InputEntry> {
        let entry = |(index, input): (u32, &Input)| InputEntry {
            name: input.file.name.to_string(),
            bytes: input.file.size,
            digest: read.digests.get(&index).copied().unwrap_or_default().finish(&[]),
        };
        (0..).zip(&self.inputs).map(entry).collect()
    }
}

/// What a thread gave; its panic goes on here.
fn join_thread<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Loads directory and rules; all their problems at once.
pub fn load_context(directory: Option<&std::path::Path>, config: &Config) -> Result<Context> {
    let directory = directory.or(config.directory.as_deref());
    let directory = directory_folder::load(directory).map_err(|problems| UsageError(problems.join("\n")))?;
    let pseudonyms = config.pseudonymiser().map_err(UsageError)?;
    Ok(Context { directory, settings: config.settings(), pseudonyms })
}

/// The last gate before a day becomes evidence: what was read must be what was written.
fn check_conservation(records_read: u64, written: &Ledger) -> Result<()> {
    if written.is_conserved() && written.records_in == records_read {
        return Ok(());
    }
    bail!(
        "conservation does not hold: {records_read} records were read, and the files account for {written}; \
         nothing was sealed. This is a fault of Corridor: please report it with this message"
    )
}

/// Joins all slices and queues each hour that has anything to write, as soon as it is complete.
fn feed_writers(spill: &Spill, homes: &Homes, queue: &SyncSender<HourWork>) -> Result<()> {
    let expected = slices_by_hour(&spill.slices());
    let mut homes = homes.clone();
    let mut open: BTreeMap<HourBucket, Vec<JoinedSlice>> = BTreeMap::new();
    let mut send = |hour: HourBucket, mut slices: Vec<JoinedSlice>| {
        slices.sort_unstable_by_key(|joined| joined.slice);
        let reject_slices = homes.remove(&hour).unwrap_or_default();
        queue.send(HourWork { hour, slices, reject_slices }).map_err(|_| anyhow!("the writers stopped"))
    };
    joined::join(spill, |joined| {
        if joined.rows.is_empty() && joined.copies.is_empty() {
            return Ok(());
        }
        let hour = joined.slice.hour();
        let slices = open.entry(hour).or_default();
        slices.push(joined);
        if Some(&slices.len()) == expected.get(&hour) {
            return send(hour, open.remove(&hour).unwrap_or_default());
        }
        Ok(())
    })?;
    // What is left are rejects of a run without rows.
    let left: Vec<_> = homes.keys().copied().collect();
    for hour in left {
        let reject_slices = homes.remove(&hour).unwrap_or_default();
        let work = HourWork { hour, slices: Vec::new(), reject_slices };
        queue.send(work).map_err(|_| anyhow!("the writers stopped"))?;
    }
    Ok(())
}

fn seeds() -> Result<Vec<(Table, bytes::Bytes)>> {
    Table::ALL.into_iter().map(|table| Ok((table, seed_file(table)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_half_open_and_knows_its_distance() {
        let range = Range { from: Some(Micros(10)), to: Some(Micros(20)) };
        let cases = [(9, false, 1), (10, true, 0), (19, true, 0), (20, false, 0), (25, false, 5)];
        for (time, inside, distance) in cases {
            assert_eq!(
                (range.contains(Micros(time)), range.distance(Micros(time))),
                (inside, distance),
                "{time}"
            );
        }
        assert!(Range::default().contains(Micros(i64::MAX)));
    }
}
