//! The positions of array elements that become rows: 1, 2, 3 up to the length of the longest array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The positions of the elements of these arrays, as an array.
pub fn ordinals(arrays: Vec<Expr>) -> Expr {
    ScalarUDF::from(Ordinals { signature: Signature::variadic_any(Volatility::Immutable) }).call(arrays)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ordinals {
    signature: Signature,
}

impl ScalarUDFImpl for Ordinals {
    fn name(&self) -> &'static str {
        "headwater_ordinals"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(item())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let longest = |row: usize| arrays.iter().map(|array| length(array, row)).max().unwrap_or(0);
        let lengths: Vec<usize> = (0..rows).map(longest).collect();
        let places = lengths.iter().flat_map(|length| 1..=i64::try_from(*length).unwrap_or(i64::MAX));
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(places));
        let lists = ListArray::try_new(Arc::new(item()), OffsetBuffer::from_lengths(lengths), places, None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

fn item() -> Field {
    Field::new_list_field(DataType::Int64, true)
}

/// The number of elements in the longest array of a row.
fn length(arrays: &ArrayRef, row: usize) -> usize {
    if arrays.is_null(row) {
        return 0;
    }
    match arrays.data_type() {
        DataType::List(_) => usize::try_from(arrays.as_list::<i32>().value_length(row)).unwrap_or(0),
        DataType::LargeList(_) => usize::try_from(arrays.as_list::<i64>().value_length(row)).unwrap_or(0),
        DataType::FixedSizeList(_, length) => usize::try_from(*length).unwrap_or(0),
        _ => 0,
    }
}
