//! Live worker: `corridor run` as its own process, which a test starts, asks, stops and kills.
//!
//! - In: a name, and variables of the configuration.
//! - Out: what the worker says on `/status`; how it ended.
//! - Keeps: the process, on the same port over all its starts; its log in a file. It is killed when this is dropped.

use crate::plain_http;
use crate::program::corridor_command;
use corridor_model::Ledger;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For a start, and for an orderly end.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Variables of the configuration.
pub type Variables = Vec<(String, String)>;

/// A worker.
#[derive(Debug)]
pub struct LiveWorker {
    name: String,
    port: u16,
    log: PathBuf,
    variables: Variables,
    child: Option<Child>,
}

impl LiveWorker {
    /// Starts it. Its log goes to a file of its name in this folder.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(folder: &Path, name: &str, variables: &Variables) -> Self {
        let (port, log) = (plain_http::free_port(), folder.join(format!("{name}.log")));
        let mut worker = Self { name: name.into(), port, log, variables: variables.clone(), child: None };
        worker.run();
        worker
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// When it runs, or cannot be started.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log =
            OpenOptions::new().create(true).append(true).open(&self.log).expect("the log can be written");
        let mut command = corridor_command();
        command.arg("run").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("CORRIDOR_HTTP_LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("CORRIDOR_LOG", "info").env("NO_COLOR", "1");
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the program starts"));
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it was started and not yet stopped or killed.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends, or is not ready in time.
    pub fn wait_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = plain_http::get(self.port, "/readyz");
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let child = self.child.as_mut().expect("it was started");
            let ended = child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.said());
            let text = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
            assert!(Instant::now() < deadline, "{} is not ready: {text:?}\n{}", self.name, self.said());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What it says of itself; None when it does not answer.
    pub fn status(&self) -> Option<Value> {
        let answer = plain_http::get(self.port, "/status").ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// Kills it, as a lost machine would.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let ended = child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "{} had ended with {ended:?}:\n{}", self.name, self.said());
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
        }
    }

    /// Stops it as an operator would; its exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it was started");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be signalled", self.name);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                return status.code();
            }
            if Instant::now() > deadline {
                child.kill().expect("the child is ours");
                panic!("{} does not stop:\n{}", self.name, self.said());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for LiveWorker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        // A panic is a defect even where the worker lives on.
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        if !std::thread::panicking() {
            assert!(!text.contains("panicked at"), "{} panicked: {}", self.name, self.log.display());
        }
    }
}

/// What all workers together say.
#[derive(Debug, Default)]
pub struct Together {
    /// Shards that somebody owns and runs.
    pub shards: BTreeSet<u64>,
    /// The equation over them.
    pub ledger: Ledger,
    /// Rows that are in no claim yet.
    pub ready_rows: u64,
    /// Source messages that are not accepted and committed.
    pub source_lag: u64,
    /// Shards that say why they do not run.
    pub problems: Vec<String>,
}

/// Asks all of them. A shard that two own counts twice: that can only be for a moment.
pub fn together<'w>(workers: impl IntoIterator<Item = &'w LiveWorker>) -> Together {
    let mut together = Together::default();
    for status in workers.into_iter().filter_map(LiveWorker::status) {
        for shard in status["shards"].as_array().into_iter().flatten() {
            if shard["phase"] == "running" {
                together.shards.extend(shard["shard"].as_u64());
            }
            together.problems.extend(shard["message"].as_str().map(String::from));
            let ledger: Ledger = serde_json::from_value(shard["ledger"].clone()).unwrap_or_default();
            together.ledger += ledger;
            together.ready_rows += shard["ready_rows"].as_u64().unwrap_or(0);
        }
        let sources = status["sources"].as_array().into_iter().flatten();
        together.source_lag += sources.filter_map(|source| source["lag"].as_u64()).sum::<u64>();
    }
    together
}

/// Waits until so many shards run, everything that was delivered is in them, and nothing of it is pending. `delivered` counts
/// each event and reject once; more is right where something was delivered twice.
///
/// # Panics
/// When that does not come to pass in time.
pub fn wait_drained(workers: &[&LiveWorker], shards: usize, delivered: u64, within: Duration) -> Ledger {
    let deadline = Instant::now() + within;
    let mut last = Ledger::default();
    loop {
        let now = together(workers.iter().copied());
        let Together { ledger, ready_rows, .. } = &now;
        let is_drained = now.shards.len() == shards && ledger.records_in >= delivered && now.source_lag == 0;
        // Two looks that agree: a copy may still be on its way from the log.
        if is_drained && (ledger.pending, *ready_rows) == (0, 0) && *ledger == last {
            return *ledger;
        }
        last = *ledger;
        if Instant::now() > deadline {
            let logs: Vec<String> = workers.iter().map(|worker| worker.said()).collect();
            panic!("not drained of {delivered} within {within:?}: {now:?}\n{}", logs.join("\n---\n"));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
