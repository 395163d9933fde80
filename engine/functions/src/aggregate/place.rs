//! The place of a row among the rows of its group: the order in which ksqlDB would have processed them.
//!
//! A record has a partition, its *lane*, and an offset, its *position*: within a lane, rows are in the order of their
//! positions. Lanes are merged by time, as in Kafka Streams: the next row is that of the lane whose next row has the
//! lowest time, or, if the times are equal, of the lower lane. This is the order of the greatest time in a lane up to
//! each row ([`in_order`]).
//!
//! The position of a row of a join consists of several numbers. Rows without an address are in one lane, in the order
//! in which they arrive.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;

/// The time of a row without a time.
pub const NO_TIME: i64 = i64::MIN;

/// A row's place within its lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// The position of one record.
    One(i64),
    /// The position of a row of a join.
    More(Box<[i64]>),
}

impl Position {
    /// The position that consists of these numbers.
    pub fn of(numbers: &[i64]) -> Self {
        match numbers {
            [one] => Self::One(*one),
            more => Self::More(more.into()),
        }
    }

    /// The numbers of the position.
    pub fn numbers(&self) -> &[i64] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }

    /// The heap memory that it uses, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::More(more) => size_of_val::<[i64]>(more),
        }
    }
}

/// The places of a batch of rows.
#[derive(Debug)]
pub struct Places {
    /// Time, lane and the numbers of the position; none if rows are in the order of arrival.
    columns: Vec<Int64Array>,
    first: i64,
}

impl Places {
    /// The places in the columns that follow the arguments; for rows without an address, `arrived` counts them.
    pub fn read(columns: &[ArrayRef], rows: usize, arrived: &mut i64) -> Result<Self> {
        let first = *arrived;
        *arrived += i64::try_from(rows).unwrap_or(i64::MAX);
        let number = |column: &ArrayRef| Ok(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
        Ok(Self { columns: columns.iter().map(number).collect::<Result<_>>()?, first })
    }

    fn number(&self, column: usize, row: usize) -> Option<i64> {
        self.columns.get(column).filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }

    /// The row's time.
    pub fn time(&self, row: usize) -> i64 {
        self.number(0, row).unwrap_or(NO_TIME)
    }

    /// The row's lane.
    pub fn lane(&self, row: usize) -> i64 {
        self.number(1, row).unwrap_or(-1)
    }

    /// The order of two rows of one lane.
    pub fn compare(&self, one: usize, other: usize) -> Ordering {
        match self.columns.len() {
            0..=2 => one.cmp(&other),
            width => {
                let numbers = |row: usize| (2..width).map(move |column| self.number(column, row).unwrap_or(-1));
                numbers(one).cmp(numbers(other))
            }
        }
    }

    /// The row's place within its lane.
    pub fn position(&self, row: usize) -> Position {
        match self.columns.len() {
            0..=2 => Position::One(self.first + i64::try_from(row).unwrap_or(i64::MAX)),
            3 => Position::One(self.number(2, row).unwrap_or(-1)),
            width => Position::More((2..width).map(|column| self.number(column, row).unwrap_or(-1)).collect()),
        }
    }
}

/// The number of numbers that a position has in the state of an aggregate.
pub fn width(positions: usize) -> usize {
    positions.max(1)
}

/// Merges the rows of all lanes, each of which is in order. Each row has its lane and the greatest time in its lane
/// up to it.
pub fn in_order<T>(mut rows: Vec<(i64, i64, T)>) -> impl DoubleEndedIterator<Item = T> {
    // The sort is stable: rows of one lane keep their order.
    rows.sort_by_key(|(lane, greatest, _)| (*greatest, *lane));
    rows.into_iter().map(|(_, _, row)| row)
}
