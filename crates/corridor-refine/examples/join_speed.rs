//! Join speed: CPU time per event of the facts' codec and of the join operator, on one thread.
//!
//! - In: a folder of `corridor generate`: `cargo run --release --example join_speed -- <FOLDER>`.
//! - Out: microseconds of CPU per event, events in memory, and a digest of all rows to compare two builds.

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

/// Encoded events of one hour, and announcements of later ones.
#[derive(Default)]
struct Hour {
    events: Vec<Vec<u8>>,
    candidates: Vec<Vec<u8>>,
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

/// Refines the folder; the encoding is timed.
fn gather(folder: &Path) -> (BTreeMap<HourBucket, Hour>, u64) {
    let context = Context { directory: load_directory(folder), ..Context::default() };
    let (mut hours, mut nanos) = (BTreeMap::<HourBucket, Hour>::new(), 0);
    for (side, name) in [(Side::Kong, "kong"), (Side::Azure, "synapse")] {
        for file in files(&folder.join(name)) {
            let bytes = std::fs::read(file).expect("the file can be read");
            let mut gathered: Vec<JoinFacts> = Vec::new();
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                refine(side, line, &context, &mut |outcome| {
                    if let Outcome::Event(refined, _) = outcome {
                        gathered.push(refined.facts);
                    }
                });
            }
            let before = cpu();
            let mut scratch = Vec::new();
            for facts in gathered {
                scratch.clear();
                scratch = postcard::to_extend(&facts, scratch).expect("facts can be encoded");
                let (first, last) = (facts.start.hour(), facts.summary.time.hour());
                hours.entry(last).or_default().events.push(scratch.clone());
                if side == Side::Azure && first < last {
                    hours.entry(first).or_default().candidates.push(scratch.clone());
                }
            }
            nanos += cpu() - before;
        }
    }
    (hours, nanos)
}

/// What the rows say, whatever their order.
fn digest(emitted: &mut Vec<Emitted<Position>>) -> (u64, u64) {
    let (mut sum, mut matched) = (0_u64, 0);
    for said in emitted.drain(..) {
        if let Emitted::Row { position, event_id, outcome } = said {
            let mut hasher = DefaultHasher::new();
            (position, event_id).hash(&mut hasher);
            format!("{outcome:?}").hash(&mut hasher);
            sum = sum.wrapping_add(hasher.finish());
            matched += u64::from(outcome.peer.is_some());
        }
    }
    (sum, matched)
}

fn main() {
    let folder = std::env::args_os().nth(1).expect("usage: join_speed <FOLDER>");
    let (hours, encode) = gather(Path::new(&folder));
    let (count, bytes) = hours
        .values()
        .flat_map(|hour| hour.events.iter().chain(&hour.candidates))
        .fold((0_u64, 0), |(count, bytes), event| (count + 1, bytes + event.len()));
    let config = JoinConfig::batch();
    let horizon = config.horizon;
    let mut operator = Operator::new(config);
    let (mut decode, mut join, mut remembered, mut grown, mut estimated) = (0, 0, 0, 0, 0);
    let (mut sum, mut matched, mut number) = (0_u64, 0, 0);
    let resident = memory("VmRSS");
    let mut emitted = Vec::new();
    for (hour, encoded) in hours {
        let before = cpu();
        let take = |events: &[Vec<u8>]| -> Vec<JoinFacts> {
            events.iter().map(|event| postcard::from_bytes(event).expect("facts can be decoded")).collect()
        };
        let (events, candidates) = (take(&encoded.events), take(&encoded.candidates));
        let decoded = cpu();
        operator.push(Input::Tick { shard: 0, clock: hour.start() }, &mut emitted);
        for facts in candidates {
            let forget = facts.end.saturating_add(horizon).max(facts.summary.time.hour().end());
            operator.push(Input::Candidate { facts, forget, home: None }, &mut emitted);
        }
        for facts in events {
            number += 1;
            let due = facts.end.max(facts.summary.time).saturating_add(horizon);
            let position = (0, number, 0, facts.summary.time.0, 0, 0);
            operator.push(Input::Event { facts, position, due, forget: due }, &mut emitted);
        }
        if operator.remembered() > remembered {
            remembered = operator.remembered();
            (grown, estimated) = (memory("VmRSS").saturating_sub(resident), operator.memory_bytes() >> 20);
        }
        operator.push(Input::Tick { shard: 0, clock: hour.end() }, &mut emitted);
        join += cpu() - decoded;
        decode += decoded - before;
        let (hour_sum, hour_matched) = digest(&mut emitted);
        (sum, matched) = (sum.wrapping_add(hour_sum), matched + hour_matched);
    }
    let before = cpu();
    operator.finish(&mut emitted);
    join += cpu() - before;
    let (last_sum, last_matched) = digest(&mut emitted);
    let micros = |nanos: u64| nanos as f64 / 1e3 / count as f64;
    println!("{count} events, {} bytes of facts each", bytes as u64 / count);
    println!("encode {:.2} µs, decode {:.2} µs, join {:.2} µs", micros(encode), micros(decode), micros(join));
    println!("{remembered} remembered at most, {estimated} MiB by estimate, {grown} MiB resident");
    println!("{} matched, digest {:016x}", matched + last_matched, sum.wrapping_add(last_sum));
}
