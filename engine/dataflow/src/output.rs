//! Encodes the rows of a result as records of the output topic.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use headwater_formats::decode::{ColumnTimes, KeyWindow, with_windows};
use headwater_formats::format::{BadRow, Encoder, FormatError};
use headwater_formats::record::partitioner::partition_of;
use headwater_formats::record::{HEADER_FRAME_BYTES, OutBatch, RecordLimits, Side, header_bytes};
use headwater_language::definition::{ColumnRole, SideDef, SourceDef, WindowDef};

use super::chunk::Chunk;
use super::growth::Growth;

/// Most bytes of a window in a key.
const WINDOW_BYTES: usize = 16;

/// The number of partitions of an output topic, and its limits on records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The number of partitions of the topic, at least 1.
    pub partitions: i32,
    /// The topic's limits on records.
    pub limits: RecordLimits,
}

/// Encodes the records of one output topic.
pub struct Output {
    topic: Arc<str>,
    key: SideEncoder,
    value: SideEncoder,
    /// The column with the timestamp of the records, if it is not the event time.
    times: Option<(usize, ColumnTimes)>,
    rekeyed: bool,
    /// The window in the keys.
    window: Option<KeyWindow>,
    placement: Placement,
    growth: Growth,
}

/// A row that could not be encoded as a record, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// The index of the row in the chunk.
    pub row: usize,
    /// The side (key or value) that could not be encoded.
    pub side: Side,
    /// The reason, in words for a user.
    pub reason: String,
}

/// The encoder for one side (key or value) of the records.
struct SideEncoder {
    encoder: Box<dyn Encoder>,
    /// The indices of the encoded fields among the columns of the result.
    columns: Vec<usize>,
}

impl Output {
    /// Creates an encoder for `sink` from rows with the columns of `schema`. If the key is `rekeyed` and has several
    /// columns, a record has a key even if all of them are null. Fails if a format cannot hold a column, which planning
    /// has ruled out.
    pub fn new(sink: &SourceDef, schema: &SchemaRef, rekeyed: bool, placement: Placement) -> Result<Self, FormatError> {
        let times = match &sink.event_time {
            Some(time) => Some((index_of(schema, &time.column)?, ColumnTimes::new(time.format.as_deref())?)),
            None => None,
        };
        let (keys, values) = (sink.layout(&sink.key, &ColumnRole::Key), sink.layout(&sink.value, &ColumnRole::Value));
        let fields = [keys.fields, values.fields].concat();
        Ok(Self {
            topic: Arc::from(sink.topic.as_str()),
            key: SideEncoder::new(sink, &sink.key, &ColumnRole::Key, schema)?,
            value: SideEncoder::new(sink, &sink.value, &ColumnRole::Value, schema)?,
            times,
            rekeyed,
            window: sink.window.map(WindowDef::key_window),
            placement,
            growth: Growth::of(fields.iter().map(|field| &**field)),
        })
    }

    /// Encodes rows as records. `partition` is the partition of the input: records without a key are written to the
    /// same partition number, which preserves their order. Rows that cannot be encoded, or that the topic would not
    /// accept at the current time `now_ms`, are left out and reported.
    pub fn encode(
        &mut self,
        chunk: &Chunk,
        partition: i32,
        now_ms: i64,
    ) -> Result<(OutBatch, Vec<Unwritten>), ArrowError> {
        let keys = self.keys(chunk);
        let values = self.value.encode(chunk, chunk.valued.as_ref());
        let (times, bad_times) = self.times(chunk)?;
        let of_side = |side: Side| move |bad: BadRow| Unwritten { row: bad.row, side, reason: bad.reason };
        let mut unwritten: Vec<Unwritten> = keys.1.into_iter().map(of_side(Side::Key)).collect();
        unwritten.extend(values.1.into_iter().chain(bad_times).map(of_side(Side::Value)));
        let parts = Parts { keys: keys.0, values: values.0, times, headers: chunk.headers.clone() };
        self.refuse(&parts, now_ms, &mut unwritten);
        let parts = if unwritten.is_empty() { parts } else { parts.without(&unwritten)? };
        Ok((self.batch(parts, partition), unwritten))
    }

    /// The keys of the records, and the rows whose keys cannot be encoded.
    fn keys(&mut self, chunk: &Chunk) -> (BinaryArray, Vec<BadRow>) {
        let present = if self.rekeyed && self.key.columns.len() > 1 { None } else { self.key.present(chunk) };
        let (keys, bad) = self.key.encode(chunk, present.as_ref());
        match (&chunk.windows, self.window) {
            (Some([starts, ends]), Some(window)) => (with_windows(&keys, starts, ends, window), bad),
            _ => (keys, bad),
        }
    }

    /// Why the topic would not accept the records of these rows because of their size; `None` if it would.
    pub fn too_large_of(&mut self, chunk: &Chunk) -> Result<Option<String>, ArrowError> {
        let (keys, values) = (self.keys(chunk).0, self.value.encode(chunk, chunk.valued.as_ref()).0);
        let parts = Parts { keys, values, times: chunk.times_ms.clone(), headers: None };
        Ok(self.too_large(&parts).into_iter().next().map(|(_, why)| why))
    }

    /// The size of a state, in bytes, above which a record with its texts and collections may be too large for the topic; `None` if
    /// none is.
    pub fn doubtful_bytes(&self) -> Option<usize> {
        self.placement.limits.bytes_max.map(|most| self.growth.state_bytes(most.saturating_sub(WINDOW_BYTES)))
    }

    /// The number of partitions of the topic.
    pub fn partitions(&self) -> i32 {
        self.placement.partitions
    }

    /// The partition of each row's key, and the rows whose keys cannot be encoded.
    pub fn places(&mut self, chunk: &Chunk) -> (Vec<i32>, Vec<Unwritten>) {
        let (keys, bad) = self.key.encode(chunk, None);
        let partition = |key: Option<&[u8]>| key.map_or(0, |key| partition_of(key, self.placement.partitions));
        let unwritten = |bad: BadRow| Unwritten { row: bad.row, side: Side::Key, reason: bad.reason };
        (keys.iter().map(partition).collect(), bad.into_iter().map(unwritten).collect())
    }

    /// The timestamps of the records; a record without a value keeps the timestamp of its input record.
    fn times(&self, chunk: &Chunk) -> Result<(Int64Array, Vec<BadRow>), ArrowError> {
        let Some((column, times)) = &self.times else { return Ok((chunk.times_ms.clone(), Vec::new())) };
        let (read, mut bad) = times.read(chunk.rows.column(*column))?;
        let Some(valued) = &chunk.valued else { return Ok((read, bad)) };
        bad.retain(|bad| valued.is_valid(bad.row));
        let time = |row: usize| if valued.is_valid(row) { read.value(row) } else { chunk.times_ms.value(row) };
        Ok(((0..chunk.len()).map(time).collect::<Vec<_>>().into(), bad))
    }

    /// Leaves out records that the topic would reject: it would reject whole batches, and with them everything in the
    /// epoch.
    fn refuse(&self, parts: &Parts, now_ms: i64, unwritten: &mut Vec<Unwritten>) {
        let mut refused = self.too_large(parts);
        refused.extend(self.out_of_time(parts, now_ms));
        if self.placement.limits.needs_key && parts.keys.null_count() > 0 {
            let fact = format!("the record has no key, and topic \"{}\" is compacted (cleanup.policy)", self.topic);
            let keyless = (0..parts.keys.len()).filter(|row| parts.keys.is_null(*row));
            refused.extend(keyless.map(|row| (row, fact.clone())));
        }
        // At most one reason per row.
        let mut seen: BTreeSet<usize> = unwritten.iter().map(|bad| bad.row).collect();
        refused.retain(|(row, _)| seen.insert(*row));
        unwritten.extend(refused.into_iter().map(|(row, reason)| Unwritten { row, side: Side::Value, reason }));
    }

    /// The records that exceed the topic's size limit, each with the reason.
    fn too_large(&self, parts: &Parts) -> Vec<(usize, String)> {
        let bytes_max = self.placement.limits.bytes_max.filter(|most| parts.bytes_at_most() > *most);
        let Some(most) = bytes_max else { return Vec::new() };
        let topic = &self.topic;
        let large = (0..parts.keys.len()).map(|row| (row, parts.bytes(row))).filter(|(_, bytes)| *bytes > most);
        let why = |bytes| {
            format!("the record has {bytes} bytes, but topic \"{topic}\" accepts at most {most} (max.message.bytes)")
        };
        large.map(|(row, bytes)| (row, why(bytes))).collect()
    }

    /// The records whose timestamp the topic does not accept, each with the reason.
    fn out_of_time(&self, parts: &Parts, now_ms: i64) -> Vec<(usize, String)> {
        let RecordLimits { ahead_ms_max, behind_ms_max, .. } = self.placement.limits;
        let latest = ahead_ms_max.map_or(i64::MAX, |ahead| now_ms.saturating_add(ahead));
        let earliest = behind_ms_max.map_or(i64::MIN, |behind| now_ms.saturating_sub(behind));
        let topic = &self.topic;
        let why = |time: i64| {
            let (ms, where_, limit) = match time > latest {
                true => (ahead_ms_max.unwrap_or(0), "ahead of", "after"),
                false => (behind_ms_max.unwrap_or(0), "behind", "before"),
            };
            let fact = format!("the timestamp {time} is more than {ms} ms {where_} the current time");
            format!("{fact}, the limit of topic \"{topic}\" (message.timestamp.{limit}.max.ms)")
        };
        let outside = parts.times.values().iter().enumerate().filter(|(_, time)| **time > latest || **time < earliest);
        outside.map(|(row, time)| (row, why(*time))).collect()
    }

    fn batch(&self, parts: Parts, partition: i32) -> OutBatch {
        let keyless = partition % self.placement.partitions;
        let place = |key: Option<&[u8]>| key.map_or(keyless, |key| partition_of(key, self.placement.partitions));
        let partitions: Vec<i32> = parts.keys.iter().map(place).collect();
        OutBatch {
            topic: self.topic.clone(),
            partitions: Some(partitions.into()),
            keys: parts.keys,
            values: parts.values,
            timestamps_ms: Some(parts.times.values().clone()),
            headers: parts.headers,
        }
    }
}

/// The columns of some records: keys, values and headers.
struct Parts {
    keys: BinaryArray,
    values: BinaryArray,
    times: Int64Array,
    headers: Option<arrow::array::ListArray>,
}

impl Parts {
    /// The size of a record in bytes: key, value and headers.
    fn bytes(&self, row: usize) -> usize {
        let length = |column: &BinaryArray, row: usize| usize::try_from(column.value_length(row)).unwrap_or(0);
        let headers = self.headers.as_ref().map_or(0, |headers| header_bytes(headers, row));
        length(&self.keys, row) + length(&self.values, row) + headers
    }

    /// An upper bound of the size of all records.
    fn bytes_at_most(&self) -> usize {
        let longest = |column: &BinaryArray| column.offsets().lengths().max().unwrap_or(0);
        let headers = self
            .headers
            .as_ref()
            .map_or(0, |headers| headers.get_array_memory_size() + HEADER_FRAME_BYTES * headers.values().len());
        longest(&self.keys) + longest(&self.values) + headers
    }

    fn without(self, unwritten: &[Unwritten]) -> Result<Self, ArrowError> {
        let mut keep = vec![true; self.keys.len()];
        unwritten.iter().for_each(|bad| keep[bad.row] = false);
        let keep = BooleanArray::from(keep);
        let kept = |column: &dyn Array| filter(column, &keep).map(|column| column.to_data());
        Ok(Self {
            keys: kept(&self.keys)?.into(),
            values: kept(&self.values)?.into(),
            times: kept(&self.times)?.into(),
            headers: self.headers.as_ref().map(|h| kept(h).map(Into::into)).transpose()?,
        })
    }
}

impl SideEncoder {
    fn new(sink: &SourceDef, side: &SideDef, role: &ColumnRole, schema: &SchemaRef) -> Result<Self, FormatError> {
        let layout = sink.layout(side, role);
        let format = sink.format_of(side, role)?;
        let columns = layout.fields.iter().map(|f| index_of(schema, f.name())).collect::<Result<_, _>>()?;
        Ok(Self { encoder: format.encoder(&layout)?, columns })
    }

    /// The rows that have this side: those in which any of its columns is not null.
    fn present(&self, chunk: &Chunk) -> Option<NullBuffer> {
        let columns: Vec<&ArrayRef> = self.columns.iter().map(|i| chunk.rows.column(*i)).collect();
        if !columns.is_empty() && columns.iter().any(|c| c.null_count() == 0) {
            return None;
        }
        Some((0..chunk.len()).map(|row| columns.iter().any(|c| c.is_valid(row))).collect())
    }

    fn encode(&mut self, chunk: &Chunk, present: Option<&NullBuffer>) -> (BinaryArray, Vec<BadRow>) {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|i| chunk.rows.column(*i).clone()).collect();
        let encoded = self.encoder.encode(&columns, chunk.len(), present);
        (encoded.payloads, encoded.bad)
    }
}

fn index_of(schema: &SchemaRef, name: &str) -> Result<usize, FormatError> {
    schema.index_of(name).map_err(|_| FormatError::Unfit(format!("the result has no column \"{name}\"")))
}
