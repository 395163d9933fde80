//! The join of two streams: rows with the same key whose times are close.
//!
//! The rows of each input are kept in a store, by key and time. A row that arrives is emitted with each row of the other input
//! that matches it. Without a match it waits, if its input keeps unmatched rows: it is emitted alone once stream time has passed
//! the end of its window and the grace period. Without GRACE PERIOD it does not wait. A row that arrives later than that is
//! late: it is not kept, matches nothing, and is emitted alone or dropped.
//!
//! Rows are kept for as long as a row that is not late can match them. So whether rows match depends on the rows before them
//! and on their order alone.
//!
//! A batch belongs to one input. So its rows match only what was kept before it, and the store is asked once for the partners
//! of all of them.

mod candidates;
mod joined;
mod kept;
mod side;
#[cfg(test)]
mod tests;
mod time;
mod waiting;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{Join, JoinForm, JoinKind, JoinSide};
use headwater_state::Store;

use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Late, Operator, Port};
use crate::operators::grouping::{Groups, group};
use crate::operators::internal;
use crate::operators::join::side::keyless;
use candidates::Candidates;
use joined::{Half, Joined};
use kept::{Appended, Header, payloads};
use side::{Side, Within};
use time::Time;
use waiting::{Turn, Waiter, Waiting};
use walk::{Arrival, Known, Plan, Walked, walk};

/// The grace period of a join without GRACE PERIOD, in ms. Semantics: ksqlDB's.
const DEFAULT_GRACE_MS: i64 = 24 * 60 * 60 * 1_000;

/// The operator for the join of two streams. Port 0 is the left input, port 1 the right one.
#[derive(Clone, Debug)]
pub struct JoinStreams {
    sides: [Side; 2],
    within: Within,
    /// Whether rows without a partner are emitted at once.
    is_eager: bool,
    schema: SchemaRef,
    /// The rows that wait; `None` before the first batch.
    waiting: Option<Waiting>,
}

/// The rows of a batch that take part in the join.
struct Arrived {
    rows: Vec<Arrival>,
    /// The stream time of each row's source partition, for all rows of the batch.
    clocks_ms: Int64Array,
    /// The time of the join after them.
    time: Time,
}

/// What a batch changes.
struct Changed {
    /// The keys and values to be put, each with its store and bucket.
    puts: Vec<(usize, i64, BinaryArray, BinaryArray)>,
    emitted: Emitted,
    late: Vec<Late>,
    /// The rows that no longer wait because they were matched.
    matched: BTreeSet<Turn>,
    /// The rows that wait now, too.
    added: Vec<(Turn, Waiter)>,
}

impl JoinStreams {
    /// Creates the operator for inputs with these columns, with its state in the store at the index `first_store` (for the rows
    /// of the left input) and in the next one. Fails if it is not a join of two streams, if a column does not exist, if the
    /// types of the keys differ, or if a type cannot be stored.
    pub fn new(join: &Join, left: &SchemaRef, right: &SchemaRef, first_store: usize) -> Result<Self, Vec<Diagnostic>> {
        let JoinForm::Streams { before_ms, after_ms, grace_ms } = join.form else {
            return Err(internal("this is not a join of two streams"));
        };
        let within = Within::new([before_ms, after_ms], grace_ms.unwrap_or(DEFAULT_GRACE_MS));
        let Within { before_ms, after_ms, .. } = within;
        let keys = [key(&join.left, left)?, key(&join.right, right)?];
        if left.field(keys[0]).data_type() != right.field(keys[1]).data_type() {
            return Err(internal("the keys of a join have different types"));
        }
        let keeps_left = matches!(join.kind, JoinKind::Left | JoinKind::Full);
        let keeps_right = matches!(join.kind, JoinKind::Right | JoinKind::Full);
        let fields = left.fields().iter().chain(right.fields());
        let schema = Schema::new(fields.map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<Field>>());
        let left = Side::new(left, keys[0], first_store, [before_ms, after_ms], keeps_left);
        let right = Side::new(right, keys[1], first_store + 1, [after_ms, before_ms], keeps_right);
        Ok(Self {
            sides: [left.map_err(internal)?, right.map_err(internal)?],
            within,
            is_eager: grace_ms.is_none(),
            schema: Arc::new(schema),
            waiting: None,
        })
    }

    /// The columns of the left input, then those of the right one; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads the rows that wait from the stores, before the first batch.
    fn read_waiting(&mut self, stores: &[Box<dyn Store>], time: Time) -> Result<(), ArrowError> {
        match self.waiting {
            Some(_) => {}
            None if self.is_eager => self.waiting = Some(Waiting::default()),
            None => self.waiting = Some(Waiting::restored(&self.sides, self.within, stores, time)?),
        }
        Ok(())
    }

    /// Advances stream time by the rows of a batch. Rows without a value or without a key take no part.
    fn arrive(
        &self,
        own: usize,
        chunk: &Chunk,
        mut time: Time,
        clocks: &mut Clocks,
        source: SourcePartition,
    ) -> Arrived {
        let side = &self.sides[own];
        let keys = side.key_column(chunk);
        let takes_part =
            |row: usize| keys.is_valid(row) && chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(row));
        let (mut rows, mut clocks_ms) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
        for (row, time_ms) in chunk.times_ms.values().iter().copied().enumerate() {
            let given = chunk.clocks_ms.as_ref().map(|clocks| clocks.value(row).max(time_ms));
            let source = chunk.origins.as_ref().map_or(source, |origins| origins.source(row));
            let clock_ms = clocks.advance(source, given.unwrap_or(time_ms));
            clocks_ms.push(given.unwrap_or(clock_ms));
            if !takes_part(row) {
                continue;
            }
            let reached_ms = given.unwrap_or(time_ms);
            let stream_ms = time.stream_ms.map_or(reached_ms, |now| now.max(reached_ms));
            time.stream_ms = Some(stream_ms);
            let is_kept = side.close_ms(time_ms, self.within.grace_ms) >= stream_ms;
            rows.push(Arrival { row: row as u32, time_ms, stream_ms, number: is_kept.then_some(time.next_number) });
            time.next_number += u64::from(is_kept);
        }
        Arrived { rows, clocks_ms: clocks_ms.into(), time }
    }

    /// Computes what a batch changes. Changes nothing.
    fn changed(
        &self,
        own: usize,
        chunk: &Chunk,
        arrived: Arrived,
        stores: &[Box<dyn Store>],
    ) -> Result<Changed, ArrowError> {
        let waiting = self.waiting.as_ref().expect("they are read before the first batch");
        let [side, other] = [&self.sides[own], &self.sides[1 - own]];
        let keys = side.keys(chunk)?;
        let candidates = Candidates::read(side, self.within, &arrived.rows, &keys, &*stores[other.store])?;
        let (within, is_eager, rows) = (self.within, self.is_eager, chunk.len());
        let known = Known { sides: &self.sides, own, within, is_eager, rows, lists: &candidates.lists };
        let walked = walk(&known, waiting, arrived.rows.iter().copied().zip(candidates.of_each_row()));
        let appended = self.append(own, chunk, (&arrived.rows, &keys), &walked.matched, stores)?;
        let waiter = |(turn, Arrival { row, time_ms, .. }): (&Turn, &Arrival)| {
            let (key, place) = (keys.value(*row as usize).into(), appended.places[*row as usize]);
            (*turn, Waiter { side: own, time_ms: *time_ms, key, place })
        };
        let added = walked.waiting.iter().map(waiter).collect();
        let own_puts = appended.puts.into_iter().map(|(bucket, keys, values)| (side.store, bucket, keys, values));
        let partner_puts = candidates.matched(&walked.partners);
        let partner_puts = partner_puts.map(|(bucket, keys, values)| (other.store, bucket, keys, values));
        let puts = own_puts.chain(partner_puts).collect();
        let Walked { plan, late, partner_turns, .. } = walked;
        let chunk = Chunk { clocks_ms: Some(arrived.clocks_ms), ..chunk.clone() };
        let emitted = self.joined(own, chunk, plan, &candidates, stores)?;
        Ok(Changed { puts, emitted, late, matched: partner_turns, added })
    }

    /// Appends the rows that are not late to their lists. The places are those of all rows of the chunk.
    fn append(
        &self,
        own: usize,
        chunk: &Chunk,
        (rows, keys): (&[Arrival], &BinaryArray),
        matched: &[u64],
        stores: &[Box<dyn Store>],
    ) -> Result<Appended, ArrowError> {
        let side = &self.sides[own];
        let payloads = side.payloads(chunk)?;
        let kept = || rows.iter().filter_map(|row| row.number.map(|number| (row, number)));
        let header = |(row, number): (&Arrival, u64)| {
            let header =
                Header { is_matched: matched.binary_search(&number).is_ok(), rows: 0, time_ms: row.time_ms, number };
            (header, payloads.value(row.row as usize))
        };
        let numbers: Vec<u32> = kept().map(|(row, _)| row.row).collect();
        let starts: Vec<i64> = kept().map(|(row, _)| self.within.bucket(row.time_ms)).collect();
        let (groups, keys) = grouped(keys, &numbers, &starts)?;
        let appended = Appended::new(&*stores[side.store], &groups, &keys, &kept().map(header).collect::<Vec<_>>())?;
        let mut places = vec![0; chunk.len()];
        numbers.iter().zip(&appended.places).for_each(|(row, place)| places[*row as usize] = *place);
        Ok(Appended { places, ..appended })
    }

    /// The rows that are emitted.
    fn joined(
        &self,
        own: usize,
        chunk: Chunk,
        plan: Plan<'_>,
        candidates: &Candidates,
        stores: &[Box<dyn Store>],
    ) -> Result<Emitted, ArrowError> {
        if plan.causes.is_empty() {
            return Ok(Emitted::Nothing);
        }
        let [own_expired, other_expired] = &plan.expired;
        let mut columns = chunk.rows.columns().to_vec();
        if !own_expired.is_empty() {
            let expired = self.columns(own, own_expired, [].into_iter(), stores)?;
            let both = columns.iter().zip(&expired).map(|(column, expired)| concat(&[column, expired]));
            columns = both.collect::<Result<_, _>>()?;
        }
        let partners = candidates.lists.rows.len();
        let mut is_used = vec![false; partners + other_expired.len()];
        plan.other.iter().flatten().for_each(|at| is_used[*at as usize] = true);
        let used: Vec<usize> = (0..partners).filter(|at| is_used[*at]).collect();
        let other_columns = self.columns(1 - own, other_expired, used.iter().map(|at| candidates.row(*at)), stores)?;
        let mut places = vec![0; partners];
        used.iter().zip(0..).for_each(|(at, place)| places[*at] = place);
        let place = |at: u32| places.get(at as usize).copied().unwrap_or(at - (partners - used.len()) as u32);
        let other_rows = plan.other.into_iter().map(|at| at.map(place)).collect();
        let mut halves = [Half::new(columns, plan.own), Half::new(other_columns, other_rows)];
        if own == 1 {
            halves.reverse();
        }
        Joined::new(chunk, self.schema.clone(), halves, plan.causes, plan.times_ms)?.emit()
    }

    /// The columns of rows of an input: those with these keys and payloads, then those that have stopped waiting.
    fn columns<'a>(
        &self,
        side: usize,
        expired: &[&Waiter],
        rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        stores: &[Box<dyn Store>],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let bucket = |waiter: &Waiter| self.within.bucket(waiter.time_ms);
        let addresses: Vec<_> = expired.iter().map(|it| (bucket(it), it.key.as_ref(), it.place)).collect();
        let stored = payloads(&*stores[self.sides[side].store], &addresses)?;
        let (mut keys, mut payloads): (Vec<&[u8]>, Vec<&[u8]>) = rows.unzip();
        keys.extend(expired.iter().map(|waiter| waiter.key.as_ref()));
        payloads.extend((0..stored.len()).map(|row| stored.value(row)));
        self.sides[side].columns(&BinaryArray::from_vec(keys), &BinaryArray::from_vec(payloads))
    }
}

impl Operator for JoinStreams {
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        debug_assert!(chunk.before.is_none(), "rows of a stream do not change");
        let known = Time::read(&*cx.stores[self.sides[0].store])?;
        self.read_waiting(cx.stores, known)?;
        let mut clocks = cx.clocks.clone();
        let arrived = self.arrive(port.0, &chunk, known, &mut clocks, cx.source);
        let time = arrived.time;
        let changed = self.changed(port.0, &chunk, arrived, cx.stores)?;
        let keyless = keyless(&chunk, self.sides[port.0].key);
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        changed.puts.iter().for_each(|(store, bucket, keys, values)| cx.stores[*store].put(*bucket, keys, values));
        if time != known {
            time.write(&mut *cx.stores[self.sides[0].store]);
        }
        if let (Some(stream_ms), Some(waiting)) = (time.stream_ms, &mut self.waiting) {
            let expired = self.within.expired_before(stream_ms);
            self.sides.iter().for_each(|side| cx.stores[side.store].expire(expired));
            waiting.update(stream_ms, &changed.matched, changed.added.into_iter());
        }
        *cx.clocks = clocks;
        cx.late.extend(changed.late);
        cx.failures.extend(keyless);
        Ok(changed.emitted)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { waiting: None, ..self.clone() })
    }
}

/// Groups rows by bucket and key. Returns the key of each group, too.
fn grouped(keys: &BinaryArray, rows: &[u32], buckets: &[i64]) -> Result<(Groups, BinaryArray), ArrowError> {
    let keys = take(keys, &UInt32Array::from(rows.to_vec()), None)?.as_binary::<i32>().clone();
    let groups = group(&keys, buckets);
    let firsts = take(&keys, &UInt32Array::from(groups.firsts.clone()), None)?.as_binary::<i32>().clone();
    Ok((groups, firsts))
}

fn key(side: &JoinSide, schema: &SchemaRef) -> Result<usize, Vec<Diagnostic>> {
    schema.index_of(&side.key).map_err(|_| internal(format!("column \"{}\" does not exist", side.key)))
}
