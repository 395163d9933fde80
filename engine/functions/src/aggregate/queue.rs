//! A moving window frame over DOUBLEs that never subtracts.
//!
//! DataFusion (55) subtracts rows that leave a frame: the sum then remembers an Infinity that has left, and digits
//! lost to a large value do not come back. Here, a frame is a queue of two parts. Rows enter at the back, which has
//! one state. Rows leave at the front, which has one state for each of its rows: that of the row and all rows after
//! it. When the front is empty, the back becomes the front, so each row is added at most three times, however wide
//! the frame is.
//!
//! ```text
//! front: abc, bc, c      back: de      a frame is `abc` merged with `de`; without `a` it is `bc` merged with `de`
//! ```

use std::fmt;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;

/// Creates an empty accumulator.
type Make = Box<dyn Fn() -> Result<Box<dyn Accumulator>> + Send + Sync>;

/// The accumulator of a frame whose rows leave in the order in which they came.
pub struct Queue {
    make: Make,
    /// The states of the front, that of the first row last.
    front: Vec<Vec<ScalarValue>>,
    back: Box<dyn Accumulator>,
    /// The rows of the back, in batches.
    rows: Vec<Vec<ArrayRef>>,
}

impl Queue {
    /// An empty frame, whose accumulators `make` creates.
    pub fn new(make: Make) -> Result<Self> {
        let back = make()?;
        Ok(Self { make, front: Vec::new(), back, rows: Vec::new() })
    }

    /// Turns the back into the front.
    fn turn(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.rows);
        self.back = (self.make)()?;
        let Some(columns) = batches.first().map(Vec::len) else { return Ok(()) };
        let column = |at: usize| {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch[at].as_ref()).collect();
            concat(&parts)
        };
        let columns = (0..columns).map(column).collect::<Result<Vec<_>, _>>()?;
        let mut states = (self.make)()?;
        for row in (0..columns[0].len()).rev() {
            let row: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
            states.update_batch(&row)?;
            self.front.push(states.state()?);
        }
        Ok(())
    }

    /// The state of the whole frame.
    fn whole(&mut self) -> Result<Box<dyn Accumulator>> {
        let mut whole = (self.make)()?;
        if let Some(front) = self.front.last() {
            whole.merge_batch(&arrays(front)?)?;
        }
        if !self.rows.is_empty() {
            whole.merge_batch(&arrays(&self.back.state()?)?)?;
        }
        Ok(whole)
    }
}

fn arrays(state: &[ScalarValue]) -> Result<Vec<ArrayRef>> {
    state.iter().map(ScalarValue::to_array).collect()
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("front", &self.front.len()).field("back", &self.back).finish_non_exhaustive()
    }
}

impl Accumulator for Queue {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if columns[0].is_empty() {
            return Ok(());
        }
        self.rows.push(columns.to_vec());
        self.back.update_batch(columns)
    }

    /// Rows leave in the order in which they entered.
    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for _ in 0..columns[0].len() {
            if self.front.is_empty() {
                self.turn()?;
            }
            if self.front.pop().is_none() {
                return exec_err!("more rows leave a frame than came into it");
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.front.is_empty() { self.back.evaluate() } else { self.whole()?.evaluate() }
    }

    fn size(&self) -> usize {
        let state = |state: &Vec<ScalarValue>| size_of_val(state) + state.iter().map(ScalarValue::size).sum::<usize>();
        let front = self.front.last().map_or(0, state) * self.front.capacity();
        let rows =
            |batch: &Vec<ArrayRef>| batch.iter().map(|column| size_of_val(column) + column.len() * 8).sum::<usize>();
        size_of_val(self) + front + self.back.size() + self.rows.iter().map(rows).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.whole()?.state()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("frames are not merged")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Float64Array;

    use super::*;
    use crate::aggregate::deviation;
    use crate::aggregate::recipe::{Shape, Shared};

    fn spread() -> Result<Box<dyn Accumulator>> {
        let shape = Shape {
            takes: Vec::new(),
            constants: Vec::new(),
            returns: arrow::datatypes::DataType::Float64,
            positions: 0,
            sliding: true,
            limit: usize::MAX,
            shared: Shared::default(),
        };
        (deviation::VARIANCE.accumulator)(&shape)
    }

    fn rows(values: &[f64]) -> Vec<ArrayRef> {
        vec![Arc::new(Float64Array::from(values.to_vec()))]
    }

    #[test]
    fn a_frame_forgets_what_has_left_it() {
        let mut frame = Queue::new(Box::new(spread)).unwrap();
        frame.update_batch(&rows(&[1e300, f64::INFINITY])).unwrap();
        frame.update_batch(&rows(&[1.0, 3.0])).unwrap();
        assert!(matches!(frame.evaluate().unwrap(), ScalarValue::Float64(Some(value)) if value.is_nan()));
        frame.retract_batch(&rows(&[1e300, f64::INFINITY])).unwrap();
        assert_eq!(frame.evaluate().unwrap(), ScalarValue::from(2.0));
        frame.update_batch(&rows(&[5.0])).unwrap();
        assert_eq!(frame.evaluate().unwrap(), ScalarValue::from(4.0));
        frame.retract_batch(&rows(&[1.0, 3.0, 5.0])).unwrap();
        assert_eq!(frame.evaluate().unwrap(), ScalarValue::from(0.0));
        assert!(frame.retract_batch(&rows(&[5.0])).is_err());
    }
}
