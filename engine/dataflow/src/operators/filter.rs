//! WHERE: keeps the rows for which the condition is true. A condition that is NULL or fails is not true, and no
//! condition is true for a record without a value.

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{and, prep_null_mask_filter};
use arrow::error::ArrowError;
use headwater_expression::Expression;

use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Port};

/// The operator for WHERE.
#[derive(Clone, Debug)]
pub struct Filter {
    predicate: Expression,
}

impl Filter {
    /// Creates the operator for `predicate`, which must be a BOOLEAN.
    pub fn new(predicate: Expression) -> Self {
        Self { predicate }
    }
}

impl Operator for Filter {
    /// The rows that are kept, in order.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let values = self.predicate.evaluate(&chunk.rows, cx.now_ms, cx.failures);
        let certain = certain(values.as_boolean());
        let keep = match &chunk.valued {
            Some(valued) => and(&certain, &BooleanArray::new(valued.inner().clone(), None))?,
            None => certain,
        };
        chunk.filter(&keep).map(Emitted::from)
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

fn certain(values: &BooleanArray) -> BooleanArray {
    use arrow::array::Array;
    if values.null_count() > 0 { prep_null_mask_filter(values) } else { values.clone() }
}
