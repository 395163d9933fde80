//! REDUCE.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{cast, interleave, take};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::LambdaArgument;

use super::elements::{Elements, evaluate, hash_order};

/// The maximum memory for the states of a batch: `s || s` doubles with each element.
const STATE_MEMORY_MAX: usize = 256 << 20;

/// REDUCE of arrays and maps: step by step, for all rows that have a next element.
pub fn reduce(elements: &Elements, initial: &ArrayRef, step: &LambdaArgument) -> Result<ArrayRef> {
    let is_map = elements.parts.len() > 1;
    let order = |range| if is_map { hash_order(&elements.parts[0], range) } else { range.collect() };
    let orders: Vec<Vec<usize>> = elements.ranges().map(order).collect();
    let place = |row: usize, at: usize| orders[row][at] as u32;
    let longest = elements.lengths.iter().copied().max().unwrap_or(0);
    let has_state = |row: &usize| initial.is_valid(*row);
    let mut rows: Vec<usize> = (0..elements.rows()).filter(has_state).collect();
    let mut state = initial.clone();
    for at in 0..longest {
        rows.retain(|row| elements.lengths[*row] > at);
        let taken: UInt32Array = rows.iter().map(|row| *row as u32).collect::<Vec<_>>().into();
        let places: UInt32Array = rows.iter().map(|row| place(*row, at)).collect::<Vec<_>>().into();
        let mut params = vec![take(&state, &taken, None)?];
        for part in &elements.parts {
            params.push(take(part, &places, None)?);
        }
        let stepped = cast(&evaluate(step, &params, &taken)?, initial.data_type())?;
        state = match rows.len() == state.len() {
            true => stepped,
            false => {
                let mut from: Vec<(usize, usize)> = (0..state.len()).map(|row| (0, row)).collect();
                rows.iter().enumerate().for_each(|(new, row)| from[*row] = (1, new));
                interleave(&[state.as_ref(), stepped.as_ref()], &from)?
            }
        };
        if state.get_array_memory_size() > STATE_MEMORY_MAX {
            return exec_err!("REDUCE: the state needs more than {} MiB", STATE_MEMORY_MAX >> 20);
        }
    }
    Ok(state)
}
