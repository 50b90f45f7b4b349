//! Inputs: the files that a command line names.
//!
//! - In: paths, globs, folders and URLs of either side.
//! - Out: the files, Kong first, each side sorted by name; or every name that leads nowhere.
//! - Invariants: a file is there once, however many names lead to it. The order breaks ties between copies.

use super::Input;
use crate::cli::BackfillArgs;
use crate::config::UsageError;
use anyhow::{Result, bail};
use corridor_intake::{Location, SourceFile};
use corridor_lake::store::open_source;
use corridor_model::Side;
use tokio::runtime::Runtime;

/// All files of both sides, Kong first, each side sorted by name.
pub fn find_inputs(args: &BackfillArgs, runtime: &Runtime) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut problems = Vec::new();
    for (side, names) in [(Side::Kong, &args.kong), (Side::Azure, &args.synapse)] {
        for name in names {
            match expand(name, runtime) {
                Ok(files) => inputs.extend(files.into_iter().map(|file| Input { side, file })),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
    }
    if !problems.is_empty() {
        bail!(problems.join("\n"));
    }
    if inputs.is_empty() {
        let text = "nothing to read; name Kong entries with --kong or Azure records with --synapse";
        bail!(UsageError(text.into()));
    }
    inputs.sort_by(|a, b| (a.side, &a.file.name).cmp(&(b.side, &b.file.name)));
    inputs.dedup_by(|a, b| a.side == b.side && a.file.name == b.file.name);
    Ok(inputs)
}

fn expand(name: &str, runtime: &Runtime) -> Result<Vec<SourceFile>> {
    let local = name.strip_prefix("file://").unwrap_or(name);
    if !local.contains("://") {
        return Ok(corridor_intake::expand(local)?);
    }
    let source = open_source(name)?;
    let objects = runtime.block_on(source.find_inputs())?;
    if objects.is_empty() {
        bail!("no object below {name}; check the container and the path");
    }
    let base = name.trim_end_matches('/');
    let file = |object: corridor_lake::store::ObjectFacts| SourceFile {
        name: if object.key.is_empty() { base.into() } else { format!("{base}/{}", object.key).into() },
        location: Location::Object(std::sync::Arc::clone(source.store()), source.path_of(&object.key)),
        size: object.bytes,
    };
    Ok(objects.into_iter().map(file).collect())
}
