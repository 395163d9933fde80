//! Fresh producer ids.
//!
//! Apart because an id must never be given twice, not even over a crash: ids are reserved in the journal by
//! the block, before the first of a block is given.

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
        let next = journal.look(|image| image.next_producer_id);
        ProducerIds { state: Mutex::new(State { next, reserved: next }) }
    }

    /// An id that nobody has had.
    pub(crate) fn fresh(&self, journal: &Journal) -> io::Result<i64> {
        let mut state = self.state.lock();
        if state.next == state.reserved {
            journal.record(Change::ProducerIdsReserved { next: state.reserved + BLOCK })?;
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
        assert_eq!(ProducerIds::open(&journal).fresh(&journal).expect("records"), BLOCK);
    }
}
