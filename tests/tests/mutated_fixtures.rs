//! Fixtures damaged at random: both parsers take every one without a panic, and secrets planted into whole, cut and
//! doubled records come out nowhere.

use corridor_model::Side;
use corridor_refine::Context;
use corridor_tests::canary::{CANARY, plant, plant_everywhere, refine_all};
use corridor_tests::evidence::context_with;
use corridor_tests::python::repository;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A small generator, so that every run damages alike.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("below a limit of this type")
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the fixtures are there") {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_none_or(|end| end != "md") {
            found.push(path);
        }
    }
}

/// Every fixture of records with its side.
fn fixtures() -> Vec<(Side, Vec<u8>)> {
    let root = repository().join("tests/fixtures");
    let (mut kong, mut azure) = (Vec::new(), Vec::new());
    files_below(&root.join("kong"), &mut kong);
    files_below(&root.join("synapse"), &mut azure);
    kong.sort();
    azure.sort();
    let read = |path: PathBuf| fs::read(path).expect("a fixture can be read");
    let side =
        |path: &Path| if path.to_string_lossy().contains("synapse/kong") { Side::Kong } else { Side::Azure };
    let kong = kong.into_iter().map(|path| (Side::Kong, read(path)));
    kong.chain(azure.into_iter().map(|path| (side(&path), read(path)))).collect()
}

fn context() -> Context {
    context_with(&repository().join("tests/fixtures/directory"))
}

#[test]
fn damaged_bytes_never_panic() {
    let context = context();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for (side, bytes) in fixtures() {
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(damaged.len());
                match dice.below(4) {
                    0 => damaged.truncate(at),
                    1 => damaged[at] = u8::try_from(dice.below(256)).expect("below 256"),
                    2 => damaged.insert(at, b"{}[]\",:\\0\x00\xFF"[dice.below(11)]),
                    _ => drop(damaged.drain(at..(at + dice.below(40)).min(damaged.len()))),
                }
                if damaged.is_empty() {
                    break;
                }
            }
            refine_all(side, &damaged, &context);
            // The other side's parser must bear it too.
            refine_all(if side == Side::Kong { Side::Azure } else { Side::Kong }, &damaged, &context);
        }
    }
}

/// The records of a fixture as JSON texts.
fn records(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let whole: Option<Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok();
    let values = match whole {
        Some(Value::Array(items)) => items,
        Some(Value::Object(mut object)) => match object.remove("records") {
            Some(Value::Array(items)) => items,
            _ => vec![Value::Object(object)],
        },
        _ => text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    values.iter().map(Value::to_string).collect()
}

/// The object with every member twice.
fn doubled(text: &str) -> String {
    let body = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("a record is an object");
    format!("{{{body},{body}}}")
}

#[test]
fn planted_secrets_come_out_of_no_whole_cut_or_doubled_record() {
    let context = context();
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut planted_count = 0;
    for (side, bytes) in fixtures() {
        for record in records(&bytes) {
            let Some(planted) = plant(side, &record) else { continue };
            planted_count += 1;
            assert_eq!(refine_all(side, planted.as_bytes(), &context), 1);
            refine_all(side, doubled(&planted).as_bytes(), &context);
            refine_all(side, format!("{{\"records\":[{planted}]}}").as_bytes(), &context);
            refine_all(side, format!("[{}]", Value::String(planted.clone())).as_bytes(), &context);
            for _ in 0..20 {
                let at = dice.below(planted.len());
                refine_all(side, &planted.as_bytes()[..at], &context);
            }
        }
    }
    assert!(planted_count > 100, "{planted_count}");
}

#[test]
fn a_token_in_any_place_of_any_record_comes_out_nowhere() {
    let context = context();
    let secrets = [
        format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{CANARY}"),
        format!("Bearer {CANARY}"),
        format!("https://h.example/p?sig={CANARY}&api-version=1"),
        format!("SELECT 1; CREATE LOGIN x WITH PASSWORD = N'{CANARY}'"),
        format!("Server=h;Password={CANARY};"),
    ];
    let mut planted_count = 0;
    for (side, bytes) in fixtures() {
        for record in records(&bytes) {
            for secret in &secrets {
                for planted in plant_everywhere(&record, secret) {
                    planted_count += 1;
                    refine_all(side, planted.as_bytes(), &context);
                }
            }
        }
    }
    assert!(planted_count > 10_000, "{planted_count}");
}
