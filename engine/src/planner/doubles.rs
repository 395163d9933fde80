//! DOUBLE beside DECIMAL is DOUBLE.
//!
//! A literal with a point is a DECIMAL, and DataFusion brings a DOUBLE that meets a DECIMAL to
//! DECIMAL(30, 15), where 1e-20 is 0 and 1e300 has no place. The dialect does it the other way round:
//! INT < BIGINT < DECIMAL < DOUBLE. So the decimal side is made a DOUBLE before DataFusion looks.
//!
//! Plans get there by [`DoublesRule`], single expressions (continuous queries, constants) by [`settle`]:
//! DataFusion analyzes the former and not the latter.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::expr_rewriter::{NamePreserver, coerce_plan_expr_for_schema};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, Join, LogicalPlan, Union};
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};

/// Functions whose arguments come to one type, or that only count with DOUBLEs.
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

/// Makes the DECIMAL side a DOUBLE wherever a plan brings the two together.
#[derive(Debug, Default)]
pub struct DoublesRule;

/// The rules of DataFusion with ours in front, since its own decide what is left.
pub fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(DoublesRule));
    rules
}

/// Makes the DECIMAL side a DOUBLE wherever an expression over `schema` brings the two together.
pub fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| settle_one(expr, schema)).map(|settled| settled.data)
}

impl AnalyzerRule for DoublesRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(settle_node).map(|settled| settled.data)
    }

    fn name(&self) -> &str {
        "doubles"
    }
}

fn settle_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| settle_one(expr, &schema))?.update_data(|expr| name.restore(expr)))
    })?;
    let plan = plan.map_data(|plan| match plan {
        LogicalPlan::Join(join) => settle_join(join).map(LogicalPlan::Join),
        LogicalPlan::Union(union) => settle_union(union),
        other => Ok(other),
    })?;
    plan.map_data(LogicalPlan::recompute_schema)
}

fn settle_one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let settled = match expr {
        Expr::BinaryExpr(mut binary) => {
            settle_all([binary.left.as_mut(), binary.right.as_mut()], None, schema);
            Expr::BinaryExpr(binary)
        }
        Expr::Between(mut between) => {
            let parts = [between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()];
            settle_all(parts, None, schema);
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            settle_all(std::iter::once(list.expr.as_mut()).chain(&mut list.list), None, schema);
            Expr::InList(list)
        }
        Expr::InSubquery(mut among) => {
            settle_in_subquery(&mut among, schema)?;
            Expr::InSubquery(among)
        }
        Expr::Case(mut case) => {
            settle_case(&mut case, schema);
            Expr::Case(case)
        }
        Expr::ScalarFunction(mut call) if MIXING.contains(&call.func.name()) => {
            settle_all(&mut call.args, None, schema);
            Expr::ScalarFunction(call)
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(settled))
}

/// A CASE compares its operand with each WHEN, and gives one of THEN and ELSE.
fn settle_case(case: &mut Case, schema: &DFSchema) {
    if let Some(operand) = case.expr.as_mut() {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
        settle_all(std::iter::once(operand.as_mut()).chain(whens), None, schema);
    }
    let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    settle_all(thens.chain(case.else_expr.as_deref_mut()), None, schema);
}

fn settle_in_subquery(among: &mut InSubquery, schema: &DFSchema) -> Result<()> {
    let found = among.subquery.subquery.schema().field(0).data_type().clone();
    settle_all([among.expr.as_mut()], Some(&found), schema);
    if found.is_decimal() && is_double(&among.expr, schema) {
        let inner = Arc::unwrap_or_clone(among.subquery.subquery.clone());
        let wanted = with_doubles(inner.schema(), |_| true)?;
        among.subquery.subquery = Arc::new(coerce_plan_expr_for_schema(inner, &wanted)?);
    }
    Ok(())
}

fn settle_join(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        let types = (left.get_type(join.left.schema())?, right.get_type(join.right.schema())?);
        match types {
            (DataType::Float64, decimal) if decimal.is_decimal() => *right = doubled(std::mem::take(right)),
            (decimal, DataType::Float64) if decimal.is_decimal() => *left = doubled(std::mem::take(left)),
            _ => {}
        }
    }
    Ok(join)
}

/// A column that is DOUBLE in one input of a UNION is DOUBLE in all where it is DECIMAL.
fn settle_union(union: Union) -> Result<LogicalPlan> {
    let has_double = |at: usize| {
        union
            .inputs
            .iter()
            .any(|input| matches!(input.schema().fields().get(at), Some(f) if f.data_type().is_floating()))
    };
    let schema = Arc::new(with_doubles(&union.schema, has_double)?);
    let inputs = union.inputs.iter().map(|input| {
        let wanted = with_doubles(input.schema(), has_double)?;
        match wanted.fields() == input.schema().fields() {
            true => Ok(input.clone()),
            false => coerce_plan_expr_for_schema(input.as_ref().clone(), &wanted).map(Arc::new),
        }
    });
    Ok(LogicalPlan::Union(Union { inputs: inputs.collect::<Result<_>>()?, schema }))
}

/// A schema with DOUBLE for DECIMAL in the columns that are `wanted`.
fn with_doubles(schema: &DFSchema, wanted: impl Fn(usize) -> bool) -> Result<DFSchema> {
    let fields = schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let decimal = field.data_type().is_decimal() && wanted(at);
        let field =
            if decimal { Arc::new(field.as_ref().clone().with_data_type(DataType::Float64)) } else { field.clone() };
        (qualifier.cloned(), field)
    });
    DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())
}

/// Where one of `parts` is DOUBLE, or what they meet is, those that are DECIMAL become DOUBLE. What has no type yet is
/// left to DataFusion, which says why.
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

/// The expression as a DOUBLE. A literal goes by its digits, so that 0.1 is the DOUBLE that 0.1 is in Java.
fn doubled(expr: Expr) -> Expr {
    if let Expr::Literal(value, metadata) = &expr
        && let Some(number) = value.to_string().parse::<f64>().ok().filter(|_| !value.is_null())
    {
        return Expr::Literal(ScalarValue::Float64(Some(number)), metadata.clone());
    }
    Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(expr), DataType::Float64))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Float64Array, RecordBatch};
    use datafusion::arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::config::Settings;
    use crate::planner::continuous::state;

    /// Single expressions are not analyzed by DataFusion, so continuous queries settle them themselves.
    #[test]
    fn an_expression_by_itself_is_settled_too() {
        let schema = Arc::new(Schema::new(vec![Field::new("d", DataType::Float64, true)]));
        let names = DFSchema::try_from(schema.as_ref().clone()).expect("a schema");
        let state = state(&Settings::default());
        let logical = state.create_logical_expr("\"d\" > 0.0", &names).expect("an expression");
        let settled = settle(logical, &names).expect("settles");
        let physical = state.create_physical_expr(settled, &names).expect("compiles");
        let values = Arc::new(Float64Array::from(vec![1e-20, 1e300, -1.0]));
        let rows = RecordBatch::try_new(schema, vec![values]).expect("rows");
        let found = physical.evaluate(&rows).and_then(|v| v.into_array(3)).expect("evaluates");
        assert_eq!(found.as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(true), Some(false)]);
    }
}
