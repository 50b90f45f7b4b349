//! Tail: ends of objects that this thread has read before. Entries carry copies of the gateway's configuration, the
//! same bytes thousands of times, of which nobody wants more than the names at their beginning.
//!
//! - In: the kind of object, which says what is wanted; the unwanted members that an object ended with; later the text where such members begin.
//! - Out: how long they are, if the text goes on with known ones.
//! - Keeps: at most [`SLOTS`] tails of at most [`TAIL_BYTES_MAX`] bytes for each thread.
//! - Invariants: no answer depends on what is kept, only its speed: equal bytes are read equally.

use foldhash::fast::FixedState;
use std::cell::RefCell;
use std::hash::BuildHasher;

const SLOTS: usize = 1_024;
/// Shorter ones are read sooner than found.
const TAIL_BYTES_MIN: usize = 128;
const TAIL_BYTES_MAX: usize = 4_096;
/// What stands before the tail tells one from another: as much of it as holds an id.
const HEAD_BYTES_MAX: usize = 64;

thread_local! {
    static TAILS: RefCell<Vec<(&'static str, Box<str>)>> = RefCell::new(vec![Default::default(); SLOTS]);
}

fn slot_of(head: &str) -> usize {
    let head = &head.as_bytes()[..head.len().min(HEAD_BYTES_MAX)];
    FixedState::default().hash_one(head) as usize % SLOTS
}

/// The length of the tail that `rest` begins with, if it is a known one; behind it stands the object's end.
pub(super) fn known_length(kind: &str, head: &str, rest: &str) -> Option<usize> {
    TAILS.with_borrow(|tails| {
        let (known_kind, tail) = &tails[slot_of(head)];
        let is_known = *known_kind == kind
            && rest.starts_with(&**tail)
            && rest.as_bytes().get(tail.len()) == Some(&b'}');
        is_known.then_some(tail.len())
    })
}

/// Keeps a tail, behind which the object ended.
pub(super) fn remember(kind: &'static str, head: &str, tail: &str) {
    if (TAIL_BYTES_MIN..=TAIL_BYTES_MAX).contains(&tail.len()) {
        TAILS.with_borrow_mut(|tails| tails[slot_of(head)] = (kind, tail.into()));
    }
}
