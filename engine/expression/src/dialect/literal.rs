//! Number literals, with the types that the dialect gives them.
//!
//! `5` is an INTEGER if it fits, otherwise a BIGINT; `1.50` is DECIMAL(3, 2); `1e3` is a DOUBLE. In the tree, a number
//! is wrapped in a CAST to its type. These are the only plain CASTs in the tree: those that the user wrote are function
//! calls by then. `fold` converts them to literals when the expression has been planned.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Cast, Expr};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType};
use sqlparser::ast::{self, CastKind, ExactNumberInfo, Value};
use sqlparser::tokenizer::Span;

/// The type of a number literal, with or without a sign. The error says what is wrong with the number.
pub fn type_of(text: &str) -> Result<SqlType, String> {
    let digits = text.trim_start_matches(['-', '+']);
    if digits.contains(['e', 'E']) {
        let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
        return if finite { Ok(SqlType::Double) } else { Err(format!("number {text} overflows DOUBLE")) };
    }
    match digits.split_once('.') {
        Some((whole, fraction)) => decimal_type(whole, fraction)
            .ok_or_else(|| format!("number {text} has more than {DECIMAL_PRECISION_MAX} digits")),
        None if text.parse::<i32>().is_ok() => Ok(SqlType::Int),
        None if text.parse::<i64>().is_ok() => Ok(SqlType::BigInt),
        None => Err(format!("number {text} overflows BIGINT")),
    }
}

/// The DECIMAL type of a number, with at least one digit before the decimal point even if it is zero.
fn decimal_type(whole: &str, fraction: &str) -> Option<SqlType> {
    let before = whole.trim_start_matches('0').len().max(1);
    let precision = u8::try_from(before + fraction.len()).ok().filter(|p| *p <= DECIMAL_PRECISION_MAX)?;
    Some(SqlType::Decimal { precision, scale: u8::try_from(fraction.len()).ok()? })
}

/// An expression for a number literal that has the literal's type.
pub fn number(text: &str, span: Span) -> Result<ast::Expr, String> {
    let value = |value: Value| Box::new(ast::Expr::Value(value.with_span(span)));
    let data_type = match type_of(text)? {
        SqlType::Int => ast::DataType::Integer(None),
        SqlType::Double => ast::DataType::Double(ExactNumberInfo::None),
        SqlType::Decimal { precision, scale } => {
            ast::DataType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(precision), i64::from(scale)))
        }
        _ => return Ok(*value(Value::Number(text.to_owned(), false))),
    };
    let inner = match data_type {
        ast::DataType::Integer(_) => Value::Number(text.to_owned(), false),
        _ => Value::SingleQuotedString(text.to_owned()),
    };
    Ok(ast::Expr::Cast { kind: CastKind::Cast, expr: value(inner), data_type, array: false, format: None })
}

/// The text and location of a number literal that [`number`] created.
pub fn written(expr: &ast::Expr) -> Option<(&str, Span)> {
    let value = match expr {
        ast::Expr::Cast { kind: CastKind::Cast, expr, .. } => match expr.as_ref() {
            ast::Expr::Value(value) => value,
            _ => return None,
        },
        ast::Expr::Value(value) if matches!(value.value, Value::Number(..)) => value,
        _ => return None,
    };
    match &value.value {
        Value::Number(text, _) | Value::SingleQuotedString(text) => Some((text, value.span)),
        _ => None,
    }
}

/// Restores a plain number, where the grammar requires one: LIMIT, positions in ORDER BY and GROUP BY, frames.
pub fn unwrap(expr: &mut ast::Expr) {
    if let Some((text, span)) = written(expr) {
        *expr = ast::Expr::Value(Value::Number(text.to_owned(), false).with_span(span));
    }
}

/// The literal that a number's CAST stands for.
pub(super) fn fold(cast: Cast) -> Result<Expr> {
    let wanted = cast.field.data_type();
    let value = match cast.expr.as_ref() {
        Expr::Literal(value @ ScalarValue::Int64(Some(_)), _) if *wanted == DataType::Int32 => value.cast_to(wanted)?,
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) if *wanted == DataType::Float64 => {
            ScalarValue::Float64(text.parse().ok())
        }
        Expr::Literal(value @ ScalarValue::Utf8(Some(_)), _) if wanted.is_decimal() => value.cast_to(wanted)?,
        _ => return Ok(Expr::Cast(cast)),
    };
    Ok(Expr::Literal(value, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_least_type_that_holds_it() {
        for (text, ty) in [
            ("0", "INTEGER"),
            ("2147483647", "INTEGER"),
            ("-2147483648", "INTEGER"),
            ("000002147483647", "INTEGER"),
            ("2147483648", "BIGINT"),
            ("-9223372036854775808", "BIGINT"),
            ("1.5", "DECIMAL(2, 1)"),
            ("1.50", "DECIMAL(3, 2)"),
            (".5", "DECIMAL(2, 1)"),
            ("-0.01", "DECIMAL(3, 2)"),
            ("5.", "DECIMAL(1, 0)"),
            ("0.0", "DECIMAL(2, 1)"),
            ("4.90E-324", "DOUBLE"),
            ("1e3", "DOUBLE"),
        ] {
            assert_eq!(type_of(text).map(|ty| ty.to_string()).as_deref(), Ok(ty), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "1.7976931348623159E308"] {
            assert!(type_of(text).is_err_and(|why| why.contains(text)), "{text}");
        }
    }
}
