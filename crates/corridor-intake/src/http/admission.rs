//! Admission: the memory that bodies may take together.
//!
//! - In: the bytes that a body will hold, as far as known.
//! - Out: a [`Permit`] that gives them back when it is dropped, or nothing when there is no room.
//! - Keeps: the free room.
//! - Invariants: nobody waits for room, so a full receiver answers at once; permits never exceed the bound together.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The semaphore counts 32 bits at a time; whole KiB keep that far from any body.
const UNIT_BYTES: u64 = 1024;

/// Room for bodies.
pub(super) struct Admission {
    room: Arc<Semaphore>,
    in_flight_bytes: Gauge,
}

/// Room that one body has.
pub(super) struct Permit {
    room: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
    in_flight_bytes: Gauge,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Admission {
    pub(super) fn new(bytes_max: u64, in_flight_bytes: Gauge) -> Self {
        let units = usize::try_from(bytes_max / UNIT_BYTES).unwrap_or(usize::MAX);
        Self { room: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))), in_flight_bytes }
    }

    /// Room for a body of that size.
    pub(super) fn admit(&self, bytes: u64) -> Result<Permit, Full> {
        let units = units_of(bytes)?;
        let held = Arc::clone(&self.room).try_acquire_many_owned(units).map_err(|_| Full)?;
        self.in_flight_bytes.inc_by(bytes_of(units));
        Ok(Permit { room: Arc::clone(&self.room), held, in_flight_bytes: self.in_flight_bytes.clone() })
    }
}

impl Permit {
    /// Makes the room at least `bytes`.
    pub(super) fn grow_to(&mut self, bytes: u64) -> Result<(), Full> {
        let held_units = u32::try_from(self.held.num_permits()).map_err(|_| Full)?;
        let missing = units_of(bytes)?.saturating_sub(held_units);
        if missing == 0 {
            return Ok(());
        }
        self.held.merge(Arc::clone(&self.room).try_acquire_many_owned(missing).map_err(|_| Full)?);
        self.in_flight_bytes.inc_by(bytes_of(missing));
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let units = u32::try_from(self.held.num_permits()).unwrap_or(u32::MAX);
        self.in_flight_bytes.dec_by(bytes_of(units));
    }
}

fn units_of(bytes: u64) -> Result<u32, Full> {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| Full)
}

fn bytes_of(units: u32) -> i64 {
    i64::from(units) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_never_exceed_the_bound_and_come_back() {
        let gauge = Gauge::default();
        let admission = Admission::new(10 * 1024, gauge.clone());
        let mut first = admission.admit(4 * 1024).unwrap();
        let second = admission.admit(5 * 1024).unwrap();
        assert!(admission.admit(2 * 1024).is_err());
        assert_eq!(first.grow_to(6 * 1024), Err(Full));
        assert_eq!(gauge.get(), 9 * 1024);
        drop(second);
        assert_eq!(first.grow_to(9 * 1024 + 1), Ok(()));
        assert!(admission.admit(1).is_err());
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(admission.admit(10 * 1024).is_ok());
    }
}
