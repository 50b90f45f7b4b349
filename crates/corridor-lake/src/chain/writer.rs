//! Writer: the name of a process in the chains, and the numbers that make its entries and staged files unique.
//!
//! - In: a name that no other start of any process has.
//! - Out: marks and numbers.
//! - Invariants: a number is given out once.

use super::ChainError;
use corridor_chain::WriterMark;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest name of a writer.
const ID_LENGTH_MAX: usize = 64;

/// A process that writes. Clones share their numbers: one writer for all shards of a process.
#[derive(Debug, Clone)]
pub struct Writer {
    id: Arc<str>,
    next: Arc<AtomicU64>,
}

impl Writer {
    /// A writer with this name: 1 to 64 lower-case letters, digits and hyphens, different at every start of a process.
    pub fn new(id: &str) -> Result<Self, ChainError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_plain) {
            true => Ok(Self { id: id.into(), next: Arc::new(AtomicU64::new(1)) }),
            false => Err(ChainError::WriterId { id: id.chars().take(2 * ID_LENGTH_MAX).collect() }),
        }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn mark(&self) -> WriterMark {
        WriterMark { id: self.id.to_string(), nonce: self.next_number() }
    }
}
