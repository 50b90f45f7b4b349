//! Repository chores: `cargo xtask tidy` and `cargo xtask schemas [--check]`.
//!
//! - In: the working tree.
//! - Out: a list of problems and exit code 1, or generated files.
//! - Keeps: nothing.
//! - Invariants: `tidy` and `schemas --check` change nothing.

mod dependencies;
mod generated;
mod source;
mod tidy;

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy | schemas [--check]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("{err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root()?;
    match arguments.as_slice() {
        ["tidy"] => report(tidy::problems(&root)?),
        ["schemas"] => generated::write(&root),
        ["schemas", "--check"] => report(generated::stale(&root)?),
        _ => bail!("{USAGE}"),
    }
}

fn report(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

/// The repository: the folder above this package.
fn root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(Path::to_path_buf).context("the xtask package has no parent folder")
}
