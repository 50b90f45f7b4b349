//! Generate: seeded, realistic traffic of Kong and Synapse at any scale, with the truth about it.
//!
//! - In: a `GenerateConfig`. Out: a folder with `kong/`, `synapse/`, `directory/` and `truth.json`.
//! - Keeps: the population (at most 5,000 principals and 210 routes), the open files, at most 64 records a
//!   side that wait to be copied, counters per hour. Nothing grows with the number of entries.
//! - Invariants: the same configuration gives the same bytes on every platform; the truth is counted from
//!   what was planted, never computed by the rules that it is to check.

mod answer;
mod azure;
mod directory;
mod kong;
mod line;
mod output;
mod planted;
mod rng;
mod special;
mod traffic;
mod truth;
mod web;
mod world;

pub use truth::{Counts, HourTruth, SideTruth, Truth};

use crate::line::{Line, Micros, text_of};
use crate::output::{AzureFiles, KongFiles};
use crate::traffic::Traffic;
use crate::truth::Side;
use crate::world::World;
use std::path::PathBuf;

const HOUR: Micros = 3_600_000_000;
const MINUTE: Micros = 60_000_000;
const FILE_COUNT_MAX: u32 = 8;
const PROGRESS_STEP: u64 = 4096;
/// Traffic of the hours of a day, relative to each other.
const DAY_SHAPE: [u64; 24] = [2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 11, 12, 11, 9, 7, 5, 4, 4, 3, 3, 2];

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateConfig {
    /// Folder to write into; it must be empty or absent.
    pub out: PathBuf,
    /// Unique Kong entries. The planted cases alone are about 130: a smaller number gives these.
    pub kong: u64,
    /// Seed.
    pub seed: u64,
    /// Hours covered, at least one.
    pub hours: u32,
    /// Azure records as an archive of `PT1H.json` files in place of envelopes.
    pub pt1h: bool,
    /// First moment, in seconds since 1970, UTC; a full hour.
    pub start_seconds: u64,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("generated"),
            kong: 20_000,
            seed: 1,
            hours: 24,
            pt1h: false,
            // 2026-03-02T00:00:00Z, a Monday.
            start_seconds: 1_772_409_600,
        }
    }
}

/// Why nothing, or not everything, was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The configuration makes no sense.
    #[error("{field}: {message}")]
    Config {
        /// Field of `GenerateConfig`.
        field: &'static str,
        /// What is expected.
        message: &'static str,
    },
    /// There is something in the folder already.
    #[error("folder {path} is not empty")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The truth could not be printed.
    #[error("print the truth")]
    Print(#[source] serde_json::Error),
}

/// Generates the folder. `progress` is called now and then with the number of Kong entries so far.
pub fn generate(config: &GenerateConfig, progress: &mut dyn FnMut(u64)) -> Result<Truth, GenerateError> {
    check(config)?;
    let world = World::new(config.seed, config.kong);
    let folder = config.out.join("directory");
    directory::write_directory(&world, &folder)
        .map_err(|source| GenerateError::Write { path: folder.clone(), source })?;
    let files = (
        KongFiles::create(&config.out, config.seed)?,
        AzureFiles::create(&config.out, config.seed, &world, config.pt1h)?,
    );
    let start = config.start_seconds * 1_000_000;
    let mut traffic = Traffic::new(&world, blank_truth(config), files, start);
    play(&mut traffic, config, progress)?;
    let truth = finish(traffic)?;
    let path = config.out.join("truth.json");
    let mut json = serde_json::to_vec_pretty(&truth).map_err(GenerateError::Print)?;
    json.push(b'\n');
    std::fs::write(&path, json).map_err(|source| GenerateError::Write { path, source })?;
    progress(truth.kong.rows);
    Ok(truth)
}

fn check(config: &GenerateConfig) -> Result<(), GenerateError> {
    if config.hours == 0 {
        return Err(GenerateError::Config { field: "hours", message: "at least one hour is needed" });
    }
    if !config.start_seconds.is_multiple_of(3600) {
        return Err(GenerateError::Config { field: "start", message: "a full hour is needed" });
    }
    match std::fs::read_dir(&config.out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(GenerateError::NotEmpty { path: config.out.clone() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(GenerateError::Write { path: config.out.clone(), source }),
    }
}

fn play(
    traffic: &mut Traffic<'_>,
    config: &GenerateConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<(), GenerateError> {
    let hours_per_file = config.hours.div_ceil(FILE_COUNT_MAX);
    let shape = |hour: u32| DAY_SHAPE[((config.start_seconds / 3600 + u64::from(hour)) % 24) as usize];
    let total: u64 = (0..config.hours).map(shape).sum();
    let (mut played, mut special, mut next_progress) = (0, 0, PROGRESS_STEP);
    for hour in 0..config.hours {
        let hour_start = config.start_seconds * 1_000_000 + u64::from(hour) * HOUR;
        if hour > 0 && hour % hours_per_file == 0 {
            traffic.kong.start_file(hour / hours_per_file)?;
            traffic.azure.start_file(hour / hours_per_file)?;
        }
        traffic.azure.start_hour(hour_start)?;
        played += shape(hour);
        let target = (u128::from(config.kong) * u128::from(played) / u128::from(total)) as u64;
        // The last quarter of an hour stays quiet at the end: what was begun ends within the hours.
        let span = if hour + 1 == config.hours { 45 * MINUTE } else { HOUR };
        let first = traffic.truth.kong.rows;
        while traffic.truth.kong.rows < target || hour == 0 && special < special::COUNT {
            let done = traffic.truth.kong.rows - first;
            let at = span / target.saturating_sub(first).max(1) * done;
            let special_at = (2 * MINUTE) + 40 * MINUTE / special::COUNT as u64 * special as u64;
            if hour == 0
                && special < special::COUNT
                && (special_at <= at || traffic.truth.kong.rows >= target)
            {
                traffic.now = hour_start + special_at.max(at.min(44 * MINUTE));
                traffic.play_special(special)?;
                special += 1;
            } else {
                traffic.now = hour_start + at;
                let is_last = hour + 1 == config.hours && target - traffic.truth.kong.rows < 4;
                if is_last { traffic.direct()? } else { traffic.play_any()? }
            }
            if traffic.truth.kong.rows >= next_progress {
                progress(traffic.truth.kong.rows);
                next_progress = traffic.truth.kong.rows + PROGRESS_STEP;
            }
        }
    }
    traffic.now = config.start_seconds * 1_000_000 + u64::from(config.hours) * HOUR;
    Ok(())
}

/// Writes the waiting copies and the torn ends, and gives the truth.
fn finish(mut traffic: Traffic<'_>) -> Result<Truth, GenerateError> {
    let kong = traffic.kong.write_waiting()?;
    let azure = traffic.azure.write_waiting(traffic.now)?;
    (0..kong.duplicate_count).for_each(|_| traffic.truth.add_duplicate(Side::Kong));
    (0..azure.duplicate_count).for_each(|_| traffic.truth.add_duplicate(Side::Azure));
    traffic.truth.add_reject(Side::Kong, "torn_end");
    traffic.truth.add_reject(Side::Azure, "torn_end");
    traffic.kong.finish(b"{\"started_at\":1772409600123,\"client_ip\":\"10.20.3")?;
    traffic.azure.finish(b"{\"time\":\"2026-03-02T09:20:16.0220000Z\",\"resourceId\":\"/SUBSCR")?;
    Ok(traffic.truth)
}

fn blank_truth(config: &GenerateConfig) -> Truth {
    let mut start = Line::default();
    start.date_time(config.start_seconds * 1_000_000).raw("Z");
    let notes = [
        "The truth holds for a run with the generated directory folder.",
        "records = rows + duplicates + rejects, on each side. A torn end is a last line, envelope or blob that was cut off: one reject.",
        "rejects_by_kind names what was planted, not Corridor's codes; a metric is METRIC_RECORD.",
        "matched_by_method names the strongest rung that finds the partner. Which of the other rows are unmatched and which are not_eligible is left open.",
        "rows_by_decision and rows_by_reason are those after the join: a failed activity has its Kong partner's.",
        "rows_by_hour goes by the event time: Kong started_at; SQL audit event_time; else time.",
        "rows_by_finding is complete for Kong, but for TOKEN_TOO_LONG, which is never planted. For Azure, UNKNOWN_PRINCIPAL is left open.",
        "static_credential of Azure rows counts SQL logins.",
        "canaries are secrets in headers, cookies, query strings, SQL literals, prompts, answers and bodies; the first 300 secrets are canaries.",
    ];
    Truth {
        seed: config.seed,
        kong_asked: config.kong,
        hours: config.hours,
        start: text_of(&start),
        pt1h: config.pt1h,
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        ..Truth::default()
    }
}

#[cfg(test)]
mod tests;
