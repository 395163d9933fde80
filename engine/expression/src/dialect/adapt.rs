//! Number literals take the type of the values they are combined with.
//!
//! `COALESCE(SUM(a), 0)`, `CASE WHEN … THEN price ELSE 0.0 END`: the results of a CASE, arguments that must have the
//! same type and the columns of a UNION must have one type, and the values that are *not* literals decide which. A
//! literal takes that type if the type can represent its value: 0 and 0.0 fit a DECIMAL(9, 2), 0.125 does not. If there
//! are only literals, the type is one that can represent all of them. The results of a nested CASE and the elements of
//! constructors count as if they were written directly.
//!
//! Function calls come first: a call that some variant of the function accepts unchanged is left unchanged.

use arrow::datatypes::{DataType, i256};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Case, Expr, ExprSchemable};
use headwater_functions::{Scalar, canonical};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType};

use super::common::{coerced, widest};
use super::constructor::{self, Parts};
use super::convert::decimal_of;
use super::kind::{Kind, is_null, unaliased};

/// The one type that all `values` can have if their literals adapt; none if there is no such type.
pub(super) fn meeting(values: &[&Expr], schema: &DFSchema) -> Result<Option<SqlType>> {
    let (literals, others): (Vec<&Expr>, Vec<&Expr>) = values.iter().partition(|value| is_literal(value));
    for value in &others {
        let Some(ty) = Kind::of(value, schema)?.known().cloned() else { continue };
        if all_adapt(values, &ty, schema)? {
            return Ok(Some(ty));
        }
    }
    Ok(if others.is_empty() { together(&literals) } else { None })
}

/// Whether an expression is a number literal, NULL, or a CASE with only such results.
pub(super) fn is_literal(value: &Expr) -> bool {
    match unaliased(value) {
        Expr::Literal(scalar, _) => is_null(value) || Number::of(scalar).is_some(),
        Expr::Case(case) => results(case).all(is_literal),
        _ => false,
    }
}

/// Whether a value can become one of type `ty` if only the literals in it change their types.
pub(super) fn adapts(value: &Expr, ty: &SqlType, schema: &DFSchema) -> Result<bool> {
    if is_null(value) || Kind::of(value, schema)?.known() == Some(ty) {
        return Ok(true);
    }
    match (unaliased(value), constructor::parts(value), ty) {
        (Expr::Literal(scalar, _), ..) => Ok(Number::of(scalar).is_some_and(|number| number.fits(ty))),
        (Expr::Case(case), ..) => all_adapt(&results(case).collect::<Vec<_>>(), ty, schema),
        (_, Some(Parts::Array(items)), SqlType::Array(item)) => all_adapt(&items, item, schema),
        (_, Some(Parts::Map(keys, values)), SqlType::Map(key, value)) => {
            Ok(all_adapt(&keys, key, schema)? && all_adapt(&values, value, schema)?)
        }
        (_, Some(Parts::Struct(named)), SqlType::Struct(fields)) => {
            let same_names = named.iter().map(|(name, _)| name).eq(fields.iter().map(|field| &field.name));
            let mut all = named.iter().zip(fields).map(|((_, value), field)| adapts(value, &field.ty, schema));
            Ok(same_names && all.try_fold(true, |so_far, one| one.map(|one| so_far && one))?)
        }
        _ => Ok(false),
    }
}

fn all_adapt(values: &[&Expr], ty: &SqlType, schema: &DFSchema) -> Result<bool> {
    values.iter().try_fold(true, |all, value| Ok(all && adapts(value, ty, schema)?))
}

/// Whether a literal becomes one of type `ty` when numbers are widened.
pub(super) fn widens(literal: &Expr, ty: &SqlType, schema: &DFSchema) -> Result<bool> {
    let found = Kind::of(literal, schema)?;
    Ok(found.known().is_some_and(|found| Number::widens(found, ty)) && adapts(literal, ty, schema)?)
}

/// Converts the literals of a lowered CASE to `ty`, a type that it [`adapts`] to.
pub(super) fn case(case: Case, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    let brought = |result: Box<Expr>| coerced(*result, ty, schema).map(Box::new);
    let when_then_expr =
        case.when_then_expr.into_iter().map(|(when, then)| Ok((when, brought(then)?))).collect::<Result<_>>()?;
    let else_expr = case.else_expr.map(brought).transpose()?;
    Ok(Expr::Case(Case { expr: case.expr, when_then_expr, else_expr }))
}

fn results(case: &Case) -> impl Iterator<Item = &Expr> {
    case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref())
}

/// The type that can represent all of some literals; none if one of them is not a number.
fn together(literals: &[&Expr]) -> Option<SqlType> {
    let mut numbers = Vec::new();
    for literal in literals {
        each_number(literal, &mut numbers);
    }
    let mut types = numbers.iter().map(|(_, ty)| ty);
    if types.clone().any(|ty| *ty == SqlType::Double) {
        return numbers.iter().all(|(number, _)| number.fits(&SqlType::Double)).then_some(SqlType::Double);
    }
    if types.clone().any(|ty| matches!(ty, SqlType::Decimal { .. })) {
        // As if each were written with the digits of all the others: 10 beside 2.5 is 10.0.
        let written = |(number, ty): &(Number, SqlType)| match ty {
            SqlType::Decimal { .. } => ty.clone(),
            _ => number.written(),
        };
        return numbers.iter().map(written).reduce(|a, b| widest(&a, &b).unwrap_or(a));
    }
    types.next().cloned().map(|first| types.fold(first, |a, b| widest(&a, b).unwrap_or(a)))
}

fn each_number(literal: &Expr, found: &mut Vec<(Number, SqlType)>) {
    match unaliased(literal) {
        Expr::Literal(scalar, _) => {
            let ty = SqlType::from_arrow(&scalar.data_type());
            found.extend(Number::of(scalar).zip(ty));
        }
        Expr::Case(case) => results(case).for_each(|result| each_number(result, found)),
        _ => {}
    }
}

/// The arguments of a function. Literals are converted to the type of the other arguments if the call has no meaning
/// otherwise, or only one that converts the other arguments. Rejects a call that has no meaning at all.
pub(super) fn arguments(function: &Scalar, args: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = args.iter().map(|arg| Ok(canonical(&arg.get_type(schema)?))).collect::<Result<Vec<_>>>()?;
    if function.takes_exactly(&types) {
        return Ok(args);
    }
    if let Some(adapted) = adapted(function, &args, &types, schema, Number::widens)? {
        return Ok(adapted);
    }
    match function.check(&types) {
        Ok(()) => Ok(args),
        Err(refused) => {
            adapted(function, &args, &types, schema, |_, _| true)?.ok_or(DataFusionError::External(refused))
        }
    }
}

/// The arguments with all literals converted to one of the types of the other arguments, if the function accepts them
/// that way. `may` says from which type to which a literal may be converted.
fn adapted(
    function: &Scalar,
    args: &[Expr],
    types: &[DataType],
    schema: &DFSchema,
    may: fn(&SqlType, &SqlType) -> bool,
) -> Result<Option<Vec<Expr>>> {
    let others = args.iter().zip(types).filter(|(arg, _)| !is_literal(arg));
    let mut wanted: Vec<SqlType> = others.filter_map(|(_, ty)| SqlType::from_arrow(ty)).flat_map(within).collect();
    if wanted.is_empty() {
        let literals: Vec<&Expr> = args.iter().filter(|arg| is_literal(arg)).collect();
        wanted.extend(together(&literals));
    }
    for ty in wanted {
        if let Some(adapted) = adapted_to(function, args, &ty, schema, may)? {
            return Ok(Some(adapted));
        }
    }
    Ok(None)
}

/// A type and the types of its parts.
fn within(ty: SqlType) -> Vec<SqlType> {
    let parts = match &ty {
        SqlType::Array(item) => within(item.as_ref().clone()),
        SqlType::Map(key, value) => {
            within(key.as_ref().clone()).into_iter().chain(within(value.as_ref().clone())).collect()
        }
        _ => Vec::new(),
    };
    std::iter::once(ty).chain(parts).collect()
}

/// Converts the literals to one type: a number literal itself, or an argument as a whole.
fn adapted_to(
    function: &Scalar,
    args: &[Expr],
    ty: &SqlType,
    schema: &DFSchema,
    may: fn(&SqlType, &SqlType) -> bool,
) -> Result<Option<Vec<Expr>>> {
    let mut adapted = Vec::with_capacity(args.len());
    for arg in args {
        let found = Kind::of(arg, schema)?;
        let goes = found.known().is_some_and(|found| found != ty && may(found, ty)) && adapts(arg, ty, schema)?;
        adapted.push(if goes { coerced(arg.clone(), ty, schema)? } else { arg.clone() });
    }
    let types = adapted.iter().map(|arg| Ok(canonical(&arg.get_type(schema)?))).collect::<Result<Vec<_>>>()?;
    Ok(function.takes_exactly(&types).then_some(adapted))
}

/// A number literal: its digits, without trailing zeros, and how many of them are after the decimal point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    digits: i256,
    scale: u32,
}

impl Number {
    /// The number of a literal; none for other literals, and for a DOUBLE that no DECIMAL can represent.
    fn of(scalar: &ScalarValue) -> Option<Self> {
        let ty = SqlType::from_arrow(&scalar.data_type()).filter(|ty| ty.is_number() && !scalar.is_null())?;
        let text = match (ty, scalar) {
            (SqlType::Double, ScalarValue::Float64(Some(double))) if double.is_finite() => double.to_string(),
            (SqlType::Double, _) => return None,
            _ => scalar.to_string(),
        };
        Self::read(&text)
    }

    fn read(text: &str) -> Option<Self> {
        let (digits, scale) = decimal_of(text)?;
        let (mut digits, mut scale) = (digits, scale);
        let ten = i256::from_i128(10);
        while scale > 0 && digits.wrapping_rem(ten) == i256::ZERO {
            (digits, scale) = (digits.wrapping_div(ten), scale - 1);
        }
        Some(Self { digits, scale })
    }

    /// Whether a type can represent the number.
    fn fits(&self, ty: &SqlType) -> bool {
        let whole = self.digits.to_i128().filter(|_| self.scale == 0);
        match ty {
            SqlType::Int => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
            SqlType::BigInt => whole.is_some_and(|whole| i64::try_from(whole).is_ok()),
            SqlType::Decimal { precision, scale } => {
                let zeros = u32::from(*scale).checked_sub(self.scale);
                let limit = zeros.and_then(|zeros| u32::from(*precision).checked_sub(zeros));
                let limit = limit.and_then(|digits| i256::from_i128(10).checked_pow(digits));
                limit.is_some_and(|limit| self.digits < limit && self.digits > limit.wrapping_neg())
            }
            SqlType::Double => {
                let double = self.text().parse::<f64>().ok().filter(|double| double.is_finite());
                double.and_then(|double| Self::read(&double.to_string())) == Some(*self)
            }
            _ => false,
        }
    }

    fn text(&self) -> String {
        let digits = self.digits.wrapping_abs().to_string();
        let sign = if self.digits < i256::ZERO { "-" } else { "" };
        format!("{sign}{digits}e-{}", self.scale)
    }

    /// The smallest DECIMAL type that holds the number's digits.
    fn written(&self) -> SqlType {
        let count = u32::try_from(self.digits.wrapping_abs().to_string().len()).unwrap_or(u32::MAX);
        let most = u32::from(DECIMAL_PRECISION_MAX);
        let narrow = |digits: u32| u8::try_from(digits.min(most)).unwrap_or(DECIMAL_PRECISION_MAX);
        SqlType::Decimal { precision: narrow(count.max(self.scale + 1)), scale: narrow(self.scale) }
    }

    /// Whether numbers of one type are implicitly widened to another: INT, BIGINT, DECIMAL, DOUBLE in this order.
    fn widens(from: &SqlType, to: &SqlType) -> bool {
        let rank = |ty: &SqlType| match ty {
            SqlType::Int => 0,
            SqlType::BigInt => 1,
            SqlType::Decimal { .. } => 2,
            _ => 3,
        };
        rank(from) <= rank(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_fits_a_type_that_has_its_value() {
        for (number, types, others) in [
            ("0", "INT BIGINT DOUBLE DECIMAL(1,0) DECIMAL(9,2) DECIMAL(2,2)", ""),
            ("0.0", "INT BIGINT DOUBLE DECIMAL(9,2)", ""),
            ("-1", "INT BIGINT DOUBLE DECIMAL(1,0)", "DECIMAL(2,2)"),
            ("2147483648", "BIGINT DOUBLE DECIMAL(10,0)", "INT DECIMAL(9,0)"),
            ("9007199254740993", "BIGINT DECIMAL(16,0)", "INT DOUBLE"),
            ("0.125", "DOUBLE DECIMAL(3,3)", "INT DECIMAL(9,2)"),
            ("0.1", "DOUBLE DECIMAL(9,2)", "INT"),
            ("0.12345678901234567890", "DECIMAL(30,20)", "DOUBLE"),
            ("1e3", "INT BIGINT DOUBLE DECIMAL(4,0)", "DECIMAL(3,0)"),
            ("99.5", "DECIMAL(3,1) DECIMAL(5,2)", "DECIMAL(3,2) INT"),
        ] {
            let number = Number::read(number).expect("a number");
            let ty = |text: &str| headwater_language::sql::parse_type(text).expect("a type");
            for text in types.split_whitespace() {
                assert!(number.fits(&ty(text)), "{number:?} fits {text}");
            }
            for text in others.split_whitespace() {
                assert!(!number.fits(&ty(text)), "{number:?} does not fit {text}");
            }
        }
    }
}
