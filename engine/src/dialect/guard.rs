//! Where an expression fails for a row, it is NULL for that row.
//!
//! DataFusion ends a query at the first error. A guard is a function that holds an expression and evaluates it over the
//! columns it reads, its arguments; when that fails, the rows are halved until those that fail are alone. To the
//! optimizer it is a call like any other. Continuous queries do the same at the root of every expression, where
//! they report the row; elements of constructors have their guards there, too.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::physical_plan::PhysicalExpr;

use super::cast::CastTo;
use super::constructor::{ARRAY, Constructor, STRUCT};
use super::failures;
use super::halves::by_halves;
use super::like::LIKE;
use super::operator::{Op, Operation};
use super::ordinary::{COMPARED, TOLD_APART};
use super::simplify::simplified;
use super::unordered::{BYTES_WITHOUT_ORDER, WITHOUT_ORDER};
use crate::functions::ELEMENT;

/// The expression, guarded where it may fail and stands by itself: it has no subquery of many rows, and no lambda around it.
pub(super) fn wrap(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !may_fail(&expr) || !is_closed(&expr) {
        return Ok(expr);
    }
    match expr {
        Expr::Alias(alias) => Ok(wrap(*alias.expr, schema)?.alias_qualified(alias.relation, alias.name)),
        other => Guarded::call(other, schema),
    }
}

/// The largest parts of an expression that can be guarded, guarded: all of it, or the arguments of an aggregate.
pub(super) fn wrap_parts(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let guarded = expr.transform_down(|expr| {
        if matches!(expr, Expr::Alias(_) | Expr::Column(_) | Expr::Literal(..)) {
            return Ok(Transformed::no(expr));
        }
        if matches!(expr, Expr::Lambda(_)) || !may_fail(&expr) {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        match is_closed(&expr) {
            true => Ok(Transformed::new(Guarded::call(expr, schema)?, true, TreeNodeRecursion::Jump)),
            false => Ok(Transformed::no(expr)),
        }
    })?;
    Ok(guarded.data)
}

/// A condition, guarded: on the way of AND each part by itself, and of a comparison each side, so that joins know it.
pub(super) fn wrap_condition(condition: Expr, schema: &DFSchema) -> Result<Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let left = Box::new(wrap_condition(*left, schema)?);
            let right = Box::new(wrap_condition(*right, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_null_propagating(op) => {
            let left = Box::new(wrap_parts(*left, schema)?);
            let right = Box::new(wrap_parts(*right, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        other => wrap_parts(other, schema),
    }
}

/// Comparisons that are not true where a side is NULL.
fn is_null_propagating(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Whether an expression may fail for a row. Nodes of DataFusion's own that are left do not: what can fail is a function.
fn may_fail(expr: &Expr) -> bool {
    expr.exists(|node| {
        Ok(match node {
            Expr::ScalarFunction(call) => !is_total(call),
            Expr::HigherOrderFunction(_) => true,
            _ => false,
        })
    })
    .unwrap_or(true)
}

/// Functions that have a value for every row.
fn is_total(call: &datafusion::logical_expr::expr::ScalarFunction) -> bool {
    let function = call.func.inner();
    if let Some(operation) = function.downcast_ref::<Operation>() {
        return operation.op.is_comparison() || operation.op == Op::Concat;
    }
    if let Some(cast) = function.downcast_ref::<CastTo>() {
        return matches!(cast.ty, crate::types::SqlType::String);
    }
    let names = [
        "get_field",
        "coalesce",
        "nullif",
        "nvl",
        ELEMENT,
        ARRAY,
        STRUCT,
        LIKE,
        WITHOUT_ORDER,
        BYTES_WITHOUT_ORDER,
        COMPARED,
        TOLD_APART,
    ];
    function.downcast_ref::<Guarded>().is_some()
        || function.downcast_ref::<Constructor>().is_some()
        || names.contains(&function.name())
}

/// Whether it reads columns of its own row and nothing else, and gives the same again.
fn is_closed(expr: &Expr) -> bool {
    let mut bound: BTreeSet<String> = BTreeSet::new();
    let mut free: BTreeSet<String> = BTreeSet::new();
    let closed = !expr
        .exists(|node| {
            Ok(match node {
                Expr::Lambda(lambda) => {
                    bound.extend(lambda.params.iter().cloned());
                    false
                }
                Expr::LambdaVariable(variable) => {
                    free.insert(variable.name.clone());
                    false
                }
                // NOW() and its like have a value only once the whole query is simplified.
                Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
                Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
                | Expr::GroupingSet(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::Placeholder(_)
                | Expr::ScalarVariable(..) => true,
                _ => false,
            })
        })
        .unwrap_or(true);
    closed && free.is_subset(&bound)
}

/// An expression that is a function of the columns it reads.
#[derive(Debug)]
pub(super) struct Guarded {
    /// The expression over columns that are called by their places among the arguments.
    expr: Expr,
    schema: Arc<DFSchema>,
    data_type: DataType,
    compiled: OnceLock<Arc<dyn PhysicalExpr>>,
    signature: Signature,
}

impl Guarded {
    fn call(expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let data_type = expr.get_type(schema)?;
        // Columns of the query around a subquery, and a subquery for a value, are arguments like others: they become columns
        // when they are joined.
        let mut args: Vec<Expr> = Vec::new();
        let expr = expr.transform_up(|node| {
            if !matches!(node, Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_)) {
                return Ok(Transformed::no(node));
            }
            let at = args.iter().position(|arg| *arg == node).unwrap_or_else(|| {
                args.push(node);
                args.len() - 1
            });
            Ok(Transformed::yes(Expr::Column(Column::from_name(at.to_string()))))
        })?;
        let fields =
            args.iter().enumerate().map(|(at, arg)| Ok(Field::new(at.to_string(), arg.get_type(schema)?, true)));
        let fields: Vec<Field> = fields.collect::<Result<_>>()?;
        let inner = DFSchema::try_from(Schema::new(fields))?;
        let guarded = Self::new(expr.data, Arc::new(inner), data_type);
        Ok(ScalarUDF::from(guarded).call(args))
    }

    fn new(expr: Expr, schema: Arc<DFSchema>, data_type: DataType) -> Self {
        let signature =
            Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable);
        Self { expr, schema, data_type, compiled: OnceLock::new(), signature }
    }

    /// The expression in the words of its columns, for plans that are shown.
    pub fn with_args(&self, args: &[Expr]) -> Expr {
        let told = self.expr.clone().transform_up(|node| match &node {
            Expr::Column(column) => {
                let arg = column.name.parse::<usize>().ok().and_then(|at| args.get(at));
                Ok(arg.map_or_else(|| Transformed::no(node.clone()), |arg| Transformed::yes(arg.clone())))
            }
            _ => Ok(Transformed::no(node)),
        });
        told.map_or_else(|_| self.expr.clone(), |told| told.data)
    }

    fn physical(&self) -> Result<&Arc<dyn PhysicalExpr>> {
        if let Some(compiled) = self.compiled.get() {
            return Ok(compiled);
        }
        let context = SimplifyContext::builder().with_schema(self.schema.clone()).build();
        let simplified = simplified(self.expr.clone(), context)?;
        let compiled = datafusion::physical_expr::create_physical_expr(
            &simplified,
            &self.schema,
            &ExecutionProps::new(),
            &Default::default(),
        )?;
        Ok(self.compiled.get_or_init(|| compiled))
    }

    /// Its value for every row; NULL for those it fails on, which are told.
    fn evaluate(
        &self,
        physical: &Arc<dyn PhysicalExpr>,
        rows: &RecordBatch,
        options: &ConfigOptions,
    ) -> Result<ArrayRef> {
        let whole = |rows: &RecordBatch| {
            let values = physical.evaluate(rows)?.into_array(rows.num_rows())?;
            Ok(if values.data_type() == &self.data_type { values } else { cast(&values, &self.data_type)? })
        };
        by_halves(rows, &self.data_type, &whole, &mut |_, error| failures::tell(options, error))
    }
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.expr == other.expr && self.schema == other.schema
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &'static str {
        "headwater_guarded"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.with_args(args).to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.data_type.clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let physical = self.physical()?;
        let wanted = self.schema.fields().iter();
        let column = |(arg, field): (&ColumnarValue, &FieldRef)| {
            let values = arg.to_array(args.number_rows)?;
            // The optimizer asks what an expression gives for columns of NULL, which have no type then.
            Ok(if values.data_type().is_null() { new_null_array(field.data_type(), values.len()) } else { values })
        };
        let columns: Vec<ArrayRef> = args.args.iter().zip(wanted).map(column).collect::<Result<_>>()?;
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Field::new(at.to_string(), column.data_type().clone(), true))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        self.evaluate(physical, &rows, &args.config_options).map(ColumnarValue::Array)
    }
}
