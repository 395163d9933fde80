//! COLLECT_LIST: all values of a group in order, NULL among them.
//!
//! It may hold millions of rows, so values are kept as Arrow columns. If rows can be retracted, or their number is
//! limited, it uses the first rows of [`ends`](super::ends) instead.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::ends;
use super::place::{Places, width};
use super::recipe::{Order, Recipe, Shape};
use super::values::{list, numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// COLLECT_LIST.
pub static COLLECT_LIST: Recipe = Recipe { order: Order::Rows, sorts: false, retracts: true, state, accumulator };

/// The maximum number of arrays that are kept before they are concatenated.
const PIECES_MAX: usize = 32;

/// Lanes, times, positions and values of the rows; if the list is computed by `ends`, the state of `ends`.
fn state(shape: &Shape) -> Vec<DataType> {
    match is_columns(shape) {
        true => vec![numbers_type(), numbers_type(), numbers_type(), list_of(shape.takes[0].clone())],
        false => ends::state(shape),
    }
}

fn accumulator(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    match is_columns(shape) {
        true => Ok(Box::new(List::new(shape))),
        false => ends::first(shape, shape.limit),
    }
}

fn is_columns(shape: &Shape) -> bool {
    !shape.sliding && shape.limit == usize::MAX
}

#[derive(Debug)]
struct List {
    ty: DataType,
    returns: DataType,
    width: usize,
    pieces: Vec<ArrayRef>,
    lanes: Vec<i64>,
    times: Vec<i64>,
    /// The numbers of all positions, one after the other.
    positions: Vec<i64>,
    arrived: i64,
}

impl List {
    fn new(shape: &Shape) -> Self {
        Self {
            ty: shape.takes[0].clone(),
            returns: shape.returns.clone(),
            width: width(shape.positions),
            pieces: Vec::new(),
            lanes: Vec::new(),
            times: Vec::new(),
            positions: Vec::new(),
            arrived: 0,
        }
    }

    /// Adds a copy of the values, because the input may be a small slice of large buffers.
    fn push(&mut self, values: &ArrayRef) -> Result<()> {
        let rows = UInt32Array::from_iter_values(0..values.len() as u32);
        self.pieces.push(take(values, &rows, None)?);
        // Arrays double in length, so that each value is copied only a few times.
        while let [.., before, last] = &self.pieces[..]
            && self.pieces.len() > PIECES_MAX
            && before.len() <= 2 * last.len()
        {
            let joined = concat(&[before.as_ref(), last.as_ref()])?;
            self.pieces.truncate(self.pieces.len() - 2);
            self.pieces.push(joined);
        }
        if self.pieces.len() > 2 * PIECES_MAX {
            self.pieces = vec![self.values()?];
        }
        Ok(())
    }

    fn values(&self) -> Result<ArrayRef> {
        let pieces: Vec<&dyn Array> = self.pieces.iter().map(AsRef::as_ref).collect();
        match pieces.is_empty() {
            true => Ok(arrow::array::new_empty_array(&self.ty)),
            false => Ok(concat(&pieces)?),
        }
    }

    fn position(&self, row: usize) -> &[i64] {
        &self.positions[row * self.width..(row + 1) * self.width]
    }

    /// The order of the rows; none if they are already in order.
    fn order(&self) -> Option<UInt32Array> {
        let key = |row: usize| (self.lanes[row], self.position(row));
        let count = self.lanes.len();
        let one_lane = self.lanes.windows(2).all(|pair| pair[0] == pair[1]);
        if one_lane && (1..count).all(|row| key(row - 1) <= key(row)) {
            return None;
        }
        let mut rows: Vec<u32> = (0..count as u32).collect();
        rows.sort_by(|a, b| key(*a as usize).cmp(&key(*b as usize)));
        let mut lanes: Vec<(i64, i64, u32)> = Vec::with_capacity(count);
        for row in rows {
            let (lane, time) = (self.lanes[row as usize], self.times[row as usize]);
            let greatest =
                lanes.last().filter(|(before, ..)| *before == lane).map_or(time, |(_, most, _)| time.max(*most));
            lanes.push((lane, greatest, row));
        }
        Some(super::place::in_order(lanes).collect())
    }
}

impl Accumulator for List {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns[0].len();
        let places = Places::read(&columns[1..], rows, &mut self.arrived)?;
        self.push(&columns[0])?;
        for row in 0..rows {
            self.lanes.push(places.lane(row));
            self.times.push(places.time(row));
            self.positions.extend_from_slice(places.position(row).numbers());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.values()?;
        let values = match self.order() {
            Some(rows) => take(&values, &rows, None)?,
            None => values,
        };
        list(values, &self.returns)
    }

    fn size(&self) -> usize {
        let numbers = self.lanes.capacity() + self.times.capacity() + self.positions.capacity();
        let values: usize = self.pieces.iter().map(|piece| piece.get_array_memory_size()).sum();
        size_of_val(self) + numbers * size_of::<i64>() + self.pieces.capacity() * size_of::<ArrayRef>() + values
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            saved_numbers(self.lanes.iter().copied())?,
            saved_numbers(self.times.iter().copied())?,
            saved_numbers(self.positions.iter().copied())?,
            saved(self.values()?)?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            self.lanes.extend(restored_numbers(&states[0], row));
            self.times.extend(restored_numbers(&states[1], row));
            self.positions.extend(restored_numbers(&states[2], row));
            self.push(&restored(&states[3], row))?;
        }
        Ok(())
    }
}
