//! The T-SQL is accepted by real parsers, and the Python readers notice what they are there to notice.

use corridor_evidence::tsql::{TsqlConfig, render};
use corridor_tests::python::{python_succeeds, repository};
use std::fs;

fn check_rendered(config: &TsqlConfig) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("rendered.sql");
    fs::write(&file, render(config).expect("the configuration is good")).expect("the folder is writable");
    python_succeeds("tsql/check.py", [file])
}

#[test]
fn parsers_accept_what_corridor_sql_prints() {
    let printed = check_rendered(&TsqlConfig::new("stcorridor", "evidence"));
    assert!(printed.contains("batches accepted"), "{printed}");
}

#[test]
fn parsers_accept_names_that_need_escaping() {
    let config = TsqlConfig {
        prefix: "prod/tenant=1/lake".into(),
        database: "Audit_2026".into(),
        // No bracket in the name: sqlfluff does not know `]]`. A unit test holds that escape.
        auditor_group: "O'Brien's \"external\" auditors; GO --".into(),
        ..TsqlConfig::new("stcorridor", "evidence")
    };
    check_rendered(&config);
}

#[test]
fn checker_refuses_broken_batches() {
    let printed = python_succeeds("tsql/check.py", ["--self-test"]);
    assert!(printed.contains("broken ones refused"), "{printed}");
}

#[test]
fn readers_accept_a_sound_lake_and_notice_damage() {
    let folder = repository().join("tests/readers");
    let output = std::process::Command::new(repository().join(".venv/bin/python"))
        .args(["-m", "unittest", "discover", "--pattern", "*_test.py"])
        .current_dir(folder)
        .output()
        .expect("scripts/setup-tests.sh made .venv");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
