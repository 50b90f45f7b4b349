//! Directory folder: the files of `--directory` are read and handed to the directory's parsers.

use corridor_refine::directory::{Directory, DirectoryFiles};
use std::path::Path;
use tracing::warn;

/// Largest directory file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Loads the folder; warnings are logged. Without a folder the directory is empty. Returns all problems together.
pub fn load(folder: Option<&Path>) -> Result<Directory, Vec<String>> {
    let Some(folder) = folder else { return Ok(Directory::default()) };
    if !folder.is_dir() {
        return Err(vec![format!("--directory {}: not a folder", folder.display())]);
    }
    let mut problems = Vec::new();
    let mut read = |name: &str| {
        read_file(folder, name).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        })
    };
    let files = DirectoryFiles {
        principals: read("principals.csv"),
        workspaces: read("workspaces.csv"),
        kong: read("kong.yaml").or_else(|| read("kong.yml")),
        routes: read("routes.csv"),
    };
    match Directory::load(&files) {
        Err(found) => problems.extend(found.iter().map(|problem| format!("{}/{problem}", folder.display()))),
        Ok((directory, warnings)) if problems.is_empty() => {
            for warning in warnings {
                warn!("{}/{warning}", folder.display());
            }
            return Ok(directory);
        }
        Ok(_) => {}
    }
    Err(problems)
}

fn read_file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
    let path = folder.join(name);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return Err(format!("{}: larger than {FILE_BYTES_MAX} bytes", path.display()));
        }
        _ => {}
    }
    std::fs::read(&path).map(Some).map_err(|error| format!("read {}: {error}", path.display()))
}
