//! The effect of the changes of a table on its groups, in which rows may be missing that could not be folded. Nothing of this costs
//! anything while all rows could be: then a batch is folded as it is.
//!
//! Otherwise each row that is taken out or added is looked up among the [differences](super::differences) that it may settle. The
//! others are folded, but row by row in the groups that rejected one, or have rows too many: what is found out there is what each row
//! does, and then the batch is folded once more without the rows that do nothing.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::format::FormatError;
use headwater_functions::fold::Rows;
use headwater_state::Store;

use super::differences::{Counts, Digest, Known, Row};
use super::folding::{Attempt, rows_at};
use super::history::History;
use super::memory::Memory;
use super::rejection::{Rejected, folded};
use super::windowed::Entries;
use super::{Aggregate, Call, Effect, Incoming};
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::operators::encoding::{Encoding, States};

/// Extra rows of a group that are tried after each of its rows, at most.
const RETRIED_MAX: usize = 64;

/// What an aggregate over a table has in addition.
#[derive(Clone, Debug)]
pub(super) struct OverTable {
    /// The columns that are arguments, each once, in ascending order.
    args: Vec<usize>,
    /// Their encoding.
    encoding: Encoding,
    /// What is known of the differences; `None` until it is read from the store.
    known: Option<Known>,
}

impl OverTable {
    /// For rows with these columns and these calls.
    pub fn new(calls: &[Call], input: &SchemaRef) -> Result<Self, FormatError> {
        let args: BTreeSet<usize> = calls.iter().flat_map(|call| call.args.iter().copied()).collect();
        let args: Vec<usize> = args.into_iter().collect();
        let fields: Vec<FieldRef> = args.iter().map(|at| input.fields()[*at].clone()).collect();
        Ok(Self { args, encoding: Encoding::new(fields)?, known: None })
    }

    /// The same for another task, without anything that is known of a store.
    pub fn fresh(&self) -> Self {
        Self { known: None, ..self.clone() }
    }

    /// What is known of the differences in a store.
    pub fn known(&mut self, store: &dyn Store) -> Result<&mut Known, ArrowError> {
        let known = match self.known.take() {
            Some(known) => known,
            None => Known::read(store)?,
        };
        Ok(self.known.insert(known))
    }

    /// The arguments of each row, encoded.
    pub fn encode(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        let columns: Vec<ArrayRef> = self.args.iter().map(|at| chunk.rows.column(*at).clone()).collect();
        self.encoding.encode(&columns, chunk.len())
    }

    /// The arguments of a call, of those that were decoded.
    fn args_of(&self, call: &Call, decoded: &[ArrayRef]) -> Vec<ArrayRef> {
        let place = |at: &usize| self.args.binary_search(at).ok().and_then(|place| decoded.get(place)).cloned();
        call.args.iter().filter_map(place).collect()
    }
}

/// The entries of a batch that belong to groups.
struct Batch<'a> {
    chunk: Chunk,
    /// Which of them are taken out.
    undone: Vec<bool>,
    /// The keys of their groups.
    keys: BinaryArray,
    /// Their arguments.
    args: BinaryArray,
    known: &'a Known,
    over: &'a OverTable,
    /// Whether extra rows are taken out of the groups that change.
    retries: bool,
}

impl Batch<'_> {
    fn row(&self, entry: usize) -> Row<'_> {
        Row { group: self.keys.value(entry), args: self.args.value(entry) }
    }

    /// Whether an entry is the second one of a change within a group, of which the other is the first one.
    fn follows(&self, entry: usize, other: usize) -> bool {
        let offsets = self.chunk.offsets.values();
        (other + 1, offsets[other]) == (entry, offsets[entry]) && self.undone[other] && !self.undone[entry]
    }
}

/// An entry that is folded.
struct Step {
    /// The entry.
    entry: u32,
    /// The arguments of the extra row that is taken out after it, instead of the entry itself.
    retried: Option<Box<[u8]>>,
}

/// What the entries of a batch do.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    rejected: Vec<(Digest, Rejected)>,
    counts: Counts,
}

impl Plan {
    /// An entry could not be folded.
    fn reject(&mut self, batch: &Batch<'_>, entry: usize, digest: Digest, rejected: Rejected) {
        let is_undone = batch.undone[entry];
        self.counts.leave(digest, batch.row(entry), is_undone);
        let stays =
            if is_undone { "; the row that was before stays in its group until it can be taken out" } else { "" };
        let reason = format!("{}{stays}", rejected.reason);
        self.rejected.push((digest, Rejected { reason, ..rejected }));
    }

    /// Whether an entry only makes a difference smaller.
    fn settle(&mut self, batch: &Batch<'_>, entry: usize, digest: Digest) -> bool {
        let is_settled = self.counts.settle(digest, batch.row(entry), batch.undone[entry]);
        if is_settled {
            self.forgive(batch, entry, digest);
        }
        is_settled
    }

    /// A row that could not be taken out is not reported if that was a matter of the order within the change that an entry ends.
    fn forgive(&mut self, batch: &Batch<'_>, entry: usize, digest: Digest) {
        let is_it = |found: &(Digest, Rejected)| found.0 == digest && batch.follows(entry, found.1.row);
        if self.rejected.last().is_some_and(is_it) {
            self.rejected.pop();
        }
    }

    /// A row that is too many in its group was taken out after an entry.
    fn take_out(&mut self, batch: &Batch<'_>, entry: usize, (digest, args): (Digest, Box<[u8]>)) {
        self.counts.take_out(digest, Row { group: batch.keys.value(entry), args: &args });
        self.forgive(batch, entry, digest);
        self.steps.push(Step { entry: entry as u32, retried: Some(args) });
    }

    fn failures(rejected: Vec<(Digest, Rejected)>, entries: &Entries) -> Vec<Failure> {
        rejected.into_iter().map(|(_, one)| one.into_failure(|entry| entries.rows[entry] as usize)).collect()
    }
}

impl Aggregate {
    /// The effect of the changes of a table.
    pub(super) fn of_changes(
        &self,
        over: &OverTable,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Result<Effect, ArrowError> {
        let entries = self.arrive(None, incoming, memory, clocks, &mut History::default());
        if entries.rows.is_empty() {
            return Ok(Effect::default());
        }
        let mut rejected = Vec::new();
        if over.known.as_ref().is_some_and(Known::is_empty) {
            match self.attempt(None, incoming, &entries, &[], memory, clocks, store)? {
                Ok(effect) => return Ok(effect),
                Err(some) => rejected = some,
            }
        }
        let batch = self.batch(over, incoming, &entries)?;
        let mut singly: BTreeSet<Box<[u8]>> = rejected.iter().map(|one| batch.keys.value(one.row).into()).collect();
        loop {
            let plan = self.plan(&batch, &singly, store)?;
            match self.carried_out(&batch, &plan, incoming, memory, clocks, store)? {
                Ok(effect) => {
                    let failures = Plan::failures(plan.rejected, &entries);
                    return Ok(Effect { failures, differences: plan.counts.changes(), ..effect });
                }
                Err(rejected) => {
                    let entry = |rejected: &Rejected| plan.steps[rejected.row].entry as usize;
                    let groups = singly.len();
                    singly.extend(rejected.iter().map(|rejected| batch.keys.value(entry(rejected)).into()));
                    if singly.len() == groups {
                        let what = "rows were rejected that could be folded one by one".to_owned();
                        return Err(ArrowError::ComputeError(what));
                    }
                }
            }
        }
    }

    /// The entries of a batch. Fails if the differences were not read.
    fn batch<'o>(
        &self,
        over: &'o OverTable,
        incoming: Incoming<'_>,
        entries: &Entries,
    ) -> Result<Batch<'o>, ArrowError> {
        let unread = || ArrowError::ComputeError("the differences from the table were not read".to_owned());
        let known = over.known.as_ref().ok_or_else(unread)?;
        let chunk = rows_at(incoming.chunk, &entries.rows)?;
        let is_undone = |row: &u32| incoming.undone.is_some_and(|undone| undone.value(*row as usize));
        let undone = entries.rows.iter().map(is_undone).collect();
        let keys = self.key.encode(&self.group_columns(&chunk), chunk.len())?;
        let args = over.encode(&chunk)?;
        Ok(Batch { chunk, undone, keys, args, known, over, retries: incoming.retries })
    }

    /// The effect of the entries that are folded.
    fn carried_out(
        &self,
        batch: &Batch<'_>,
        plan: &Plan,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &Clocks,
        store: &dyn Store,
    ) -> Attempt<Effect> {
        if plan.steps.is_empty() {
            return Ok(Ok(Effect::default()));
        }
        let chunk = &chunk_of(batch, &plan.steps)?;
        let undone = |step: &Step| step.retried.is_some() || batch.undone[step.entry as usize];
        let undone: BooleanBuffer = plan.steps.iter().map(undone).collect();
        let retried: BooleanBuffer = plan.steps.iter().map(|step| step.retried.is_some()).collect();
        let entries = Entries::without_windows(plan.steps.len());
        let some = |marks: &'_ BooleanBuffer| marks.count_set_bits() > 0;
        let (undone, retried) = (Some(&undone).filter(|it| some(it)), Some(&retried).filter(|it| some(it)));
        let incoming = Incoming { chunk, undone, retried, ..incoming };
        self.attempt(None, incoming, &entries, &[], memory, clocks, store)
    }

    /// What the entries of a batch do, of which those in some groups, and in those with extra rows, are folded row by row.
    fn plan(&self, batch: &Batch<'_>, singly: &BTreeSet<Box<[u8]>>, store: &dyn Store) -> Result<Plan, ArrowError> {
        let is_single = |group: &[u8]| (batch.retries && batch.known.has_extras(group)) || singly.contains(group);
        let digest = |entry: usize| {
            let is_needed = batch.known.concerns(batch.undone[entry]) || is_single(batch.keys.value(entry));
            is_needed.then(|| batch.row(entry).digest())
        };
        let digests: Vec<Option<Digest>> = (0..batch.chunk.len()).map(digest).collect();
        let groups: BTreeSet<&[u8]> = batch.keys.iter().flatten().filter(|group| is_single(group)).collect();
        let extras = groups.iter().flat_map(|group| batch.known.extras_of(group)).map(|(digest, _)| *digest);
        let counts = Counts::read(digests.iter().flatten().copied().chain(extras), store)?;
        let mut plan = Plan { counts, ..Plan::default() };
        groups.iter().for_each(|group| plan.counts.follow(group, batch.known));
        let mut states = self.states_of(&groups, store)?;
        let args: Vec<Vec<ArrayRef>> = self.calls.iter().map(|call| call.columns(&batch.chunk)).collect();
        let undone = BooleanBuffer::from(batch.undone.clone());
        let rows = |args| Rows { groups: &[], args, undone: Some(&undone), order: &batch.chunk.offsets };
        let rows: Vec<Rows<'_>> = args.iter().map(|args| rows(args)).collect();
        for (entry, digest) in digests.into_iter().enumerate() {
            if digest.is_some_and(|digest| plan.settle(batch, entry, digest)) {
                continue;
            }
            let step = Step { entry: entry as u32, retried: None };
            let (Some(state), Some(digest)) = (states.get_mut(batch.keys.value(entry)), digest) else {
                plan.steps.push(step);
                continue;
            };
            match folded(&self.calls, &rows, entry, state)? {
                Ok(after) => {
                    *state = after;
                    plan.steps.push(step);
                    self.retry(batch, entry, state, &mut plan)?;
                }
                Err(rejected) => plan.reject(batch, entry, digest, rejected),
            }
        }
        Ok(plan)
    }

    /// Takes the extra rows out of the group of an entry that can be, now that it has changed.
    fn retry(
        &self,
        batch: &Batch<'_>,
        entry: usize,
        state: &mut Vec<ArrayRef>,
        plan: &mut Plan,
    ) -> Result<(), ArrowError> {
        let (undone, order) = (BooleanBuffer::new_set(1), Int64Array::from(vec![batch.chunk.offsets.value(entry)]));
        let mut has_changed = batch.retries;
        while has_changed {
            has_changed = false;
            for (digest, args) in plan.counts.extras_of(batch.keys.value(entry), RETRIED_MAX) {
                let decoded = batch.over.encoding.decode(&BinaryArray::from_vec(vec![&args]))?;
                let columns: Vec<Vec<ArrayRef>> =
                    self.calls.iter().map(|call| batch.over.args_of(call, &decoded)).collect();
                let rows = |args| Rows { groups: &[0], args, undone: Some(&undone), order: &order };
                let rows: Vec<Rows<'_>> = columns.iter().map(|args| rows(args)).collect();
                if let Ok(after) = folded(&self.calls, &rows, 0, state)? {
                    (*state, has_changed) = (after, true);
                    plan.take_out(batch, entry, (digest, args));
                }
            }
        }
        Ok(())
    }

    /// The states of some groups in the store, each on its own.
    fn states_of<'g>(
        &self,
        groups: &BTreeSet<&'g [u8]>,
        store: &dyn Store,
    ) -> Result<BTreeMap<&'g [u8], Vec<ArrayRef>>, ArrowError> {
        if groups.is_empty() {
            return Ok(BTreeMap::new());
        }
        let values = store.get(0, &BinaryArray::from_iter_values(groups))?;
        let states = States::decode(&self.state, &values)?;
        let state = |at: usize| states.columns.iter().map(|column| column.slice(at, 1)).collect();
        Ok(groups.iter().enumerate().map(|(at, group)| (*group, state(at))).collect())
    }
}

/// The rows that are folded: entries and, with the address of the entry before, the extra rows that are taken out.
fn chunk_of(batch: &Batch<'_>, steps: &[Step]) -> Result<Chunk, ArrowError> {
    let places: Vec<u32> = steps.iter().map(|step| step.entry).collect();
    let chunk = rows_at(&batch.chunk, &places)?;
    let retried: Vec<&[u8]> = steps.iter().filter_map(|step| step.retried.as_deref()).collect();
    if retried.is_empty() {
        return Ok(chunk);
    }
    let decoded = batch.over.encoding.decode(&BinaryArray::from_vec(retried))?;
    let mut extra = (steps.len() as u32)..;
    let own = |(row, step): (u32, &Step)| if step.retried.is_some() { extra.next() } else { Some(row) };
    let places: UInt32Array = (0..).zip(steps).map(own).collect();
    let mut columns = chunk.rows.columns().to_vec();
    for (at, decoded) in batch.over.args.iter().zip(&decoded) {
        columns[*at] = take(&concat(&[columns[*at].as_ref(), decoded.as_ref()])?, &places, None)?;
    }
    let rows = RecordBatch::try_new(chunk.rows.schema(), columns)?;
    Ok(chunk.with_rows(rows))
}
