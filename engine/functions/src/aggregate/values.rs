//! Values of any type as bytes, which compare in the same way as the values, and lists in the state of an aggregate.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};

use crate::call::item_field;
use crate::choice::list_of;
use crate::one_form::{in_one_form, in_order};

/// One value as bytes.
pub type Bytes = Box<[u8]>;

/// Converts the values of some columns to bytes and back.
#[derive(Debug)]
pub struct Codec {
    converter: RowConverter,
    types: Vec<DataType>,
}

impl Codec {
    /// A converter for rows of these types.
    pub fn new(types: &[DataType]) -> Result<Self> {
        let fields = types.iter().map(|ty| SortField::new(ty.clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, types: types.to_vec() })
    }

    /// Each row as bytes.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }

    /// Each row as bytes that sort in the same way as the values.
    pub fn encode_ordered(&self, column: &ArrayRef) -> Result<Rows> {
        self.encode(&[in_order(column)])
    }

    /// Each row as bytes that sort in the same way as the values and are the same if the values are equal.
    pub fn encode_equal(&self, column: &ArrayRef) -> Result<Rows> {
        self.encode(&[in_one_form(column)?])
    }

    /// Converts bytes back to columns.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let rows: Vec<_> = rows.into_iter().map(|bytes| parser.parse(bytes)).collect();
        match rows.is_empty() {
            true => Ok(self.types.iter().map(new_empty_array).collect()),
            false => Ok(self.converter.convert_rows(rows)?),
        }
    }

    /// Converts bytes back to the only column.
    pub fn decode_one<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<ArrayRef> {
        self.decode(rows)?.pop().ok_or_else(|| exec_datafusion_err!("a value has a column"))
    }
}

/// An array of this type as one value.
pub fn list(values: ArrayRef, ty: &DataType) -> Result<ScalarValue> {
    let lists = ListArray::try_new(item_field(ty)?, OffsetBuffer::from_lengths([values.len()]), values, None)?;
    Ok(ScalarValue::List(Arc::new(lists)))
}

/// Values as a column of a state.
pub fn saved(values: ArrayRef) -> Result<ScalarValue> {
    let ty = list_of(values.data_type().clone());
    list(values, &ty)
}

/// Whole numbers as a column of a state.
pub fn saved_numbers(numbers: impl IntoIterator<Item = i64>) -> Result<ScalarValue> {
    saved(Arc::new(Int64Array::from_iter_values(numbers)))
}

/// The type of [`saved_numbers`].
pub fn numbers_type() -> DataType {
    list_of(DataType::Int64)
}

/// Reads the values in a state.
pub fn restored(state: &ArrayRef, row: usize) -> ArrayRef {
    state.as_list::<i32>().value(row)
}

/// Reads the whole numbers in a state.
pub fn restored_numbers(state: &ArrayRef, row: usize) -> Vec<i64> {
    restored(state, row).as_primitive::<Int64Type>().values().to_vec()
}
