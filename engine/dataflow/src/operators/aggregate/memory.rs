//! What an aggregation remembers of its store between batches: which windows there are, and what is due when. It follows from the
//! store and the clocks, so it is read again after a restart or a failure.

use std::collections::BTreeMap;

use arrow::array::BinaryArray;
use arrow::error::ArrowError;
use headwater_state::Store;

use super::contributors::{Share, shares};
use super::deadlines::{Deadlines, Due};
use super::expiry::{Expiry, has_expired};
use super::open::OpenWindows;
use super::windowing::{SessionWindows, TimeWindows, Windows};
use super::{Aggregate, Emission, list};
use crate::clocks::Clocks;
use crate::operators::encoding::{Encoding, States};

/// The window of the store that has the sessions of all keys.
pub(super) const SESSIONS: i64 = 0;

/// The number of keys whose states are decoded at once when the store is read.
const KEYS: usize = 4_096;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The time windows.
    pub open: OpenWindows,
    /// The groups whose results wait to be emitted once.
    pub closing: Deadlines,
    /// When sessions are no longer kept.
    expiry: Expiry,
}

impl Memory {
    /// Removes what has expired from the store, before it is sealed.
    pub fn expire(
        &mut self,
        states: &Encoding,
        windows: Option<Windows>,
        clocks: &Clocks,
        store: &mut dyn Store,
    ) -> Result<(), ArrowError> {
        match windows {
            Some(Windows::Time(windows)) => self.open.expire(windows, clocks, store),
            Some(Windows::Session(windows)) => {
                let due = self.expiry.take_due(clocks);
                if !due.is_empty() {
                    self.expire_sessions(states, windows, due, clocks, store)?;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Removes the sessions that have expired. One that has grown since it was noted expires later.
    fn expire_sessions(
        &mut self,
        states: &Encoding,
        windows: SessionWindows,
        due: Vec<Due>,
        clocks: &Clocks,
        store: &mut dyn Store,
    ) -> Result<(), ArrowError> {
        let mut noted: BTreeMap<Box<[u8]>, Vec<i64>> = BTreeMap::new();
        for (time_ms, key) in due {
            noted.entry(key).or_default().push(time_ms);
        }
        let keys = BinaryArray::from_iter_values(noted.keys());
        let stored = store.get(SESSIONS, &keys)?;
        let (mut values, mut removed) = (Vec::with_capacity(noted.len()), None);
        for ((key, times), stored) in noted.iter().zip(&stored) {
            let mut value = Vec::new();
            for (bounds, state, share) in sessions(states, stored.unwrap_or_default())? {
                let expiry = windows.expiry(bounds[1]);
                if has_expired(expiry, &share.contributors, clocks) {
                    removed = removed.max(Some(bounds[1]));
                    continue;
                }
                list::push(&mut value, (bounds, state));
                if times.iter().any(|time| (bounds[0]..=bounds[1]).contains(time)) {
                    self.expiry.add(expiry, &share.contributors, (bounds[1], key.clone()));
                }
            }
            values.push((!value.is_empty()).then_some(value));
        }
        store.put(SESSIONS, &keys, &BinaryArray::from_iter(values));
        // One that starts later than all that were removed end is still there.
        if let Some(end) = removed {
            store.set_kept_from(end.saturating_add(1));
        }
        Ok(())
    }

    /// Remembers when a session expires and, if it `is_final` and waits to be emitted, when it closes.
    pub fn restore_session(&mut self, windows: SessionWindows, key: &[u8], end: i64, share: &Share, is_final: bool) {
        self.expiry.add(windows.expiry(end), &share.contributors, (end, key.into()));
        if is_final && !share.is_emitted {
            self.add_closing(windows, key, end, share);
        }
    }

    /// Removes and returns what may have to be emitted.
    pub fn take_closing(&mut self, clocks: &Clocks) -> Vec<Due> {
        self.closing.take_due(clocks).into_iter().map(|(_, due)| due).collect()
    }

    /// Remembers when a session closes.
    pub fn add_closing(&mut self, windows: SessionWindows, key: &[u8], end: i64, share: &Share) {
        self.closing.add(windows.close(end), &share.contributors, (end, key.into()));
    }
}

/// A session of a value in the store: its bounds, its state and its share.
type Read<'a> = ([i64; 2], &'a [u8], Share);

/// The sessions in a value of the store.
fn sessions<'a>(states: &Encoding, value: &'a [u8]) -> Result<Vec<Read<'a>>, ArrowError> {
    let stored = list::split(value)?;
    let values = BinaryArray::from_iter_values(stored.iter().map(|(_, state)| state));
    let shares = shares(&States::decode(states, &values)?)?;
    let read = |((bounds, state), share): (list::Stored<'a>, Option<Share>)| (bounds, state, share.unwrap_or_default());
    Ok(stored.into_iter().zip(shares).map(read).collect())
}

impl Aggregate {
    /// Reads what is remembered from the store.
    pub(super) fn read_memory(&self, store: &dyn Store) -> Result<Memory, ArrowError> {
        match self.windows {
            None => Ok(Memory::default()),
            Some(Windows::Time(windows)) => {
                let open = OpenWindows::restore(windows, store)?;
                let mut memory = Memory { open, ..Memory::default() };
                if self.emission == Emission::Final {
                    let starts: Vec<i64> = memory.open.starts().collect();
                    starts.into_iter().try_for_each(|start| self.read_groups(windows, start, store, &mut memory))?;
                }
                Ok(memory)
            }
            Some(Windows::Session(windows)) => self.read_sessions(windows, store),
        }
    }

    /// Reads the groups of a window whose results wait to be emitted.
    fn read_groups(
        &self,
        windows: TimeWindows,
        start: i64,
        store: &dyn Store,
        memory: &mut Memory,
    ) -> Result<(), ArrowError> {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        store.visit(start, &mut |key, _| keys.push(key.into()));
        for keys in keys.chunks(KEYS) {
            let values = store.get(start, &BinaryArray::from_iter_values(keys))?;
            for (key, share) in keys.iter().zip(shares(&States::decode(&self.state, &values)?)?) {
                if let Some(share) = share.filter(|share| !share.is_emitted) {
                    memory.closing.add(windows.close(start), &share.contributors, (start, key.clone()));
                }
            }
        }
        Ok(())
    }

    fn read_sessions(&self, windows: SessionWindows, store: &dyn Store) -> Result<Memory, ArrowError> {
        let (mut memory, is_final) = (Memory::default(), self.emission == Emission::Final);
        let mut failed = Ok(());
        store.visit(SESSIONS, &mut |key, value| match sessions(&self.state, value) {
            Ok(found) => {
                for ([_, end], _, share) in found {
                    memory.restore_session(windows, key, end, &share, is_final);
                }
            }
            Err(error) => failed = Err(error),
        });
        failed.map(|()| memory)
    }
}
