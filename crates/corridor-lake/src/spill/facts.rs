//! Facts: what the join needs of spilled events.
//!
//! - In: facts of one slice, batch by batch.
//! - Out: the same facts, in the order in which their batches were added.
//! - Keeps: nothing; the spill's files hold them.

mod codec;

#[cfg(test)]
mod tests;

pub use codec::FactsBatch;

use super::{Kind, Position, Spill, SpillError};
use corridor_model::{JoinFacts, Slice};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

/// An event as the join sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpilledFacts {
    /// Where its row is.
    pub position: Position,
    /// What the join needs.
    pub facts: JoinFacts,
}

impl Spill {
    /// `batch` is the number of the rows' batch; [`Position::NO_ROW`] if there are none.
    pub(super) fn append_facts(
        &self,
        slice: Slice,
        kind: Kind,
        facts: &FactsBatch,
        batch: u32,
    ) -> Result<(), SpillError> {
        let path = self.path(slice, kind);
        let mut file = self.append(&path)?;
        let (head, bodies) = facts.parts(batch);
        let written =
            file.write_all(&head).and_then(|()| bodies.iter().try_for_each(|body| file.write_all(body)));
        written.map_err(|source| SpillError::Io { action: "write", path, source })
    }

    /// Calls `visit` with the announced candidates of a slice, in no order.
    pub fn read_candidates(&self, slice: Slice, visit: impl FnMut(SpilledFacts)) -> Result<(), SpillError> {
        self.read_facts_file(&self.path(slice, Kind::Candidates), visit)
    }

    /// Calls `visit` with the events of a slice, in no order.
    pub fn read_facts(&self, slice: Slice, visit: impl FnMut(SpilledFacts)) -> Result<(), SpillError> {
        self.read_facts_file(&self.path(slice, Kind::Facts), visit)
    }

    fn read_facts_file(&self, path: &Path, mut visit: impl FnMut(SpilledFacts)) -> Result<(), SpillError> {
        let to_error = |source| SpillError::Io { action: "read", path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => BufReader::with_capacity(1 << 16, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(to_error(error)),
        };
        let (mut head, mut bytes) = ([0; codec::HEAD_SIZE], Vec::new());
        loop {
            match file.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(to_error(error)),
            }
            let head = codec::Head::of(head);
            bytes.resize(head.byte_size(), 0);
            file.read_exact(&mut bytes).map_err(to_error)?;
            codec::decode(&head, &bytes, &mut visit)
                .ok_or_else(|| SpillError::Facts { path: path.to_owned() })?;
        }
    }
}
