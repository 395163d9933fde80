//! `-x`: INT and BIGINT wrap around, as with the binary operators; a number literal becomes the literal with the
//! opposite sign.
//!
//! DataFusion's own node rejects unsigned numbers when it is planned and fails for constants that wrap around.

use std::sync::Arc;

use arrow::compute::kernels::numeric::{neg, neg_wrapping};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use headwater_functions::canonical;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::kernel;
use super::kind::{Kind, unaliased};
use super::refusal::refusal;
use super::text::text;

/// The function that `-x` is planned as.
pub const NEGATE: &str = "headwater_negate";

/// Changes the sign of a number.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Negation {
    signature: Signature,
}

impl Default for Negation {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Negation {
    fn name(&self) -> &'static str {
        NEGATE
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!("(- {})", args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(canonical(&types[0]))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(NEGATE, canonical(args.arg_fields[0].data_type()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays| match arrays[0].data_type().is_integer() {
            true => Ok(neg_wrapping(&arrays[0])?),
            // A DECIMAL can represent either sign with the same digits.
            false => Ok(neg(&arrays[0])?),
        })
    }
}

/// Lowers a planned negation. Rejects operands that cannot be negated.
pub(super) fn lower(args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let [value] = <[Expr; 1]>::try_from(args)
        .map_err(|_| datafusion::common::plan_datafusion_err!("operator - takes one operand here"))?;
    match Kind::of(&value, schema)? {
        Kind::Null => Ok(value),
        Kind::Of(ty) if ty.is_number() => match unaliased(&value) {
            Expr::Literal(number, _) => negative(number).map(|number| Expr::Literal(number, None)),
            _ => Ok(ScalarUDF::from(Negation::default()).call(vec![value])),
        },
        Kind::Foreign(DataType::Interval(_) | DataType::Duration(_)) => Ok(Expr::Negative(Box::new(value))),
        other => {
            let message = format!("operator - does not take {}: -{}", other.name(), text(&value));
            let hint = match other.known() {
                Some(SqlType::String) => "Use CAST to convert between strings and numbers.",
                _ => "It takes a number.",
            };
            Err(refusal(Diagnostic::new(PLAN, message).hint(hint), [&value]))
        }
    }
}

fn negative(number: &ScalarValue) -> Result<ScalarValue> {
    let values = number.to_array()?;
    let values = if values.data_type().is_integer() { neg_wrapping(&values)? } else { neg(&values)? };
    ScalarValue::try_from_array(&values, 0)
}
