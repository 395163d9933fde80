//! A DOUBLE combined with a DECIMAL gives a DOUBLE.
//!
//! A literal with a decimal point is a DECIMAL, and DataFusion converts a DOUBLE that meets a DECIMAL to DECIMAL(30,
//! 15), in which 1e-20 is 0 and 1e300 does not fit. The dialect does the opposite: INT < BIGINT < DECIMAL < DOUBLE. So
//! the DECIMAL side is converted to DOUBLE before DataFusion plans.
//!
//! Operators are handled when they are lowered. This module handles functions of DataFusion, IN with a subquery, joins
//! and unions.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection, Union};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::common::widest;
use super::comparison::{comparable, incomparable};
use super::kind::{Kind, arrow_type};
use super::operator::Op;
use super::refusal::refusal;
use super::{adapt, cast, guard};

/// Functions of DataFusion that convert their arguments to one type, or that compute only with DOUBLEs.
const MIXING: &[&str] = &[
    "coalesce",
    "least",
    "greatest",
    "nullif",
    "nvl",
    "nvl2",
    "make_array",
    "array_append",
    "array_prepend",
    "array_has",
    "array_position",
    "power",
    "log",
    "atan2",
    "nanvl",
];

/// Whether a function mixes types. The dialect's own functions choose among their variants.
fn mixes(name: &str) -> bool {
    MIXING.contains(&name) && headwater_functions::find(name).is_none()
}

/// In a function call or an IN, converts DECIMALs to DOUBLE if another operand is a DOUBLE.
pub(super) fn settle_one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let settled = match expr {
        Expr::InSubquery(mut among) => {
            settle_in_subquery(&mut among, schema)?;
            Expr::InSubquery(among)
        }
        Expr::ScalarFunction(mut call) if mixes(call.func.name()) => {
            settle_all(&mut call.args, None, schema);
            Expr::ScalarFunction(call)
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(settled))
}

fn settle_in_subquery(among: &mut InSubquery, schema: &DFSchema) -> Result<()> {
    let found = among.subquery.subquery.schema().field(0).data_type().clone();
    check_in_subquery(among, schema)?;
    settle_times(among, &found, schema)?;
    settle_all([among.expr.as_mut()], Some(&found), schema);
    if found.is_decimal() && is_double(&among.expr, schema) {
        let inner = Arc::unwrap_or_clone(among.subquery.subquery.clone());
        let wanted = with_types(inner.schema(), &[Some(DataType::Float64)])?;
        among.subquery.subquery = Arc::new(coerce_plan_expr_for_schema(inner, &wanted)?);
    }
    Ok(())
}

/// Rejects an IN whose values cannot be compared with the operand.
fn check_in_subquery(among: &InSubquery, schema: &DFSchema) -> Result<()> {
    let inner = among.subquery.subquery.schema();
    let column = Expr::from(inner.columns().swap_remove(0));
    check_key((&among.expr, schema), (&column, inner))
}

/// If one side is a TIMESTAMP, converts the other, a string or a DATE, to a TIMESTAMP; it is NULL if it cannot be
/// converted. DataFusion would compare nanoseconds, and would end the query at a string that is not a valid time.
fn settle_times(among: &mut InSubquery, found: &DataType, schema: &DFSchema) -> Result<()> {
    let (sought, found) = (Kind::of(&among.expr, schema)?, Kind::of_arrow(found));
    let (Some(one), Some(other)) = (sought.known(), found.known()) else { return Ok(()) };
    let time = match comparable(Op::Equal, one, other) {
        Some(time @ (SqlType::Date | SqlType::Time | SqlType::Timestamp)) if one != other => time,
        _ => return Ok(()),
    };
    if *one != time {
        *among.expr = guard::wrap(cast::to(std::mem::take(&mut *among.expr), &time, schema)?, schema)?;
    }
    if *other != time {
        let inner = among.subquery.subquery.clone();
        let (relation, field) = inner.schema().qualified_field(0);
        let (relation, name) = (relation.cloned(), field.name().clone());
        let column = Expr::from(inner.schema().columns().swap_remove(0));
        let value = guard::wrap(cast::to(column, &time, inner.schema())?, inner.schema())?;
        let values = Projection::try_new(vec![value.alias_qualified(relation, name)], inner)?;
        among.subquery.subquery = Arc::new(LogicalPlan::Projection(values));
    }
    Ok(())
}

/// Rejects a pair of columns in IN, USING, INTERSECT or EXCEPT that cannot be compared.
fn check_key((left, left_schema): (&Expr, &DFSchema), (right, right_schema): (&Expr, &DFSchema)) -> Result<()> {
    let kinds = (Kind::of(left, left_schema)?, Kind::of(right, right_schema)?);
    let (Some(one), Some(other)) = (kinds.0.known(), kinds.1.known()) else { return Ok(()) };
    match comparable(Op::Equal, one, other).is_some() || one.is_nested() && other.is_nested() {
        true => Ok(()),
        false => Err(incomparable(Op::Equal, (left, one), (right, other))),
    }
}

/// Converts the DECIMAL side of a join key to DOUBLE if the other side is a DOUBLE.
pub(super) fn settle_join(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        check_key((left, join.left.schema()), (right, join.right.schema()))?;
        let types = (left.get_type(join.left.schema())?, right.get_type(join.right.schema())?);
        match types {
            (DataType::Float64, decimal) if decimal.is_decimal() => *right = doubled(std::mem::take(right)),
            (decimal, DataType::Float64) if decimal.is_decimal() => *left = doubled(std::mem::take(left)),
            _ => continue,
        }
        // Both sides of a USING are columns.
        join.join_constraint = JoinConstraint::On;
    }
    Ok(join)
}

/// Gives a column of numbers or times in a UNION the type that all inputs widen to. A number literal takes the type of
/// the other inputs if it fits.
pub(super) fn settle_union(union: Union) -> Result<LogicalPlan> {
    let width = union.inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
    (0..width).try_for_each(|at| check_column(&union, at))?;
    let types: Vec<Option<DataType>> = (0..width).map(|at| common_type(&union, at)).collect::<Result<_>>()?;
    let inputs = union.inputs.iter().map(|input| {
        let wanted = with_types(input.schema(), &types)?;
        match wanted.fields() == input.schema().fields() {
            true => Ok(input.clone()),
            false => coerce_plan_expr_for_schema(input.as_ref().clone(), &wanted).map(Arc::new),
        }
    });
    let schema = Arc::new(with_types(&union.schema, &types)?);
    Ok(LogicalPlan::Union(Union { inputs: inputs.collect::<Result<_>>()?, schema }))
}

/// Rejects a column of a UNION whose inputs have incompatible types, such as numbers and strings.
fn check_column(union: &Union, at: usize) -> Result<()> {
    let mut first: Option<SqlType> = None;
    for input in &union.inputs {
        let field = input.schema().field(at);
        let Some(found) = Kind::of_arrow(field.data_type()).known().cloned() else { continue };
        let differs = |before: &&SqlType| {
            let nested = before.is_nested() && found.is_nested();
            !nested && comparable(Op::Equal, before, &found).is_none()
        };
        if let Some(before) = first.as_ref().filter(differs) {
            let name = union.inputs[0].schema().field(at).name();
            let message = format!("the sides of UNION have different types in column \"{name}\": {before} and {found}");
            let hint = format!("Convert one of them: CAST(… AS {before}).");
            return Err(refusal(Diagnostic::new(PLAN, message).hint(hint), []));
        }
        first = first.or(Some(found));
    }
    Ok(())
}

/// The type of a column of a UNION if all inputs are numbers, or dates and times.
fn common_type(union: &Union, at: usize) -> Result<Option<DataType>> {
    let mut columns: Vec<(SqlType, Option<Expr>)> = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let found = Kind::of_arrow(input.schema().field(at).data_type()).known().cloned();
        let Some(found) = found.filter(|ty| ty.is_number() || matches!(ty, SqlType::Date | SqlType::Timestamp)) else {
            return Ok(None);
        };
        columns.push((found, written(input, at)));
    }
    let others = columns.iter().filter(|(_, literal)| literal.is_none()).map(|(ty, _)| ty.clone());
    let met = others.reduce(|a, b| together(&a, &b).unwrap_or(a));
    let schema = DFSchema::empty();
    let mut common = met.clone();
    for (found, literal) in &columns {
        let fits = match (literal, &met) {
            (Some(literal), Some(met)) => adapt::widens(literal, met, &schema)?,
            _ => false,
        };
        common = match common {
            Some(common) if fits => Some(common),
            Some(common) => match together(&common, found) {
                Some(both) => Some(both),
                None => return Ok(None),
            },
            None => Some(found.clone()),
        };
    }
    Ok(common.and_then(|ty| arrow_type(&ty).ok()))
}

/// The common type of two numbers, or of a DATE and a TIMESTAMP.
fn together(one: &SqlType, other: &SqlType) -> Option<SqlType> {
    match (one, other) {
        (SqlType::Date, SqlType::Timestamp) | (SqlType::Timestamp, SqlType::Date) => Some(SqlType::Timestamp),
        _ => widest(one, other),
    }
}

/// The number literal in a column of a SELECT list.
fn written(input: &LogicalPlan, at: usize) -> Option<Expr> {
    let LogicalPlan::Projection(projection) = input else { return None };
    projection.expr.get(at).filter(|expr| adapt::is_literal(expr)).cloned()
}

/// The schema with the given types, where there are any.
fn with_types(schema: &DFSchema, types: &[Option<DataType>]) -> Result<DFSchema> {
    let fields = schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let field = match types.get(at) {
            Some(Some(ty)) => Arc::new(field.as_ref().clone().with_data_type(ty.clone())),
            _ => field.clone(),
        };
        (qualifier.cloned(), field)
    });
    DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())
}

/// Converts DECIMALs to DOUBLE if one of `parts`, or the value they are combined with, is a DOUBLE. An expression whose
/// type is unknown is left to DataFusion, which reports the reason.
fn settle_all<'a>(parts: impl IntoIterator<Item = &'a mut Expr>, met: Option<&DataType>, schema: &DFSchema) {
    let mut parts: Vec<&mut Expr> = parts.into_iter().collect();
    if met.is_some_and(DataType::is_floating) || parts.iter().any(|part| is_double(part, schema)) {
        for part in &mut parts {
            if part.get_type(schema).is_ok_and(|found| found.is_decimal()) {
                **part = doubled(std::mem::take(*part));
            }
        }
    }
}

fn is_double(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|found| found.is_floating())
}

/// Converts an expression to DOUBLE. A literal is converted by its decimal digits, so that 0.1 is the same DOUBLE as in
/// Java.
fn doubled(expr: Expr) -> Expr {
    if let Expr::Literal(value, metadata) = &expr
        && let Some(number) = value.to_string().parse::<f64>().ok().filter(|_| !value.is_null())
    {
        return Expr::Literal(ScalarValue::Float64(Some(number)), metadata.clone());
    }
    Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(expr), DataType::Float64))
}
