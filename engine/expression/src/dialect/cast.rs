//! CAST: the supported pairs of types, and the functions that convert.
//!
//! DataFusion plans a call with the type as a string ([`CastCall`]). Lowering replaces it with a function that knows
//! the type ([`CastTo`]), or with DataFusion's own cast if that does the same and cannot fail.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_datafusion_err};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) use super::convert::{convert, decimal_digits};
use super::kernel;
use super::kind::{Kind, arrow_type, is_null};
use super::refusal::refusal;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::sql::parse_type;
use headwater_language::types::SqlType;

/// The function that `CAST(x AS t)` is planned as: a call with x and the text of t.
pub const CAST: &str = "headwater_cast";

/// CAST as it is planned.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CastCall {
    signature: Signature,
}

impl Default for CastCall {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CastCall {
    fn name(&self) -> &'static str {
        CAST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(plan_datafusion_err!("the type of a CAST is an argument of the call"))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = args.scalar_arguments[1].and_then(written_type).ok_or_else(no_type)?;
        Ok(Arc::new(Field::new(CAST, arrow_type(&ty)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_field.data_type().clone();
        kernel::evaluate(&args, |arrays| convert(&arrays[0], &wanted))
    }
}

fn written_type(text: &ScalarValue) -> Option<SqlType> {
    match text {
        ScalarValue::Utf8(Some(text)) => parse_type(text).ok(),
        _ => None,
    }
}

fn no_type() -> datafusion::error::DataFusionError {
    plan_datafusion_err!("a CAST without a type")
}

/// CAST to one type, as it is executed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CastTo {
    /// The type that values are converted to.
    pub ty: SqlType,
    arrow: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &'static str {
        "headwater_cast_to"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!("CAST({} AS {})", args.first().map(ToString::to_string).unwrap_or_default(), self.ty))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.arrow.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays| convert(&arrays[0], &self.arrow))
    }
}

/// The call that converts `value` to `ty`; the pair must be supported.
pub(super) fn call(value: Expr, ty: &SqlType) -> Result<Expr> {
    let signature = Signature::any(1, Volatility::Immutable);
    let cast = CastTo { ty: ty.clone(), arrow: arrow_type(ty)?, signature };
    Ok(ScalarUDF::from(cast).call(vec![value]))
}

/// Lowers a planned CAST. Rejects unsupported pairs of types.
pub(super) fn lower(args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let [value, Expr::Literal(text, _)] = <[Expr; 2]>::try_from(args).map_err(|_| no_type())? else {
        return Err(no_type());
    };
    let ty = written_type(&text).ok_or_else(no_type)?;
    to(value, &ty, schema)
}

/// Converts a value to a type. Rejects unsupported pairs of types.
pub(super) fn to(value: Expr, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    if is_null(&value) {
        return Ok(Expr::Literal(ScalarValue::try_new_null(&arrow_type(ty)?)?, None));
    }
    let found = datafusion::logical_expr::ExprSchemable::get_type(&value, schema)?;
    match Kind::of_arrow(&found) {
        Kind::Of(from) if !is_supported(&from, ty) => {
            let error = Diagnostic::new(
                PLAN,
                format!("cannot cast {from} to {ty}: CAST({} AS {ty})", super::text::text(&value)),
            );
            Err(refusal(error.hint(hint(&from, ty)), [&value]))
        }
        Kind::Of(_) if found == arrow_type(ty)? => Ok(value),
        Kind::Of(_) if is_native(&found, &arrow_type(ty)?) => Ok(native(value, ty)?),
        Kind::Of(_) => call(value, ty),
        Kind::Null | Kind::Foreign(_) => native(value, ty),
    }
}

fn native(value: Expr, ty: &SqlType) -> Result<Expr> {
    Ok(Expr::Cast(Cast::new(Box::new(value), arrow_type(ty)?)))
}

fn hint(from: &SqlType, to: &SqlType) -> String {
    match (from, to) {
        (SqlType::BigInt | SqlType::Int, SqlType::Timestamp) => "Use FROM_UNIXTIME.".to_owned(),
        (SqlType::Timestamp, SqlType::BigInt) => "Use UNIX_TIMESTAMP.".to_owned(),
        _ => format!("{from} can be cast to {}.", targets(from)),
    }
}

fn targets(from: &SqlType) -> &'static str {
    match from {
        SqlType::Boolean | SqlType::Time | SqlType::Bytes => "STRING",
        SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. } => "any numeric type or STRING",
        SqlType::String => "BOOLEAN, any numeric type, BYTES, DATE, TIME or TIMESTAMP",
        SqlType::Date => "TIMESTAMP or STRING",
        SqlType::Timestamp => "DATE, TIME or STRING",
        _ => "STRING, or another type of its kind if every part can be cast",
    }
}

/// Whether there is a cast between two types.
pub(super) fn is_supported(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (T::Array(from), T::Array(to)) => is_supported(from, to),
        (T::Map(from_key, from), T::Map(to_key, to)) => is_supported(from_key, to_key) && is_supported(from, to),
        (T::Struct(from), T::Struct(to)) => to.iter().all(|field| {
            let found = from.iter().find(|f| f.name == field.name);
            found.is_none_or(|found| is_supported(&found.ty, &field.ty))
        }),
        (_, T::String) => true,
        (from, to) if from.is_number() && to.is_number() => true,
        (T::String, to) => to.is_number() || matches!(to, T::Boolean | T::Timestamp | T::Time | T::Date | T::Bytes),
        (T::Timestamp, T::Time | T::Date) | (T::Date, T::Timestamp) => true,
        (from, to) => from == to,
    }
}

/// Whether DataFusion's cast behaves like the dialect's and cannot fail.
pub(super) fn is_native(from: &DataType, to: &DataType) -> bool {
    use DataType as D;
    match (from, to) {
        (D::Int8 | D::Int16 | D::UInt8 | D::UInt16, D::Int32 | D::Int64 | D::Float64) => true,
        (D::Int32 | D::UInt32, D::Int64 | D::Float64) | (D::Int64 | D::Float32 | D::Float16, D::Float64) => true,
        (D::LargeUtf8 | D::Utf8View, D::Utf8) => true,
        (D::Int32, D::Decimal128(p, s) | D::Decimal256(p, s)) => room(*p, *s) >= 10,
        (D::Int64, D::Decimal128(p, s) | D::Decimal256(p, s)) => room(*p, *s) >= 19,
        (D::Decimal128(p1, s1) | D::Decimal256(p1, s1), D::Decimal128(p2, s2) | D::Decimal256(p2, s2)) => {
            s2 >= s1 && room(*p2, *s2) >= room(*p1, *s1)
        }
        _ => false,
    }
}

/// The number of digits before the decimal point.
fn room(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

/// Parses a string *literal* as a value of `ty`, as an array of one; none if it is not a valid value.
pub(super) fn from_text(text: &str, ty: &SqlType) -> Option<ArrayRef> {
    if *ty == SqlType::Boolean {
        return Some(Arc::new(BooleanArray::from(vec![boolean(text)?])));
    }
    let text: ArrayRef = Arc::new(StringArray::from(vec![text.trim()]));
    convert(&text, &arrow_type(ty).ok()?).ok()
}

/// Parses `true`, `yes`, `false`, `no` and their prefixes.
fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    match (begins("true") || begins("yes"), begins("false") || begins("no")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
