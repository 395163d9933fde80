//! The adapter that makes an aggregate of the dialect an aggregate of DataFusion.
//!
//! A query is planned with only the name of the aggregate, which determines types and errors. Before it is executed,
//! every call gets its [`Shape`] ([`shaped`]): constants are removed from the arguments, and the row's address may be
//! added.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::types::type_name;

use super::queue::Queue;
use super::recipe::{Aggregate, Order, Recipe, Shape};
use crate::choice::{Chosen, canonical, choose, refusal};
use crate::scalar::refused;

/// An aggregate of the dialect.
#[derive(Debug)]
pub struct Call {
    function: &'static Aggregate,
    name: String,
    signature: Signature,
    settled: Option<Settled>,
}

#[derive(Clone, Debug)]
struct Settled {
    recipe: &'static Recipe,
    shape: Shape,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.shape() == other.shape()
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.shape().hash(state);
    }
}

/// The aggregate under its name, for planning.
pub fn planned(function: &'static Aggregate) -> Arc<AggregateUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    let name = function.name.to_lowercase();
    Arc::new(AggregateUDF::from(Call { function, name, signature, settled: None }))
}

/// The aggregate of one call, for execution.
pub fn shaped(function: &'static Aggregate, recipe: &'static Recipe, shape: Shape) -> Arc<AggregateUDF> {
    let signature = Signature::variadic_any(Volatility::Immutable);
    let name = function.name.to_lowercase();
    Arc::new(AggregateUDF::from(Call { function, name, signature, settled: Some(Settled { recipe, shape }) }))
}

/// The aggregate of the dialect that a planned call refers to, unless it already has its shape.
pub fn unsettled(function: &AggregateUDF) -> Option<&'static Aggregate> {
    let call = function.inner().downcast_ref::<Call>()?;
    call.settled.is_none().then_some(call.function)
}

/// The variant that a call with arguments of these types means.
pub fn chosen(function: &'static Aggregate, types: &[DataType]) -> Result<Chosen<super::recipe::Compute>> {
    let types: Vec<DataType> = types.iter().map(canonical).collect();
    let chosen = choose(function, &types).map_err(refused)?;
    let sorts = chosen.variant.kernel.recipe.is_some_and(|recipe| recipe.sorts);
    match sorts && !has_order(&chosen.takes[0]) {
        true => Err(refused(Box::new(unsorted(function, &types)))),
        false => Ok(chosen),
    }
}

/// Whether the values of a type have an order.
fn has_order(ty: &DataType) -> bool {
    !ty.is_nested() && *ty != DataType::Boolean
}

fn unsorted(function: &'static Aggregate, types: &[DataType]) -> Diagnostic {
    let ty = type_name(&types[0]);
    let detail = format!(
        "Values of {ty} have no order; {} takes numbers, STRING, BYTES, DATE, TIME and TIMESTAMP.",
        function.name
    );
    let hint = "Take a field or an element of it, or CAST it to STRING.";
    refusal(function, types, "does not accept").detail(detail).hint(hint)
}

impl Call {
    fn shape(&self) -> Option<&Shape> {
        self.settled.as_ref().map(|settled| &settled.shape)
    }

    fn make(&self, sliding: bool) -> Result<Box<dyn Accumulator>> {
        let Some(Settled { recipe, shape }) = &self.settled else {
            return exec_err!("{} was planned but not resolved", self.function.name);
        };
        match sliding == shape.sliding {
            true => (recipe.accumulator)(shape),
            false => (recipe.accumulator)(&Shape { sliding, ..shape.clone() }),
        }
    }
}

impl AggregateUDFImpl for Call {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match self.shape() {
            Some(shape) => Ok(shape.returns.clone()),
            None => Ok(chosen(self.function, types)?.returns),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.make(false)
    }

    /// DOUBLEs are never retracted, because subtraction would leave rounding errors.
    fn create_sliding_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let Some(Settled { recipe, shape }) = self.settled.clone() else { return self.make(true) };
        match recipe.order == Order::Any && shape.returns == DataType::Float64 {
            true => Ok(Box::new(Queue::new(Box::new(move || (recipe.accumulator)(&shape)))?)),
            false => self.make(true),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let Some(Settled { recipe, shape }) = &self.settled else {
            return exec_err!("{} was planned but not resolved", self.function.name);
        };
        let field = |(at, ty): (usize, DataType)| {
            Arc::new(Field::new(format_state_name(args.name, &format!("state {at}")), ty, true))
        };
        Ok((recipe.state)(shape).into_iter().enumerate().map(field).collect())
    }

    /// The order of rows comes from their addresses.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        None
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        match self.settled {
            Some(_) => self.make(false)?.evaluate(),
            None => ScalarValue::try_from(ty),
        }
    }
}
