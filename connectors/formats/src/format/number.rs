//! Numbers as text, read and written exactly and in the same way as Java, for JSON and DELIMITED.
//!
//! A decimal is never converted to a double: its digits are taken from the literal. There are two conversions to
//! integers, as in ksqlDB: a *number* is truncated and wraps around (`BigDecimal.longValue`), while a *text* must be
//! an integer in range (`Long.parseLong`).

use std::fmt;

use arrow::datatypes::i256;
use memchr::{memchr, memchr2};

/// The maximum number of digits of a decimal, which is the width of `Decimal256`.
const DECIMAL_DIGITS_MAX: usize = 76;

/// A number with this many digits is a finite double, wherever its decimal point is.
const FINITE_DIGITS: usize = 300;

/// The lowest exponent that does not fit in 32 bits.
pub(crate) const EXPONENT_BEYOND: i64 = 1 << 31;

/// The parts of a decimal literal: `-12.5e3` is negative, `12`, `5`, 3.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    /// Whether it has neither a decimal point nor an exponent.
    integral: bool,
}

impl<'a> Literal<'a> {
    /// Parses `text` like `BigDecimal`, which also accepts `+1`, `.5` and `5.`; `None` if it is not a number or too
    /// large for a 32-bit exponent. A lower exponent is raised to the limit: nothing is nearer to zero.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let mark = memchr2(b'e', b'E', rest);
        let (mantissa, exponent) = match mark {
            Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let point = memchr(b'.', mantissa);
        let (integer, fraction) = match point {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        let integral = mark.is_none() && point.is_none();
        let literal = Self { negative, integer, fraction, exponent, integral };
        literal.is_number().then_some(literal)
    }

    /// Checks that there are only digits, and that the exponent is in range or irrelevant.
    fn is_number(&self) -> bool {
        let mut digits = self.integer.iter().chain(self.fraction);
        let all = digits.clone().all(u8::is_ascii_digit) && self.digit_count() > 0;
        all && (self.exponent < EXPONENT_BEYOND || digits.all(|digit| *digit == b'0'))
    }

    /// The values of all digits, the most significant first.
    fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.integer.iter().chain(self.fraction).map(|digit| digit - b'0')
    }

    fn digit_count(&self) -> i64 {
        (self.integer.len() + self.fraction.len()) as i64
    }

    /// The number of digits before the decimal point after the exponent has moved it; may be negative.
    fn point(&self) -> i64 {
        self.integer.len() as i64 + self.exponent
    }

    /// The integer part modulo 2^64, like `BigDecimal.longValue`.
    pub(crate) fn wrapping_i64(&self) -> i64 {
        let point = self.point();
        let kept = point.clamp(0, self.digit_count());
        let head = self
            .digits()
            .take(kept as usize)
            .fold(0_i64, |sum, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit)));
        // 10^64 is a multiple of 2^64, so from there on the result is 0.
        let value = match point - kept {
            0 => head,
            zeros @ 1..=63 => head.wrapping_mul(10_i64.wrapping_pow(zeros as u32)),
            64.. => 0,
            _ => head,
        };
        if self.negative { value.wrapping_neg() } else { value }
    }

    /// The unscaled value at `scale`; `None` if it needs rounding or more than `precision` digits.
    pub(crate) fn decimal128(&self, precision: u8, scale: i8) -> Option<i128> {
        let digits = self.unscaled(precision, scale)?;
        let value = digits.as_slice().iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
        Some(if self.negative { -value } else { value })
    }

    /// Like [`Literal::decimal128`], for up to 76 digits.
    pub(crate) fn decimal256(&self, precision: u8, scale: i8) -> Option<i256> {
        let digits = self.unscaled(precision, scale)?;
        let (high, low) = digits.as_slice().split_at(digits.len.saturating_sub(38));
        let number = |digits: &[u8]| digits.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
        let shift = i256::from_i128(10_i128.pow(low.len() as u32));
        let value = i256::from_i128(number(high)).wrapping_mul(shift).wrapping_add(i256::from_i128(number(low)));
        Some(if self.negative { value.wrapping_neg() } else { value })
    }

    /// Whether it has a value of `precision` digits at `scale` without rounding.
    pub(crate) fn fits(&self, precision: u8, scale: i8) -> bool {
        self.first_digit().is_none_or(|first| self.digits_needed(first, precision, scale).is_some())
    }

    /// The position of the first digit that is not 0; `None` for zero.
    fn first_digit(&self) -> Option<usize> {
        self.digits().position(|digit| digit != 0)
    }

    /// The number of digits from `first` on; `None` if it needs rounding or more than `precision` digits.
    fn digits_needed(&self, first: usize, precision: u8, scale: i8) -> Option<usize> {
        let kept = self.point() + i64::from(scale);
        let rounded = self.digits().skip(kept.max(0) as usize).any(|digit| digit != 0);
        let needed = kept - first as i64;
        (!rounded && needed <= i64::from(precision)).then_some(needed as usize)
    }

    fn unscaled(&self, precision: u8, scale: i8) -> Option<Digits> {
        let Some(first) = self.first_digit() else {
            return Some(Digits::default());
        };
        let needed = self.digits_needed(first, precision, scale)?;
        let mut digits = Digits { digits: [0; DECIMAL_DIGITS_MAX], len: needed };
        for (slot, digit) in digits.digits[..digits.len].iter_mut().zip(self.digits().skip(first)) {
            *slot = digit;
        }
        Some(digits)
    }

    /// Writes the number as Java prints it in a text: an integer by its digits, others like `BigDecimal.toString` (in
    /// scientific notation for exponents above 0 or far below).
    pub(crate) fn write_java(&self, out: &mut Vec<u8>) {
        let mut digits: Vec<u8> = self.digits().skip_while(|digit| *digit == 0).map(|digit| digit + b'0').collect();
        if self.negative && !digits.is_empty() {
            out.push(b'-');
        }
        if digits.is_empty() {
            digits.push(b'0');
        }
        let scale = if self.integral { 0 } else { self.fraction.len() as i64 - self.exponent };
        let adjusted = digits.len() as i64 - 1 - scale;
        if scale >= 0 && adjusted >= -6 {
            write_plain(&digits, scale as usize, out);
        } else {
            write_scientific(&digits, adjusted, out);
        }
    }
}

/// Appends a JSON number as Java's `BigDecimal` prints it, which is its form in every STRING: `1e3` is `1E+3`.
/// Anything that is not a number, or exceeds `BigDecimal`, is appended unchanged.
pub fn write_number_text(text: &str, out: &mut String) {
    match Literal::parse(text.as_bytes()) {
        Some(literal) => {
            let mut written = Vec::with_capacity(text.len() + 2);
            literal.write_java(&mut written);
            out.extend(written.into_iter().map(char::from));
        }
        None => out.push_str(text),
    }
}

/// The digits of an unscaled decimal.
struct Digits {
    digits: [u8; DECIMAL_DIGITS_MAX],
    len: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { digits: [0; DECIMAL_DIGITS_MAX], len: 0 }
    }
}

impl Digits {
    fn as_slice(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

/// Parses an exponent: a sign and digits, limited to a little more than 32 bits.
pub(crate) fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0, |sum, digit| EXPONENT_BEYOND.min(sum * 10 + i64::from(digit - b'0')));
    Some(if negative { -size } else { size })
}

/// Writes digits with `scale` of them after the decimal point.
fn write_plain(digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
    out.push(b'.');
    out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(&digits[whole..]);
}

fn write_scientific(digits: &[u8], exponent: i64, out: &mut Vec<u8>) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    if exponent != 0 {
        out.extend_from_slice(format!("E{exponent:+}").as_bytes());
    }
}

/// Writes an unscaled decimal, given as the digits of its absolute value, with all of its scale.
pub(crate) fn write_decimal(unscaled: &str, scale: i8, out: &mut Vec<u8>) {
    let digits = match unscaled.strip_prefix('-') {
        Some(digits) => {
            out.push(b'-');
            digits
        }
        None => unscaled,
    };
    write_plain(digits.as_bytes(), usize::try_from(scale).unwrap_or(0), out);
}

/// The number of milliseconds in a day; a TIME is less than this.
pub(crate) const MS_A_DAY: i32 = 86_400_000;

/// Parses a text like `Double.parseDouble`, allowing spaces around it. Also returns `None` if a finite literal is too
/// large for a double, which Java would make infinite.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.trim_start_matches(['+', '-']);
    match unsigned {
        "NaN" if text.len() <= 4 => return Some(f64::NAN),
        "Infinity" if text.len() <= 9 => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    Literal::parse(text.as_bytes())?;
    finite_double(text)
}

/// Parses a literal that is known to be well formed; `None` if it is too large for a double.
pub(crate) fn finite_double(literal: &str) -> Option<f64> {
    literal.parse().ok().filter(|double: &f64| double.is_finite())
}

/// Whether [`finite_double`] returns a number, which for most literals is clear from their length.
pub(crate) fn is_finite_double(literal: &[u8]) -> bool {
    let is_short = literal.len() <= FINITE_DIGITS && memchr2(b'e', b'E', literal).is_none();
    is_short || std::str::from_utf8(literal).ok().and_then(finite_double).is_some()
}

/// Writes a double like `Double.toString`: the shortest digits that parse to the same double, in scientific notation
/// below 0.001 and from ten million on; `NaN`, `Infinity`, `-Infinity`.
pub(crate) fn write_double(double: f64, out: &mut Vec<u8>) {
    write_double_text(double, &mut Bytes(out));
}

/// Appends the same form to a text.
pub fn write_double_text(double: f64, out: &mut impl fmt::Write) {
    // Writing to memory does not fail.
    let _ = if !double.is_finite() {
        let name = if double > 0.0 { "Infinity" } else { "-Infinity" };
        out.write_str(if double.is_nan() { "NaN" } else { name })
    } else if double == 0.0 || (1e-3..1e7).contains(&double.abs()) {
        write!(out, "{double:?}")
    } else {
        let text = scientific(double);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = if mantissa.contains('.') { "" } else { ".0" };
        write!(out, "{mantissa}{fraction}E{exponent}")
    };
}

/// Bytes as a text is written to them.
struct Bytes<'a>(&'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The shortest digits that are the number; of one digit the nearest two, as Java has at least two: `4.9e-324`.
fn scientific(double: f64) -> String {
    let shortest = format!("{double:e}");
    if shortest.trim_start_matches('-').as_bytes().get(1) != Some(&b'e') {
        return shortest;
    }
    let two = format!("{double:.1e}");
    if two.parse() == Ok(double) { two } else { shortest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Literal<'_> {
        Literal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn doubles_have_two_digits_at_least() {
        let written = |double: f64| {
            let mut out = Vec::new();
            write_double(double, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(f64::from_bits(1)), "4.9E-324");
        assert_eq!(written(-2e10), "-2.0E10");
        assert_eq!(written(1.25e-5), "1.25E-5");
        assert_eq!(written(100.0), "100.0");
    }

    #[test]
    fn integers_truncate_and_wrap_as_in_java() {
        for (text, expected) in [
            ("0", 0),
            ("-12.9", -12),
            ("1e3", 1000),
            ("1234e-2", 12),
            ("12e-5", 0),
            ("9223372036854775808", i64::MIN),
            ("18446744073709551617", 1),
            ("1e63", 10_i64.wrapping_pow(63)),
            ("1e64", 0),
            ("5e2000000000", 0),
            ("5e-2000000000", 0),
            ("5e-99999999999999999999", 0),
            ("0e99999999999999999999", 0),
        ] {
            assert_eq!(literal(text).wrapping_i64(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "1x", "0x10", "1e99999999999", "--1", "NaN"] {
            assert!(Literal::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_do_not_fit() {
        for (text, precision, scale, expected) in [
            ("1.50", 4, 2, Some(150)),
            ("1.5", 4, 2, Some(150)),
            ("1.500", 4, 2, Some(150)),
            ("1.505", 4, 2, None),
            ("99.99", 4, 2, Some(9999)),
            ("100", 4, 2, None),
            ("-0.1", 4, 2, Some(-10)),
            ("1e1", 4, 2, Some(1000)),
            ("1e2", 4, 2, None),
            ("1e-2", 4, 2, Some(1)),
            ("1e-3", 4, 2, None),
            ("0e-9", 4, 2, Some(0)),
            ("0000000012", 2, 0, Some(12)),
            ("1e-2000000000", 4, 2, None),
            ("1e2000000000", 4, 2, None),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
        ] {
            assert_eq!(literal(text).decimal128(precision, scale), expected, "{text}");
            let wide = literal(text).decimal256(precision, scale);
            assert_eq!(wide, expected.map(i256::from_i128), "{text}");
        }
        let long = "1234567890".repeat(7) + "123456";
        assert_eq!(literal(&long).decimal256(76, 0), i256::from_string(&long));
    }

    #[test]
    fn text_is_what_big_decimal_prints() {
        for (text, expected) in [
            ("42", "42"),
            ("-0", "0"),
            ("42.000000001", "42.000000001"),
            ("1.50", "1.50"),
            ("0.00", "0.00"),
            ("-0.5", "-0.5"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("1e5", "1E+5"),
            ("12e5", "1.2E+6"),
            ("1.5e1", "15"),
            ("1.25e1", "12.5"),
            ("0e5", "0E+5"),
        ] {
            let mut out = Vec::new();
            literal(text).write_java(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn doubles_are_printed_as_in_java_and_read_back() {
        for (double, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.0009, "9.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e100, "1.25E100"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = Vec::new();
            write_double(double, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, expected);
            assert_eq!(parse_double(&text).map(f64::to_bits), Some(double.to_bits()));
        }
        assert_eq!(parse_double(" 1.5f\t"), Some(1.5));
        assert_eq!(parse_double("1e999"), None);
        assert_eq!(parse_double("--Infinity"), None);
        assert!(parse_double("NaN").unwrap().is_nan());
    }
}
