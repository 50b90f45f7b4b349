//! Join speed: CPU time per event of the join operator, on one thread.
//!
//! - In: a folder of `corridor generate`: `cargo run --release --example join_speed -- <FOLDER>`.
//! - Out: microseconds of CPU per event, events in memory, and a digest of all rows to compare two builds.

#![expect(clippy::print_stdout, reason = "the figures are what the example is for")]

use corridor_model::{HourBucket, JoinFacts, Side};
use corridor_refine::directory::{Directory, DirectoryFiles};
use corridor_refine::join::{Emitted, Input, JoinConfig, Operator};
use corridor_refine::{Context, Outcome, refine};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As a spill's position.
type Position = (u32, u64, u32, i64, u32, u32);

/// Events of one hour, and announcements of later ones.
#[derive(Default)]
struct Hour {
    events: Vec<JoinFacts>,
    candidates: Vec<JoinFacts>,
}

/// CPU time of this thread so far, in nanoseconds. Linux only.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("needs Linux");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("starts with a number")
}

/// A figure of `/proc/self/status`, in MB.
fn memory(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("needs Linux");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel tells it");
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number") / 1024
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn load_directory(folder: &Path) -> Directory {
    let read = |name: &str| std::fs::read(folder.join("directory").join(name)).ok();
    let files = DirectoryFiles {
        principals: read("principals.csv"),
        workspaces: read("workspaces.csv"),
        kong: read("kong.yaml"),
        routes: read("routes.csv"),
    };
    Directory::load(&files).expect("a generated directory loads").0
}

/// Refines the folder.
fn gather(folder: &Path) -> BTreeMap<HourBucket, Hour> {
    let context = Context { directory: load_directory(folder), ..Context::default() };
    let mut hours = BTreeMap::<HourBucket, Hour>::new();
    for (side, name) in [(Side::Kong, "kong"), (Side::Azure, "synapse")] {
        for file in files(&folder.join(name)) {
            let bytes = std::fs::read(file).expect("the file can be read");
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                refine(side, line, &context, &mut |outcome| {
                    let Outcome::Event(refined, _) = outcome else { return };
                    let facts = refined.facts;
                    let (first, last) = (facts.start.hour(), facts.summary.time.hour());
                    if side == Side::Azure && first < last {
                        hours.entry(first).or_default().candidates.push(facts.clone());
                    }
                    hours.entry(last).or_default().events.push(facts);
                });
            }
        }
    }
    hours
}

/// One pass over all hours.
#[derive(Debug, Default)]
struct Round {
    copy: u64,
    join: u64,
    remembered: usize,
    estimated: usize,
    resident: u64,
    matched: u64,
    digest: u64,
}

impl Round {
    fn run(hours: &BTreeMap<HourBucket, Hour>) -> Self {
        let config = JoinConfig::batch();
        let horizon = config.horizon;
        let mut operator = Operator::new(config);
        let mut round = Self::default();
        let mut number = 0;
        let resident = memory("VmRSS");
        let mut emitted = Vec::new();
        for (hour, told) in hours {
            let start = cpu();
            drop((told.events.clone(), told.candidates.clone()));
            let copy = cpu() - start;
            round.copy += copy;
            let start = cpu();
            operator.push(Input::Tick { shard: 0, clock: hour.start() }, &mut emitted);
            for facts in told.candidates.iter().cloned() {
                let forget = facts.end.saturating_add(horizon).max(facts.summary.time.hour().end());
                operator.push(Input::Candidate { facts, forget, home: None }, &mut emitted);
            }
            for facts in told.events.iter().cloned() {
                number += 1;
                let due = facts.end.max(facts.summary.time).saturating_add(horizon);
                let position = (0, number, 0, facts.summary.time.0, 0, 0);
                operator.push(Input::Event { facts, position, due, forget: due }, &mut emitted);
            }
            if operator.remembered() > round.remembered {
                round.remembered = operator.remembered();
                round.resident = memory("VmRSS").saturating_sub(resident);
                round.estimated = operator.memory_bytes() >> 20;
            }
            operator.push(Input::Tick { shard: 0, clock: hour.end() }, &mut emitted);
            round.join += (cpu() - start).saturating_sub(copy);
            round.digest(&mut emitted);
        }
        let start = cpu();
        operator.finish(&mut emitted);
        round.join += cpu() - start;
        round.digest(&mut emitted);
        round
    }

    /// What the rows say, whatever their order.
    fn digest(&mut self, emitted: &mut Vec<Emitted<Position>>) {
        for said in emitted.drain(..) {
            if let Emitted::Row { position, event_id, outcome } = said {
                let mut hasher = DefaultHasher::new();
                (position, event_id).hash(&mut hasher);
                format!("{outcome:?}").hash(&mut hasher);
                self.digest = self.digest.wrapping_add(hasher.finish());
                self.matched += u64::from(outcome.peer.is_some());
            }
        }
    }
}

fn main() {
    let folder = std::env::args_os().nth(1).expect("usage: join_speed <FOLDER> [ROUNDS]");
    let rounds = std::env::args().nth(2).map_or(3, |count| count.parse().expect("a number of rounds"));
    let hours = gather(Path::new(&folder));
    let count: usize = hours.values().map(|hour| hour.events.len() + hour.candidates.len()).sum();
    let rounds: Vec<Round> = (0..rounds).map(|_| Round::run(&hours)).collect();
    let micros = |nanos: Option<u64>| nanos.unwrap_or(0) as f64 / 1e3 / count as f64;
    println!(
        "{count} events, best of {} rounds: copy {:.2} µs, join {:.2} µs",
        rounds.len(),
        micros(rounds.iter().map(|round| round.copy).min()),
        micros(rounds.iter().map(|round| round.join).min()),
    );
    for Round { remembered, estimated, resident, matched, digest, .. } in rounds.iter().take(1) {
        println!("{remembered} remembered at most, {estimated} MiB by estimate, {resident} MiB resident");
        println!("{matched} matched, digest {digest:016x}");
    }
}
