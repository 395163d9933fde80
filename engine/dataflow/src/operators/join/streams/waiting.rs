//! The rows that wait for a partner, in the order in which they stop waiting. They are derived from the stores, which know of
//! each row whether it was matched.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::Array;
use arrow::error::ArrowError;
use headwater_state::{Scanned, Store};

use super::kept::{Header, split_key};
use super::side::{Side, Within};
use super::time::Time;

/// The number of rows that are read at a time.
const SCANNED_ROWS: usize = 8_192;

/// The last stream time at which a row waits, and its number.
pub type Turn = (i64, u64);

/// Rows that wait.
#[derive(Clone, Debug, Default)]
pub struct Waiting(BTreeMap<Turn, Waiter>);

/// A row that waits.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// The index of its input.
    pub side: usize,
    /// Its event time, in ms since the epoch.
    pub time_ms: i64,
    /// Its key in the store.
    pub key: Box<[u8]>,
    /// Its place in its list.
    pub place: u32,
}

impl Waiting {
    /// The rows that wait after a restore, at a time of the join. Reads all rows of the inputs that keep unmatched ones.
    pub fn restored(
        sides: &[Side; 2],
        within: Within,
        stores: &[Box<dyn Store>],
        time: Time,
    ) -> Result<Self, ArrowError> {
        let mut waiting = Self::default();
        for (number, side) in sides.iter().enumerate().filter(|(_, side)| side.keeps_unmatched) {
            for batch in stores[side.store].view().snapshot().scan(..Time::WINDOW, SCANNED_ROWS) {
                let Scanned { keys, values, .. } = batch?;
                for row in 0..keys.len() {
                    let (header, _) = Header::read(values.value(row))?;
                    let (key, place) = split_key(keys.value(row))?;
                    let close_ms = side.close_ms(header.time_ms, within.grace_ms);
                    if !header.is_matched && time.stream_ms.is_none_or(|now| close_ms >= now) {
                        let waiter = Waiter { side: number, time_ms: header.time_ms, key: key.into(), place };
                        waiting.0.insert((close_ms, header.number), waiter);
                    }
                }
            }
        }
        Ok(waiting)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (Turn, &Waiter)> {
        self.0.iter().map(|(turn, waiter)| (*turn, waiter))
    }

    /// Removes the rows that stopped waiting before a stream time and those that were matched, and adds others.
    pub fn update(
        &mut self,
        stream_time_ms: i64,
        matched: &BTreeSet<Turn>,
        added: impl Iterator<Item = (Turn, Waiter)>,
    ) {
        while self.0.first_key_value().is_some_and(|((close_ms, _), _)| *close_ms < stream_time_ms) {
            self.0.pop_first();
        }
        matched.iter().for_each(|turn| drop(self.0.remove(turn)));
        self.0.extend(added);
    }
}
