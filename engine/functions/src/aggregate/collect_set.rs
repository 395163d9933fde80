//! COLLECT_SET: the distinct values of a group, including NULL, in the order in which they first appear.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::place::{NO_TIME, Places, Position, in_order, width};
use super::recipe::{Order, Recipe, Shape};
use super::values::{Bytes, Codec, list, numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// COLLECT_SET.
pub static COLLECT_SET: Recipe = Recipe { order: Order::Rows, sorts: false, retracts: false, state, accumulator };

/// Lanes, times and positions of the first rows, and their values.
fn state(shape: &Shape) -> Vec<DataType> {
    vec![numbers_type(), numbers_type(), numbers_type(), list_of(shape.takes[0].clone())]
}

fn accumulator(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Set {
        codec: shape.codec()?,
        returns: shape.returns.clone(),
        limit: shape.limit,
        width: width(shape.positions),
        first: HashMap::new(),
        arrived: 0,
        number: 0,
        bytes: 0,
    }))
}

#[derive(Debug)]
struct Set {
    codec: Arc<Codec>,
    returns: DataType,
    limit: usize,
    width: usize,
    /// The first row of each value in each lane.
    first: HashMap<Bytes, Vec<First>>,
    arrived: i64,
    number: u64,
    bytes: usize,
}

#[derive(Debug)]
struct First {
    lane: i64,
    position: Position,
    time: i64,
    /// Rows with the same place, such as those of an exploded array, keep their order of arrival.
    number: u64,
}

impl Set {
    fn add(&mut self, value: &[u8], (lane, position, time): (i64, Position, i64)) {
        self.number += 1;
        let found = First { lane, position, time, number: self.number };
        if !self.first.contains_key(value) {
            self.bytes += value.len() + size_of::<(Bytes, Vec<First>)>();
            self.first.insert(value.into(), Vec::new());
        }
        let Some(lanes) = self.first.get_mut(value) else { return };
        match lanes.iter_mut().find(|first| first.lane == found.lane) {
            Some(first) if first.position <= found.position => {}
            Some(first) => *first = found,
            None => {
                self.bytes += size_of::<First>() + found.position.heap_bytes();
                lanes.push(found);
            }
        }
    }

    /// The values in order. The time of a row is the greatest that a value first seen in its lane had up to it.
    fn values(&self) -> Vec<&[u8]> {
        let mut rows: Vec<(&First, &[u8])> =
            self.first.iter().flat_map(|(value, lanes)| lanes.iter().map(|first| (first, value.as_ref()))).collect();
        rows.sort_by(|(a, _), (b, _)| (a.lane, &a.position, a.number).cmp(&(b.lane, &b.position, b.number)));
        let (mut lane, mut greatest) = (None, NO_TIME);
        let rows = rows.into_iter().map(|(first, value)| {
            greatest = if lane == Some(first.lane) { greatest.max(first.time) } else { first.time };
            lane = Some(first.lane);
            (first.lane, greatest, value)
        });
        let mut seen = std::collections::HashSet::new();
        in_order(rows.collect()).filter(|value| seen.insert(*value)).take(self.limit).collect()
    }
}

impl Accumulator for Set {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let places = Places::read(&columns[1..], columns[0].len(), &mut self.arrived)?;
        let encoded = self.codec.encode_equal(&columns[0])?;
        for row in 0..columns[0].len() {
            self.add(encoded.row(row).data(), (places.lane(row), places.position(row), places.time(row)));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        list(self.codec.decode_one(self.values())?, &self.returns)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = self.first.iter().flat_map(|(value, lanes)| lanes.iter().map(move |first| (value, first)));
        let mut rows: Vec<(&Bytes, &First)> = rows.collect();
        rows.sort_by_key(|(_, first)| first.number);
        Ok(vec![
            saved_numbers(rows.iter().map(|(_, first)| first.lane))?,
            saved_numbers(rows.iter().map(|(_, first)| first.time))?,
            saved_numbers(rows.iter().flat_map(|(_, first)| first.position.numbers().iter().copied()))?,
            saved(self.codec.decode_one(rows.iter().map(|(value, _)| value.as_ref()))?)?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let [lanes, times, positions] = [0, 1, 2].map(|column| restored_numbers(&states[column], row));
            let encoded = self.codec.encode(&[restored(&states[3], row)])?;
            for (at, ((lane, time), numbers)) in
                lanes.into_iter().zip(times).zip(positions.chunks(self.width)).enumerate()
            {
                self.add(encoded.row(at).data(), (lane, Position::of(numbers), time));
            }
        }
        Ok(())
    }
}
