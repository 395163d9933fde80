//! Runs plans: reads values into columns, as straight as the payload allows.

use super::super::column::{Bytes, Column, Values};
use super::super::number::MS_A_DAY;
use super::super::text::{COLUMN_FULL, instant, time_in_utc};
use super::check::check;
use super::cursor::Cursor;
use super::decimal;
use super::map::read_map;
use super::plan::{Action, Fields, Items, Plan};
use super::quick;
use super::schema::AvroSchema;
use super::skip::skip;
use super::text::push_text;
use crate::format::fault::{Fault, Outcome};

/// The payload that is being read.
pub(super) struct Run<'a> {
    pub(super) cursor: Cursor<'a>,
    /// The writer's schema, for the values that are skipped.
    pub(super) schema: &'a AvroSchema,
}

/// Reads a record, adding a row to each column. After a fault the columns hold a part of a row, which the caller
/// removes.
pub(super) fn read_fields(run: &mut Run<'_>, fields: &Fields, columns: &mut [Column]) -> Outcome<()> {
    let mut at = 0;
    while let Some(step) = fields.steps.get(at) {
        if !step.quick.is_empty() && run.cursor.pass(|rest| quick::pass(&step.quick, rest)) {
            at += step.quick.len();
            continue;
        }
        at += 1;
        let read = match &step.action {
            Action::Read(column, plan) => read(run, plan, &mut columns[*column]),
            Action::Check(plan) => check(run, plan),
            Action::Skip(node) => skip(run.schema, *node, &mut run.cursor, 0),
            Action::Each(actions) => read_each(run, actions, columns),
        };
        if let Err(fault) = read {
            return Err(fault.in_field(&step.name));
        }
    }
    for (column, default) in &fields.missing {
        match default {
            Some(default) => default.push(&mut columns[*column])?,
            None => columns[*column].push_null(),
        }
    }
    Ok(())
}

/// Reads a value once for each column that its name matches.
#[cold]
fn read_each(run: &mut Run<'_>, actions: &[Action], columns: &mut [Column]) -> Outcome<()> {
    let start = run.cursor.place();
    for action in actions {
        run.cursor.return_to(start);
        match action {
            Action::Read(column, plan) => read(run, plan, &mut columns[*column])?,
            Action::Check(plan) => check(run, plan)?,
            Action::Skip(_) | Action::Each(_) => {}
        }
    }
    Ok(())
}

/// Reads a value, adding a row to the column.
#[inline]
pub(super) fn read(run: &mut Run<'_>, plan: &Plan, column: &mut Column) -> Outcome<()> {
    match plan {
        Plan::Optional(null, plan) => match run.cursor.is_null(*null)? {
            true => column.push_null(),
            false => return read_value(run, plan, column),
        },
        Plan::Union(branches) => return read_branch(run, branches, column),
        Plan::Null => column.push_null(),
        plan => return read_value(run, plan, column),
    }
    Ok(())
}

fn read_branch(run: &mut Run<'_>, branches: &[Plan], column: &mut Column) -> Outcome<()> {
    // Unions do not contain unions.
    match &branches[run.cursor.branch(branches.len())?] {
        Plan::Null => {
            column.push_null();
            Ok(())
        }
        plan => read_value(run, plan, column),
    }
}

/// Reads a value that is not null.
#[inline]
fn read_value(run: &mut Run<'_>, plan: &Plan, column: &mut Column) -> Outcome<()> {
    let cursor = &mut run.cursor;
    match (plan, &mut column.values) {
        (Plan::Long, Values::Bigint(values) | Values::Timestamp(values)) => values.push(cursor.long()?),
        (Plan::Int, Values::Int(values) | Values::Date(values)) => values.push(cursor.int()?),
        (Plan::String, Values::String(bytes)) => push_bytes(bytes, cursor.text()?, cursor)?,
        (Plan::Double, Values::Double(values)) => values.push(cursor.double()?),
        (Plan::Boolean, Values::Boolean(bits)) => bits.append(cursor.boolean()?),
        (Plan::Bytes, Values::Bytes(bytes)) => push_bytes(bytes, cursor.bytes()?, cursor)?,
        (Plan::IntAsLong, Values::Bigint(values) | Values::Timestamp(values)) => values.push(cursor.int()?.into()),
        (Plan::IntAsDouble, Values::Double(values)) => values.push(cursor.int()?.into()),
        (Plan::LongAsDouble, Values::Double(values)) => values.push(cursor.long()? as f64),
        (Plan::Float, Values::Double(values)) => values.push(cursor.float()?.into()),
        (Plan::Timestamp(per_ms), Values::Timestamp(values)) => values.push(cursor.long()?.div_euclid(*per_ms)),
        _ => read_other(run, plan, &mut column.values)?,
    }
    column.close();
    Ok(())
}

fn read_other(run: &mut Run<'_>, plan: &Plan, values: &mut Values) -> Outcome<()> {
    let cursor = &mut run.cursor;
    match (plan, values) {
        (Plan::Time, Values::Time(values)) => values.push(read_time(cursor)?),
        (Plan::TimeMicros, Values::Time(values)) => values.push(read_time_micros(cursor)?),
        (Plan::ZonedTimestamp, Values::Timestamp(values)) => values.push(read_zoned(cursor, instant)?),
        (Plan::ZonedTime, Values::Time(values)) => values.push(read_zoned(cursor, time_in_utc)?),
        (Plan::Fixed(size), Values::Bytes(bytes)) => push_bytes(bytes, cursor.take(*size)?, cursor)?,
        (Plan::Enum(symbols), Values::String(bytes)) => {
            let symbol = &symbols[cursor.symbol(symbols.len())?];
            push_bytes(bytes, symbol.as_bytes(), cursor)?;
        }
        (Plan::Text(text), Values::String(bytes)) => push_text(cursor, *text, bytes)?,
        (Plan::Decimal(decimal), Values::Decimal(values, ..)) => values.push(decimal::read(cursor, decimal)?),
        (Plan::Decimal(decimal), Values::WideDecimal(values, ..)) => values.push(decimal::read_wide(cursor, decimal)?),
        (Plan::Array(items), Values::Array(array)) => {
            read_items(run, items, &mut array.items)?;
            array.close();
        }
        (Plan::Map(entries), Values::Map(values)) => read_map(run, entries, values)?,
        (Plan::Struct(fields), Values::Struct(_, children)) => read_fields(run, fields, children)?,
        (Plan::Branch(child, plan), Values::Struct(_, children)) => {
            read(run, plan, &mut children[*child])?;
            let others = children.iter_mut().enumerate().filter(|(at, _)| at != child);
            others.for_each(|(_, other)| other.push_null());
        }
        (Plan::Misfit(reason), _) => return Err(cursor.fault(reason.clone())),
        (plan, values) => unreachable!("{plan:?} is for another type than {}", values.sql_name()),
    }
    Ok(())
}

/// Adds a whole value to a column of texts or bytes.
#[inline]
pub(super) fn push_bytes(bytes: &mut Bytes, value: &[u8], cursor: &Cursor<'_>) -> Outcome<()> {
    bytes.push(value).map_err(|_| cursor.fault(COLUMN_FULL))
}

/// Milliseconds within a day.
pub(super) fn read_time(cursor: &mut Cursor<'_>) -> Outcome<i32> {
    let at = cursor.at();
    let ms = cursor.int()?;
    if (0..MS_A_DAY).contains(&ms) { Ok(ms) } else { Err(no_time(at)) }
}

/// The whole milliseconds of microseconds within a day.
pub(super) fn read_time_micros(cursor: &mut Cursor<'_>) -> Outcome<i32> {
    let at = cursor.at();
    let ms = cursor.long()?.div_euclid(1000);
    let ms = i32::try_from(ms).ok().filter(|ms| (0..MS_A_DAY).contains(ms));
    ms.ok_or_else(|| no_time(at))
}

/// A text with an offset from UTC, which `parse` understands.
pub(super) fn read_zoned<T>(cursor: &mut Cursor<'_>, parse: impl Fn(&str) -> Result<T, String>) -> Outcome<T> {
    let at = cursor.at();
    let text = String::from_utf8_lossy(cursor.text()?);
    parse(&text).map_err(|reason| Fault::at(at, reason))
}

#[cold]
fn no_time(at: usize) -> Box<Fault> {
    Fault::at(at, "a TIME must be within a day")
}

fn read_items(run: &mut Run<'_>, items: &Items, column: &mut Column) -> Outcome<()> {
    let mut index = 0;
    while let Some(block) = run.cursor.block(items.empty)? {
        for _ in 0..block.items {
            read(run, &items.plan, column).map_err(|fault| fault.in_item(index))?;
            index += 1;
        }
    }
    Ok(())
}
