//! The rows that wait for a partner, in the order in which they stop waiting. They are derived from the stores, which know of
//! each row whether it was matched.

use std::collections::{BTreeMap, BTreeSet};

use arrow::error::ArrowError;
use headwater_state::Store;

use super::kept::{Header, split_key};
use super::side::{Side, Within};
use super::time::Time;

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
    /// The rows in the stores that wait at a time of the join. Reads all rows of the inputs that keep unmatched ones.
    pub fn of(sides: &[Side; 2], within: Within, stores: &[Box<dyn Store>], time: Time) -> Result<Self, ArrowError> {
        let (mut waiting, mut failure) = (BTreeMap::new(), Ok(()));
        for (number, side) in sides.iter().enumerate().filter(|(_, side)| side.keeps_unmatched) {
            stores[side.store].each(&mut |bucket, key, value| {
                if bucket == Time::WINDOW || failure.is_err() {
                    return;
                }
                let (header, (key, place)) = match (Header::read(value), split_key(key)) {
                    (Ok((header, _)), Some(key)) => (header, key),
                    (Err(error), _) => return failure = Err(error),
                    (_, None) => return failure = Err(ArrowError::ParseError("a key of a join is damaged".to_owned())),
                };
                let Header { is_matched, time_ms, number: turn, .. } = header;
                let close_ms = side.close_ms(time_ms, within.grace_ms);
                if !is_matched && time.stream_ms.is_none_or(|now| close_ms >= now) {
                    waiting.insert((close_ms, turn), Waiter { side: number, time_ms, key: key.into(), place });
                }
            });
        }
        failure.map(|()| Self(waiting))
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
