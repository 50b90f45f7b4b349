//! Program: the `corridor` binary of this build, run as an operator runs it.
//!
//! - In: arguments and variables.
//! - Out: [`Ended`]: exit code and everything that was printed.
//! - Keeps: nothing.
//! - Invariants: the variables of the caller's own lakes never reach the program.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary beside the tests' own: `target/release/corridor` for `target/release/deps/some_test`.
///
/// # Panics
/// When it is missing.
pub fn corridor_binary() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the running test");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests lie in target/<profile>/deps");
    let binary = folder.join("corridor");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo test --release --workspace`, or build it first with `cargo build --release -p corridor`",
        binary.display()
    );
    binary
}

/// The program without any of the caller's settings for it or for its clouds.
pub fn corridor_command() -> Command {
    let mut command = Command::new(corridor_binary());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CORRIDOR_", "AZURE_", "AZURITE_", "AWS_"].iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn corridor<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    let output = corridor_command().args(arguments).output().expect("the program starts");
    Ended::from(output)
}

/// What became of a run.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; None when a signal ended it.
    pub code: Option<i32>,
    /// Results.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// The run must have ended with this code.
    ///
    /// # Panics
    /// When it did not, with all of its output.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let Self { code: found, stdout, stderr } = &self;
        assert_eq!(*found, Some(code), "exit code\n--- stderr\n{stderr}\n--- stdout\n{stdout}");
        // A panic is a defect even where an error is right.
        assert!(!stderr.contains("panicked at"), "the program panicked:\n{stderr}");
        self
    }

    /// The run must have failed with an error that says this.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn fails_saying(self, part: &str) -> Self {
        let ended = self.exits(1);
        let Self { stdout, stderr, .. } = &ended;
        assert!(
            stderr.contains(part) || stdout.contains(part),
            "no {part:?} in\n--- stderr\n{stderr}\n--- stdout\n{stdout}"
        );
        ended
    }

    /// The one JSON object on stdout.
    ///
    /// # Panics
    /// When stdout is anything else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "stdout is not one JSON object ({error})\n--- stderr\n{}\n--- stdout\n{}",
                self.stderr, self.stdout
            )
        })
    }
}

/// Runs a command and returns, beside its end, the most memory it had resident, in bytes.
///
/// The system keeps the peak, so that looking now and then misses only what happens after the last look.
pub fn run_and_measure(command: &mut Command) -> (Ended, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = watch(child, Duration::from_millis(2), |_| {
        peak = peak.max(resident_peak(&status).unwrap_or(0));
    });
    (ended, peak)
}

fn resident_peak(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Longest run of a child before the test gives up on it.
const CHILD_TIME_MAX: Duration = Duration::from_secs(180);

/// Waits for the end of a child whose output is small, and looks at it in between.
///
/// # Panics
/// When it runs for ever.
pub fn watch(mut child: Child, pause: Duration, mut look: impl FnMut(&mut Child)) -> Ended {
    let started = Instant::now();
    while child.try_wait().expect("the child is ours").is_none() {
        look(&mut child);
        if started.elapsed() > CHILD_TIME_MAX {
            child.kill().expect("the child is ours");
            panic!("the program did not end within {CHILD_TIME_MAX:?}");
        }
        std::thread::sleep(pause);
    }
    Ended::from(child.wait_with_output().expect("the child is ours"))
}
