//! `corridor run` from end to end: the real binary, a real broker, an object store, and whatever may happen to them. What
//! arrives live must be, row by row, what a backfill makes of the same records.

mod chaos;
mod kafka;
mod members;
mod scene;
