//! JSON_ARRAY_CONTAINS, with one loop for each type of value.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;

use super::scan::{Json, Kind};
use crate::call::Call;

/// JSON_ARRAY_CONTAINS.
pub fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    match call.type_of(1) {
        DataType::Int32 | DataType::Int64 => integer(call),
        DataType::Utf8 => text(call),
        DataType::Boolean => flag(call),
        ty if ty.is_floating() || ty.is_decimal() => number(call),
        _ => each(call, |_, _| false),
    }
}

/// Whether an array contains an INT or BIGINT.
fn integer(call: &Call<'_>) -> Result<ArrayRef> {
    let values = cast(&call.array(1)?, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    each(call, |row, json| json.kind() == Kind::Integer && json.raw().parse() == Ok(values.value(row)))
}

/// Whether an array contains a DOUBLE or DECIMAL.
fn number(call: &Call<'_>) -> Result<ArrayRef> {
    let values = cast(&call.array(1)?, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    each(call, |row, json| json.kind() == Kind::Number && json.raw().parse() == Ok(values.value(row)))
}

/// Whether an array contains a STRING.
fn text(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.texts(1);
    let mut text = String::new();
    each(call, |row, json| {
        text.clear();
        json.write_text(&mut text);
        json.kind() == Kind::Text && text == values.value(row)
    })
}

/// Whether an array contains a BOOLEAN.
fn flag(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.flags(1);
    each(call, |row, json| json.raw() == if values.value(row) { "true" } else { "false" })
}

fn each(call: &Call<'_>, mut is: impl FnMut(usize, Json<'_>) -> bool) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let nulls = call.array(1)?.logical_nulls();
    call.each_flag(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let Some(json) = Json::parse(text).ok().flatten().filter(|json| json.kind() == Kind::Array) else {
            return Ok(Some(false));
        };
        let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let mut found = false;
        json.items(|item| found = found || if null { item.kind() == Kind::Null } else { is(row, item) });
        Ok(Some(found))
    })
}
