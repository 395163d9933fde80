//! The column of a FULL JOIN … USING: the value of the side that has a row.
//!
//! It is written into the query as a function call because types are known only when the query is planned: the two
//! sides may be INT and BIGINT, which neither COALESCE nor CASE would combine.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::{Case, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::common::{coerced, widest};
use super::kind::{Kind, arrow_type};

/// The name of the function in rewritten queries.
pub const EITHER: &str = "headwater_either";

/// The function before it is lowered.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Either {
    signature: Signature,
}

impl Default for Either {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Either {
    fn name(&self) -> &'static str {
        EITHER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (Kind::of_arrow(&types[0]), Kind::of_arrow(&types[1])) {
            (Kind::Of(one), Kind::Of(other)) => widest(&one, &other).map_or(Ok(types[0].clone()), |ty| arrow_type(&ty)),
            _ => Ok(types[0].clone()),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{EITHER} was not lowered")
    }
}

/// `CASE WHEN left IS NOT NULL THEN left ELSE right END`, in the common type of both.
pub(super) fn lower(left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let (mut then, mut otherwise) = (left.clone(), right);
    if let (Kind::Of(one), Kind::Of(other)) = (Kind::of(&then, schema)?, Kind::of(&otherwise, schema)?)
        && let Some(ty) = widest(&one, &other)
    {
        (then, otherwise) = (coerced(then, &ty, schema)?, coerced(otherwise, &ty, schema)?);
    }
    let is_there = Box::new(Expr::IsNotNull(Box::new(left)));
    let (when_then_expr, else_expr) = (vec![(is_there, Box::new(then))], Some(Box::new(otherwise)));
    Ok(Expr::Case(Case { expr: None, when_then_expr, else_expr }))
}
