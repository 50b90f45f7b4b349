//! The `corridor` program: reads the command line, runs one command, and maps its end to an exit code.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed or incomplete, 2 wrong usage or
//! configuration.

mod backfill;
mod check;
mod cli;
mod config;
mod demo;
mod directory_folder;
mod explain;
mod run;
mod status_command;

use crate::cli::{Cli, Command, GenerateArgs, SqlArgs};
use crate::config::{Config, UsageError};
use anyhow::{Result, bail};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("CORRIDOR_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    let config = Config::load(cli.config.as_deref(), &|name| std::env::var(name).ok());
    let ended = match (cli.command, config) {
        (command, Ok(config)) => dispatch(command, &config),
        // It tells the problems of the directory, too.
        (Command::Check(args), Err(problems)) => check::run(&args, problems),
        (_, Err(problems)) => Err(UsageError(problems.join("\nerror: ")).into()),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(command: Command, config: &Config) -> Result<ExitCode> {
    match command {
        Command::Backfill(args) => {
            let summary = backfill::run(&args, config, chrono::Utc::now())?;
            let text = if args.json { serde_json::to_string(&summary)? } else { summary.to_string() };
            print(&text)?;
            Ok(if summary.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Run(args) => run::run(&args, config),
        Command::Status(args) => status_command::run(&args),
        Command::Gap(args) => run::gap::run(&args, config),
        Command::Generate(args) => generate(&args),
        Command::Demo(args) => demo::run(&args, config),
        Command::Check(args) => check::run(&args, Vec::new()),
        Command::Sql(args) => sql(args),
        Command::Explain(args) => explain::run(&args, config),
    }
}

/// Prints a result. A closed pipe (`corridor … | head`) is no failure.
fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => bail!("write to stdout: {error}"),
        _ => Ok(()),
    }
}

fn generate(args: &GenerateArgs) -> Result<ExitCode> {
    let config = corridor_generate::GenerateConfig {
        out: args.out.clone(),
        kong: args.kong,
        seed: args.seed,
        hours: args.hours,
        pt1h: args.pt1h,
        ..corridor_generate::GenerateConfig::default()
    };
    corridor_generate::generate(&config, &mut |_| {})?;
    print(&format!("generated in {}: kong/, synapse/, directory/ and truth.json", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn sql(args: SqlArgs) -> Result<ExitCode> {
    let config = corridor_evidence::tsql::TsqlConfig {
        prefix: args.prefix,
        database: args.database,
        auditor_group: args.auditors,
        ..corridor_evidence::tsql::TsqlConfig::new(args.account, args.container)
    };
    print(&corridor_evidence::tsql::render(&config)?)?;
    Ok(ExitCode::SUCCESS)
}
