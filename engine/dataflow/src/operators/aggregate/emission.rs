//! The rows that an aggregation emits, from the results of its groups.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::filter;
use arrow::error::ArrowError;
use headwater_state::{Changes, Scanned, Store};

use super::Aggregate;
use super::differences::DIFFERENCES;
use super::open::CONTRIBUTORS;
use crate::chunk::{Before, Chunk, Origins};
use crate::operator::Emitted;
use crate::operators::encoding::States;

/// Groups with their results.
pub(super) struct Results {
    /// The GROUP BY columns.
    pub groups: Vec<ArrayRef>,
    /// The bounds of their windows.
    pub bounds: Option<[Int64Array; 2]>,
    /// The results.
    pub results: Vec<ArrayRef>,
    /// Which groups there are; `None` if all. The others were replaced.
    pub valued: Option<NullBuffer>,
    /// The results before the change, if they are emitted.
    pub before: Option<Previous>,
}

/// The results of groups before a change; a group that was new has none.
pub(super) struct Previous {
    /// The results.
    pub results: Vec<ArrayRef>,
    /// Which groups there were; `None` if all.
    pub valued: Option<NullBuffer>,
}

impl Previous {
    /// There were no groups. `results` are those of all rows after the change.
    pub(super) fn none(results: &[ArrayRef], rows: usize) -> Self {
        let nothing = results.iter().map(|column| new_null_array(column.data_type(), rows)).collect();
        Self { results: nothing, valued: Some(NullBuffer::new_null(rows)) }
    }
}

impl Aggregate {
    /// The groups that have changed since the last barrier, ordered by the offset of the record that changed them last.
    pub(super) fn changed_groups(&self, store: &dyn Store) -> Result<Emitted, ArrowError> {
        let changes = changed_groups(store.changes()?)?;
        let states = States::decode(&self.state, &changes.values)?;
        let before = self.gives_before.then(|| {
            let before = States::decode(&self.state, &changes.before)?;
            Ok::<_, ArrowError>(Previous { results: self.results(&before), valued: changes.before.nulls().cloned() })
        });
        let (groups, bounds) = (self.key.decode(&changes.keys)?, self.bounds_of(changes.windows));
        let results =
            Results { groups, bounds, results: self.results(&states), valued: None, before: before.transpose()? };
        let mut order: Vec<u32> = (0..states.len() as u32).collect();
        order.sort_by_key(|row| states.offsets.value(*row as usize));
        let origins = states.origins();
        let changed = self.chunk(results, states.times_ms, states.offsets, origins)?;
        changed.take(&UInt32Array::from(order)).map(Emitted::from)
    }

    /// The rows to emit.
    pub(super) fn chunk(
        &self,
        results: Results,
        times_ms: Int64Array,
        offsets: Int64Array,
        origins: Option<Origins>,
    ) -> Result<Chunk, ArrowError> {
        let Results { groups, bounds: windows, results, valued, before } = results;
        let bounds = windows.iter().flatten().map(|bound| Arc::new(bound.clone()) as ArrayRef);
        let keys: Vec<ArrayRef> = groups.into_iter().chain(bounds).collect();
        let batch = |results: Vec<ArrayRef>| {
            let columns = keys.iter().cloned().chain(results).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(offsets.len()));
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
        };
        let marked = |valued: Option<NullBuffer>| valued.filter(|valued| valued.null_count() > 0);
        let before = before.map(|Previous { results, valued }| {
            Ok::<_, ArrowError>(Before { rows: batch(results)?, valued: marked(valued) })
        });
        let (rows, before) = (batch(results)?, before.transpose()?);
        Ok(Chunk { valued: marked(valued), windows, before, origins, ..Chunk::of_state(rows, times_ms, offsets) })
    }
}

/// The groups in a store, without what it has beside them.
pub(super) fn of_groups(scanned: &Scanned) -> Result<Scanned, ArrowError> {
    let is_group = |window: &i64| Some(![CONTRIBUTORS, DIFFERENCES].contains(window));
    let is_group: BooleanArray = scanned.windows.values().iter().map(is_group).collect();
    if is_group.true_count() == is_group.len() {
        return Ok(scanned.clone());
    }
    let windows = filter(&scanned.windows, &is_group)?.as_primitive().clone();
    let [keys, values] = [&scanned.keys, &scanned.values].map(|column| filter(column, &is_group));
    Ok(Scanned { windows, keys: keys?.as_binary().clone(), values: values?.as_binary().clone() })
}

/// The changes of groups, without those of what a store has beside them. Fails if a group was removed.
fn changed_groups(Changes { windows, keys, values, before }: Changes) -> Result<Changes, ArrowError> {
    let now = of_groups(&Scanned { windows: windows.clone(), keys: keys.clone(), values })?;
    let before = of_groups(&Scanned { windows, keys, values: before })?.values;
    if now.values.null_count() > 0 {
        return Err(ArrowError::ComputeError("a group was removed, but rows can only be added".to_owned()));
    }
    Ok(Changes { windows: now.windows, keys: now.keys, values: now.values, before })
}
