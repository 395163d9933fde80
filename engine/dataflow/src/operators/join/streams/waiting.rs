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

/// The number of a row's partition, the last stream time at which the row waits, and its own number.
pub type Turn = (i32, i64, u64);

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
        time: &Time,
    ) -> Result<Self, ArrowError> {
        let mut waiting = Self::default();
        for (number, side) in sides.iter().enumerate().filter(|(_, side)| side.keeps_unmatched) {
            for batch in stores[side.store].view().snapshot().scan(..Time::WINDOW, SCANNED_ROWS) {
                let Scanned { keys, values, .. } = batch?;
                for row in 0..keys.len() {
                    let (header, _) = Header::read(values.value(row))?;
                    let (key, place) = split_key(keys.value(row))?;
                    let close_ms = side.close_ms(header.time_ms, within.grace_ms);
                    let settled_ms = time.of(header.partition).map_or(i64::MIN, |reached| reached.settled_ms);
                    if !header.is_matched && close_ms >= settled_ms {
                        let waiter = Waiter { side: number, time_ms: header.time_ms, key: key.into(), place };
                        waiting.0.insert((header.partition, close_ms, header.number), waiter);
                    }
                }
            }
        }
        Ok(waiting)
    }

    /// The rows of the partitions with a number, in order.
    pub fn of(&self, partition: i32) -> impl Iterator<Item = (Turn, &Waiter)> {
        let turns = (partition, i64::MIN, 0)..=(partition, i64::MAX, u64::MAX);
        self.0.range(turns).map(|(turn, waiter)| (*turn, waiter))
    }

    /// The number of rows.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes the rows that stopped waiting, and adds others.
    pub fn update(&mut self, removed: &BTreeSet<Turn>, added: impl Iterator<Item = (Turn, Waiter)>) {
        removed.iter().for_each(|turn| drop(self.0.remove(turn)));
        self.0.extend(added);
    }
}
