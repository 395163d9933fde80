//! Conversion of DataFusion's own types to the dialect's, where the dialect has a type for their values.
//!
//! DataFusion's functions return unsigned numbers, timestamps in nanoseconds and strings in other layouts, which
//! expressions of the dialect do not support. So the result of such a function is cast immediately, and the results of
//! window functions and aggregates are cast in a projection above their node. A value out of range for the dialect's
//! type is NULL, as in any cast. Intervals and durations, for which the dialect has no type, are left unchanged.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Aggregate, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, Projection};
use headwater_language::types::SqlType;

use super::kind::{Kind, arrow_type};
use super::{average, cast, guard};

/// Converts an expression to the dialect's type.
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

/// A CAST to a type that is not the dialect's, such as SMALLINT or TIMESTAMP WITH TIME ZONE; `own` creates it. A time
/// is converted to the dialect's TIMESTAMP immediately: nanoseconds cannot represent the year 1500 or 9999.
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

/// Whether this is arithmetic on times and intervals, which is left to DataFusion.
pub(super) fn calculates(binary: &BinaryExpr) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(binary.op, Plus | Minus | Multiply | Divide | Modulo)
}

/// Arithmetic on times and intervals, guarded because the result may be out of range. A DATE beside a TIMESTAMP is
/// converted to one.
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

/// Functions of DataFusion that treat a DATE as a time in nanoseconds.
const OF_TIMES: &[&str] = &["date_trunc", "date_bin"];

/// Converts the arguments of a DataFusion function.
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

/// Converts the results of a plan's window functions or aggregates to the dialect's types.
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
    // The column that identifies the grouping set of a row is internal to DataFusion, and removed once GROUPING() is
    // planned.
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

/// The dialect's type for the values of a DataFusion type.
fn home(found: &DataType) -> Option<(SqlType, DataType)> {
    let ty = SqlType::from_arrow(found)?;
    let wanted = ty.to_arrow().ok()?;
    (wanted != *found).then_some((ty, wanted))
}

/// Whether every value of a type can be converted to the dialect's type for it, exactly or rounded.
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
