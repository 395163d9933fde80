//! New producer ids.
//!
//! Separate because an id must never be assigned twice, not even after a crash: ids are reserved in the journal in
//! blocks, before the first id of a block is used.

use std::io;

use parking_lot::Mutex;

use crate::meta::{Change, Journal};

const BLOCK: i64 = 1_000;

/// The source of producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    pub(crate) fn open(journal: &Journal) -> ProducerIds {
        let next = journal.read(|image| image.next_producer_id);
        ProducerIds { state: Mutex::new(State { next, reserved: next }) }
    }

    /// Skips all ids up to this one: a log knows it, although the journal may have lost the line that reserved it.
    pub(crate) fn skip_past(&self, known: i64) {
        let mut state = self.state.lock();
        if known >= state.reserved {
            *state = State { next: known + 1, reserved: known + 1 };
        }
    }

    /// An id that was never used.
    pub(crate) fn fresh(&self, journal: &Journal) -> io::Result<i64> {
        let mut state = self.state.lock();
        if state.next == state.reserved {
            journal.write(Change::ProducerIdsReserved { next: state.reserved + BLOCK })?;
            state.reserved += BLOCK;
        }
        let id = state.next;
        state.next += 1;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_not_given_twice_even_after_a_crash() {
        let journal = Journal::in_memory();
        let ids = ProducerIds::open(&journal);
        let first: Vec<_> = (0..3).map(|_| ids.fresh(&journal).expect("records")).collect();
        assert_eq!(first, [0, 1, 2]);
        let ids = ProducerIds::open(&journal);
        ids.skip_past(7);
        assert_eq!(ids.fresh(&journal).expect("records"), BLOCK);
        ids.skip_past(5 * BLOCK);
        assert_eq!(ids.fresh(&journal).expect("records"), 5 * BLOCK + 1);
        assert!(ProducerIds::open(&journal).fresh(&journal).expect("records") > 5 * BLOCK + 1);
    }
}
