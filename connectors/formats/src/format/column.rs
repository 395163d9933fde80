//! A column builder for any SQL type that can be truncated to an earlier row.
//!
//! Arrow's own builders only grow. A decoder must roll back what it has written for a record that may turn out to be
//! bad in its last byte, so each column here can be truncated, including nested ones.
//! Strings and bytes are appended straight into the buffer that becomes the array.

use std::mem;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, Decimal256Array, ListArray, MapArray,
    NullBufferBuilder, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, FieldRef, Fields, Float64Type, Int32Type, Int64Type,
    Time32MillisecondType, TimeUnit, TimestampMillisecondType, i256,
};

use super::kind::FormatError;
use super::types::sql_name;

/// A column builder.
pub(crate) struct Column {
    nulls: NullBufferBuilder,
    /// The values so far, by type. After pushing a value here, call [`Column::close`].
    pub(crate) values: Values,
}

/// The values of a [`Column`], with one variant for each SQL type.
pub(crate) enum Values {
    Boolean(BooleanBufferBuilder),
    Int(Vec<i32>),
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    WideDecimal(Vec<i256>, u8, i8),
    String(Bytes),
    Bytes(Bytes),
    Date(Vec<i32>),
    Time(Vec<i32>),
    Timestamp(Vec<i64>),
    Array(Array),
    Map(Map),
    Struct(Fields, Vec<Column>),
}

/// Elements of an ARRAY column.
pub(crate) struct Array {
    field: FieldRef,
    offsets: Vec<i32>,
    /// The elements of all rows.
    pub(crate) items: Box<Column>,
}

/// Entries of a MAP column.
pub(crate) struct Map {
    entries: FieldRef,
    offsets: Vec<i32>,
    /// The keys of all rows; each is closed with [`Bytes::close`].
    pub(crate) keys: Bytes,
    /// The values of all rows, one for each key.
    pub(crate) values: Box<Column>,
}

/// Variable-length values, stored consecutively with the end of each.
pub(crate) struct Bytes {
    offsets: Vec<i32>,
    /// The bytes of all values. Append a value here, then close it.
    pub(crate) data: Vec<u8>,
}

/// The error for a column that exceeds 2 GiB in one batch.
#[derive(Debug)]
pub(crate) struct ColumnFull;

impl Column {
    /// An empty column of the type; fails for a type that is not in the table of [`super`].
    pub(crate) fn try_new(data_type: &DataType) -> Result<Self, FormatError> {
        Ok(Self { nulls: NullBufferBuilder::new(0), values: Values::try_new(data_type)? })
    }

    /// The number of complete rows.
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Completes a row whose value has been pushed to `values`.
    #[inline]
    pub(crate) fn close(&mut self) {
        self.nulls.append_non_null();
    }

    /// Adds a null row.
    pub(crate) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Boolean(bits) => bits.append(false),
            Values::Int(v) | Values::Date(v) | Values::Time(v) => v.push(0),
            Values::Bigint(v) | Values::Timestamp(v) => v.push(0),
            Values::Double(v) => v.push(0.0),
            Values::Decimal(v, ..) => v.push(0),
            Values::WideDecimal(v, ..) => v.push(i256::ZERO),
            Values::String(bytes) | Values::Bytes(bytes) => bytes.close_empty(),
            Values::Array(array) => repeat_last(&mut array.offsets),
            Values::Map(map) => repeat_last(&mut map.offsets),
            Values::Struct(_, children) => children.iter_mut().for_each(Column::push_null),
        }
    }

    /// Removes every row from `len` on, and what has been written of an incomplete one.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len);
        match &mut self.values {
            Values::Boolean(bits) => bits.truncate(len),
            Values::Int(v) | Values::Date(v) | Values::Time(v) => v.truncate(len),
            Values::Bigint(v) | Values::Timestamp(v) => v.truncate(len),
            Values::Double(v) => v.truncate(len),
            Values::Decimal(v, ..) => v.truncate(len),
            Values::WideDecimal(v, ..) => v.truncate(len),
            Values::String(bytes) | Values::Bytes(bytes) => bytes.truncate(len),
            Values::Array(array) => array.truncate(len),
            Values::Map(map) => map.truncate(len),
            Values::Struct(_, children) => children.iter_mut().for_each(|child| child.truncate(len)),
        }
    }

    /// Returns the rows as an array; the column is empty afterwards, with the same capacity.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let len = self.len();
        let nulls = self.nulls.finish();
        self.nulls = NullBufferBuilder::new(len);
        match &mut self.values {
            Values::Boolean(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Int(v) => primitive::<Int32Type>(v, nulls),
            Values::Bigint(v) => primitive::<Int64Type>(v, nulls),
            Values::Double(v) => primitive::<Float64Type>(v, nulls),
            Values::Date(v) => primitive::<Date32Type>(v, nulls),
            Values::Time(v) => primitive::<Time32MillisecondType>(v, nulls),
            Values::Timestamp(v) => primitive::<TimestampMillisecondType>(v, nulls),
            Values::Decimal(v, precision, scale) => {
                let array = Decimal128Array::new(take(v).into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale).expect("checked by Values::try_new"))
            }
            Values::WideDecimal(v, precision, scale) => {
                let array = Decimal256Array::new(take(v).into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale).expect("checked by Values::try_new"))
            }
            Values::String(bytes) => Arc::new(bytes.finish_text(nulls)),
            Values::Bytes(bytes) => {
                let (offsets, data) = bytes.finish();
                Arc::new(BinaryArray::new(offsets, data, nulls))
            }
            Values::Array(array) => {
                let offsets = take_offsets(&mut array.offsets);
                Arc::new(ListArray::new(array.field.clone(), offsets, array.items.finish(), nulls))
            }
            Values::Map(map) => Arc::new(map.finish(nulls)),
            Values::Struct(fields, children) => {
                let columns = children.iter_mut().map(Column::finish).collect();
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, len).expect("equal lengths"))
            }
        }
    }
}

impl Values {
    fn try_new(data_type: &DataType) -> Result<Self, FormatError> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int32 => Self::Int(Vec::new()),
            DataType::Int64 => Self::Bigint(Vec::new()),
            DataType::Float64 => Self::Double(Vec::new()),
            DataType::Decimal128(p, s) if valid_decimal(*p, *s, 38) => Self::Decimal(Vec::new(), *p, *s),
            DataType::Decimal256(p, s) if valid_decimal(*p, *s, 76) => Self::WideDecimal(Vec::new(), *p, *s),
            DataType::Utf8 => Self::String(Bytes::new()),
            DataType::Binary => Self::Bytes(Bytes::new()),
            DataType::Date32 => Self::Date(Vec::new()),
            DataType::Time32(TimeUnit::Millisecond) => Self::Time(Vec::new()),
            DataType::Timestamp(TimeUnit::Millisecond, None) => Self::Timestamp(Vec::new()),
            DataType::List(field) if field.is_nullable() => {
                let items = Box::new(Column::try_new(field.data_type())?);
                Self::Array(Array { field: field.clone(), offsets: vec![0], items })
            }
            DataType::Map(entries, false) => Self::Map(Map::try_new(entries)?),
            DataType::Struct(fields) if fields.iter().all(|field| field.is_nullable()) => {
                let children =
                    fields.iter().map(|field| Column::try_new(field.data_type())).collect::<Result<_, _>>()?;
                Self::Struct(fields.clone(), children)
            }
            other => return Err(FormatError::unknown_type(&sql_name(other))),
        })
    }
}

impl Values {
    /// The type's name in SQL.
    pub(crate) fn sql_name(&self) -> String {
        match self {
            Self::Boolean(_) => "BOOLEAN".into(),
            Self::Int(_) => "INT".into(),
            Self::Bigint(_) => "BIGINT".into(),
            Self::Double(_) => "DOUBLE".into(),
            Self::Decimal(_, precision, scale) | Self::WideDecimal(_, precision, scale) => {
                format!("DECIMAL({precision}, {scale})")
            }
            Self::String(_) => "STRING".into(),
            Self::Bytes(_) => "BYTES".into(),
            Self::Date(_) => "DATE".into(),
            Self::Time(_) => "TIME".into(),
            Self::Timestamp(_) => "TIMESTAMP".into(),
            Self::Array(array) => sql_name(&DataType::List(array.field.clone())),
            Self::Map(map) => sql_name(&DataType::Map(map.entries.clone(), false)),
            Self::Struct(fields, _) => sql_name(&DataType::Struct(fields.clone())),
        }
    }
}

/// True for a precision and scale that a DECIMAL of this many digits at most may have.
pub(crate) fn valid_decimal(precision: u8, scale: i8, precision_max: u8) -> bool {
    (1..=precision_max).contains(&precision) && (0..=precision as i8).contains(&scale)
}

impl Array {
    /// Completes a row with the items pushed since the previous one.
    pub(crate) fn close(&mut self) {
        self.offsets.push(self.items.len() as i32);
    }

    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.items.truncate(self.offsets[len] as usize);
    }
}

impl Map {
    fn try_new(entries: &FieldRef) -> Result<Self, FormatError> {
        let refused = || FormatError::unknown_type(&sql_name(&DataType::Map(entries.clone(), false)));
        let DataType::Struct(fields) = entries.data_type() else { return Err(refused()) };
        match fields.as_ref() {
            [key, value] if key.data_type() == &DataType::Utf8 && value.is_nullable() => Ok(Self {
                entries: entries.clone(),
                offsets: vec![0],
                keys: Bytes::new(),
                values: Box::new(Column::try_new(value.data_type())?),
            }),
            _ => Err(refused()),
        }
    }

    /// Completes a row with the entries pushed since the previous one.
    pub(crate) fn close(&mut self) {
        self.offsets.push(self.keys.len() as i32);
    }

    /// The number of entries in complete rows.
    pub(crate) fn closed_entries(&self) -> usize {
        self.offsets[self.offsets.len() - 1] as usize
    }

    /// Removes every entry from `len` on.
    pub(crate) fn truncate_entries(&mut self, len: usize) {
        self.keys.truncate(len);
        self.values.truncate(len);
    }

    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.truncate_entries(self.offsets[len] as usize);
    }

    fn finish(&mut self, nulls: Option<arrow::buffer::NullBuffer>) -> MapArray {
        let DataType::Struct(fields) = self.entries.data_type() else { unreachable!("checked by Map::try_new") };
        let len = self.keys.len();
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish_text(None)), self.values.finish()];
        let entries = StructArray::try_new_with_length(fields.clone(), columns, None, len).expect("one value a key");
        MapArray::new(self.entries.clone(), take_offsets(&mut self.offsets), entries, nulls, false)
    }
}

impl Bytes {
    /// No values.
    pub(crate) fn new() -> Self {
        Self { offsets: vec![0], data: Vec::new() }
    }

    /// The number of complete values.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// A complete value.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.data[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Appends a whole value.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<(), ColumnFull> {
        self.data.extend_from_slice(value);
        self.close()
    }

    /// Completes a value with what has been appended to `data` since the previous one.
    #[inline]
    pub(crate) fn close(&mut self) -> Result<(), ColumnFull> {
        self.offsets.push(i32::try_from(self.data.len()).map_err(|_| ColumnFull)?);
        Ok(())
    }

    /// Removes every value from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.data.truncate(self.offsets[len] as usize);
    }

    fn close_empty(&mut self) {
        repeat_last(&mut self.offsets);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        (take_offsets(&mut self.offsets), Buffer::from_vec(take(&mut self.data)))
    }

    fn finish_text(&mut self, nulls: Option<arrow::buffer::NullBuffer>) -> StringArray {
        let (offsets, data) = self.finish();
        StringArray::try_new(offsets, data, nulls).expect("decoders append only whole UTF-8 texts")
    }
}

fn repeat_last(offsets: &mut Vec<i32>) {
    offsets.push(offsets[offsets.len() - 1]);
}

fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    mem::replace(values, room)
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = take(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<arrow::buffer::NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(take(values)), nulls))
}
