//! Programs in Python that judge what Corridor writes, run in the environment that `scripts/setup-tests.sh` makes.
//!
//! - In: the script below `tests/`, and its arguments.
//! - Out: what it printed, or a failed test with everything it said.
//! - Keeps: nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a script (path below `tests/`) and returns what became of it.
///
/// # Panics
/// When the environment is missing.
pub fn run_python<A: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = A>) -> Output {
    let python = repository().join(".venv/bin/python");
    assert!(python.is_file(), "{} is missing: run scripts/setup-tests.sh first", python.display());
    Command::new(&python)
        .arg(repository().join("tests").join(script))
        .args(arguments)
        .output()
        .unwrap_or_else(|err| panic!("start {}: {err}", python.display()))
}

/// Runs a script that must succeed, and returns what it printed.
///
/// # Panics
/// When it fails, with all of its output.
pub fn python_succeeds<A: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = A>) -> String {
    let output = run_python(script, arguments);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} ended with {}:\n{said}\n{printed}", output.status);
    printed
}
