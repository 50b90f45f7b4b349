//! Window: the messages of one partition between the committed position and the newest one taken.
//!
//! - In: offsets as they are taken, in order; which of them were accepted, in any order.
//! - Out: the position up to which everything was accepted.
//! - Keeps: the offsets in between.
//! - Invariants: the position never falls, and never passes a message that was not accepted.

use std::collections::VecDeque;

/// One partition's messages that are on their way.
#[derive(Debug)]
pub(super) struct Window {
    /// Tells this assignment of the partition from an earlier one.
    pub(super) epoch: u64,
    /// Offsets in order, with whether they were accepted.
    taken: VecDeque<(i64, bool)>,
    /// The offset that comes after all that were taken.
    next: i64,
    /// Messages that were refused and are offered again.
    pub(super) held: usize,
    /// librdkafka was told to send no more.
    pub(super) is_paused: bool,
    /// It must not go on: what it needs is not there.
    pub(super) is_stopped: bool,
    /// Everything before it was accepted.
    position: Option<i64>,
    committed: Option<i64>,
}

impl Window {
    /// A partition that continues at `committed`, or begins where it begins.
    pub(super) fn new(epoch: u64, committed: Option<i64>) -> Self {
        Self {
            epoch,
            taken: VecDeque::new(),
            next: committed.unwrap_or(0),
            held: 0,
            is_paused: false,
            is_stopped: false,
            position: committed,
            committed,
        }
    }

    /// A message was taken. False when it was taken before.
    pub(super) fn begin(&mut self, offset: i64) -> bool {
        if offset < self.next {
            return false;
        }
        self.taken.push_back((offset, false));
        self.next = offset + 1;
        true
    }

    /// A message was accepted.
    pub(super) fn finish(&mut self, offset: i64) {
        if let Ok(index) = self.taken.binary_search_by_key(&offset, |(taken, _)| *taken) {
            self.taken[index].1 = true;
        }
        while let Some((accepted, true)) = self.taken.front().copied() {
            self.taken.pop_front();
            self.position = Some(accepted + 1);
        }
    }

    /// Messages on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.taken.len()
    }

    /// Messages on their way that nothing holds up.
    pub(super) fn moving(&self) -> usize {
        self.taken.iter().filter(|(_, is_accepted)| !is_accepted).count().saturating_sub(self.held)
    }

    /// Everything before it was accepted; None when nothing was taken yet.
    pub(super) fn position(&self) -> Option<i64> {
        self.position
    }

    /// The position, if it was not committed yet.
    pub(super) fn uncommitted(&self) -> Option<i64> {
        self.position.filter(|position| self.committed.is_none_or(|committed| committed < *position))
    }

    /// The broker was given this position.
    pub(super) fn note_commit(&mut self, position: i64) {
        self.committed = self.committed.max(Some(position));
    }

    /// A commit failed: the position counts as not committed.
    pub(super) fn forget_commit(&mut self) {
        self.committed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_passes_only_what_was_accepted_without_a_hole() {
        let mut window = Window::new(1, Some(10));
        for offset in [10, 11, 13, 14] {
            assert!(window.begin(offset));
        }
        assert!(!window.begin(13), "a message that is on its way is not taken again");
        window.finish(14);
        window.finish(11);
        assert_eq!((window.uncommitted(), window.in_flight(), window.moving()), (None, 4, 2));
        window.finish(10);
        assert_eq!((window.uncommitted(), window.in_flight()), (Some(12), 2));
        window.note_commit(12);
        assert_eq!(window.uncommitted(), None);
        window.finish(13);
        assert_eq!((window.uncommitted(), window.in_flight()), (Some(15), 0));
        window.note_commit(15);
        window.forget_commit();
        assert_eq!(window.uncommitted(), Some(15));
    }

    #[test]
    fn any_order_of_acceptance_ends_at_the_last_message() {
        proptest::proptest!(|(order in proptest::collection::vec(0_u8..20, 0..60))| {
            let mut window = Window::new(1, None);
            for offset in 0..20 {
                window.begin(offset);
            }
            let mut accepted = [false; 20];
            let mut last = 0;
            for offset in order {
                window.finish(offset.into());
                accepted[usize::from(offset)] = true;
                let prefix = accepted.iter().take_while(|is_accepted| **is_accepted).count();
                let position = window.position().unwrap_or(0);
                proptest::prop_assert_eq!(position, i64::try_from(prefix).unwrap());
                proptest::prop_assert!(position >= last);
                last = position;
            }
        });
    }
}
