//! Landing: whole days become a generation of the lake, exactly once.
//!
//! - In: the days a run touches, who the run is, encoded files, counts; times are arguments.
//! - Out: files under `events/`, `records/`, `rejects/`, entries under `ctl/generations/`, facts under `seals/`.
//! - Keeps: per day, the generation number held and the files created under it.
//! - Invariants: nothing is written when any day is refused. Every file of every day exists before the first closed
//!   entry, every closed entry before the first seal: no half day is ever current. A day is landed by one job only:
//!   who closes a number has closed all lower ones as abandoned. A run may be stopped anywhere and repeated.
//!
//! The order of calls is the order of types: [`Landing::begin`] gives a [`LandingPlan`], `open` a [`Landing`],
//! `close_all` a [`ClosedLanding`], `seal_all` the [`LandedDay`]s.

mod close;
mod current;
mod error;
mod plan;
mod write;

pub use close::{ClosedLanding, LandedDay, RunReport};
pub use current::{current_generations, seed};
pub use error::LandingError;
pub use plan::LandingPlan;
pub use write::{Landing, NewFile};

use crate::store::StoreKind;
use chrono::TimeDelta;

/// How long a sealed generation waits on an object store before it counts: longer than any query that listed the
/// lake before its files existed.
const ACTIVATION_MINUTES_OBJECT_STORE: i64 = 45;

/// The wait between seal and activation when the operator does not set one.
pub fn default_activation_delay(kind: StoreKind) -> TimeDelta {
    match kind {
        StoreKind::LocalFolder => TimeDelta::zero(),
        StoreKind::ObjectStore => TimeDelta::minutes(ACTIVATION_MINUTES_OBJECT_STORE),
    }
}

#[cfg(test)]
mod tests;
