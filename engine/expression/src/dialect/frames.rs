//! Aggregates of DOUBLEs over sliding window frames: values that have left a frame do not affect its result.
//!
//! DataFusion (55) subtracts such values, so that `SUM(x) OVER (ORDER BY k ROWS CURRENT ROW)` of 1e300 and 0.1 was
//! 1e300 and 0.0, and NaN forever after an Infinity (no report was found). [`Queue`] avoids the subtraction.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, ReversedUDAF, SetMonotonicity, Signature,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use headwater_functions::aggregate::Queue;

use super::aggregates;

/// DataFusion's aggregates that add DOUBLEs, other than SUM and AVG, which also add other numbers.
const OF_DOUBLES: &[&str] = &[
    "var",
    "var_pop",
    "stddev",
    "stddev_pop",
    "covar_samp",
    "covar_pop",
    "corr",
    "regr_slope",
    "regr_intercept",
    "regr_count",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
];

/// Replaces window functions with versions that forget the values that have left their frames.
pub(super) fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    aggregates::each(expr, |call| {
        if !call.over_window || call.distinct || !adds_doubles(call.function, call.args, schema)? {
            return Ok(false);
        }
        *call.function = Arc::new(AggregateUDF::from(Sliding { of_groups: call.function.clone() }));
        Ok(true)
    })
}

fn adds_doubles(function: &AggregateUDF, args: &[Expr], schema: &DFSchema) -> Result<bool> {
    if function.inner().downcast_ref::<Sliding>().is_some() {
        return Ok(false);
    }
    match (function.name(), args) {
        ("sum" | "avg", [value]) => Ok(value.get_type(schema)? == DataType::Float64),
        (name, _) => Ok(OF_DOUBLES.contains(&name)),
    }
}

/// A DataFusion aggregate with its own implementation of sliding frames.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sliding {
    /// DataFusion's aggregate, which is correct as long as nothing is subtracted.
    of_groups: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Sliding {
    fn name(&self) -> &str {
        self.of_groups.name()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.of_groups.schema_name(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.of_groups.window_function_schema_name(params)
    }

    fn signature(&self) -> &Signature {
        self.of_groups.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of_groups.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.of_groups.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.of_groups.is_nullable()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.of_groups.coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.of_groups.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let arguments = Arguments::of(&args);
        let function = self.of_groups.clone();
        Ok(Box::new(Queue::new(Box::new(move || function.accumulator(arguments.lent())))?))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.of_groups.state_fields(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.of_groups.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.of_groups.default_value(ty)
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.of_groups.inner().set_monotonicity(ty)
    }
}

/// The arguments that an accumulator is created with, kept for the next one.
struct Arguments {
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Arguments {
    fn of(args: &AccumulatorArgs<'_>) -> Self {
        Self {
            return_field: args.return_field.clone(),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn lent(&self) -> AccumulatorArgs<'_> {
        AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions_aggregate::all_default_aggregate_functions;

    use super::*;

    /// A new version of DataFusion may rename an aggregate, which would then subtract again.
    #[test]
    fn every_aggregate_that_is_named_exists() {
        let known = all_default_aggregate_functions();
        for name in OF_DOUBLES {
            assert!(known.iter().any(|function| function.name() == *name), "{name}");
        }
    }
}
