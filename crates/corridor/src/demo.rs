//! Demo: generated traffic becomes a local lake, and five auditor questions are answered from its Parquet.
//!
//! - In: a folder and a number of entries.
//! - Out: `traffic/` and `lake/` in that folder; the answers on stdout, read back from the files that landed.

use crate::cli::{BackfillArgs, DemoArgs, Records};
use crate::config::Config;
use crate::{backfill, print};
use anyhow::{Context as _, Result, bail};
use arrow_array::RecordBatch;
use chrono::Utc;
use corridor_chain::Table;
use corridor_chain::paths::generation_folder;
use corridor_lake::cell::cell;
use corridor_lake::landing::current_generations;
use corridor_lake::reader::read_bytes;
use corridor_lake::store::open_lake;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Runs the demo.
pub fn run(args: &DemoArgs, config: &Config) -> Result<ExitCode> {
    let traffic = args.out.join("traffic");
    if traffic.exists() {
        eprintln!("using the traffic that is already in {}", traffic.display());
    } else {
        eprintln!("generating {} Kong entries and their Azure records in {}", args.kong, traffic.display());
        let generate = corridor_generate::GenerateConfig {
            out: traffic.clone(),
            kong: args.kong,
            ..corridor_generate::GenerateConfig::default()
        };
        corridor_generate::generate(&generate, &mut |_| {})?;
    }
    let lake = args.out.join("lake");
    let summary = backfill::run(&backfill_args(&traffic, &lake), config, Utc::now())?;
    print(&summary.to_string())?;
    if !summary.is_complete() {
        bail!("the demo's backfill is not complete");
    }
    print(&answers(&lake)?)?;
    print(&format!("\nThe lake is in {}. Query it: see \"Query it\" in README.md.", lake.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn backfill_args(traffic: &Path, lake: &Path) -> BackfillArgs {
    let text = |path: &Path| path.display().to_string();
    BackfillArgs {
        kong: vec![text(&traffic.join("kong"))],
        synapse: vec![text(&traffic.join("synapse"))],
        directory: Some(traffic.join("directory")),
        lake: Some(text(lake)),
        from: None,
        to: None,
        records: Some(Records::On),
        dry_run: false,
        json: false,
        spill: None,
        threads: None,
        activate_after: None,
        why: "demo".into(),
    }
}

/// Rows counted by the values of some columns.
type Tally = BTreeMap<Vec<String>, u64>;

/// The current rows of a local lake.
struct Evidence {
    batches: Vec<RecordBatch>,
}

impl Evidence {
    fn read(lake: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let lake = open_lake(&lake.display().to_string())?;
        let mut batches = Vec::new();
        for (day, generation) in runtime.block_on(current_generations(&lake, Utc::now()))? {
            let folder = generation_folder(Table::Events, generation, &day);
            for file in runtime.block_on(lake.list(&folder))? {
                let bytes = runtime.block_on(lake.read(&file.key))?;
                batches.extend(read_bytes(bytes.with_context(|| format!("{} is gone", file.key))?)?);
            }
        }
        Ok(Self { batches })
    }

    /// Counts the rows that `keep` by the values of `columns`.
    fn count(&self, columns: &[&str], keep: impl Fn(&dyn Fn(&str) -> String) -> bool) -> Tally {
        let mut tally = Tally::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let value = |column: &str| match cell(batch, column, row) {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                if keep(&value) {
                    *tally.entry(columns.iter().map(|column| value(column)).collect()).or_default() += 1;
                }
            }
        }
        tally
    }
}

fn answers(lake: &Path) -> Result<String> {
    let evidence = Evidence::read(lake)?;
    let has =
        |value: &dyn Fn(&str) -> String, code: &str| value("findings").split(',').any(|found| found == code);
    let mut text = String::new();
    let mut answer =
        |question: &str, columns: &[&str], tally: Tally| table(&mut text, question, columns, tally);

    let columns = ["denied_by", "reason_code", "reason_basis"];
    answer(
        "1. Who refused requests, why, and how do we know?",
        &columns,
        evidence.count(&columns, |value| value("denied") == "true"),
    );
    let columns = ["correlation_origin"];
    answer(
        "2. Does every gateway request carry a correlation ID?",
        &columns,
        evidence.count(&columns, |value| value("source") == "kong"),
    );
    let columns = ["join_method", "join_confidence", "identity_match"];
    answer(
        "3. Is the caller the same on both sides of a match?",
        &columns,
        evidence.count(&columns, |value| value("join_state") == "matched"),
    );
    let columns = ["auth_method", "decision"];
    answer(
        "4. Who still uses static credentials?",
        &columns,
        evidence.count(&columns, |value| has(value, "STATIC_CREDENTIAL")),
    );
    let columns = ["source", "findings"];
    let bypass = ["GATEWAY_BYPASS", "GATEWAY_RECORD_MISSING", "UNAUTHENTICATED_SUCCESS", "AI_PROMPT_BLOCKED"];
    answer(
        "5. Did anything go round the gateway's policy, or was an AI prompt blocked?",
        &columns,
        evidence.count(&columns, |value| bypass.iter().any(|code| has(value, code))),
    );
    Ok(text)
}

/// Rows of an answer that are shown; the rest is summed up.
const ROWS_MAX: usize = 12;

fn table(text: &mut String, question: &str, columns: &[&str], tally: Tally) {
    let mut rows: Vec<_> = tally.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let width = |index: usize| {
        let longest = rows.iter().map(|(values, _)| values[index].chars().count()).max().unwrap_or(0);
        longest.max(columns[index].len()).max(4)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let _ = writeln!(text, "\n{question}");
    let line = |values: &[&str]| {
        let cells = values.iter().zip(&widths).map(|(value, width)| format!("{value:<width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    let _ = writeln!(text, "  {:>8}  {}", "rows", line(columns).trim_end());
    for (values, count) in rows.iter().take(ROWS_MAX) {
        let values: Vec<_> = values.iter().map(|value| if value.is_empty() { "-" } else { value }).collect();
        let _ = writeln!(text, "  {count:>8}  {}", line(&values).trim_end());
    }
    if rows.is_empty() {
        let _ = writeln!(text, "  {:>8}  none", 0);
    }
    let rest: u64 = rows.iter().skip(ROWS_MAX).map(|(_, count)| count).sum();
    if rest > 0 {
        let _ = writeln!(text, "  {rest:>8}  in {} further groups", rows.len() - ROWS_MAX);
    }
}
