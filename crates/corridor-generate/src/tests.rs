//! Tests of the whole generator.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

fn config(out: &Path, kong: u64) -> GenerateConfig {
    GenerateConfig { out: out.to_owned(), kong, hours: 6, ..GenerateConfig::default() }
}

fn run(config: &GenerateConfig) -> Truth {
    generate(config, &mut |_| {}).unwrap()
}

fn files(folder: &Path, root: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, root, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            into.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn all_files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(root, root, &mut found);
    found
}

fn lines<'a>(found: &'a BTreeMap<String, Vec<u8>>, prefix: &str) -> Vec<&'a [u8]> {
    let chosen = found.iter().filter(|(name, _)| name.starts_with(prefix));
    chosen.flat_map(|(_, bytes)| bytes.split(|&byte| byte == b'\n')).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for pt1h in [false, true] {
        let folders =
            [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (folder, seed) in folders.iter().zip([5, 5, 6]) {
            run(&GenerateConfig { seed, pt1h, ..config(folder.path(), 1500) });
        }
        let [first, second, other] = folders.each_ref().map(|folder| all_files(folder.path()));
        assert!(first == second, "pt1h {pt1h}");
        assert!(first != other, "pt1h {pt1h}");
    }
}

#[test]
fn a_seed_gives_these_bytes_on_every_platform() {
    let folder = tempfile::tempdir().unwrap();
    run(&config(folder.path(), 500));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (name, bytes) in all_files(folder.path()) {
        let text = name.bytes().chain(bytes);
        text.for_each(|byte| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }
    // A change of the traffic changes this number; a change of anything else must not.
    assert_eq!(hash, 8_933_480_462_641_828_786);
}

#[test]
fn a_small_set_has_every_case_and_conserves_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let truth = run(&config(folder.path(), 2000));
    assert_eq!(truth.kong.rows, 2000);
    for side in [&truth.kong, &truth.azure] {
        assert_eq!(side.records, side.rows + side.duplicates + side.rejects);
        assert!(side.duplicates >= 2, "adjacent and far copies");
        for method in ["request_id", "correlation_id", "run_id", "identity_time"] {
            assert!(side.matched_by_method[method] > 0, "{method}");
        }
        assert_eq!(side.matched, side.matched_by_method.values().sum::<u64>());
        assert_eq!(side.rows, side.rows_by_decision.values().sum::<u64>());
    }
    assert_eq!(truth.rows, truth.rows_by_hour.values().map(|hour| hour.kong + hour.azure).sum::<u64>());
    let findings = [
        "AI_PROMPT_BLOCKED",
        "CORRELATION_REUSED",
        "DENIED_AFTER_UPSTREAM",
        "EXPIRED_TOKEN_ACCEPTED",
        "IDENTITY_MISMATCH",
        "INVALID_UTF8",
        "NO_CORRELATION_ID",
        "STATIC_CREDENTIAL",
        "UNAUTHENTICATED_SUCCESS",
        "UNKNOWN_PRINCIPAL",
    ];
    findings.iter().for_each(|finding| assert!(truth.kong.rows_by_finding[*finding] > 0, "{finding}"));
    for finding in ["GATEWAY_BYPASS", "GATEWAY_RECORD_MISSING", "IDENTITY_MISMATCH"] {
        assert!(truth.azure.rows_by_finding[finding] > 0, "{finding}");
    }
    assert_eq!(truth.kong.rows_by_reason.len(), 24, "{:?}", truth.kong.rows_by_reason);
    assert_eq!(truth.azure.rejects_by_kind.len(), 3);
    assert_eq!(truth.kong.rejects_by_kind.len(), 5);
    let stored: Truth =
        serde_json::from_slice(&std::fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    assert_eq!(stored, truth);
}

#[test]
fn every_line_is_json_but_the_planted_ones() {
    let folder = tempfile::tempdir().unwrap();
    let truth = run(&config(folder.path(), 3000));
    let found = all_files(folder.path());
    let count_bad = |prefix: &str| {
        let parse =
            |line: &&[u8]| serde_json::from_str::<serde_json::Value>(&String::from_utf8_lossy(line)).is_err();
        lines(&found, prefix).iter().filter(|line| parse(line)).count() as u64
    };
    let kinds = &truth.kong.rejects_by_kind;
    assert_eq!(count_bad("kong/"), kinds["cut_line"] + kinds["foreign_line"] + kinds["torn_end"]);
    let kinds = &truth.azure.rejects_by_kind;
    assert_eq!(count_bad("synapse/"), kinds["cut_line"] + kinds["torn_end"]);
    // Each Kong line is a record, but for arrays of two.
    assert_eq!(lines(&found, "kong/").len() as u64, truth.kong.records - truth.cases["entry_in_array"] / 2);
}

#[test]
fn every_canary_is_in_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let truth = run(&config(folder.path(), 2000));
    let found = all_files(folder.path());
    let mut text = String::new();
    found
        .iter()
        .filter(|(name, _)| *name != "truth.json")
        .for_each(|(_, bytes)| text += &String::from_utf8_lossy(bytes));
    let present = truth.canaries.iter().filter(|canary| text.contains(*canary)).count();
    assert!(present > 20 && present == truth.canaries.len(), "{present} of {}", truth.canaries.len());
}

#[test]
fn an_archive_has_the_paths_of_azure_and_late_records_in_later_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let truth = run(&GenerateConfig { pt1h: true, ..config(folder.path(), 3000) });
    let found = all_files(folder.path());
    let blob = "synapse/insights-logs-integrationactivityruns/resourceId=/SUBSCRIPTIONS/3F6C2A10-0D1B-4C7E-9A55-6B1F0E2D4C88/RESOURCEGROUPS/RG-ANALYTICS-PROD/PROVIDERS/MICROSOFT.SYNAPSE/WORKSPACES/SYNW-AUDIT-PROD/y=2026/m=03/d=02/h=02/m=00/PT1H.json";
    let text = String::from_utf8_lossy(&found[blob]);
    assert!(text.contains("\"time\":\"2026-03-02T01:"), "a record of the hour before");
    assert!(text.contains("\"time\":\"2026-03-02T02:"));
    assert!(found.keys().any(|name| name.contains("/SQLPOOLS/DWHPROD/y=2026/")));
    assert_eq!(lines(&found, "synapse/").len() as u64, truth.azure.records);
}

#[test]
fn a_folder_in_use_and_an_empty_time_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zero = GenerateConfig { hours: 0, ..config(folder.path(), 10) };
    assert!(matches!(generate(&zero, &mut |_| {}), Err(GenerateError::Config { field: "hours", .. })));
    run(&config(folder.path(), 10));
    assert!(matches!(generate(&config(folder.path(), 10), &mut |_| {}), Err(GenerateError::NotEmpty { .. })));
}
