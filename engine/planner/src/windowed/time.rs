//! The time windows of a row that are open when it arrives, as a list. Semantics: those of `WINDOW TUMBLING` and `WINDOW HOPPING`
//! in continuous queries: each window is judged by its own end and the grace period.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use headwater_language::definition::WindowDef;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, Span};
use headwater_language::topology::AggregateWindow;

/// The maximum number of windows of a row. The rows of a batch are multiplied at once, in memory.
const WINDOWS_MAX: i64 = 4_000;

/// The open windows of a row, by its time and its stream time.
pub fn windows(windows: AggregateWindow, args: Vec<Expr>) -> Expr {
    let AggregateWindow { grace_ms, .. } = windows;
    let (size_ms, advance_ms) = lengths(windows);
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::from(OpenWindows { size_ms, advance_ms, grace_ms, signature }).call(args)
}

/// The error for windows of which a row has too many.
pub fn check(windows: AggregateWindow, span: Span) -> Option<Diagnostic> {
    let (size_ms, advance_ms) = lengths(windows);
    let count = size_ms / advance_ms;
    let message = format!("a bounded query with {count} windows for each row is not supported yet");
    let error = Diagnostic::new(NOT_SUPPORTED, message).at(span);
    (count > WINDOWS_MAX).then(|| error.hint(format!("ADVANCE BY a longer time: {WINDOWS_MAX} windows are supported.")))
}

/// SIZE and ADVANCE BY, in ms.
fn lengths(windows: AggregateWindow) -> (i64, i64) {
    match windows.def {
        WindowDef::Tumbling(size_ms) => (size_ms, size_ms),
        WindowDef::Hopping(size_ms) => (size_ms, windows.advance_ms.unwrap_or(size_ms)),
        WindowDef::Session => (1, 1),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OpenWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
    signature: Signature,
}

impl OpenWindows {
    /// The start and the end of each window that contains a time and is open at a stream time, the last one first.
    fn of(&self, time_ms: i64, stream_time_ms: i64) -> impl Iterator<Item = [i64; 2]> {
        let (size_ms, advance_ms, grace_ms) = (self.size_ms, self.advance_ms, self.grace_ms);
        let last = time_ms.saturating_sub(time_ms.rem_euclid(advance_ms));
        let starts = std::iter::successors(Some(last), move |start| start.checked_sub(advance_ms));
        // Windows begin at the epoch, except for times before it.
        let starts = starts.take_while(move |start| *start == last || *start >= 0 || time_ms < 0);
        let close = move |start: i64| start.checked_add(size_ms)?.checked_add(grace_ms);
        starts
            .map(move |start| [start, start.saturating_add(size_ms)])
            .take_while(move |[start, end]| *end > time_ms || *start == last)
            .filter(move |[start, _]| close(*start).is_none_or(|close| close > stream_time_ms))
    }
}

impl ScalarUDFImpl for OpenWindows {
    fn name(&self) -> &'static str {
        "headwater_open_windows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(item())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let [times, stream_times] = &columns[..] else { return Err(exec_datafusion_err!("two times are expected")) };
        let times = times.as_primitive::<Int64Type>().iter();
        let (mut starts, mut ends, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(args.number_rows));
        for (time_ms, stream_time_ms) in times.zip(stream_times.as_primitive::<Int64Type>()) {
            let before = starts.len();
            if let (Some(time_ms), Some(stream_time_ms)) = (time_ms, stream_time_ms) {
                for [start, end] in self.of(time_ms, stream_time_ms) {
                    starts.push(start);
                    ends.push(end);
                }
            }
            lengths.push(starts.len() - before);
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(starts)), Arc::new(Int64Array::from(ends))];
        let windows = StructArray::try_new(bounds(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(Arc::new(item()), offsets, Arc::new(windows), None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

fn item() -> Field {
    Field::new_list_field(DataType::Struct(bounds()), true)
}

fn bounds() -> Fields {
    ["start", "end"].into_iter().map(|name| Field::new(name, DataType::Int64, true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(advance_ms: i64, time_ms: i64, stream_time_ms: i64) -> Vec<i64> {
        let signature = Signature::any(2, Volatility::Immutable);
        let windows = OpenWindows { size_ms: 10, advance_ms, grace_ms: 2, signature };
        windows.of(time_ms, stream_time_ms).map(|[start, _]| start).collect()
    }

    #[test]
    fn a_row_is_in_each_open_window_that_contains_its_time() {
        assert_eq!([0, 9, 10, -1].map(|time| starts(10, time, time)), [[0], [0], [10], [-10]]);
        assert_eq!(starts(4, 25, 25), [24, 20, 16]);
        assert_eq!(starts(4, 5, 5), [4, 0], "the window that starts before the epoch is left out");
        assert_eq!(starts(4, -1, -1), [-4, -8]);
        assert_eq!(starts(4, 25, 27), [24, 20, 16]);
        assert_eq!(starts(4, 25, 28), [24, 20], "each window closes on its own");
        assert_eq!(starts(4, 25, 36), [0; 0]);
    }

    #[test]
    fn the_first_and_the_last_time_have_windows() {
        assert_eq!(starts(10, i64::MAX, i64::MAX), [i64::MAX - 7]);
        assert_eq!(starts(4, i64::MIN, i64::MIN), [i64::MIN]);
    }
}
