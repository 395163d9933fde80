//! Functions that depend on NULL.

use arrow::array::{ArrayRef, BooleanArray, make_comparator, new_null_array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{SortOptions, is_null, nullif as arrow_nullif};
use arrow::datatypes::DataType;
use datafusion::error::Result;

use super::call::Call;
use super::one_form::in_one_form;
use super::signature::Category::{Conditional, Other};
use super::signature::{Function, T, Variant, p};

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "COALESCE",
        Conditional,
        "The first value that is not NULL. All values have the same type.",
        &[Variant::new(&[p("first", T), p("others", T)], T, coalesce).variadic().sees_nulls()],
        &[("COALESCE(NULL, 'a', 'b')", "a")],
    ),
    Function::new(
        "IFNULL",
        Conditional,
        "The value, or a default if the value is NULL.",
        &[Variant::new(&[p("value", T), p("other", T)], T, coalesce).sees_nulls()],
        &[("IFNULL(CAST(NULL AS STRING), 'none')", "none")],
    ),
    Function::new(
        "NULLIF",
        Conditional,
        "NULL if the values are equal, otherwise the first value.",
        &[Variant::new(&[p("value", T), p("other", T)], T, nullif).sees_nulls()],
        &[("NULLIF('a', 'a')", "NULL"), ("NULLIF('a', 'b')", "a")],
    ),
    Function::new(
        "AS_VALUE",
        Other,
        "The value itself. Use it to copy a key column into the value of the record.",
        &[Variant::new(&[p("value", T)], T, |call| call.array(0))],
        &[("AS_VALUE('a')", "a")],
    ),
];

fn coalesce(call: &Call<'_>) -> Result<ArrayRef> {
    let mut found = call.array(0)?;
    for at in 1..call.len() {
        if found.null_count() == 0 {
            break;
        }
        found = zip(&is_null(&found)?, &call.array(at)?, &found)?;
    }
    Ok(found)
}

fn nullif(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (call.array(0)?, call.array(1)?);
    if matches!(call.returns(), DataType::Null) {
        return Ok(new_null_array(call.returns(), call.rows()));
    }
    let equal = match left.data_type() {
        // If either side is null, the result is the first one, null or not.
        DataType::Utf8 | DataType::Int32 | DataType::Int64 => eq(&left, &right)?,
        _ => {
            let same = make_comparator(&in_one_form(&left)?, &in_one_form(&right)?, SortOptions::default())?;
            (0..call.rows()).map(|row| Some(same(row, row).is_eq())).collect::<BooleanArray>()
        }
    };
    Ok(arrow_nullif(&left, &equal)?)
}
