//! The command line of the real binary: help, usage errors, and the commands that need no lake.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 6] = ["backfill", "generate", "demo", "check", "sql", "explain"];

fn corridor(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corridor"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CORRIDOR_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

#[track_caller]
fn exits(arguments: &[&str], code: i32) -> (String, String) {
    let output = corridor(arguments, &[]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n--- stderr\n{stderr}\n--- stdout\n{stdout}");
    (stdout, stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fixtures(side: &str) -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures")).join(side);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it is listed").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json" || end == "ndjson"));
    files.sort();
    assert!(files.len() > 5, "{} has too few fixtures", folder.display());
    files
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the paths of the tests are UTF-8")
}

/// Names of the evidence columns, from the one list of them.
fn column_names() -> Vec<String> {
    let contract = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/evidence.toml"));
    let contract: toml::Table = contract.expect("the contract is there").parse().expect("it is TOML");
    let columns = contract["column"].as_array().expect("it lists columns");
    columns.iter().map(|column| column["name"].as_str().expect("columns have names").to_owned()).collect()
}

#[test]
fn help_of_the_program_and_of_each_command_is_printed() {
    let (help, _) = exits(&["--help"], 0);
    for command in COMMANDS {
        assert!(help.contains(command), "{command} is not in the help");
        let (own, _) = exits(&[command, "--help"], 0);
        assert!(own.contains("Usage: corridor"), "{own}");
    }
    let (version, _) = exits(&["--version"], 0);
    assert_eq!(version.trim(), concat!("corridor ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_2_and_prints_nothing_on_stdout() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["no-such-command"],
        &["backfill", "--no-such-flag"],
        &["backfill", "--kong", "x", "--from", "yesterday"],
        &["backfill", "--kong", "x", "--records", "maybe"],
        &["generate", "--kong", "10"],
        &["sql", "--account", "a"],
        &["explain"],
    ];
    for arguments in wrong {
        let (stdout, stderr) = exits(arguments, 2);
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.contains("Usage:") || stderr.contains("error:"), "{stderr}");
    }
    let (_, stderr) = exits(&["--config", "no-such.toml", "backfill", "--kong", "x"], 2);
    assert!(stderr.contains("no-such.toml"), "{stderr}");
}

#[test]
fn sql_prints_every_part_of_the_script() {
    let (script, _) =
        exits(&["sql", "--account", "stcorridor", "--container", "evidence", "--prefix", "prod"], 0);
    let parts = [
        "CREATE DATABASE",
        "EXTERNAL DATA SOURCE",
        "audit.events",
        "audit.records",
        "audit.rejects",
        "audit.generation",
        "EQ-01",
        "EQ-02",
        "EQ-03",
        "EQ-04",
        "EQ-05",
        "stcorridor",
        "evidence/prod",
        "grp-soc2-auditors",
    ];
    for part in parts {
        assert!(script.contains(part), "no {part} in the script");
    }
    exits(&["sql", "--account", "st'corridor", "--container", "evidence"], 1);
}

#[test]
fn check_tells_all_problems_of_configuration_and_directory_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("corridor.toml"), "correlation_headers = []\ntoken_lifetime_seconds_max = 0\n")
        .expect("it is writable");
    fs::write(at("principals.csv"), "object_id,upn\nnot-a-guid,ana@contoso.example\n")
        .expect("it is writable");
    fs::write(at("kong.yaml"), "services: [\n").expect("it is writable");
    let (stdout, stderr) =
        exits(&["--config", path(&at("corridor.toml")), "check", "--directory", path(folder.path())], 2);
    let told = stdout + &stderr;
    for part in ["correlation_headers", "token_lifetime_seconds_max", "principals.csv", "kong.yaml"] {
        assert!(told.contains(part), "nothing about {part} in:\n{told}");
    }
    let (stdout, _) = exits(&["check"], 0);
    assert!(stdout.contains("ok"), "{stdout}");
}

#[test]
fn explain_gives_every_column_of_every_fixture() {
    let columns = column_names();
    for side in ["kong", "synapse"] {
        let mut events = 0;
        for fixture in fixtures(side) {
            let (stdout, _) = exits(&["explain", "--json", path(&fixture)], 0);
            for line in stdout.lines() {
                let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                if object.get("reject").is_some() {
                    continue;
                }
                events += 1;
                for column in &columns {
                    assert!(object.get(column).is_some(), "{}: no {column} in {line}", fixture.display());
                }
                assert!(object["explain"]["rule"].is_string(), "{line}");
                let is_kong = object["source"] == "kong";
                assert_eq!(is_kong, side == "kong", "{}: taken for {}", fixture.display(), object["source"]);
            }
            let (told, stderr) = exits(&["explain", path(&fixture)], 0);
            let is_told = told.contains("rule") || told.contains("rejected") || stderr.contains("no record");
            assert!(is_told, "{}: {told}", fixture.display());
        }
        assert!(events > 20, "only {events} events in the fixtures of {side}");
    }
}

#[test]
fn explain_joins_what_is_in_one_file_and_reads_standard_input() {
    let pair = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/synapse"));
    let read = |name: &str| fs::read_to_string(pair.join(name)).expect("the fixture is there");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("pair.json");
    fs::write(&file, read("kong/kong_web_403.json") + &read("denied_web_403.json")).expect("it is writable");
    let (stdout, _) = exits(&["explain", "--json", path(&file)], 0);
    let rows: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(rows.len(), 2, "{stdout}");
    for (row, peer) in [(&rows[0], &rows[1]), (&rows[1], &rows[0])] {
        assert_eq!(row["join_state"], "matched", "{row}");
        assert_eq!(row["peer_event_id"], peer["event_id"], "{row}");
        assert_eq!(row["join_method"], "request_id", "{row}");
        assert_eq!(row["denied"], true, "{row}");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_corridor"))
        .args(["explain", "--json", "-"])
        .stdin(fs::File::open(&file).expect("it was written"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut piped = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("it is piped"), &mut piped)
        .expect("it is text");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(piped.lines().count(), 2, "{piped}");
    let (_, stderr) = exits(&["explain", "no-such-file"], 1);
    assert!(stderr.contains("no-such-file"), "{stderr}");
}
