//! Lowers a planned expression to one in which nothing is left to decide: every node has operands of the types it
//! expects.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Case, Cast, Expr, Operator, TryCast};
use headwater_functions::{ELEMENT, Scalar};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::common::{coerced, common_type, widest};
use super::comparison::{comparable, relax};
use super::constructor::{self, Constructor};
use super::field::GET_FIELD;
use super::kind::{Kind, is_null};
use super::operator::{Op, Operation};
use super::ordinary::or_null;
use super::refusal::{refusal, refuse};
use super::text::text;
use super::{
    CAST, EITHER, LIKE, NEGATE, STRUCT, UserFunction, adapt, arithmetic, cast, comparison, doubles, either, field,
    foreign, guard, lambda, like, literal, negation, truncate, user,
};

/// Lowers an expression over `schema`. Rejects expressions without a meaning. If an argument fails, it is NULL to the
/// function that it is passed to.
pub fn lower(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| lower_one(expr, schema)).map(|lowered| lowered.data)
}

fn lower_one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let lowered = match expr {
        Expr::Cast(cast) => match literal::fold(cast)? {
            Expr::Cast(Cast { expr, field }) => {
                foreign::cast(*expr, field.data_type(), |expr| Expr::Cast(Cast { expr, field: field.clone() }), schema)?
            }
            number => number,
        },
        Expr::TryCast(TryCast { expr, field }) => foreign::cast(
            *expr,
            field.data_type(),
            |expr| Expr::TryCast(TryCast { expr, field: field.clone() }),
            schema,
        )?,
        Expr::ScalarFunction(call) => function(call, schema)?,
        Expr::Not(inner) => {
            boolean("the operand of NOT", &inner, schema)?;
            Expr::Not(inner)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let operand = format!("an operand of {op}");
            boolean(&operand, &left, schema)?;
            boolean(&operand, &right, schema)?;
            Expr::BinaryExpr(BinaryExpr { left, op, right })
        }
        Expr::BinaryExpr(binary) if foreign::calculates(&binary) => foreign::arithmetic(binary, schema)?,
        Expr::Between(range) => between(range, schema)?,
        Expr::InList(list) => in_list(list, schema)?,
        Expr::Case(choice) => case(choice, schema)?,
        // ANY and ALL with a subquery that may contain NULL.
        Expr::SetComparison(_) => Expr::IsTrue(Box::new(doubles::settle_one(expr, schema)?.data)),
        Expr::InSubquery(mut among) => {
            among.expr = Box::new(guard::wrap(*among.expr, schema)?);
            doubles::settle_one(Expr::InSubquery(among), schema)?.data
        }
        Expr::HigherOrderFunction(mut call) => {
            let args = call.args.into_iter().map(|arg| match arg {
                lambda @ Expr::Lambda(_) => lambda::strict(lambda, schema),
                value => guard::wrap(value, schema),
            });
            call.args = args.collect::<Result<_>>()?;
            Expr::HigherOrderFunction(call)
        }
        other => return doubles::settle_one(other, schema),
    };
    Ok(Transformed::yes(lowered))
}

fn function(call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let function = call.func.inner().clone();
    if let Some(operation) = function.downcast_ref::<Operation>() {
        let [left, right] = two(call.args)?;
        return binary(operation.op, left, right, schema);
    }
    if let Some(constructor) = function.downcast_ref::<Constructor>() {
        return match &constructor.form {
            constructor::Form::Struct(_) => Ok(Expr::ScalarFunction(call)),
            form => constructor::lower(form.clone(), call.args, schema),
        };
    }
    if let Some(defined) = function.downcast_ref::<UserFunction>() {
        let args = user::lower_arguments(defined, call.args, schema)?;
        return Ok(Expr::ScalarFunction(ScalarFunction { args, ..call }));
    }
    match function.name() {
        CAST => cast::lower(call.args, schema),
        STRUCT => constructor::lower_struct(call.args, schema),
        NEGATE => negation::lower(call.args, schema),
        LIKE => like::lower(call.args, schema),
        EITHER => {
            let [left, right] = two(call.args)?;
            either::lower(left, right, schema)
        }
        // The dialect's own element access fails when what it reads fails.
        ELEMENT => Ok(Expr::ScalarFunction(call)),
        GET_FIELD => {
            has_fields(&call.args, schema)?;
            Ok(field::call(call))
        }
        _ => {
            if let Some(truncated) = truncate::lower(&call, schema)? {
                return Ok(truncated);
            }
            let args = match function.downcast_ref::<Scalar>() {
                Some(ours) => adapt::arguments(ours, call.args, schema)?,
                None => foreign::arguments(function.name(), call.args, schema)?,
            };
            let args = args.into_iter().map(|arg| guard::wrap(arg, schema)).collect::<Result<_>>()?;
            let call = Expr::ScalarFunction(ScalarFunction { args, ..call });
            foreign::brought(doubles::settle_one(call, schema)?.data, schema)
        }
    }
}

/// Checks the operand of `->`, which must be a STRUCT; DataFusion would accept maps, too.
fn has_fields(args: &[Expr], schema: &DFSchema) -> Result<()> {
    let [value, field, ..] = args else { return Ok(()) };
    let kind = Kind::of(value, schema)?;
    let Kind::Of(ty) = &kind else { return Ok(()) };
    let hint = match ty {
        SqlType::Struct(_) => return Ok(()),
        SqlType::Map(..) => format!("Use {}['key'] to look up a key.", text(value)),
        SqlType::Array(_) => format!("Use {}[1] for the first element.", text(value)),
        _ => "DESCRIBE shows the type of each column.".to_owned(),
    };
    let field = match field {
        Expr::Literal(ScalarValue::Utf8(Some(name)), _) => name.clone(),
        other => text(other),
    };
    let message = format!("{} ({ty}) has no field \"{field}\": -> needs a STRUCT", text(value));
    Err(refusal(Diagnostic::new(PLAN, message).hint(hint), [value]))
}

fn two(args: Vec<Expr>) -> Result<[Expr; 2]> {
    <[Expr; 2]>::try_from(args).map_err(|_| datafusion::common::plan_datafusion_err!("an operator needs two operands"))
}

fn binary(op: Op, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    match op {
        op if op.is_arithmetic() => arithmetic::lower(op, left, right, schema),
        Op::Concat => arithmetic::lower_concat(left, right, schema),
        _ => comparison::lower(op, left, right, schema),
    }
}

/// Rejects an expression that is not a BOOLEAN where one is required.
fn boolean(what: &str, expr: &Expr, schema: &DFSchema) -> Result<()> {
    match Kind::of(expr, schema)? {
        Kind::Null | Kind::Of(SqlType::Boolean) => Ok(()),
        other => Err(refuse(format!("{what} must be a BOOLEAN, but {} is {}", text(expr), other.name()), [expr])),
    }
}

/// BETWEEN includes both ends; it is false if any operand is NULL.
fn between(range: Between, schema: &DFSchema) -> Result<Expr> {
    let Between { expr, negated, low, high } = range;
    comparison::check(Op::GreaterOrEqual, &expr, &low, schema)?;
    comparison::check(Op::LessOrEqual, &expr, &high, schema)?;
    let kinds = (Kind::of(&expr, schema)?, Kind::of(&low, schema)?, Kind::of(&high, schema)?);
    let ty = match &kinds {
        (Kind::Of(value), Kind::Of(low), Kind::Of(high)) => {
            let types = (comparable(Op::GreaterOrEqual, value, low), comparable(Op::LessOrEqual, value, high));
            types.0.zip(types.1).and_then(|(low, high)| widest(&low, &high))
        }
        _ => None,
    };
    let range = match ty {
        Some(ty) => {
            let part = |part: Box<Expr>| or_null(coerced(*part, &ty, schema)?, schema).map(Box::new);
            Between { expr: part(expr)?, negated: false, low: part(low)?, high: part(high)? }
        }
        None => Between { expr, negated: false, low, high },
    };
    Ok(not_if(negated, Expr::IsTrue(Box::new(Expr::Between(range)))))
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

/// IN with a list: NULL is in no list, and a NULL in the list matches nothing.
fn in_list(found: InList, schema: &DFSchema) -> Result<Expr> {
    let InList { expr, list, negated } = found;
    let kinds = std::iter::once(expr.as_ref()).chain(&list).map(|part| Kind::of(part, schema));
    let foreign = kinds.collect::<Result<Vec<_>>>()?.iter().any(|kind| matches!(kind, Kind::Foreign(_)));
    if foreign {
        let list = Expr::InList(InList { expr, list, negated: false });
        return Ok(not_if(negated, Expr::IsTrue(Box::new(list))));
    }
    let values: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(&list).collect();
    let Some(ty) = common_type(&values, schema)? else {
        return Err(refuse("all values of IN are NULL, so their type is unknown", values));
    };
    let item = |item: Expr| or_null(coerced(item, &ty, schema)?, schema);
    let expr = item(*expr)?;
    let list: Vec<Expr> = list.into_iter().filter(|item| !is_null(item)).map(item).collect::<Result<_>>()?;
    let nested = matches!(ty, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_));
    let found = match nested {
        false if list.is_empty() => Expr::Literal(datafusion::common::ScalarValue::Boolean(Some(false)), None),
        false => Expr::IsTrue(Box::new(Expr::InList(InList { expr: Box::new(expr), list, negated: false }))),
        true => {
            let equal = |item: Expr| Expr::IsTrue(Box::new(Op::Equal.call(expr.clone(), item)));
            let never = Expr::Literal(datafusion::common::ScalarValue::Boolean(Some(false)), None);
            list.into_iter().map(equal).reduce(datafusion::logical_expr::or).unwrap_or(never)
        }
    };
    Ok(not_if(negated, found))
}

/// Lowers a CASE. One with an operand becomes one with comparisons; all results get one type.
fn case(choice: Case, schema: &DFSchema) -> Result<Expr> {
    let Case { expr: operand, mut when_then_expr, mut else_expr } = choice;
    for (when, _) in &mut when_then_expr {
        let condition = std::mem::take(when.as_mut());
        **when = match &operand {
            Some(operand) => comparison::lower(Op::Equal, operand.as_ref().clone(), condition, schema)?,
            None => {
                boolean("a WHEN condition", &condition, schema)?;
                condition
            }
        };
        **when = relax(std::mem::take(when.as_mut()))?;
    }
    let results = when_then_expr.iter().map(|(_, then)| ("THEN", then.as_ref()));
    let results: Vec<(&str, &Expr)> = results.chain(else_expr.as_deref().map(|other| ("ELSE", other))).collect();
    let Some(ty) = case_type(&results, schema)? else {
        return Ok(Expr::Case(Case { expr: None, when_then_expr, else_expr }));
    };
    for result in when_then_expr.iter_mut().map(|(_, then)| then).chain(else_expr.as_mut()) {
        **result = coerced(std::mem::take(result.as_mut()), &ty, schema)?;
    }
    Ok(Expr::Case(Case { expr: None, when_then_expr, else_expr }))
}

/// The common type of the results of a CASE; none if they have types of DataFusion's own, which it combines itself.
fn case_type(results: &[(&str, &Expr)], schema: &DFSchema) -> Result<Option<SqlType>> {
    let kinds = results.iter().map(|(_, result)| Kind::of(result, schema)).collect::<Result<Vec<_>>>()?;
    if kinds.iter().any(|kind| matches!(kind, Kind::Foreign(_))) {
        return Ok(None);
    }
    let values: Vec<&Expr> = results.iter().map(|(_, result)| *result).collect();
    let known = kinds.iter().zip(results).filter_map(|(kind, (word, result))| Some((kind.known()?, *word, *result)));
    let known: Vec<(&SqlType, &str, &Expr)> = known.collect();
    let differing = |known: &[(&SqlType, &str, &Expr)]| known.iter().position(|(ty, ..)| *ty != known[0].0);
    let Some(&(ty, ..)) = known.first() else {
        let error = Diagnostic::new(PLAN, "the results of CASE are all NULL, so its type is unknown");
        return Err(refusal(error.hint("Give one of them a type: CAST(NULL AS STRING)."), values));
    };
    let Some(at) = differing(&known) else { return Ok(Some(ty.clone())) };
    if let Some(ty) = adapt::meeting(&values, schema)? {
        return Ok(Some(ty));
    }
    // Results that are not literals cannot adapt, so the message names two of those.
    let solid: Vec<_> = known.iter().copied().filter(|(.., result)| !adapt::is_literal(result)).collect();
    let pair = match differing(&solid) {
        Some(at) => (solid[0], solid[at]),
        None => (known[0], known[at]),
    };
    Err(differ(pair.0, pair.1))
}

/// The error for two results of a CASE with different types.
fn differ(
    (ty, _, first): (&SqlType, &str, &Expr),
    (other_type, word, other): (&SqlType, &str, &Expr),
) -> DataFusionError {
    let (one, other_text) = (text(first), text(other));
    let message =
        format!("the results of CASE have different types: THEN {one} is {ty}, {word} {other_text} is {other_type}");
    let hint = format!("Convert one of them: CAST({other_text} AS {ty}).");
    refusal(Diagnostic::new(PLAN, message).hint(hint), [first, other])
}
