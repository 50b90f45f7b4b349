//! Kong: one http-log entry becomes a classified event.

use crate::refiner::{Context, Outcome, Record, reject};
use corridor_model::RejectCode;

/// Refines one entry: parse → identify → classify → redact → facts.
pub fn refine_entry(record: Record<'_>, _context: &Context, sink: &mut dyn FnMut(Outcome<'_>)) {
    sink(Outcome::Rejected(reject(RejectCode::NotARecord, "not built yet", record.original), record.index));
}
