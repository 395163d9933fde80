//! WHERE: rows stay for which the condition is true. A condition that is NULL or fails is not true, and of a record
//! without a value nothing is true.

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{and, prep_null_mask_filter};
use arrow::error::ArrowError;

use crate::chunk::Chunk;
use headwater_expression::{Expression, Failure};

/// The operator.
#[derive(Clone, Debug)]
pub struct Filter {
    predicate: Expression,
}

impl Filter {
    /// Keeps the rows for which `predicate`, a BOOLEAN, is true.
    pub fn new(predicate: Expression) -> Self {
        Self { predicate }
    }

    /// The rows that stay, in their order.
    pub fn apply(&self, chunk: Chunk, now_ms: i64, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        let values = self.predicate.evaluate(&chunk.rows, now_ms, failures);
        let certain = certain(values.as_boolean());
        let keep = match &chunk.valued {
            Some(valued) => and(&certain, &BooleanArray::new(valued.inner().clone(), None))?,
            None => certain,
        };
        chunk.filter(&keep)
    }
}

fn certain(values: &BooleanArray) -> BooleanArray {
    use arrow::array::Array;
    if values.null_count() > 0 { prep_null_mask_filter(values) } else { values.clone() }
}
