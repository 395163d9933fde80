//! ENTRIES.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

use crate::call::{Call, item_field};

/// ENTRIES.
pub fn entries(call: &Call<'_>) -> Result<ArrayRef> {
    let (maps, sorted) = (call.maps(0), call.flags(1));
    let keys = maps.array().keys().as_string::<i32>();
    let item = item_field(call.returns())?;
    let DataType::Struct(fields) = item.data_type() else { return exec_err!("entries are structs") };
    let columns = vec![maps.array().keys().clone(), maps.array().values().clone()];
    let pairs: ArrayRef = Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, keys.len())?);
    call.each_taken(&pairs, |row, places| {
        let Some(range) = maps.range(row) else { return Ok(None) };
        let first = places.len();
        places.extend(range.map(|at| Some(at as u32)));
        if sorted.value(row) {
            places[first..].sort_by_key(|at| keys.value(at.unwrap_or(0) as usize));
        }
        Ok(Some(()))
    })
}
