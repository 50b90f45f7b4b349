//! Conflicts: copies of an event that say something else than its row.
//!
//! - In: the event rows of a slice, and its copies.
//! - Out: one reject ID_CONFLICT for each copy with other content.
//! - Invariants: how a copy came here is no content.

use crate::backfill::joined::Copied;
use arrow_array::RecordBatch;
use corridor_lake::spill::Position;
use corridor_lake::{FinalRow, RejectRow, RejectsBuilder, StoredRows, event_at, origin_of, same_content};
use corridor_model::{Origin, RejectCode, Rejection, Side, Source};

/// Those copies of a slice that say something else than their rows, as rejects.
pub fn conflicts_of(events: &StoredRows, copies: &[Copied]) -> RecordBatch {
    let mut conflicts = RejectsBuilder::new();
    for copy in copies {
        if !is_true_copy(events, copy) {
            reject_conflict(events, copy, &mut conflicts);
        }
    }
    conflicts.finish()
}

fn place(position: Position) -> FinalRow {
    FinalRow { batch: position.batch, row: position.row }
}

/// Whether a copy says the same as its row.
fn is_true_copy(events: &StoredRows, copy: &Copied) -> bool {
    let row = copy.of.and_then(|of| events.get(place(of)));
    row.zip(events.get(place(copy.position))).is_some_and(|(row, copy)| same_content(row, copy))
}

fn reject_conflict(events: &StoredRows, copy: &Copied, rejects: &mut RejectsBuilder) {
    let kept = copy.of.and_then(|of| origin_of(events, place(of)));
    let kept = kept.map_or_else(|| "an event of another hour".into(), |(path, at)| format!("{path}@{at}"));
    let rejection = Rejection {
        code: RejectCode::IdConflict,
        detail: format!(
            "the event id is that of {kept}, and the content is another; compare the two records"
        ),
        preview: String::new(),
    };
    let event = event_at(events, place(copy.position));
    let (path, byte_offset) = origin_of(events, place(copy.position)).unwrap_or_default();
    let is_kong = event.is_none_or(|event| event.source() == Some(Source::Kong));
    rejects.append(&RejectRow {
        rejection: &rejection,
        side: if is_kong { Side::Kong } else { Side::Azure },
        origin: &Origin { file_index: copy.position.file_index, path: path.into(), byte_offset },
        record_index: copy.position.record_index,
        record_sha256: None,
        event_id: event.map(|event| event.event_id()).as_ref(),
        event_time: Some(copy.position.time),
    });
}
