//! Types of DataFusion's own, brought to the dialect's where it has one for their values.
//!
//! Functions of DataFusion give unsigned numbers, timestamps in nanoseconds, texts in other layouts. An expression of the
//! dialect meets none of them: what gives one is cast right there, and what window functions and aggregates give in a
//! projection above their node. A value that the dialect's type has no room for is NULL, as in any cast. Intervals and
//! durations, for which the dialect has no type, stay.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Aggregate, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, Projection};
use headwater_language::types::SqlType;

use super::kind::{Kind, arrow_type};
use super::{average, cast, guard};

/// The expression as a value of the dialect's type.
pub(super) fn brought(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match home(&expr.get_type(schema)?) {
        Some((ty, _)) => as_type(expr, &ty, schema),
        None => Ok(expr),
    }
}

fn as_type(expr: Expr, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    let (found, wanted) = (expr.get_type(schema)?, arrow_type(ty)?);
    match is_lossless(&found) || cast::is_native(&found, &wanted) {
        true => Ok(Expr::Cast(Cast::new(Box::new(expr), wanted))),
        false => cast::call(expr, ty),
    }
}

/// A CAST to a type that is not the dialect's, such as SMALLINT or TIMESTAMP WITH TIME ZONE, made by `own`. A time is
/// brought to the dialect's TIMESTAMP at once: nanoseconds have no place for the year 1500 or 9999.
pub(super) fn cast(
    value: Expr,
    target: &DataType,
    own: impl FnOnce(Box<Expr>) -> Expr,
    schema: &DFSchema,
) -> Result<Expr> {
    if SqlType::from_arrow(target) == Some(SqlType::Timestamp) {
        let kind = Kind::of(&value, schema)?;
        if kind.known().is_some_and(|from| cast::is_supported(from, &SqlType::Timestamp)) {
            return cast::to(value, &SqlType::Timestamp, schema);
        }
    }
    brought(own(Box::new(value)), schema)
}

/// Whether it is arithmetic that is left to DataFusion: that of times and intervals.
pub(super) fn calculates(binary: &BinaryExpr) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(binary.op, Plus | Minus | Multiply | Divide | Modulo)
}

/// Arithmetic of times and intervals, guarded: a time may leave the calendar. A DATE beside a TIMESTAMP is one, too.
pub(super) fn arithmetic(binary: BinaryExpr, schema: &DFSchema) -> Result<Expr> {
    let BinaryExpr { left, op, right } = binary;
    let kinds = [Kind::of(&left, schema)?, Kind::of(&right, schema)?];
    if kinds.iter().all(|kind| kind.known().is_some_and(SqlType::is_number)) {
        return Ok(Expr::BinaryExpr(BinaryExpr { left, op, right }));
    }
    let has_timestamp = kinds.contains(&Kind::Of(SqlType::Timestamp));
    let side = |side: Expr, kind: &Kind| match has_timestamp && *kind == Kind::Of(SqlType::Date) {
        true => cast::to(side, &SqlType::Timestamp, schema),
        false => Ok(side),
    };
    let (left, right) = (Box::new(side(*left, &kinds[0])?), Box::new(side(*right, &kinds[1])?));
    guard::always(brought(Expr::BinaryExpr(BinaryExpr { left, op, right }), schema)?, schema)
}

/// Functions of DataFusion that take a DATE for a time in nanoseconds.
const OF_TIMES: &[&str] = &["date_trunc", "date_bin"];

/// The arguments of a function of DataFusion.
pub(super) fn arguments(name: &str, args: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    if !OF_TIMES.contains(&name) {
        return Ok(args);
    }
    let arg = |arg: Expr| match Kind::of(&arg, schema)? {
        Kind::Of(SqlType::Date) => cast::to(arg, &SqlType::Timestamp, schema),
        _ => Ok(arg),
    };
    args.into_iter().map(arg).collect()
}

/// The plan with what its window functions or aggregates give as values of the dialect's types.
pub(super) fn brought_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    let (input, exprs) = match &plan {
        LogicalPlan::Window(window) => (&window.input, &window.window_expr),
        LogicalPlan::Aggregate(aggregate) => (&aggregate.input, &aggregate.aggr_expr),
        _ => return Ok(plan),
    };
    let (input, schema) = (input.schema(), plan.schema());
    let given = schema.fields().len() - exprs.len();
    let wanted = exprs
        .iter()
        .zip(schema.fields().iter().skip(given))
        .map(|(expr, field)| Ok(average::type_of(expr, input)?.or_else(|| home(field.data_type()).map(|(ty, _)| ty))));
    let wanted: Vec<Option<SqlType>> = wanted.collect::<Result<_>>()?;
    if wanted.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let wanted = std::iter::repeat_n(None, given).chain(wanted);
    // Which set of GROUPING SETS a row is of is for DataFusion alone, and gone once it has planned GROUPING().
    let seen = schema.iter().zip(wanted).filter(|((_, field), _)| field.name() != Aggregate::INTERNAL_GROUPING_ID);
    let columns = seen.map(|((qualifier, field), wanted)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let Some(ty) = wanted else { return Ok(column) };
        let brought = guard::wrap(as_type(column, &ty, schema)?, schema)?;
        Ok(brought.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<_>>()?;
    Projection::try_new(columns, Arc::new(plan)).map(LogicalPlan::Projection)
}

/// The dialect's type for the values of another one.
fn home(found: &DataType) -> Option<(SqlType, DataType)> {
    let ty = SqlType::from_arrow(found)?;
    let wanted = ty.to_arrow().ok()?;
    (wanted != *found).then_some((ty, wanted))
}

/// Whether each value of a type has a place in the dialect's type for it, or the nearest one.
fn is_lossless(found: &DataType) -> bool {
    use DataType as D;
    match found {
        D::Timestamp(unit, _) => *unit != TimeUnit::Second,
        D::Utf8View
        | D::BinaryView
        | D::Float16
        | D::Float32
        | D::Int8
        | D::Int16
        | D::UInt8
        | D::UInt16
        | D::UInt32 => true,
        D::Decimal32(..) | D::Decimal64(..) | D::Date64 | D::Time32(_) | D::Time64(_) | D::FixedSizeBinary(_) => true,
        D::Dictionary(_, value) => {
            is_lossless(value)
                || SqlType::from_arrow(value).is_some_and(|ty| ty.to_arrow().as_ref() == Ok(value.as_ref()))
        }
        _ => false,
    }
}
