//! Azure: one diagnostic record becomes a classified event.

use crate::refiner::{Context, Outcome, Record, reject};
use corridor_model::RejectCode;

/// Refines one record: parse → identify → classify → redact → facts.
pub fn refine_record(record: Record<'_>, _context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) {
    sink(Outcome::Rejected(reject(RejectCode::NotARecord, "not built yet", record.original), record.index));
}
