//! The floor of the whole job: the same files, the same number of threads, and only the JSON read.
//!
//! - In: `parse_only [--refine] [--directory <folder>] <threads> <folder>…`, plain NDJSON files.
//! - Out: one JSON object on stdout: lines read, lines that are no JSON (or records rejected), bytes.
//! - Invariants: without `--refine` nothing is kept and nothing decoded, which is the least any program can do;
//!   with it each line goes through Corridor's own refining, which shows what that step costs alone.

use anyhow::{Context as _, Result};
use corridor_model::Side;
use corridor_refine::directory::{Directory, DirectoryFiles};
use corridor_refine::{Context, Outcome, refine};
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A thread takes this much of a file at a time.
const PART_BYTES: u64 = 8 << 20;

struct Part {
    path: PathBuf,
    start: u64,
    side: Side,
}

#[derive(Default)]
struct Totals {
    lines: u64,
    invalid: u64,
    bytes: u64,
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let refines = arguments.first().is_some_and(|first| first == "--refine");
    if refines {
        arguments.remove(0);
    }
    let mut context = Context::default();
    if arguments.first().is_some_and(|first| first == "--directory") {
        arguments.remove(0);
        context.directory = load_directory(Path::new(&arguments.remove(0)))?;
    }
    let threads: usize = arguments.first().context("give the number of threads")?.parse()?;
    let mut parts = Vec::new();
    for folder in &arguments[1..] {
        let is_kong = Path::new(folder).file_name().is_some_and(|name| name == "kong");
        list_parts(Path::new(folder), if is_kong { Side::Kong } else { Side::Azure }, &mut parts)?;
    }
    let next = AtomicUsize::new(0);
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work(&parts, &next, refines.then_some(&context)))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker returns its errors"))
            .collect::<Vec<_>>()
    });
    let mut sum = Totals::default();
    for one in totals {
        let one = one?;
        sum.lines += one.lines;
        sum.invalid += one.invalid;
        sum.bytes += one.bytes;
    }
    let Totals { lines, invalid, bytes } = sum;
    writeln!(std::io::stdout(), r#"{{"lines":{lines},"invalid":{invalid},"bytes":{bytes}}}"#)?;
    Ok(())
}

/// The directory files of a folder, so that refining looks names up as in the whole job.
fn load_directory(folder: &Path) -> Result<Directory> {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let files = DirectoryFiles {
        principals: read("principals.csv"),
        workspaces: read("workspaces.csv"),
        kong: read("kong.yaml"),
        routes: read("routes.csv"),
    };
    let (directory, _) = Directory::load(&files).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(directory)
}

fn list_parts(folder: &Path, side: Side, parts: &mut Vec<Part>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list_parts(&path, side, parts)?;
            continue;
        }
        let length = path.metadata()?.len();
        let starts = (0..length).step_by(usize::try_from(PART_BYTES)?);
        parts.extend(starts.map(|start| Part { path: path.clone(), start, side }));
    }
    Ok(())
}

/// Takes parts until none is left.
fn work(parts: &[Part], next: &AtomicUsize, context: Option<&Context>) -> Result<Totals> {
    let mut totals = Totals::default();
    let mut line = Vec::new();
    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut file = BufReader::with_capacity(1 << 20, File::open(&part.path)?);
        let mut at = part.start;
        if at > 0 {
            // The line that crosses the border belongs to the part before.
            file.seek(SeekFrom::Start(at - 1))?;
            at = at - 1 + file.read_until(b'\n', &mut line)? as u64;
            line.clear();
        }
        while at < part.start + PART_BYTES {
            let length = file.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            at += length as u64;
            totals.bytes += length as u64;
            totals.lines += 1;
            totals.invalid += match context {
                Some(context) => refine_line(part.side, &line, context),
                None => u64::from(!is_json(&line)),
            };
            line.clear();
        }
    }
    Ok(totals)
}

fn is_json(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Refines one line and drops what comes out; the number of rejected records.
fn refine_line(side: Side, line: &[u8], context: &Context) -> u64 {
    let mut rejected = 0;
    refine(side, line.trim_ascii_end(), context, &mut |outcome| {
        if let Outcome::Rejected(..) = std::hint::black_box(outcome) {
            rejected += 1;
        }
    });
    rejected
}
