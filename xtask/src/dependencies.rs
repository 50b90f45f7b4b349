//! Which crate may use which: the table of the layout, checked against the manifests.
//!
//! - In: the `Cargo.toml` of every package.
//! - Out: one problem for each edge that is not allowed.
//! - Keeps: nothing.
//! - Invariants: development dependencies on our own crates count as well; pure crates name no I/O crate at all.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// Package, and the packages of ours that it may use. A package that is not listed may use nothing of ours.
const ALLOWED: &[(&str, &[&str])] = &[
    ("corridor-model", &[]),
    ("corridor-intake", &["corridor-model"]),
    ("corridor-refine", &["corridor-model"]),
    ("corridor-chain", &["corridor-model"]),
    ("corridor-generate", &["corridor-model"]),
    ("corridor-shard", &["corridor-model", "corridor-refine", "corridor-chain"]),
    ("corridor-lake", &["corridor-model", "corridor-refine", "corridor-chain", "corridor-testkit"]),
    ("corridor-evidence", &["corridor-model", "corridor-lake"]),
    ("corridor-testkit", &["corridor-model", "corridor-chain", "corridor-intake"]),
    ("xtask", &["corridor-evidence"]),
];

/// Packages that wire or test everything.
const FREE: &[&str] = &["corridor", "corridor-tests", "corridor-benches", "corridor-fuzz"];

/// Packages without I/O, clock or random source.
const PURE: &[&str] = &["corridor-model", "corridor-refine", "corridor-chain", "corridor-shard"];

/// What pure packages must not name, not even for development.
const IMPURE: &[&str] =
    &["tokio", "object_store", "rdkafka", "reqwest", "hyper", "rand", "getrandom", "async-std", "fastrand"];

/// All problems of all manifests.
pub(crate) fn problems(manifests: &[impl AsRef<Path>]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in manifests {
        let path = path.as_ref();
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let manifest: toml::Table = text.parse().with_context(|| format!("parse {}", path.display()))?;
        problems.extend(manifest_problems(&manifest));
    }
    Ok(problems)
}

fn manifest_problems(manifest: &toml::Table) -> Vec<String> {
    let Some(name) =
        manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str())
    else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for dependency in dependency_names(manifest) {
        if PURE.contains(&name) && IMPURE.contains(&dependency.as_str()) {
            problems.push(format!("{name} must stay pure, but depends on {dependency}"));
        }
        let is_ours = dependency == "corridor" || dependency.starts_with("corridor-");
        let allowed =
            ALLOWED.iter().find(|(package, _)| *package == name).map_or(&[][..], |(_, allowed)| allowed);
        if is_ours && !FREE.contains(&name) && !allowed.contains(&dependency.as_str()) {
            problems.push(format!("{name} must not depend on {dependency}"));
        }
    }
    problems
}

/// Names under every kind of dependency table, also those for one target.
fn dependency_names(manifest: &toml::Table) -> Vec<String> {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(|target| target.as_table());
    tables.extend(
        targets.into_iter().flat_map(|targets| targets.values()).filter_map(|target| target.as_table()),
    );
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let pairs = tables.into_iter().flat_map(|table| kinds.map(|kind| table.get(kind)));
    let listed = pairs.flatten().filter_map(|table| table.as_table());
    listed.flat_map(|table| table.iter().map(|(key, value)| package_name(key, value))).collect()
}

/// The real name behind a renamed dependency.
fn package_name(key: &str, value: &toml::Value) -> String {
    value.get("package").and_then(|package| package.as_str()).unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        manifest_problems(&text.parse().unwrap())
    }

    #[test]
    fn edge_against_the_flow_is_named() {
        let text =
            "[package]\nname = \"corridor-refine\"\n[dev-dependencies]\ncorridor-lake.workspace = true";
        assert_eq!(problems_of(text), ["corridor-refine must not depend on corridor-lake"]);
        let text = "[package]\nname = \"corridor-lake\"\n[dependencies]\ncorridor-refine.workspace = true";
        assert!(problems_of(text).is_empty());
    }

    #[test]
    fn pure_crate_with_io_is_named_even_when_renamed_or_for_one_target() {
        let text = "[package]\nname = \"corridor-model\"\n[target.'cfg(unix)'.dependencies]\n\
                    rt = { package = \"tokio\", version = \"1\" }";
        assert_eq!(problems_of(text), ["corridor-model must stay pure, but depends on tokio"]);
    }

    #[test]
    fn unlisted_package_may_use_nothing_of_ours() {
        let text = "[package]\nname = \"corridor-new\"\n[dependencies]\ncorridor-model.workspace = true";
        assert_eq!(problems_of(text).len(), 1);
    }
}
