//! TRANSFORM.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::LambdaArgument;

use super::elements::Elements;
use crate::call::{item_field, offsets};
use crate::collections::{assemble, keys_of};

/// TRANSFORM of arrays.
pub fn array(elements: &Elements, element: &LambdaArgument, returns: &DataType) -> Result<ArrayRef> {
    let items = elements.evaluate(element)?;
    let ends = offsets(elements.lengths.iter().copied())?;
    Ok(Arc::new(ListArray::try_new(item_field(returns)?, ends, items, elements.nulls.clone())?))
}

/// TRANSFORM of maps.
pub fn map(elements: &Elements, key: &LambdaArgument, value: &LambdaArgument, returns: &DataType) -> Result<ArrayRef> {
    let (keys, values) = (keys_of(elements.evaluate(key)?)?, elements.evaluate(value)?);
    if values.null_count() > 0 {
        return exec_err!("TRANSFORM: a value of the map is NULL");
    }
    let order = make_comparator(&keys, &keys, SortOptions::default())?;
    let mut sorted: Vec<usize> = Vec::new();
    for range in elements.ranges() {
        sorted.clear();
        sorted.extend(range);
        sorted.sort_by(|a, b| order(*a, *b));
        if sorted.windows(2).any(|pair| order(pair[0], pair[1]).is_eq()) {
            return exec_err!("TRANSFORM: two entries of the map have the same key");
        }
    }
    assemble(returns, elements.lengths.clone(), elements.nulls.clone(), keys, values)
}
