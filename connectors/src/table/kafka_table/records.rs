//! Converts the rows of a statement to records: which column goes into which part, and which values cannot be written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Int64Type, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use headwater_formats::decode::{ColumnOrigin, ColumnTimes, ROWTIME, RowKind, SideSpec, TopicSpec};
use headwater_formats::format::{BadRow, Encoder, sql_name};
use headwater_formats::record::OutBatch;

use crate::table::reader::external;

/// How the rows of a statement become records of a topic; checked when the statement is planned.
#[derive(Clone, Debug)]
pub struct RecordShape {
    spec: Arc<TopicSpec>,
    /// For each key field, the index of its column in the rows; `None` if it is not given.
    key: Vec<Option<usize>>,
    /// The same for each value field.
    value: Vec<Option<usize>>,
    time: Time,
    /// Columns of the rows that cannot be written, so that an INSERT must leave them NULL.
    unwritable: Vec<usize>,
}

/// Where the timestamp of a record comes from.
#[derive(Clone, Copy, Debug)]
enum Time {
    /// The ROWTIME column, at this index.
    Given(usize),
    /// The event time column, at this index.
    Event(usize),
    /// The time at which the record is sent.
    Now,
}

impl RecordShape {
    /// Matches the columns of `rows` by name. Fails when `table`, the columns that a user sees, does not have such a
    /// column, when a column is given twice or with an incompatible type, and when the topic is read-only.
    pub fn of(spec: &Arc<TopicSpec>, table: &SchemaRef, rows: &SchemaRef) -> Result<Self> {
        check_writable(spec)?;
        rows.fields().iter().enumerate().try_for_each(|(at, field)| check_column(table, rows, at, field))?;
        let find = |name: &str| rows.index_of(name).ok();
        let of_side = |side: &SideSpec| side.layout.fields.iter().map(|field| find(field.name())).collect();
        let event = spec.event_time.as_ref().map(|time| spec.columns[time.column].field.name());
        let time = match (event, find(ROWTIME)) {
            (Some(event), _) => Time::Event(find(event).ok_or_else(|| refuse(untimed(event)))?),
            (None, Some(given)) => Time::Given(given),
            (None, None) => Time::Now,
        };
        let (key, value) = (of_side(&spec.key), of_side(&spec.value));
        let unwritable = unwritable(spec, rows);
        Ok(Self { spec: spec.clone(), key, value, time, unwritable })
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.spec.topic
    }

    /// An encoder for the rows of one statement.
    pub fn encoder(&self) -> Result<RecordEncoder> {
        let encoder = |side: &SideSpec| side.format.encoder(&side.layout).map_err(external);
        let pattern = self.spec.event_time.as_ref().and_then(|time| time.format.as_deref());
        Ok(RecordEncoder {
            key: encoder(&self.spec.key)?,
            value: encoder(&self.spec.value)?,
            times: ColumnTimes::new(pattern).map_err(external)?,
            shape: self.clone(),
            rows_before: 0,
        })
    }
}

/// Encodes the rows of one statement as records.
pub struct RecordEncoder {
    shape: RecordShape,
    key: Box<dyn Encoder>,
    value: Box<dyn Encoder>,
    times: ColumnTimes,
    rows_before: usize,
}

impl RecordEncoder {
    /// Encodes the next rows. Fails when a row cannot be written, naming it by its number in the statement.
    pub fn encode(&mut self, rows: &RecordBatch) -> Result<OutBatch> {
        let spec = &self.shape.spec;
        self.check_null(rows)?;
        let keys = columns(&spec.key.layout.fields, &self.shape.key, rows)?;
        let values = columns(&spec.value.layout.fields, &self.shape.value, rows)?;
        let present: NullBuffer = (0..rows.num_rows()).map(|row| keys.iter().any(|key| key.is_valid(row))).collect();
        self.check_keys(&keys, rows.num_rows())?;
        let keys = self.key.encode(&keys, rows.num_rows(), Some(&present));
        let values = self.value.encode(&values, rows.num_rows(), None);
        self.check_bad(keys.bad.first().into_iter().chain(values.bad.first()))?;
        let timestamps_ms = self.times(rows)?;
        self.rows_before += rows.num_rows();
        let (keys, values, topic) = (keys.payloads, values.payloads, self.shape.topic().clone());
        Ok(OutBatch { topic, partitions: None, keys, values, timestamps_ms, headers: None })
    }

    /// The key columns must not be NULL in a table, where the key identifies a row.
    fn check_keys(&self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        if self.shape.spec.kind == RowKind::All {
            return Ok(());
        }
        let missing = |row: usize| keys.iter().position(|key| key.is_null(row)).map(|at| (row, at));
        let Some((row, at)) = (0..rows).find_map(missing) else { return Ok(()) };
        let name = self.shape.spec.key.layout.fields[at].name();
        Err(self.refuse_row(row, &format!("key column \"{name}\" cannot be NULL")))
    }

    /// Columns that cannot be written must be NULL in every row.
    fn check_null(&self, rows: &RecordBatch) -> Result<()> {
        for at in &self.shape.unwritable {
            let column = rows.column(*at);
            if let Some(row) = (0..column.len()).find(|row| !is_null(column, *row)) {
                let name = rows.schema_ref().field(*at).name().clone();
                return Err(self.refuse_row(row, &format!("column \"{name}\" cannot be written")));
            }
        }
        Ok(())
    }

    fn check_bad<'a>(&self, bad: impl Iterator<Item = &'a BadRow>) -> Result<()> {
        match bad.min_by_key(|bad| bad.row) {
            Some(bad) => Err(self.refuse_row(bad.row, &bad.reason)),
            None => Ok(()),
        }
    }

    fn refuse_row(&self, row: usize, why: &str) -> DataFusionError {
        let number = self.rows_before + row + 1;
        DataFusionError::Execution(format!("row {number} cannot be written to topic \"{}\": {why}", self.shape.topic()))
    }

    /// The timestamps of the records; `None` if all records get the time at which they are sent.
    fn times(&self, rows: &RecordBatch) -> Result<Option<ScalarBuffer<i64>>> {
        match self.shape.time {
            Time::Now => Ok(None),
            Time::Given(at) => self.given_times(rows.column(at)),
            Time::Event(at) => {
                let event = self.shape.spec.event_time.as_ref().map_or(0, |time| time.column);
                let field = &self.shape.spec.columns[event].field;
                let column = conform(field, Some(at), rows)?;
                let (times, bad) = self.times.read(&column)?;
                self.check_bad(bad.first().into_iter())?;
                Ok(Some(times.values().clone()))
            }
        }
    }

    fn given_times(&self, column: &ArrayRef) -> Result<Option<ScalarBuffer<i64>>> {
        if column.data_type() == &DataType::Null || column.null_count() == column.len() {
            return Ok(None);
        }
        let times = cast(column, &DataType::Int64)?;
        let times: &Int64Array = times.as_primitive::<Int64Type>();
        if let Some(row) = (0..times.len()).find(|row| times.is_valid(*row) && times.value(*row) < 0) {
            return Err(self.refuse_row(row, &format!("{ROWTIME} is {}, which is before 1970", times.value(row))));
        }
        let now = chrono::Utc::now().timestamp_millis();
        Ok(Some(times.iter().map(|time| time.unwrap_or(now)).collect()))
    }
}

/// The columns of one side, cast to the types of its fields.
fn columns(fields: &[FieldRef], given: &[Option<usize>], rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    fields.iter().zip(given).map(|(field, at)| conform(field, *at, rows)).collect()
}

/// A column of the rows, cast to the type of its field; NULL if it is not given.
fn conform(field: &FieldRef, at: Option<usize>, rows: &RecordBatch) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match at.map(|at| rows.column(at)).filter(|column| column.data_type() != &DataType::Null) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => Ok(cast_with_options(column, field.data_type(), &options)?),
        None => Ok(new_null_array(field.data_type(), rows.num_rows())),
    }
}

fn is_null(column: &ArrayRef, row: usize) -> bool {
    column.data_type() == &DataType::Null || column.is_null(row)
}

fn check_writable(spec: &TopicSpec) -> Result<()> {
    match spec.key_window {
        Some(_) => Err(refuse(format!("topic \"{}\" cannot be written: its keys are windowed", spec.topic))),
        None => Ok(()),
    }
}

fn check_column(table: &SchemaRef, rows: &SchemaRef, at: usize, field: &FieldRef) -> Result<()> {
    let (name, given) = (field.name(), field.data_type());
    let Ok(wanted) = table.field_with_name(name) else {
        let columns: Vec<String> = table.fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
        return Err(refuse(format!("column \"{name}\" does not exist; the columns are {}", columns.join(", "))));
    };
    if rows.fields().iter().take(at).any(|before| before.name() == name) {
        return Err(refuse(format!("column \"{name}\" is given twice")));
    }
    if !fits(given, wanted.data_type()) {
        let (wanted, given) = (sql_name(wanted.data_type()), sql_name(given));
        return Err(refuse(format!(
            "column \"{name}\" is of type {wanted}, but the rows have type {given}: add a CAST"
        )));
    }
    Ok(())
}

fn untimed(event: &str) -> String {
    format!("column \"{event}\" is required: it holds the event time of the records")
}

/// Columns of the rows that cannot be written.
fn unwritable(spec: &TopicSpec, rows: &SchemaRef) -> Vec<usize> {
    let is_written = |name: &String| {
        let origin = spec.columns.iter().find(|column| column.field.name() == name).map(|column| &column.origin);
        match origin {
            Some(origin) => matches!(origin, ColumnOrigin::Key(_) | ColumnOrigin::Value(_)),
            None => name == ROWTIME && spec.event_time.is_none(),
        }
    };
    (0..rows.fields().len()).filter(|at| !is_written(rows.field(*at).name())).collect()
}

/// Whether every value of type `given` can be converted to `wanted` without truncation, rounding or conversion to text.
fn fits(given: &DataType, wanted: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Dictionary, FixedSizeBinary, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary,
        LargeUtf8, List, Map, Null, Struct, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    match (given, wanted) {
        (same, other) if same == other => true,
        (Null, _) => true,
        (Dictionary(_, values), _) => fits(values, wanted),
        (LargeUtf8 | Utf8View, Utf8) | (LargeBinary | BinaryView | FixedSizeBinary(_), Binary) => true,
        (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64) | (Int32 | UInt32, Int64) | (Float32, Float64) => true,
        (List(given), List(wanted)) => fits(given.data_type(), wanted.data_type()),
        (Map(given, _), Map(wanted, _)) => match (given.data_type(), wanted.data_type()) {
            (Struct(given), Struct(wanted)) => {
                given.len() == wanted.len()
                    && given.iter().zip(wanted).all(|(given, wanted)| fits(given.data_type(), wanted.data_type()))
            }
            _ => false,
        },
        (Struct(given), Struct(wanted)) => {
            let same = |(given, wanted): (&FieldRef, &FieldRef)| {
                given.name() == wanted.name() && fits(given.data_type(), wanted.data_type())
            };
            given.len() == wanted.len() && given.iter().zip(wanted).all(same)
        }
        _ => false,
    }
}

fn refuse(message: String) -> DataFusionError {
    DataFusionError::Plan(message)
}
