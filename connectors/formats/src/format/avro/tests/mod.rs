//! Examples: schemas, payloads byte for byte, and what is wrong with others. Random ones are in `tests/avro.rs` of the
//! crate, beside Avro's own library.

mod columns;
mod evolution;
mod payloads;
mod schemas;
mod values;
mod writing;

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};

use super::super::testing::show;
use super::super::{Decoded, Decoder, Layout};
use super::{AvroSchema, bare_decoder};

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse_text(text).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Decodes one bare payload of a schema; the columns as text, or why the payload is bad, which must not depend on the
/// columns that are asked for.
fn decode(text: &str, layout: &Layout, payload: &[u8]) -> Result<String, String> {
    let schema = Arc::new(schema(text));
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let read = |projection: &[usize]| {
        let mut decoder = bare_decoder(layout, projection, schema.clone()).unwrap();
        row(&mut *decoder, payload)
    };
    let expected = read(&all);
    for asked in std::iter::once(vec![]).chain(all.iter().map(|field| vec![*field])) {
        let found = read(&asked);
        assert_eq!(found.as_ref().err(), expected.as_ref().err(), "columns {asked:?}");
    }
    expected
}

/// Decodes one payload between two others, so that a row taken back shows.
fn row(decoder: &mut dyn Decoder, payload: &[u8]) -> Result<String, String> {
    let decoded = decoder.decode(&BinaryArray::from(vec![Some(payload), None, Some(payload)]));
    for column in &decoded.columns {
        column.to_data().validate_full().unwrap();
        assert_eq!(column.len(), 3);
        assert!(column.is_null(1), "a null payload is a row of nulls");
    }
    match decoded.bad.as_slice() {
        [] => {
            assert_eq!(shown(&decoded, 0), shown(&decoded, 2), "a row does not depend on its place");
            Ok(shown(&decoded, 0))
        }
        [first, second] => {
            assert_eq!((first.row, second.row, &first.reason), (0, 2, &second.reason));
            assert!(decoded.columns.iter().all(|column| column.null_count() == 3), "a bad row is null");
            Err(first.reason.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn shown(decoded: &Decoded, row: usize) -> String {
    decoded.columns.iter().map(|column| show(column, row)).collect::<Vec<_>>().join(" ")
}
