//! Origin: where the bytes of a record were read, and which log holds them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Place of a record in an archive file. Printed as `path@offset`, and with `#index` inside a batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Position of the file in the sorted list of inputs: makes the choice among copies repeatable.
    pub file_index: u32,
    /// The path or URL as the operator named it.
    pub path: Arc<str>,
    /// Offset of the record's line or document in the decompressed file, in bytes.
    pub byte_offset: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.byte_offset)
    }
}

/// Which log this is. A topic that was deleted and made again is another log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdentity {
    /// Cluster id; for the embedded log a random id that was stored when the folder was made.
    pub cluster: String,
    /// Topic; for the embedded log `embedded`.
    pub topic: String,
}
