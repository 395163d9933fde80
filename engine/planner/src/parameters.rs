//! Arguments that the text must say: the unit of EXTRACT, the place of LAG, the share of a percentile.
//!
//! DataFusion looks at them when it runs: a unit that does not exist was NULL in every row, a share beyond 1 an error
//! without a place.

use std::str::FromStr as _;

use datafusion::arrow::compute::kernels::cast_utils::IntervalUnit;
use headwater_language::diagnostic::{Diagnostic, LITERAL, PLAN};
use headwater_language::sql::place;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _, UnaryOperator, Value,
};

use super::forms::has_columns;

/// What an argument is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Any constant.
    Constant,
    Whole,
    /// A whole number from 1 on.
    Count,
    /// A whole number other than 0.
    Position,
    /// A number from 0 to 1.
    Share,
    Text,
    /// A part of a time.
    Part,
    /// A unit to which a time is cut.
    Unit,
}

/// Functions of DataFusion with such arguments: by their places, from 0, without those of WITHIN GROUP.
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

/// Parts of a time beside its units.
const PARTS: &[&str] = &["quarter", "qtr", "doy", "dow", "isodow", "epoch"];

/// Units to which DATE_TRUNC cuts.
const UNITS: &[&str] =
    &["microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"];

/// What is wrong with the arguments of a call that are to be constants.
pub(super) fn check(call: &Function) -> Vec<Diagnostic> {
    let name = call.name.to_string();
    let Some((_, wanted)) = FUNCTIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) else {
        return Vec::new();
    };
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    // What WITHIN GROUP orders by is the first argument.
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

/// What is wrong with the part in `EXTRACT(part FROM …)`.
pub(super) fn check_extract(expr: &Expr) -> Option<Diagnostic> {
    let Expr::Extract { field, .. } = expr else { return None };
    let field = field.to_string();
    let is_wrong = !is_part(field.trim_matches(['"', '\'', '`']));
    is_wrong.then(|| {
        told(&format!("EXTRACT has no part {}", field.to_uppercase()), Takes::Part).at_maybe(place(expr.span()))
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

/// Why an argument is none that a parameter takes, as the end of a sentence. What is not a plain literal is left to
/// DataFusion: it may become one.
fn refusal(takes: Takes, arg: &Expr) -> Option<String> {
    if has_columns(arg) {
        return Some(format!("is {} that is the same in every row", takes.words()));
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
        Literal::Null => format!("is {}, not NULL", takes.words()),
        Literal::Number(number) => format!("is {}, not {number}", takes.words()),
        Literal::Text(text) => format!("is {}, not '{}'", takes.words(), text.replace('\'', "''")),
    })
}

impl Takes {
    /// It, with its article.
    fn words(self) -> &'static str {
        match self {
            Self::Constant => "a value",
            Self::Whole => "a whole number",
            Self::Count => "a whole number from 1 on",
            Self::Position => "a whole number other than 0",
            Self::Share => "a number from 0 to 1",
            Self::Text => "a text",
            Self::Part => "a part of a time",
            Self::Unit => "a unit of time",
        }
    }
}

enum Literal {
    Null,
    /// Its digits, with its sign.
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
