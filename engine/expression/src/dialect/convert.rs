//! The conversions of CAST, column by column. They fail if any row fails; the caller finds out which.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array,
    Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Fields, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimeUnit, TimestampMillisecondType, i256,
};
use arrow::util::display::FormatOptions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use headwater_formats::format::parse_double;
use headwater_formats::java_time::iso::{parse_iso_time_ms, parse_partial_iso_date, parse_partial_iso_timestamp_ms};
use headwater_functions::to_text::{decimal_text, java_double};
use headwater_language::types::{DECIMAL_PRECISION_MAX, type_name};

use super::text_form::texts;

const MS_A_DAY: i64 = 86_400_000;

/// Converts `values` to the type `wanted`. Fails if a value cannot be converted.
pub(in crate::dialect) fn convert(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    use DataType as D;
    let found = values.data_type();
    if found == wanted {
        return Ok(values.clone());
    }
    match (found, wanted) {
        (D::Null, _) => Ok(new_null_array(wanted, values.len())),
        (D::Utf8View | D::LargeUtf8, _) => convert(&cast(values, &D::Utf8)?, wanted),
        (D::Float16 | D::Float32, _) => convert(&cast(values, &D::Float64)?, wanted),
        (_, D::Utf8) => Ok(Arc::new(texts(values)?)),
        (D::Utf8, _) => parse(values.as_string(), wanted),
        (D::Int64, D::Int32) => Ok(Arc::new(values.as_primitive::<Int64Type>().unary::<_, Int32Type>(low_bits))),
        (D::Float64, D::Int32) => {
            Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Int32Type>(|v| v as i32)))
        }
        (D::Float64, D::Int64) => {
            Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Int64Type>(|v| v as i64)))
        }
        (D::Decimal128(..) | D::Decimal256(..), D::Int32) => convert(&whole_part(values)?, &D::Int32),
        (D::Decimal128(..) | D::Decimal256(..), D::Int64) => whole_part(values),
        (D::Decimal128(..) | D::Decimal256(..), D::Float64) => double_of_decimal(values),
        (D::Float64, D::Decimal128(precision, scale) | D::Decimal256(precision, scale)) => {
            let doubles = values.as_primitive::<Float64Type>();
            decimals(doubles.iter().map(|double| double.map(java_double)), *precision, *scale, wanted)
        }
        (D::Timestamp(..), D::Time32(TimeUnit::Millisecond)) => {
            let ms = cast(values, &D::Timestamp(TimeUnit::Millisecond, None))?;
            let ms = ms.as_primitive::<TimestampMillisecondType>();
            Ok(Arc::new(ms.unary::<_, Time32MillisecondType>(|ms| low_bits(ms.rem_euclid(MS_A_DAY)))))
        }
        (D::List(_), D::List(item)) => list(values.as_list(), item),
        (D::Map(..), D::Map(entries, ordered)) => map(values.as_map(), entries, *ordered),
        (D::Struct(_), D::Struct(fields)) => structs(values.as_struct(), fields),
        _ => native(values, wanted),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a BIGINT out of the range of INT wraps around, as in Java")]
fn low_bits(value: i64) -> i32 {
    value as i32
}

/// DataFusion's own cast, plus a check of the digits of DECIMALs.
fn native(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    let found = cast_with_options(values, wanted, &options)
        .map_err(|_| exec_datafusion_err!("the value is out of range for {}", type_name(wanted)))?;
    let fits = match wanted {
        DataType::Decimal128(precision, _) => {
            found.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) => {
            found.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    };
    fits.map_err(|_| exec_datafusion_err!("the value is out of range for {}", type_name(wanted)))?;
    Ok(found)
}

/// The lowest 64 bits of the integer part.
fn whole_part(values: &ArrayRef) -> Result<ArrayRef> {
    let (wide, scale) = match values.data_type() {
        DataType::Decimal128(_, scale) => (cast(values, &DataType::Decimal256(DECIMAL_PRECISION_MAX, *scale))?, *scale),
        DataType::Decimal256(_, scale) => (values.clone(), *scale),
        other => return exec_err!("{other} is not a DECIMAL"),
    };
    let unit = i256::from_i128(10).wrapping_pow(u32::try_from(scale).unwrap_or(0));
    let whole = wide.as_primitive::<Decimal256Type>().unary::<_, Int64Type>(|value| low_64(value.wrapping_div(unit)));
    Ok(Arc::new(whole))
}

#[expect(clippy::cast_possible_truncation, reason = "a DECIMAL out of the range of BIGINT wraps around, as in Java")]
fn low_64(value: i256) -> i64 {
    let (low, _) = value.to_parts();
    low as i64
}

/// The DOUBLE nearest to each DECIMAL.
fn double_of_decimal(values: &ArrayRef) -> Result<ArrayRef> {
    // 2^53 and 10^22 are both exact, so one division rounds only once.
    const EXACT: i128 = 1 << 53;
    if let DataType::Decimal128(_, scale @ 0..=22) = values.data_type() {
        let unit = 10_f64.powi(i32::from(*scale));
        let decimals = values.as_primitive::<Decimal128Type>();
        if decimals.iter().flatten().all(|value| value.abs() <= EXACT) {
            #[expect(clippy::cast_precision_loss, reason = "integers below 2^53 are exact")]
            let doubles = decimals.unary::<_, Float64Type>(|value| value as f64 / unit);
            return Ok(Arc::new(doubles));
        }
    }
    let doubles: Float64Array = (0..values.len())
        .map(|row| values.is_valid(row).then(|| decimal_text(values, row).parse().ok()).flatten())
        .collect();
    Ok(Arc::new(doubles))
}

fn list(values: &ListArray, item: &arrow::datatypes::FieldRef) -> Result<ArrayRef> {
    let items = convert(values.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(item.clone(), values.offsets().clone(), items, values.nulls().cloned())?))
}

fn map(values: &MapArray, entries: &arrow::datatypes::FieldRef, ordered: bool) -> Result<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map without entries") };
    let keys = convert(values.keys(), fields[0].data_type())?;
    let of_keys = convert(values.values(), fields[1].data_type())?;
    let pairs = StructArray::try_new(fields.clone(), vec![keys, of_keys], None)?;
    let map = MapArray::try_new(entries.clone(), values.offsets().clone(), pairs, values.nulls().cloned(), ordered)?;
    Ok(Arc::new(map))
}

/// Converts structs, matching fields by name: missing fields are NULL, additional ones are dropped.
fn structs(values: &StructArray, fields: &Fields) -> Result<ArrayRef> {
    let column = |name: &str, ty: &DataType| match values.column_by_name(name) {
        Some(column) => convert(column, ty),
        None => Ok(new_null_array(ty, values.len())),
    };
    let columns: Vec<ArrayRef> =
        fields.iter().map(|field| column(field.name(), field.data_type())).collect::<Result<_>>()?;
    let nulls = values.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, values.len())?))
}

/// Parses strings as values of the type.
fn parse(texts: &StringArray, wanted: &DataType) -> Result<ArrayRef> {
    let bad = |text: &str| exec_datafusion_err!("\"{text}\" is not a valid {}", type_name(wanted));
    macro_rules! each {
        ($array:ty, $parse:expr) => {{
            let parse = $parse;
            let values = texts.iter().map(|text| text.map(|text| parse(text).ok_or_else(|| bad(text))).transpose());
            Ok(Arc::new(values.collect::<Result<$array>>()?) as ArrayRef)
        }};
    }
    match wanted {
        DataType::Boolean => each!(BooleanArray, |text: &str| Some(says_true(text))),
        DataType::Int32 => each!(Int32Array, |text: &str| text.trim().parse::<i32>().ok()),
        DataType::Int64 => each!(Int64Array, |text: &str| text.trim().parse::<i64>().ok()),
        DataType::Float64 => each!(Float64Array, |text: &str| parse_double(text).filter(|double| double.is_finite())),
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            each!(TimestampMillisecondArray, |text: &str| parse_partial_iso_timestamp_ms(text.trim()).ok())
        }
        DataType::Date32 => each!(Date32Array, |text: &str| parse_partial_iso_date(text.trim()).ok()),
        DataType::Time32(TimeUnit::Millisecond) => {
            each!(Time32MillisecondArray, |text: &str| parse_iso_time_ms(text.trim()).ok())
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            decimals(texts.iter().map(|text| text.map(str::trim)), *precision, *scale, wanted)
        }
        DataType::Binary => from_base64(texts),
        other => exec_err!("STRING cannot be cast to {}", type_name(other)),
    }
}

/// Whether a string is a prefix of `true` or `yes`, ignoring case; anything else is false.
fn says_true(text: &str) -> bool {
    let text = text.trim();
    let begins = |word: &str| word.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text));
    !text.is_empty() && (begins("true") || begins("yes"))
}

fn from_base64(texts: &StringArray) -> Result<ArrayRef> {
    let mut out = BinaryBuilder::new();
    for text in texts {
        match text.map(|text| STANDARD.decode(text).map_err(|_| exec_datafusion_err!("\"{text}\" is not valid base64")))
        {
            Some(bytes) => out.append_value(bytes?),
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Parses strings as DECIMALs, rounding half up.
fn decimals<T: AsRef<str>>(
    texts: impl Iterator<Item = Option<T>>,
    precision: u8,
    scale: i8,
    wanted: &DataType,
) -> Result<ArrayRef> {
    let of_text = |text: &str| match Digits::read(text) {
        Some(digits) => digits
            .rounded(precision, scale)
            .ok_or_else(|| exec_datafusion_err!("{text} is out of range for {}", type_name(wanted))),
        None => Err(exec_datafusion_err!("\"{text}\" is not a valid {}", type_name(wanted))),
    };
    let values = texts.map(|text| text.map(|text| of_text(text.as_ref())).transpose()).collect::<Result<Vec<_>>>()?;
    match wanted {
        DataType::Decimal128(..) => {
            let values: Decimal128Array = values.into_iter().map(|value| value.and_then(i256::to_i128)).collect();
            Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
        }
        _ => Ok(Arc::new(values.into_iter().collect::<Decimal256Array>().with_precision_and_scale(precision, scale)?)),
    }
}

/// Precision and scale of a decimal number, which may have an exponent.
pub(in crate::dialect) fn decimal_digits(text: &str) -> Option<(u8, u8)> {
    let digits = Digits::read(text)?;
    let scale = (digits.digits.len() as i64 - digits.point).max(0);
    let precision = u8::try_from(digits.point.max(1) + scale).ok().filter(|p| *p <= DECIMAL_PRECISION_MAX)?;
    Some((precision, u8::try_from(scale).ok()?))
}

/// The digits of a decimal number and how many of them are after the decimal point; none if it has more than a DECIMAL
/// allows.
pub(in crate::dialect) fn decimal_of(text: &str) -> Option<(i256, u32)> {
    let digits = Digits::read(text)?;
    let scale = i8::try_from((digits.digits.len() as i64 - digits.point).max(0)).ok()?;
    let value = digits.rounded(DECIMAL_PRECISION_MAX, scale)?;
    Some((value, u32::try_from(scale).ok()?))
}

/// A number as its digits, without leading zeros.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    /// The position of the decimal point, counted from the first digit; missing digits are zeros.
    point: i64,
}

impl Digits {
    /// Parses a number as Java's `BigDecimal` does: sign, digits, decimal point, exponent.
    fn read(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !all.clone().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let zeros = all.clone().take_while(|c| *c == b'0').count();
        let digits = all.skip(zeros).map(|c| c - b'0').collect();
        Some(Self { negative, digits, point: whole.len() as i64 - zeros as i64 + exponent })
    }

    /// The unscaled value at `scale`, rounded half up; none if it has more than `precision` digits.
    fn rounded(&self, precision: u8, scale: i8) -> Option<i256> {
        let kept = self.point + i64::from(scale);
        if self.digits.is_empty() || kept < 0 {
            return Some(i256::ZERO);
        }
        let kept = usize::try_from(kept).ok()?;
        if kept > usize::from(precision) {
            return None;
        }
        let ten = i256::from_i128(10);
        let digit = |at: usize| i256::from_i128(i128::from(self.digits.get(at).copied().unwrap_or(0)));
        let value = (0..kept).fold(i256::ZERO, |value, at| value.wrapping_mul(ten).wrapping_add(digit(at)));
        let up = self.digits.get(kept).is_some_and(|digit| *digit >= 5);
        let value = if up { value.wrapping_add(i256::ONE) } else { value };
        if value >= ten.checked_pow(u32::from(precision)).unwrap_or(i256::MAX) {
            return None;
        }
        Some(if self.negative { value.wrapping_neg() } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: ArrayRef, ty: &str) -> Option<String> {
        let wanted = headwater_language::sql::parse_type(ty).expect(ty).to_arrow().expect("no custom type");
        let converted = convert(&value, &wanted).ok()?;
        let text = texts(&converted).expect("texts");
        text.is_valid(0).then(|| text.value(0).to_owned())
    }

    fn text(text: &str) -> ArrayRef {
        Arc::new(StringArray::from(vec![text]))
    }

    #[test]
    fn texts_are_read_as_in_ksqldb() {
        for (found, ty, expected) in [
            (" 12 ", "INT", Some("12")),
            ("+12", "INT", Some("12")),
            ("1.5", "INT", None),
            ("2147483648", "INT", None),
            ("2147483648", "BIGINT", Some("2147483648")),
            (" 1e1 ", "DOUBLE", Some("10.0")),
            ("NaN", "DOUBLE", None),
            ("Infinity", "DOUBLE", None),
            ("1e999", "DOUBLE", None),
            ("1.005", "DECIMAL(3, 2)", Some("1.01")),
            ("-1.005", "DECIMAL(3, 2)", Some("-1.01")),
            ("9.995", "DECIMAL(3, 2)", None),
            ("2e1", "DECIMAL(3, 1)", Some("20.0")),
            ("x", "DECIMAL(3, 1)", None),
            ("", "DECIMAL(3, 1)", None),
            ("tRu", "BOOLEAN", Some("true")),
            ("ye", "BOOLEAN", Some("true")),
            ("truely", "BOOLEAN", Some("false")),
            ("", "BOOLEAN", Some("false")),
            ("2020", "TIMESTAMP", Some("2020-01-01T00:00:00.000")),
            ("2020-02", "DATE", Some("2020-02-01")),
            ("10:11", "TIME", Some("10:11")),
            ("yes", "DATE", None),
            ("aGk=", "BYTES", Some("aGk=")),
            ("%", "BYTES", None),
        ] {
            assert_eq!(one(text(found), ty).as_deref(), expected, "{found} as {ty}");
        }
    }

    #[test]
    fn numbers_wrap_truncate_and_round_as_in_java() {
        let double = |value| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
        let bigint = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        let decimal = |value| -> ArrayRef {
            Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, 2).expect("digits"))
        };
        for (value, ty, expected) in [
            (bigint(2_147_483_648), "INT", Some("-2147483648")),
            (bigint(10), "DECIMAL(2, 1)", None),
            (bigint(-1), "DECIMAL(2, 1)", Some("-1.0")),
            (double(-1.9), "INT", Some("-1")),
            (double(1e300), "INT", Some("2147483647")),
            (double(f64::NAN), "BIGINT", Some("0")),
            (double(0.99), "DECIMAL(2, 1)", Some("1.0")),
            (double(0.05), "DECIMAL(2, 1)", Some("0.1")),
            (double(0.049), "DECIMAL(2, 1)", Some("0.0")),
            (double(f64::INFINITY), "DECIMAL(2, 1)", None),
            (double(10.0), "DECIMAL(2, 1)", None),
            (decimal(-199), "INT", Some("-1")),
            (decimal(214_748_364_800), "INT", Some("-2147483648")),
            (decimal(1001), "DOUBLE", Some("10.01")),
            (decimal(12_345_678_901_234_567_890_123), "DOUBLE", Some("1.2345678901234568E20")),
            (decimal(1005), "DECIMAL(3, 1)", Some("10.1")),
            (decimal(10_000), "DECIMAL(3, 1)", None),
        ] {
            assert_eq!(one(value.clone(), ty).as_deref(), expected, "{value:?} as {ty}");
        }
    }
}
