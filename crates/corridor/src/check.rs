//! Check: configuration and directory, all problems at once.

use crate::cli::CheckArgs;
use crate::{directory_folder, print};
use anyhow::Result;
use std::process::ExitCode;

/// Reports what is wrong. The configuration itself was loaded before and is right if we come here.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    match directory_folder::load(args.directory.as_deref()) {
        Ok(directory) => {
            let version = directory.version().map_or("none".into(), |version| version[..12].to_owned());
            print(&format!("configuration: ok\ndirectory: ok (version {version})"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            print(&format!(
                "configuration: ok\ndirectory: {} problem(s)\n  {}",
                problems.len(),
                problems.join("\n  ")
            ))?;
            Ok(ExitCode::from(2))
        }
    }
}
