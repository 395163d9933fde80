//! The records of an exchange: the columns of its rows and, in columns of their own, the record of the query's input that a
//! row came from, with the stream time of its partition; for a table also the row before it changed.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME};
use headwater_language::definition::{ColumnDef, ColumnRole, SourceDef};
use headwater_language::types::SqlType;

use super::chunk::{Before, Chunk, Origins};

/// The columns that an exchange adds to those of its rows.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The columns of its key.
    key: Vec<String>,
    /// The columns with source, partition, offset and stream time.
    origin: [String; 4],
    changes: Option<Changes>,
}

/// The columns for the rows of a table.
#[derive(Clone, Debug)]
struct Changes {
    /// Whether there is a row now.
    has: String,
    /// Whether there was one before.
    had: String,
    /// Each column of the value, and the column with what it was before.
    before: Vec<(String, String)>,
}

/// A row that is sent.
struct Sent {
    /// The place of its key among the rows and, after those, the rows before.
    key: u32,
    /// Its place among the rows.
    row: u32,
    /// Whether there is a row now.
    has: bool,
    /// Whether there was one before.
    had: bool,
}

/// The rows of an exchange's records.
pub struct Received {
    /// The columns of the rows.
    pub rows: RecordBatch,
    /// The records that they came from.
    pub origins: Origins,
    /// The stream time of each row's partition.
    pub clocks_ms: Int64Array,
    /// The rows that there are now; `None` if all.
    pub valued: Option<NullBuffer>,
    /// The rows before they changed, if it is a table whose changes are known.
    pub before: Option<Before>,
}

impl Exchange {
    /// The columns of an exchange for rows with the columns of `topic`, which are those of a table if `is_table`.
    pub fn of(topic: &SourceDef, is_table: bool) -> Self {
        let free = |name: &str| {
            let mut name = name.to_owned();
            while topic.columns.iter().any(|column| column.name == name) {
                name.push('_');
            }
            name
        };
        let before = |column: &ColumnDef| (column.name.clone(), free(&format!("BEFORE {}", column.name)));
        let changes = is_table.then(|| Changes {
            has: free("HAS ROW"),
            had: free("HAD ROW"),
            before: topic.columns_of(&ColumnRole::Value).map(before).collect(),
        });
        let origin = ["ORIGIN SOURCE", "ORIGIN PARTITION", "ORIGIN OFFSET", "STREAM TIME"].map(free);
        Self { key: topic.columns_of(&ColumnRole::Key).map(|column| column.name.clone()).collect(), origin, changes }
    }

    /// The definition of its topic, which has all columns.
    pub fn declare(&self, topic: SourceDef) -> SourceDef {
        let [source, partition, offset, clock] = &self.origin;
        let value = |name: &String, ty: SqlType| ColumnDef { name: name.clone(), ty, role: ColumnRole::Value };
        let mut columns = topic.columns.clone();
        columns.extend([(source, SqlType::Int), (partition, SqlType::Int)].map(|(name, ty)| value(name, ty)));
        columns.extend([(offset, SqlType::BigInt), (clock, SqlType::BigInt)].map(|(name, ty)| value(name, ty)));
        if let Some(Changes { has, had, before }) = &self.changes {
            columns.extend([has, had].map(|name| value(name, SqlType::Boolean)));
            let declared = |name: &String| topic.column(name).map(|column| column.ty.clone());
            columns.extend(before.iter().filter_map(|(name, before)| Some(value(before, declared(name)?))));
        }
        SourceDef { columns, ..topic }
    }

    /// The columns that must be read if those are that `is_read`.
    pub fn needed<'a>(&'a self, is_read: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        let changes = self.changes.iter().flat_map(move |changes| {
            let before = changes.before.iter().filter(|(name, _)| is_read(name)).map(|(_, before)| before);
            [&changes.has, &changes.had].into_iter().chain(before).collect::<Vec<_>>()
        });
        // The key decides how rows are compared, and is part of the row before, too.
        self.origin.iter().chain(&self.key).chain(changes).map(String::as_str)
    }

    /// The columns of its records, for rows with these columns.
    pub fn schema(&self, rows: &SchemaRef) -> SchemaRef {
        let origin = self.origin.iter().zip([DataType::Int32, DataType::Int32, DataType::Int64, DataType::Int64]);
        let mut fields: Vec<Field> = rows.fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(origin.map(|(name, data_type)| Field::new(name, data_type, true)));
        if let Some(Changes { has, had, before }) = &self.changes {
            fields.extend([has, had].map(|name| Field::new(name, DataType::Boolean, true)));
            let field = |(name, before): &(String, String)| {
                rows.field_with_name(name).map(|field| field.clone().with_name(before)).ok()
            };
            fields.extend(before.iter().filter_map(field));
        }
        Arc::new(Schema::new(fields))
    }

    /// The columns of its rows, among those that were decoded.
    pub fn rows(&self, decoded: &Schema) -> Schema {
        let kept = decoded.fields().iter().filter(|field| self.is_of_rows(field.name())).cloned().collect::<Vec<_>>();
        Schema::new(kept)
    }

    /// Whether this column of its records is one of its rows. The pseudo columns are those of the exchange's records, and have no
    /// meaning for the rows.
    fn is_of_rows(&self, name: &str) -> bool {
        !self.adds(name) && ![ROWTIME, ROWPARTITION, ROWOFFSET].contains(&name)
    }

    /// Whether it adds this column.
    fn adds(&self, name: &str) -> bool {
        let of_changes = |changes: &Changes| {
            changes.has == name || changes.had == name || changes.before.iter().any(|(_, before)| before == name)
        };
        self.origin.iter().any(|own| own == name) || self.changes.as_ref().is_some_and(of_changes)
    }

    /// Rows as they are sent, each to the partition of its key. A row of a table whose key changed becomes two: one that is gone from
    /// its former key, and one that is new.
    pub fn split(&self, chunk: Chunk, origins: Origins, clocks_ms: Int64Array) -> Result<Chunk, ArrowError> {
        let chunk = Chunk { origins: Some(origins), clocks_ms: Some(clocks_ms), windows: None, ..chunk };
        let is_valid = |marks: &Option<NullBuffer>, row: usize| marks.as_ref().is_none_or(|marks| marks.is_valid(row));
        let Some(before) = chunk.before.as_ref().filter(|_| self.changes.is_some()) else { return Ok(chunk) };
        let [keys, keys_before] = self.keys([&chunk.rows, &before.rows])?;
        let rows = chunk.len() as u32;
        let mut sent: Vec<Sent> = Vec::with_capacity(chunk.len());
        for row in 0..chunk.len() {
            let (has, had, at) = (is_valid(&chunk.valued, row), is_valid(&before.valued, row), row as u32);
            let gone = Sent { key: rows + at, row: at, has: false, had: true };
            let new = Sent { key: at, row: at, has: true, had: false };
            match (has, had) {
                (true, true) if keys.row(row) == keys_before.row(row) => sent.push(Sent { had: true, ..new }),
                (true, true) => sent.extend([gone, new]),
                (true, false) => sent.push(new),
                (false, true) => sent.push(gone),
                (false, false) => {}
            }
        }
        self.taken(chunk, &sent)
    }

    /// The rows that are sent, with the keys to which they are sent.
    fn taken(&self, chunk: Chunk, sent: &[Sent]) -> Result<Chunk, ArrowError> {
        let (key_places, places): (Vec<u32>, Vec<u32>) = sent.iter().map(|sent| (sent.key, sent.row)).unzip();
        let key_places = UInt32Array::from(key_places);
        let former = chunk.before.as_ref().map(|before| before.rows.clone());
        let schema = chunk.rows.schema();
        let mut columns = Vec::with_capacity(schema.fields().len());
        let kept = chunk.clone().take(&places.into())?;
        for (at, field) in schema.fields().iter().enumerate() {
            columns.push(match former.as_ref().filter(|_| self.key.contains(field.name())) {
                Some(former) => take(&concat(&[chunk.rows.column(at), former.column(at)])?, &key_places, None)?,
                None => kept.rows.column(at).clone(),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(sent.len()));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let marks = |mark: fn(&Sent) -> bool| marked(&sent.iter().map(|sent| Some(mark(sent))).collect());
        let before = kept.before.map(|before| Before { valued: marks(|sent| sent.had), ..before });
        Ok(Chunk { rows, valued: marks(|sent| sent.has), before, ..kept })
    }

    /// Rows that were split, with all columns of the records.
    pub fn attach(&self, chunk: Chunk) -> Result<Chunk, ArrowError> {
        let missing = || ArrowError::ComputeError("rows of an exchange have no address".to_owned());
        let origins = chunk.origins.clone().ok_or_else(missing)?;
        let clocks_ms = chunk.clocks_ms.clone().ok_or_else(missing)?;
        let mut columns = chunk.rows.columns().to_vec();
        columns.extend([origins.sources, origins.partitions].map(|column| Arc::new(column) as ArrayRef));
        columns.extend([origins.offsets, clocks_ms].map(|column| Arc::new(column) as ArrayRef));
        if let Some(Changes { before, .. }) = &self.changes {
            let marks = |valued: Option<&NullBuffer>| -> ArrayRef {
                let all = || BooleanBuffer::new_set(chunk.len());
                Arc::new(BooleanArray::new(valued.map_or_else(all, |valued| valued.inner().clone()), None))
            };
            columns.push(marks(chunk.valued.as_ref()));
            columns.push(match &chunk.before {
                Some(before) => marks(before.valued.as_ref()),
                None => new_null_array(&DataType::Boolean, chunk.len()),
            });
            for (name, _) in before {
                let known = chunk.before.as_ref().and_then(|before| before.rows.column_by_name(name).cloned());
                let data_type = chunk.rows.schema().field_with_name(name)?.data_type().clone();
                columns.push(known.unwrap_or_else(|| new_null_array(&data_type, chunk.len())));
            }
        }
        let rows = RecordBatch::try_new(self.schema(&chunk.rows.schema()), columns)?;
        Ok(Chunk { rows, valued: None, before: None, ..chunk })
    }

    /// The key of each row, now and before, in a form in which they can be compared.
    fn keys(&self, rows: [&RecordBatch; 2]) -> Result<[Rows; 2], ArrowError> {
        let columns = |rows: &RecordBatch| -> Vec<ArrayRef> {
            self.key.iter().filter_map(|name| rows.column_by_name(name).cloned()).collect()
        };
        let [now, before] = rows.map(columns);
        let fields = now.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        Ok([converter.convert_columns(&now)?, converter.convert_columns(&before)?])
    }

    /// The rows of decoded records, without the columns that the exchange added.
    pub fn detach(&self, decoded: &RecordBatch) -> Result<Received, ArrowError> {
        let missing = |name: &str| ArrowError::SchemaError(format!("a record of an exchange has no column \"{name}\""));
        let column = |name: &String| decoded.column_by_name(name).cloned().ok_or_else(|| missing(name));
        let [source, partition, offset, clock] = &self.origin;
        let origins = Origins {
            sources: column(source)?.as_primitive_opt().ok_or_else(|| missing(source))?.clone(),
            partitions: column(partition)?.as_primitive_opt().ok_or_else(|| missing(partition))?.clone(),
            offsets: column(offset)?.as_primitive_opt().ok_or_else(|| missing(offset))?.clone(),
        };
        let clocks_ms = column(clock)?.as_primitive_opt().ok_or_else(|| missing(clock))?.clone();
        let schema = decoded.schema();
        let kept: Vec<usize> =
            (0..decoded.num_columns()).filter(|at| self.is_of_rows(schema.field(*at).name())).collect();
        let rows = decoded.project(&kept)?;
        let Some(Changes { has, had, before }) = &self.changes else {
            return Ok(Received { rows, origins, clocks_ms, valued: None, before: None });
        };
        let marks = |name: &String| column(name)?.as_boolean_opt().cloned().ok_or_else(|| missing(name));
        let (has, had) = (marks(has)?, marks(had)?);
        let before = match had.null_count() {
            0 => Some(Before { rows: former(&rows, before, decoded)?, valued: marked(&had) }),
            _ => None,
        };
        Ok(Received { rows, origins, clocks_ms, valued: marked(&has), before })
    }
}

/// The rows before they changed: their columns with what was before, and the others, which are those of the key, as they are.
fn former(rows: &RecordBatch, before: &[(String, String)], decoded: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| {
        let name = before.iter().find(|(name, _)| name == field.name()).map(|(_, before)| before);
        name.and_then(|name| decoded.column_by_name(name).cloned()).unwrap_or_else(|| column.clone())
    };
    let schema = rows.schema();
    RecordBatch::try_new(schema.clone(), schema.fields().iter().zip(rows.columns()).map(column).collect())
}

/// The marks that are true; `None` if all are.
fn marked(marks: &BooleanArray) -> Option<NullBuffer> {
    Some(NullBuffer::new(marks.values().clone())).filter(|marks| marks.null_count() > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{Int32Array, StringArray};
    use headwater_language::definition::{SideDef, SourceKind};

    use super::*;
    use crate::clocks::SourcePartition;
    use crate::operators::for_tests::numbers;

    /// The definition of an exchange by the STRING column `K`, with an INT column `V`, and a column that has the name of its own.
    fn topic() -> SourceDef {
        let column = |name: &str, ty, role| ColumnDef { name: name.to_owned(), ty, role };
        let side = SideDef::compact();
        let columns = vec![
            column("K", SqlType::String, ColumnRole::Key),
            column("V", SqlType::Int, ColumnRole::Value),
            column("HAS ROW", SqlType::Int, ColumnRole::Value),
        ];
        SourceDef {
            name: "exchange-1".to_owned(),
            kind: SourceKind::Stream,
            read_only: false,
            columns,
            topic: "exchange-1".to_owned(),
            key: side.clone(),
            value: side,
            event_time: None,
            window: None,
            statement: String::new(),
        }
    }

    /// A row of the table: its key and its value.
    type Row = (Option<&'static str>, Option<i32>);

    fn rows(rows: &[Option<Row>]) -> RecordBatch {
        let keys: StringArray = rows.iter().map(|row| row.and_then(|row| row.0)).collect();
        let values: Int32Array = rows.iter().map(|row| row.and_then(|row| row.1)).collect();
        let own: Int32Array = (0..rows.len() as i32).collect();
        let fields = [("K", DataType::Utf8), ("V", DataType::Int32), ("HAS ROW", DataType::Int32)]
            .map(|(name, data_type)| Field::new(name, data_type, true));
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values), Arc::new(own)];
        RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).expect("it has these columns")
    }

    /// Changes from what was before to what is there, or rows without what was before.
    fn chunk(changes: &[(Option<Row>, Option<Row>)], has_before: bool) -> Chunk {
        let (before, after): (Vec<Option<Row>>, Vec<Option<Row>>) = changes.iter().copied().unzip();
        let valued = |rows: &[Option<Row>]| Some(rows.iter().map(Option::is_some).collect::<NullBuffer>());
        Chunk {
            rows: rows(&after),
            times_ms: (0..changes.len() as i64).map(|row| row * 100).collect(),
            offsets: (0..changes.len() as i64).collect(),
            headers: None,
            valued: valued(&after),
            windows: None,
            before: has_before.then(|| Before { rows: rows(&before), valued: valued(&before) }),
            origins: None,
            clocks_ms: None,
        }
    }

    fn attached(exchange: &Exchange, chunk: Chunk) -> Chunk {
        let rows = chunk.len();
        let offsets = chunk.offsets.values().iter().map(|at| at + 40).collect();
        let origins = Origins { sources: vec![1; rows].into(), partitions: vec![2; rows].into(), offsets };
        let clocks_ms = chunk.offsets.values().iter().map(|at| at * 1000).collect();
        let split = exchange.split(chunk, origins, clocks_ms).expect("nothing fails");
        exchange.attach(split).expect("nothing fails")
    }

    /// Each row as `origin@stream time key: before→after`, with `-` where there is none and `?` where that is not known.
    fn received(exchange: &Exchange, sent: &Chunk) -> Vec<String> {
        let Received { rows, origins, clocks_ms, valued, before } =
            exchange.detach(&sent.rows).expect("it has its columns");
        let value = |rows: &RecordBatch, valued: &Option<NullBuffer>, row: usize| {
            let values = rows["V"].as_primitive::<arrow::datatypes::Int32Type>();
            match valued {
                Some(valued) if valued.is_null(row) => "-".to_owned(),
                _ if values.is_null(row) => "null".to_owned(),
                _ => values.value(row).to_string(),
            }
        };
        let row = |row: usize| {
            assert_eq!(origins.source(row), SourcePartition { source: 1, partition: 2 });
            let keys = rows["K"].as_string::<i32>();
            let key = if keys.is_valid(row) { keys.value(row) } else { "null" };
            let before = before.as_ref().map_or("?".to_owned(), |before| {
                assert_eq!(before.rows["K"].as_string::<i32>(), keys, "a change is one of one key");
                value(&before.rows, &before.valued, row)
            });
            let after = value(&rows, &valued, row);
            format!("{}@{} {key}: {before}→{after}", origins.offsets.value(row), clocks_ms.value(row))
        };
        (0..sent.len()).map(row).collect()
    }

    #[test]
    fn its_columns_have_names_of_their_own() {
        let exchange = Exchange::of(&topic(), true);
        let names: Vec<String> = exchange.declare(topic()).columns.into_iter().map(|column| column.name).collect();
        let own = ["ORIGIN SOURCE", "ORIGIN PARTITION", "ORIGIN OFFSET", "STREAM TIME", "HAS ROW_", "HAD ROW"];
        let before = ["BEFORE V", "BEFORE HAS ROW"];
        let all: Vec<&str> = ["K", "V", "HAS ROW"].into_iter().chain(own).chain(before).collect();
        assert_eq!(names, all);
        let schema = exchange.schema(&rows(&[]).schema());
        assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), all);
        assert_eq!(exchange.rows(&schema).fields().len(), 3);
        let needed: Vec<&str> = exchange.needed(|name| name == "V").collect();
        assert_eq!(needed, [&own[..4], &["K", "HAS ROW_", "HAD ROW", "BEFORE V"]].concat());
        assert_eq!(Exchange::of(&topic(), false).declare(topic()).columns.len(), 7);
    }

    #[test]
    fn rows_of_a_stream_pass_as_they_are() {
        let exchange = Exchange::of(&topic(), false);
        let rows =
            Chunk { valued: None, ..chunk(&[(None, Some((Some("a"), Some(1)))), (None, Some((None, None)))], false) };
        let sent = attached(&exchange, rows);
        assert_eq!(received(&exchange, &sent), ["40@0 a: ?→1", "41@1000 null: ?→null"]);
        assert_eq!(sent.rows.num_columns(), 7);
    }

    /// Goal: each record is a change within one key. Method: each case once; one key changes, and one is null.
    #[test]
    fn a_row_whose_key_changes_is_sent_to_both() {
        let exchange = Exchange::of(&topic(), true);
        let (a, b) = (|value| Some((Some("a"), Some(value))), |value| Some((Some("b"), Some(value))));
        let changes = [
            (a(1), a(2)),
            (a(3), b(4)),
            (None, b(5)),
            (b(6), None),
            (None, None),
            (Some((Some("b"), None)), a(7)),
            (Some((None, Some(8))), Some((None, Some(9)))),
        ];
        let sent = attached(&exchange, chunk(&changes, true));
        let expected = [
            "40@0 a: 1→2",
            "41@1000 a: 3→-",
            "41@1000 b: -→4",
            "42@2000 b: -→5",
            "43@3000 b: 6→-",
            "45@5000 b: null→-",
            "45@5000 a: -→7",
            "46@6000 null: 8→9",
        ];
        assert_eq!(received(&exchange, &sent), expected);
        assert_eq!(sent.times_ms.values()[..], [0, 100, 100, 200, 300, 500, 500, 600]);
        assert!(sent.valued.is_none() && sent.before.is_none(), "a delete is a record with a value");
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        let exchange = Exchange::of(&topic(), true);
        let sent = attached(&exchange, chunk(&[(None, Some((Some("a"), Some(1)))), (None, None)], false));
        assert_eq!(received(&exchange, &sent), ["40@0 a: ?→1", "41@1000 null: ?→-"]);
    }

    /// Goal: only some columns need to be read. Method: only the key is, as COUNT(*) does.
    #[test]
    fn columns_that_nobody_reads_can_be_missing() {
        let exchange = Exchange::of(&topic(), true);
        let sent = attached(&exchange, chunk(&[(Some((Some("a"), Some(1))), Some((Some("b"), Some(2))))], true));
        let read: Vec<usize> =
            exchange.needed(|_| false).map(|name| sent.rows.schema().index_of(name).expect("it exists")).collect();
        let Received { rows, valued, before, .. } =
            exchange.detach(&sent.rows.project(&read).expect("they exist")).expect("it has its columns");
        assert_eq!(
            (rows.num_columns(), rows["K"].as_string::<i32>().iter().collect::<Vec<_>>()),
            (1, vec![Some("a"), Some("b")])
        );
        assert_eq!(valued, Some(NullBuffer::from(vec![false, true])));
        assert_eq!(before.and_then(|before| before.valued), Some(NullBuffer::from(vec![true, false])));
        assert!(exchange.detach(&sent.rows.project(&[0]).expect("it exists")).is_err());
    }

    /// Goal: nothing is lost on the way. Method: random changes of a map from keys to values, which the records repeat.
    #[test]
    fn what_is_received_is_what_was_sent() {
        const KEYS: [&str; 3] = ["a", "b", "c"];
        let exchange = Exchange::of(&topic(), true);
        let mut random = numbers(3);
        for _ in 0..40 {
            // Rows of a table with other keys, each with its group and its value.
            let (mut table, mut changes) = (BTreeMap::new(), Vec::new());
            for _ in 0..50 {
                let id = random(8);
                let row = (random(4) > 0).then(|| (Some(KEYS[random(3) as usize]), Some(random(9) as i32)));
                let before = match row {
                    Some(row) => table.insert(id, row),
                    None => table.remove(&id),
                };
                changes.push((before, row));
            }
            let Received { rows, valued, before, .. } =
                exchange.detach(&attached(&exchange, chunk(&changes, true)).rows).expect("it has its columns");
            let before = before.expect("it is known");
            let mut sums: BTreeMap<&str, i32> = BTreeMap::new();
            for row in 0..rows.num_rows() {
                for (rows, valued, sign) in [(&before.rows, &before.valued, -1), (&rows, &valued, 1)] {
                    if valued.as_ref().is_none_or(|valued| valued.is_valid(row)) {
                        let value = rows["V"].as_primitive::<arrow::datatypes::Int32Type>().value(row);
                        *sums.entry(rows["K"].as_string::<i32>().value(row)).or_default() += sign * value;
                    }
                }
            }
            sums.retain(|_, sum| *sum != 0);
            let mut expected: BTreeMap<&str, i32> = BTreeMap::new();
            table
                .values()
                .for_each(|(key, value)| *expected.entry(key.expect("it has one")).or_default() += value.unwrap_or(0));
            expected.retain(|_, sum| *sum != 0);
            assert_eq!(sums, expected);
        }
    }
}
