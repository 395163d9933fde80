//! Canonical forms: GROUP BY, DISTINCT, UNION, INTERSECT, EXCEPT, IN and PARTITION BY treat maps as equal whatever the
//! order of their entries, and 0.0 as equal to -0.0. ORDER BY also treats 0.0 as equal to -0.0, and any NaN as the
//! greatest number.
//!
//! DataFusion compares and sorts rows by their bytes. So the values that it compares go through a function that gives
//! equal values one canonical form; keys of joins become bytes. Comparisons do the same themselves
//! ([`super::comparison`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, NullEquality, Result};
use datafusion::logical_expr::expr::{InSubquery, Sort};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Distinct, Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection,
    RecursiveQuery, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, logical_plan as plan,
};
use headwater_functions::{has_forms, has_maps, in_one_form};
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED};

use super::common::coerced;
use super::comparison::{comparable, incomparable};
use super::kind::Kind;
use super::operator::Op;
use super::pass::each_grouped;
use super::refusal::refusal;
use super::{kernel, ordinary};

/// The name of the function, as EXPLAIN shows it.
pub(super) const ONE_FORM: &str = "one_form";
pub(super) const IN_ORDER: &str = "in_order";
pub(super) const BYTES: &str = "bytes_of_one_form";

/// The name of the column with the canonical values of a subquery.
const KEY: &str = "headwater_key";

/// A function that gives equal values, which may have several representations, the same form.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneForm {
    form: Form,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// A value of the same type, the same for all equal values.
    Value,
    /// A value of the same type in which NaN of a DOUBLE is the greatest.
    Order,
    /// Bytes that are equal if the values are. For keys of joins, of which DataFusion needs the least and the greatest.
    Bytes,
}

impl Form {
    /// Wraps an expression in the function, if its type needs it.
    fn of(self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        if !has_forms(&expr.get_type(schema)?) || matches!(&expr, Expr::Literal(value, _) if ordinary::is_plain(value))
        {
            return Ok(expr);
        }
        let signature = Signature::any(1, Volatility::Immutable);
        Ok(ScalarUDF::from(OneForm { form: self, signature }).call(vec![expr]))
    }
}

/// The value in the form that ORDER BY sorts by.
pub(super) fn in_order(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Form::Order.of(expr, schema)
}

/// The value in its canonical form, under the name that it had.
fn named(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !has_forms(&expr.get_type(schema)?) {
        return Ok(expr);
    }
    let (relation, name) = expr.qualified_name();
    Ok(Form::Value.of(expr.unalias(), schema)?.alias_qualified(relation, name))
}

/// Converts all columns of a plan to their canonical form.
fn columns(input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    if !input.schema().fields().iter().any(|field| has_forms(field.data_type())) {
        return Ok(input);
    }
    let columns = input.schema().columns().into_iter();
    let columns = columns.map(|column| named(Expr::Column(column), input.schema())).collect::<Result<_>>()?;
    Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
}

impl ScalarUDFImpl for OneForm {
    fn name(&self) -> &'static str {
        match self.form {
            Form::Value => ONE_FORM,
            Form::Order => IN_ORDER,
            Form::Bytes => BYTES,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.form {
            Form::Value | Form::Order => types[0].clone(),
            Form::Bytes => DataType::Binary,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays| {
            Ok(match self.form {
                Form::Value => in_one_form(&arrays[0])?,
                Form::Order => headwater_functions::in_order(&arrays[0]),
                Form::Bytes => bytes(&in_one_form(&arrays[0])?)?,
            })
        })
    }
}

fn bytes(values: &ArrayRef) -> Result<ArrayRef> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(values))?;
    let row = |at: usize| values.is_valid(at).then(|| rows.row(at));
    Ok(Arc::new((0..values.len()).map(row).collect::<BinaryArray>()))
}

/// Applies to DISTINCT and ORDER BY in an aggregate, PARTITION BY and ORDER BY of a window function, and IN with a
/// subquery.
pub(super) fn settle_calls(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let settle_all =
        |parts: Vec<Expr>| parts.into_iter().map(|part| Form::Value.of(part, schema)).collect::<Result<Vec<_>>>();
    let settled = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(mut call) => {
                sorted(&mut call.params.order_by, schema)?;
                if call.params.distinct {
                    call.params.args = settle_all(call.params.args)?;
                }
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::WindowFunction(mut call) => {
                call.params.partition_by = settle_all(call.params.partition_by)?;
                sorted(&mut call.params.order_by, schema)?;
                if call.params.distinct {
                    call.params.args = settle_all(call.params.args)?;
                }
                Transformed::yes(Expr::WindowFunction(call))
            }
            Expr::InSubquery(among) => Transformed::yes(Expr::InSubquery(settle_in_subquery(among, schema)?)),
            other => Transformed::no(other),
        })
    })?;
    Ok(settled.data)
}

/// Converts sort keys to their canonical form.
fn sorted(keys: &mut [Sort], schema: &DFSchema) -> Result<()> {
    for key in keys {
        // Maps have no order and are rejected elsewhere, with a message of their own.
        if !has_maps(&key.expr.get_type(schema)?) {
            key.expr = Form::Value.of(std::mem::take(&mut key.expr), schema)?;
        }
    }
    Ok(())
}

/// Applies to ORDER BY.
pub(super) fn settle_sort(mut sort: plan::Sort) -> Result<plan::Sort> {
    sorted(&mut sort.expr, sort.input.schema())?;
    Ok(sort)
}

fn settle_in_subquery(mut among: InSubquery, schema: &DFSchema) -> Result<InSubquery> {
    let inner = among.subquery.subquery.clone();
    let column = Expr::from(inner.schema().columns().swap_remove(0));
    let sides = ((among.expr.as_ref(), schema), (&column, inner.schema().as_ref()));
    let Some((value, key)) = keys(sides.0, sides.1, NullEquality::NullEqualsNothing)? else { return Ok(among) };
    // Under a separate name, since the original column may be needed, too.
    let projection = Projection::try_new(vec![key.alias(KEY)], inner)?;
    *among.expr = value;
    among.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    Ok(among)
}

/// Converts both sides of an equality to their canonical form, if either needs it, after converting them to the type in
/// which they are compared. Types more complex than DOUBLE become bytes. If NULL equals NULL, NaN equals NaN.
fn keys(
    (left, left_schema): (&Expr, &DFSchema),
    (right, right_schema): (&Expr, &DFSchema),
    nulls: NullEquality,
) -> Result<Option<(Expr, Expr)>> {
    let types = [left.get_type(left_schema)?, right.get_type(right_schema)?];
    if !types.iter().any(has_forms) {
        return Ok(None);
    }
    let kinds = (Kind::of(left, left_schema)?, Kind::of(right, right_schema)?);
    let (Kind::Of(one), Kind::Of(other)) = &kinds else { return Ok(None) };
    let ty = comparable(Op::Equal, one, other).ok_or_else(|| incomparable(Op::Equal, (left, one), (right, other)))?;
    let key = |expr: &Expr, schema: &DFSchema| {
        let expr = coerced(expr.clone(), &ty, schema)?;
        match (expr.get_type(schema)?, nulls) {
            (DataType::Float64, NullEquality::NullEqualsNothing) => ordinary::or_null(expr, schema),
            (DataType::Float64, NullEquality::NullEqualsNull) => Form::Value.of(expr, schema),
            _ => Form::Bytes.of(expr, schema),
        }
    };
    Ok(Some((key(left, left_schema)?, key(right, right_schema)?)))
}

/// Applies to GROUP BY. An expression that appears twice, as in `GROUP BY t.a, a`, is grouped by once: DataFusion (55)
/// would fail when it plans the execution.
pub(super) fn settle_aggregate(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = aggregate.input.schema().clone();
    let named = |expr: Expr| named(expr, &schema);
    let mut group: Vec<Expr> = Vec::with_capacity(aggregate.group_expr.len());
    for expr in aggregate.group_expr {
        let expr = each_grouped(expr, &named)?;
        if !group.contains(&expr) {
            group.push(expr);
        }
    }
    Aggregate::try_new(aggregate.input, group, aggregate.aggr_expr).map(LogicalPlan::Aggregate)
}

/// Applies to SELECT DISTINCT, and to UNION, INTERSECT and EXCEPT without ALL.
pub(super) fn settle_distinct(distinct: Distinct) -> Result<Distinct> {
    Ok(match distinct {
        Distinct::All(input) => Distinct::All(columns(input)?),
        Distinct::On(mut on) => {
            let schema = on.input.schema().clone();
            let exprs = on.on_expr.into_iter().map(|expr| Form::Value.of(expr, &schema));
            on.on_expr = exprs.collect::<Result<_>>()?;
            Distinct::On(on)
        }
    })
}

/// Applies to the pairs of columns on which INTERSECT, EXCEPT and USING join.
pub(super) fn settle_join(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        if let Some(keys) = keys((left, join.left.schema()), (right, join.right.schema()), join.null_equality)? {
            (*left, *right) = keys;
            // Both sides of a USING are columns.
            join.join_constraint = JoinConstraint::On;
        }
    }
    Ok(join)
}

/// Rejects maps in the UNION of a recursive query: DataFusion compares its rows at a point where no function can be
/// inserted.
pub(super) fn check_recursive(query: &RecursiveQuery) -> Result<()> {
    let schema = query.static_term.schema();
    if !query.is_distinct || !schema.fields().iter().any(|field| has_maps(field.data_type())) {
        return Ok(());
    }
    let error = Diagnostic::new(NOT_SUPPORTED, "a recursive UNION of rows with maps is not supported yet");
    Err(refusal(error.hint("Use UNION ALL, which keeps duplicates."), []))
}
