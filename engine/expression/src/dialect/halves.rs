//! Finds the rows for which an expression fails: the whole batch is tried first, then its halves.

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;

/// The value of each row, where `whole` computes the values of several rows at once. A row for which it fails on its
/// own is NULL of type `data_type`, and `failed` is called with its index. Fails only if `whole` returns arrays of
/// different types.
pub fn by_halves(
    rows: &RecordBatch,
    data_type: &DataType,
    whole: &dyn Fn(&RecordBatch) -> Result<ArrayRef>,
    failed: &mut dyn FnMut(usize, &DataFusionError),
) -> Result<ArrayRef> {
    match whole(rows) {
        Ok(values) => Ok(values),
        Err(_) if rows.num_rows() > 1 => {
            let middle = rows.num_rows() / 2;
            let first = by_halves(&rows.slice(0, middle), data_type, whole, failed)?;
            let rest = rows.slice(middle, rows.num_rows() - middle);
            let second = by_halves(&rest, data_type, whole, &mut |row, error| failed(middle + row, error))?;
            Ok(concat(&[first.as_ref(), second.as_ref()])?)
        }
        Err(error) => {
            (0..rows.num_rows()).for_each(|row| failed(row, &error));
            Ok(new_null_array(data_type, rows.num_rows()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::{Field, Int32Type, Schema};

    use super::*;

    #[test]
    fn only_the_rows_that_fail_are_null_and_told() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)]));
        let column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..11));
        let rows = RecordBatch::try_new(schema, vec![column]).expect("one column");
        let whole = |rows: &RecordBatch| {
            let values = rows.column(0).as_primitive::<Int32Type>();
            match values.values().iter().any(|value| [0, 4, 10].contains(value)) {
                true => Err(DataFusionError::Execution("bad".to_owned())),
                false => Ok(rows.column(0).clone()),
            }
        };
        let mut failed = Vec::new();
        let found = by_halves(&rows, &DataType::Int32, &whole, &mut |row, _| failed.push(row)).expect("one type");
        assert_eq!(failed, [0, 4, 10]);
        let wanted: Int32Array = (0..11).map(|row| (!failed.contains(&(row as usize))).then_some(row)).collect();
        assert_eq!(found.as_primitive::<Int32Type>(), &wanted);
        let none = by_halves(&rows.slice(0, 0), &DataType::Int32, &whole, &mut |_, _| {}).expect("one type");
        assert!(none.is_empty());
    }
}
