//! Converts decoded records to the first chunk of a task.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, nullif};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use headwater_formats::decode::{DecodedRows, ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART};
use headwater_formats::record::RawBatch;

use super::chunk::{Before, Chunk};
use super::exchange::Received;
use super::stage::Input;

/// Decoded records as a chunk; `None` if there are no rows. Event time and offset must be among their columns.
pub fn chunk(decoded: DecodedRows, raw: &RawBatch, input: &Input) -> Result<Option<Chunk>, ArrowError> {
    let rows = decoded.rows;
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    let headers = raw.headers.as_ref().filter(|_| input.forwards_headers);
    let headers = match (headers, &decoded.kept) {
        (Some(headers), Some(kept)) => Some(filter(headers, kept)?.as_list().clone()),
        (headers, _) => headers.cloned(),
    };
    let column = |name: &str| -> Result<Int64Array, ArrowError> {
        let column = rows
            .column_by_name(name)
            .ok_or_else(|| ArrowError::SchemaError(format!("column {name} was not decoded")))?;
        Ok(column.as_primitive().clone())
    };
    let (times_ms, offsets) = (column(ROWTIME)?, column(ROWOFFSET)?);
    let windows = if input.forwards_windows { Some([column(WINDOWSTART)?, column(WINDOWEND)?]) } else { None };
    let headers = headers.filter(any_header);
    if let Some(exchange) = &input.exchange {
        let Received { rows, origins, clocks_ms, valued, before } = exchange.detach(&rows)?;
        let (origins, clocks_ms) = (Some(origins), Some(clocks_ms));
        return Ok(Some(Chunk { times_ms, offsets, headers, valued, windows, rows, before, origins, clocks_ms }));
    }
    let valued = decoded.valued;
    let rows = match &valued {
        Some(valued) => without_address(rows, valued)?,
        None => rows,
    };
    Ok(Some(Chunk { times_ms, offsets, headers, valued, windows, rows, before: None, origins: None, clocks_ms: None }))
}

/// Rows of an exchange that did not pass through its topic, as those that were decoded from its records. `first` is the offset of
/// the first one.
pub fn received(chunk: &Chunk, input: &Input, partition: i32, first: i64) -> Result<Chunk, ArrowError> {
    let missing = || ArrowError::SchemaError("rows were sent to an input that is not an exchange".to_owned());
    let exchange = input.exchange.as_ref().ok_or_else(missing)?;
    let schema = Arc::new(exchange.rows(&input.spec.schema().project(&input.projection)?));
    let offsets: Int64Array = (first..).take(chunk.len()).collect::<Vec<_>>().into();
    let rows = |of: &RecordBatch| {
        let column = |field: &FieldRef| match field.name().as_str() {
            ROWTIME => Ok(Arc::new(chunk.times_ms.clone()) as ArrayRef),
            ROWOFFSET => Ok(Arc::new(offsets.clone()) as ArrayRef),
            ROWPARTITION => Ok(Arc::new(Int32Array::from(vec![partition; chunk.len()])) as ArrayRef),
            name => of.column_by_name(name).cloned().ok_or_else(missing),
        };
        let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
        RecordBatch::try_new(schema.clone(), columns)
    };
    let before = chunk
        .before
        .as_ref()
        .map(|before| Ok::<_, ArrowError>(Before { rows: rows(&before.rows)?, valued: before.valued.clone() }));
    Ok(Chunk { rows: rows(&chunk.rows)?, before: before.transpose()?, offsets, ..chunk.clone() })
}

/// No rows, for an input that is an exchange.
pub fn nothing(input: &Input) -> Result<Chunk, ArrowError> {
    let schema = input.spec.schema().project(&input.projection)?;
    let exchange = input.exchange.as_ref();
    let schema = exchange.map_or_else(|| schema.clone(), |exchange| exchange.rows(&schema));
    let integers = || Int64Array::from(Vec::<i64>::new());
    Ok(Chunk::of_state(RecordBatch::new_empty(Arc::new(schema)), integers(), integers()))
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

/// Whether there is a header at all.
fn any_header(headers: &ListArray) -> bool {
    !headers.values().is_empty()
}
