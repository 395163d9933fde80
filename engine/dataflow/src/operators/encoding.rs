//! The bytes that a store keeps of a group or of a row of a table. The key is the GROUP BY columns or the columns of the key. The
//! value is the event time, the addresses of the record that changed it last, and the states of the aggregates or the columns of
//! the row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, Int32Array, Int64Array, PrimitiveArray, UInt32Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use headwater_formats::format::{BadRow, FormatError, FormatKind, Layout};

use crate::chunk::{Chunk, Origins};

/// Encodes columns as bytes, in format COMPACT.
#[derive(Clone, Debug)]
pub struct Encoding {
    layout: Layout,
    all: Vec<usize>,
}

impl Encoding {
    /// The encoding of these columns. Fails on a type that the format does not support.
    pub fn new(fields: Vec<FieldRef>) -> Result<Self, FormatError> {
        let layout = Layout { wrapped: false, ..Layout::of(fields) };
        FormatKind::Compact.encoder(&layout)?;
        Ok(Self { all: (0..layout.fields.len()).collect(), layout })
    }

    /// The types of the columns.
    pub fn types(&self) -> Vec<DataType> {
        self.layout.fields.iter().map(|field| field.data_type().clone()).collect()
    }

    /// Encodes the columns, as one value for each row. Fails if the values exceed 2 GiB.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<BinaryArray, ArrowError> {
        let encoded = FormatKind::Compact.encoder(&self.layout).map_err(internal)?.encode(columns, rows, None);
        first(encoded.bad).map(|()| encoded.payloads)
    }

    /// Decodes the columns. Fails if the bytes are damaged.
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
        Some(bad) => Err(ArrowError::ComputeError(format!("a value in a store is not valid: {}", bad.reason))),
        None => Ok(()),
    }
}

/// The states of groups or the rows of a table, without their keys.
#[derive(Clone, Debug)]
pub struct States {
    /// The highest event time of each group's rows, or that of a row, in ms since the epoch; null for a new one.
    pub times_ms: Int64Array,
    /// The offset of the record that changed each one last; null for a new one.
    pub offsets: Int64Array,
    /// The record of the query's input that this record came from; null where it is that one itself, and for a new one.
    pub origins: Origins,
    /// The state columns of all folds, in order, or the columns of the rows.
    pub columns: Vec<ArrayRef>,
}

impl States {
    /// The encoding of states with these columns.
    pub fn encoding(columns: impl IntoIterator<Item = Field>) -> Result<Encoding, FormatError> {
        let own = [("time", DataType::Int64), ("offset", DataType::Int64)];
        let place = [("origin_source", DataType::Int32), ("origin_partition", DataType::Int32)];
        let origin = place.into_iter().chain([("origin_offset", DataType::Int64)]);
        let own = own.into_iter().chain(origin).map(|(name, data_type)| Field::new(name, data_type, true));
        Encoding::new(own.chain(columns).map(Arc::new).collect())
    }

    /// The rows of a chunk, with these columns.
    pub fn of(chunk: &Chunk, columns: Vec<ArrayRef>) -> Self {
        let rows = chunk.len();
        let origins = chunk.origins.clone().unwrap_or_else(|| Origins {
            sources: Int32Array::new_null(rows),
            partitions: Int32Array::new_null(rows),
            offsets: Int64Array::new_null(rows),
        });
        Self { times_ms: chunk.times_ms.clone(), offsets: chunk.offsets.clone(), origins, columns }
    }

    /// The number of states.
    pub fn len(&self) -> usize {
        self.times_ms.len()
    }

    /// The states at some places; a null place is a new one.
    pub fn take(&self, places: &UInt32Array) -> Result<Self, ArrowError> {
        let columns = self.all().iter().map(|column| take(column, places, None)).collect::<Result<_, _>>()?;
        Ok(Self::from_columns(columns))
    }

    /// These states, followed by others.
    pub fn and(&self, others: &Self) -> Result<Self, ArrowError> {
        let (one, other) = (self.all(), others.all());
        let both = one.iter().zip(&other).map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]));
        Ok(Self::from_columns(both.collect::<Result<_, _>>()?))
    }

    /// New ones.
    pub fn new_ones(&self, states: usize) -> Result<Self, ArrowError> {
        self.take(&UInt32Array::new_null(states))
    }

    /// Decodes states; a null value is a new one.
    pub fn decode(encoding: &Encoding, values: &BinaryArray) -> Result<Self, ArrowError> {
        encoding.decode(values).map(Self::from_columns)
    }

    /// Encodes the states.
    pub fn encode(&self, encoding: &Encoding) -> Result<BinaryArray, ArrowError> {
        encoding.encode(&self.all(), self.len())
    }

    fn from_columns(mut columns: Vec<ArrayRef>) -> Self {
        let states = columns.split_off(5);
        let [times_ms, offsets, of_input] = [0, 1, 4].map(|at| columns[at].as_primitive().clone());
        let [sources, partitions] = [2, 3].map(|at| columns[at].as_primitive().clone());
        let origins = Origins { sources, partitions, offsets: of_input };
        Self { times_ms, offsets, origins, columns: states }
    }

    /// All columns, in the order of the encoding.
    fn all(&self) -> Vec<ArrayRef> {
        let Origins { sources, partitions, offsets } = self.origins.clone();
        let times: [ArrayRef; 2] = [Arc::new(self.times_ms.clone()), Arc::new(self.offsets.clone())];
        let origins: [ArrayRef; 3] = [Arc::new(sources), Arc::new(partitions), Arc::new(offsets)];
        times.into_iter().chain(origins).chain(self.columns.iter().cloned()).collect()
    }

    /// Updates the times and addresses of groups with the rows of a chunk. Returns the time of each row's group after that row.
    pub fn advance(&mut self, groups: &[u32], chunk: &Chunk) -> Int64Array {
        let mut times: Vec<i64> = self.times_ms.iter().map(|time| time.unwrap_or(i64::MIN)).collect();
        let mut last: Vec<Option<usize>> = vec![None; times.len()];
        let mut running = Vec::with_capacity(groups.len());
        for ((row, group), time) in groups.iter().enumerate().zip(chunk.times_ms.values()) {
            let latest = &mut times[*group as usize];
            *latest = (*latest).max(*time);
            last[*group as usize] = Some(row);
            running.push(*latest);
        }
        self.times_ms = times.into();
        self.offsets = latest(&self.offsets, &last, Some(&chunk.offsets));
        let origins = chunk.origins.as_ref();
        self.origins = Origins {
            sources: latest(&self.origins.sources, &last, origins.map(|origins| &origins.sources)),
            partitions: latest(&self.origins.partitions, &last, origins.map(|origins| &origins.partitions)),
            offsets: latest(&self.origins.offsets, &last, origins.map(|origins| &origins.offsets)),
        };
        running.into()
    }

    /// The records of the query's input that changed the groups last, where the groups know them.
    pub fn origins(&self) -> Option<Origins> {
        (self.origins.partitions.null_count() + self.origins.offsets.null_count() == 0).then(|| self.origins.clone())
    }
}

/// The value of each group's last row in a batch, or the value before if the batch has no row of the group.
fn latest<T: ArrowPrimitiveType>(
    before: &PrimitiveArray<T>,
    last: &[Option<usize>],
    rows: Option<&PrimitiveArray<T>>,
) -> PrimitiveArray<T> {
    let value = |(before, last): (Option<T::Native>, &Option<usize>)| match last {
        Some(row) => rows.map(|rows| rows.value(*row)),
        None => before,
    };
    before.iter().zip(last).map(value).collect()
}
