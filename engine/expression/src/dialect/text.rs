//! A planned expression as text in the dialect, for messages.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use headwater_functions::ELEMENT;

use super::cast::{CAST, CastTo};
use super::constructor::{ARRAY, Constructor, Form, MAP, STRUCT};
use super::field::GET_FIELD;
use super::guard::Guarded;
use super::kind::unaliased;
use super::like::LIKE;
use super::negation::Negation;
use super::operator::Operation;

/// The text of an expression. Whatever planning inserted is left out.
pub(super) fn text(expr: &Expr) -> String {
    match unaliased(expr) {
        Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => column.name.clone(),
        Expr::LambdaVariable(variable) => variable.name.clone(),
        Expr::Literal(value, _) => literal(value),
        Expr::Cast(cast) => text(&cast.expr),
        Expr::IsTrue(inner) => text(inner),
        Expr::Not(inner) => format!("(NOT {})", text(inner)),
        Expr::IsNull(inner) => format!("({} IS NULL)", text(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", text(inner)),
        Expr::Negative(inner) => format!("-{}", text(inner)),
        Expr::BinaryExpr(binary) => {
            format!("({} {} {})", text(&binary.left), operator(&binary.op), text(&binary.right))
        }
        Expr::ScalarFunction(call) => function(call),
        Expr::HigherOrderFunction(call) => called(call.func.name(), &call.args),
        Expr::Lambda(lambda) => format!("({}) => {}", lambda.params.join(", "), text(&lambda.body)),
        Expr::AggregateFunction(call) => called(call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => format!("{} OVER (…)", called(call.fun.name(), &call.params.args)),
        Expr::Exists(_) => "EXISTS (…)".to_owned(),
        Expr::InSubquery(among) => format!("({} IN (…))", text(&among.expr)),
        Expr::InList(among) => {
            let items: Vec<String> = among.list.iter().map(text).collect();
            format!("({} IN ({}))", text(&among.expr), items.join(", "))
        }
        Expr::Between(range) => {
            format!("({} BETWEEN {} AND {})", text(&range.expr), text(&range.low), text(&range.high))
        }
        Expr::ScalarSubquery(_) | Expr::SetComparison(_) => "(SELECT …)".to_owned(),
        Expr::Case(_) => "CASE … END".to_owned(),
        Expr::Unnest(rows) => text(&rows.expr),
        other => other.to_string(),
    }
}

/// A call under its name in the dialect. In a plan, COUNT(*) counts a constant.
fn called(name: &str, args: &[Expr]) -> String {
    let name = name.to_uppercase();
    match args {
        [Expr::Literal(value, _)] if name == "COUNT" && !value.is_null() => "COUNT(*)".to_owned(),
        args => format!("{name}({})", args.iter().map(text).collect::<Vec<_>>().join(", ")),
    }
}

fn operator(op: &datafusion::logical_expr::Operator) -> String {
    match op {
        datafusion::logical_expr::Operator::NotEq => "<>".to_owned(),
        other => other.to_string(),
    }
}

fn literal(value: &ScalarValue) -> String {
    match value {
        value if value.is_null() => "NULL".to_owned(),
        ScalarValue::Utf8(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            let seconds = value.nanoseconds as f64 / 1e9;
            let parts = [(f64::from(value.months), "months"), (f64::from(value.days), "days"), (seconds, "seconds")];
            let parts = parts.iter().filter(|(count, _)| *count != 0.0).map(|(count, unit)| format!("{count} {unit}"));
            format!("INTERVAL '{}'", parts.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

fn function(call: &datafusion::logical_expr::expr::ScalarFunction) -> String {
    let (function, args) = (call.func.inner(), &call.args);
    let texts = || args.iter().map(text).collect::<Vec<_>>();
    if let Some(guarded) = function.downcast_ref::<Guarded>() {
        return text(&guarded.with_args(args));
    }
    if let (Some(_), [value]) = (function.downcast_ref::<Negation>(), &args[..]) {
        return format!("-{}", text(value));
    }
    if let (Some(operation), [left, right]) = (function.downcast_ref::<Operation>(), &args[..]) {
        return format!("({} {} {})", text(left), operation.op.symbol(), text(right));
    }
    if let (Some(cast), [value]) = (function.downcast_ref::<CastTo>(), &args[..]) {
        return format!("CAST({} AS {})", text(value), cast.ty);
    }
    if let Some(Constructor { form: Form::Struct(names), .. }) = function.downcast_ref::<Constructor>() {
        let fields: Vec<String> = names.iter().zip(texts()).map(|(name, value)| format!("{name}:={value}")).collect();
        return format!("STRUCT({})", fields.join(", "));
    }
    let texts = texts();
    let bare = |text: &str| text.trim_matches('\'').to_owned();
    match (function.name(), &texts[..]) {
        (ARRAY, _) => format!("ARRAY[{}]", texts.join(", ")),
        (MAP, _) => format!("MAP({})", pairs(&texts).join(", ")),
        (STRUCT, _) => {
            let fields: Vec<String> =
                texts.chunks(2).map(|pair| [bare(&pair[0]), pair[1..].concat()].join(":=")).collect();
            format!("STRUCT({})", fields.join(", "))
        }
        (CAST, [value, ty]) => format!("CAST({value} AS {})", bare(ty)),
        (ELEMENT, [value, index]) => format!("{value}[{index}]"),
        (GET_FIELD, [value, field]) => format!("{value}->{}", bare(field)),
        (LIKE, [value, pattern, ..]) => format!("({value} LIKE {pattern})"),
        (name, _) => format!("{}({})", name.to_uppercase(), texts.join(", ")),
    }
}

fn pairs(texts: &[String]) -> Vec<String> {
    texts.chunks(2).map(|pair| pair.join(":=")).collect()
}
