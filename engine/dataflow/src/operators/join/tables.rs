//! A join of two tables with the same key: emits the change of the joined row whenever a row of either side changes.
//!
//! ```text
//! kind     the joined row exists if there is
//! INNER    a row on both sides
//! LEFT     a row on the left
//! RIGHT    a row on the right
//! FULL     a row on either side
//! ```
//!
//! Each side has a store with its rows. Either every change is emitted, or each changed key once, at the barrier. A joined row that
//! existed neither before nor after a change is not emitted, so a delete follows only where there was a row.

mod changes;
mod kept;
mod touched;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, BooleanArray, UInt32Array};
use arrow::compute::{and, or, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{Join, JoinKind};
use headwater_state::Store;

use super::side::{Side, existing};
use crate::chunk::Chunk;
use crate::keeper::Keeper;
use crate::limits::Limits;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::Encoding;
use crate::operators::grouping::{Groups, group};
use crate::operators::internal;
use changes::{Change, Rows};
use touched::Touched;

/// The operator for a join of two tables.
#[derive(Clone, Debug)]
pub struct JoinTables {
    kind: JoinKind,
    sides: [Side; 2],
    /// The encoding of each side's rows: their times and emitted columns.
    rows: [Encoding; 2],
    /// The index of the left side's store in [`Context::stores`]; that of the right side follows.
    store: usize,
    emits_every_change: bool,
    gives_before: bool,
    schema: SchemaRef,
    /// The keys that have changed since the last barrier, unless every change is emitted.
    touched: Touched,
}

/// The rows of a batch by key.
struct Arrived {
    groups: Groups,
    /// The distinct keys.
    keys: BinaryArray,
    /// The last row of each key as it is stored; null if it was deleted.
    lasts: BinaryArray,
}

impl JoinTables {
    /// Creates the operator for tables with these columns, of which it emits those that are `used`. The tables are kept in the
    /// stores at the index `store` and the next one. With `emits_every_change` it emits every change, otherwise each changed key
    /// at the barrier. With `gives_before` the rows include those before the change. Fails if a column of the join does not
    /// exist.
    pub fn new(
        join: &Join,
        inputs: [&SchemaRef; 2],
        used: &BTreeSet<String>,
        store: usize,
        (emits_every_change, gives_before): (bool, bool),
    ) -> Result<Self, Vec<Diagnostic>> {
        let sides = [Side::new(&join.left, inputs[0], used)?, Side::new(&join.right, inputs[1], used)?];
        let encoding = |side: &Side| {
            let time: FieldRef = Arc::new(Field::new("time", DataType::Int64, true));
            Encoding::new(std::iter::once(time).chain(side.value_fields()).collect()).map_err(internal)
        };
        let fields: Vec<_> = sides.iter().flat_map(|side| &side.fields).cloned().collect();
        Ok(Self {
            kind: join.kind,
            rows: [encoding(&sides[0])?, encoding(&sides[1])?],
            sides,
            store,
            emits_every_change,
            gives_before,
            schema: Arc::new(Schema::new(fields)),
            touched: Touched::default(),
        })
    }

    /// The columns of its rows: those of the left side, then those of the right one. All may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which joined rows exist, if these rows of both sides do; `None` if all do.
    fn exist(&self, rows: &[Rows; 2]) -> Result<Option<BooleanArray>, ArrowError> {
        let [left, right] = rows.each_ref().map(|rows| rows.exists.as_ref());
        Ok(match (self.kind, left, right) {
            (JoinKind::Inner, Some(left), Some(right)) => Some(and(left, right)?),
            (JoinKind::Inner, left, right) => left.or(right).cloned(),
            (JoinKind::Left, left, _) => left.cloned(),
            (JoinKind::Right, _, right) => right.cloned(),
            (JoinKind::Full, Some(left), Some(right)) => Some(or(left, right)?),
            (JoinKind::Full, _, _) => None,
        })
    }

    /// Groups rows of a side by key. Fails if one of them is too large for the changelog, also if it is replaced at once: what is
    /// rejected must not depend on how records are read.
    fn arrived(&self, side: usize, chunk: &Chunk, limits: &Limits<'_>) -> Result<Arrived, ArrowError> {
        let of = &self.sides[side];
        let keys = of.keys.encode(std::slice::from_ref(of.key(&chunk.rows)), chunk.len())?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let rows = Rows::of(chunk, of.values(&chunk.rows));
        let stored = existing(&self.rows[side].encode(&rows.columns, chunk.len())?, rows.exists.as_ref())?;
        limits.check(self.store + side, (&keys, &stored), 0)?;
        let lasts = take(&stored, &groups.lasts(), None)?.as_binary().clone();
        let keys = take(&keys, &UInt32Array::from(groups.firsts.clone()), None)?.as_binary().clone();
        Ok(Arrived { groups, keys, lasts })
    }

    /// The change of the joined row with each row of a batch.
    fn each_change(
        &self,
        side: usize,
        chunk: &Chunk,
        arrived: &Arrived,
        stores: &[Box<dyn Store>],
    ) -> Result<Emitted, ArrowError> {
        let numbers = UInt32Array::from(arrived.groups.numbers.clone());
        let after = Rows::of(chunk, self.sides[side].values(&chunk.rows));
        let stored = |side: usize| {
            let values = stores[self.store + side].get(0, &arrived.keys)?;
            Rows::decode(&self.rows[side], &values)
        };
        let before = stored(side)?.followed_by(&after)?.take(&arrived.groups.previous())?;
        let other = stored(1 - side)?.take(&numbers)?;
        let is_change = or(&before.existing(), &after.existing())?;
        let both = |own: Rows| if side == 0 { [own, other.clone()] } else { [other.clone(), own] };
        let key = self.sides[side].key(&chunk.rows).clone();
        let change = Change { key, before: both(before), after: both(after), is_change };
        self.changed(&change, chunk.clone()).map(Emitted::from)
    }

    /// The change of the joined row of each key since the last barrier, in the order of the last changes.
    fn changed_keys(&self, stores: &[Box<dyn Store>]) -> Result<Emitted, ArrowError> {
        let touched = self.touched.in_order()?;
        let keys = touched.keys;
        let side = |side: usize| {
            let store = &*stores[self.store + side];
            let now = store.get(0, &keys)?;
            let (before, has_changed) = changes::at_last_seal(store, &keys, &now)?;
            let rows = |values| Rows::decode(&self.rows[side], values);
            Ok::<_, ArrowError>((rows(&before)?, rows(&now)?, has_changed))
        };
        let (left, right) = (side(0)?, side(1)?);
        let key = self.sides[0].keys.decode(&keys)?.remove(0);
        let is_change = or(&left.2, &right.2)?;
        let change = Change { key, before: [left.0, right.0], after: [left.1, right.1], is_change };
        self.changed(&change, touched.rows).map(Emitted::from)
    }
}

impl Operator for JoinTables {
    /// Keeps rows of one side and emits what they change. Rows without a key have no match and are reported.
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let side = port.0;
        let mut clocks = cx.clocks.clone();
        clocks.advance_with(&chunk, cx.source);
        let mut failures = Vec::new();
        let chunk = self.sides[side].keyed(chunk, &mut failures)?;
        let arrived = self.arrived(side, &chunk, &cx.limits)?;
        let emitted = match self.emits_every_change {
            true => self.each_change(side, &chunk, &arrived, cx.stores)?,
            false => Emitted::Nothing,
        };
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        if !self.emits_every_change {
            self.touched.touch(&arrived.keys, &arrived.groups.numbers, &chunk);
        }
        cx.stores[self.store + side].put(0, &arrived.keys, &arrived.lasts);
        *cx.clocks = clocks;
        cx.failures.extend(failures);
        Ok(emitted)
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        if self.touched.is_empty() {
            return Ok(Emitted::Nothing);
        }
        let emitted = self.changed_keys(cx.stores)?;
        self.touched = Touched::default();
        Ok(emitted)
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        Some(self)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { touched: Touched::default(), ..self.clone() })
    }
}
