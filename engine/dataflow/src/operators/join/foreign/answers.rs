//! The second step: keeps the right rows and the left rows that refer to them, and answers.

mod fan;
mod shape;

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::ForeignJoin;
use headwater_state::{Scanned, Store};

use super::request::Request;
use crate::chunk::Chunk;
use crate::complaint::NO_KEY;
use crate::limits::Limits;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::grouping::{Groups, group};
use fan::Fan;
use shape::{Answers, Shape};

/// The operator that answers requests, at port 0, and changes of right rows, at port 1.
#[derive(Clone, Debug)]
pub struct JoinForeign {
    shape: Arc<Shape>,
    /// The index of the store for the left rows in [`Context::stores`]. That of the right rows follows.
    store: usize,
    emits_every_change: bool,
    /// The keys in the store for the left rows, each a right key followed by a left key; `None` before the first batch.
    index: Option<BTreeSet<Box<[u8]>>>,
}

/// What a batch of requests changes.
struct Requested {
    /// The keys and values to be put into the store for the left rows.
    keys: BinaryArray,
    values: BinaryArray,
    emitted: Emitted,
}

/// What a batch of right rows changes.
struct Replaced {
    /// The keys and values to be put into the store for the right rows.
    keys: BinaryArray,
    values: BinaryArray,
    emitted: Emitted,
}

/// The number of keys that are read at a time.
const SCANNED_ROWS: usize = 8_192;

impl JoinForeign {
    /// Creates the operator for requests with the columns `left` and right rows with the columns `right`, with its state in the
    /// store at the index `first_store` and in the next one. With `emits_every_change` it answers every change, otherwise the
    /// last change of each right row in a batch. Fails if a column does not exist or has another type.
    pub fn new(
        join: &ForeignJoin,
        [left, right]: [&SchemaRef; 2],
        first_store: usize,
        emits_every_change: bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let shape = Arc::new(Shape::new(join, left, right)?);
        Ok(Self { shape, store: first_store, emits_every_change, index: None })
    }

    /// The left columns, the right ones, the number of the request, and whether there is a joined row; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.shape.schema
    }

    /// Reads the keys of the left rows from the store, before the first batch.
    fn read_index(&mut self, store: &dyn Store) -> Result<(), ArrowError> {
        if self.index.is_none() {
            let mut index = BTreeSet::new();
            for batch in store.view().snapshot().scan(.., SCANNED_ROWS) {
                let Scanned { keys, .. } = batch?;
                index.extend((0..keys.len()).map(|row| Box::from(keys.value(row))));
            }
            self.index = Some(index);
        }
        Ok(())
    }

    /// Answers requests. Changes nothing. Fails if a left row is too large for the changelog.
    fn request(&self, chunk: &Chunk, cx: &Context<'_>) -> Result<Requested, ArrowError> {
        let (shape, stores) = (&self.shape, &*cx.stores);
        let column = |at: usize| chunk.rows.column(at).clone();
        let foreign_key = column(shape.foreign_key);
        let (references, left_keys) = shape.request_keys(chunk)?;
        let requests = requests(chunk.rows.column(shape.request))?;
        let right = stores[self.store + 1].get(0, &references)?;
        let has_right = |row: usize| right.is_valid(row);
        let answered: Vec<u32> =
            (0..chunk.len() as u32).filter(|at| requests[*at as usize] != Request::Unsubscribe).collect();
        let has_row = |row: &u32| {
            let is_wanted = requests[*row as usize] == Request::Subscribe;
            is_wanted && (has_right(*row as usize) || shape.keeps_unmatched)
        };
        let (right_times, right_others) = shape.right_row(&right)?;
        let matched: UInt32Array = (0..chunk.len()).map(|row| has_right(row).then_some(row as u32)).collect();
        let right_key = take(&foreign_key, &matched, None)?;
        let right_columns = shape.right_columns(right_key, right_others);
        let times = chunk.times_ms.iter().zip(&right_times).map(|(left, right)| left.max(right));
        let all = Answers {
            left: shape.left.iter().map(|at| column(*at)).collect(),
            right: right_columns,
            versions: column(shape.version).as_primitive::<Int64Type>().clone(),
            times_ms: times.map(|time| time.unwrap_or_default()).collect(),
            has_row: (0..chunk.len() as u32).map(|row| Some(has_row(&row))).collect(),
        };
        let rows = UInt32Array::from(answered);
        let emitted = shape.chunk(chunk, all.take(&rows)?, &rows)?;
        let (keys, values) = self.subscriptions(chunk, &requests, (&references, &left_keys), &cx.limits)?;
        Ok(Requested { keys, values, emitted: Emitted::from(emitted) })
    }

    /// The left rows that are put into the store, or removed: for each, what its last request says.
    fn subscriptions(
        &self,
        chunk: &Chunk,
        requests: &[Request],
        (references, left_keys): (&BinaryArray, &BinaryArray),
        limits: &Limits<'_>,
    ) -> Result<(BinaryArray, BinaryArray), ArrowError> {
        let foreign_key = chunk.rows.column(self.shape.foreign_key);
        let rows: Vec<usize> = (0..chunk.len()).filter(|row| foreign_key.is_valid(*row)).collect();
        let keys = rows.iter().map(|row| [references.value(*row), left_keys.value(*row)].concat());
        let keys = BinaryArray::from_iter_values(keys);
        let lasts = group(&keys, &vec![0; rows.len()]).lasts();
        let encoded = self.shape.left_row(chunk)?;
        let value = |row: &usize| (requests[*row] == Request::Subscribe).then(|| encoded.value(*row));
        let values: BinaryArray = rows.iter().map(value).collect();
        limits.check(self.store, (&keys, &values), 0)?;
        let last = |column: &BinaryArray| take(column, &lasts, None).map(|column| column.as_binary().clone());
        Ok((last(&keys)?, last(&values)?))
    }

    /// Answers changes of right rows. Rows without a key are no rows of a table, and are reported. Changes nothing. Fails if a row is
    /// too large for the changelog.
    fn replace(&self, chunk: Chunk, failures: &mut Vec<Failure>, cx: &Context<'_>) -> Result<Replaced, ArrowError> {
        let chunk = self.keyed(chunk, failures)?;
        let keys = self.shape.right_keys(&chunk)?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let lasts = groups.lasts();
        let last = |rows: &BinaryArray| -> BinaryArray {
            let value = |at: &u32| rows.is_valid(*at as usize).then(|| rows.value(*at as usize));
            lasts.values().iter().map(value).collect()
        };
        let (stores, values) = (&*cx.stores, self.shape.right_value(&chunk)?);
        cx.limits.check(self.store + 1, (&keys, &values), 0)?;
        let (group_keys, group_values) = (last(&keys), last(&values));
        let known = stores[self.store + 1].get(0, &group_keys)?;
        let changed = self.changed(&groups, &values, &known);
        let fan = self.fan(chunk, &keys, &changed, &*stores[self.store])?;
        Ok(Replaced { keys: group_keys, values: group_values, emitted: fan.emit()? })
    }

    /// The rows that have a key.
    fn keyed(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        let key = chunk.rows.column(self.shape.right_key).clone();
        if key.null_count() == 0 {
            return Ok(chunk);
        }
        let schema = chunk.rows.schema();
        let expr = schema.field(self.shape.right_key).name();
        let failure = |row| Failure { row, expr: expr.clone(), reason: NO_KEY.to_owned() };
        failures.extend((0..chunk.len()).filter(|row| key.is_null(*row)).map(failure));
        let rows = (0..chunk.len()).filter(|row| key.is_valid(*row)).map(|row| Some(row as u32)).collect();
        chunk.take(&rows)
    }

    /// The right rows that are answered, in order. A delete of a row that does not exist changes nothing.
    fn changed(&self, groups: &Groups, values: &BinaryArray, known: &BinaryArray) -> Vec<u32> {
        let mut exists: Vec<bool> = (0..known.len()).map(|at| known.is_valid(at)).collect();
        let mut is_change = |row: usize| {
            let group = groups.numbers[row] as usize;
            let existed = std::mem::replace(&mut exists[group], values.is_valid(row));
            existed || values.is_valid(row)
        };
        let changed: Vec<u32> = (0..values.len()).filter(|row| is_change(*row)).map(|row| row as u32).collect();
        if self.emits_every_change {
            return changed;
        }
        let lasts: HashSet<u32> = groups.lasts().values().iter().copied().collect();
        changed.into_iter().filter(|row| lasts.contains(row)).collect()
    }

    /// The answers for right rows: one for each left row that refers to them.
    fn fan(&self, chunk: Chunk, keys: &BinaryArray, changed: &[u32], store: &dyn Store) -> Result<Fan, ArrowError> {
        let index = self.index.as_ref().expect("it is read before the first batch");
        let (mut causes, mut subscribers) = (Vec::new(), Vec::new());
        for row in changed {
            let key = keys.value(*row as usize);
            // The encoding of a key is never the beginning of that of another one.
            let found = index
                .range::<[u8], _>((Bound::Included(key), Bound::Unbounded))
                .take_while(|subscriber| subscriber.starts_with(key));
            subscribers.extend(found.map(|subscriber| subscriber.as_ref()));
            causes.resize(subscribers.len(), *row);
        }
        let subscribers = BinaryArray::from_vec(subscribers);
        let rows = store.get(0, &subscribers)?;
        let left_key = |at: usize| &subscribers.value(at)[keys.value(causes[at] as usize).len()..];
        let left_keys = BinaryArray::from_iter_values((0..causes.len()).map(left_key));
        Fan::new(self.shape.clone(), chunk, causes, left_keys, rows)
    }
}

/// The kinds of requests.
fn requests(column: &ArrayRef) -> Result<Vec<Request>, ArrowError> {
    column.as_primitive::<Int32Type>().values().iter().map(|number| Request::of(*number)).collect()
}

impl Operator for JoinForeign {
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        self.read_index(&*cx.stores[self.store])?;
        let mut clocks = cx.clocks.clone();
        clocks.advance_with(&chunk, cx.source);
        let emitted = match port {
            Port(0) => {
                let Requested { keys, values, emitted } = self.request(&chunk, cx)?;
                // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
                cx.stores[self.store].put(0, &keys, &values);
                let index = self.index.as_mut().expect("it is read before the first batch");
                for at in 0..keys.len() {
                    match values.is_valid(at) {
                        true => index.insert(keys.value(at).into()),
                        false => index.remove(keys.value(at)),
                    };
                }
                emitted
            }
            _ => {
                let mut failures = Vec::new();
                let Replaced { keys, values, emitted } = self.replace(chunk, &mut failures, cx)?;
                // Nothing fails from here on, either.
                cx.stores[self.store + 1].put(0, &keys, &values);
                cx.failures.extend(failures);
                emitted
            }
        };
        *cx.clocks = clocks;
        Ok(emitted)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { index: None, ..self.clone() })
    }
}
