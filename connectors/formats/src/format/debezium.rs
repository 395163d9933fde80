//! Change events of Debezium: the row of a table is in the field `after` of its event, and deletes have the operation `d`.
//!
//! ```text
//! value  {"before": {…}, "after": {"ID": 7, …}, "op": "u", …}       → the fields of `after`; absent for a delete
//! key    {"ID": 7}                                              → its fields, or a STRUCT of them
//! either may be in {"schema": {…}, "payload": …}, as Kafka Connect's JSON converter writes by default
//! ```
//!
//! In JSON a TIMESTAMP and a TIME are also read from texts in ISO 8601 with an offset: that is how Debezium writes times
//! with a zone.
//!
//! Apart from the formats, because an envelope is read the same way whatever it is written in. Semantics: Debezium's documentation
//! of change events; `r` (snapshot), `c` and `u` have a row, `d` has none, `t` (truncate) and `m` (message) belong to no row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Fields};

use super::inferred::nullable;
use super::kind::FormatError;
use super::{BadRow, Decoded, Decoder, Layout};
use crate::schema::{Schema, SchemaId};

/// What is around the fields of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Nothing.
    #[default]
    Bare,
    /// A change event of Debezium.
    Debezium,
    /// The key of a change event of Debezium.
    DebeziumKey,
}

const AFTER: &str = "AFTER";
const OP: &str = "OP";
const PAYLOAD: &str = "PAYLOAD";

/// Reads change events, or their keys, by a decoder of what is in them.
pub(super) struct DebeziumDecoder {
    inner: Box<dyn Decoder>,
    /// The positions of the requested fields among those of a row.
    projection: Vec<usize>,
    key: Option<KeyForm>,
    /// Whether the event may be in a `payload`.
    has_payload: bool,
}

/// What becomes of the fields of a key.
enum KeyForm {
    /// Each is a column.
    Columns,
    /// All of them are the only column, a STRUCT.
    Struct(Fields),
}

impl KeyForm {
    fn of(layout: &Layout) -> Option<Self> {
        match &layout.fields[..] {
            _ if layout.envelope != Envelope::DebeziumKey => None,
            [only] => match only.data_type() {
                DataType::Struct(fields) => Some(Self::Struct(fields.clone())),
                _ => Some(Self::Columns),
            },
            _ => Some(Self::Columns),
        }
    }
}

impl DebeziumDecoder {
    /// A decoder of rows with this layout, over the decoder that `make` makes for a layout and all of its fields.
    pub(super) fn try_new(
        layout: &Layout,
        projection: &[usize],
        make: impl FnOnce(&Layout, &[usize]) -> Result<Box<dyn Decoder>, FormatError>,
    ) -> Result<Self, FormatError> {
        if let Some(missing) = projection.iter().find(|field| **field >= layout.fields.len()) {
            return Err(FormatError::projection(*missing));
        }
        let key = KeyForm::of(layout);
        let mut fields = match &key {
            Some(KeyForm::Struct(fields)) => fields.to_vec(),
            Some(KeyForm::Columns) => layout.fields.clone(),
            None => {
                let row = DataType::Struct(layout.fields.iter().cloned().collect());
                vec![nullable(AFTER, row), nullable(OP, DataType::Utf8)]
            }
        };
        let has_payload = !fields.iter().any(|field| field.name().eq_ignore_ascii_case(PAYLOAD));
        if has_payload {
            fields.push(nullable(PAYLOAD, DataType::Struct(fields.iter().cloned().collect())));
        }
        let all: Vec<usize> = (0..fields.len()).collect();
        let inner = Layout { fields, wrapped: true, envelope: Envelope::Bare, ..layout.clone() };
        Ok(Self { inner: make(&inner, &all)?, projection: projection.to_vec(), key, has_payload })
    }

    /// The fields around a row, from within the payload where there is one.
    fn opened(&self, mut columns: Vec<ArrayRef>) -> Vec<ArrayRef> {
        let payload = if self.has_payload { columns.pop() } else { None };
        let Some(payload) = payload.filter(|payload| payload.null_count() < payload.len()) else { return columns };
        let within: &StructArray = payload.as_struct();
        let is_within = mask(payload.len(), |row| payload.is_valid(row));
        let both = columns.iter().zip(within.columns());
        both.map(|(outer, inner)| zip(&is_within, inner, outer).unwrap_or_else(|_| outer.clone())).collect()
    }
}

impl Decoder for DebeziumDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let Decoded { columns, bad, absent } = self.inner.decode(payloads);
        let columns = self.opened(columns);
        if let Some(form) = &self.key {
            return form.decoded(payloads, Decoded { columns, bad, absent }, &self.projection);
        }
        let (after, ops) = (columns[0].as_struct(), columns[1].as_string::<i32>());
        let is_event = |row: usize| {
            payloads.is_valid(row)
                && bad.binary_search_by_key(&row, |bad| bad.row).is_err()
                && absent.binary_search(&row).is_err()
        };
        let (mut wrong, mut deleted) = (Vec::new(), Vec::new());
        for row in (0..payloads.len()).filter(|row| is_event(*row)) {
            match ops.is_valid(row).then(|| ops.value(row)) {
                Some("d") => deleted.push(row),
                Some("c" | "r" | "u") if after.is_valid(row) => {}
                op => wrong.push(BadRow { row, reason: reason(op) }),
            }
        }
        let mut gone: Vec<usize> = wrong.iter().map(|bad| bad.row).chain(deleted.iter().copied()).collect();
        gone.sort_unstable();
        let columns = self.projection.iter().map(|field| after.column(*field)).map(|column| without(column, &gone));
        Decoded {
            columns: columns.collect(),
            bad: merged(bad, wrong, |bad| bad.row),
            absent: merged(absent, deleted, |row| *row),
        }
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        self.inner.missing_schemas(payloads)
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        self.inner.learn(id, schema);
    }
}

impl KeyForm {
    /// The requested columns of keys with these fields. A key without any of them is bad: what tells rows apart would be missing.
    fn decoded(&self, payloads: &BinaryArray, fields: Decoded, projection: &[usize]) -> Decoded {
        let Decoded { columns, bad, absent } = fields;
        let is_key = |row: usize| payloads.is_valid(row) && bad.binary_search_by_key(&row, |bad| bad.row).is_err();
        let is_empty = |row: usize| columns.iter().all(|column| column.is_null(row));
        let empty = (0..payloads.len()).filter(|row| is_key(*row) && is_empty(*row));
        let reason = "the key of the change event has no field with the name of a key column";
        let empty: Vec<_> = empty.map(|row| BadRow { row, reason: reason.to_owned() }).collect();
        let bad = merged(bad, empty, |bad| bad.row);
        let columns = match self {
            Self::Columns => projection.iter().map(|field| columns[*field].clone()).collect(),
            Self::Struct(fields) => {
                let is_there = |row| payloads.is_valid(row) && bad.binary_search_by_key(&row, |bad| bad.row).is_err();
                let there: NullBuffer = (0..payloads.len()).map(is_there).collect();
                let whole: ArrayRef = Arc::new(StructArray::new(fields.clone(), columns, Some(there)));
                projection.iter().map(|_| whole.clone()).collect()
            }
        };
        Decoded { columns, bad, absent }
    }
}

fn reason(op: Option<&str>) -> String {
    match op {
        Some(op @ ("c" | "r" | "u")) => format!("the change event has the operation \"{op}\", but no row in \"after\""),
        Some(op) => format!("the change event has the operation \"{op}\", which belongs to no row"),
        None => "it is not a change event of Debezium: it has no \"op\"".to_owned(),
    }
}

fn mask(len: usize, is: impl Fn(usize) -> bool) -> BooleanArray {
    (0..len).map(|row| Some(is(row))).collect()
}

/// A column with null in some rows.
fn without(column: &ArrayRef, rows: &[usize]) -> ArrayRef {
    if rows.is_empty() {
        return column.clone();
    }
    let gone = mask(column.len(), |row| rows.binary_search(&row).is_ok());
    nullif(column, &gone).unwrap_or_else(|_| column.clone())
}

fn merged<T>(mut first: Vec<T>, second: Vec<T>, row: impl Fn(&T) -> usize) -> Vec<T> {
    first.extend(second);
    first.sort_by_key(row);
    first
}

#[cfg(test)]
mod tests {
    use super::super::FormatKind;
    use super::super::testing::{TIME, TIMESTAMP, decode as decode_one, show};
    use super::*;
    use crate::schema::{SchemaKind, WriterSchema};

    fn layout(envelope: Envelope) -> Layout {
        Layout { envelope, ..Layout::of(vec![nullable("ID", DataType::Int32), nullable("NAME", DataType::Utf8)]) }
    }

    fn decode(envelope: Envelope, payloads: &[Option<&str>]) -> Decoded {
        let payloads: BinaryArray = payloads.iter().map(|payload| payload.map(str::as_bytes)).collect();
        let mut decoder = FormatKind::Json.decoder(&layout(envelope), &[1, 0]).expect("JSON holds it");
        decoder.decode(&payloads)
    }

    #[test]
    fn events_are_rows_and_deletes() {
        let decoded = decode(
            Envelope::Debezium,
            &[
                Some(r#"{"before": null, "after": {"id": 1, "name": "a"}, "op": "c", "source": {"db": "x"}}"#),
                Some(r#"{"schema": {"type": "struct"}, "payload": {"after": {"id": 2, "name": "b"}, "op": "u"}}"#),
                Some(r#"{"before": {"id": 1, "name": "a"}, "after": null, "op": "d"}"#),
                None,
                Some(r#"{"payload": {"before": {"id": 2}, "op": "d"}}"#),
                Some(r#"{"op": "t"}"#),
                Some(r#"{"id": 3}"#),
                Some(r#"{"after": {"id": "x"}, "op": "c"}"#),
            ],
        );
        let rows: Vec<_> =
            (0..8).map(|row| decoded.columns.iter().map(|c| show(c, row)).collect::<Vec<_>>().join(" ")).collect();
        let none = "null null";
        assert_eq!(rows, ["a 1", "b 2", none, none, none, none, none, none]);
        assert_eq!(decoded.absent, [2, 4]);
        let bad: Vec<_> = decoded.bad.iter().map(|bad| bad.row).collect();
        assert_eq!(bad, [5, 6, 7]);
        assert_eq!(decoded.bad[0].reason, "the change event has the operation \"t\", which belongs to no row");
    }

    /// Elsewhere JSON has numbers for times.
    #[test]
    fn times_with_a_zone_are_read_from_texts() {
        let fields = vec![nullable("TS", TIMESTAMP), nullable("T", TIME), nullable("N", DataType::Int32)];
        let bare = Layout::of(fields);
        let text = r#"{"type": "object"}"#;
        let schema = Arc::new(Schema { kind: SchemaKind::Json, text: text.into(), references: Vec::new() });
        let writer = Arc::new(WriterSchema { id: None, schema, full_name: None });
        let times = r#"{"ts": "2024-02-29T10:11:12.123456+02:00", "t": "01:00:00+02:00", "n": 1}"#;
        let refused = "$.AFTER.TS: the text is not a timestamp in ISO 8601 with an offset (byte 17)";
        for format in [FormatKind::Json, FormatKind::JsonSr] {
            let layout = Layout { schema: Some(writer.clone()), ..bare.clone() };
            let events = Layout { envelope: Envelope::Debezium, ..layout.clone() };
            for (json, row) in [
                (times, Ok("2024-02-29T08:11:12.123 23:00:00 1")),
                (r#"{"ts": 5, "t": "5"}"#, Ok("1970-01-01T00:00:00.005 00:00:00.005 null")),
                (r#"{"ts": "soon"}"#, Err(refused)),
                (r#"{"n": "x"}"#, Err("$.AFTER.N: the text is not a valid INT (byte 16)")),
            ] {
                let event = format!("{{\"after\": {json}, \"op\": \"c\"}}");
                let found = decode_one(format, &events, &[0, 1, 2], event.as_bytes());
                assert_eq!(found, row.map(str::to_owned).map_err(str::to_owned), "{format} {json}");
                let bad = decode_one(format, &events, &[], event.as_bytes()).err();
                assert_eq!(bad, found.err(), "what is bad does not depend on the columns");
            }
            let reason = "$.TS: the text is not a number of milliseconds (byte 7)";
            assert_eq!(decode_one(format, &layout, &[0], times.as_bytes()), Err(reason.to_owned()));
        }
    }

    #[test]
    fn keys_are_read_with_and_without_their_schema() {
        let keys = [Some(r#"{"id": 1, "name": "a"}"#), Some(r#"{"schema": {}, "payload": {"id": 2, "name": "b"}}"#)];
        let decoded = decode(Envelope::DebeziumKey, &keys);
        let rows: Vec<_> = (0..2).map(|row| show(&decoded.columns[1], row)).collect();
        assert_eq!(rows, ["1", "2"]);
        assert_eq!(decoded.bad, []);
    }

    /// ksqlDB's way of declaring such a key.
    #[test]
    fn a_key_may_be_a_struct_of_its_fields() {
        let id = vec![nullable("ID", DataType::Int32)];
        let key = vec![nullable("K", DataType::Struct(id.into()))];
        let layout = Layout { envelope: Envelope::DebeziumKey, ..Layout::of(key) };
        let keys = [Some(r#"{"id": 1}"#), None, Some(r#"{"payload": {"id": 2}}"#), Some(r#"{"no": 3}"#), Some("7")];
        let payloads: BinaryArray = keys.iter().map(|payload| payload.map(str::as_bytes)).collect();
        let decoded = FormatKind::Json.decoder(&layout, &[0]).expect("JSON holds it").decode(&payloads);
        let rows: Vec<_> = (0..5).map(|row| show(&decoded.columns[0], row)).collect();
        assert_eq!(rows, ["{ID: 1}", "null", "{ID: 2}", "null", "null"]);
        assert_eq!(decoded.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_key_without_its_columns_is_bad() {
        let decoded =
            decode(Envelope::DebeziumKey, &[Some(r#"{"key": 1}"#), None, Some(r#"{"id": null, "name": "a"}"#)]);
        let reason = "the key of the change event has no field with the name of a key column";
        assert_eq!(decoded.bad, [BadRow { row: 0, reason: reason.to_owned() }]);
    }
}
