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

use crate::chunk::{Chunk, Origins};
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
use walk::{Arrival, Known, Plan, Walked, settle, walk};

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
    /// The last row that was pushed, without its columns: rows that stop waiting without another one have its address.
    last: Option<Chunk>,
}

/// The rows of a batch that take part in the join.
struct Arrived {
    rows: Vec<Arrival>,
    /// The stream time of each row's source partition, for all rows of the batch.
    clocks_ms: Int64Array,
    /// The time of the join after them.
    time: Time,
}

/// What the arrival of rows needs of the context.
struct Arriving<'a> {
    clocks: &'a mut Clocks,
    source: SourcePartition,
    passed_ms: i64,
}

/// What a batch changes.
struct Changed {
    /// The keys and values to be put, each with its store and bucket.
    puts: Vec<(usize, i64, BinaryArray, BinaryArray)>,
    emitted: Emitted,
    late: Vec<Late>,
    /// The rows that no longer wait.
    settled: BTreeSet<Turn>,
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
            last: None,
        })
    }

    /// The columns of the left input, then those of the right one; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads the rows that wait from the stores, before the first batch.
    fn read_waiting(&mut self, stores: &[Box<dyn Store>], time: &Time) -> Result<(), ArrowError> {
        match self.waiting {
            Some(_) => {}
            None if self.is_eager => self.waiting = Some(Waiting::default()),
            None => self.waiting = Some(Waiting::restored(&self.sides, self.within, stores, time)?),
        }
        Ok(())
    }

    /// Advances stream time by the rows of a batch. Rows without a value or without a key take no part.
    fn arrive(&self, own: usize, chunk: &Chunk, known: &Time, cx: &mut Arriving<'_>) -> Arrived {
        let side = &self.sides[own];
        let keys = side.key_column(chunk);
        let takes_part =
            |row: usize| keys.is_valid(row) && chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(row));
        let clocks_ms = cx.clocks.advance_by_row(chunk, cx.source);
        let expired_before = self.within.expired_before(known.passed_ms(cx.passed_ms));
        let (mut rows, mut time) = (Vec::with_capacity(chunk.len()), known.clone());
        let mut reached: Option<(i32, i64)> = None;
        for (row, time_ms) in chunk.times_ms.values().iter().copied().enumerate().filter(|(row, _)| takes_part(*row)) {
            let partition = chunk.origins.as_ref().map_or(cx.source, |origins| origins.source(row)).partition;
            if let Some((last, stream_ms)) = reached.filter(|(last, _)| *last != partition) {
                time.advance(last, stream_ms);
                reached = None;
            }
            let before_ms =
                reached.map(|(_, stream_ms)| stream_ms).or_else(|| time.of(partition).map(|reached| reached.stream_ms));
            // Rows that know stream time bring that of both streams along, as it was when they were read.
            let given_ms = chunk.clocks_ms.as_ref().map(|_| clocks_ms.value(row));
            let stream_ms = given_ms.unwrap_or_else(|| before_ms.map_or(time_ms, |before| before.max(time_ms)));
            reached = Some((partition, before_ms.map_or(stream_ms, |before| before.max(stream_ms))));
            let is_kept = side.close_ms(time_ms, self.within.grace_ms) >= stream_ms
                && self.within.bucket(time_ms) >= expired_before;
            let number = is_kept.then_some(time.next_number);
            rows.push(Arrival { row: row as u32, time_ms, partition, stream_ms, number });
            time.next_number += u64::from(is_kept);
        }
        if let Some((last, stream_ms)) = reached {
            time.advance(last, stream_ms);
        }
        if !rows.is_empty() {
            time.settle_all(cx.passed_ms);
        }
        Arrived { rows, clocks_ms, time }
    }

    /// Computes what a batch changes. Changes nothing.
    fn changed(
        &self,
        own: usize,
        chunk: &Chunk,
        arrived: Arrived,
        passed_ms: i64,
        stores: &[Box<dyn Store>],
    ) -> Result<Changed, ArrowError> {
        let waiting = self.waiting.as_ref().expect("they are read before the first batch");
        let [side, other] = [&self.sides[own], &self.sides[1 - own]];
        let keys = side.keys(chunk)?;
        let candidates = Candidates::read(side, self.within, &arrived.rows, &keys, &*stores[other.store])?;
        let (within, is_eager, rows) = (self.within, self.is_eager, chunk.len());
        let lists = &candidates.lists;
        let known = Known { sides: &self.sides, own, within, is_eager, passed_ms, rows, lists };
        let arrivals = arrived.rows.iter().copied().zip(candidates.of_each_row());
        let walked = walk(&known, waiting, &arrived.time, arrivals);
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
        let Walked { plan, late, settled, .. } = walked;
        let chunk = Chunk { clocks_ms: Some(arrived.clocks_ms), ..chunk.clone() };
        let emitted = self.joined(own, chunk, plan, &candidates, stores)?;
        Ok(Changed { puts, emitted, late, settled, added })
    }

    /// Emits rows that have stopped waiting because streams elsewhere have passed their times. They have the address of the last row, so
    /// after a restart they wait for another one.
    fn settle(&mut self, known: Time, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let (Some(waiting), Some(last)) = (&self.waiting, &self.last) else { return Ok(Emitted::Nothing) };
        let mut time = known;
        time.settle_all(cx.passed_ms);
        let (within, is_eager, passed_ms) = (self.within, self.is_eager, cx.passed_ms);
        let candidates = Candidates::none();
        let all = Known { sides: &self.sides, own: 0, within, is_eager, passed_ms, rows: 0, lists: &candidates.lists };
        let Walked { plan, settled, .. } = settle(&all, waiting, &time);
        let emitted = self.joined(0, last.clone(), plan, &candidates, cx.stores)?;
        self.expire(&time, passed_ms, cx.stores);
        time.write(&mut *cx.stores[self.sides[0].store]);
        if let Some(waiting) = &mut self.waiting {
            waiting.update(&settled, std::iter::empty());
        }
        Ok(emitted)
    }

    /// Drops the rows that no row can match any longer.
    fn expire(&self, time: &Time, passed_ms: i64, stores: &mut [Box<dyn Store>]) {
        let expired = self.within.expired_before(time.passed_ms(passed_ms));
        self.sides.iter().for_each(|side| stores[side.store].expire(expired));
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
            let is_matched = matched.binary_search(&number).is_ok();
            let header = Header { is_matched, rows: 0, time_ms: row.time_ms, number, partition: row.partition };
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
        if !own_expired.is_empty() || columns.is_empty() {
            let expired = self.columns(own, own_expired, [].into_iter(), stores)?;
            let both = columns.iter().zip(&expired).map(|(column, expired)| concat(&[column, expired]));
            // A chunk without columns is only the address of what is emitted.
            columns = if columns.is_empty() { expired } else { both.collect::<Result<_, _>>()? };
        }
        let partners = candidates.lists.rows.len();
        let mut is_used = vec![false; partners + other_expired.len()];
        plan.other.iter().flatten().for_each(|at| is_used[*at as usize] = true);
        let used: Vec<usize> = (0..partners).filter(|at| is_used[*at]).collect();
        let other_columns = self.columns(1 - own, other_expired, used.iter().map(|at| candidates.row(*at)), stores)?;
        let mut places = vec![0; partners];
        used.iter().zip(0..).for_each(|(at, place)| places[*at] = place);
        let place = |at: u32| places.get(at as usize).copied().unwrap_or_else(|| at - (partners - used.len()) as u32);
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
        self.read_waiting(cx.stores, &known)?;
        if chunk.is_empty() {
            return self.settle(known, cx);
        }
        let (mut clocks, passed_ms) = (cx.clocks.clone(), cx.passed_ms);
        let mut arriving = Arriving { clocks: &mut clocks, source: cx.source, passed_ms };
        let arrived = self.arrive(port.0, &chunk, &known, &mut arriving);
        let time = arrived.time.clone();
        let changed = self.changed(port.0, &chunk, arrived, passed_ms, cx.stores)?;
        for (store, _, keys, values) in &changed.puts {
            cx.limits.check(*store, (keys, values), 0)?;
        }
        let keyless = keyless(&chunk, self.sides[port.0].key);
        let last = self.waits_for_others().then(|| last_of(&chunk, cx.source)).transpose()?;
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        changed.puts.iter().for_each(|(store, bucket, keys, values)| cx.stores[*store].put(*bucket, keys, values));
        if time != known {
            time.write(&mut *cx.stores[self.sides[0].store]);
        }
        self.expire(&time, passed_ms, cx.stores);
        if let Some(waiting) = &mut self.waiting {
            waiting.update(&changed.settled, changed.added.into_iter());
        }
        self.last = last;
        *cx.clocks = clocks;
        cx.late.extend(changed.late);
        cx.failures.extend(keyless);
        Ok(changed.emitted)
    }

    /// Without GRACE PERIOD no row waits.
    fn waits_for_others(&self) -> bool {
        !self.is_eager && self.sides.iter().any(|side| side.keeps_unmatched)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { waiting: None, last: None, ..self.clone() })
    }
}

/// The last row of a chunk, without its columns.
fn last_of(chunk: &Chunk, own: SourcePartition) -> Result<Chunk, ArrowError> {
    let last = chunk.slice(chunk.len() - 1, 1);
    let rows = last.rows.project(&[])?;
    let clocks_ms = last.clocks_ms.clone().unwrap_or_else(|| last.times_ms.clone());
    let origins = last.origins.clone().unwrap_or_else(|| Origins::own(own, &last.offsets));
    Ok(Chunk { rows, valued: None, origins: Some(origins), clocks_ms: Some(clocks_ms), ..last })
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
