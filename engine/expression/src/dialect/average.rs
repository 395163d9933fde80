//! AVG of DECIMALs rounds half up, as every quotient does.
//!
//! DataFusion cuts the digits that its result has no place for. So it averages values with one digit more after the
//! point, and a projection above its node casts the result to the type it would have had: what decides about rounding
//! is the first digit that is dropped.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, WindowFunctionDefinition};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType};

use super::common::widened;
use super::kind::unaliased;

/// Digits that an average has more after the point than its values.
const MORE_DIGITS: u8 = 4;
/// Digits of a DECIMAL whose sum has room in 38; that of a wider one has it in 76 (`sums`).
const SUMMED_NARROW_MAX: u8 = 28;
/// Digits of the narrower of Arrow's DECIMALs.
const NARROW_MAX: u8 = 38;

/// An aggregate or a window function, which averages values with a digit more where they are DECIMALs.
pub(super) fn with_a_digit_more(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let one = |args: &mut Vec<Expr>| -> Result<()> {
        for arg in args {
            if let Some(SqlType::Decimal { precision, scale }) = SqlType::from_arrow(&arg.get_type(schema)?)
                && precision < DECIMAL_PRECISION_MAX - 1
            {
                let wide = SqlType::Decimal { precision: precision + 1, scale: scale + 1 };
                *arg = widened(std::mem::take(arg), &wide, schema)?;
            }
        }
        Ok(())
    };
    let averaged = expr.transform_down(|mut expr| {
        let averages = average(&mut expr);
        let changed = averages.is_some();
        averages.map_or(Ok(()), one)?;
        Ok(Transformed::new_transformed(expr, changed))
    })?;
    Ok(averaged.data)
}

/// The type of an average that [`with_a_digit_more`] made; none of anything else.
pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> Result<Option<SqlType>> {
    let mut call = unaliased(expr).clone();
    let Some([arg]) = average(&mut call).map(|args| &args[..]) else { return Ok(None) };
    let Some(SqlType::Decimal { precision, scale }) = SqlType::from_arrow(&arg.get_type(schema)?) else {
        return Ok(None);
    };
    // One that had no room for another digit is as it was.
    if precision == DECIMAL_PRECISION_MAX {
        return Ok(None);
    }
    let most = if precision - 1 <= SUMMED_NARROW_MAX { NARROW_MAX } else { DECIMAL_PRECISION_MAX };
    let more = |digits: u8| (digits - 1 + MORE_DIGITS).min(most);
    Ok(Some(SqlType::Decimal { precision: more(precision), scale: more(scale) }))
}

/// The arguments of AVG.
fn average(expr: &mut Expr) -> Option<&mut Vec<Expr>> {
    match expr {
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == "avg" => Some(&mut params.args),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(func) if func.name() == "avg" => Some(&mut call.params.args),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::functions_aggregate::expr_fn::avg;
    use datafusion::logical_expr::col;

    use super::*;
    use crate::dialect::sums;

    #[test]
    fn an_average_has_the_type_that_it_had_without_its_digit_more() {
        for (precision, scale) in [(4, 2), (1, 1), (34, 0), (35, 10), (38, 38), (39, 2), (75, 75)] {
            let ty = SqlType::Decimal { precision, scale }.to_arrow().expect("no custom type");
            let schema = Schema::new(vec![Field::new("a", ty, true)]);
            let schema = DFSchema::try_from(schema).expect("one column");
            let before = avg(col("a"));
            let summed = sums::settle(before.clone(), &schema).expect("an average");
            let had = SqlType::from_arrow(&summed.get_type(&schema).expect("a type"));
            let after = with_a_digit_more(before, &schema).expect("an average");
            assert_eq!(type_of(&after, &schema).expect("a type"), had, "DECIMAL({precision}, {scale})");
        }
    }

    #[test]
    fn the_average_of_the_widest_decimal_stays_as_it_is() {
        let schema = Schema::new(vec![Field::new("a", DataType::Decimal256(76, 2), true)]);
        let schema = DFSchema::try_from(schema).expect("one column");
        let after = with_a_digit_more(avg(col("a")), &schema).expect("an average");
        assert_eq!(after, avg(col("a")));
        assert_eq!(type_of(&after, &schema).expect("a type"), None);
    }
}
