//! Testkit: parts for tests on real code; the product does not use it.
//!
//! - In: the real implementations behind our traits.
//! - Out: the same traits, with faults that a seed or a plan decides.
//! - Invariants: the same seed and the same order of calls give the same faults.

pub mod faulty_log;

pub mod faulty_store;

pub mod seeded;

pub use faulty_log::{FaultyLog, InjectedFaults, LogFaults};
pub use faulty_store::{Death, Fault, FaultyStore};
