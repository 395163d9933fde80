//! MIN and MAX of DOUBLEs: NaN is the greatest value, as in Java and in ORDER BY.
//!
//! DataFusion (55) compares the values of a group in a way that lets any value after a NaN replace it, and starts with
//! the greatest or least finite number, which it returns for a group that contains only Infinity or -Infinity.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use super::{aggregates, one_form};

/// Replaces MIN and MAX of DOUBLEs with versions that order all values correctly.
pub(super) fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    aggregates::each(expr, |call| ordered(call.args, call.function, schema))
}

/// Replaces one call. False for any other aggregate, and for values of another type.
fn ordered(args: &mut [Expr], function: &mut Arc<AggregateUDF>, schema: &DFSchema) -> Result<bool> {
    let wanted = match function.name() {
        "min" => Ordering::Less,
        "max" => Ordering::Greater,
        _ => return Ok(false),
    };
    let [value] = args else { return Ok(false) };
    if value.get_type(schema)? != DataType::Float64 || function.inner().downcast_ref::<Extreme>().is_some() {
        return Ok(false);
    }
    *value = one_form::in_order(std::mem::take(value), schema)?;
    *function = Arc::new(AggregateUDF::from(Extreme { wanted, of_others: function.clone() }));
    Ok(true)
}

/// MIN or MAX of DOUBLEs, ordered so that NaN is the greatest.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    /// How the wanted value compares with the others.
    wanted: Ordering,
    /// DataFusion's aggregate, which is correct for values that are not grouped.
    of_others: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.of_others.name()
    }

    fn signature(&self) -> &Signature {
        self.of_others.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of_others.return_type(types)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.of_others.coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.of_others.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.of_others.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.of_others.state_fields(args)
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let wanted = self.wanted;
        let keep = move |best: &mut f64, value: f64| {
            if value.total_cmp(best) == wanted {
                *best = value;
            }
        };
        // The start value, which no value is beyond: the greatest NaN, or the least.
        let first = f64::from_bits(if wanted == Ordering::Less { u64::MAX >> 1 } else { u64::MAX });
        let groups = PrimitiveGroupsAccumulator::<Float64Type, _>::new(&DataType::Float64, keep);
        Ok(Box::new(groups.with_starting_value(first)))
    }

    fn is_descending(&self) -> Option<bool> {
        self.of_others.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.of_others.inner().set_monotonicity(data_type)
    }
}
