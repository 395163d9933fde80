//! Decodes payloads to columns: each column of all payloads at once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, ListArray,
    MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::nullif;
use arrow::datatypes::{
    DataType, Date32Type, FieldRef, Fields, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType, i256,
};

use super::super::batch::by_field;
use super::super::kind::FormatError;
use super::super::text::COLUMN_FULL;
use super::super::types::sql_name;
use super::super::{BadRow, Decoded, Decoder, Layout};
use super::VERSION;

/// Decodes all fields and returns the requested ones.
pub(in super::super) struct CompactDecoder {
    fields: Vec<FieldRef>,
    projection: Vec<usize>,
}

impl CompactDecoder {
    /// A decoder for a layout whose types the format supports. Fails if a field does not exist or is requested twice.
    pub(in super::super) fn try_new(layout: &Layout, projection: &[usize]) -> Result<Self, FormatError> {
        by_field(layout, projection)?;
        Ok(Self { fields: layout.fields.clone(), projection: projection.to_vec() })
    }
}

impl Decoder for CompactDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let Ok(rows) = u32::try_from(payloads.len()) else { unreachable!("offsets of 4 bytes have no room for more") };
        let rows: Vec<u32> = (0..rows).collect();
        let mut reader = Reader::new(payloads);
        let present = reader.versions(payloads, &rows);
        let nulls = reader.field_nulls(&self.fields, &rows, &present);
        let mut columns = Vec::with_capacity(self.fields.len());
        for (at, field) in self.fields.iter().enumerate() {
            reader.field = Some(at);
            columns.push(reader.values(field.data_type(), &rows, &nulls[at]));
        }
        reader.ends();
        let bad = reader.bad(&self.fields);
        let columns = self.projection.iter().map(|field| columns[*field].clone());
        let columns = match bad.is_empty() {
            true => columns.collect(),
            false => columns.map(|column| without(&column, &bad)).collect(),
        };
        Decoded { columns, bad, absent: Vec::new() }
    }
}

/// The column, null where a payload is bad.
fn without(column: &ArrayRef, bad: &[BadRow]) -> ArrayRef {
    let mut is_bad = vec![false; column.len()];
    bad.iter().for_each(|bad| is_bad[bad.row] = true);
    nullif(column, &BooleanArray::from(is_bad)).expect("every type can be null")
}

/// Reads all payloads side by side, each from its own position.
struct Reader<'a> {
    /// The rest of each payload; empty for a bad one.
    rest: Vec<&'a [u8]>,
    /// The bad payloads with the field that was being read and the reason, in the order of detection.
    bad: Vec<(u32, Option<usize>, String)>,
    is_bad: Vec<bool>,
    /// The field that is being read.
    field: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(payloads: &'a BinaryArray) -> Self {
        let rest = payloads.iter().map(Option::unwrap_or_default).collect();
        Self { rest, bad: Vec::new(), is_bad: vec![false; payloads.len()], field: None }
    }

    /// Marks a payload as bad. The first reason is kept.
    #[cold]
    fn refuse(&mut self, payload: u32, reason: impl Into<String>) {
        if !std::mem::replace(&mut self.is_bad[payload as usize], true) {
            self.bad.push((payload, self.field, reason.into()));
        }
        self.rest[payload as usize] = &[];
    }

    /// The next bytes of a payload.
    #[inline]
    fn take(&mut self, payload: u32, bytes: usize, what: &DataType) -> Option<&'a [u8]> {
        match self.rest[payload as usize].split_at_checked(bytes) {
            Some((taken, rest)) => {
                self.rest[payload as usize] = rest;
                Some(taken)
            }
            None => {
                self.refuse(payload, format!("the payload ends within a value of type {}", sql_name(what)));
                None
            }
        }
    }

    /// The next length in a payload.
    fn length(&mut self, payload: u32, what: &DataType) -> Option<usize> {
        let mut length = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.take(payload, 1, what)?[0];
            length |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let is_shortest = shift == 0 || byte > 0;
                let fits = u32::try_from(length).ok().filter(|_| is_shortest);
                return fits.map(|length| length as usize).or_else(|| self.no_length(payload, what));
            }
        }
        self.no_length(payload, what)
    }

    #[cold]
    fn no_length(&mut self, payload: u32, what: &DataType) -> Option<usize> {
        self.refuse(payload, format!("the length of a value of type {} is not valid", sql_name(what)));
        None
    }

    /// Checks the versions. Returns which payloads are not null.
    fn versions(&mut self, payloads: &BinaryArray, rows: &[u32]) -> Vec<bool> {
        let present: Vec<bool> = (0..payloads.len()).map(|row| payloads.is_valid(row)).collect();
        for row in rows.iter().filter(|row| present[**row as usize]) {
            match self.rest[*row as usize] {
                [VERSION, rest @ ..] => self.rest[*row as usize] = rest,
                [] => self.refuse(*row, "the payload is empty"),
                [version, ..] => self.refuse(*row, format!("version {version} of format COMPACT is not supported")),
            }
        }
        present
    }

    /// For each field, which payloads have a value.
    fn field_nulls(&mut self, fields: &[FieldRef], rows: &[u32], present: &[bool]) -> Vec<NullBuffer> {
        let mut valid = vec![vec![false; rows.len()]; fields.len()];
        for row in rows.iter().filter(|row| present[**row as usize]) {
            let Some(bits) = self.bitmap(*row, fields.len()) else { continue };
            for (field, valid) in valid.iter_mut().enumerate() {
                valid[*row as usize] = !is_set(bits, field);
            }
        }
        valid.into_iter().map(NullBuffer::from).collect()
    }

    /// The next `bits` bits of a payload.
    fn bitmap(&mut self, payload: u32, bits: usize) -> Option<&'a [u8]> {
        let Some((bitmap, rest)) = self.rest[payload as usize].split_at_checked(bits.div_ceil(8)) else {
            self.refuse(payload, "the payload ends within a bitmap of nulls");
            return None;
        };
        self.rest[payload as usize] = rest;
        if !bits.is_multiple_of(8) && bitmap[bits / 8] >> (bits % 8) != 0 {
            self.refuse(payload, "a bitmap of nulls has bits beyond its values");
            return None;
        }
        Some(bitmap)
    }

    /// Reads values that may be null. `places` has the payload of each value; a value whose parent is null is not stored.
    fn column(&mut self, data_type: &DataType, places: &[u32], parents: &NullBuffer) -> ArrayRef {
        let mut valid = Vec::with_capacity(places.len());
        for run in places.chunk_by(|one, next| one == next) {
            let start = valid.len();
            let inside = (start..start + run.len()).filter(|at| parents.is_valid(*at)).count();
            let bits = self.bitmap(run[0], inside);
            let mut seen = 0;
            for at in start..start + run.len() {
                let is_inside = parents.is_valid(at);
                valid.push(is_inside && bits.is_some_and(|bits| !is_set(bits, seen)));
                seen += usize::from(is_inside);
            }
        }
        self.values(data_type, places, &NullBuffer::from(valid))
    }

    /// Reads the values that are valid; the others are null and not stored.
    fn values(&mut self, data_type: &DataType, places: &[u32], valid: &NullBuffer) -> ArrayRef {
        let nulls = Some(valid.clone()).filter(|valid| valid.null_count() > 0);
        match data_type {
            DataType::Boolean => Arc::new(BooleanArray::new(self.booleans(places, valid), nulls)),
            DataType::Int32 => self.primitive::<Int32Type, 4>(data_type, places, valid, i32::from_le_bytes),
            DataType::Date32 => self.primitive::<Date32Type, 4>(data_type, places, valid, i32::from_le_bytes),
            DataType::Time32(_) => {
                self.primitive::<Time32MillisecondType, 4>(data_type, places, valid, i32::from_le_bytes)
            }
            DataType::Int64 => self.primitive::<Int64Type, 8>(data_type, places, valid, i64::from_le_bytes),
            DataType::Timestamp(..) => {
                self.primitive::<TimestampMillisecondType, 8>(data_type, places, valid, i64::from_le_bytes)
            }
            DataType::Float64 => self.primitive::<Float64Type, 8>(data_type, places, valid, f64::from_le_bytes),
            DataType::Decimal128(precision, scale) => {
                let numbers = self.numbers(data_type, places, valid, i128::from_le_bytes);
                let array = Decimal128Array::new(numbers.into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale).expect("checked by `supports`"))
            }
            DataType::Decimal256(precision, scale) => {
                let numbers = self.numbers(data_type, places, valid, i256::from_le_bytes);
                let array = Decimal256Array::new(numbers.into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale).expect("checked by `supports`"))
            }
            DataType::Utf8 => {
                let (offsets, data) = self.bytes(data_type, places, valid);
                Arc::new(StringArray::try_new(offsets, data, nulls).expect("each text was checked"))
            }
            DataType::Binary => {
                let (offsets, data) = self.bytes(data_type, places, valid);
                Arc::new(BinaryArray::new(offsets, data, nulls))
            }
            DataType::List(item) => {
                let (offsets, elements) = self.elements(data_type, places, valid);
                let items = self.column(item.data_type(), &elements, &NullBuffer::new_valid(elements.len()));
                Arc::new(ListArray::new(item.clone(), offsets, items, nulls))
            }
            DataType::Map(entries, _) => {
                let (offsets, elements) = self.elements(data_type, places, valid);
                Arc::new(MapArray::new(entries.clone(), offsets, self.entries(entries, &elements), nulls, false))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|field| self.column(field.data_type(), places, valid)).collect();
                structs(fields, columns, nulls, places.len())
            }
            other => unreachable!("{other} is refused when the decoder is created"),
        }
    }

    fn booleans(&mut self, places: &[u32], valid: &NullBuffer) -> BooleanBuffer {
        let mut boolean = |payload: u32| match self.take(payload, 1, &DataType::Boolean) {
            Some([byte @ (0 | 1)]) => *byte == 1,
            Some(_) => {
                self.refuse(payload, "a BOOLEAN is neither 0 nor 1");
                false
            }
            None => false,
        };
        places.iter().enumerate().map(|(at, payload)| valid.is_valid(at) && boolean(*payload)).collect()
    }

    fn primitive<T: ArrowPrimitiveType, const N: usize>(
        &mut self,
        data_type: &DataType,
        places: &[u32],
        valid: &NullBuffer,
        from_bytes: impl Fn([u8; N]) -> T::Native,
    ) -> ArrayRef {
        let numbers = self.numbers(data_type, places, valid, from_bytes);
        let nulls = Some(valid.clone()).filter(|valid| valid.null_count() > 0);
        Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(numbers), nulls))
    }

    fn numbers<V: Default, const N: usize>(
        &mut self,
        data_type: &DataType,
        places: &[u32],
        valid: &NullBuffer,
        from_bytes: impl Fn([u8; N]) -> V,
    ) -> Vec<V> {
        let mut number = |payload: u32| {
            let bytes = self.take(payload, N, data_type)?.first_chunk()?;
            Some(from_bytes(*bytes))
        };
        let number = |(at, payload): (usize, &u32)| valid.is_valid(at).then(|| number(*payload)).flatten();
        places.iter().enumerate().map(number).map(Option::unwrap_or_default).collect()
    }

    fn bytes(&mut self, data_type: &DataType, places: &[u32], valid: &NullBuffer) -> (OffsetBuffer<i32>, Buffer) {
        let (mut offsets, mut data) = (Vec::with_capacity(places.len() + 1), Vec::new());
        offsets.push(0);
        for (at, payload) in places.iter().enumerate() {
            if valid.is_valid(at)
                && let Some(length) = self.length(*payload, data_type)
                && let Some(value) = self.take(*payload, length, data_type)
            {
                match i32::try_from(data.len() + value.len()) {
                    Err(_) => self.refuse(*payload, COLUMN_FULL),
                    Ok(_) if *data_type == DataType::Utf8 && std::str::from_utf8(value).is_err() => {
                        self.refuse(*payload, "a STRING is not valid UTF-8");
                    }
                    Ok(_) => data.extend_from_slice(value),
                }
            }
            offsets.push(i32::try_from(data.len()).expect("checked when the value was added"));
        }
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data))
    }

    /// Reads the lengths of lists. Returns them as offsets, with the payload of each element.
    fn elements(&mut self, data_type: &DataType, places: &[u32], valid: &NullBuffer) -> (OffsetBuffer<i32>, Vec<u32>) {
        let (mut offsets, mut elements) = (Vec::with_capacity(places.len() + 1), Vec::new());
        offsets.push(0);
        let mut first = 0;
        for (at, payload) in places.iter().enumerate() {
            if at > 0 && places[at - 1] != *payload {
                first = elements.len();
            }
            let length = valid.is_valid(at).then(|| self.length(*payload, data_type)).flatten().unwrap_or(0);
            // Each element takes at least one bit of a bitmap, so a wrong length cannot allocate far more than the payload.
            let bits = self.rest[*payload as usize].len().saturating_mul(8);
            match elements.len() - first + length {
                beyond if beyond > bits => {
                    self.refuse(*payload, format!("the payload ends within a value of type {}", sql_name(data_type)));
                }
                _ if elements.len() + length > i32::MAX as usize => self.refuse(*payload, COLUMN_FULL),
                _ => elements.resize(elements.len() + length, *payload),
            }
            offsets.push(i32::try_from(elements.len()).expect("checked when the elements were added"));
        }
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), elements)
    }

    fn entries(&mut self, entries: &FieldRef, places: &[u32]) -> StructArray {
        let DataType::Struct(fields) = entries.data_type() else { unreachable!("checked by `supports`") };
        let valid = NullBuffer::new_valid(places.len());
        let keys = self.values(fields[0].data_type(), places, &valid);
        let values = self.column(fields[1].data_type(), places, &valid);
        StructArray::try_new_with_length(fields.clone(), vec![keys, values], None, places.len())
            .expect("a key and a value for each entry")
    }

    /// Marks payloads with bytes after the last value as bad.
    fn ends(&mut self) {
        self.field = None;
        for payload in 0..self.rest.len() as u32 {
            let bytes = self.rest[payload as usize].len();
            if bytes > 0 {
                self.refuse(payload, format!("{bytes} bytes follow the last value"));
            }
        }
    }

    /// The bad payloads, in ascending order.
    fn bad(mut self, fields: &[FieldRef]) -> Vec<BadRow> {
        self.bad.sort_by_key(|(payload, ..)| *payload);
        let reason = |field: Option<usize>, reason: String| match field {
            Some(at) => format!("field {} ({}): {reason}", at + 1, fields[at].name()),
            None => reason,
        };
        self.bad.into_iter().map(|(row, field, why)| BadRow { row: row as usize, reason: reason(field, why) }).collect()
    }
}

fn structs(fields: &Fields, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>, len: usize) -> ArrayRef {
    Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, len).expect("equal lengths"))
}

fn is_set(bits: &[u8], at: usize) -> bool {
    bits[at / 8] >> (at % 8) & 1 == 1
}
