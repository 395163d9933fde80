//! FILTER.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::filter as arrow_filter;
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::LambdaArgument;

use super::elements::Elements;
use crate::call::{item_field, offsets};
use crate::collections::assemble;

/// FILTER of arrays and maps.
pub fn filter(collection: &ArrayRef, elements: &Elements, stays: &LambdaArgument) -> Result<ArrayRef> {
    let stays = elements.evaluate(stays)?;
    let Some(stays) = stays.as_boolean_opt().filter(|stays| stays.null_count() == 0) else {
        return exec_err!("FILTER: the function returns NULL for an element");
    };
    let lengths: Vec<usize> = elements.ranges().map(|range| range.filter(|at| stays.value(*at)).count()).collect();
    let kept = |part: &ArrayRef| Ok::<_, datafusion::error::DataFusionError>(arrow_filter(part, stays)?);
    match &elements.parts[..] {
        [items] => {
            let field = item_field(collection.data_type())?;
            Ok(Arc::new(ListArray::try_new(field, offsets(lengths)?, kept(items)?, elements.nulls.clone())?))
        }
        [keys, values] => {
            let values = kept(values)?;
            if values.null_count() > 0 {
                return exec_err!("FILTER: a value of the map is NULL");
            }
            assemble(collection.data_type(), lengths, elements.nulls.clone(), kept(keys)?, values)
        }
        _ => exec_err!("{} cannot be filtered", DataType::Null),
    }
}
