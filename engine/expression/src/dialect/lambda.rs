//! NULL in the body of a lambda.
//!
//! If an arithmetic operator has a NULL operand, the expression that contains it has no value. Outside a lambda that
//! means NULL, which is the operator's own result; inside one the whole call that takes the lambda is NULL:
//! `TRANSFORM(ARRAY[1, NULL], x => x + 5)` is NULL, not an array with a NULL in it. In an argument of a function, or an
//! element of ARRAY, MAP or STRUCT, only that argument or element is NULL. Branches that are not evaluated do not
//! count: `x => CASE WHEN x IS NULL THEN 0 ELSE x + 5 END` has a value. Semantics: ksqlDB's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use headwater_functions::ELEMENT;

use super::cast::CastTo;
use super::field::GET_FIELD;
use super::kernel;
use super::kind::Kind;
use super::like::LIKE;
use super::negation::Negation;
use super::operator::Operation;

/// A lowered lambda whose arithmetic operators fail for NULL operands.
pub(super) fn strict(lambda: Expr, schema: &DFSchema) -> Result<Expr> {
    let strict = lambda.transform_down_up(
        |expr| {
            let below = if is_apart(&expr) { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue };
            Ok(Transformed::new(expr, false, below))
        },
        |expr| match is_arithmetic(&expr) && is_number(&expr, schema)? {
            true => Ok(Transformed::yes(Present::call(expr))),
            false => Ok(Transformed::no(expr)),
        },
    )?;
    Ok(strict.data)
}

/// Whether a failure inside the expression makes only the inner value NULL: function calls and constructors.
fn is_apart(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            let function = call.func.inner();
            let operator = function.downcast_ref::<Operation>().is_some()
                || function.downcast_ref::<Negation>().is_some()
                || function.downcast_ref::<CastTo>().is_some();
            !operator && ![GET_FIELD, ELEMENT, LIKE].contains(&function.name())
        }
        Expr::HigherOrderFunction(_) => true,
        _ => false,
    }
}

fn is_arithmetic(expr: &Expr) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    match expr {
        Expr::Negative(_) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(op, Plus | Minus | Multiply | Divide | Modulo),
        Expr::ScalarFunction(call) => {
            let function = call.func.inner();
            function.downcast_ref::<Negation>().is_some()
                || function.downcast_ref::<Operation>().is_some_and(|operation| operation.op.is_arithmetic())
        }
        _ => false,
    }
}

fn is_number(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(Kind::of(expr, schema)?.known().is_some_and(headwater_language::types::SqlType::is_number))
}

/// A function that returns its argument, and fails if it is NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Present {
    signature: Signature,
}

impl Present {
    fn call(value: Expr) -> Expr {
        let present = Self { signature: Signature::any(1, Volatility::Immutable) };
        ScalarUDF::from(present).call(vec![value])
    }
}

impl ScalarUDFImpl for Present {
    fn name(&self) -> &'static str {
        "headwater_present"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(ToString::to_string).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), args.arg_fields[0].data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays: &[ArrayRef]| match arrays[0].null_count() {
            0 => Ok(arrays[0].clone()),
            _ => exec_err!("an operator in a lambda has a NULL operand"),
        })
    }
}
