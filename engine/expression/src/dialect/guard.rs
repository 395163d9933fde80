//! If an expression fails for a row, its value is NULL for that row.
//!
//! DataFusion ends a query at the first error. A guard is a function that contains an expression and evaluates it over
//! its arguments: the columns that it reads, and parts that must stay visible outside, such as subqueries and NOW(). If
//! the evaluation fails, the rows are halved until the failing rows are isolated. To the optimizer a guard is an
//! ordinary call. Continuous queries do the same at the root of every expression, where they report the row; in them,
//! too, the elements of constructors have their own guards.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, exec_err};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::physical_plan::PhysicalExpr;
use headwater_functions::{ELEMENT, clock};

use super::cast::CastTo;
use super::constructor::{ARRAY, Constructor, STRUCT};
use super::failures;
use super::field::GET_FIELD;
use super::halves::by_halves;
use super::like::LIKE;
use super::negation::Negation;
use super::one_form::{BYTES, IN_ORDER, ONE_FORM};
use super::operator::{Op, Operation};
use super::ordinary::OR_NULL;
use super::simplify::simplified;
use super::user::UserFunction;

/// Guards an expression that may fail, unless it is inside a lambda.
pub(super) fn wrap(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !may_fail(&expr) {
        return Ok(expr);
    }
    match expr {
        open if !is_closed(&open, has_predicates) => wrap_parts(open, schema),
        Expr::Alias(alias) => Ok(wrap(*alias.expr, schema)?.alias_qualified(alias.relation, alias.name)),
        other => Guarded::call(other, schema),
    }
}

/// Guards an expression even if it consists only of DataFusion's own nodes: arithmetic on times, which may fail.
pub(super) fn always(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if is_closed(&expr, has_predicates) { Guarded::call(expr, schema) } else { Ok(expr) }
}

/// Guards the largest parts of an expression that can be guarded: all of it, or the arguments of an aggregate.
pub(super) fn wrap_parts(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let guarded = expr.transform_down(|expr| {
        if matches!(expr, Expr::Alias(_) | Expr::Column(_) | Expr::Literal(..)) {
            return Ok(Transformed::no(expr));
        }
        if matches!(expr, Expr::Lambda(_)) || !may_fail(&expr) {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        // Conditions that become joins stay outside the guard, unless they are arguments of something that may fail
        // itself.
        match is_closed(&expr, has_predicates) || fails_itself(&expr) && is_closed(&expr, |_| false) {
            true => Ok(Transformed::new(Guarded::call(expr, schema)?, true, TreeNodeRecursion::Jump)),
            false => Ok(Transformed::no(expr)),
        }
    })?;
    Ok(guarded.data)
}

/// Guards a condition: each operand of an AND separately, and each side of a comparison, so that joins recognize it.
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

/// Comparisons that are not true if a side is NULL.
fn is_null_propagating(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Whether an expression may fail for a row. DataFusion's own nodes that remain cannot fail; only functions can.
fn may_fail(expr: &Expr) -> bool {
    expr.exists(|node| Ok(fails_itself(node))).unwrap_or(true)
}

/// Whether an expression may fail for a row in which none of its parts fails.
fn fails_itself(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => !is_total(call),
        Expr::HigherOrderFunction(_) => true,
        _ => false,
    }
}

/// Functions that have a value for every row.
fn is_total(call: &ScalarFunction) -> bool {
    let function = call.func.inner();
    if let Some(operation) = function.downcast_ref::<Operation>() {
        return operation.op.is_comparison() || operation.op == Op::Concat;
    }
    if let Some(cast) = function.downcast_ref::<CastTo>() {
        return matches!(cast.ty, headwater_language::types::SqlType::String);
    }
    let names =
        [GET_FIELD, "coalesce", "nullif", "nvl", ELEMENT, ARRAY, STRUCT, LIKE, ONE_FORM, IN_ORDER, BYTES, OR_NULL];
    function.downcast_ref::<Guarded>().is_some()
        || function.downcast_ref::<Constructor>().is_some()
        || function.downcast_ref::<Negation>().is_some()
        || names.contains(&function.name())
}

/// Whether everything that an expression reads can be passed to it as arguments. False if `is_apart` is true for any
/// node.
fn is_closed(expr: &Expr, is_apart: fn(&Expr) -> bool) -> bool {
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
                Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
                | Expr::GroupingSet(_)
                | Expr::Placeholder(_)
                | Expr::ScalarVariable(..) => true,
                other => is_apart(other),
            })
        })
        .unwrap_or(true);
    closed && free.is_subset(&bound)
}

/// Conditions with subqueries, which become joins.
fn has_predicates(node: &Expr) -> bool {
    matches!(node, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))
}

/// Whether a node must be an argument of a guard rather than part of the expression inside. Functions such as NOW() get
/// a value only when the whole query is simplified, and a random number is drawn once per row.
fn is_argument(node: &Expr) -> bool {
    match node {
        Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) => true,
        Expr::ScalarFunction(call) => {
            let is_constant = call.func.signature().volatility == Volatility::Immutable;
            call.args.is_empty() && !is_constant && !holds_an_expression(call)
        }
        other => has_predicates(other),
    }
}

/// Functions that evaluate an expression of their own, which may fail.
fn holds_an_expression(call: &ScalarFunction) -> bool {
    let function = call.func.inner();
    function.downcast_ref::<UserFunction>().is_some() || function.downcast_ref::<Guarded>().is_some()
}

/// Splits an expression into one over columns named after the positions of the arguments, and those arguments.
fn split(expr: Expr) -> Result<(Expr, Vec<Expr>)> {
    let mut args: Vec<Expr> = Vec::new();
    let inner = expr.transform_down(|node| {
        if !is_argument(&node) {
            return Ok(Transformed::no(node));
        }
        let known = args.iter().position(|arg| *arg == node && !node.is_volatile());
        let at = known.unwrap_or_else(|| {
            args.push(node);
            args.len() - 1
        });
        Ok(Transformed::new(Expr::Column(Column::from_name(at.to_string())), true, TreeNodeRecursion::Jump))
    })?;
    Ok((inner.data, args))
}

/// The volatility of the expression inside a guard. NOW() and the like are arguments of the guard, so only a function
/// that a statement defined can make it volatile: its expression may contain them.
fn volatility(expr: &Expr) -> Result<Volatility> {
    if expr.is_volatile() {
        return Ok(Volatility::Volatile);
    }
    let waits = expr.exists(|node| {
        let Expr::ScalarFunction(call) = node else { return Ok(false) };
        Ok(holds_an_expression(call) && call.func.signature().volatility == Volatility::Stable)
    })?;
    Ok(if waits { Volatility::Stable } else { Volatility::Immutable })
}

/// A guarded expression, as a function of what it reads.
#[derive(Debug)]
pub(super) struct Guarded {
    /// The expression, over columns named after the positions of the arguments.
    expr: Expr,
    schema: Arc<DFSchema>,
    data_type: DataType,
    compiled: OnceLock<Arc<dyn PhysicalExpr>>,
    signature: Signature,
}

impl Guarded {
    fn call(expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let data_type = expr.get_type(schema)?;
        let (expr, args) = split(expr)?;
        let field = |(at, arg): (usize, &Expr)| Ok(Field::new(at.to_string(), arg.get_type(schema)?, true));
        let fields: Vec<Field> = args.iter().enumerate().map(field).collect::<Result<_>>()?;
        let inner = DFSchema::try_from(Schema::new(fields))?;
        let volatility = volatility(&expr)?;
        let guarded = Self::new(expr, Arc::new(inner), data_type, volatility);
        Ok(ScalarUDF::from(guarded).call(args))
    }

    fn new(expr: Expr, schema: Arc<DFSchema>, data_type: DataType, volatility: Volatility) -> Self {
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility);
        Self { expr, schema, data_type, compiled: OnceLock::new(), signature }
    }

    /// The expression with its original columns, to show in plans.
    pub fn with_args(&self, args: &[Expr]) -> Expr {
        let replaced = self.expr.clone().transform_up(|node| match &node {
            Expr::Column(column) => {
                let arg = column.name.parse::<usize>().ok().and_then(|at| args.get(at));
                Ok(arg.map_or_else(|| Transformed::no(node.clone()), |arg| Transformed::yes(arg.clone())))
            }
            _ => Ok(Transformed::no(node)),
        });
        replaced.map_or_else(|_| self.expr.clone(), |replaced| replaced.data)
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

    /// Evaluates the expression for every row; rows for which it fails are NULL and are reported.
    fn evaluate(
        &self,
        physical: &Arc<dyn PhysicalExpr>,
        rows: &RecordBatch,
        options: &ConfigOptions,
    ) -> Result<ArrayRef> {
        let value = |rows: &RecordBatch| {
            let values = physical.evaluate(rows)?.into_array(rows.num_rows())?;
            Ok(if values.data_type() == &self.data_type { values } else { cast(&values, &self.data_type)? })
        };
        let whole = |rows: &RecordBatch| {
            let (values, inside) = failures::within(|| value(rows));
            // If it fails, it is evaluated again in parts, which report their own failures.
            if values.is_ok() {
                failures::report_inner(options, inside);
            }
            values
        };
        by_halves(rows, &self.data_type, &whole, &mut |_, error| failures::report_one(options, error))
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

    /// Where the query has a fixed time, the expression uses it.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let waits = self.signature.volatility == Volatility::Stable;
        let now = info.query_execution_start_time().filter(|_| waits);
        if now.is_none() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let context = SimplifyContext::builder()
            .with_schema(self.schema.clone())
            .with_config_options(info.config_options().clone())
            .with_query_execution_start_time(now)
            .build();
        let expr = simplified(self.expr.clone(), context)?;
        let fixed = Self::new(expr, self.schema.clone(), self.data_type.clone(), Volatility::Immutable);
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::from(fixed).call(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.signature.volatility == Volatility::Stable && clock::now_ms().is_none() {
            return exec_err!("the current time is not set");
        }
        let (physical, inside) = failures::within(|| self.physical());
        let physical = physical?;
        failures::report_inner(&args.config_options, inside);
        let wanted = self.schema.fields().iter();
        let column = |(arg, field): (&ColumnarValue, &FieldRef)| {
            let values = arg.to_array(args.number_rows)?;
            // When the optimizer evaluates the expression for NULL columns, they have no type.
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
