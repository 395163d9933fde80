//! LATEST_BY_OFFSET and EARLIEST_BY_OFFSET: the last or first rows of a group. From each lane, as many rows are kept
//! as the result can have.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::place::{NO_TIME, Places, Position, in_order, width};
use super::recipe::{Order, Recipe, Shape};
use super::values::{Bytes, Codec, list, numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// LATEST_BY_OFFSET.
pub static LATEST: Recipe = Recipe { order: Order::Records, sorts: false, retracts: false, state, accumulator: latest };

/// EARLIEST_BY_OFFSET.
pub static EARLIEST: Recipe =
    Recipe { order: Order::Records, sorts: false, retracts: false, state, accumulator: earliest };

/// Lanes, the greatest time that each lost, the number of its rows; times, positions and values of the rows.
pub fn state(shape: &Shape) -> Vec<DataType> {
    let numbers = std::iter::repeat_n(numbers_type(), 5);
    numbers.chain([list_of(shape.takes[0].clone())]).collect()
}

fn latest(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    let ignore_nulls = shape.flag().unwrap_or(true);
    Ok(Box::new(Ends::new(shape, true, shape.count(0), ignore_nulls)?))
}

fn earliest(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    let ignore_nulls = shape.flag().unwrap_or(true);
    Ok(Box::new(Ends::new(shape, false, shape.count(0), ignore_nulls)?))
}

/// The first `most` rows, including NULL.
pub fn first(shape: &Shape, most: usize) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Ends::new(shape, false, most, false)?))
}

/// The rows at one end of a group.
#[derive(Debug)]
struct Ends {
    codec: Arc<Codec>,
    last: bool,
    keep: usize,
    ignore_nulls: bool,
    /// The type of the result, if it is an array.
    array: Option<DataType>,
    width: usize,
    /// The lanes by number; nearly always one.
    lanes: Vec<(i64, Lane)>,
    arrived: i64,
    left: i64,
    bytes: usize,
}

/// The rows kept in a lane, in the order of their positions.
#[derive(Debug)]
struct Lane {
    /// The greatest time of the rows that preceded them.
    before: i64,
    rows: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    time: i64,
    position: Position,
    value: Bytes,
}

impl Default for Lane {
    fn default() -> Self {
        Self { before: NO_TIME, rows: Vec::new() }
    }
}

impl Lane {
    fn add(&mut self, rows: impl IntoIterator<Item = Kept>, last: bool, keep: usize) {
        self.rows.extend(rows);
        // The sort is stable, and fast if the rows are already in order.
        self.rows.sort_by(|a, b| a.position.cmp(&b.position));
        if last && self.rows.len() > keep {
            let lost = self.rows.drain(..self.rows.len() - keep);
            self.before = lost.fold(self.before, |greatest, row| greatest.max(row.time));
        }
        self.rows.truncate(keep);
    }
}

impl Ends {
    fn new(shape: &Shape, last: bool, keep: usize, ignore_nulls: bool) -> Result<Self> {
        let is_array = shape.returns == list_of(shape.takes[0].clone()) && shape.returns != shape.takes[0];
        Ok(Self {
            codec: shape.codec()?,
            last,
            keep,
            ignore_nulls,
            array: is_array.then(|| shape.returns.clone()),
            width: width(shape.positions),
            lanes: Vec::new(),
            arrived: 0,
            left: 0,
            bytes: 0,
        })
    }

    /// The rows of a batch that may stay, by lane: those at the end of it.
    fn candidates(&self, values: &ArrayRef, places: &Places) -> Vec<(i64, Vec<u32>, i64)> {
        let nulls = values.logical_nulls().filter(|_| self.ignore_nulls);
        let mut lanes: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        let rows = (0..values.len()).filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)));
        for row in rows {
            lanes.entry(places.lane(row)).or_default().push(row as u32);
        }
        lanes.into_iter().map(|(lane, rows)| self.at_the_end(lane, rows, places)).collect()
    }

    fn at_the_end(&self, lane: i64, mut rows: Vec<u32>, places: &Places) -> (i64, Vec<u32>, i64) {
        let order = |a: &u32, b: &u32| places.compare(*a as usize, *b as usize);
        if !rows.is_sorted_by(|a, b| order(a, b) != Ordering::Greater) {
            rows.sort_by(order);
        }
        let mut before = NO_TIME;
        if self.last && rows.len() > self.keep {
            let lost = rows.drain(..rows.len() - self.keep);
            before = lost.fold(before, |greatest, row| greatest.max(places.time(row as usize)));
        }
        rows.truncate(self.keep);
        (lane, rows, before)
    }

    fn lane(&mut self, number: i64) -> &mut Lane {
        let at = self.lanes.binary_search_by_key(&number, |(number, _)| *number).unwrap_or_else(|at| {
            self.lanes.insert(at, (number, Lane::default()));
            at
        });
        &mut self.lanes[at].1
    }

    fn weigh(&mut self) {
        let row = |row: &Kept| size_of::<Kept>() + row.position.heap_bytes() + row.value.len();
        let lane = |lane: &Lane| size_of::<(i64, Lane)>() + lane.rows.iter().map(row).sum::<usize>();
        self.bytes = self.lanes.iter().map(|(_, found)| lane(found)).sum();
    }

    /// The values in order, those of the result.
    fn result(&self) -> Vec<&[u8]> {
        let mut rows = Vec::new();
        for (at, lane) in &self.lanes {
            let mut greatest = lane.before;
            for row in &lane.rows {
                greatest = greatest.max(row.time);
                rows.push((*at, greatest, row.value.as_ref()));
            }
        }
        let surplus = if self.last { rows.len().saturating_sub(self.keep) } else { 0 };
        in_order(rows).skip(surplus).take(self.keep).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &Kept> {
        self.lanes.iter().flat_map(|(_, lane)| &lane.rows)
    }
}

impl Accumulator for Ends {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = &columns[0];
        let places = Places::read(&columns[1..], values.len(), &mut self.arrived)?;
        for (lane, rows, before) in self.candidates(values, &places) {
            let encoded = self.codec.encode(&[take(values, &UInt32Array::from(rows.clone()), None)?])?;
            let kept = rows.iter().enumerate().map(|(at, row)| Kept {
                time: places.time(*row as usize),
                position: places.position(*row as usize),
                value: encoded.row(at).data().into(),
            });
            let (last, keep) = (self.last, self.keep);
            let lane = self.lane(lane);
            lane.before = lane.before.max(before);
            lane.add(kept, last, keep);
        }
        self.weigh();
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = &columns[0];
        let places = Places::read(&columns[1..], values.len(), &mut self.left)?;
        let encoded = self.codec.encode(std::slice::from_ref(values))?;
        for row in 0..values.len() {
            let lane = self.lane(places.lane(row));
            let (position, value) = (places.position(row), encoded.row(row));
            let is_it = |kept: &Kept| kept.position == position && *kept.value == *value.data();
            if let Some(at) = lane.rows.iter().position(is_it) {
                lane.rows.remove(at);
            }
        }
        self.weigh();
        Ok(())
    }

    /// A row can only be retracted if all rows are kept.
    fn supports_retract_batch(&self) -> bool {
        self.keep == usize::MAX
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.codec.decode_one(self.result())?;
        match &self.array {
            Some(ty) => list(values, ty),
            None if values.is_empty() => ScalarValue::try_from(values.data_type()),
            None => ScalarValue::try_from_array(&values, 0),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(vec![
            saved_numbers(self.lanes.iter().map(|(number, _)| *number))?,
            saved_numbers(self.lanes.iter().map(|(_, lane)| lane.before))?,
            saved_numbers(self.lanes.iter().map(|(_, lane)| number(lane.rows.len())))?,
            saved_numbers(self.rows().map(|row| row.time))?,
            saved_numbers(self.rows().flat_map(|row| row.position.numbers().iter().copied()))?,
            saved(self.codec.decode_one(self.rows().map(|row| row.value.as_ref()))?)?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let [lanes, befores, counts, times, positions] =
                [0, 1, 2, 3, 4].map(|column| restored_numbers(&states[column], row));
            let encoded = self.codec.encode(&[restored(&states[5], row)])?;
            let mut kept =
                times.into_iter().zip(positions.chunks(self.width)).enumerate().map(|(at, (time, numbers))| Kept {
                    time,
                    position: Position::of(numbers),
                    value: encoded.row(at).data().into(),
                });
            for ((lane, before), count) in lanes.into_iter().zip(befores).zip(counts) {
                let (last, keep) = (self.last, self.keep);
                let lane = self.lane(lane);
                lane.before = lane.before.max(before);
                lane.add(kept.by_ref().take(usize::try_from(count).unwrap_or(0)), last, keep);
            }
        }
        self.weigh();
        Ok(())
    }
}
