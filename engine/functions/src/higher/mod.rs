//! Higher-order functions: TRANSFORM, FILTER and REDUCE over arrays and maps.
//!
//! A lambda is evaluated once for all elements of a batch, with outer columns repeated for each element of their row.
//! REDUCE, in which each step depends on the previous one, evaluates it once for all first elements, once for all
//! second elements, and so on. DataFusion plans lambdas and evaluates their bodies.

mod elements;
mod filter;
mod reduce;
mod transform;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use elements::Elements;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::type_name;

use super::call::Call;
use super::choice::{canonical, refusal};
use super::scalar::refused;
use super::signature::Category::Lambda;
use super::signature::Type::{self, Array, Boolean, Map};
use super::signature::{ARRAY_T, Function, K, MAP_KV, T, V, Variant, p};

const R: Type = Type::Generic('R');
const S: Type = Type::Generic('S');
const K2: Type = Type::Generic('L');
const V2: Type = Type::Generic('W');

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        TRANSFORM,
        Lambda,
        "The array, or map, with a lambda applied to each element, or to each key and value. The result is NULL if two entries have the same key, a value of the map is NULL, or an arithmetic operator in the lambda gets NULL.",
        &[
            Variant::new(&[p("array", ARRAY_T), p("element", Type::Lambda(&[T], &R))], Array(&R), elsewhere),
            Variant::new(
                &[p("map", MAP_KV), p("key", Type::Lambda(&[K, V], &K2)), p("value", Type::Lambda(&[K, V], &V2))],
                Map(&K2, &V2),
                elsewhere,
            ),
        ],
        &[
            ("TRANSFORM(ARRAY[1, 2, 3], x => x * 2)", "[2, 4, 6]"),
            ("TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)", "{A: 2}"),
        ],
    ),
    Function::new(
        FILTER,
        Lambda,
        "The elements of an array, or the entries of a map, for which a lambda is true. The result is NULL if the lambda returns NULL, an arithmetic operator in it gets NULL, or the value of an entry is NULL.",
        &[
            Variant::new(&[p("array", ARRAY_T), p("stays", Type::Lambda(&[T], &Boolean))], ARRAY_T, elsewhere),
            Variant::new(&[p("map", MAP_KV), p("stays", Type::Lambda(&[K, V], &Boolean))], MAP_KV, elsewhere),
        ],
        &[
            ("FILTER(ARRAY[1, 2, 3], x => x > 1)", "[2, 3]"),
            ("FILTER(MAP('a' := 1, 'b' := 2), (k, v) => v > 1)", "{b: 2}"),
        ],
    ),
    Function::new(
        REDUCE,
        Lambda,
        "The final state after a lambda has been applied to a state and each element of an array, or each entry of a map, in order. The initial state if the array or map is NULL; NULL if the state is NULL.",
        &[
            Variant::new(&[p("array", ARRAY_T), p("state", S), p("step", Type::Lambda(&[S, T], &S))], S, elsewhere),
            Variant::new(&[p("map", MAP_KV), p("state", S), p("step", Type::Lambda(&[S, K, V], &S))], S, elsewhere),
        ],
        &[("REDUCE(ARRAY[1, 2, 3], 10, (s, x) => s + x)", "16")],
    ),
];

const TRANSFORM: &str = "TRANSFORM";
const FILTER: &str = "FILTER";
const REDUCE: &str = "REDUCE";

/// The kernel of these variants, which is never called: lambdas are not values.
fn elsewhere(_: &Call<'_>) -> Result<ArrayRef> {
    internal_err!("a function of lambdas was called without them")
}

/// A higher-order function for DataFusion.
#[derive(Debug)]
struct Higher {
    function: &'static Function,
    name: String,
    signature: HigherOrderSignature,
}

/// The functions as DataFusion registers them.
pub fn udfs() -> impl Iterator<Item = Arc<HigherOrderUDF>> {
    FUNCTIONS.iter().map(|function| {
        let signature = HigherOrderSignature::user_defined(Volatility::Immutable);
        let higher = Higher { function, name: function.name.to_lowercase(), signature };
        Arc::new(HigherOrderUDF::new_from_impl(higher))
    })
}

impl PartialEq for Higher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Higher {}

impl Hash for Higher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn field(ty: &DataType) -> FieldRef {
    Arc::new(Field::new("", ty.clone(), true))
}

/// The types of a collection's parts: an element, or key and value.
fn parts(ty: &DataType) -> Option<Vec<DataType>> {
    match ty {
        DataType::List(item) => Some(vec![item.data_type().clone()]),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => Some(pair.iter().map(|field| field.data_type().clone()).collect()),
            _ => None,
        },
        _ => None,
    }
}

impl Higher {
    /// The parameters of each lambda, if values and lambdas match a variant.
    fn params<L>(&self, args: &[ValueOrLambda<FieldRef, L>]) -> Result<Vec<Vec<DataType>>> {
        use ValueOrLambda::{Lambda, Value};
        let wrong = || {
            let types: Vec<DataType> = args
                .iter()
                .filter_map(|arg| match arg {
                    Value(field) => Some(field.data_type().clone()),
                    Lambda(_) => None,
                })
                .collect();
            refused(Box::new(refusal(self.function, &types, "does not accept lambdas in this way with")))
        };
        let Some(Value(collection)) = args.first() else { return Err(wrong()) };
        let parts = parts(&canonical(collection.data_type())).ok_or_else(wrong)?;
        let is_map = parts.len() > 1;
        match (self.function.name, &args[1..]) {
            (TRANSFORM, [Lambda(_)]) if !is_map => Ok(vec![parts]),
            (TRANSFORM, [Lambda(_), Lambda(_)]) if is_map => Ok(vec![parts.clone(), parts]),
            (FILTER, [Lambda(_)]) => Ok(vec![parts]),
            (REDUCE, [Value(state), Lambda(_)]) => {
                Ok(vec![std::iter::once(canonical(state.data_type())).chain(parts).collect()])
            }
            _ => Err(wrong()),
        }
    }

    fn returns(&self, args: &[ValueOrLambda<FieldRef, FieldRef>]) -> Result<DataType> {
        self.params(args)?;
        let type_of = |at: usize| match &args[at] {
            ValueOrLambda::Value(field) | ValueOrLambda::Lambda(field) => canonical(field.data_type()),
        };
        match self.function.name {
            TRANSFORM if args.len() == 3 => Ok(super::choice::map_of(type_of(1), type_of(2))),
            TRANSFORM => Ok(super::choice::list_of(type_of(1))),
            FILTER => self.expect(type_of(1), &DataType::Boolean, type_of(0)),
            _ => self.expect(type_of(2), &type_of(1), type_of(1)),
        }
    }

    /// The type of the result, if the lambda returns the required type.
    fn expect(&self, lambda: DataType, wanted: &DataType, result: DataType) -> Result<DataType> {
        if lambda == *wanted || lambda == DataType::Null {
            return Ok(result);
        }
        let (name, lambda, wanted) = (self.function.name, type_name(&lambda), type_name(wanted));
        let message = format!("the lambda of function \"{name}\" must return {wanted}, but returns {lambda}");
        Err(refused(Box::new(Diagnostic::new(PLAN, message))))
    }
}

impl HigherOrderUDFImpl for Higher {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.iter().map(canonical).collect())
    }

    fn lambda_parameters(
        &self,
        _: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let params = self.params(fields)?;
        Ok(LambdaParametersProgress::Complete(params.iter().map(|params| params.iter().map(field).collect()).collect()))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field(&self.returns(args.arg_fields)?))
    }

    fn invoke_with_args(&self, given: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows;
        let mut values = Vec::new();
        let mut lambdas: Vec<&LambdaArgument> = Vec::new();
        for arg in &given.args {
            match arg {
                ValueOrLambda::Value(value) => {
                    let value = value.to_array(rows)?;
                    values.push(arrow::compute::cast(&value, &canonical(value.data_type()))?);
                }
                ValueOrLambda::Lambda(lambda) => lambdas.push(lambda),
            }
        }
        let elements = Elements::new(&values[0])?;
        let returns = given.return_field.data_type();
        let result = match (self.function.name, &lambdas[..]) {
            (TRANSFORM, [element]) => transform::array(&elements, element, returns),
            (TRANSFORM, [key, value]) => transform::map(&elements, key, value, returns),
            (FILTER, [stays]) => filter::filter(&values[0], &elements, stays),
            (REDUCE, [step]) => reduce::reduce(&elements, &values[1], step),
            (name, _) => exec_err!("{name} was planned with other lambdas"),
        }?;
        Ok(ColumnarValue::Array(result))
    }
}
