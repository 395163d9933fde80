//! Functions that return several rows for one. Several of them in one SELECT are zipped by position.
//!
//! A table function is run as a scalar function that returns an array of rows. Bounded queries unnest it with
//! DataFusion, continuous queries with our own operator. It is registered under a name that users cannot write.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use sqlparser::ast::{Expr, Ident, ObjectName};

use super::call::{Call, item_field, offsets};
use super::signature::Category::Table;
use super::signature::Type::{Array as ArrayOf, Decimal};
use super::signature::{ARRAY_T, Function, T, Variant, p};

/// The prefix of the names of table functions that are run as scalar functions.
pub const ROWS_OF: &str = "headwater_rows_of_";

/// The maximum length of an array for CUBE_EXPLODE; each element doubles the number of rows.
const CUBE_MAX: usize = 20;

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "EXPLODE",
        Table,
        "Returns one row for each element of an array, and none if the array is NULL or empty.",
        &[
            Variant::new(&[p("array", ArrayOf(&Decimal))], T, explode).giving(item_of),
            Variant::new(&[p("array", ARRAY_T)], T, explode),
        ],
        &[],
    ),
    Function::new(
        "CUBE_EXPLODE",
        Table,
        "Returns one row for each combination of elements of an array replaced by NULL, from none to all of them. The array has at most 20 elements.",
        &[Variant::new(&[p("array", ARRAY_T)], ARRAY_T, cube)],
        &[],
    ),
];

fn item_of(types: &[DataType]) -> DataType {
    match types {
        [DataType::List(item)] => item.data_type().clone(),
        _ => DataType::Null,
    }
}

/// The table function of a name in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// True for the name of a table function, in any case.
pub fn is_table_function(name: &str) -> bool {
    find(name).is_some()
}

/// True for a call of a table function.
pub fn is_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if is_table_function(&function.name.to_string()))
}

/// Converts a call of a table function to the scalar call that returns its rows; other expressions are unchanged.
pub fn rows_of(mut expr: Expr) -> Expr {
    if let Expr::Function(function) = &mut expr
        && let Some(table) = find(&function.name.to_string())
    {
        function.name = ObjectName::from(vec![Ident::new(format!("{ROWS_OF}{}", table.name.to_lowercase()))]);
    }
    expr
}

fn explode(call: &Call<'_>) -> Result<ArrayRef> {
    call.array(0)
}

fn cube(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let values = lists.array().values();
    let (mut taken, mut inner): (Vec<Option<u32>>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut outer, mut valid) = (Vec::with_capacity(call.rows()), Vec::with_capacity(call.rows()));
    for row in 0..call.rows() {
        let range = lists.range(row);
        valid.push(range.is_some());
        let before = inner.len();
        let write = || {
            let Some(range) = range.filter(|range| !range.is_empty()) else { return Ok(Some(())) };
            let width = range.len();
            if width > CUBE_MAX {
                return Err(format!("the array has {width} elements; at most {CUBE_MAX} are allowed"));
            }
            // The last element is the lowest bit of a mask. One that is NULL is not replaced by itself.
            let at = |bit: usize| range.end - 1 - bit;
            let nulls: u32 = (0..width).filter(|bit| values.is_null(at(*bit))).map(|bit| 1 << bit).sum();
            for mask in (0..1_u32 << width).filter(|mask| mask & nulls == 0) {
                taken.extend((0..width).rev().map(|bit| (mask >> bit & 1 == 1).then(|| at(bit) as u32)));
                inner.push(width);
            }
            Ok(Some(()))
        };
        let written = write();
        call.settle(written);
        outer.push(inner.len() - before);
    }
    let rows_field = item_field(call.returns())?;
    let items = take(values, &UInt32Array::from(taken), None)?;
    let rows = ListArray::try_new(item_field(rows_field.data_type())?, offsets(inner)?, items, None)?;
    Ok(Arc::new(ListArray::try_new(rows_field, offsets(outer)?, Arc::new(rows), Some(valid.into()))?))
}
