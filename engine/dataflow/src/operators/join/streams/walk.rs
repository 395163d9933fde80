//! Goes through the rows of a batch in order and finds what they emit: stream time, and so what is late and which rows stop
//! waiting, changes from one row to the next, wherever batches are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use crate::operator::Late;

use super::kept::Lists;
use super::side::{Side, Within};
use super::time::Time;
use super::waiting::{Turn, Waiter, Waiting};

/// A row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its index in the chunk.
    pub row: u32,
    /// Its event time, in ms since the epoch.
    pub time_ms: i64,
    /// The number of the partition of its source.
    pub partition: i32,
    /// The stream time of the partitions with this number, at this row.
    pub stream_ms: i64,
    /// Its number among the rows that are kept; `None` if it is late.
    pub number: Option<u64>,
}

/// The rows that a batch emits. Each has a row of either input or of both, by index.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The rows of the input with the batch: those of the batch, then those of `expired`.
    pub own: Vec<Option<u32>>,
    /// The rows of the other input: those of the lists, then those of `expired`.
    pub other: Vec<Option<u32>>,
    /// The row of the batch that caused each.
    pub causes: Vec<u32>,
    /// The event time of each.
    pub times_ms: Vec<i64>,
    /// The rows in the stores that have stopped waiting, of the input with the batch and of the other one.
    pub expired: [Vec<&'a Waiter>; 2],
}

/// What a batch changes.
#[derive(Debug, Default)]
pub struct Walked<'a> {
    /// What is emitted.
    pub plan: Plan<'a>,
    /// The rows that are late.
    pub late: Vec<Late>,
    /// The numbers of the rows of the batch that were matched, in ascending order.
    pub matched: Vec<u64>,
    /// The rows of the lists that were matched for the first time.
    pub partners: BTreeSet<usize>,
    /// The rows in the stores that do not wait any longer: those, and those that were emitted without a match.
    pub settled: BTreeSet<Turn>,
    /// The rows of the batch that wait at its end.
    pub waiting: BTreeMap<Turn, Arrival>,
}

/// What is known when the walk begins.
pub struct Known<'a> {
    /// The inputs.
    pub sides: &'a [Side; 2],
    /// The index of the input with the batch.
    pub own: usize,
    /// When rows match.
    pub within: Within,
    /// Whether rows without a partner are emitted at once.
    pub is_eager: bool,
    /// The stream time that all streams have passed.
    pub passed_ms: i64,
    /// The number of rows in the chunk.
    pub rows: usize,
    /// The possible partners.
    pub lists: &'a Lists,
}

/// Goes through rows, each of which comes with the lists in which it has partners. `time` is that of the join after them.
pub fn walk<'a, 'l>(
    known: &'a Known<'a>,
    waiting: &'a Waiting,
    time: &Time,
    arrivals: impl Iterator<Item = (Arrival, &'l [u32])>,
) -> Walked<'a> {
    let mut walk = Walk { known, waiting, lanes: BTreeMap::new(), walked: Walked::default() };
    let mut last = None;
    for (arrival, lists) in arrivals {
        walk.expire(arrival, arrival.stream_ms.min(known.passed_ms));
        walk.arrive(arrival, lists);
        last = Some(arrival);
    }
    last.into_iter().for_each(|last| walk.settle(last, time));
    walk.walked
}

/// Finds the rows that have stopped waiting by a time although none has arrived. Their cause is row 0.
pub fn settle<'a>(known: &'a Known<'a>, waiting: &'a Waiting, time: &Time) -> Walked<'a> {
    let mut walk = Walk { known, waiting, lanes: BTreeMap::new(), walked: Walked::default() };
    walk.settle(Arrival { row: 0, time_ms: 0, partition: 0, stream_ms: 0, number: None }, time);
    walk.walked
}

/// Rows that wait, in order.
type Lane<'a> = Peekable<Box<dyn Iterator<Item = (Turn, &'a Waiter)> + 'a>>;

struct Walk<'a> {
    known: &'a Known<'a>,
    waiting: &'a Waiting,
    /// The rows in the stores that wait and have not been reached, by the numbers of their partitions.
    lanes: BTreeMap<i32, Lane<'a>>,
    walked: Walked<'a>,
}

impl<'a> Walk<'a> {
    /// Emits the rows of all partitions that have stopped waiting.
    fn settle(&mut self, cause: Arrival, time: &Time) {
        for (partition, reached) in time.iter() {
            self.expire(Arrival { partition, ..cause }, reached.settled_ms);
        }
    }

    /// Emits the rows that wait until before a time, of the partitions with the number of the one that caused it.
    fn expire(&mut self, cause: Arrival, settled_ms: i64) {
        let (waiting, partition) = (self.waiting, cause.partition);
        let all = || (Box::new(waiting.of(partition)) as Box<dyn Iterator<Item = _>>).peekable();
        loop {
            let lane = self.lanes.entry(partition).or_insert_with(all);
            let stored = lane.peek().map(|(turn, _)| *turn);
            let arrived = self.walked.waiting.range((partition, i64::MIN, 0)..).next().map(|(turn, _)| *turn);
            let next = stored.into_iter().chain(arrived.filter(|turn| turn.0 == partition)).min();
            let Some(next) = next.filter(|(_, close_ms, _)| *close_ms < settled_ms) else { return };
            if stored == Some(next) {
                let waiter = lane.next().filter(|(turn, _)| !self.walked.settled.contains(turn));
                if let Some((turn, waiter)) = waiter {
                    self.walked.settled.insert(turn);
                    self.expired(cause, waiter);
                }
            } else if let Some(Arrival { row, time_ms, .. }) = self.walked.waiting.remove(&next) {
                self.emit(cause, [Some(row), None], time_ms);
            }
        }
    }

    /// Emits a row in a store that has stopped waiting.
    fn expired(&mut self, cause: Arrival, waiter: &'a Waiter) {
        let is_own = waiter.side == self.known.own;
        let first = if is_own { self.known.rows } else { self.known.lists.rows.len() };
        let expired = &mut self.walked.plan.expired[usize::from(!is_own)];
        let index = Some((first + expired.len()) as u32);
        expired.push(waiter);
        self.emit(cause, if is_own { [index, None] } else { [None, index] }, waiter.time_ms);
    }

    /// Matches a row with its partners. Without one it waits or is emitted, if its input keeps unmatched rows.
    fn arrive(&mut self, arrival: Arrival, lists: &[u32]) {
        let (known, Arrival { row, time_ms, .. }) = (self.known, arrival);
        let (side, grace_ms) = (&known.sides[known.own], known.within.grace_ms);
        let close_ms = side.close_ms(time_ms, grace_ms);
        let Some(number) = arrival.number else {
            let reason = late_reason(side, close_ms, grace_ms, arrival.stream_ms);
            self.walked.late.push(Late { row: row as usize, reason });
            if side.keeps_unmatched {
                self.emit(arrival, [Some(row), None], time_ms);
            }
            return;
        };
        let partners = lists.iter().flat_map(|list| known.lists.between(*list, side.partners_ms(time_ms)));
        let emitted = self.walked.plan.causes.len();
        partners.for_each(|partner| self.matched(arrival, partner));
        if self.walked.plan.causes.len() > emitted {
            self.walked.matched.push(number);
        } else if side.keeps_unmatched && known.is_eager {
            self.emit(arrival, [Some(row), None], time_ms);
        } else if side.keeps_unmatched {
            self.walked.waiting.insert((arrival.partition, close_ms, number), arrival);
        }
    }

    /// Emits a row with a partner.
    fn matched(&mut self, arrival: Arrival, partner: usize) {
        let (header, side) = (self.known.lists.rows[partner].header, &self.known.sides[1 - self.known.own]);
        self.emit(arrival, [Some(arrival.row), Some(partner as u32)], arrival.time_ms.max(header.time_ms));
        if side.keeps_unmatched && !self.known.is_eager && !header.is_matched && self.walked.partners.insert(partner) {
            let close_ms = side.close_ms(header.time_ms, self.known.within.grace_ms);
            self.walked.settled.insert((header.partition, close_ms, header.number));
        }
    }

    fn emit(&mut self, cause: Arrival, [own, other]: [Option<u32>; 2], time_ms: i64) {
        let plan = &mut self.walked.plan;
        plan.own.push(own);
        plan.other.push(other);
        plan.causes.push(cause.row);
        plan.times_ms.push(time_ms);
    }
}

/// The reason for a late row in the processing log.
fn late_reason(side: &Side, close_ms: i64, grace_ms: i64, stream_ms: i64) -> String {
    let accepted = format!("it was accepted until stream time {close_ms} (grace period {grace_ms} ms)");
    let fate = if side.keeps_unmatched { "; it is emitted without a match" } else { "" };
    format!("the row is late: {accepted}, and stream time is {stream_ms}{fate}")
}
