//! For every recipe: however rows are cut, and in whatever order
//! the pieces come and merge, the result is the same, and rows that are taken back leave nothing behind.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, ListArray, MapArray, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;

use super::recipe::{Order, Recipe};
use super::{FUNCTIONS, Shape, Shared, chosen};
use crate::in_one_form;

/// Rows of three partitions: values with NULLs and repetitions, and the addresses.
struct Rows {
    ints: ArrayRef,
    texts: ArrayRef,
    doubles: ArrayRef,
    arrays: ArrayRef,
    address: [ArrayRef; 3],
}

const ROWS: usize = 60;

fn rows() -> Rows {
    let int = |row: usize| (!row.is_multiple_of(7)).then_some((row * 13 % 11) as i32);
    let array = |row: usize| (!row.is_multiple_of(5)).then(|| (0..row % 4).map(move |at| Some((at + row) as i32)));
    let time = |row: usize| (row * 37 % 23) as i64;
    Rows {
        ints: Arc::new((0..ROWS).map(int).collect::<Int32Array>()),
        texts: Arc::new((0..ROWS).map(|row| int(row).map(|int| format!("t{int}"))).collect::<StringArray>()),
        doubles: Arc::new((0..ROWS).map(|row| int(row).map(f64::from)).collect::<arrow::array::Float64Array>()),
        arrays: Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(array))),
        address: [
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(time))),
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| (row % 3) as i64))),
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| (row / 3) as i64))),
        ],
    }
}

/// Every call of a recipe that the rows have arguments for.
fn calls(rows: &Rows) -> Vec<(String, &'static Recipe, Shape, Vec<ArrayRef>)> {
    let columns = [&rows.ints, &rows.texts, &rows.doubles, &rows.arrays];
    let mut calls = Vec::new();
    for function in FUNCTIONS.iter().filter(|function| function.is_ours()) {
        for constants in [vec![], vec![ScalarValue::from(3)], vec![ScalarValue::from(false)]] {
            for arguments in [vec![0], vec![1], vec![2], vec![3], vec![2, 2], vec![0, 1]] {
                let args: Vec<ArrayRef> = arguments.iter().map(|at: &usize| columns[*at].clone()).collect();
                let types = args.iter().map(|arg| arg.data_type().clone());
                let types: Vec<DataType> = types.chain(constants.iter().map(ScalarValue::data_type)).collect();
                let Ok(found) = chosen(function, &types) else { continue };
                let compute = found.variant.kernel;
                let Some(recipe) = compute.recipe.filter(|_| compute.constants == constants.len()) else { continue };
                let takes = found.takes[..args.len()].to_vec();
                let args = args.iter().zip(&takes).map(|(arg, ty)| arrow::compute::cast(arg, ty).expect("a cast"));
                let address = rows.address.iter().filter(|_| recipe.order != Order::Any).cloned();
                let columns = args.chain(address).collect();
                let name = format!("{}({types:?})", function.name);
                let (constants, returns) = (constants.clone(), found.returns);
                let shape = Shape {
                    takes,
                    constants,
                    returns,
                    positions: 1,
                    sliding: false,
                    limit: usize::MAX,
                    shared: Shared::default(),
                };
                calls.push((name, recipe, shape, columns));
            }
        }
    }
    calls
}

fn some(columns: &[ArrayRef], rows: &[usize]) -> Vec<ArrayRef> {
    let rows: UInt32Array = rows.iter().map(|row| Some(*row as u32)).collect();
    columns.iter().map(|column| take(column, &rows, None).expect("rows")).collect()
}

fn make(recipe: &Recipe, shape: &Shape) -> Box<dyn Accumulator> {
    (recipe.accumulator)(shape).expect("an accumulator")
}

fn close(one: &ScalarValue, other: &ScalarValue) -> bool {
    match (one, other) {
        (ScalarValue::Float64(Some(one)), ScalarValue::Float64(Some(other))) => (one - other).abs() < 1e-9,
        (ScalarValue::Map(one), ScalarValue::Map(other)) => {
            let entries = |map: &Arc<MapArray>| in_one_form(&(map.clone() as ArrayRef)).expect("a map");
            entries(one) == entries(other)
        }
        _ => one == other,
    }
}

#[test]
fn pieces_merge_to_the_same_in_any_order() {
    let rows = rows();
    let all: Vec<usize> = (0..ROWS).collect();
    let calls = calls(&rows);
    assert!(calls.len() > 40, "{} calls", calls.len());
    for (name, recipe, shape, columns) in calls {
        let mut whole = make(recipe, &shape);
        whole.update_batch(&some(&columns, &all)).expect("rows are added");
        let expected = whole.evaluate().expect("a value");
        for pieces in 2..6 {
            let mut merged = make(recipe, &shape);
            for piece in (0..pieces).rev() {
                let mut part = make(recipe, &shape);
                for batch in
                    all.iter().copied().filter(|row| row * row % pieces == piece).collect::<Vec<_>>().chunks(4).rev()
                {
                    part.update_batch(&some(&columns, batch)).expect("rows are added");
                }
                let states: Vec<ArrayRef> =
                    part.state().expect("a state").iter().map(|state| state.to_array().expect("a column")).collect();
                let types: Vec<DataType> = states.iter().map(|state| state.data_type().clone()).collect();
                assert_eq!(types, (recipe.state)(&shape), "{name}: the types of the state");
                merged.merge_batch(&states).expect("states merge");
            }
            let found = merged.evaluate().expect("a value");
            assert!(close(&found, &expected), "{name} in {pieces} pieces: {found} and not {expected}");
            assert_eq!(found.data_type(), shape.returns, "{name}");
            assert!(merged.size() > 0);
        }
    }
}

#[test]
fn rows_that_are_taken_back_leave_nothing_behind() {
    let rows = rows();
    let (gone, stay): (Vec<usize>, Vec<usize>) = (0..ROWS).partition(|row| *row < 25);
    for (name, recipe, shape, columns) in calls(&rows).into_iter().filter(|(_, recipe, ..)| recipe.retracts) {
        let shape = Shape { sliding: true, ..shape };
        let mut expected = make(recipe, &shape);
        expected.update_batch(&some(&columns, &stay)).expect("rows are added");
        let mut found = make(recipe, &shape);
        assert!(found.supports_retract_batch(), "{name}");
        found.update_batch(&columns).expect("rows are added");
        found.retract_batch(&some(&columns, &gone)).expect("rows are taken back");
        let (found, expected) = (found.evaluate().expect("a value"), expected.evaluate().expect("a value"));
        assert!(close(&found, &expected), "{name}: {found} and not {expected}");
    }
}

#[test]
fn means_of_large_values_keep_their_digits() {
    let large = |values: &[f64]| -> ArrayRef {
        Arc::new(arrow::array::PrimitiveArray::<Float64Type>::from_iter_values(values.iter().map(|v| v + 1e9)))
    };
    let shape = |takes: usize| Shape {
        takes: vec![DataType::Float64; takes],
        constants: Vec::new(),
        returns: DataType::Float64,
        positions: 0,
        sliding: false,
        limit: usize::MAX,
        shared: Shared::default(),
    };
    let mut deviation = make(&super::deviation::DEVIATION, &shape(1));
    deviation.update_batch(&[large(&[2.0, 4.0, 6.0])]).expect("rows are added");
    assert_eq!(deviation.evaluate().expect("a value"), ScalarValue::from(2.0));
    let mut correlation = make(&super::correlation::CORRELATION, &shape(2));
    correlation.update_batch(&[large(&[1.0, 2.0, 3.0]), large(&[6.0, 4.0, 2.0])]).expect("rows are added");
    assert_eq!(correlation.evaluate().expect("a value"), ScalarValue::from(-1.0));
}
