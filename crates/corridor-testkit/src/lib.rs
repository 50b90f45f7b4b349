//! Testkit: parts for tests on real code; the product does not use it.
//!
//! - In: the real implementations behind our traits.
//! - Out: the same traits, with faults that a seed decides.
//! - Invariants: the same seed and the same order of calls give the same faults.

pub mod faulty_log;

pub mod seeded;

pub use faulty_log::{FaultyLog, InjectedFaults, LogFaults};
