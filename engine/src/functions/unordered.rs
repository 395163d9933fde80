//! Maps have no order: values in which equal maps are the same, entry by entry.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion::common::Result;

/// Whether values of this type have maps in them, at any depth.
pub(crate) fn has_maps(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) => true,
        DataType::List(item) => has_maps(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_maps(field.data_type())),
        _ => false,
    }
}

/// The same values with the entries of maps in the order of their keys, at any depth.
pub(crate) fn without_order(values: &ArrayRef) -> Result<ArrayRef> {
    if !has_maps(values.data_type()) {
        return Ok(values.clone());
    }
    Ok(match values.data_type() {
        DataType::List(item) => {
            let list = values.as_list::<i32>();
            let items = without_order(list.values())?;
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), items, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let found = values.as_struct();
            let columns = found.columns().iter().map(without_order).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, found.nulls().cloned(), found.len())?)
        }
        DataType::Map(entries, ordered) => {
            let map = values.as_map();
            let sorted = take(&inner_without_order(map)?, &places(map)?, None)?;
            let sorted = sorted.as_struct().clone();
            Arc::new(MapArray::try_new(entries.clone(), map.offsets().clone(), sorted, map.nulls().cloned(), *ordered)?)
        }
        _ => values.clone(),
    })
}

/// Where the entries of each map are, by rising key.
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

fn inner_without_order(map: &MapArray) -> Result<ArrayRef> {
    let fields = map.entries().fields().clone();
    let columns = vec![map.keys().clone(), without_order(map.values())?];
    Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
}
