//! Every fixture has an approved outcome below `tests/golden`: its events under the evidence columns, or its
//! rejections. `UPDATE_GOLDEN=1 cargo test -p corridor-tests --test golden` writes what is true now; read the
//! difference before you approve it. Nulls are left out.
//!
//! `<fixture>.json` is the outcome without a directory. `<fixture>.directory.json` holds, row by row, the columns
//! that `tests/fixtures/directory` changes (null: the column is empty with it); it exists where there are any.

use corridor_model::Side;
use corridor_refine::Context;
use corridor_tests::evidence::{Reading, context_with};
use corridor_tests::python::repository;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    repository().join("tests/fixtures")
}

/// Files below a folder, as paths relative to `root`, sorted.
fn files_below(root: &Path, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            found.extend(files_below(root, &path));
        } else {
            let name = path.strip_prefix(root).expect("a file stands below its root");
            found.push(name.to_string_lossy().replace('\\', "/"));
        }
    }
    found.sort();
    found
}

fn is_fixture(name: &str) -> bool {
    !name.ends_with(".md") && !name.starts_with("directory/")
}

fn side_of(fixture: &str) -> Side {
    let is_kong = fixture.starts_with("kong/") || fixture.starts_with("synapse/kong/");
    if is_kong { Side::Kong } else { Side::Azure }
}

fn outcome(fixture: &str, context: &Context) -> Vec<Value> {
    Reading::new(context).file(side_of(fixture), &fixtures().join(fixture), fixture).rows()
}

/// The members of `with` that differ from `without`.
fn difference(without: &Value, with: &Value) -> Value {
    let empty = Map::new();
    let members = |value: &Value| value.as_object().unwrap_or(&empty).clone();
    let (without, with) = (members(without), members(with));
    let mut changed = Map::new();
    for name in without.keys().chain(with.keys()) {
        match (without.get(name), with.get(name)) {
            (old, new) if old == new => {}
            (Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) => {
                changed.insert(name.clone(), difference(old, new));
            }
            (_, new) => drop(changed.insert(name.clone(), new.cloned().unwrap_or(Value::Null))),
        }
    }
    Value::Object(changed)
}

/// Golden files by name, as the code makes them now.
fn current() -> BTreeMap<String, String> {
    let plain = Context::default();
    let known = context_with(&fixtures().join("directory"));
    let pretty = |rows: &[Value]| serde_json::to_string_pretty(rows).expect("JSON prints") + "\n";
    let mut golden = BTreeMap::new();
    for fixture in files_below(&fixtures(), &fixtures()).into_iter().filter(|name| is_fixture(name)) {
        let without = outcome(&fixture, &plain);
        let with = outcome(&fixture, &known);
        let changes: Vec<_> = without.iter().zip(&with).map(|(old, new)| difference(old, new)).collect();
        assert_eq!(without.len(), with.len(), "{fixture}: a directory changes no count");
        golden.insert(format!("{fixture}.json"), pretty(&without));
        if changes.iter().any(|change| change.as_object().is_some_and(|members| !members.is_empty())) {
            golden.insert(format!("{fixture}.directory.json"), pretty(&changes));
        }
    }
    golden
}

#[test]
fn every_fixture_has_its_approved_outcome() {
    let folder = repository().join("tests/golden");
    let current = current();
    let approved = files_below(&folder, &folder);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(std::env::var_os("CI").is_none(), "CI compares, it approves nothing");
        for stale in approved.iter().filter(|name| !current.contains_key(*name)) {
            fs::remove_file(folder.join(stale)).expect("a stale file can be removed");
        }
        for (name, text) in &current {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().expect("a file has a folder")).expect("a folder can be made");
            fs::write(file, text).expect("a golden file can be written");
        }
        return;
    }
    let mut wrong = Vec::new();
    for name in approved.iter().filter(|name| !current.contains_key(*name)) {
        wrong.push(format!("{name}: no fixture gives this any more"));
    }
    for (name, text) in &current {
        match fs::read_to_string(folder.join(name)) {
            Err(_) => wrong.push(format!("{name}: no approved outcome")),
            Ok(approved) if approved != *text => {
                wrong.push(format!("{name}: {}", first_change(&approved, text)))
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} outcomes are not approved:\n{}", wrong.len(), wrong.join("\n"));
}

fn first_change(approved: &str, now: &str) -> String {
    let changed = approved.lines().zip(now.lines()).enumerate().find(|(_, (old, new))| old != new);
    match changed {
        Some((line, (old, new))) => format!("line {}: {} became {}", line + 1, old.trim(), new.trim()),
        None => "one is longer than the other".into(),
    }
}

/// Synapse fixture, Kong fixture, rung, decision, reason, basis on the Synapse side, identity.
const PAIRS: [[&str; 7]; 4] = [
    ["activity_run_web_ok", "kong_web_ok", "request_id", "allowed", "", "", "equal"],
    ["denied_web_401", "kong_web_401", "correlation_id", "denied", "AUTH_FAILED", "join", "unknown"],
    ["denied_web_403", "kong_web_403", "request_id", "denied", "AUTHZ_ACL", "join", "equal"],
    ["denied_web_429", "kong_web_429", "request_id", "denied", "RATE_LIMITED", "join", "equal"],
];

#[test]
fn documented_pairs_join_by_the_documented_rung() {
    let context = context_with(&fixtures().join("directory"));
    for [synapse, kong, rung, decision, reason, basis, identity] in PAIRS {
        let [synapse, kong] = [format!("synapse/{synapse}.json"), format!("synapse/kong/{kong}.json")];
        let rows = Reading::new(&context)
            .file(Side::Azure, &fixtures().join(&synapse), &synapse)
            .file(Side::Kong, &fixtures().join(&kong), &kong)
            .rows();
        let text = |row: usize, column: &str| rows[row][column].as_str().unwrap_or("").to_owned();
        for row in 0..2 {
            assert_eq!(text(row, "join_state"), "matched", "{kong}");
            assert_eq!(text(row, "join_method"), rung, "{kong}");
            assert_eq!(text(row, "join_confidence"), "exact", "{kong}");
            assert_eq!(text(row, "identity_match"), identity, "{kong}");
            assert_eq!(text(row, "decision"), decision, "{kong}");
            assert_eq!(text(row, "reason_code"), reason, "{kong}");
            assert_eq!(text(row, "peer_event_id"), text(1 - row, "event_id"), "{kong}");
        }
        assert_eq!(text(0, "reason_basis"), basis, "{synapse}");
        let denied_by = if decision == "denied" { "gateway" } else { "" };
        assert_eq!(text(0, "denied_by"), denied_by, "{synapse}");
    }
}
