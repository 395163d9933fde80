//! Which rows of a group are late for their session, as a window function over the rows in the order in which they arrive. A row is
//! judged by the end of the session that it would make: with it, sessions within the gap are merged.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;
use headwater_language::topology::AggregateWindow;

/// Whether a row is late, by its time and its stream time.
pub fn late(windows: AggregateWindow, args: Vec<Expr>) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    let (gap_ms, grace_ms) = (windows.gap_ms.unwrap_or(1), windows.grace_ms);
    WindowUDF::from(Lateness { gap_ms, grace_ms, signature }).call(args)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lateness {
    gap_ms: i64,
    grace_ms: i64,
    signature: Signature,
}

impl WindowUDFImpl for Lateness {
    fn name(&self) -> &'static str {
        "headwater_late_for_session"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Sessions { gap_ms: self.gap_ms, grace_ms: self.grace_ms, bounds: Vec::new() }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Boolean, true)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// The sessions of a group so far.
#[derive(Debug)]
struct Sessions {
    gap_ms: i64,
    grace_ms: i64,
    /// Their starts and ends, in order. There is more than the gap between two of them.
    bounds: Vec<[i64; 2]>,
}

impl Sessions {
    /// Adds a row, unless it is late.
    fn is_late(&mut self, time_ms: i64, stream_time_ms: i64) -> bool {
        let [from, to] = [time_ms.saturating_sub(self.gap_ms), time_ms.saturating_add(self.gap_ms)];
        let first = self.bounds.partition_point(|[_, end]| *end < from);
        let near = first..first + self.bounds[first..].partition_point(|[start, _]| *start <= to);
        let merged = self.bounds[near.clone()].iter();
        let [start, end] = merged.fold([time_ms; 2], |[start, end], [from, to]| [start.min(*from), end.max(*to)]);
        let close = end.checked_add(self.gap_ms).and_then(|close| close.checked_add(self.grace_ms));
        let is_late = close.is_some_and(|close| close < stream_time_ms);
        if !is_late {
            self.bounds.splice(near, [[start, end]]);
        }
        is_late
    }
}

impl PartitionEvaluator for Sessions {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let [times, stream_times] = values else { return Err(exec_datafusion_err!("two times are expected")) };
        let at = |times: &ArrayRef| times.as_primitive::<Int64Type>().value(range.start);
        Ok(ScalarValue::Boolean(Some(self.is_late(at(times), at(stream_times)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a row is late by the merged end. Method: rows of one group, each with whether it is late.
    #[test]
    fn a_row_is_late_by_the_end_of_the_session_that_it_would_make() {
        let mut sessions = Sessions { gap_ms: 10, grace_ms: 0, bounds: Vec::new() };
        let mut late = |time_ms, stream_time_ms| sessions.is_late(time_ms, stream_time_ms);
        assert!([0, 9, 18].iter().all(|time_ms| !late(*time_ms, *time_ms)));
        assert!(!late(5, 27));
        assert!(!late(5, 28));
        assert!(late(5, 29));
        assert!(late(29, 40));
        assert!(!late(30, 40));
        assert!(!late(28, 40), "it merges both");
        assert_eq!(sessions.bounds, [[0, 30]]);
    }
}
