//! Checks values without keeping them: the same payloads are bad, for the same reason, as in [`super::read`].

use super::decimal;
use super::map::check_map;
use super::plan::{Action, Fields, Items, Plan, Text};
use super::read::{Run, read_time, read_time_micros, read_zoned};
use super::skip::skip;
use crate::format::fault::Outcome;
use crate::format::text::{instant, time_in_utc};

/// Returns the error with which a column would reject the value.
pub(super) fn check(run: &mut Run<'_>, plan: &Plan) -> Outcome<()> {
    match plan {
        Plan::Optional(null, plan) => match run.cursor.is_null(*null)? {
            true => Ok(()),
            false => check_value(run, plan),
        },
        plan => check_value(run, plan),
    }
}

#[inline]
fn check_value(run: &mut Run<'_>, plan: &Plan) -> Outcome<()> {
    let cursor = &mut run.cursor;
    match plan {
        Plan::Null => Ok(()),
        Plan::Int | Plan::IntAsLong | Plan::IntAsDouble | Plan::Text(Text::Int) => cursor.int().map(drop),
        Plan::Long | Plan::LongAsDouble | Plan::Timestamp(_) | Plan::Text(Text::Long) => cursor.long().map(drop),
        Plan::String => cursor.text().map(drop),
        Plan::Double | Plan::Text(Text::Double) => cursor.double().map(drop),
        Plan::Float | Plan::Text(Text::Float) => cursor.float().map(drop),
        Plan::Boolean | Plan::Text(Text::Boolean) => cursor.boolean().map(drop),
        Plan::Bytes => cursor.bytes().map(drop),
        Plan::Text(Text::Uuid) => cursor.take(16).map(drop),
        Plan::Fixed(size) => cursor.take(*size).map(drop),
        Plan::Enum(symbols) => cursor.symbol(symbols.len()).map(drop),
        Plan::Time => read_time(cursor).map(drop),
        Plan::TimeMicros => read_time_micros(cursor).map(drop),
        Plan::ZonedTimestamp => read_zoned(cursor, instant).map(drop),
        Plan::ZonedTime => read_zoned(cursor, time_in_utc).map(drop),
        Plan::Decimal(decimal) => decimal::read_wide(cursor, decimal).map(drop),
        Plan::Optional(..) => check(run, plan),
        Plan::Union(branches) => {
            let branch = cursor.branch(branches.len())?;
            check(run, &branches[branch])
        }
        Plan::Array(items) => check_items(run, items),
        Plan::Map(entries) => check_map(run, entries),
        Plan::Struct(fields) => check_fields(run, fields),
        Plan::Branch(_, plan) => check(run, plan),
        Plan::Misfit(reason) => Err(cursor.fault(reason.clone())),
    }
}

fn check_items(run: &mut Run<'_>, items: &Items) -> Outcome<()> {
    let mut index = 0;
    while let Some(block) = run.cursor.block(items.empty)? {
        for _ in 0..block.items {
            check(run, &items.plan).map_err(|fault| fault.in_item(index))?;
            index += 1;
        }
    }
    Ok(())
}

fn check_fields(run: &mut Run<'_>, fields: &Fields) -> Outcome<()> {
    fields.steps.iter().try_for_each(|step| check_action(run, &step.action).map_err(|fault| fault.in_field(&step.name)))
}

fn check_action(run: &mut Run<'_>, action: &Action) -> Outcome<()> {
    match action {
        Action::Skip(node) => skip(run.schema, *node, &mut run.cursor, 0),
        Action::Check(plan) | Action::Read(_, plan) => check(run, plan),
        Action::Each(actions) => {
            let start = run.cursor.place();
            actions.iter().try_for_each(|action| {
                run.cursor.return_to(start);
                check_action(run, action)
            })
        }
    }
}
