//! A change of a table that cannot be processed, such as one that would make a group too large. The row before and the row after are
//! pushed one by one, so that one of them can do what it does although the other cannot; and what cannot be done is noted as a
//! difference between the table and its group, so that it is never undone.

use std::collections::VecDeque;

use arrow::error::ArrowError;

use super::Aggregate;
use super::changes::Expanded;
use super::differences::{Counts, Row};
use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Pieces, Refused};

impl Aggregate {
    /// Pushes the rows of a change one by one. Those that cannot be processed are reported, and left out of their groups or in them.
    pub(super) fn push_apart(&mut self, expanded: &Expanded, cx: &mut Context<'_>) -> Emitted {
        let mut emitted = VecDeque::new();
        for row in 0..expanded.chunk.len() {
            let only = expanded.only(row);
            match self.push_entries(&only, false, cx) {
                Ok(Emitted::Rows(chunk)) => emitted.push_back(chunk),
                Ok(_) => {}
                Err(why) => self.leave(&only, why, cx),
            }
        }
        match emitted.len() {
            0 | 1 => emitted.pop_front().map_or(Emitted::Nothing, Emitted::Rows),
            _ => Emitted::Pieces(Box::new(Apart(emitted))),
        }
    }

    /// Reports a row that cannot be processed, and notes that its group does not have it or still has it.
    fn leave(&mut self, only: &Expanded, why: ArrowError, cx: &mut Context<'_>) {
        let is_undone = only.undone.is_some();
        let left = self.note(only, is_undone, cx);
        let words = |error: ArrowError| match error {
            ArrowError::ComputeError(why) => why,
            error => error.to_string(),
        };
        let why = words(left.err().unwrap_or(why));
        let reason = match is_undone {
            true => format!(
                "the row that was before could not be taken out of its group, where it stays until it can: {why}"
            ),
            false => format!("the row could not be processed: {why}"),
        };
        cx.refused.push(Refused { row: only.change_of(0), reason });
    }

    /// Notes that the group of a row does not have it or still has it.
    fn note(&mut self, only: &Expanded, is_undone: bool, cx: &mut Context<'_>) -> Result<(), ArrowError> {
        let keys = self.key.encode(&self.group_columns(&only.chunk), 1)?;
        let store = &mut *cx.stores[self.store];
        let Some(over) = &mut self.over else { return Ok(()) };
        let args = over.encode(&only.chunk)?;
        let row = Row { group: keys.value(0), args: args.value(0) };
        let digest = row.digest();
        let mut counts = Counts::read([digest].into_iter(), store)?;
        counts.leave(digest, row, is_undone);
        counts.changes().save(over.known(store)?, cx.limits.bytes_max(self.store), store);
        Ok(())
    }
}

/// What the rows of a change emit, one after the other.
#[derive(Debug)]
struct Apart(VecDeque<Chunk>);

impl Pieces for Apart {
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError> {
        Ok(self.0.pop_front())
    }

    fn position(&mut self) -> Option<(i64, bool)> {
        self.0.front().map(|chunk| (chunk.offsets.value(0), true))
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(Chunk::bytes).sum()
    }
}
