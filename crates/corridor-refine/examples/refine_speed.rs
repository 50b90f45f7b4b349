//! Speed: refines files again and again, so that a profiler or an instruction counter sees nothing else.
//!
//! - In: `refine_speed <refine|record|digest> <kong|azure> <directory or -> <passes> <files…>`, `.ndjson` files with one record
//!   a line, other files as one piece.
//! - Out: how many records and bytes went through; with `digest` one hash of everything that came out.
//! - Use: `perf stat -e instructions:u` or `valgrind --tool=callgrind` before and after a change; equal digests mean
//!   equal results.

use corridor_model::Side;
use corridor_refine::directory::{Directory, DirectoryFiles};
use corridor_refine::{Context, Outcome, redact, refine};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

/// What is done with each line.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// Refine it and drop the outcome.
    Refine,
    /// Redact it as the records table does.
    Record,
    /// Both, and hash all that comes out.
    Digest,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, side, directory, passes, files @ ..] = &arguments[..] else {
        return Err(
            "refine_speed <refine|record|digest> <kong|azure> <directory or -> <passes> <files…>".into()
        );
    };
    let work = match work.as_str() {
        "refine" => Work::Refine,
        "record" => Work::Record,
        _ => Work::Digest,
    };
    let side = if side == "kong" { Side::Kong } else { Side::Azure };
    let mut context = Context::default();
    if directory != "-" {
        context.directory = load(Path::new(directory))?;
    }
    let texts = files.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let is_lines = |file: &String| file.ends_with(".ndjson");
    let pieces: Vec<&[u8]> = files
        .iter()
        .zip(&texts)
        .flat_map(|(file, text)| text.split(move |byte| is_lines(file) && *byte == b'\n'))
        .collect();
    let mut speed = Speed { work, side, context, digest: Sha256::new(), records: 0, redacted: Vec::new() };
    let mut bytes = 0;
    for _ in 0..passes.parse()? {
        for piece in &pieces {
            bytes += piece.len();
            speed.piece(piece);
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "{} records, {bytes} bytes", speed.records)?;
    if work == Work::Digest {
        writeln!(out, "{}", hex::encode(speed.digest.finalize()))?;
    }
    Ok(())
}

fn load(folder: &Path) -> Result<Directory, Box<dyn Error>> {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let files = DirectoryFiles {
        principals: read("principals.csv"),
        workspaces: read("workspaces.csv"),
        kong: read("kong.yaml"),
        routes: read("routes.csv"),
    };
    Ok(Directory::load(&files).map_err(|problems| format!("{problems:?}"))?.0)
}

struct Speed {
    work: Work,
    side: Side,
    context: Context,
    digest: Sha256,
    records: u64,
    redacted: Vec<u8>,
}

impl Speed {
    fn piece(&mut self, piece: &[u8]) {
        if self.work == Work::Record {
            self.redacted.clear();
            let Ok(text) = std::str::from_utf8(piece) else { return };
            redact::record(self.side, text, None, &mut self.redacted);
            self.records += 1;
            return;
        }
        refine(self.side, piece, &self.context, &mut |outcome| {
            self.records += 1;
            if self.work == Work::Digest {
                self.digest.update(format!("{outcome:?}\n"));
                if let Outcome::Event(_, text) = outcome {
                    self.redacted.clear();
                    let count = redact::record(self.side, text, None, &mut self.redacted);
                    self.digest.update(&self.redacted);
                    self.digest.update(count.to_le_bytes());
                }
            } else {
                black_box(outcome);
            }
        });
    }
}
