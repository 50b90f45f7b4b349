//! Scene: traffic that most tests share, the lake that an undisturbed run makes of it, and the rules of every summary.

use corridor_tests::program::{Ended, corridor};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Generated files of both sides with their directory and truth.
pub struct Traffic {
    pub folder: PathBuf,
    pub truth: Value,
}

/// Three days, so that one day can be landed and another not.
pub static THREE_DAYS: LazyLock<Traffic> =
    LazyLock::new(|| generate("three-days", &["--kong", "6000", "--hours", "60", "--seed", "7"]));

/// The lake that an undisturbed run makes of [`THREE_DAYS`].
pub static UNDISTURBED: LazyLock<PathBuf> = LazyLock::new(|| {
    let lake = fresh_folder("undisturbed").join("lake");
    THREE_DAYS.backfill(&lake, &[]).exits(0);
    lake
});

/// An empty folder of this test binary, below the build's own folder for tests; it goes with `cargo clean`.
pub fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backfill").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// Runs `generate` into a fresh folder.
pub fn generate(name: &str, arguments: &[&str]) -> Traffic {
    let folder = fresh_folder(name).join("traffic");
    corridor([&["generate", "--out", text(&folder)], arguments].concat()).exits(0);
    let truth = fs::read(folder.join("truth.json")).expect("generate writes the truth");
    Traffic { truth: serde_json::from_slice(&truth).expect("the truth is JSON"), folder }
}

impl Traffic {
    pub fn kong(&self) -> PathBuf {
        self.folder.join("kong")
    }

    pub fn synapse(&self) -> PathBuf {
        self.folder.join("synapse")
    }

    /// The arguments of a backfill of both sides, with `--json`.
    pub fn arguments(&self, lake: &str, more: &[&str]) -> Vec<String> {
        let folders = [self.kong(), self.synapse(), self.folder.join("directory")];
        let [kong, synapse, directory] = folders.each_ref().map(|folder| text(folder));
        let fixed = [
            "backfill",
            "--kong",
            kong,
            "--synapse",
            synapse,
            "--directory",
            directory,
            "--lake",
            lake,
            "--json",
        ];
        fixed.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    /// Backfills both sides.
    pub fn backfill(&self, lake: &Path, more: &[&str]) -> Ended {
        corridor(self.arguments(text(lake), more))
    }

    /// A number of the truth, by its path.
    pub fn count(&self, path: &str) -> u64 {
        self.truth.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("the truth has no {path}"))
    }

    /// The sum over both sides of a number of the truth.
    pub fn both(&self, name: &str) -> u64 {
        self.count(&format!("/kong/{name}")) + self.count(&format!("/azure/{name}"))
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of the tests are UTF-8")
}

/// A number of a summary.
#[track_caller]
pub fn number(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("the summary has no {name}: {summary}"))
}

/// The conservation equation, at the end of a run that wrote or would have written.
#[track_caller]
pub fn assert_conserved(summary: &Value) {
    let [read, rows, duplicates, rejects, pending] =
        ["records_in", "rows", "duplicates", "rejects", "pending"].map(|name| number(summary, name));
    assert_eq!((read, pending), (rows + duplicates + rejects, 0), "{summary}");
    assert_eq!(summary["conserved"], true, "{summary}");
}

/// The conservation equation with the numbers of the truth.
#[track_caller]
pub fn assert_counts_of(traffic: &Traffic, summary: &Value) {
    assert_conserved(summary);
    for (name, truth) in
        [("records_in", "records"), ("rows", "rows"), ("duplicates", "duplicates"), ("rejects", "rejects")]
    {
        assert_eq!(number(summary, name), traffic.both(truth), "{name}: {summary}");
    }
}
