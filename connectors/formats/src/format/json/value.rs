//! Reads a JSON value into a column, with ksqlDB's conversions for each type.
//!
//! | column | accepts |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | INT, BIGINT, DATE, TIME, TIMESTAMP | a number, its fraction cut off and the rest wrapped to the type's bits; a string with an integer in range. TIME must lie within a day. In change events of Debezium, TIME and TIMESTAMP also accept a string in ISO 8601 with an offset: see [`Times`](super::dialect::Times) |
//! | DOUBLE | a number or a string with one, within range; the strings `NaN`, `Infinity`, `-Infinity` |
//! | DECIMAL | a number or a string with one that fits without rounding; in JSON_SR also a string in base64: see [`Dialect`] |
//! | STRING | anything: see [`super::text`] |
//! | BYTES | a string in base64 |
//! | ARRAY | an array |
//! | MAP, STRUCT | an object; in JSON_SR a MAP may be an array of entries: see [`super::entries`] |
//!
//! `null` is null for all of them. [`super::check`] accepts the same values for columns that are not requested.

use super::dialect::{Dialect, push_unscaled, unscaled};
use super::entries;
use super::fault::{Fault, Read};
use super::ignored::Ignored;
use super::map;
use super::record::{Field, Record};
use super::scan::Scan;
use super::text;
use super::token::Token;
use crate::format::column::{Column, ColumnFull, Values};
use crate::format::number::{self, Literal};
use crate::format::text as scalar;

/// How the values of a column are read, and what was learnt from earlier values.
pub(super) enum Plan {
    Scalar,
    /// A DECIMAL that may be a text in base64.
    Unscaled,
    /// A TIME or TIMESTAMP that may be a text with an offset, or another scalar.
    Zoned,
    Array(Box<Plan>),
    Map(Dialect, Box<Plan>),
    Struct(Box<Record>),
}

impl Plan {
    /// The plan for the values of a column, and the form of the MAPs in it.
    pub(super) fn new(column: &Column, dialect: Dialect) -> Self {
        match &column.values {
            Values::Array(array) => Self::Array(Box::new(Self::new(&array.items, dialect))),
            Values::Map(map) => Self::Map(dialect, Box::new(Self::new(&map.values, dialect))),
            Values::Struct(fields, children) => {
                let fields = fields.iter().zip(children).enumerate();
                let fields =
                    fields.map(|(at, (field, child))| Field::built(field.name(), at, Self::new(child, dialect)));
                Self::Struct(Box::new(Record::new(fields.collect())))
            }
            Values::Decimal(..) | Values::WideDecimal(..) if dialect == Dialect::Connect => Self::Unscaled,
            _ => Self::Scalar,
        }
    }

    /// Reads TIMEs and TIMESTAMPs from texts with an offset, too.
    pub(super) fn read_zoned(&mut self) {
        match self {
            Self::Scalar => *self = Self::Zoned,
            Self::Array(plan) | Self::Map(_, plan) => plan.read_zoned(),
            Self::Struct(record) => record.read_zoned(),
            Self::Unscaled | Self::Zoned => {}
        }
    }

    /// Skips these members from now on.
    pub(super) fn ignore(&mut self, ignored: &Ignored) {
        match (self, ignored.within.as_slice()) {
            (Self::Struct(record), _) => record.ignore(ignored),
            (Self::Array(plan) | Self::Map(_, plan), [within]) => plan.ignore(within),
            _ => {}
        }
    }
}

/// Reads the value at the cursor, adding one row to the column. After a fault, the column contains partial values,
/// which the caller must truncate; after a misfit, the cursor may be anywhere in the value.
#[inline]
pub(super) fn read(scan: &mut Scan<'_>, plan: &mut Plan, column: &mut Column) -> Read<()> {
    match scan.peek() {
        Some(b'"') => read_string(scan, plan, column),
        Some(b'-' | b'0'..=b'9') => read_number(scan, column),
        Some(b'n') => {
            scan.literal("null")?;
            column.push_null();
            Ok(())
        }
        Some(b't') => read_boolean(scan, column, true),
        Some(b'f') => read_boolean(scan, column, false),
        Some(b'[') => read_array(scan, plan, column),
        Some(b'{') => read_object(scan, plan, column),
        _ => Err(scan.unexpected("a value")),
    }
}

fn read_boolean(scan: &mut Scan<'_>, column: &mut Column, value: bool) -> Read<()> {
    let at = scan.at();
    let word = if value { "true" } else { "false" };
    scan.literal(word)?;
    match &mut column.values {
        Values::Boolean(bits) => bits.append(value),
        Values::String(bytes) => bytes.push(word.as_bytes()).map_err(|full| column_full(at, &full))?,
        other => return Err(mismatch(at, "a boolean", other.sql_name())),
    }
    column.close();
    Ok(())
}

#[inline]
fn read_number(scan: &mut Scan<'_>, column: &mut Column) -> Read<()> {
    let at = scan.at();
    let (literal, integral) = scan.number()?;
    match (&mut column.values, small_integer(literal, integral)) {
        (Values::Bigint(values) | Values::Timestamp(values), Some(integer)) => values.push(integer),
        (Values::Int(values) | Values::Date(values), Some(integer)) => values.push(integer as i32),
        (Values::String(bytes), Some(integer)) if integer != 0 => {
            bytes.push(literal).map_err(|full| column_full(at, &full))?;
        }
        (values, _) => push_literal(at, literal, values)?,
    }
    column.close();
    Ok(())
}

/// The value of an integer literal of at most 18 digits.
#[inline]
pub(super) fn small_integer(literal: &[u8], integral: bool) -> Option<i64> {
    let (negative, digits) = match literal {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !integral || digits.len() > 18 {
        return None;
    }
    let value = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// Reads any number into any column.
fn push_literal(at: usize, text: &[u8], values: &mut Values) -> Read<()> {
    let literal = parse_literal(at, text)?;
    match values {
        Values::Bigint(values) | Values::Timestamp(values) => values.push(literal.wrapping_i64()),
        Values::Int(values) | Values::Date(values) => values.push(literal.wrapping_i64() as i32),
        Values::Time(values) => {
            let ms = scalar::time_of_day(literal.wrapping_i64() as i32);
            values.push(ms.map_err(|why| Fault::misfit(at, why))?);
        }
        Values::Double(values) => values.push(double(at, text)?),
        Values::Decimal(..) | Values::WideDecimal(..) => {
            scalar::push_decimal(values, &literal).map_err(|why| Fault::misfit(at, why))?;
        }
        Values::String(bytes) => {
            literal.write_java(&mut bytes.data);
            bytes.close().map_err(|full| column_full(at, &full))?;
        }
        other => return Err(mismatch(at, "a number", other.sql_name())),
    }
    Ok(())
}

/// The parts of a number that the scanner has checked.
pub(super) fn parse_literal(at: usize, text: &[u8]) -> Read<Literal<'_>> {
    Literal::parse(text).ok_or_else(|| Fault::misfit(at, "not a number"))
}

fn double(at: usize, text: &[u8]) -> Read<f64> {
    let double = std::str::from_utf8(text).ok().and_then(number::finite_double);
    double.ok_or_else(|| too_large(at))
}

#[cold]
pub(super) fn too_large(at: usize) -> Box<Fault> {
    Fault::misfit(at, "the number is too large for DOUBLE")
}

#[inline]
fn read_string(scan: &mut Scan<'_>, plan: &Plan, column: &mut Column) -> Read<()> {
    let at = scan.at();
    let token = scan.string()?;
    match &mut column.values {
        Values::String(bytes) => {
            token.write(&mut bytes.data);
            bytes.close().map_err(|full| column_full(at, &full))?;
        }
        values => push_text(at, token, plan, values)?,
    }
    column.close();
    Ok(())
}

/// Reads a string into a column of another type.
fn push_text(at: usize, token: Token<'_>, plan: &Plan, values: &mut Values) -> Read<()> {
    if matches!(values, Values::Boolean(_) | Values::Array(_) | Values::Map(_) | Values::Struct(..)) {
        return Err(mismatch(at, "a string", values.sql_name()));
    }
    let text = token.text();
    let number = if let Plan::Unscaled = plan { unscaled(&text) } else { None };
    let pushed = match (number, plan) {
        (Some(number), _) => push_unscaled(values, number),
        (None, Plan::Zoned) => scalar::push(values, &text).or_else(|why| push_zoned(values, &text, why)),
        (None, _) => scalar::push(values, &text),
    };
    pushed.map_err(|why| Fault::misfit(at, why))
}

/// Pushes a text with an offset, or returns why another column than a TIME or TIMESTAMP refused the text.
#[cold]
fn push_zoned(values: &mut Values, text: &str, why: String) -> Result<(), String> {
    match values {
        Values::Timestamp(values) => values.push(scalar::instant(text)?),
        Values::Time(values) => values.push(scalar::time_in_utc(text)?),
        _ => return Err(why),
    }
    Ok(())
}

fn read_array(scan: &mut Scan<'_>, plan: &mut Plan, column: &mut Column) -> Read<()> {
    let at = scan.at();
    match (plan, &mut column.values) {
        (Plan::Array(plan), Values::Array(array)) => {
            read_items(scan, plan, &mut array.items)?;
            array.close();
        }
        (Plan::Map(Dialect::Connect, plan), Values::Map(map)) => entries::read(scan, plan, map)?,
        (_, Values::String(bytes)) => {
            text::write(scan, &mut bytes.data)?;
            bytes.close().map_err(|full| column_full(at, &full))?;
        }
        (_, other) => return Err(mismatch(at, "an array", other.sql_name())),
    }
    column.close();
    Ok(())
}

fn read_items(scan: &mut Scan<'_>, plan: &mut Plan, items: &mut Column) -> Read<()> {
    if scan.open(b']')? {
        return Ok(());
    }
    for index in 0_usize.. {
        read(scan, plan, items).map_err(|fault| in_item(fault, index))?;
        if !scan.another(b']')? {
            break;
        }
    }
    Ok(())
}

/// Adds the enclosing item to the path of the fault.
#[cold]
pub(super) fn in_item(fault: Box<Fault>, index: usize) -> Box<Fault> {
    fault.within(format!("[{index}]"))
}

fn read_object(scan: &mut Scan<'_>, plan: &mut Plan, column: &mut Column) -> Read<()> {
    let at = scan.at();
    let row = column.len();
    match (plan, &mut column.values) {
        (Plan::Struct(record), Values::Struct(_, children)) => record.read(scan, children, row)?,
        (Plan::Map(_, plan), Values::Map(map)) => map::read(scan, plan, map)?,
        (_, Values::String(bytes)) => {
            text::write(scan, &mut bytes.data)?;
            bytes.close().map_err(|full| column_full(at, &full))?;
        }
        (_, other) => return Err(mismatch(at, "an object", other.sql_name())),
    }
    column.close();
    Ok(())
}

#[cold]
pub(super) fn mismatch(at: usize, found: &str, type_name: String) -> Box<Fault> {
    Fault::misfit(at, format!("cannot read {found} as {type_name}"))
}

#[cold]
pub(super) fn column_full(at: usize, _: &ColumnFull) -> Box<Fault> {
    Fault::misfit(at, scalar::COLUMN_FULL)
}
