//! Arguments that must be literals: the unit of EXTRACT, the offset of LAG, the fraction of a percentile.
//!
//! DataFusion checks them at run time: an unknown unit gave NULL in every row, and a fraction greater than 1 an error
//! without a location.

use std::str::FromStr as _;

use datafusion::arrow::compute::kernels::cast_utils::IntervalUnit;
use headwater_language::diagnostic::{Diagnostic, LITERAL, PLAN};
use headwater_language::sql::place;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _, UnaryOperator, Value,
};

use super::forms::has_columns;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Any constant.
    Constant,
    Whole,
    /// A positive integer.
    Count,
    /// An integer other than 0.
    Position,
    /// A number from 0 to 1.
    Share,
    Text,
    /// A date part.
    Part,
    /// A unit that a time is truncated to.
    Unit,
}

/// DataFusion's functions with such arguments: their positions, from 0, not counting those of WITHIN GROUP.
const FUNCTIONS: &[(&str, &[(usize, Takes)])] = &[
    ("lag", &[(1, Takes::Whole), (2, Takes::Constant)]),
    ("lead", &[(1, Takes::Whole), (2, Takes::Constant)]),
    ("ntile", &[(0, Takes::Count)]),
    ("nth_value", &[(1, Takes::Position)]),
    ("string_agg", &[(1, Takes::Text)]),
    ("approx_percentile_cont", &[(1, Takes::Share), (2, Takes::Count)]),
    ("approx_percentile_cont_with_weight", &[(2, Takes::Share), (3, Takes::Count)]),
    ("percentile_cont", &[(1, Takes::Share)]),
    ("quantile_cont", &[(1, Takes::Share)]),
    ("date_part", &[(0, Takes::Part)]),
    ("datepart", &[(0, Takes::Part)]),
    ("date_trunc", &[(0, Takes::Unit)]),
    ("datetrunc", &[(0, Takes::Unit)]),
];

/// Date parts other than units.
const PARTS: &[&str] = &["quarter", "qtr", "doy", "dow", "isodow", "epoch"];

/// Units that DATE_TRUNC accepts.
const UNITS: &[&str] =
    &["microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"];

/// The errors in the arguments of a call that must be literals.
pub(super) fn check(call: &Function) -> Vec<Diagnostic> {
    let name = call.name.to_string();
    let Some((_, wanted)) = FUNCTIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) else {
        return Vec::new();
    };
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    // The ORDER BY of WITHIN GROUP is the first argument.
    let before = call.within_group.len();
    let wrong = |(at, takes): &(usize, Takes)| {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = list.args.get(at.checked_sub(before)?)? else {
            return None;
        };
        let why = refusal(*takes, arg)?;
        let what = format!("argument {} of {}", at - before + 1, name.to_uppercase());
        Some(told(&format!("{what} {why}"), *takes).at_maybe(place(arg.span())))
    };
    wanted.iter().filter_map(wrong).collect()
}

/// The error in the part of `EXTRACT(part FROM …)`.
pub(super) fn check_extract(expr: &Expr) -> Option<Diagnostic> {
    let Expr::Extract { field, .. } = expr else { return None };
    let field = field.to_string();
    let is_wrong = !is_part(field.trim_matches(['"', '\'', '`']));
    is_wrong.then(|| {
        told(&format!("EXTRACT does not know the part {}", field.to_uppercase()), Takes::Part)
            .at_maybe(place(expr.span()))
    })
}

fn told(message: &str, takes: Takes) -> Diagnostic {
    let error = |code| Diagnostic::new(code, message);
    match takes {
        Takes::Part => error(LITERAL).hint(
            "Parts are YEAR, QUARTER, MONTH, WEEK, DAY, DOW, ISODOW, DOY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND and EPOCH.",
        ),
        Takes::Unit => error(LITERAL).hint(format!("Units are {}.", UNITS.join(", "))),
        _ => error(PLAN),
    }
}

/// The reason why an argument is invalid, as the end of a sentence. An argument that is not a plain literal is left to
/// DataFusion, since it may become one.
fn refusal(takes: Takes, arg: &Expr) -> Option<String> {
    if has_columns(arg) {
        return Some(format!("must be {} that is the same in every row", takes.words()));
    }
    let literal = Literal::of(arg)?;
    let fits = match (takes, &literal) {
        (Takes::Constant, _) => true,
        (Takes::Whole, Literal::Number(number)) => number.parse::<i64>().is_ok(),
        (Takes::Count, Literal::Number(number)) => number.parse::<i64>().is_ok_and(|number| number > 0),
        (Takes::Position, Literal::Number(number)) => number.parse::<i64>().is_ok_and(|number| number != 0),
        (Takes::Share, Literal::Number(number)) => {
            number.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number))
        }
        (Takes::Text, Literal::Text(_) | Literal::Null) => true,
        (Takes::Part, Literal::Text(part)) => is_part(part),
        (Takes::Unit, Literal::Text(unit)) => UNITS.iter().any(|known| unit.eq_ignore_ascii_case(known)),
        _ => false,
    };
    (!fits).then(|| match literal {
        Literal::Null => format!("must be {}, not NULL", takes.words()),
        Literal::Number(number) => format!("must be {}, not {number}", takes.words()),
        Literal::Text(text) => format!("must be {}, not '{}'", takes.words(), text.replace('\'', "''")),
    })
}

impl Takes {
    /// The description of the argument, with its article.
    fn words(self) -> &'static str {
        match self {
            Self::Constant => "a value",
            Self::Whole => "an integer",
            Self::Count => "a positive integer",
            Self::Position => "an integer other than 0",
            Self::Share => "a number from 0 to 1",
            Self::Text => "a string",
            Self::Part => "a date part",
            Self::Unit => "a unit of time",
        }
    }
}

enum Literal {
    Null,
    /// The digits of the number, with its sign.
    Number(String),
    Text(String),
}

impl Literal {
    fn of(expr: &Expr) -> Option<Self> {
        Some(match expr {
            Expr::Nested(inner) => return Self::of(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match Self::of(expr)? {
                Self::Number(number) => Self::Number(format!("-{number}")),
                _ => return None,
            },
            Expr::Value(value) => match &value.value {
                Value::Null => Self::Null,
                Value::Number(number, _) => Self::Number(number.clone()),
                Value::SingleQuotedString(text) => Self::Text(text.clone()),
                _ => return None,
            },
            _ => return None,
        })
    }
}

fn is_part(part: &str) -> bool {
    let no_part = |unit: &IntervalUnit| matches!(unit, IntervalUnit::Century | IntervalUnit::Decade);
    PARTS.iter().any(|known| part.eq_ignore_ascii_case(known))
        || IntervalUnit::from_str(part).is_ok_and(|unit| !no_part(&unit))
}
