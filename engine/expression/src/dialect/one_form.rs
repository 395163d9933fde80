//! GROUP BY, DISTINCT, UNION, INTERSECT, EXCEPT, IN and PARTITION BY take maps for equal whatever the order of their entries,
//! and 0.0 for -0.0; ORDER BY takes 0.0 for -0.0, too, and any NaN for the greatest number.
//!
//! DataFusion tells rows apart, and sorts them, by their bytes. So what it is to tell apart goes through a function that gives
//! equal values one form; keys of joins become bytes. Comparisons do the same for themselves ([`super::comparison`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, NullEquality, Result, not_impl_err};
use datafusion::logical_expr::expr::{InSubquery, Sort};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Distinct, Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection,
    RecursiveQuery, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, logical_plan as plan,
};
use headwater_functions::{has_forms, has_maps, in_one_form};

use super::common::coerced;
use super::comparison::{comparable, incomparable};
use super::kind::Kind;
use super::operator::Op;
use super::pass::each_grouped;
use super::{kernel, ordinary};

/// Names of the functions, as EXPLAIN shows them.
pub(super) const ONE_FORM: &str = "one_form";
pub(super) const IN_ORDER: &str = "in_order";
pub(super) const BYTES: &str = "bytes_of_one_form";

/// What the values of a subquery are called that are looked for by their one form.
const KEY: &str = "headwater_key";

/// What a value is told apart by of which equal ones may have several forms.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneForm {
    form: Form,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// The same value as every other that is equal to it.
    Value,
    /// The same value, of DOUBLEs with a NaN that is the greatest.
    Order,
    /// Bytes that are equal when the values are: keys of joins, whose least and greatest DataFusion wants to know.
    Bytes,
}

impl Form {
    /// The expression in this form where it may need it.
    fn of(self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        if !has_forms(&expr.get_type(schema)?) || matches!(&expr, Expr::Literal(value, _) if ordinary::is_plain(value))
        {
            return Ok(expr);
        }
        let signature = Signature::any(1, Volatility::Immutable);
        Ok(ScalarUDF::from(OneForm { form: self, signature }).call(vec![expr]))
    }
}

/// The value with its place in the order of all.
pub(super) fn in_order(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Form::Order.of(expr, schema)
}

/// The value in its one form, under the name that it had.
fn named(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !has_forms(&expr.get_type(schema)?) {
        return Ok(expr);
    }
    let (relation, name) = expr.qualified_name();
    Ok(Form::Value.of(expr.unalias(), schema)?.alias_qualified(relation, name))
}

/// A plan whose columns have their one form.
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

/// DISTINCT and ORDER BY in an aggregate, PARTITION BY and ORDER BY of a window function, IN with a subquery.
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

/// Keys by which is sorted in their one form.
fn sorted(keys: &mut [Sort], schema: &DFSchema) -> Result<()> {
    for key in keys {
        // Maps have no order: they are refused elsewhere, in their own words.
        if !has_maps(&key.expr.get_type(schema)?) {
            key.expr = Form::Value.of(std::mem::take(&mut key.expr), schema)?;
        }
    }
    Ok(())
}

/// ORDER BY.
pub(super) fn settle_sort(mut sort: plan::Sort) -> Result<plan::Sort> {
    sorted(&mut sort.expr, sort.input.schema())?;
    Ok(sort)
}

fn settle_in_subquery(mut among: InSubquery, schema: &DFSchema) -> Result<InSubquery> {
    let inner = among.subquery.subquery.clone();
    let column = Expr::from(inner.schema().columns().swap_remove(0));
    let sides = ((among.expr.as_ref(), schema), (&column, inner.schema().as_ref()));
    let Some((value, key)) = keys(sides.0, sides.1, NullEquality::NullEqualsNothing)? else { return Ok(among) };
    // Under a name of its own: the column may be needed beside it.
    let projection = Projection::try_new(vec![key.alias(KEY)], inner)?;
    *among.expr = value;
    among.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    Ok(among)
}

/// Two sides of an equality in their one form, where either may have several: first in the one type in which they are
/// compared. What is more than a DOUBLE becomes bytes. Where NULL equals NULL, a NaN does a NaN.
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

/// GROUP BY. What is there twice, as in `GROUP BY t.a, a`, is one group: DataFusion (55) fails on it when it plans its
/// execution.
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

/// SELECT DISTINCT, and UNION, INTERSECT and EXCEPT without ALL.
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

/// The pairs of columns by which INTERSECT, EXCEPT and USING join.
pub(super) fn settle_join(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        if let Some(keys) = keys((left, join.left.schema()), (right, join.right.schema()), join.null_equality)? {
            (*left, *right) = keys;
            // Of a USING both sides are columns.
            join.join_constraint = JoinConstraint::On;
        }
    }
    Ok(join)
}

/// UNION in a recursive query, which DataFusion tells rows of apart where no function can be put.
pub(super) fn check_recursive(query: &RecursiveQuery) -> Result<()> {
    let schema = query.static_term.schema();
    match query.is_distinct && schema.fields().iter().any(|field| has_maps(field.data_type())) {
        true => not_impl_err!("a recursive UNION of rows with maps; UNION ALL keeps all of them"),
        false => Ok(()),
    }
}
