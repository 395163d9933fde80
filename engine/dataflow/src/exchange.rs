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
use arrow::row::{RowConverter, SortField};
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
        let kept = decoded.fields().iter().filter(|field| !self.adds(field.name())).cloned().collect::<Vec<_>>();
        Schema::new(kept)
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
        let chunk = Chunk { origins: Some(origins), clocks_ms: Some(clocks_ms), headers: None, windows: None, ..chunk };
        let is_valid = |marks: &Option<NullBuffer>, row: usize| marks.as_ref().is_none_or(|marks| marks.is_valid(row));
        let Some(before) = chunk.before.as_ref().filter(|_| self.changes.is_some()) else { return Ok(chunk) };
        let (keys, keys_before) = (self.keys(&chunk.rows)?, self.keys(&before.rows)?);
        let rows = chunk.len() as u32;
        let mut sent: Vec<Sent> = Vec::with_capacity(chunk.len());
        for row in 0..chunk.len() {
            let (has, had, at) = (is_valid(&chunk.valued, row), is_valid(&before.valued, row), row as u32);
            let gone = Sent { key: rows + at, row: at, has: false, had: true };
            let new = Sent { key: at, row: at, has: true, had: false };
            match (has, had) {
                (true, true) if keys[row] == keys_before[row] => sent.push(Sent { had: true, ..new }),
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

    /// The key of each row as bytes that are equal if the keys are.
    fn keys(&self, rows: &RecordBatch) -> Result<Vec<Box<[u8]>>, ArrowError> {
        let columns: Vec<ArrayRef> = self.key.iter().filter_map(|name| rows.column_by_name(name).cloned()).collect();
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converted = RowConverter::new(fields)?.convert_columns(&columns)?;
        Ok(converted.iter().map(|row| row.as_ref().into()).collect())
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
        let kept: Vec<usize> = (0..decoded.num_columns()).filter(|at| !self.adds(schema.field(*at).name())).collect();
        let rows = decoded.project(&kept)?;
        let Some(Changes { has, had, before }) = &self.changes else {
            return Ok(Received { rows, origins, clocks_ms, valued: None, before: None });
        };
        let (has, had) = (column(has)?.as_boolean().clone(), column(had)?.as_boolean().clone());
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
