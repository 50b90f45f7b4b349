//! Rules of the repository that no other tool checks.
//!
//! - In: all tracked and new files, as git lists them.
//! - Out: one line for each problem, in the order of the files.
//! - Keeps: nothing.
//! - Invariants: reads only.

use crate::{dependencies, source};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Module names that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "types", "manager", "misc"];

/// Files that a reader expects, and that must not be empty.
const EXPECTED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "deny.toml",
    "schemas/evidence.toml",
    "docs/data-dictionary.md",
    "docs/adr/GAPS.md",
    ".ci/run",
    "scripts/test.sh",
];

/// All problems of the tree.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let files = tracked_files(root)?;
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        problems.extend(name_problem(path));
        let text = fs::read_to_string(root.join(path)).with_context(|| format!("read {}", path.display()))?;
        problems.extend(source::problems(path, &text));
    }
    let manifests: Vec<PathBuf> =
        files.iter().filter(|path| path.ends_with("Cargo.toml")).map(|path| root.join(path)).collect();
    problems.extend(dependencies::problems(&manifests)?);
    problems.extend(missing_files(root));
    problems.extend(missing_golden_files(&files, &golden_texts(root, &files)));
    Ok(problems)
}

/// Tracked files and new ones that are not ignored, so that a problem shows before the commit.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("run git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let list = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    let mut files: Vec<PathBuf> = list.split_terminator('\0').map(PathBuf::from).collect();
    files.retain(|path| root.join(path).is_file());
    files.sort();
    Ok(files)
}

fn name_problem(path: &Path) -> Option<String> {
    let steps = path.iter().filter_map(|step| step.to_str());
    let empty = steps.map(|step| step.trim_end_matches(".rs")).find(|step| EMPTY_NAMES.contains(step));
    if let Some(name) = empty {
        return Some(format!("{}: the name {name} says nothing", path.display()));
    }
    path.ends_with("mod.rs").then(|| format!("{}: put the front door beside the folder", path.display()))
}

fn missing_files(root: &Path) -> Vec<String> {
    let is_there = |path: &&&str| fs::metadata(root.join(path)).is_ok_and(|meta| meta.len() > 0);
    EXPECTED.iter().filter(|path| !is_there(path)).map(|path| format!("{path}: missing or empty")).collect()
}

/// The approved outcomes: path below `tests/golden`, and text.
fn golden_texts(root: &Path, files: &[PathBuf]) -> Vec<(String, String)> {
    let below = |path: &PathBuf| {
        path.strip_prefix("tests/golden").ok().map(|rest| rest.to_string_lossy().into_owned())
    };
    let text = |name: String| {
        let text = fs::read_to_string(root.join("tests/golden").join(&name)).unwrap_or_default();
        (name, text)
    };
    files.iter().filter_map(below).map(text).collect()
}

/// Every record fixture needs an approved outcome: a golden file of the same path with any extension, or a golden file
/// that names it. The directory folder beside the records is no record.
fn missing_golden_files(files: &[PathBuf], golden: &[(String, String)]) -> Vec<String> {
    if golden.is_empty() {
        return vec!["tests/golden: no approved outcomes".to_owned()];
    }
    let is_record = |path: &&PathBuf| path.extension().is_some_and(|extension| extension != "md");
    let records = files.iter().filter(is_record);
    records
        .filter_map(|path| path.strip_prefix("tests/fixtures").ok())
        .filter(|fixture| !fixture.starts_with("directory"))
        .filter(|fixture| !golden.iter().any(|(name, text)| is_outcome_of(fixture, name, text)))
        .map(|fixture| {
            format!("tests/fixtures/{}: no approved outcome under tests/golden", fixture.display())
        })
        .collect()
}

fn is_outcome_of(fixture: &Path, golden_name: &str, golden_text: &str) -> bool {
    let stem = fixture.with_extension("");
    let rest = golden_name.strip_prefix(&*stem.to_string_lossy());
    rest.is_some_and(|rest| rest.starts_with('.')) || golden_text.contains(&*fixture.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_nothing_are_refused() {
        assert!(name_problem(Path::new("crates/a/src/util.rs")).is_some());
        assert!(name_problem(Path::new("crates/a/src/helpers/x.rs")).is_some());
        assert!(name_problem(Path::new("crates/a/src/join/mod.rs")).is_some());
        assert!(name_problem(Path::new("crates/a/src/utility_bill.rs")).is_none());
    }

    #[test]
    fn fixture_without_golden_file_is_named() {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        let files = paths(&[
            "tests/fixtures/kong/a.json",
            "tests/fixtures/kong/ab.json",
            "tests/fixtures/kong/README.md",
            "tests/fixtures/kong/c.json",
            "tests/fixtures/directory/kong.yaml",
        ]);
        let golden = [("kong/a.jsonl", "{}"), ("rest.jsonl", "{\"fixture\":\"kong/c.json\"}")];
        let golden = golden.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let missing = missing_golden_files(&files, &golden);
        assert_eq!(missing, ["tests/fixtures/kong/ab.json: no approved outcome under tests/golden"]);
        assert_eq!(missing_golden_files(&files, &[]).len(), 1);
    }
}
