//! Which rows of a group are late for their session, as a window function over the rows in the order in which they arrive. A row is
//! judged by the end of the session that it would make: with it, sessions within the gap are merged, except those that have expired.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;
use headwater_language::topology::AggregateWindow;

/// NULL for a row that is late. For others, the end of the expired session before it, which its session does not include, or the least
/// BIGINT. The arguments are its time, its stream time, that of the row before it in its partition, and its partition.
pub fn floor(windows: AggregateWindow, args: Vec<Expr>) -> Expr {
    let AggregateWindow { gap_ms, grace_ms, retention_ms, .. } = windows;
    let lengths = Lengths { gap_ms: gap_ms.unwrap_or(1), grace_ms, retention_ms };
    let signature = Signature::any(4, Volatility::Immutable);
    WindowUDF::from(Lateness { lengths, signature }).call(args)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lengths {
    gap_ms: i64,
    grace_ms: i64,
    retention_ms: i64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lateness {
    lengths: Lengths,
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
        Ok(Box::new(Sessions {
            lengths: self.lengths,
            bounds: Vec::new(),
            expired: BTreeSet::new(),
            clocks: BTreeMap::new(),
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// A row that arrives.
#[derive(Clone, Copy, Debug)]
struct Row {
    time_ms: i64,
    stream_time_ms: i64,
    /// The stream time before it.
    previous_ms: Option<i64>,
    partition: i64,
}

/// The sessions of a group so far.
#[derive(Debug)]
struct Sessions {
    lengths: Lengths,
    /// The starts and ends of those that have not expired, in order. There is more than the gap between two of them.
    bounds: Vec<[i64; 2]>,
    /// The ends of those that had expired when a row within the gap arrived.
    expired: BTreeSet<i64>,
    /// The stream times of the partitions, as far as rows of the group tell.
    clocks: BTreeMap<i64, i64>,
}

impl Sessions {
    /// Adds a row, unless it is late. Returns the end of the expired session before it, if there is one.
    fn add(&mut self, row: Row) -> Option<i64> {
        let Lengths { gap_ms, grace_ms, .. } = self.lengths;
        let Row { time_ms, stream_time_ms, .. } = row;
        let slowest_ms = self.slowest(row);
        let [from, to] = [time_ms.saturating_sub(gap_ms), time_ms.saturating_add(gap_ms)];
        let first = self.bounds.partition_point(|[_, end]| *end < from);
        let near = first..first + self.bounds[first..].partition_point(|[start, _]| *start <= to);
        let (expired, found): (Vec<_>, Vec<_>) =
            self.bounds[near.clone()].iter().copied().partition(|[_, end]| self.has_expired(*end, slowest_ms));
        let merged = found.iter().fold([time_ms; 2], |[start, end], [from, to]| [start.min(*from), end.max(*to)]);
        let close = merged[1].checked_add(gap_ms).and_then(|close| close.checked_add(grace_ms));
        if close.is_some_and(|close| close < stream_time_ms) {
            return None;
        }
        self.bounds.splice(near, [merged]);
        self.expired.extend(expired.iter().map(|[_, end]| *end));
        Some(self.expired.range(..=time_ms).next_back().copied().unwrap_or(i64::MIN))
    }

    /// The lowest stream time before a row.
    fn slowest(&mut self, row: Row) -> Option<i64> {
        if let Some(previous_ms) = row.previous_ms {
            self.clocks.insert(row.partition, previous_ms);
        }
        let slowest_ms = self.clocks.values().min().copied();
        self.clocks.insert(row.partition, row.stream_time_ms);
        slowest_ms
    }

    fn has_expired(&self, end_ms: i64, slowest_ms: Option<i64>) -> bool {
        let expiry = end_ms.checked_add(self.lengths.retention_ms);
        expiry.is_some_and(|expiry| slowest_ms >= Some(expiry))
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
        let [times, stream_times, previous, partitions] = values else {
            return Err(exec_datafusion_err!("four arguments are expected"));
        };
        let at = |numbers: &ArrayRef| numbers.as_primitive::<Int64Type>().value(range.start);
        let row = Row {
            time_ms: at(times),
            stream_time_ms: at(stream_times),
            previous_ms: previous.is_valid(range.start).then(|| at(previous)),
            partition: at(partitions),
        };
        Ok(ScalarValue::Int64(self.add(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(retention_ms: i64) -> Sessions {
        let lengths = Lengths { gap_ms: 10, grace_ms: 0, retention_ms };
        Sessions { lengths, bounds: Vec::new(), expired: BTreeSet::new(), clocks: BTreeMap::new() }
    }

    fn row(time_ms: i64, previous_ms: i64) -> Row {
        Row { time_ms, stream_time_ms: time_ms.max(previous_ms), previous_ms: Some(previous_ms), partition: 0 }
    }

    /// Goal: a row is late by the merged end. Method: rows of one group, each with the stream time before it.
    #[test]
    fn a_row_is_late_by_the_end_of_the_session_that_it_would_make() {
        let mut sessions = sessions(100);
        let mut is_late = |time_ms, previous_ms| sessions.add(row(time_ms, previous_ms)).is_none();
        assert!(!is_late(0, 0) && !is_late(9, 0) && !is_late(18, 9));
        assert!(!is_late(5, 27));
        assert!(!is_late(5, 28));
        assert!(is_late(5, 29));
        assert!(is_late(29, 40));
        assert!(!is_late(30, 40));
        assert!(!is_late(28, 40), "it merges both");
        assert_eq!(sessions.bounds, [[0, 30]]);
    }

    #[test]
    fn a_session_that_has_expired_is_not_extended() {
        let mut sessions = sessions(10);
        assert_eq!(sessions.add(row(0, 0)), Some(i64::MIN));
        assert_eq!(sessions.add(row(5, 9)), Some(i64::MIN));
        assert_eq!(sessions.add(row(8, 15)), Some(5));
        assert_eq!(sessions.add(row(6, 15)), Some(5));
        assert_eq!(sessions.bounds, [[6, 8]]);
    }

    #[test]
    fn a_partition_that_is_behind_keeps_sessions() {
        let mut sessions = sessions(10);
        let first = Row { time_ms: 0, stream_time_ms: 0, previous_ms: None, partition: 1 };
        assert_eq!(sessions.add(first), Some(i64::MIN));
        assert_eq!(sessions.add(row(9, 15)), Some(i64::MIN));
        assert_eq!(sessions.bounds, [[0, 9]]);
    }
}
