//! Small batches for the tests of this module.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int32Builder,
    Int64Array, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray, Time32MillisecondArray,
    TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::{Fit, Output, RowWriter};

/// A row with a value of every type, and a row of nulls.
pub fn every_type() -> RecordBatch {
    let fields = Fields::from(vec![Field::new("F0", DataType::Int32, true), Field::new("F1", DataType::Utf8, true)]);
    let inner: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["x", "y"]))];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("B", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("I", Arc::new(Int32Array::from(vec![Some(-7), None]))),
        ("L", Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None]))),
        ("D", Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        ("P", Arc::new(Decimal128Array::from(vec![Some(12_340), None]).with_precision_and_scale(10, 3).unwrap())),
        ("S", Arc::new(StringArray::from(vec![Some("a \"b\"\n\\"), None]))),
        ("Y", Arc::new(BinaryArray::from(vec![Some(&[1u8, 2, 255][..]), None]))),
        ("DA", Arc::new(Date32Array::from(vec![Some(18_394), None]))),
        ("TI", Arc::new(Time32MillisecondArray::from(vec![Some(75_600_000), None]))),
        ("TS", Arc::new(TimestampMillisecondArray::from(vec![Some(1_589_317_200_000), None]))),
        ("A", array()),
        ("M", map()),
        ("R", Arc::new(StructArray::new(fields, inner, Some(NullBuffer::from(vec![true, false]))))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn array() -> ArrayRef {
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None, Some(3)]);
    list.append_null();
    Arc::new(list.finish())
}

fn map() -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    Arc::new(map.finish())
}

/// Rows of a string and a number.
pub fn pairs(rows: &[(&str, Option<i64>)]) -> RecordBatch {
    let names = StringArray::from_iter_values(rows.iter().map(|(name, _)| *name));
    let numbers = Int64Array::from_iter(rows.iter().map(|(_, number)| *number));
    RecordBatch::try_new(pairs_schema(), vec![Arc::new(names), Arc::new(numbers)]).unwrap()
}

/// The columns of [`pairs`].
pub fn pairs_schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("NAME", DataType::Utf8, true), Field::new("N", DataType::Int64, true)]))
}

/// One column of doubles named `D`.
pub fn doubles(values: &[f64]) -> RecordBatch {
    RecordBatch::try_from_iter([("D", Arc::new(Float64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
}

/// One column of strings.
pub fn strings(name: &str, values: &[Option<&str>]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

/// The text of batches in a format, without a limit on the width.
pub fn written(output: Output, batches: &[RecordBatch]) -> String {
    written_by(&mut *output.writer(Fit { width: None, wrap: true, column_width: None }), batches)
}

/// The text that a writer produces from batches; without batches, from no rows of [`pairs`].
pub fn written_by(writer: &mut dyn RowWriter, batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    let schema = batches.first().map_or_else(pairs_schema, RecordBatch::schema);
    writer.begin(&schema, &mut out).unwrap();
    for batch in batches {
        writer.batch(batch, &mut out).unwrap();
    }
    writer.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
