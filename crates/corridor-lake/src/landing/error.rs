//! Landing errors: why days could not be landed.
//!
//! - In: refusals, lost races, store errors, broken entries.
//! - Out: one error type whose messages say what to do.

use crate::store::StoreError;
use corridor_chain::{Day, EntryError, Generation, Refusal};

/// Why days could not be landed. After any of them the same run can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// Some days must be left alone. Nothing was written.
    #[error("nothing was written, for {} of the days must be left alone:{}", .refusals.len(), lines(.refusals))]
    Refused {
        /// One for each such day.
        refusals: Vec<Refusal>,
    },
    /// Another job landed the day while this one worked.
    #[error(
        "{day}: run {by_run} decided this day while this run worked, so this run's generation {generation} stays \
         invisible; run the same command again: it says whether the day is landed, and from what"
    )]
    Overtaken {
        /// The day.
        day: Day,
        /// The number this run gave up.
        generation: Generation,
        /// Who won.
        by_run: String,
    },
    /// The same job gives other bytes each time.
    #[error(
        "{key}: {tries} generations in a row held other bytes than this run writes; \
         two different builds may call themselves the same, or several runs work on the day at once: stop the others"
    )]
    Unstable {
        /// The file met last.
        key: String,
        /// How many numbers were tried.
        tries: u32,
    },
    /// A file that this run created is gone or changed.
    #[error(
        "{key}: the file created by this run is gone or changed; somebody writes to the lake besides Corridor"
    )]
    Damaged {
        /// The file.
        key: String,
    },
    /// A file for a day that this landing does not write.
    #[error("{day}: this day is not being written (not planned, or already landed)")]
    NotWriting {
        /// The day.
        day: Day,
    },
    /// Two different files for one place.
    #[error("{key}: the run made two different files for this place")]
    PartTwice {
        /// The place.
        key: String,
    },
    /// The counts of a day do not fit its files.
    #[error("{day}: the files hold {in_files} events and the run counted {counted}")]
    CountsDiffer {
        /// The day.
        day: Day,
        /// Rows in the files of `events/`.
        in_files: u64,
        /// Rows of the ledger.
        counted: u64,
    },
    /// An entry of the lake cannot be read.
    #[error("entry {key} cannot be trusted")]
    BrokenEntry {
        /// Its key.
        key: String,
        /// Why.
        source: EntryError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("\n  {refusal}")).collect()
}
