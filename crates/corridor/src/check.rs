//! Check: configuration and directory, all problems at once.

use crate::cli::CheckArgs;
use crate::{directory_folder, print};
use anyhow::Result;
use std::process::ExitCode;

/// Reports what is wrong with the directory, together with the problems found when the configuration was loaded.
pub fn run(args: &CheckArgs, config_problems: Vec<String>) -> Result<ExitCode> {
    let directory = directory_folder::load(args.directory.as_deref());
    let is_right = config_problems.is_empty() && directory.is_ok();
    print(&report("configuration", "ok", &config_problems))?;
    let (found, problems) = match directory {
        Ok(directory) => match directory.version() {
            Some(version) => (format!("ok (version {})", &version[..12]), Vec::new()),
            None => ("ok (none)".into(), Vec::new()),
        },
        Err(problems) => (String::new(), problems),
    };
    print(&report("directory", &found, &problems))?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn report(what: &str, found: &str, problems: &[String]) -> String {
    match problems.len() {
        0 => format!("{what}: {found}"),
        count => format!("{what}: {count} problem(s)\n  {}", problems.join("\n  ")),
    }
}
