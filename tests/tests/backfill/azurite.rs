//! Azurite: the same backfill into an object store gives the same bytes, and reads its input from there.

use crate::scene::{THREE_DAYS, UNDISTURBED, assert_counts_of, fresh_folder, text};
use chrono::{DateTime, TimeDelta, Utc};
use corridor_tests::emulator::Emulator;
use corridor_tests::landed::{TABLES, assert_same_files, current_events, files, parquet_files};
use corridor_tests::program::{Ended, corridor_command};
use std::collections::BTreeMap;
use std::path::Path;

type Objects = BTreeMap<String, Vec<u8>>;

fn run(emulator: &Emulator, arguments: &[String]) -> Ended {
    let mut command = corridor_command();
    Ended::from(command.envs(emulator.variables()).args(arguments).output().expect("the program starts"))
}

fn tables(objects: &Objects) -> Objects {
    let is_table = |key: &str| TABLES.iter().any(|table| key.starts_with(&format!("{table}/")));
    objects.iter().filter(|(key, _)| is_table(key)).map(|(key, bytes)| (key.clone(), bytes.clone())).collect()
}

/// Seconds from now to the activation that every seal but the seed's names.
fn activation(objects: &Objects) -> Vec<TimeDelta> {
    let seals = objects.iter().filter(|(key, _)| key.starts_with("seals/") && !key.contains("1900-01-01"));
    seals
        .map(|(key, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            let moment =
                text.lines().nth(1).and_then(|line| line.split(',').nth(2)).expect("a seal has a line");
            let moment: DateTime<Utc> = format!("{}Z", moment.replace(' ', "T")).parse().expect(key);
            moment - Utc::now()
        })
        .collect()
}

async fn put_folder(emulator: &Emulator, folder: &Path, prefix: &str) {
    let container = emulator.open("inputs", prefix);
    for (key, bytes) in files(folder) {
        container.create(&key, bytes.into()).await.expect("the emulator writes");
    }
}

#[test]
fn object_store_gets_the_same_bytes_once_and_serves_as_input() {
    let emulator = Emulator::start(&["lake", "inputs"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let objects = |prefix: &str| runtime.block_on(emulator.objects("lake", prefix));

    let arguments = THREE_DAYS.arguments("az://lake/run1", &[]);
    let summary = run(&emulator, &arguments).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    let landed = objects("run1");
    assert_same_files(&tables(&landed), &parquet_files(&UNDISTURBED));
    let waits = activation(&landed);
    assert_eq!(waits.len(), 3);
    for wait in waits {
        assert!((40 * 60..=45 * 60).contains(&wait.num_seconds()), "activation after {wait}");
    }

    let summary = run(&emulator, &arguments).exits(0).json();
    assert_eq!(summary["status"], "already_landed", "{summary}");
    assert_same_files(&objects("run1"), &landed);
    let other = THREE_DAYS.arguments("az://lake/run1", &["--records", "off"]);
    run(&emulator, &other).fails_saying("2026-03-02");
    assert_same_files(&objects("run1"), &landed);

    run(&emulator, &THREE_DAYS.arguments("az://lake/dry", &["--dry-run"])).exits(0);
    assert!(objects("dry").is_empty(), "a dry run writes nothing");

    run(&emulator, &THREE_DAYS.arguments("az://lake/run2/deep", &["--activate-after", "0"])).exits(0);
    let at_once = objects("run2/deep");
    assert!(activation(&at_once).iter().all(|wait| wait.num_seconds() <= 0), "activation at once");
    assert_same_files(&tables(&at_once), &tables(&landed));

    runtime.block_on(put_folder(&emulator, &THREE_DAYS.kong(), "kong"));
    runtime.block_on(put_folder(&emulator, &THREE_DAYS.synapse(), "azure/deep"));
    let lake = fresh_folder("from-objects").join("lake");
    let directory = THREE_DAYS.folder.join("directory");
    let arguments = [
        "backfill",
        "--json",
        "--kong",
        "az://inputs/kong",
        "--synapse",
        "az://inputs/azure/",
        "--directory",
        text(&directory),
        "--lake",
        text(&lake),
    ];
    let summary = run(&emulator, &arguments.map(String::from)).exits(0).json();
    assert_counts_of(&THREE_DAYS, &summary);
    assert_eq!(current_events(&lake), current_events(&UNDISTURBED));

    let missing = ["backfill", "--kong", "az://inputs/nothing", "--lake", text(&lake)].map(String::from);
    run(&emulator, &missing).fails_saying("az://inputs/nothing");
    let no_container = THREE_DAYS.arguments("az://no-such-container/lake", &[]);
    run(&emulator, &no_container).fails_saying("no-such-container");
}
