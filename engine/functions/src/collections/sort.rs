//! The sort order of elements.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, DynComparator, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;

use crate::call::Call;
use crate::one_form::in_one_form;

/// ARRAY_MAX.
pub fn max(call: &Call<'_>) -> Result<ArrayRef> {
    extreme(call, Ordering::Greater)
}

/// ARRAY_MIN.
pub fn min(call: &Call<'_>) -> Result<ArrayRef> {
    extreme(call, Ordering::Less)
}

fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let values = lists.array().values();
    let order = Order::of(values)?;
    let best = |row: usize| {
        let present = lists.range(row)?.filter(|at| values.is_valid(*at));
        present.reduce(|best, at| if order.compare(at, best) == wanted { at } else { best }).map(|at| at as u32)
    };
    let places: UInt32Array = (0..call.rows()).map(best).collect();
    Ok(take(values, &places, None)?)
}

/// ARRAY_SORT.
pub fn sort(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let directions = (call.len() > 1).then(|| call.texts(1));
    let values = lists.array().values();
    let order = Order::of(values)?;
    call.each_taken(values, |row, places| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        let is = |text: &str, words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        let descending = match directions.as_ref().map_or("ASC", |directions| directions.value(row)) {
            text if is(text, ["ASC", "ASCENDING"]) => false,
            text if is(text, ["DESC", "DESCENDING"]) => true,
            _ => return Ok(None),
        };
        let first = places.len();
        // Nulls are last in either direction.
        places.extend(range.clone().filter(|at| values.is_valid(*at)).map(|at| Some(at as u32)));
        let place = |at: &Option<u32>| at.unwrap_or(0) as usize;
        places[first..].sort_by(|a, b| match descending {
            true => order.compare(place(b), place(a)),
            false => order.compare(place(a), place(b)),
        });
        places.extend(range.filter(|at| values.is_null(*at)).map(|at| Some(at as u32)));
        Ok(Some(()))
    })
}

/// How to compare the non-null values of a column.
enum Order {
    /// By a numeric key for each value.
    Keys(Vec<i64>),
    Any(DynComparator),
}

impl Order {
    fn of(values: &ArrayRef) -> Result<Self> {
        Ok(match values.data_type() {
            DataType::Int32 => Self::Keys(keys::<Int32Type>(values, i64::from)),
            DataType::Int64 => Self::Keys(keys::<Int64Type>(values, |value| value)),
            // The order of `total_cmp`, which is that of Java.
            DataType::Float64 => Self::Keys(keys::<Float64Type>(&in_one_form(values)?, |value| {
                let bits = value.to_bits().cast_signed();
                bits ^ (((bits >> 63).cast_unsigned() >> 1).cast_signed())
            })),
            _ => {
                let values = in_one_form(values)?;
                Self::Any(make_comparator(&values, &values, SortOptions::default())?)
            }
        })
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Keys(keys) => keys[a].cmp(&keys[b]),
            Self::Any(order) => order(a, b),
        }
    }
}

fn keys<P: ArrowPrimitiveType>(values: &ArrayRef, key: fn(P::Native) -> i64) -> Vec<i64> {
    values.as_primitive::<P>().values().iter().map(|value| key(*value)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    /// Goal: numbers are ordered by their keys as Arrow's own comparison orders them.
    #[test]
    fn keys_have_the_order_of_the_values() {
        let doubles = [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 2.5, f64::INFINITY, f64::NAN];
        let whole = [i64::MIN, -1, 0, 1, i64::MAX];
        let columns: [ArrayRef; 2] =
            [Arc::new(Float64Array::from(doubles.to_vec())), Arc::new(Int64Array::from(whole.to_vec()))];
        for values in columns {
            let (order, any) =
                (Order::of(&values).expect("an order"), make_comparator(&values, &values, SortOptions::default()));
            let any = any.expect("a comparison");
            assert!(matches!(order, Order::Keys(_)));
            for (a, b) in (0..values.len()).flat_map(|a| (0..values.len()).map(move |b| (a, b))) {
                assert_eq!(order.compare(a, b), any(a, b), "{a} {b}");
            }
        }
    }
}
