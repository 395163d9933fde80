//! The canonical form of values, in which equal values have the same representation: maps have no order, 0.0 equals
//! -0.0, and all NaNs are equal.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;

/// Whether values of this type contain maps, at any depth.
pub fn has_maps(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) => true,
        DataType::List(item) => has_maps(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_maps(field.data_type())),
        _ => false,
    }
}

/// Whether equal values of this type may have different representations.
pub fn has_forms(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) | DataType::Float64 => true,
        DataType::List(item) => has_forms(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_forms(field.data_type())),
        _ => false,
    }
}

/// The values in canonical form: the entries of maps sorted by key, and DOUBLEs with one zero and one NaN, at any
/// depth.
pub fn in_one_form(values: &ArrayRef) -> Result<ArrayRef> {
    if !has_forms(values.data_type()) {
        return Ok(values.clone());
    }
    Ok(match values.data_type() {
        DataType::Float64 => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(ordinary)),
        DataType::List(item) => {
            let list = values.as_list::<i32>();
            let items = in_one_form(list.values())?;
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), items, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let found = values.as_struct();
            let columns = found.columns().iter().map(in_one_form).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, found.nulls().cloned(), found.len())?)
        }
        DataType::Map(entries, ordered) => {
            let map = values.as_map();
            let sorted = take(&inner_in_one_form(map)?, &places(map)?, None)?;
            let sorted = sorted.as_struct().clone();
            Arc::new(MapArray::try_new(entries.clone(), map.offsets().clone(), sorted, map.nulls().cloned(), *ordered)?)
        }
        _ => values.clone(),
    })
}

/// The indices of the entries of each map, sorted by key.
fn places(map: &MapArray) -> Result<UInt32Array> {
    let keys = map.keys();
    let order = make_comparator(keys, keys, SortOptions::default())?;
    let mut places: Vec<u32> = (0..u32::try_from(keys.len()).unwrap_or(u32::MAX)).collect();
    for bounds in map.offsets().windows(2) {
        let (from, to) = (bounds[0].unsigned_abs() as usize, bounds[1].unsigned_abs() as usize);
        places[from..to].sort_by(|a, b| order(*a as usize, *b as usize));
    }
    Ok(UInt32Array::from(places))
}

fn inner_in_one_form(map: &MapArray) -> Result<ArrayRef> {
    let fields = map.entries().fields().clone();
    let columns = vec![in_one_form(map.keys())?, in_one_form(map.values())?];
    Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
}

/// The canonical form of a DOUBLE.
fn ordinary(value: f64) -> f64 {
    // -0.0 + 0.0 is 0.0.
    with_one_nan(value) + 0.0
}

/// The NaN that is greater than every number in the order of bits, for any NaN: x86 makes those of 0.0 / 0.0 negative.
fn with_one_nan(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// The same values; of DOUBLEs a NaN is the greatest, as in Java, in the order of their bits.
pub fn in_order(values: &ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<Float64Type>() {
        Some(doubles) => Arc::new(doubles.unary::<_, Float64Type>(with_one_nan)),
        None => values.clone(),
    }
}
