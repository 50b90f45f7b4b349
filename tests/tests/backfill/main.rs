//! `corridor backfill` from end to end: the real binary, real folders, independent readers.

mod azurite;
mod bad_input;
mod demo;
mod full_disk;
mod inputs;
mod killed;
mod pseudonyms;
mod range;
mod repeat;
mod scene;
mod truth;
