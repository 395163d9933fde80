//! The elements of a column of arrays or maps, and the rows to which they belong.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, concat, take, take_arrays};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::LambdaArgument;

/// All elements of a batch, row by row, without those of null rows.
pub struct Elements {
    /// One column, or keys and values.
    pub parts: Vec<ArrayRef>,
    /// Number of elements of each row.
    pub lengths: Vec<usize>,
    /// The null rows.
    pub nulls: Option<NullBuffer>,
    /// The row of each element.
    rows: UInt32Array,
}

impl Elements {
    /// The elements of a column of arrays or maps.
    pub fn new(collection: &ArrayRef) -> Result<Self> {
        let (parts, offsets) = match collection.data_type() {
            DataType::List(_) => {
                let lists = collection.as_list::<i32>();
                (vec![lists.values().clone()], lists.value_offsets())
            }
            DataType::Map(..) => {
                let maps = collection.as_map();
                (vec![maps.keys().clone(), maps.values().clone()], maps.value_offsets())
            }
            other => return exec_err!("{other} has no elements"),
        };
        let range = |row: usize| match collection.is_null(row) {
            true => 0..0,
            false => offsets[row] as u32..offsets[row + 1] as u32,
        };
        let ranges: Vec<Range<u32>> = (0..collection.len()).map(range).collect();
        let lengths: Vec<usize> = ranges.iter().map(ExactSizeIterator::len).collect();
        let rows = lengths.iter().enumerate().flat_map(|(row, length)| std::iter::repeat_n(row as u32, *length));
        let rows = rows.collect::<Vec<u32>>().into();
        let places: UInt32Array = ranges.into_iter().flatten().collect::<Vec<u32>>().into();
        let parts = parts.iter().map(|part| take(part, &places, None)).collect::<Result<_, _>>()?;
        Ok(Self { parts, lengths, nulls: collection.nulls().cloned(), rows })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// The result of a lambda for each element.
    pub fn evaluate(&self, lambda: &LambdaArgument) -> Result<ArrayRef> {
        evaluate(lambda, &self.parts, &self.rows)
    }

    /// The range of each row's elements.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end - length..*end)
        })
    }
}

/// The indices of a map's entries in the iteration order of Java's HashMap, if keys are texts, so that results that
/// depend on the order are the same as in ksqlDB.
pub fn hash_order(keys: &ArrayRef, range: Range<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = range.collect();
    let Some(keys) = keys.as_string_opt::<i32>() else { return order };
    // ksqlDB's decoders create a table for this many entries, which doubles when it is more than three quarters full.
    let buckets = (order.len() * 4).div_ceil(3).next_power_of_two() as u32;
    let bucket = |at: &usize| {
        let hash =
            keys.value(*at).encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) & (buckets - 1)
    };
    order.sort_by_key(bucket);
    order
}

/// The result of a lambda for its parameters; `rows` are the rows from which outer columns are taken.
///
/// An operand that is not reached must not fail: in `x <> 0 AND 10 / x > 1`, the second operand is computed for all
/// elements if the first is true for any. So if elements fail, they are halved until one fails alone, which makes the
/// whole call fail.
pub fn evaluate(lambda: &LambdaArgument, params: &[ArrayRef], rows: &UInt32Array) -> Result<ArrayRef> {
    let count = rows.len();
    let failure = match whole(lambda, params, rows) {
        Err(failure) if count > 1 => failure,
        found => return found,
    };
    let halves = [(0, count / 2), (count / 2, count - count / 2)].map(|(start, length)| {
        let params: Vec<ArrayRef> = params.iter().map(|param| param.slice(start, length)).collect();
        (params, rows.slice(start, length))
    });
    let [first, second] = halves;
    let first = evaluate(lambda, &first.0, &first.1)?;
    let second = evaluate(lambda, &second.0, &second.1)?;
    concat(&[first.as_ref(), second.as_ref()]).map_err(|_| failure)
}

fn whole(lambda: &LambdaArgument, params: &[ArrayRef], rows: &UInt32Array) -> Result<ArrayRef> {
    let given: Vec<_> = params.iter().map(|param| move || Ok(param.clone())).collect();
    let given: Vec<&dyn Fn() -> Result<ArrayRef>> = given.iter().map(|param| param as _).collect();
    let values = lambda.evaluate(&given, |outer| Ok(take_arrays(outer, rows, None)?))?.into_array(rows.len())?;
    let wanted = crate::choice::canonical(values.data_type());
    Ok(if *values.data_type() == wanted { values } else { cast(&values, &wanted)? })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    /// Goal: Java's order. Method: by hand, for the hash of one letter is its code: "p" (112) is in bucket 0 of 8, "a" (97)
    /// in 1, and so on.
    #[test]
    fn entries_come_as_java_hashes_them() {
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["c", "b", "p", "a"]));
        assert_eq!(hash_order(&keys, 0..4), [2, 3, 1, 0]);
        assert_eq!(hash_order(&keys, 1..3), [2, 1]);
    }
}
