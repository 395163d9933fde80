//! ARRAY_JOIN.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use headwater_language::types::type_name;

use crate::call::Call;
use crate::to_text;

/// ARRAY_JOIN.
pub fn join(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let delimiters = (call.len() > 1).then(|| call.texts(1));
    let values = lists.array().values();
    let plain = matches!(
        values.data_type(),
        DataType::Boolean | DataType::Int32 | DataType::Int64 | DataType::Float64 | DataType::Utf8 | DataType::Null
    ) || values.data_type().is_decimal();
    call.each_text(|row, out| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        if !plain {
            return Err(format!("elements of type {} cannot be joined", type_name(values.data_type())));
        }
        let delimiter = delimiters.as_ref().map_or(",", |delimiters| delimiters.value(row));
        let start = range.start;
        for at in range {
            out.push_str(if at > start { delimiter } else { "" });
            match values.is_null(at) || *values.data_type() == DataType::Null {
                true => out.push_str("null"),
                false => to_text::write(values.as_ref(), at, out)?,
            }
        }
        Ok(Some(()))
    })
}
