//! Live traffic: generated files as the deliveries in which a gateway and an Event Hub would bring them.
//!
//! - In: the folder of generated traffic.
//! - Out: HTTP bodies or messages; a sender that sends again until it is told 200, as Kong does.
//! - Keeps: nothing.
//! - Invariants: every record of the files is in exactly one delivery.

use crate::landed::files;
use crate::plain_http;
use crate::program::corridor;
use corridor_generate::{GenerateConfig, generate};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Pause before a delivery is sent again.
const PAUSE: Duration = Duration::from_millis(200);
/// The first second of generated traffic: a full hour long before now, so that no clock is ahead.
const START_SECONDS: u64 = 1_772_409_600;

/// Generated traffic in a folder.
#[derive(Debug)]
pub struct LiveTraffic {
    folder: PathBuf,
    /// Events and rejects in it, copies among them.
    pub records: u64,
    /// Rejects in it.
    pub rejects: u64,
}

/// One body of a POST.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where it goes.
    pub path: &'static str,
    /// What goes there.
    pub body: Vec<u8>,
}

impl LiveTraffic {
    /// Generates two hours with about so many Kong entries. Traffic of another `seed` lies on other days.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn generate(folder: &Path, kong: u64, seed: u64) -> Self {
        let start_seconds = START_SECONDS + seed * 2 * 86_400;
        let config = GenerateConfig {
            out: folder.to_owned(),
            kong,
            seed,
            hours: 2,
            start_seconds,
            ..GenerateConfig::default()
        };
        generate(&config, &mut |_| {}).expect("the folder is new");
        let text = std::fs::read(folder.join("truth.json")).expect("generate writes the truth");
        let truth: Value = serde_json::from_slice(&text).expect("the truth is JSON");
        let both =
            |name: &str| ["kong", "azure"].map(|side| truth[side][name].as_u64().expect("the truth counts"));
        let [records, rejects] = ["records", "rejects"].map(|name| both(name).iter().sum());
        Self { folder: folder.to_owned(), records, rejects }
    }

    /// The directory that belongs to it.
    pub fn directory(&self) -> PathBuf {
        self.folder.join("directory")
    }

    /// Kong's entries, one by one; broken ones among them.
    pub fn kong(&self) -> Vec<Vec<u8>> {
        lines(&self.folder.join("kong"))
    }

    /// Azure's envelopes.
    pub fn azure(&self) -> Vec<Vec<u8>> {
        lines(&self.folder.join("synapse"))
    }

    /// Bodies as Kong and a forwarder of Azure records post them: arrays of so many entries, and one body for an entry that
    /// is not JSON.
    pub fn posts(&self, batch: usize) -> Vec<Post> {
        let is_json = |entry: &Vec<u8>| serde_json::from_slice::<Value>(entry).is_ok();
        let (whole, broken): (Vec<_>, Vec<_>) = self.kong().into_iter().partition(is_json);
        let arrays =
            whole.chunks(batch).map(|entries| [b"[".to_vec(), entries.join(&b','), b"]".to_vec()].concat());
        let kong = arrays.chain(broken).map(|body| Post { path: "/v1/kong", body });
        kong.chain(self.azure().into_iter().map(|body| Post { path: "/v1/azure", body })).collect()
    }

    /// What a backfill of it makes. Several traffics may share a lake: each lies on days of its own.
    ///
    /// # Panics
    /// When it fails.
    pub fn backfill(&self, lake: &Path) {
        self.backfill_with(&self.directory(), lake);
    }

    /// The same, with the directory of other traffic.
    ///
    /// # Panics
    /// When it fails.
    pub fn backfill_with(&self, directory: &Path, lake: &Path) {
        let folders = [&*self.folder.join("kong"), &*self.folder.join("synapse"), directory, lake];
        let [kong, synapse, directory, lake] = folders.map(|path| path.to_str().expect("it is UTF-8"));
        let from = ["backfill", "--kong", kong, "--synapse", synapse];
        let to = ["--directory", directory, "--lake", lake];
        corridor([&from[..], &to].concat()).exits(0);
    }
}

fn lines(folder: &Path) -> Vec<Vec<u8>> {
    let bytes = files(folder).into_values().flatten().collect::<Vec<u8>>();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(<[u8]>::to_vec).collect()
}

/// Posts evenly over a time, each body to one worker after the other until it is taken. Returns how often that failed.
///
/// # Panics
/// When an answer neither takes a body nor asks to send it again, or nobody takes it for minutes.
pub fn post_all(posts: &[Post], ports: &[u16], over: Duration) -> u64 {
    let failures = AtomicU64::new(0);
    let began = Instant::now();
    for (number, post) in posts.iter().enumerate() {
        let due = over.mul_f64(number as f64 / posts.len() as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let mut tries = ports.iter().cycle().skip(number % ports.len()).take(900);
        let taken = tries.any(|port| match plain_http::request(*port, "POST", post.path, &post.body) {
            Ok(answer) if answer.status == 200 => true,
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.body));
                again(&failures)
            }
            Err(_) => again(&failures),
        });
        assert!(taken, "nobody takes body {number}");
    }
    failures.into_inner()
}

fn again(failures: &AtomicU64) -> bool {
    failures.fetch_add(1, Ordering::Relaxed);
    std::thread::sleep(PAUSE);
    false
}
