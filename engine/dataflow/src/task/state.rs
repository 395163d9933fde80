//! The state of a task: what it writes to the changelogs at a barrier, and how it is restored from them.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray};
use arrow::compute::filter;
use arrow::error::ArrowError;
use headwater_formats::record::{OutBatch, RawBatch};
use headwater_state::{NOTE_KEY, View};

use super::Task;
use crate::clocks::Clocks;
use crate::command::Command;

impl Task {
    /// Seals the stores, and has their changes and the stream times written to the changelogs, piece by piece. Returns true after
    /// the last piece.
    pub(super) fn seal(&mut self, now_ms: i64) -> Result<bool, ArrowError> {
        if let Some(last) = self.sealed.checked_sub(1)
            && let Some(rest) = self.stores[last].sealed_rest()?
        {
            self.log(last, rest.record_keys(), rest.values, now_ms);
            return Ok(false);
        }
        if let Some(store) = self.stores.get_mut(self.sealed) {
            let changes = store.seal()?;
            self.log(self.sealed, changes.record_keys(), changes.values, now_ms);
            self.sealed += 1;
            return Ok(false);
        }
        self.sealed = 0;
        let note = [&self.received.to_be_bytes()[..], &self.clocks.to_bytes()].concat();
        let has_run = self.received > 0 || self.clocks.latest().is_some();
        if self.has_state() && has_run && note != self.note {
            let [keys, values] = [&NOTE_KEY[..], &note].map(|bytes| BinaryArray::from_vec(vec![bytes]));
            self.log(0, keys, values, now_ms);
            self.note = note;
        }
        Ok(true)
    }

    /// Fails if the disk of a store has failed.
    pub(super) fn check_stores(&self) -> Result<(), ArrowError> {
        let failed = self.stores.iter().find_map(|store| store.failure());
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether the epoch should end, because the changes of its stores take much of the memory that they may have.
    pub fn is_full(&self) -> bool {
        self.stores.iter().any(|store| store.is_full())
    }

    /// Moves state to disk that does not fit in memory, once readers see the commit before. Fails if the disk does.
    pub fn settle(&mut self) -> Result<(), ArrowError> {
        self.stores.iter_mut().for_each(|store| store.settle());
        self.check_stores()
    }

    /// Moves state to disk if other tasks need the memory. For a task that is idle. Fails if the disk does.
    pub fn yield_memory(&mut self) -> Result<(), ArrowError> {
        self.stores.iter_mut().for_each(|store| store.yield_memory());
        self.check_stores()
    }

    /// The record of the first store's changelog with the stream times at the last barrier, as its key and value; `None` before
    /// there are any.
    pub fn note(&self) -> Option<(&[u8], &[u8])> {
        (!self.note.is_empty()).then_some((&NOTE_KEY, &self.note))
    }

    /// Has records written to the changelog of a store.
    pub(super) fn log(&mut self, store: usize, keys: BinaryArray, values: BinaryArray, now_ms: i64) {
        let rows = keys.len();
        if rows > 0 {
            self.commands.push_back(Command::Log(OutBatch {
                topic: self.stage.changelogs[store].clone(),
                partitions: Some(vec![self.partition; rows].into()),
                keys,
                values,
                timestamps_ms: Some(vec![now_ms; rows].into()),
                headers: None,
            }));
        }
    }

    /// Restores the stream times from their record, and a store from all others.
    pub(super) fn restore(&mut self, store: usize, raw: &RawBatch) -> Result<(), ArrowError> {
        let missing = || ArrowError::ParseError("a changelog record has no key".to_owned());
        let keys = raw.keys.as_ref().ok_or_else(missing)?;
        let values = raw.values.clone().unwrap_or_else(|| BinaryArray::new_null(raw.len()));
        let is_note = |row: usize| keys.value(row) == NOTE_KEY;
        let Some(note) = (0..raw.len()).rev().find(|row| is_note(*row)) else {
            return self.stores[store].restore(keys, &values);
        };
        let damaged = || ArrowError::ParseError("the stream times in a changelog are damaged".to_owned());
        let (received, clocks) = values.value(note).split_first_chunk::<8>().ok_or_else(damaged)?;
        self.received = i64::from_be_bytes(*received);
        self.clocks.restore(Clocks::from_bytes(clocks).ok_or_else(damaged)?);
        self.note = values.value(note).to_vec();
        let others: BooleanArray = (0..raw.len()).map(|row| Some(!is_note(row))).collect();
        let of = |column: &BinaryArray| filter(column, &others).map(|column| column.as_binary::<i32>().clone());
        self.stores[store].restore(&of(keys)?, &of(&values)?)
    }

    /// Whether it has stores.
    pub fn has_state(&self) -> bool {
        !self.stores.is_empty()
    }

    /// The committed values of the store with this index, for readers in other threads.
    pub fn view(&self, store: usize) -> View {
        self.stores[store].view()
    }

    /// The number of keys of each of its stores, and its approximate memory in bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.stores.iter().map(|store| (store.len(), store.bytes()))
    }

    /// The number of results that wait for stream time to pass their windows; `None` if there are never any, or if they have not
    /// been counted since it was restored.
    pub fn pending(&self) -> Option<usize> {
        let pending = self.operators.iter().filter_map(|(operator, _)| operator.pending());
        pending.reduce(|sum, more| sum + more)
    }

    /// Whether windows have left its stores because they expired.
    pub fn has_expired(&self) -> bool {
        self.stores.iter().any(|store| store.has_expired())
    }
}
