//! How often values occur in groups. A value is known by its place in one column, which has the values in the states
//! followed by those of the rows.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::row;

use super::lists::offsets;

/// A value and the number of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// The place of the value.
    pub place: u32,
    /// How often it occurs.
    pub count: i64,
}

/// The tallies in states: those of a map, or of an array of structs.
pub struct Stored<'a> {
    /// The values of all states.
    pub values: &'a ArrayRef,
    counts: &'a Int64Array,
    offsets: &'a [i32],
    state: &'a ArrayRef,
}

impl<'a> Stored<'a> {
    /// The tallies in a state column.
    pub fn read(state: &'a ArrayRef) -> Self {
        let (offsets, pairs) = match state.data_type() {
            DataType::Map(..) => (state.as_map().value_offsets(), state.as_map().entries()),
            _ => (state.as_list::<i32>().value_offsets(), state.as_list::<i32>().values().as_struct()),
        };
        Self { values: pairs.column(0), counts: pairs.column(1).as_primitive::<Int64Type>(), offsets, state }
    }

    /// The tallies of a group, in the order in which the values first appeared.
    pub fn of(&self, group: usize) -> impl ExactSizeIterator<Item = Tally> {
        let (start, end) = match self.state.is_valid(group) {
            true => (self.offsets[group].unsigned_abs(), self.offsets[group + 1].unsigned_abs()),
            false => (0, 0),
        };
        (start as usize..end as usize).map(|at| Tally { place: at as u32, count: self.counts.value(at) })
    }

    /// The values in the states, then those of rows, and the place of the first of those.
    pub fn with(&self, rows: &ArrayRef) -> Result<(ArrayRef, u32), ArrowError> {
        Ok((concat(&[self.values.as_ref(), rows.as_ref()])?, self.values.len() as u32))
    }
}

/// The tallies of groups while rows are folded.
pub struct Tallies<'a> {
    values: &'a row::Rows,
    groups: Vec<Vec<Tally>>,
    /// The position of each group's values among its tallies.
    index: HashMap<(usize, row::Row<'a>), usize>,
    /// The maximum number of tallies of a group.
    most: usize,
}

impl<'a> Tallies<'a> {
    /// No tallies, for this many groups, over values that are encoded so that equal ones are the same.
    pub fn new(values: &'a row::Rows, groups: usize, most: usize) -> Self {
        Self { values, groups: vec![Vec::new(); groups], index: HashMap::new(), most }
    }

    /// The tallies in states.
    pub fn stored(values: &'a row::Rows, stored: &Stored<'_>, most: usize) -> Self {
        let mut tallies = Self::new(values, stored.state.len(), most);
        for group in 0..stored.state.len() {
            stored.of(group).for_each(|tally| tallies.add(group, tally));
        }
        tallies
    }

    /// Adds rows of a value. A new value is ignored if the group already has the maximum number of them.
    pub fn add(&mut self, group: usize, tally: Tally) {
        let (key, known) = ((group, self.values.row(tally.place as usize)), &mut self.groups[group]);
        match self.index.get(&key) {
            Some(at) => known[*at].count += tally.count,
            None if known.len() < self.most => {
                self.index.insert(key, known.len());
                known.push(tally);
            }
            None => {}
        }
    }

    /// Takes out a row of a value. The value is gone with its last row.
    pub fn undo(&mut self, group: usize, place: u32) {
        let (key, known) = ((group, self.values.row(place as usize)), &mut self.groups[group]);
        let Some(at) = self.index.get(&key).copied() else { return };
        known[at].count -= 1;
        if known[at].count <= 0 {
            known.remove(at);
            self.index.remove(&key);
            for (at, tally) in known.iter().enumerate().skip(at) {
                self.index.insert((group, self.values.row(tally.place as usize)), at);
            }
        }
    }

    /// The tallies of a group, in the order in which the values first appeared.
    pub fn of(&self, group: usize) -> &[Tally] {
        &self.groups[group]
    }

    /// The tallies of all groups, one group after the other, and their numbers.
    pub fn all(&self) -> (Vec<Tally>, Vec<usize>) {
        (self.groups.concat(), self.groups.iter().map(Vec::len).collect())
    }
}

/// Tallies as columns.
pub struct Columns {
    /// The bounds of each group's tallies.
    pub offsets: OffsetBuffer<i32>,
    /// The values and their counts.
    pub pairs: Vec<ArrayRef>,
}

/// The columns of tallies of these values, with these numbers of them in each group.
pub fn columns(values: &ArrayRef, (tallies, lengths): (Vec<Tally>, Vec<usize>)) -> Result<Columns, ArrowError> {
    let offsets = offsets(lengths)?;
    let places = UInt32Array::from_iter_values(tallies.iter().map(|tally| tally.place));
    let counts = Int64Array::from_iter_values(tallies.iter().map(|tally| tally.count));
    Ok(Columns { offsets, pairs: vec![take(values, &places, None)?, std::sync::Arc::new(counts)] })
}
