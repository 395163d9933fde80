//! The common type of several values: IN, ARRAY, MAP and comparisons.
//!
//! The first value that is not NULL decides the kind of type. Numbers widen, structs get the fields of all. *Literals*
//! are converted freely — `'14.1'` among numbers is a number, 1 among strings a string — and so are literals inside
//! constructors; other expressions only widen.

use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Cast, Expr};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType, StructField};

use super::arithmetic::digits;
use super::cast::{convert, from_text};
use super::constructor::{self, Parts};
use super::kind::{Kind, arrow_type, unaliased};
use super::refusal::refuse;
use super::text::text;
use super::{adapt, literal};

/// The type that all `values` can have; none if all of them are NULL.
pub(super) fn common_type(values: &[&Expr], schema: &DFSchema) -> Result<Option<SqlType>> {
    let mut common: Option<SqlType> = None;
    for value in values {
        let Some(found) = Kind::of(value, schema)?.known().cloned() else { continue };
        common = Some(match common {
            None => found,
            Some(so_far) => {
                join(&so_far, value, &found, schema)?.ok_or_else(|| mismatch(&so_far, value, &found, values))?
            }
        });
    }
    Ok(common)
}

fn mismatch(so_far: &SqlType, value: &Expr, found: &SqlType, all: &[&Expr]) -> DataFusionError {
    refuse(format!("{so_far} and {found} have no common type: {}", text(value)), all.iter().copied())
}

/// The common type of `so_far` and one more value, if there is one.
fn join(so_far: &SqlType, value: &Expr, found: &SqlType, schema: &DFSchema) -> Result<Option<SqlType>> {
    if let Expr::Literal(scalar, _) = unaliased(value) {
        return join_literal(so_far, scalar, found, value);
    }
    let Some(parts) = constructor::parts(value) else { return Ok(widest(so_far, found)) };
    match (so_far, parts) {
        (SqlType::Array(item), Parts::Array(values)) => {
            Ok(join_all(item, values, schema)?.map(|item| SqlType::Array(Box::new(item))))
        }
        (SqlType::Map(key, value), Parts::Map(keys, values)) => {
            let joined = (join_all(key, keys, schema)?, join_all(value, values, schema)?);
            Ok(match joined {
                (Some(key), Some(value)) => Some(SqlType::Map(Box::new(key), Box::new(value))),
                _ => None,
            })
        }
        (SqlType::Struct(fields), Parts::Struct(named)) => join_struct(fields, &named, schema),
        _ => Ok(widest(so_far, found)),
    }
}

fn join_all(so_far: &SqlType, values: Vec<&Expr>, schema: &DFSchema) -> Result<Option<SqlType>> {
    let mut common = so_far.clone();
    for value in values {
        let Some(found) = Kind::of(value, schema)?.known().cloned() else { continue };
        match join(&common, value, &found, schema)? {
            Some(joined) => common = joined,
            None => return Ok(None),
        }
    }
    Ok(Some(common))
}

fn join_struct(fields: &[StructField], named: &[(String, &Expr)], schema: &DFSchema) -> Result<Option<SqlType>> {
    let mut fields = fields.to_vec();
    for (name, value) in named {
        let Some(found) = Kind::of(value, schema)?.known().cloned() else { continue };
        match fields.iter_mut().find(|field| field.name == *name) {
            Some(field) => match join(&field.ty, value, &found, schema)? {
                Some(ty) => field.ty = ty,
                None => return Ok(None),
            },
            None => fields.push(StructField { name: name.clone(), ty: found }),
        }
    }
    Ok(Some(SqlType::Struct(fields)))
}

/// Joins a literal, which is converted if its text is valid for the type.
fn join_literal(so_far: &SqlType, scalar: &ScalarValue, found: &SqlType, value: &Expr) -> Result<Option<SqlType>> {
    if scalar.is_null() {
        return Ok(Some(so_far.clone()));
    }
    match (so_far, scalar_text(scalar)) {
        (SqlType::String, _) if found.is_number() || *found == SqlType::Boolean => Ok(Some(SqlType::String)),
        (ty, Some(text)) if ty.is_number() => {
            let number = literal_number(text).ok_or_else(|| bad_text(text, ty, value))?;
            Ok(widest(ty, &number))
        }
        (ty, Some(text)) if converts_from_text(ty) => match from_text(text, ty) {
            Some(_) => Ok(Some(ty.clone())),
            None => Err(bad_text(text, ty, value)),
        },
        _ => Ok(widest(so_far, found)),
    }
}

fn scalar_text(scalar: &ScalarValue) -> Option<&str> {
    match scalar {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.as_deref(),
        _ => None,
    }
}

/// The type of the number in a string: the type it would have as a literal, except that `2e1` is exact.
fn literal_number(text: &str) -> Option<SqlType> {
    let text = text.trim();
    let written = literal::type_of(text).ok()?;
    match written {
        SqlType::Double => {
            super::cast::decimal_digits(text).map(|(precision, scale)| SqlType::Decimal { precision, scale })
        }
        SqlType::Int | SqlType::BigInt => Some(written),
        _ => text.parse::<f64>().ok().map(|_| written),
    }
}

fn converts_from_text(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Boolean | SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Bytes)
}

/// The error for a string that is not a valid value of the type.
pub(super) fn bad_text(found: &str, ty: &SqlType, value: &Expr) -> DataFusionError {
    let kind = match ty {
        SqlType::Decimal { .. } => "DECIMAL".to_owned(),
        other => other.to_string(),
    };
    refuse(format!("\"{found}\" is not a valid {kind}"), [value])
}

/// The wider of two types, if values of one widen to the other.
pub(super) fn widest(one: &SqlType, other: &SqlType) -> Option<SqlType> {
    Some(match (one, other) {
        (a, b) if a == b => a.clone(),
        (a, b) if a.is_number() && b.is_number() => widest_number(a, b),
        (SqlType::Array(a), SqlType::Array(b)) => SqlType::Array(Box::new(widest(a, b)?)),
        (SqlType::Map(ka, va), SqlType::Map(kb, vb)) => {
            SqlType::Map(Box::new(widest(ka, kb)?), Box::new(widest(va, vb)?))
        }
        (SqlType::Struct(a), SqlType::Struct(b)) => SqlType::Struct(widest_struct(a, b)?),
        _ => return None,
    })
}

fn widest_number(a: &SqlType, b: &SqlType) -> SqlType {
    if [a, b].contains(&&SqlType::Double) {
        return SqlType::Double;
    }
    if [a, b].iter().any(|ty| matches!(ty, SqlType::Decimal { .. })) {
        let ((p1, s1), (p2, s2)) = (digits(a), digits(b));
        let scale = s1.max(s2);
        let precision = u8::try_from((p1 - s1).max(p2 - s2) + scale).ok().filter(|p| *p <= DECIMAL_PRECISION_MAX);
        return match (precision, u8::try_from(scale)) {
            (Some(precision), Ok(scale)) => SqlType::Decimal { precision, scale },
            // No DECIMAL has room for the digits of both sides.
            _ => SqlType::Double,
        };
    }
    SqlType::BigInt
}

fn widest_struct(a: &[StructField], b: &[StructField]) -> Option<Vec<StructField>> {
    let mut fields = a.to_vec();
    for field in b {
        match fields.iter_mut().find(|f| f.name == field.name) {
            Some(found) => found.ty = widest(&found.ty, &field.ty)?,
            None => fields.push(field.clone()),
        }
    }
    Some(fields)
}

/// Converts `value` to `ty`, a type that [`common_type`] found for it.
pub(super) fn coerced(value: Expr, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    if let Expr::Literal(scalar, _) = unaliased(&value) {
        return coerced_literal(scalar, ty, &value);
    }
    if constructor::parts(&value).is_some() {
        return constructor::coerced(value, ty, schema);
    }
    if let Expr::Case(case) = &value
        && Kind::of(&value, schema)?.known() != Some(ty)
        && adapt::adapts(&value, ty, schema)?
    {
        return adapt::case(case.clone(), ty, schema);
    }
    widened(value, ty, schema)
}

fn coerced_literal(scalar: &ScalarValue, ty: &SqlType, value: &Expr) -> Result<Expr> {
    let wanted = arrow_type(ty)?;
    if scalar.is_null() {
        return Ok(Expr::Literal(ScalarValue::try_new_null(&wanted)?, None));
    }
    if scalar.data_type() == wanted {
        return Ok(value.clone());
    }
    let array = match scalar_text(scalar) {
        Some(text) if *ty != SqlType::String => from_text(text, ty).ok_or_else(|| bad_text(text, ty, value))?,
        _ => convert(&scalar.to_array()?, &wanted)?,
    };
    Ok(Expr::Literal(ScalarValue::try_from_array(&array, 0)?, None))
}

/// Converts `value` to a type that can represent all values of its own type.
pub(super) fn widened(value: Expr, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    let wanted = arrow_type(ty)?;
    let found = datafusion::logical_expr::ExprSchemable::get_type(&value, schema)?;
    if found == wanted {
        return Ok(value);
    }
    if let Expr::Literal(..) = unaliased(&value) {
        return coerced(value, ty, schema);
    }
    let same = Kind::of_arrow(&found).known() == Some(ty);
    if same || super::cast::is_native(&found, &wanted) {
        return Ok(Expr::Cast(Cast::new(Box::new(value), wanted)));
    }
    super::cast::call(value, ty)
}
