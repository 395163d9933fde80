//! Numbers.

mod double;
mod extremes;
mod geo;
mod integer;
mod rounding;

use datafusion::error::Result;

use super::call::Call;
use super::delegate::delegate;
use super::signature::Category::{Array, Mathematical};
use super::signature::Type::{BigInt, Bytes, Date, Decimal, Double, Int, String, Time, Timestamp};
use super::signature::{Function, Param, Variant, p};

const INT: &[Param] = &[p("value", Int)];
const BIGINT: &[Param] = &[p("value", BigInt)];
const DOUBLE: &[Param] = &[p("value", Double)];
const DECIMAL: &[Param] = &[p("value", Decimal)];
const DOUBLE_PLACES: &[Param] = &[p("value", Double), p("places", Int)];
const DECIMAL_PLACES: &[Param] = &[p("value", Decimal), p("places", Int)];
const COORDINATES: &[Param] = &[p("lat1", Double), p("lon1", Double), p("lat2", Double), p("lon2", Double)];
const COORDINATES_UNIT: &[Param] =
    &[p("lat1", Double), p("lon1", Double), p("lat2", Double), p("lon2", Double), p("unit", String)];

/// A function of one number that gives a DOUBLE.
macro_rules! double {
    ($name:literal, $about:literal, $of:expr, $($example:expr),*) => {
        Function::new(
            $name,
            Mathematical,
            $about,
            &[
                Variant::new(INT, Double, |call| double::unary(call, $of)),
                Variant::new(BIGINT, Double, |call| double::unary(call, $of)),
                Variant::new(DOUBLE, Double, |call| double::unary(call, $of)),
            ],
            &[$($example),*],
        )
    };
}

/// A function over several values of one type that ignores nulls.
macro_rules! extreme {
    ($name:literal, $about:literal, $kernel:expr, $examples:expr) => {
        Function::new(
            $name,
            Mathematical,
            $about,
            &[
                Variant::new(&[p("first", Int), p("more", Int)], Int, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", BigInt), p("more", BigInt)], BigInt, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Double), p("more", Double)], Double, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Decimal), p("more", Decimal)], Decimal, $kernel)
                    .variadic()
                    .sees_nulls()
                    .giving(extremes::widest)
                    .about("The result type has room for all digits of every argument."),
                Variant::new(&[p("first", String), p("more", String)], String, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Bytes), p("more", Bytes)], Bytes, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Date), p("more", Date)], Date, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Time), p("more", Time)], Time, $kernel).variadic().sees_nulls(),
                Variant::new(&[p("first", Timestamp), p("more", Timestamp)], Timestamp, $kernel)
                    .variadic()
                    .sees_nulls(),
            ],
            $examples,
        )
    };
}

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "ABS",
        Mathematical,
        "The absolute value. The smallest INT and BIGINT remain negative, as in Java.",
        &[
            Variant::new(INT, Int, integer::abs_int),
            Variant::new(BIGINT, BigInt, integer::abs_bigint),
            Variant::new(DOUBLE, Double, |call| double::unary(call, f64::abs)),
            Variant::new(DECIMAL, Decimal, rounding::abs_decimal).giving(rounding::same),
        ],
        &[("ABS(-1)", "1"), ("ABS(-1.50)", "1.50"), ("ABS(-1.5E0)", "1.5")],
    ),
    Function::new(
        "CEIL",
        Mathematical,
        "The smallest whole number not less than the value, in the same type.",
        &[
            Variant::new(INT, Int, integer::itself),
            Variant::new(BIGINT, BigInt, integer::itself),
            Variant::new(DOUBLE, Double, |call| double::unary(call, f64::ceil)),
            Variant::new(DECIMAL, Decimal, rounding::ceil_decimal).giving(rounding::same),
        ],
        &[("CEIL(1.2)", "2.0"), ("CEIL(-1.5E0)", "-1.0")],
    ),
    Function::new(
        "FLOOR",
        Mathematical,
        "The largest whole number not greater than the value, in the same type.",
        &[
            Variant::new(INT, Int, integer::itself),
            Variant::new(BIGINT, BigInt, integer::itself),
            Variant::new(DOUBLE, Double, |call| double::unary(call, f64::floor)),
            Variant::new(DECIMAL, Decimal, rounding::floor_decimal).giving(rounding::same),
        ],
        &[("FLOOR(1.7)", "1.0"), ("FLOOR(-1.5E0)", "-2.0")],
    ),
    Function::new(
        "ROUND",
        Mathematical,
        "The number rounded to this many digits after the decimal point (before it if negative). Ties are rounded up, so ROUND(-1.5) is -1.",
        &[
            Variant::new(INT, BigInt, integer::whole),
            Variant::new(BIGINT, BigInt, integer::whole),
            Variant::new(DOUBLE, BigInt, double::round),
            Variant::new(DOUBLE_PLACES, Double, double::round_places),
            Variant::new(DECIMAL, Decimal, rounding::round_decimal).giving(rounding::whole),
            Variant::new(DECIMAL_PLACES, Decimal, rounding::round_decimal_places)
                .giving(rounding::same)
                .about("The type keeps its number of digits."),
        ],
        &[
            ("ROUND(-1.5E0)", "-1"),
            ("ROUND(2.345E0, 2)", "2.35"),
            ("ROUND(12.35, 1)", "12.40"),
            ("ROUND(125.5, -1)", "130.0"),
        ],
    ),
    Function::new(
        "TRUNC",
        Mathematical,
        "The number truncated to this many digits after the decimal point (before it if negative).",
        &[
            Variant::new(INT, BigInt, integer::whole),
            Variant::new(BIGINT, BigInt, integer::whole),
            Variant::new(DOUBLE, BigInt, double::trunc),
            Variant::new(DOUBLE_PLACES, Double, double::trunc_places),
            Variant::new(DECIMAL, Decimal, rounding::trunc_decimal).giving(rounding::whole),
            Variant::new(DECIMAL_PLACES, Decimal, rounding::trunc_decimal_places)
                .giving(rounding::same)
                .about("The type keeps its number of digits."),
        ],
        &[("TRUNC(-1.9E0)", "-1"), ("TRUNC(2.349E0, 2)", "2.34"), ("TRUNC(12.39, 1)", "12.30")],
    ),
    Function::new(
        "SIGN",
        Mathematical,
        "-1, 0 or 1, as the number is below, at or above zero.",
        &[
            Variant::new(INT, Int, integer::sign_int),
            Variant::new(BIGINT, Int, integer::sign_bigint),
            Variant::new(DOUBLE, Int, integer::sign_double),
        ],
        &[("SIGN(-3)", "-1"), ("SIGN(0.0E0)", "0")],
    ),
    double!("SQRT", "The square root; NaN for a negative number.", f64::sqrt, ("SQRT(9)", "3.0")),
    double!("CBRT", "The cube root.", f64::cbrt, ("CBRT(27)", "3.0")),
    double!("EXP", "e to the power of the number.", f64::exp, ("EXP(0)", "1.0")),
    double!("LN", "The natural logarithm; NaN for a negative number.", f64::ln, ("LN(1)", "0.0")),
    Function::new(
        "LOG",
        Mathematical,
        "The logarithm, to base e or to the given base. NaN if the base is 1 or not positive, or if the value is negative.",
        &[
            Variant::new(INT, Double, |call| double::unary(call, f64::ln)),
            Variant::new(BIGINT, Double, |call| double::unary(call, f64::ln)),
            Variant::new(DOUBLE, Double, |call| double::unary(call, f64::ln)),
            Variant::new(&[p("base", Double), p("value", Double)], Double, |call| double::binary(call, double::log))
                .about("INT and BIGINT are converted to DOUBLE."),
        ],
        &[("LOG(1)", "0.0"), ("LOG(2, 8)", "3.0"), ("LOG(1, 8)", "NaN")],
    ),
    Function::new(
        "POWER",
        Mathematical,
        "The base raised to the power of the exponent.",
        &[Variant::new(&[p("base", Double), p("exponent", Double)], Double, |call| double::binary(call, f64::powf))
            .about("INT and BIGINT are converted to DOUBLE.")],
        &[("POWER(2, 10)", "1024.0"), ("POWER(2.0, 0.5)", "1.4142135623730951")],
    ),
    Function::new(
        "PI",
        Mathematical,
        "The ratio of a circle's circumference to its diameter.",
        &[Variant::new(&[], Double, |call| {
            call.each::<arrow::datatypes::Float64Type>(|_| Ok(Some(std::f64::consts::PI)))
        })],
        &[("PI()", "3.141592653589793")],
    ),
    Function::new(
        "RANDOM",
        Mathematical,
        "A random number from 0.0 (inclusive) to 1.0 (exclusive), a new one for each row and each run.",
        &[Variant::new(&[], Double, random)],
        &[("RANDOM() < 1.0E0", "true")],
    )
    .volatile(),
    double!("SIN", "The sine of an angle in radians.", f64::sin, ("SIN(0)", "0.0")),
    double!("COS", "The cosine of an angle in radians.", f64::cos, ("COS(0)", "1.0")),
    double!("TAN", "The tangent of an angle in radians.", f64::tan, ("TAN(0)", "0.0")),
    double!("COT", "The cotangent of an angle in radians; infinite for 0.", double::cot, ("COT(0)", "Infinity")),
    double!("ASIN", "The arc sine, in radians; NaN outside the range -1 to 1.", f64::asin, ("ASIN(0)", "0.0")),
    double!("ACOS", "The arc cosine, in radians; NaN outside the range -1 to 1.", f64::acos, ("ACOS(1)", "0.0")),
    double!("ATAN", "The arc tangent, in radians.", f64::atan, ("ATAN(0)", "0.0")),
    double!("SINH", "The hyperbolic sine.", f64::sinh, ("SINH(0)", "0.0")),
    double!("COSH", "The hyperbolic cosine.", f64::cosh, ("COSH(0)", "1.0")),
    double!("TANH", "The hyperbolic tangent.", f64::tanh, ("TANH(0)", "0.0")),
    Function::new(
        "ATAN2",
        Mathematical,
        "The angle, in radians, between the x axis and the point (x, y).",
        &[Variant::new(&[p("y", Double), p("x", Double)], Double, |call| double::binary(call, f64::atan2))
            .about("INT and BIGINT are converted to DOUBLE.")],
        &[("ATAN2(0, 1)", "0.0")],
    ),
    double!("DEGREES", "An angle converted from radians to degrees.", double::degrees, ("DEGREES(PI())", "180.0")),
    double!(
        "RADIANS",
        "An angle converted from degrees to radians.",
        double::radians,
        ("RADIANS(180)", "3.141592653589793")
    ),
    extreme!(
        "GREATEST",
        "The largest of the values. NULL is ignored; the result is NULL if there are no other values.",
        |call: &Call<'_>| extremes::extreme(call, &datafusion::functions::core::greatest()),
        &[("GREATEST(1, NULL, 3)", "3"), ("GREATEST('a', 'b')", "b"), ("GREATEST(1.5, 12.25)", "12.25")]
    ),
    extreme!(
        "LEAST",
        "The smallest of the values. NULL is ignored; the result is NULL if there are no other values.",
        |call: &Call<'_>| extremes::extreme(call, &datafusion::functions::core::least()),
        &[("LEAST(1, NULL, 3)", "1"), ("LEAST('a', 'b')", "a")]
    ),
    Function::new(
        "GEO_DISTANCE",
        Mathematical,
        "The great-circle distance between two points given in degrees, in kilometres or, with the unit 'MI', in miles.",
        &[
            Variant::new(COORDINATES, Double, geo::distance),
            Variant::new(COORDINATES_UNIT, Double, geo::distance)
                .sees_nulls()
                .about("The unit begins with KM or MI, in upper or lower case; NULL means KM."),
        ],
        &[("ROUND(GEO_DISTANCE(37.4439, -122.1663, 51.5257, -0.1122), 3)", "8634.66")],
    ),
    Function::new(
        "GENERATE_SERIES",
        Array,
        "An array of the numbers from the first to the last, both included. The default step is 1 or -1. At most 65536 numbers.",
        &[
            Variant::new(&[p("first", Int), p("last", Int)], super::signature::Type::Array(&Int), integer::series_int),
            Variant::new(
                &[p("first", Int), p("last", Int), p("step", Int)],
                super::signature::Type::Array(&Int),
                integer::series_int,
            ),
            Variant::new(
                &[p("first", BigInt), p("last", BigInt)],
                super::signature::Type::Array(&BigInt),
                integer::series_bigint,
            ),
            Variant::new(
                &[p("first", BigInt), p("last", BigInt), p("step", Int)],
                super::signature::Type::Array(&BigInt),
                integer::series_bigint,
            ),
        ],
        &[("GENERATE_SERIES(1, 5)", "[1, 2, 3, 4, 5]"), ("GENERATE_SERIES(5, 1, -2)", "[5, 3, 1]")],
    ),
];

fn random(call: &Call<'_>) -> Result<arrow::array::ArrayRef> {
    delegate(call, &datafusion::functions::math::random())
}
