//! The command line: names, flags and their environment twins.

use crate::config::Role;
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Turns the traffic of one corridor, Azure Synapse ⇄ Kong Gateway ⇄ APIs, into evidence an auditor can trust.
#[derive(Debug, Parser)]
#[command(name = "corridor", version, max_term_width = 100)]
pub struct Cli {
    /// Configuration file (TOML); every key also has an environment variable, CORRIDOR_ and its name.
    #[arg(long, global = true, env = "CORRIDOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read Kong and Azure files; land joined, flagged, partitioned Parquet as a new generation of their days.
    Backfill(BackfillArgs),
    /// Write seeded, realistic traffic of both sides, a directory folder and the truth about them.
    Generate(GenerateArgs),
    /// Run the worker: receive records over HTTP and Kafka, join them, and write evidence, until it is told to stop.
    Run(RunArgs),
    /// Show a running worker's shards: lag, last commit, pending, duplicates, rejects, memory, and the conservation equation.
    Status(StatusArgs),
    /// Accept that records of the log are lost: the shard goes on behind them, and its chain says so for ever.
    Gap(GapArgs),
    /// Generate traffic, backfill it into a local lake, and answer five auditor questions from the Parquet.
    Demo(DemoArgs),
    /// Check configuration and directory; report all problems at once.
    Check(CheckArgs),
    /// Print the T-SQL that opens the lake to auditors in Synapse serverless SQL.
    Sql(SqlArgs),
    /// Show what Corridor makes of one record: event, redactions, principal, decision and the rule that gave it.
    Explain(ExplainArgs),
}

/// Whether the redacted original records are kept beside the evidence rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Records {
    /// Keep them in `records/`.
    On,
    /// Leave them out.
    Off,
}

/// Flags of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Kong http-log entries: file, glob, folder or URL (az://, abfss://, s3://); gzip, zstd or plain. Repeatable.
    #[arg(long, value_name = "SOURCE", num_args = 1.., env = "CORRIDOR_KONG", value_delimiter = None)]
    pub kong: Vec<String>,
    /// Azure diagnostic records: NDJSON, envelopes or PT1H.json trees; named like --kong. Repeatable.
    #[arg(long, value_name = "SOURCE", num_args = 1.., env = "CORRIDOR_SYNAPSE")]
    pub synapse: Vec<String>,
    /// Folder with principals.csv, workspaces.csv, kong.yaml, routes.csv (all optional).
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// Where the evidence goes: a folder, az://container/prefix (ADLS), or s3://bucket/prefix; default: ./lake.
    #[arg(long, value_name = "URL", env = "CORRIDOR_LAKE")]
    pub lake: Option<String>,
    /// Only rows at or after this moment of event time (RFC 3339, or a date).
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    pub from: Option<DateTime<Utc>>,
    /// Only rows before this moment of event time (RFC 3339, or a date).
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    pub to: Option<DateTime<Utc>>,
    /// Keep the redacted original records; default: on.
    #[arg(long, value_enum, env = "CORRIDOR_RECORDS")]
    pub records: Option<Records>,
    /// Read and join everything, print what would land, write nothing to the lake.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the summary as one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
    /// Folder for temporary files, about 60 % of the decompressed input (twice that with records); default: the system's.
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_SPILL")]
    pub spill: Option<PathBuf>,
    /// Worker threads; default: one per core.
    #[arg(long, value_name = "N", env = "CORRIDOR_THREADS")]
    pub threads: Option<usize>,
    /// Seconds until views show the new generation; default: 0 in a folder, else activation_delay_seconds (45 min).
    #[arg(long, value_name = "SECONDS", env = "CORRIDOR_ACTIVATE_AFTER")]
    pub activate_after: Option<u32>,
    /// Why this backfill is run; kept in its open entry.
    #[arg(long, value_name = "TEXT", default_value = "backfill")]
    pub why: String,
}

/// Flags of `run`. Everything else is in the configuration; `corridor check` tells what is wrong with it.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// Where the evidence goes: a folder, az://container/prefix (ADLS), or s3://bucket/prefix; default: ./lake.
    #[arg(long, value_name = "URL", env = "CORRIDOR_LAKE")]
    pub lake: Option<String>,
    /// Folder with principals.csv, workspaces.csv, kong.yaml, routes.csv (all optional); reloaded when it changes.
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// Keep the redacted original records; default: on.
    #[arg(long, value_enum, env = "CORRIDOR_RECORDS")]
    pub records: Option<Records>,
    /// What this worker does: intake, join, or both (default). Only with the Kafka log can they be split.
    #[arg(long, value_enum, value_delimiter = ',', env = "CORRIDOR_ROLES")]
    pub roles: Vec<Role>,
    /// Address of the HTTP receiver, and of health, metrics and status; default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS", env = "CORRIDOR_HTTP_LISTEN")]
    pub listen: Option<std::net::SocketAddr>,
    /// Folder of the embedded log; default: ./log.
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_LOG_FOLDER")]
    pub log: Option<PathBuf>,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Addresses of the workers. Repeatable.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `gap`.
#[derive(Debug, Args)]
pub struct GapArgs {
    /// Where the evidence goes.
    #[arg(long, value_name = "URL", env = "CORRIDOR_LAKE")]
    pub lake: Option<String>,
    /// The shard that has stopped.
    #[arg(long)]
    pub shard: u32,
    /// First offset that is lost.
    #[arg(long)]
    pub from: u64,
    /// First offset behind the lost ones.
    #[arg(long)]
    pub to: u64,
    /// Why the records are lost, for the auditor.
    #[arg(long)]
    pub reason: String,
    /// Who accepts that.
    #[arg(long)]
    pub by: String,
}

/// Flags of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write into; created if missing.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Number of distinct Kong entries; Azure records come to about 0.4 of it.
    #[arg(long, value_name = "N")]
    pub kong: u64,
    /// Seed: the same seed gives the same bytes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Hours of event time to spread the traffic over.
    #[arg(long, value_name = "H", default_value_t = 24)]
    pub hours: u32,
    /// Write the Azure side as the storage archive's PT1H.json tree instead of NDJSON envelopes.
    #[arg(long)]
    pub pt1h: bool,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for traffic and lake.
    #[arg(long, value_name = "FOLDER", default_value = "./demo")]
    pub out: PathBuf,
    /// Number of Kong entries.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub kong: u64,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The directory folder to check.
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_DIRECTORY")]
    pub directory: Option<PathBuf>,
}

/// Flags of `sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// Storage account of the lake.
    #[arg(long)]
    pub account: String,
    /// Container of the lake.
    #[arg(long)]
    pub container: String,
    /// Folder of the lake inside the container.
    #[arg(long, default_value = "")]
    pub prefix: String,
    /// Database to create.
    #[arg(long, default_value = "corridor_audit")]
    pub database: String,
    /// Entra group of the auditors.
    #[arg(long, default_value = "grp-soc2-auditors")]
    pub auditors: String,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// One JSON object per event, under the evidence column names.
    #[arg(long)]
    pub json: bool,
    /// Folder with principals.csv, workspaces.csv, kong.yaml, routes.csv (all optional).
    #[arg(long, value_name = "FOLDER", env = "CORRIDOR_DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// Which side the record is from; default: told from the record.
    #[arg(long, value_enum)]
    pub side: Option<SideArg>,
    /// File to read, or - for standard input.
    pub file: String,
}

/// A side by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    /// Kong http-log.
    Kong,
    /// Azure diagnostics.
    Azure,
}

fn parse_moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let midnight = date.ok().and_then(|date| date.and_hms_opt(0, 0, 0)).map(|midnight| midnight.and_utc());
    midnight.ok_or_else(|| "expected a date (2026-11-24) or an RFC 3339 moment (2026-11-24T07:00:00Z)".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn moments_are_dates_or_rfc_3339() {
        assert_eq!(parse_moment("2026-11-24").unwrap(), parse_moment("2026-11-24T01:00:00+01:00").unwrap());
        assert!(parse_moment("yesterday").is_err());
    }
}
