//! WHERE: keeps the rows for which the condition is true. A condition that is NULL or fails is not true, and no
//! condition is true for a record without a value.
//!
//! For a row of a table, which includes the row before the change, the condition is evaluated for both. A row that is no longer
//! kept becomes a delete, and a row that was not kept before becomes an insert.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{and, or, prep_null_mask_filter};
use arrow::error::ArrowError;
use headwater_expression::{Expression, Failure};

use crate::chunk::{Before, Chunk};
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

    /// True for the rows that are kept. A failure for a record without a value, which is not kept anyway, is not reported.
    fn stays(
        &self,
        rows: &RecordBatch,
        valued: Option<&NullBuffer>,
        now_ms: i64,
        failures: &mut Vec<Failure>,
    ) -> Result<BooleanArray, ArrowError> {
        let mut found = Vec::new();
        let values = self.predicate.evaluate(rows, now_ms, &mut found);
        let certain = certain(values.as_boolean());
        failures.extend(found.into_iter().filter(|failure| valued.is_none_or(|valued| valued.is_valid(failure.row))));
        match valued {
            Some(valued) => and(&certain, &BooleanArray::new(valued.inner().clone(), None)),
            None => Ok(certain),
        }
    }
}

/// The rows of a table that are kept or were kept before: those that are no longer kept are deletes, the others are new or
/// changed.
fn changed(chunk: Chunk, stays: &BooleanArray, stayed: &BooleanArray) -> Result<Chunk, ArrowError> {
    let marks =
        |mask: &BooleanArray| Some(NullBuffer::new(mask.values().clone())).filter(|marks| marks.null_count() > 0);
    let before = chunk.before.map(|before| Before { valued: marks(stayed), ..before });
    Chunk { valued: marks(stays), before, ..chunk }.filter(&or(stays, stayed)?)
}

impl Operator for Filter {
    /// The rows that are kept or were kept before, in their order.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let stays = self.stays(&chunk.rows, chunk.valued.as_ref(), cx.now_ms, cx.failures)?;
        let Some(before) = &chunk.before else { return chunk.filter(&stays).map(Emitted::from) };
        // A failure for the row before was reported when that row was pushed.
        let stayed = self.stays(&before.rows, before.valued.as_ref(), cx.now_ms, &mut Vec::new())?;
        changed(chunk, &stays, &stayed).map(Emitted::from)
    }

    fn repeats(&self) -> bool {
        self.predicate.is_immutable()
    }

    fn lengthens(&self) -> bool {
        false
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

#[cfg(test)]
mod tests {
    use super::super::for_tests::{compiled, cx, integers, shown, table};
    use super::*;

    /// Goal: the emitted rows are the changes of the rows that are kept. Method: each case once, with the condition `a > 10`.
    #[test]
    fn changes_of_a_table_become_changes_of_what_stays() {
        let mut filter = Filter::new(compiled("a > 10"));
        let after = [Some(11), Some(1), Some(12), Some(2), None, None, Some(13)];
        let before = [Some(20), Some(21), Some(3), Some(4), Some(22), Some(5), None];
        let emitted = filter.push(Port(0), table(&after, &before), &mut cx!()).expect("nothing fails");
        let Emitted::Rows(chunk) = emitted else { panic!("rows come out") };
        assert_eq!(shown(&chunk), ["0: 20→11", "1: 21→-", "2: -→12", "4: 22→-", "6: -→13"]);
        assert_eq!(integers(&chunk.rows), [Some(11), Some(1), Some(12), None, Some(13)], "a delete keeps its columns");
        let nothing = filter.push(Port(0), table(&[Some(1), None], &[None, Some(2)]), &mut cx!());
        assert!(matches!(nothing, Ok(Emitted::Nothing)));
    }

    #[test]
    fn what_fails_for_a_deleted_row_is_not_reported() {
        let mut filter = Filter::new(compiled("10 / a > 1"));
        let mut failures = Vec::new();
        let chunk = table(&[Some(0), Some(0)], &[Some(5), Some(5)]);
        let chunk = Chunk { valued: Some(NullBuffer::from(vec![false, true])), ..chunk };
        let mut context = cx!();
        context.failures = &mut failures;
        let Ok(Emitted::Rows(chunk)) = filter.push(Port(0), chunk, &mut context) else { panic!("rows come out") };
        assert_eq!(shown(&chunk), ["0: 5→-", "1: 5→-"]);
        assert_eq!(failures.iter().map(|failure| failure.row).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_failed_before_is_not_reported_again() {
        let mut filter = Filter::new(compiled("10 / a > 1"));
        let mut failures = Vec::new();
        let chunk = table(&[Some(5), Some(0)], &[Some(0), Some(5)]);
        let mut context = cx!();
        context.failures = &mut failures;
        let Ok(Emitted::Rows(chunk)) = filter.push(Port(0), chunk, &mut context) else { panic!("rows come out") };
        assert_eq!(shown(&chunk), ["0: -→5", "1: 5→-"]);
        assert_eq!(failures.iter().map(|failure| failure.row).collect::<Vec<_>>(), [1]);
    }
}
