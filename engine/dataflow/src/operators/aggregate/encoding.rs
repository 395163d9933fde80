//! The bytes that a store keeps of a group: its GROUP BY columns as the key; its event time, the addresses of the record that
//! changed it last, and the states of its aggregates as the value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, Int64Array, PrimitiveArray, UInt32Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use headwater_formats::format::{BadRow, FormatError, FormatKind, Layout};

use super::contributors::Share;
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
        let layout = Layout { fields, wrapped: false, delimiter: 0 };
        FormatKind::Compact.encoder(&layout)?;
        Ok(Self { all: (0..layout.fields.len()).collect(), layout })
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
        Some(bad) => Err(ArrowError::ComputeError(format!("the state of a group is not valid: {}", bad.reason))),
        None => Ok(()),
    }
}

/// The number of a state's columns before those of its folds.
const OWN_COLUMNS: usize = 6;

/// The encoding of states.
#[derive(Clone, Debug)]
pub struct StateEncoding {
    encoding: Encoding,
    has_shares: bool,
}

impl StateEncoding {
    /// The encoding of states whose folds have these state columns, with the share of each group if
    /// `has_shares`.
    pub fn new(columns: impl IntoIterator<Item = Field>, has_shares: bool) -> Result<Self, FormatError> {
        let own = [("time", DataType::Int64), ("offset", DataType::Int64)];
        let origin = [("origin_source", DataType::Int32), ("origin_partition", DataType::Int32)];
        let share = has_shares.then_some(("share", DataType::Binary));
        let own = own.into_iter().chain(origin).chain([("origin_offset", DataType::Int64)]).chain(share);
        let own = own.map(|(name, data_type)| Field::new(name, data_type, true));
        let encoding = Encoding::new(own.chain(columns).map(Arc::new).collect())?;
        Ok(Self { encoding, has_shares })
    }

    /// Decodes states; a null value is a new group.
    pub fn decode(&self, values: &BinaryArray) -> Result<States, ArrowError> {
        let mut columns = self.encoding.decode(values)?;
        if !self.has_shares {
            columns.insert(OWN_COLUMNS - 1, Arc::new(BinaryArray::new_null(values.len())));
        }
        Ok(States::from_columns(columns))
    }

    /// Encodes states.
    pub fn encode(&self, states: &States) -> Result<BinaryArray, ArrowError> {
        let mut columns = states.to_columns();
        if !self.has_shares {
            columns.remove(OWN_COLUMNS - 1);
        }
        self.encoding.encode(&columns, states.len())
    }
}

/// The states of groups, without their keys.
#[derive(Clone, Debug)]
pub struct States {
    /// The highest event time of each group's rows, in ms since the epoch; null for a new group.
    pub times_ms: Int64Array,
    /// The offset of the record that changed each group last; null for a new group.
    pub offsets: Int64Array,
    /// The record of the query's input that this record came from; null where it is that one itself, and for a new group.
    pub origins: Origins,
    /// The bytes of each group's [`Share`]; null for a new group and where they are not kept.
    pub shares: BinaryArray,
    /// The state columns of all folds, in order.
    pub columns: Vec<ArrayRef>,
}

impl States {
    /// The number of groups.
    pub fn len(&self) -> usize {
        self.times_ms.len()
    }

    fn from_columns(mut columns: Vec<ArrayRef>) -> Self {
        let states = columns.split_off(OWN_COLUMNS);
        let [times_ms, offsets, of_input] = [0, 1, 4].map(|at| columns[at].as_primitive().clone());
        let [sources, partitions] = [2, 3].map(|at| columns[at].as_primitive().clone());
        let origins = Origins { sources, partitions, offsets: of_input };
        let shares = columns[OWN_COLUMNS - 1].as_binary().clone();
        Self { times_ms, offsets, origins, shares, columns: states }
    }

    fn to_columns(&self) -> Vec<ArrayRef> {
        let Origins { sources, partitions, offsets } = self.origins.clone();
        let times: [ArrayRef; 2] = [Arc::new(self.times_ms.clone()), Arc::new(self.offsets.clone())];
        let origins: [ArrayRef; 3] = [Arc::new(sources), Arc::new(partitions), Arc::new(offsets)];
        let shares = Arc::new(self.shares.clone()) as ArrayRef;
        times.into_iter().chain(origins).chain([shares]).chain(self.columns.iter().cloned()).collect()
    }

    /// The states at some places; a null place is a new group.
    pub fn take(&self, places: &UInt32Array) -> Result<Self, ArrowError> {
        let columns = self.to_columns().iter().map(|column| take(column, places, None)).collect::<Result<_, _>>()?;
        Ok(Self::from_columns(columns))
    }

    /// These states, followed by others.
    pub fn and(&self, others: &Self) -> Result<Self, ArrowError> {
        let (one, other) = (self.to_columns(), others.to_columns());
        let both = one.iter().zip(&other).map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]));
        Ok(Self::from_columns(both.collect::<Result<_, _>>()?))
    }

    /// The shares of all groups; `None` for a new group. Fails if one is damaged.
    pub fn shares(&self) -> Result<Vec<Option<Share>>, ArrowError> {
        let damaged = || ArrowError::ComputeError("the partitions of a group are damaged".to_owned());
        let share = |bytes: Option<&[u8]>| bytes.map(|bytes| Share::from_bytes(bytes).ok_or_else(damaged)).transpose();
        self.shares.iter().map(share).collect()
    }

    /// The same states with other shares.
    pub fn with_shares(self, shares: &[Option<Share>]) -> Self {
        let shares = shares.iter().map(|share| share.as_ref().map(Share::to_bytes)).collect();
        Self { shares, ..self }
    }

    /// New groups.
    pub fn new_groups(&self, groups: usize) -> Result<Self, ArrowError> {
        self.take(&UInt32Array::new_null(groups))
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
