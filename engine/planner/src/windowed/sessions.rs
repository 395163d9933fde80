//! The start of each row's session, as a window function over the rows of a group in the order of their times: a session begins
//! with a row after a gap, or after the end of a session that had expired when the row arrived.

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

/// The start of the session of a row, by its time and the end of the expired session before it.
pub fn start(windows: AggregateWindow, args: Vec<Expr>) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    WindowUDF::from(SessionStart { gap_ms: windows.gap_ms.unwrap_or(1), signature }).call(args)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionStart {
    gap_ms: i64,
    signature: Signature,
}

impl WindowUDFImpl for SessionStart {
    fn name(&self) -> &'static str {
        "headwater_session_start"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Session { gap_ms: self.gap_ms, bounds: None }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// The session of the current row.
#[derive(Debug)]
struct Session {
    gap_ms: i64,
    /// Its start, and its end so far.
    bounds: Option<[i64; 2]>,
}

impl PartitionEvaluator for Session {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let [times, floors] = values else { return Err(exec_datafusion_err!("two times are expected")) };
        let at = |times: &ArrayRef| times.as_primitive::<Int64Type>().value(range.start);
        let (time_ms, floor_ms) = (at(times), at(floors));
        let is_same = |end: i64| time_ms.saturating_sub(end) <= self.gap_ms && end > floor_ms;
        let extended = self.bounds.filter(|[_, end]| is_same(*end));
        let start = extended.map_or(time_ms, |[start, _]| start);
        self.bounds = Some([start, time_ms]);
        Ok(ScalarValue::Int64(Some(start)))
    }
}
