//! AVG of DECIMALs rounds half up, like every quotient.
//!
//! DataFusion truncates the digits that do not fit its result type. Therefore the values are averaged with one extra
//! digit after the decimal point, and a projection above the aggregate casts the result to the original type, which
//! rounds by the first dropped digit.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, WindowFunctionDefinition};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType};

use super::common::widened;
use super::kind::unaliased;

/// How many more digits after the decimal point an average has than its values.
const MORE_DIGITS: u8 = 4;
/// The largest precision of a DECIMAL whose sum fits 38 digits; sums of wider ones use 76 (`sums`).
const SUMMED_NARROW_MAX: u8 = 28;
/// The precision of the narrower of Arrow's DECIMALs.
const NARROW_MAX: u8 = 38;

/// Adds one digit of scale to the DECIMALs averaged by an aggregate or window function.
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

/// The original type of an average that [`with_a_digit_more`] changed; none for anything else.
pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> Result<Option<SqlType>> {
    let mut call = unaliased(expr).clone();
    let Some([arg]) = average(&mut call).map(|args| &args[..]) else { return Ok(None) };
    let Some(SqlType::Decimal { precision, scale }) = SqlType::from_arrow(&arg.get_type(schema)?) else {
        return Ok(None);
    };
    // An average that had no room for another digit was left unchanged.
    if precision == DECIMAL_PRECISION_MAX {
        return Ok(None);
    }
    let most = if precision - 1 <= SUMMED_NARROW_MAX { NARROW_MAX } else { DECIMAL_PRECISION_MAX };
    let more = |digits: u8| (digits - 1 + MORE_DIGITS).min(most);
    Ok(Some(SqlType::Decimal { precision: more(precision), scale: more(scale) }))
}

/// The arguments of an AVG call.
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
