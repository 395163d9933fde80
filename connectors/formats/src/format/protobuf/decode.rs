//! Decodes payloads to columns: the fields of a payload are found first, and then written column by column.
//!
//! Only the last value of a field counts, so that finding it and reading it are two steps; elements and entries are read
//! as they are found. Fields whose columns are not requested take the same way without a column, so they are checked by
//! the same code.

use std::slice;

use arrow::array::{Array as _, BinaryArray};

use super::WHOLE;
use super::known::{self, wrong_type};
use super::layout::message_of;
use super::map;
use super::message::{Enum, Message, Primitive};
use super::plan::{FieldPlan, Found, Plan, Reader, Shape, State};
use super::wire::{BYTES, Input};
use crate::format::batch::{Rows, Selected};
use crate::format::column::{Array, Column, ColumnFull, Values};
use crate::format::fault::{Fault, Outcome};
use crate::format::kind::FormatError;
use crate::format::text::COLUMN_FULL;
use crate::format::{Decoded, Decoder, Layout};

/// Decodes payloads of one message; see [`super`].
pub(in super::super) struct ProtobufDecoder {
    columns: Vec<Column>,
    plan: Plan,
}

impl ProtobufDecoder {
    /// A decoder for the message of a layout. Fails if a field does not exist, is requested twice or has a type that
    /// no message has.
    pub(in super::super) fn try_new(layout: &Layout, projection: &[usize]) -> Result<Self, FormatError> {
        Self::of_message(layout, projection, &message_of(&layout.fields, layout.presence)?)
    }

    /// A decoder for a message. Fails as [`Self::try_new`], or if a field has another type than its column.
    pub(super) fn of_message(layout: &Layout, projection: &[usize], message: &Message) -> Result<Self, FormatError> {
        let Selected { columns, by_field, .. } = Selected::try_new(layout, projection)?;
        let plan = Plan::new(message, &layout.fields, &by_field).map_err(FormatError::Unfit)?;
        Ok(Self { columns, plan })
    }
}

impl Decoder for ProtobufDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let mut rows = Rows::new(&mut self.columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                self.plan.read(&mut Input::new(payload), Some(columns)).map_err(|fault| fault.reason(WHOLE))
            });
        }
        rows.finish()
    }
}

impl Plan {
    /// Reads a message, adding one row to each column; without columns, it is only checked. After a fault, the columns
    /// contain partial values, which the caller must truncate.
    pub(super) fn read(&mut self, input: &mut Input<'_>, mut columns: Option<&mut [Column]>) -> Outcome<()> {
        self.find(input, columns.as_deref_mut())?;
        for (field, found) in self.fields.iter_mut().zip(&self.found) {
            if field.is_member {
                continue;
            }
            let column = column_of(field.column, &mut columns);
            if let Err(fault) = field.finish(*found, input, column) {
                return Err(fault.in_field(&field.name));
            }
        }
        self.finish_unions(input, &mut columns)?;
        for unknown in &self.unknown {
            if let Some(column) = column_of(Some(*unknown), &mut columns) {
                column.push_null();
            }
        }
        Ok(())
    }

    /// Writes the columns that are oneofs: null if the message has none of their fields.
    #[inline]
    fn finish_unions(&mut self, input: &Input<'_>, columns: &mut Option<&mut [Column]>) -> Outcome<()> {
        for union in &self.unions {
            let mut column = column_of(union.column, columns);
            let is_present = |member: &usize| self.found[*member].state != State::Absent;
            if !union.members.iter().flatten().any(is_present) {
                column.into_iter().for_each(Column::push_null);
                continue;
            }
            for (at, member) in union.members.iter().enumerate() {
                let child = column.as_deref_mut().map(|column| &mut children_of(column)[at]);
                let Some(member) = *member else {
                    child.into_iter().for_each(Column::push_null);
                    continue;
                };
                let field = &mut self.fields[member];
                if let Err(fault) = field.finish(self.found[member], input, child) {
                    return Err(fault.in_field(&field.name));
                }
            }
            column.into_iter().for_each(Column::close);
        }
        Ok(())
    }

    /// Finds the last value of each field, and reads elements and entries.
    #[inline]
    fn find(&mut self, input: &mut Input<'_>, mut columns: Option<&mut [Column]>) -> Outcome<()> {
        self.found.fill(Found::default());
        // Fields come in the order of their numbers from nearly every writer.
        let mut next = 0;
        while !input.is_empty() {
            let tag = input.tag()?;
            let index = match self.fields.get(next) {
                Some(field) if field.tag == tag => next,
                _ => match self.index_of(tag >> 3) {
                    Some(index) => index,
                    None => {
                        input.skip(tag)?;
                        continue;
                    }
                },
            };
            next = index + 1;
            let (field, found) = (&mut self.fields[index], &mut self.found[index]);
            let is_known = match field.find(tag, input, found, &mut columns) {
                Ok(is_known) => is_known,
                Err(fault) => return Err(fault.in_field(&field.name)),
            };
            match field.union {
                Some(union) if is_known => self.replace_others(index, union),
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets the other fields of a oneof.
    fn replace_others(&mut self, index: usize, union: usize) {
        let members = self.fields.iter().zip(&mut self.found).enumerate();
        members
            .filter(|(at, (field, found))| *at != index && field.union == Some(union) && found.state != State::Absent)
            .for_each(|(_, (_, found))| *found = Found::default());
    }
}

/// The column with this index, if there are columns.
#[inline]
fn column_of<'a>(index: Option<usize>, columns: &'a mut Option<&mut [Column]>) -> Option<&'a mut Column> {
    match (index, columns) {
        (Some(index), Some(columns)) => Some(&mut columns[index]),
        _ => None,
    }
}

impl FieldPlan {
    /// Keeps a value whose tag was read, or reads it if it is an element or an entry. False if the value is not one of the
    /// field, but of an unknown one: a number that an enum of proto2 does not know.
    #[inline]
    fn find(
        &mut self,
        tag: u32,
        input: &mut Input<'_>,
        found: &mut Found,
        columns: &mut Option<&mut [Column]>,
    ) -> Outcome<bool> {
        match self.shape {
            Shape::Optional | Shape::Implicit if tag == self.tag => {
                let value = input.value(tag & 7)?;
                if self.reader.leaves_out(value) {
                    return Ok(false);
                }
                if found.state != State::Absent && self.reader.merges() {
                    self.merge(value, input, found);
                } else {
                    *found = Found { state: State::Present, value };
                }
            }
            Shape::Repeated => self.find_elements(tag, input, found, column_of(self.column, columns))?,
            Shape::Map if tag == self.tag => {
                let entry = input.value(BYTES)?;
                found.value += 1;
                let column = column_of(self.column, columns);
                self.read_entry(entry, input, column).map_err(|fault| fault.in_item(found.value as usize - 1))?;
            }
            _ => return Err(wrong_type(input, tag)),
        }
        Ok(true)
    }

    /// Adds another part to a message.
    #[cold]
    fn merge(&mut self, part: u64, input: &Input<'_>, found: &mut Found) {
        if found.state == State::Present {
            self.merged.clear();
            self.merged.extend_from_slice(input.part(found.value));
        }
        self.merged.extend_from_slice(input.part(part));
        found.state = State::Merged;
    }

    /// Reads an element, or several that share one length.
    fn find_elements(
        &mut self,
        tag: u32,
        input: &mut Input<'_>,
        found: &mut Found,
        column: Option<&mut Column>,
    ) -> Outcome<()> {
        let mut items = column.map(|column| &mut *array_of(column).items);
        let count = &mut found.value;
        if tag == self.tag {
            let value = input.value(tag & 7)?;
            if self.reader.leaves_out(value) {
                return Ok(());
            }
            return self.read_element(value, input, items, count);
        }
        if tag & 7 != BYTES || !self.reader.is_packable() {
            return Err(wrong_type(input, tag));
        }
        let packed = input.value(BYTES)?;
        let mut input = input.inner(packed);
        while !input.is_empty() {
            let value = input.value(self.tag & 7)?;
            if self.reader.leaves_out(value) {
                continue;
            }
            self.read_element(value, &input, items.as_deref_mut(), count)?;
        }
        Ok(())
    }

    #[inline]
    fn read_element(
        &mut self,
        value: u64,
        input: &Input<'_>,
        items: Option<&mut Column>,
        count: &mut u64,
    ) -> Outcome<()> {
        let index = *count as usize;
        *count += 1;
        self.reader.read(value, input, items).map_err(|fault| fault.in_item(index))
    }

    /// Reads an entry of a map.
    pub(super) fn read_entry(&mut self, entry: u64, input: &Input<'_>, column: Option<&mut Column>) -> Outcome<()> {
        let Reader::Message(plan) = &mut self.reader else { unreachable!("the entries of a map are messages") };
        let mut input = input.inner(entry);
        let Some(column) = column else { return plan.read(&mut input, None) };
        let map = map::of_column(column);
        plan.read(&mut input, Some(slice::from_mut(&mut map.values)))?;
        write_key(plan, &input, &mut map.keys.data)?;
        map.keys.close().map_err(|full| column_full(&full))
    }

    /// The key of the entry that was read last.
    pub(super) fn entry_key(&self, entry: &Input<'_>) -> Outcome<Vec<u8>> {
        let Reader::Message(plan) = &self.reader else { unreachable!("the entries of a map are messages") };
        let mut key = Vec::new();
        write_key(plan, entry, &mut key)?;
        Ok(key)
    }

    /// Writes what was found of the field as one row.
    #[inline]
    fn finish(&mut self, found: Found, input: &Input<'_>, column: Option<&mut Column>) -> Outcome<()> {
        match (self.shape, found.state) {
            (Shape::Optional | Shape::Implicit, State::Present) => self.reader.read(found.value, input, column),
            (Shape::Optional | Shape::Implicit, State::Absent) if self.is_required => Err(missing(input)),
            (Shape::Implicit, State::Absent) => {
                self.reader.read(self.default, &Input::detached(&self.default_bytes), column)
            }
            (Shape::Optional, State::Absent) => {
                column.into_iter().for_each(Column::push_null);
                Ok(())
            }
            (Shape::Optional | Shape::Implicit, State::Merged) => {
                let whole = Input::detached(&self.merged);
                self.reader.read(self.merged.len() as u64, &whole, column)
            }
            (Shape::Repeated, _) => {
                if let Some(column) = column {
                    array_of(column).close();
                    column.close();
                }
                Ok(())
            }
            (Shape::Map, _) => match column {
                Some(column) => map::finish(self, input, column),
                None => Ok(()),
            },
        }
    }
}

impl Reader {
    /// Reads a value of which `value` has the bits or the part of `input`.
    #[inline]
    fn read(&mut self, value: u64, input: &Input<'_>, column: Option<&mut Column>) -> Outcome<()> {
        match self {
            Self::Scalar(primitive) => read_scalar(*primitive, value, input, column),
            Self::Enum(names) => read_enum(names, value, column),
            Self::Ignored => Ok(()),
            other => other.read_message(input.inner(value), column),
        }
    }

    fn read_message(&mut self, mut input: Input<'_>, column: Option<&mut Column>) -> Outcome<()> {
        match self {
            Self::Scalar(_) | Self::Enum(_) | Self::Ignored => unreachable!("a scalar has no fields"),
            Self::Wrapper(primitive) => {
                let value = wrapped(*primitive, &mut input)?;
                return read_scalar(*primitive, value, &input, column);
            }
            Self::Message(plan) => {
                let Some(column) = column else { return plan.read(&mut input, None) };
                plan.read(&mut input, Some(children_of(column)))?;
                column.close();
            }
            Self::Date => match (known::read_date(input)?, column) {
                (None, Some(column)) => column.push_null(),
                (days, column) => push(days.unwrap_or_default(), column, |values, days| match values {
                    Values::Date(dates) => dates.push(days),
                    _ => unreachable!("{MADE_FOR_COLUMN}"),
                }),
            },
            Self::Time => push(known::read_time(input)?, column, |values, ms| match values {
                Values::Time(times) => times.push(ms),
                _ => unreachable!("{MADE_FOR_COLUMN}"),
            }),
            Self::Timestamp => push(known::read_timestamp(input)?, column, |values, ms| match values {
                Values::Timestamp(times) => times.push(ms),
                _ => unreachable!("{MADE_FOR_COLUMN}"),
            }),
            Self::Decimal(precision, scale) => {
                let number = known::read_decimal(input, *precision, *scale)?;
                push(number, column, |values, number| match values {
                    Values::Decimal(numbers, ..) => numbers.push(number.as_i128()),
                    Values::WideDecimal(numbers, ..) => numbers.push(number),
                    _ => unreachable!("{MADE_FOR_COLUMN}"),
                });
            }
        }
        Ok(())
    }
}

#[cold]
fn missing(message: &Input<'_>) -> Box<Fault> {
    message.fault("the required field is missing")
}

/// Why a column has the type that its reader expects.
pub(super) const MADE_FOR_COLUMN: &str = "a plan is made for the types of its columns";

fn children_of(column: &mut Column) -> &mut [Column] {
    match &mut column.values {
        Values::Struct(_, children) => children,
        _ => unreachable!("{MADE_FOR_COLUMN}"),
    }
}

/// Reads a value of an enum as its name. One without a name has the name that Java gives it.
fn read_enum(names: &Enum, value: u64, column: Option<&mut Column>) -> Outcome<()> {
    let Some(column) = column else { return Ok(()) };
    let number = value as i32;
    match names.name_of(number) {
        Some(name) => push_bytes(name.as_bytes(), Some(column)),
        None => {
            let name = format!("UNKNOWN_ENUM_VALUE_{}_{number}", names.name);
            push_bytes(name.as_bytes(), Some(column))
        }
    }
}

/// Appends the key of the entry that was read last, as a text.
#[inline]
fn write_key(plan: &Plan, entry: &Input<'_>, out: &mut Vec<u8>) -> Outcome<()> {
    match plan.fields[0].reader {
        Reader::Scalar(primitive) => write_plain_key(primitive, plan.found[0].value, entry, out),
        Reader::Wrapper(primitive) => {
            let mut inner = match plan.found[0].state {
                State::Merged => Input::detached(&plan.fields[0].merged),
                _ => entry.inner(plan.found[0].value),
            };
            let value = wrapped(primitive, &mut inner)?;
            write_plain_key(primitive, value, &inner, out);
        }
        _ => unreachable!("the keys of a map are scalars"),
    }
    Ok(())
}

#[inline]
fn write_plain_key(primitive: Primitive, value: u64, input: &Input<'_>, out: &mut Vec<u8>) {
    match primitive {
        Primitive::String => out.extend_from_slice(input.part(value)),
        Primitive::Bool => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        primitive => out.extend_from_slice(itoa::Buffer::new().format(primitive.integer(value)).as_bytes()),
    }
}

fn push<T>(value: T, column: Option<&mut Column>, push: impl FnOnce(&mut Values, T)) {
    if let Some(column) = column {
        push(&mut column.values, value);
        column.close();
    }
}

/// The value of a message that wraps it: its field 1, or the default.
fn wrapped(primitive: Primitive, input: &mut Input<'_>) -> Outcome<u64> {
    let mut value = 0;
    while !input.is_empty() {
        match input.tag()? {
            tag if tag == 1 << 3 | primitive.wire() => value = input.value(tag & 7)?,
            tag if tag >> 3 == 1 => return Err(wrong_type(input, tag)),
            tag => input.skip(tag)?,
        }
    }
    Ok(value)
}

#[inline]
fn read_scalar(primitive: Primitive, value: u64, input: &Input<'_>, column: Option<&mut Column>) -> Outcome<()> {
    match primitive {
        Primitive::String => {
            let part = input.part(value);
            // Most texts are ASCII, which is found out faster.
            if !part.is_ascii() && std::str::from_utf8(part).is_err() {
                return Err(input.inner(value).fault("the text is not valid UTF-8"));
            }
            push_bytes(part, column)
        }
        Primitive::Bytes => push_bytes(input.part(value), column),
        _ => {
            if let Some(column) = column {
                push_number(primitive, value, &mut column.values);
                column.close();
            }
            Ok(())
        }
    }
}

#[inline]
fn push_bytes(part: &[u8], column: Option<&mut Column>) -> Outcome<()> {
    let Some(column) = column else { return Ok(()) };
    match &mut column.values {
        Values::String(bytes) | Values::Bytes(bytes) => bytes.push(part).map_err(|full| column_full(&full))?,
        _ => unreachable!("{MADE_FOR_COLUMN}"),
    }
    column.close();
    Ok(())
}

#[inline]
fn push_number(primitive: Primitive, bits: u64, values: &mut Values) {
    match values {
        Values::Boolean(values) => values.append(bits != 0),
        Values::Int(values) => values.push(primitive.integer(bits) as i32),
        Values::Bigint(values) => values.push(primitive.integer(bits)),
        Values::Double(values) => values.push(primitive.double(bits)),
        _ => unreachable!("{MADE_FOR_COLUMN}"),
    }
}

#[cold]
pub(super) fn column_full(_: &ColumnFull) -> Box<Fault> {
    Fault::new(None, COLUMN_FULL)
}

fn array_of(column: &mut Column) -> &mut Array {
    match &mut column.values {
        Values::Array(array) => array,
        _ => unreachable!("{MADE_FOR_COLUMN}"),
    }
}
