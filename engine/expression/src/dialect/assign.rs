//! Implicit conversion of values to a declared type: a column filled by INSERT INTO … SELECT, an argument, a result.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use headwater_functions::canonical;
use headwater_language::types::SqlType;

use super::common::{coerced, widest};
use super::kind::{Kind, is_null};

/// Whether a value is converted to another type implicitly: numbers widen, strings become times.
pub fn coerces(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Int, T::BigInt | T::Double) | (T::BigInt, T::Double) | (T::Decimal { .. }, T::Double) => true,
        // A number that does not fit is NULL, as in any cast.
        (T::Int | T::BigInt, T::Decimal { .. }) => true,
        (T::Decimal { precision: p, scale: s }, T::Decimal { precision, scale }) => {
            scale >= s && precision.saturating_sub(*scale) >= p.saturating_sub(*s)
        }
        (T::String, T::Date | T::Time | T::Timestamp) => true,
        _ => false,
    }
}

/// Whether a value of Arrow's type `from` is accepted where `to` is declared: as in [`coerces`], and for collections
/// whose elements widen.
pub(super) fn accepts(from: &arrow::datatypes::DataType, to: &SqlType) -> bool {
    match Kind::of_arrow(&canonical(from)) {
        Kind::Null => true,
        Kind::Of(from) => coerces(&from, to) || widest(&from, to).as_ref() == Some(to),
        Kind::Foreign(_) => false,
    }
}

/// Converts `value` to the declared type, which [`accepts`] it.
pub(super) fn assigned(value: Expr, to: &SqlType, schema: &DFSchema) -> Result<Expr> {
    match is_null(&value) || datafusion::logical_expr::ExprSchemable::get_type(&value, schema)?.is_null() {
        true => {
            let null = datafusion::common::ScalarValue::try_new_null(&super::kind::arrow_type(to)?)?;
            Ok(Expr::Literal(null, None))
        }
        false => coerced(value, to, schema),
    }
}
