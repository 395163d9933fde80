//! Sizes of rows in bytes, used to split work that multiplies or enlarges rows into pieces of bounded size.
//!
//! These are the sizes of the values in Arrow, not of their encoded form: as JSON they are several times as large at
//! most.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;

/// The maximum size in bytes of the rows that are processed at once, unless a single row is larger.
pub const PIECE_BYTES_MAX: usize = 16 << 20;

/// The size of all rows together. The cost does not depend on the number of rows.
pub fn bytes_of(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(sum).sum()
}

/// The size of each row, over all columns.
pub fn row_bytes(rows: &RecordBatch) -> Vec<usize> {
    let mut bytes = vec![0; rows.num_rows()];
    rows.columns().iter().for_each(|column| add(column, &mut bytes));
    bytes
}

/// The size of each row in one column.
pub fn column_bytes(column: &ArrayRef) -> Vec<usize> {
    let mut bytes = vec![0; column.len()];
    add(column, &mut bytes);
    bytes
}

/// The number of leading rows that form a piece: as many as fit into `most` bytes, and at least one.
pub fn piece(bytes: impl IntoIterator<Item = usize>, most: usize) -> usize {
    let mut sum = 0_usize;
    let fits = |bytes: &usize| {
        sum = sum.saturating_add(*bytes);
        sum <= most
    };
    bytes.into_iter().take_while(fits).count().max(1)
}

/// The size of a column.
pub fn sum(column: &ArrayRef) -> usize {
    let offsets = column.len() * size_of::<i32>();
    match column.data_type() {
        DataType::Utf8 => offsets + range(column.as_string::<i32>().offsets()).len(),
        DataType::Binary => offsets + range(column.as_binary::<i32>().offsets()).len(),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            offsets + sum(&within(list.values(), list.offsets()))
        }
        DataType::Map(..) => {
            let map = column.as_map();
            offsets + sum(&within(&entries(map), map.offsets()))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(sum).sum(),
        _ => column.len() * width(column),
    }
}

/// Adds the size of each row in a column to `bytes`.
fn add(column: &ArrayRef, bytes: &mut [usize]) {
    match column.data_type() {
        DataType::Utf8 => add_lengths(column.as_string::<i32>().offsets(), bytes),
        DataType::Binary => add_lengths(column.as_binary::<i32>().offsets(), bytes),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            add_elements(list.offsets(), list.values(), bytes);
        }
        DataType::Map(..) => {
            let map = column.as_map();
            add_elements(map.offsets(), &entries(map), bytes);
        }
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|field| add(field, bytes)),
        _ => {
            let width = width(column);
            bytes.iter_mut().for_each(|row| *row += width);
        }
    }
}

fn add_lengths(offsets: &OffsetBuffer<i32>, bytes: &mut [usize]) {
    bytes.iter_mut().zip(offsets.lengths()).for_each(|(row, length)| *row += length + size_of::<i32>());
}

fn add_elements(offsets: &OffsetBuffer<i32>, values: &ArrayRef, bytes: &mut [usize]) {
    let mut each = vec![0; range(offsets).len()];
    add(&within(values, offsets), &mut each);
    let mut elements = each.into_iter();
    for (row, length) in bytes.iter_mut().zip(offsets.lengths()) {
        *row += elements.by_ref().take(length).sum::<usize>() + size_of::<i32>();
    }
}

fn entries(map: &MapArray) -> ArrayRef {
    Arc::new(map.entries().clone())
}

/// The values that the offsets refer to.
fn within(values: &ArrayRef, offsets: &OffsetBuffer<i32>) -> ArrayRef {
    let range = range(offsets);
    values.slice(range.start, range.len())
}

fn range(offsets: &OffsetBuffer<i32>) -> Range<usize> {
    offsets[0] as usize..offsets[offsets.len() - 1] as usize
}

/// The size of a value of a fixed-width type.
fn width(column: &ArrayRef) -> usize {
    column.data_type().primitive_width().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn rows() -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some(""), Some("0123456789")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let offsets = OffsetBuffer::from_lengths([2, 0, 0, 1]);
        let words: ArrayRef = Arc::new(StringArray::from(vec!["ab", "cde", "f"]));
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, words, None));
        let field = |name: &str, column: &ArrayRef| Field::new(name, column.data_type().clone(), true);
        let schema = Schema::new(vec![field("T", &texts), field("N", &numbers), field("L", &lists)]);
        RecordBatch::try_new(Arc::new(schema), vec![texts, numbers, lists]).expect("three columns")
    }

    #[test]
    fn every_row_has_the_bytes_of_its_values() {
        let fixed = 4 + 8 + 4;
        assert_eq!(row_bytes(&rows()), [fixed + 3 + 5 + 2 * 4, fixed, fixed, fixed + 10 + 1 + 4]);
        assert_eq!(row_bytes(&rows().slice(2, 2)), row_bytes(&rows())[2..]);
        for (start, length) in [(0, 4), (2, 2), (1, 1), (3, 0)] {
            let some = rows().slice(start, length);
            assert_eq!(bytes_of(&some), row_bytes(&some).iter().sum::<usize>());
        }
    }

    #[test]
    fn a_piece_has_as_many_rows_as_fit_and_at_least_one() {
        assert_eq!(piece([5, 5, 5], 10), 2);
        assert_eq!(piece([50, 5, 5], 10), 1);
        assert_eq!(piece([usize::MAX, usize::MAX], usize::MAX - 1), 1);
        assert_eq!(piece([5, 5, 5], 100), 3);
    }
}
