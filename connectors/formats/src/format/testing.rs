//! What the tests of all formats share: types in short, one payload in, its values as text out.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{FormatKind, Layout};

pub(crate) const TIME: DataType = DataType::Time32(TimeUnit::Millisecond);
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

pub(crate) fn array(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

pub(crate) fn map(value: DataType) -> DataType {
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
}

pub(crate) fn record(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Fields>())
}

pub(crate) fn layout(fields: &[(&str, DataType)]) -> Layout {
    let fields = fields.iter().map(|(name, kind)| Arc::new(Field::new(*name, kind.clone(), true))).collect();
    Layout::of(fields)
}

/// The layout of a single column whose value is bare.
pub(crate) fn bare(kind: DataType) -> Layout {
    Layout { wrapped: false, ..layout(&[("V", kind)]) }
}

/// Decodes one payload between two others, so that a row taken back shows; the fields asked for as
/// text, or why the payload is bad.
pub(crate) fn decode(
    kind: FormatKind,
    layout: &Layout,
    projection: &[usize],
    payload: &[u8],
) -> Result<String, String> {
    let mut decoder = kind.decoder(layout, projection).unwrap();
    let decoded = decoder.decode(&BinaryArray::from(vec![Some(payload), None, Some(payload)]));
    for column in &decoded.columns {
        column.to_data().validate_full().unwrap();
        assert_eq!(column.len(), 3);
        assert!(column.is_null(1), "a null payload is a row of nulls");
    }
    let row = |row| decoded.columns.iter().map(|column| show(column, row)).collect::<Vec<_>>().join(" ");
    match decoded.bad.as_slice() {
        [] => {
            assert_eq!(row(0), row(2), "a row does not depend on its place");
            Ok(row(0))
        }
        [first, second] => {
            assert_eq!((first.row, second.row, &first.reason), (0, 2, &second.reason));
            assert!(decoded.columns.iter().all(|column| column.null_count() == 3), "a bad row is null");
            Err(first.reason.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// One value as text; `null` for null.
pub(crate) fn show(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string()
}

/// Encodes what a payload decodes to; `null` where the result is a null payload.
pub(crate) fn again(kind: FormatKind, layout: &Layout, payload: &[u8]) -> String {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let decoded = kind.decoder(layout, &all).unwrap().decode(&BinaryArray::from(vec![payload]));
    assert_eq!(decoded.bad, []);
    let encoded = kind.encoder(layout).unwrap().encode(&decoded.columns, 1, None);
    assert_eq!(encoded.bad, []);
    encoded.payloads.iter().next().flatten().map_or("null".into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}
