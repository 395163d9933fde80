//! Decodes raw records to rows: the only place where keys, values, headers and addresses become columns.
//!
//! Whether a record is bad does not depend on the requested columns: every declared column of its key and value is
//! read or at least checked, and so are the window of a windowed key and the event time. Only
//! [`RecordDecoder::counting`] checks nothing.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int32Array, Int64Array, ListArray,
};
use arrow::array::{BooleanBufferBuilder, RecordBatch, RecordBatchOptions};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::event_time::EventTimes;
use super::spec::{Column, ColumnOrigin, KeyWindow, RowKind, SideSpec, TopicSpec};
use super::window::split_windowed_keys;
use crate::format::{BadRow, Decoder, FormatError};
use crate::record::{RawBatch, Reject, Side, Wanted};
use crate::schema::{self, SchemaId};

/// Decodes the records of a topic to the requested columns. Keeps its buffers from batch to batch.
pub struct RecordDecoder {
    outputs: Vec<Column>,
    schema: SchemaRef,
    key: Option<SideDecoder>,
    value: Option<SideDecoder>,
    event_time: Option<EventTimes>,
    key_window: Option<KeyWindow>,
    kind: RowKind,
    /// Whether records of a stream without a value are rows too.
    keeps_valueless: bool,
}

/// The decoder of one side, and the position of each field among its columns.
struct SideDecoder {
    decoder: Box<dyn Decoder>,
    /// Maps the index in the layout to the index among the decoded columns.
    positions: Vec<Option<usize>>,
}

/// Rows, and the record of the batch from which each of them was decoded.
pub struct DecodedRows {
    /// The requested columns, without the records that are not rows.
    pub rows: RecordBatch,
    /// For each record of the raw batch, whether it is a row; `None` if all are.
    pub kept: Option<BooleanArray>,
    /// Records that could not be decoded, with their addresses.
    pub rejects: Vec<Reject>,
    /// Records with a value that means null (JSON `null`), which are tombstones of a table. In ascending order.
    pub absent: Vec<usize>,
    /// The number of records of a stream that were not rows because they have no value.
    pub valueless: u64,
    /// The offset of the first record that was rejected because its event time cannot be read.
    pub untimed: Option<i64>,
    /// For a decoder that keeps records without a value ([`RecordDecoder::keeping_valueless`]), which rows have a
    /// value; `None` if all have one.
    pub valued: Option<NullBuffer>,
}

impl DecodedRows {
    /// Whether a record of the raw batch is a tombstone of a table.
    pub fn is_tombstone(&self, raw: &RawBatch, record: usize) -> bool {
        raw.value_nulls.as_ref().is_some_and(|nulls| nulls.is_null(record))
            || self.absent.binary_search(&record).is_ok()
    }
}

impl RecordDecoder {
    /// A decoder for the columns of `spec.all_columns()` at `projection`, in that order.
    /// Fails if a format cannot hold a column.
    pub fn new(spec: &TopicSpec, projection: &[usize]) -> Result<Self, FormatError> {
        let all = spec.all_columns();
        let outputs: Vec<Column> = projection.iter().map(|i| all[*i].clone()).collect();
        let time_column = spec.event_time.as_ref().map(|t| all[t.column].origin.clone());
        let origins = || outputs.iter().map(|c| &c.origin).chain(time_column.as_ref());
        let key: Vec<usize> = fields(origins(), |o| if let ColumnOrigin::Key(i) = o { Some(*i) } else { None });
        let value: Vec<usize> = fields(origins(), |o| if let ColumnOrigin::Value(i) = o { Some(*i) } else { None });
        let schema = Arc::new(Schema::new(outputs.iter().map(|c| c.field.clone()).collect::<Vec<_>>()));
        Ok(Self {
            schema,
            key: side_decoder(&spec.key, &key, false)?,
            value: side_decoder(&spec.value, &value, spec.kind == RowKind::LatestPerKey)?,
            event_time: spec
                .event_time
                .as_ref()
                .map(|t| EventTimes::new(t, all[t.column].origin.clone()))
                .transpose()?,
            key_window: spec.key_window,
            kind: spec.kind,
            keeps_valueless: false,
            outputs,
        })
    }

    /// A decoder of a stream that parses nothing: it returns a row without columns for every record with a value,
    /// even a bad one.
    pub fn counting() -> Self {
        Self {
            outputs: Vec::new(),
            schema: Arc::new(Schema::empty()),
            key: None,
            value: None,
            event_time: None,
            key_window: None,
            kind: RowKind::All,
            keeps_valueless: false,
        }
    }

    /// Makes records of a stream without a value rows too; see [`DecodedRows::valued`].
    pub fn keeping_valueless(self) -> Self {
        Self { keeps_valueless: true, ..self }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The parts of a record that this decoder reads.
    pub fn wanted(&self) -> Wanted {
        let has = |test: fn(&ColumnOrigin) -> bool| self.outputs.iter().any(|c| test(&c.origin));
        Wanted {
            keys: self.key.is_some() || self.key_window.is_some(),
            values: self.value.is_some(),
            headers: has(|o| matches!(o, ColumnOrigin::Headers | ColumnOrigin::Header(_))),
        }
    }

    /// The schemas that the keys and values of a batch were written with and that this decoder was not given yet. See
    /// [`Decoder::missing_schemas`].
    pub fn missing_schemas(&self, raw: &RawBatch) -> Vec<SchemaId> {
        let missing = |side: &Option<SideDecoder>, payloads: Option<&BinaryArray>| match (side, payloads) {
            (Some(side), Some(payloads)) => side.decoder.missing_schemas(payloads),
            _ => Vec::new(),
        };
        let mut ids = missing(&self.key, raw.keys.as_ref());
        ids.extend(missing(&self.value, raw.values.as_ref()));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Takes the schema with this id, or the reason why there is none. See [`Decoder::learn`].
    pub fn learn(&mut self, id: SchemaId, schema: Result<Arc<schema::Schema>, String>) {
        for side in [&mut self.key, &mut self.value].into_iter().flatten() {
            side.decoder.learn(id, schema.clone());
        }
    }

    /// Decodes a batch. Bad records are returned as rejects and are not rows. A record of a stream without a value is
    /// not a row either, unless such records are kept. A table keeps its tombstones: see [`DecodedRows::kept`].
    pub fn decode(&mut self, raw: &RawBatch) -> Result<DecodedRows, ArrowError> {
        raw.check();
        let mut keep = Keep::new(self.kind == RowKind::All && !self.keeps_valueless, raw.len());
        if keep.drops_valueless {
            keep.drop_nulls(raw);
        }
        let (keys, windows) = self.key_payloads(raw, &mut keep)?;
        let key_columns = decode_side(&mut self.key, keys.as_ref(), Side::Key, raw, &mut keep);
        let value_columns = decode_side(&mut self.value, raw.values.as_ref(), Side::Value, raw, &mut keep);
        let parts = Parts { raw, key_columns, value_columns, windows, times: None };
        let parts = self.with_event_times(parts, &mut keep)?;
        let columns = self.outputs.iter().map(|c| self.column(c, &parts)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(raw.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let valued = if self.keeps_valueless { valued(raw, &keep.absent) } else { None };
        keep.apply(rows, valued)
    }

    fn key_payloads(&self, raw: &RawBatch, keep: &mut Keep) -> Result<(Option<BinaryArray>, Windows), ArrowError> {
        let (Some(keys), Some(window)) = (&raw.keys, self.key_window) else { return Ok((raw.keys.clone(), None)) };
        let split = split_windowed_keys(keys, window)?;
        report(raw, Side::Key, &split.bad, keep);
        Ok((Some(split.keys), Some((split.starts, split.ends))))
    }

    fn with_event_times<'a>(&self, mut parts: Parts<'a>, keep: &mut Keep) -> Result<Parts<'a>, ArrowError> {
        let Some(event_time) = &self.event_time else { return Ok(parts) };
        let column = self.origin_column(event_time.origin(), &parts)?;
        let (times, bad) = event_time.extract(&column, parts.raw, keep.mask().as_ref(), &keep.absent)?;
        let side = if matches!(event_time.origin(), ColumnOrigin::Key(_)) { Side::Key } else { Side::Value };
        report(parts.raw, side, &bad, keep);
        keep.untimed = bad.first().map(|bad| parts.raw.offsets[bad.row]);
        parts.times = Some(times);
        Ok(parts)
    }

    fn column(&self, column: &Column, parts: &Parts<'_>) -> Result<ArrayRef, ArrowError> {
        self.origin_column(&column.origin, parts)
    }

    fn origin_column(&self, origin: &ColumnOrigin, parts: &Parts<'_>) -> Result<ArrayRef, ArrowError> {
        let raw = parts.raw;
        let decoded = |side: &Option<SideDecoder>, columns: &[ArrayRef], field: usize| {
            let position = side.as_ref().and_then(|s| s.positions[field]);
            position.and_then(|p| columns.get(p).cloned()).ok_or_else(|| missing("a column that was not decoded"))
        };
        let window = |first: bool| match &parts.windows {
            Some((starts, ends)) => Ok(Arc::new(if first { starts.clone() } else { ends.clone() }) as ArrayRef),
            None => Err(missing("a window without a windowed key")),
        };
        match origin {
            ColumnOrigin::Key(i) => decoded(&self.key, &parts.key_columns, *i),
            ColumnOrigin::Value(i) => decoded(&self.value, &parts.value_columns, *i),
            ColumnOrigin::Headers => headers(raw).map(|h| Arc::new(h.clone()) as ArrayRef),
            ColumnOrigin::Header(name) => Ok(Arc::new(last_header(headers(raw)?, name))),
            ColumnOrigin::WindowStart => window(true),
            ColumnOrigin::WindowEnd => window(false),
            ColumnOrigin::RowTime => Ok(Arc::new(parts.times.clone().unwrap_or_else(|| record_times(raw)))),
            ColumnOrigin::RowPartition => Ok(Arc::new(Int32Array::from_value(raw.origin.partition, raw.len()))),
            ColumnOrigin::RowOffset => Ok(Arc::new(Int64Array::new(raw.offsets.clone(), None))),
        }
    }
}

type Windows = Option<(Int64Array, Int64Array)>;

/// The result of a batch so far.
struct Parts<'a> {
    raw: &'a RawBatch,
    key_columns: Vec<ArrayRef>,
    value_columns: Vec<ArrayRef>,
    windows: Windows,
    times: Option<Int64Array>,
}

/// Which records are rows; nothing is allocated as long as all are.
struct Keep {
    /// Removes records whose value means null.
    drops_valueless: bool,
    len: usize,
    bits: Option<BooleanBufferBuilder>,
    absent: Vec<usize>,
    /// The number of records that were removed because their value means null.
    valueless: u64,
    untimed: Option<i64>,
    rejects: Vec<Reject>,
}

impl Keep {
    fn new(drops_valueless: bool, len: usize) -> Self {
        Self { drops_valueless, len, bits: None, absent: Vec::new(), valueless: 0, untimed: None, rejects: Vec::new() }
    }

    fn absent(&mut self, side: Side, rows: Vec<usize>) {
        if side == Side::Key {
            return;
        }
        if self.drops_valueless {
            rows.iter().for_each(|row| self.valueless += u64::from(self.drop_row(*row)));
        }
        self.absent = rows;
    }

    /// Removes a record; true if it was a row until now.
    fn drop_row(&mut self, row: usize) -> bool {
        let len = self.len;
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(len);
            bits.append_n(len, true);
            bits
        });
        let was = bits.get_bit(row);
        bits.set_bit(row, false);
        was
    }

    fn drop_nulls(&mut self, raw: &RawBatch) {
        let Some(nulls) = raw.value_nulls.as_ref().filter(|n| n.null_count() > 0) else { return };
        let dropped = (0..self.len).filter(|row| nulls.is_null(*row)).filter(|row| self.drop_row(*row)).count();
        self.valueless += dropped as u64;
    }

    fn mask(&self) -> Option<BooleanArray> {
        self.bits.as_ref().map(|bits| BooleanArray::new(bits.finish_cloned(), None))
    }

    fn apply(self, rows: RecordBatch, valued: Option<NullBuffer>) -> Result<DecodedRows, ArrowError> {
        let kept = self.mask();
        let (rows, valued) = match (&kept, valued) {
            (Some(kept), Some(valued)) => {
                let valued = filter(&BooleanArray::new(valued.into_inner(), None), kept)?;
                (filter_record_batch(&rows, kept)?, Some(NullBuffer::new(valued.as_boolean().values().clone())))
            }
            (Some(kept), None) => (filter_record_batch(&rows, kept)?, None),
            (None, valued) => (rows, valued),
        };
        let Self { rejects, absent, valueless, untimed, .. } = self;
        Ok(DecodedRows { rows, kept, rejects, absent, valueless, untimed, valued })
    }
}

/// Which records have a value that does not mean null; `None` if all have.
fn valued(raw: &RawBatch, absent: &[usize]) -> Option<NullBuffer> {
    if absent.is_empty() {
        return raw.value_nulls.clone().filter(|nulls| nulls.null_count() > 0);
    }
    let has_value = |row: usize| raw.value_nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    Some((0..raw.len()).map(|row| has_value(row) && absent.binary_search(&row).is_err()).collect())
}

fn fields<'a>(origins: impl Iterator<Item = &'a ColumnOrigin>, pick: fn(&ColumnOrigin) -> Option<usize>) -> Vec<usize> {
    let mut picked: Vec<usize> = origins.filter_map(pick).collect();
    picked.sort_unstable();
    picked.dedup();
    picked
}

/// The decoder of a side; none if none of its columns is requested and no payload can be bad. With `always`, there is
/// one in any case: whether a table's record is a tombstone must not depend on the columns.
fn side_decoder(side: &SideSpec, projection: &[usize], always: bool) -> Result<Option<SideDecoder>, FormatError> {
    let can_be_bad = !side.layout.fields.is_empty() && !side.format.takes_any_payload(&side.layout);
    if projection.is_empty() && !can_be_bad && !always {
        return Ok(None);
    }
    let decoder = side.format.decoder(&side.layout, projection)?;
    let mut positions = vec![None; side.layout.fields.len()];
    projection.iter().enumerate().for_each(|(at, field)| positions[*field] = Some(at));
    Ok(Some(SideDecoder { decoder, positions }))
}

fn decode_side(
    side: &mut Option<SideDecoder>,
    payloads: Option<&BinaryArray>,
    which: Side,
    raw: &RawBatch,
    keep: &mut Keep,
) -> Vec<ArrayRef> {
    let (Some(side), Some(payloads)) = (side, payloads) else { return Vec::new() };
    let decoded = side.decoder.decode(payloads);
    report(raw, which, &decoded.bad, keep);
    keep.absent(which, decoded.absent);
    decoded.columns
}

/// Combines the rejects of both sides: a record that is bad on both is one reject with both reasons.
fn report(raw: &RawBatch, side: Side, bad: &[BadRow], keep: &mut Keep) {
    let of_other_side = keep.rejects.len();
    for bad in bad {
        keep.drop_row(bad.row);
        let (origin, offset, reason) = (raw.origin.clone(), raw.offsets[bad.row], bad.reason.clone());
        let known = keep.rejects[..of_other_side].binary_search_by_key(&offset, |reject| reject.offset);
        if let Ok(at) = known {
            let first = &mut keep.rejects[at];
            first.reason = format!("{}; and the value: {reason}", first.reason);
            continue;
        }
        keep.rejects.push(Reject { origin, offset, side, reason });
    }
}

fn headers(raw: &RawBatch) -> Result<&ListArray, ArrowError> {
    raw.headers.as_ref().ok_or_else(|| missing("headers that were not read"))
}

fn missing(what: &str) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("the plan asks for {what}"))
}

fn record_times(raw: &RawBatch) -> Int64Array {
    Int64Array::new(raw.timestamps_ms.clone(), None)
}

/// The value of the last header with this name; null if there is none.
fn last_header(headers: &ListArray, name: &str) -> BinaryArray {
    let entries = headers.values().as_struct();
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let mut out = BinaryBuilder::with_capacity(headers.len(), 0);
    for bounds in headers.value_offsets().windows(2) {
        let (start, end) = (usize::try_from(bounds[0]).unwrap_or(0), usize::try_from(bounds[1]).unwrap_or(0));
        let last = (start..end).rev().find(|i| keys.is_valid(*i) && keys.value(*i) == name);
        out.append_option(last.filter(|i| values.is_valid(*i)).map(|i| values.value(i)));
    }
    out.finish()
}
