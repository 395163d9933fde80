//! Writes cells by a plan that [`super::write_plan`] makes.

use arrow::datatypes::i256;

use super::cells::{Cells, Values};
use crate::format::fault::{Fault, NULL_REFUSED, Outcome};
use crate::format::float::write_float;
use crate::format::unscaled::{has_digits, rescaled, shortest};
use crate::format::varint::{put_varint, zigzag};

/// Where a value is written, and what is written if there is none.
#[derive(Debug)]
pub(super) struct Slot {
    /// What is written for a null: the branch of null or the default. If there is neither, the row is bad.
    pub(super) null: Option<Vec<u8>>,
    /// The branch of a union that is written in front of a value.
    pub(super) branch: Option<usize>,
    pub(super) write: Write,
}

/// How a value that is not null is written.
#[derive(Debug)]
pub(super) enum Write {
    Boolean,
    /// An INT, DATE or TIME as an int or a long, which are written in the same way.
    Int,
    /// A BIGINT or TIMESTAMP as a long.
    Long,
    /// A TIME or TIMESTAMP in a smaller unit than milliseconds, and how many of it are one.
    Scaled(i64),
    /// An INT as a float.
    IntAsFloat,
    /// An INT as a double.
    IntAsDouble,
    /// A DOUBLE as a float.
    Float,
    Double,
    Decimal(Decimal),
    /// A STRING or BYTES.
    Bytes,
    /// BYTES of exactly this length.
    Fixed(usize),
    /// A STRING that is one of these symbols, which are sorted, with their numbers.
    Enum(Vec<(Box<str>, usize)>),
    Array(Box<Slot>),
    Map(Box<Slot>),
    /// A MAP as an array of records: the branch of the key, if it is a union, and the slot of the value.
    Entries(Option<usize>, Box<Slot>),
    Struct(Vec<Part>),
    /// A STRUCT as a union: for each of its fields the branch.
    Branches(Vec<Slot>),
}

/// A decimal of a schema, for a column.
#[derive(Debug)]
pub(super) struct Decimal {
    /// The number of its bytes, if it is a fixed.
    pub(super) size: Option<usize>,
    /// How many more digits after the point the schema has.
    pub(super) shift: i64,
    /// The schema's precision, up to 76.
    pub(super) precision: u8,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: Box<str>,
    pub(super) source: Source,
}

#[derive(Debug)]
pub(super) enum Source {
    /// The column of this index.
    Column(usize, Slot),
    /// The same bytes in each row.
    Constant(Vec<u8>),
}

/// Writes the fields of a record.
pub(super) fn write_parts(parts: &[Part], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) -> Outcome<()> {
    for part in parts {
        match &part.source {
            Source::Column(column, slot) => {
                slot.write(&cells[*column], row, out).map_err(|fault| fault.in_field(&part.name))?;
            }
            Source::Constant(bytes) => out.extend_from_slice(bytes),
        }
    }
    Ok(())
}

impl Slot {
    /// Writes a cell.
    #[inline]
    pub(super) fn write(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        if cells.is_null(row) {
            return match &self.null {
                Some(null) => {
                    out.extend_from_slice(null);
                    Ok(())
                }
                None => Err(Fault::of_row(NULL_REFUSED)),
            };
        }
        if let Some(branch) = self.branch {
            write_length(branch, out);
        }
        self.write.value(cells, row, out)
    }
}

impl Write {
    #[inline]
    fn value(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match (self, &cells.values) {
            (Self::Int, Values::Int(values)) => write_long(values[row].into(), out),
            (Self::Long, Values::Long(values)) => write_long(values[row], out),
            (Self::Bytes, Values::Text(texts)) => write_bytes(texts.value(row).as_bytes(), out),
            (Self::Bytes, Values::Bytes(bytes)) => write_bytes(bytes.value(row), out),
            (Self::Double, Values::Double(values)) => out.extend_from_slice(&values[row].to_le_bytes()),
            (Self::Boolean, Values::Boolean(values)) => out.push(values.value(row).into()),
            _ => self.other(cells, row, out)?,
        }
        Ok(())
    }

    fn other(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match (self, &cells.values) {
            (Self::Scaled(per_ms), Values::Int(values)) => write_long(i64::from(values[row]) * per_ms, out),
            (Self::Scaled(per_ms), Values::Long(values)) => {
                let scaled = values[row].checked_mul(*per_ms);
                let beyond = || Fault::of_row("the TIMESTAMP is out of the range of the schema's type");
                write_long(scaled.ok_or_else(beyond)?, out);
            }
            (Self::IntAsFloat, Values::Int(values)) => out.extend_from_slice(&(values[row] as f32).to_le_bytes()),
            (Self::IntAsDouble, Values::Int(values)) => out.extend_from_slice(&f64::from(values[row]).to_le_bytes()),
            (Self::Float, Values::Double(values)) => write_float(values[row], out)?,
            (Self::Decimal(decimal), Values::Decimal(values)) => {
                decimal.write(i256::from_i128(values[row]), out)?;
            }
            (Self::Decimal(decimal), Values::WideDecimal(values)) => decimal.write(values[row], out)?,
            (Self::Fixed(size), Values::Bytes(bytes)) => write_fixed(bytes.value(row), *size, out)?,
            (Self::Enum(symbols), Values::Text(texts)) => write_symbol(texts.value(row), symbols, out)?,
            (Self::Struct(parts), Values::Struct(children)) => write_parts(parts, children, row, out)?,
            (Self::Branches(slots), Values::Struct(children)) => write_branch(slots, children, row, out)?,
            _ => self.items(cells, row, out)?,
        }
        Ok(())
    }

    fn items(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match (self, &cells.values) {
            (Self::Array(slot), Values::Array(offsets, items)) => write_block(offsets, row, out, |index, item, out| {
                slot.write(items, item, out).map_err(|fault| fault.in_item(index))
            }),
            (Self::Map(slot), Values::Map(offsets, keys, values)) => write_block(offsets, row, out, |_, entry, out| {
                let key = keys.value(entry).as_bytes();
                write_bytes(key, out);
                slot.write(values, entry, out).map_err(|fault| fault.in_entry(key))
            }),
            (Self::Entries(branch, slot), Values::Map(offsets, keys, values)) => {
                write_block(offsets, row, out, |_, entry, out| {
                    let key = keys.value(entry).as_bytes();
                    branch.iter().for_each(|branch| write_length(*branch, out));
                    write_bytes(key, out);
                    slot.write(values, entry, out).map_err(|fault| fault.in_entry(key))
                })
            }
            (write, _) => unreachable!("{write:?} is for another type of column"),
        }
    }
}

/// Writes the items of a row as one block, and the end of the blocks.
fn write_block(
    offsets: &[i32],
    row: usize,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, usize, &mut Vec<u8>) -> Outcome<()>,
) -> Outcome<()> {
    let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
    if start < end {
        write_length(end - start, out);
        (start..end).try_for_each(|item| write(item - start, item, out))?;
    }
    out.push(0);
    Ok(())
}

fn write_branch(slots: &[Slot], children: &[Cells<'_>], row: usize, out: &mut Vec<u8>) -> Outcome<()> {
    let mut present = (0..children.len()).filter(|child| !children[*child].is_null(row));
    match (present.next(), present.next()) {
        (Some(child), None) => slots[child].write(&children[child], row, out),
        (None, _) => Err(Fault::of_row("no field of the union has a value")),
        (Some(_), Some(_)) => Err(Fault::of_row("several fields of the union have a value")),
    }
}

fn write_fixed(bytes: &[u8], size: usize, out: &mut Vec<u8>) -> Outcome<()> {
    if bytes.len() != size {
        return Err(Fault::of_row(format!("the value has {} bytes, not {size}", bytes.len())));
    }
    out.extend_from_slice(bytes);
    Ok(())
}

fn write_symbol(text: &str, symbols: &[(Box<str>, usize)], out: &mut Vec<u8>) -> Outcome<()> {
    match symbols.binary_search_by(|(symbol, _)| (**symbol).cmp(text)) {
        Ok(at) => write_length(symbols[at].1, out),
        Err(_) => return Err(Fault::of_row(format!("\"{text}\" is not a symbol of the enum"))),
    }
    Ok(())
}

impl Decimal {
    fn write(&self, unscaled: i256, out: &mut Vec<u8>) -> Outcome<()> {
        let fits = |number: &i256| has_digits(*number, self.precision);
        let number = rescaled(unscaled, self.shift).filter(fits).map(i256::to_be_bytes);
        let number = number.ok_or_else(|| Fault::of_row("the number does not fit the schema's decimal"))?;
        let bytes = shortest(&number);
        match self.size {
            None => write_bytes(bytes, out),
            Some(size) if bytes.len() <= size => {
                let sign = if number[0] >= 0x80 { 0xff } else { 0 };
                out.resize(out.len() + size - bytes.len(), sign);
                out.extend_from_slice(bytes);
            }
            Some(size) => return Err(Fault::of_row(format!("the number does not fit in {size} bytes"))),
        }
        Ok(())
    }
}

/// Writes an int or a long.
#[inline]
pub(super) fn write_long(long: i64, out: &mut Vec<u8>) {
    match zigzag(long) {
        folded @ 0..0x80 => out.push(folded as u8),
        folded => write_longer(folded, out),
    }
}

/// Apart from short ones, so that those stay small where they are inlined.
#[inline(never)]
fn write_longer(folded: u64, out: &mut Vec<u8>) {
    put_varint(folded, out);
}

/// Writes a length, a count or an index.
#[inline]
pub(super) fn write_length(length: usize, out: &mut Vec<u8>) {
    write_long(length as i64, out);
}

/// Writes a length and as many bytes.
#[inline]
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}
