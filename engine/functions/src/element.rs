//! `container[index]`: an element of an array, counted from 1, or the value of a key in a map.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The name under which subscripts are planned.
pub const ELEMENT: &str = "headwater_element";

/// `array[i]` and `map[k]`. A negative index counts from the end. The result is null for index 0, an index out of
/// range, a missing key and a null container. The semantics are ksqlDB's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Element {
    signature: Signature,
}

impl Default for Element {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Element {
    fn name(&self) -> &'static str {
        ELEMENT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match &types[0] {
            DataType::List(item) if types[1].is_integer() => Ok(item.data_type().clone()),
            DataType::List(_) => plan_err!("an array is indexed by a whole number, not by {}", types[1]),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Ok(fields[1].data_type().clone()),
                other => plan_err!("a map without keys and values: {other}"),
            },
            other => plan_err!("only arrays and maps have elements, not {other}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let element = match arrays[0].data_type() {
            DataType::List(_) => array_element(arrays[0].as_list(), &arrays[1])?,
            DataType::Map(..) => map_value(arrays[0].as_map(), &arrays[1])?,
            other => return exec_err!("only arrays and maps have elements, not {other}"),
        };
        Ok(ColumnarValue::Array(element))
    }
}

fn array_element(lists: &ListArray, indices: &ArrayRef) -> Result<ArrayRef> {
    let indices = cast(indices, &DataType::Int64)?;
    let indices = indices.as_primitive::<Int64Type>();
    let place = |row: usize| {
        let (start, len) = (lists.value_offsets()[row], lists.value_length(row));
        let valid = lists.is_valid(row) && indices.is_valid(row);
        let at = match indices.value(row) {
            _ if !valid => return None,
            index if index > 0 => index - 1,
            index if index < 0 => i64::from(len) + index,
            _ => return None,
        };
        (0..i64::from(len)).contains(&at).then(|| u32::try_from(i64::from(start) + at).ok()).flatten()
    };
    let places: UInt32Array = (0..lists.len()).map(place).collect();
    Ok(take(lists.values(), &places, None)?)
}

fn map_value(maps: &MapArray, keys: &ArrayRef) -> Result<ArrayRef> {
    let keys = cast(keys, maps.keys().data_type())?;
    let same = make_comparator(maps.keys(), &keys, SortOptions::default())?;
    let place = |row: usize| {
        if maps.is_null(row) || keys.is_null(row) {
            return None;
        }
        let bounds = maps.value_offsets();
        (bounds[row]..bounds[row + 1])
            .filter_map(|at| u32::try_from(at).ok())
            .rfind(|at| same(*at as usize, row).is_eq())
    };
    let places: UInt32Array = (0..maps.len()).map(place).collect();
    Ok(take(maps.values(), &places, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int32Builder, Int64Array, MapBuilder, StringArray, StringBuilder};

    #[test]
    fn an_array_counts_from_one_and_from_the_end() {
        let row = Some(vec![Some(10), Some(20), Some(30)]);
        let lists = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(vec![
            row.clone(),
            row.clone(),
            row.clone(),
            row,
            None,
        ]);
        let indices: ArrayRef = Arc::new(Int64Array::from(vec![1, -1, 0, 4, 1]));
        let found = array_element(&lists, &indices).unwrap();
        let expected: ArrayRef = Arc::new(Int32Array::from(vec![Some(10), Some(30), None, None, None]));
        assert_eq!(&found, &expected);
    }

    #[test]
    fn a_map_gives_the_value_of_a_key() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("a");
        maps.values().append_value(1);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "a"]));
        let found = map_value(&maps.finish(), &keys).unwrap();
        let expected: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        assert_eq!(&found, &expected);
    }
}
