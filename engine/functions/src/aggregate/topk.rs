//! TOPK and TOPKDISTINCT: the largest values of a group, in descending order; NULL is ignored.
//!
//! Of equal values, the one with the lower lane and position comes first, which matters if TOPK has other columns.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::DataType;
use arrow::row::Rows;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::place::{Places, Position, width};
use super::recipe::{Order, Recipe, Shape};
use super::values::{Bytes, Codec, list, numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// TOPK of one column.
pub static TOPK: Recipe = Recipe { order: Order::Any, sorts: true, retracts: false, state, accumulator: topk };

/// TOPK with other columns.
pub static TOPK_WITH: Recipe = Recipe { order: Order::Records, sorts: true, retracts: false, state, accumulator: topk };

/// TOPKDISTINCT.
pub static TOPK_DISTINCT: Recipe =
    Recipe { order: Order::Any, sorts: true, retracts: false, state, accumulator: topk_distinct };

/// The type of TOPK with other columns.
pub fn rows_type(types: &[DataType]) -> DataType {
    let columns = types.len().saturating_sub(2);
    let names = std::iter::once("sort_col".to_owned()).chain((0..columns).map(|at| format!("col{at}")));
    let fields = names.zip(types).map(|(name, ty)| arrow::datatypes::Field::new(name, ty.clone(), true));
    list_of(DataType::Struct(fields.collect()))
}

/// Lanes and positions of the rows, and the values of each column.
fn state(shape: &Shape) -> Vec<DataType> {
    let columns = shape.takes.iter().map(|ty| list_of(ty.clone()));
    [numbers_type(), numbers_type()].into_iter().chain(columns).collect()
}

fn topk(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Top::new(shape, false)?))
}

fn topk_distinct(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Top::new(shape, true)?))
}

/// The sort key of a row.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    value: Reverse<Bytes>,
    lane: i64,
    position: Position,
    /// Distinguishes rows that are equal in everything else.
    number: u64,
}

#[derive(Debug)]
struct Top {
    key: Arc<Codec>,
    others: Arc<Codec>,
    returns: DataType,
    /// How many columns each row has.
    columns: usize,
    width: usize,
    keep: usize,
    distinct: bool,
    rows: BTreeMap<Rank, Bytes>,
    arrived: i64,
    number: u64,
    bytes: usize,
}

impl Top {
    fn new(shape: &Shape, distinct: bool) -> Result<Self> {
        Ok(Self {
            key: shape.codec()?,
            others: shape.others_codec()?,
            returns: shape.returns.clone(),
            columns: shape.takes.len(),
            width: width(shape.positions),
            keep: shape.count(0),
            distinct,
            rows: BTreeMap::new(),
            arrived: 0,
            number: 0,
            bytes: 0,
        })
    }

    /// The value by which rows are sorted, as bytes.
    fn encoded(&self, values: &ArrayRef) -> Result<Rows> {
        if self.distinct { self.key.encode_equal(values) } else { self.key.encode_ordered(values) }
    }

    /// Whether a value is too small to be in the result.
    fn is_out(&self, value: &[u8]) -> bool {
        let least = self.rows.last_key_value().filter(|_| self.rows.len() >= self.keep);
        least.is_some_and(|(least, _)| value < least.value.0.as_ref())
    }

    fn add(
        &mut self,
        value: &[u8],
        place: (i64, Position),
        others: impl FnOnce(&Codec) -> Result<Bytes>,
    ) -> Result<()> {
        let (lane, position) = if self.distinct { (0, Position::One(0)) } else { place };
        let number = if self.distinct { 0 } else { self.number };
        self.number += 1;
        let rank = Rank { value: Reverse(value.into()), lane, position, number };
        let others = others(&self.others)?;
        self.bytes += row_bytes(&rank, &others);
        if let Some(before) = self.rows.insert(rank, others) {
            self.bytes -= before.len();
        }
        while self.rows.len() > self.keep {
            if let Some((rank, others)) = self.rows.pop_last() {
                self.bytes -= row_bytes(&rank, &others).min(self.bytes);
            }
        }
        Ok(())
    }

    /// The columns of the rows.
    fn decoded(&self) -> Result<Vec<ArrayRef>> {
        let key = self.key.decode_one(self.rows.keys().map(|rank| rank.value.0.as_ref()))?;
        let others = match self.columns {
            1 => Vec::new(),
            _ => self.others.decode(self.rows.values().map(AsRef::as_ref))?,
        };
        Ok(std::iter::once(key).chain(others).collect())
    }
}

fn row_bytes(rank: &Rank, others: &Bytes) -> usize {
    size_of::<(Rank, Bytes)>() + rank.value.0.len() + rank.position.heap_bytes() + others.len()
}

fn one_row(codec: &Codec, columns: &[ArrayRef], row: usize) -> Result<Bytes> {
    if columns.is_empty() {
        return Ok(Bytes::default());
    }
    let columns: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
    Ok(codec.encode(&columns)?.row(0).data().into())
}

impl Accumulator for Top {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (values, places) = columns.split_at(self.columns);
        let rows = values[0].len();
        let places = Places::read(places, rows, &mut self.arrived)?;
        let encoded = self.encoded(&values[0])?;
        let nulls = values[0].logical_nulls();
        for row in (0..rows).filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))) {
            let value = encoded.row(row);
            if !self.is_out(value.data()) {
                let place = (places.lane(row), places.position(row));
                self.add(value.data(), place, |codec| one_row(codec, &values[1..], row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let columns = self.decoded()?;
        let values: ArrayRef = match &self.returns {
            DataType::List(item) if self.columns > 1 => match item.data_type() {
                DataType::Struct(fields) => Arc::new(StructArray::try_new(fields.clone(), columns, None)?),
                _ => columns[0].clone(),
            },
            _ => columns[0].clone(),
        };
        list(values, &self.returns)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        // Rows without an address also have one number.
        let numbers = |rank: &Rank| rank.position.numbers().to_vec();
        let mut states = vec![
            saved_numbers(self.rows.keys().map(|rank| rank.lane))?,
            saved_numbers(self.rows.keys().flat_map(numbers))?,
        ];
        for column in self.decoded()? {
            states.push(saved(column)?);
        }
        Ok(states)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let (lanes, positions) = (restored_numbers(&states[0], row), restored_numbers(&states[1], row));
            let columns: Vec<ArrayRef> = states[2..].iter().map(|state| restored(state, row)).collect();
            let encoded = self.encoded(&columns[0])?;
            for (at, (lane, numbers)) in lanes.into_iter().zip(positions.chunks(self.width)).enumerate() {
                let value = encoded.row(at);
                if !self.is_out(value.data()) {
                    let place = (lane, Position::of(numbers));
                    self.add(value.data(), place, |codec| one_row(codec, &columns[1..], at))?;
                }
            }
        }
        Ok(())
    }
}
