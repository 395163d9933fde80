//! What a store keeps of a group, as bytes: its columns as its key; its event time, its offset and its states as the value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use headwater_formats::format::{BadRow, FormatError, FormatKind, Layout};

use crate::chunk::{Chunk, Origins};

/// Columns as bytes, in format COMPACT.
#[derive(Clone, Debug)]
pub struct Encoding {
    layout: Layout,
    all: Vec<usize>,
}

impl Encoding {
    /// The encoding of columns. Fails on a type that the format does not hold.
    pub fn new(fields: Vec<FieldRef>) -> Result<Self, FormatError> {
        let layout = Layout { fields, wrapped: false, delimiter: 0 };
        FormatKind::Compact.encoder(&layout)?;
        Ok(Self { all: (0..layout.fields.len()).collect(), layout })
    }

    /// The columns as bytes, a value for each row. Fails if they exceed 2 GiB.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<BinaryArray, ArrowError> {
        let encoded = FormatKind::Compact.encoder(&self.layout).map_err(internal)?.encode(columns, rows, None);
        first(encoded.bad).map(|()| encoded.payloads)
    }

    /// The columns of bytes. Fails if they are damaged.
    pub fn decode(&self, payloads: &BinaryArray) -> Result<Vec<ArrayRef>, ArrowError> {
        let decoded = FormatKind::Compact.decoder(&self.layout, &self.all).map_err(internal)?.decode(payloads);
        first(decoded.bad).map(|()| decoded.columns)
    }
}

fn internal(error: FormatError) -> ArrowError {
    ArrowError::ComputeError(error.to_string())
}

fn first(bad: Vec<BadRow>) -> Result<(), ArrowError> {
    match bad.into_iter().next() {
        Some(bad) => Err(ArrowError::ComputeError(format!("the state of a group is not valid: {}", bad.reason))),
        None => Ok(()),
    }
}

/// What is kept of groups, besides their keys.
#[derive(Clone, Debug)]
pub struct States {
    /// The highest event time of the rows of each group, in ms since the epoch; null for a new one.
    pub times_ms: Int64Array,
    /// The offset of the record that changed it last; null for a new one.
    pub offsets: Int64Array,
    /// Where that record came from; null for a new group, and where nothing is known about it.
    origins: Origins,
    /// The columns of all folds, one after the other.
    pub columns: Vec<ArrayRef>,
}

impl States {
    /// The encoding of states whose folds have these columns.
    pub fn encoding(columns: impl IntoIterator<Item = Field>) -> Result<Encoding, FormatError> {
        let own = [
            ("time", DataType::Int64),
            ("offset", DataType::Int64),
            ("origin partition", DataType::Int32),
            ("origin offset", DataType::Int64),
        ];
        let own = own.map(|(name, data_type)| Field::new(name, data_type, true));
        Encoding::new(own.into_iter().chain(columns).map(Arc::new).collect())
    }

    /// Reads states; null is a new group.
    pub fn decode(encoding: &Encoding, values: &BinaryArray) -> Result<Self, ArrowError> {
        let mut columns = encoding.decode(values)?;
        let states = columns.split_off(4);
        let [times_ms, offsets, origin_offsets] = [0, 1, 3].map(|at| columns[at].as_primitive().clone());
        let origins = Origins { partitions: columns[2].as_primitive().clone(), offsets: origin_offsets };
        Ok(Self { times_ms, offsets, origins, columns: states })
    }

    /// Writes states.
    pub fn encode(&self, encoding: &Encoding) -> Result<BinaryArray, ArrowError> {
        let Origins { partitions, offsets } = &self.origins;
        let own: [ArrayRef; 4] = [
            Arc::new(self.times_ms.clone()),
            Arc::new(self.offsets.clone()),
            Arc::new(partitions.clone()),
            Arc::new(offsets.clone()),
        ];
        let columns: Vec<_> = own.into_iter().chain(self.columns.iter().cloned()).collect();
        encoding.encode(&columns, self.times_ms.len())
    }

    /// Where the records came from that changed the groups last, if it is known.
    pub fn origins(&self) -> Option<Origins> {
        (self.origins.partitions.null_count() == 0).then(|| self.origins.clone())
    }

    /// Adds rows to the times and addresses of their groups; the time of each row's group after that row.
    pub fn advance(&mut self, groups: &[u32], rows: &Chunk) -> Int64Array {
        let mut times: Vec<i64> = self.times_ms.iter().map(|time| time.unwrap_or(i64::MIN)).collect();
        let mut last: Vec<usize> = vec![0; times.len()];
        let mut running = Vec::with_capacity(groups.len());
        for (row, (group, time)) in groups.iter().zip(rows.times_ms.values()).enumerate() {
            let latest = &mut times[*group as usize];
            *latest = (*latest).max(*time);
            last[*group as usize] = row;
            running.push(*latest);
        }
        self.times_ms = times.into();
        self.offsets = last.iter().map(|row| rows.offsets.value(*row)).collect();
        self.origins = match &rows.origins {
            Some(Origins { partitions, offsets }) => Origins {
                partitions: last.iter().map(|row| partitions.value(*row)).collect(),
                offsets: last.iter().map(|row| offsets.value(*row)).collect(),
            },
            None => Origins { partitions: Int32Array::new_null(last.len()), offsets: Int64Array::new_null(last.len()) },
        };
        running.into()
    }
}
