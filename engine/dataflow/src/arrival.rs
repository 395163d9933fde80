//! Converts decoded records to the first chunk of a task.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART};

use super::chunk::Chunk;

/// Converts decoded rows, whose columns include event time and offset, to a chunk.
pub fn chunk(
    rows: RecordBatch,
    headers: Option<ListArray>,
    valued: Option<NullBuffer>,
    windowed: bool,
) -> Result<Chunk, ArrowError> {
    let column = |name: &str| -> Result<Int64Array, ArrowError> {
        let column = rows
            .column_by_name(name)
            .ok_or_else(|| ArrowError::SchemaError(format!("column {name} was not decoded")))?;
        Ok(column.as_primitive().clone())
    };
    let (times_ms, offsets) = (column(ROWTIME)?, column(ROWOFFSET)?);
    let windows = if windowed { Some([column(WINDOWSTART)?, column(WINDOWEND)?]) } else { None };
    let rows = match &valued {
        Some(valued) => without_address(rows, valued)?,
        None => rows,
    };
    Ok(Chunk { times_ms, offsets, headers, valued, windows, rows })
}

/// For a record without a value (a tombstone), expressions see only the key: the pseudo columns are NULL. Semantics:
/// ksqlDB's, whose pseudo columns are part of the value.
fn without_address(rows: RecordBatch, valued: &NullBuffer) -> Result<RecordBatch, ArrowError> {
    let valueless = BooleanArray::new(!valued.inner(), None);
    let schema = rows.schema();
    let hide = |(field, column): (&FieldRef, &ArrayRef)| match field.name().as_str() {
        ROWTIME | ROWOFFSET | ROWPARTITION => nullif(column, &valueless),
        _ => Ok(column.clone()),
    };
    let columns = schema.fields().iter().zip(rows.columns()).map(hide).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// Whether any row has headers.
pub fn any_header(headers: &ListArray) -> bool {
    !headers.values().is_empty()
}
