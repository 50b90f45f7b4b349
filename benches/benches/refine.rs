//! The parts of the hot path: refining one Kong entry and one Azure record, and redacting a record.
//!
//! - In: fixtures of the real shapes.
//! - Out: Criterion's report, in MB/s.
//! - Invariants: each group holds `serde_json::Value` on the same text as its peer, which is what a program pays
//!   that decodes into a document tree and has not yet looked at a single field. Compare within one run only.

use corridor_model::Side;
use corridor_refine::{Context, redact, refine};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;
use std::hint::black_box;

/// Fixtures are stored indented; the wire is one line.
fn compact(text: &str) -> String {
    let value: Value = serde_json::from_str(text).expect("fixtures are JSON");
    value.to_string()
}

fn records() -> [(&'static str, Side, String); 3] {
    let kong = include_str!("../../tests/fixtures/kong/ok_200_oidc.json");
    let activity = include_str!("../../tests/fixtures/synapse/activity_run_web_ok.json");
    let gateway = include_str!("../../tests/fixtures/synapse/gateway_api_request_ok.json");
    [
        ("kong", Side::Kong, compact(kong)),
        ("azure_activity", Side::Azure, compact(activity)),
        ("azure_gateway_request", Side::Azure, compact(gateway)),
    ]
}

fn refining(criterion: &mut Criterion) {
    let context = Context::default();
    for (name, side, text) in records() {
        let mut group = criterion.benchmark_group(format!("refine/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("corridor", |bencher| {
            bencher.iter(|| {
                refine(side, black_box(text.as_bytes()), &context, &mut |outcome| {
                    black_box(&outcome);
                });
            });
        });
        group.bench_function("serde_json_value", |bencher| {
            bencher.iter(|| serde_json::from_str::<Value>(black_box(&text)));
        });
        group.finish();
    }
}

fn redacting(criterion: &mut Criterion) {
    for (name, side, text) in records() {
        let mut group = criterion.benchmark_group(format!("redact/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut out = Vec::with_capacity(text.len() * 2);
        group.bench_function("corridor", |bencher| {
            bencher.iter(|| {
                out.clear();
                redact::record(side, black_box(&text), None, &mut out)
            });
        });
        group.bench_function("serde_json_value_and_back", |bencher| {
            bencher.iter(|| serde_json::from_str::<Value>(black_box(&text)).map(|value| value.to_string()));
        });
        group.finish();
    }
}

criterion_group!(parts, refining, redacting);
criterion_main!(parts);
