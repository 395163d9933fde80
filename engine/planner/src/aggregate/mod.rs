//! Calls of the dialect's aggregates in bounded queries, prepared for execution: each with its limits, and with the
//! address of the row where the order of the records matters.
//!
//! The clauses of a call are checked in `headwater_expression::aggregate_call`, addresses are handled in `address`;
//! what an aggregate computes is in `functions/aggregate`.

mod address;
mod ordinal;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, Window, WindowFunctionDefinition, cast,
};
use headwater_functions::aggregate::{self, Order, Shape, Shared};
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, PLAN};

pub use address::{Addressed, Carrier};

/// The maximum lengths of the arrays that aggregates collect.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    list: usize,
    set: usize,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        Self { list: usize::MAX, set: usize::MAX }
    }
}

impl Limits {
    /// The limits of the settings.
    pub fn of(settings: &Settings) -> Self {
        let limit = |name| match settings.integer(name) {
            limit if limit >= i64::from(i32::MAX) => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(0),
        };
        Self { list: limit("collect_list.limit"), set: limit("collect_set.limit") }
    }

    fn for_function(self, name: &str) -> usize {
        if name == "COLLECT_SET" { self.set } else { self.list }
    }

    /// The limit of the arrays that a function collects; `None` if it collects none, or if there is no limit.
    pub fn of_collected(self, name: &str) -> Option<usize> {
        let collects = ["COLLECT_LIST", "COLLECT_SET"].contains(&name);
        Some(self.for_function(name)).filter(|limit| collects && *limit < usize::MAX)
    }
}

/// Prepares every call of a dialect aggregate in a plan. Rejects calls that have no meaning.
pub fn settle(plan: LogicalPlan, limits: Limits) -> Result<LogicalPlan> {
    let mut settler = Settler { limits, carrier: Carrier::named("headwater_address") };
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(has_call) => {
            settler.aggregate(aggregate).map(Transformed::yes)
        }
        LogicalPlan::Window(window) if window.window_expr.iter().any(has_call) => {
            settler.window(window).map(Transformed::yes)
        }
        plan => Ok(Transformed::no(plan)),
    })?;
    Ok(settled.data)
}

/// Whether an expression contains a call to prepare.
fn has_call(expr: &Expr) -> bool {
    let is_call = |expr: &Expr| Ok(called(expr).is_some_and(|function| aggregate::unsettled(function).is_some()));
    expr.exists(is_call).unwrap_or(false)
}

fn called(expr: &Expr) -> Option<&AggregateUDF> {
    match expr {
        Expr::AggregateFunction(call) => Some(&call.func),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => Some(function),
            WindowFunctionDefinition::WindowUDF(_) => None,
        },
        _ => None,
    }
}

struct Settler {
    limits: Limits,
    carrier: Carrier,
}

impl Settler {
    fn aggregate(&mut self, aggregate: Aggregate) -> Result<LogicalPlan> {
        let names = NamePreserver::new(&LogicalPlan::Aggregate(aggregate.clone()));
        let (input, address) = self.input(aggregate.input)?;
        let schema = input.schema().clone();
        let settle = |expr: Expr| {
            let name = names.save(&expr);
            Ok(name.restore(settle_calls(expr, &schema, &address, self.limits)?))
        };
        let calls = aggregate.aggr_expr.into_iter().map(settle).collect::<Result<_>>()?;
        Aggregate::try_new(input, aggregate.group_expr, calls).map(LogicalPlan::Aggregate)
    }

    fn window(&mut self, window: Window) -> Result<LogicalPlan> {
        let names = NamePreserver::new(&LogicalPlan::Window(window.clone()));
        let (input, address) = self.input(window.input)?;
        let schema = input.schema().clone();
        let settle = |expr: Expr| {
            let name = names.save(&expr);
            Ok(name.restore(settle_calls(expr, &schema, &address, self.limits)?))
        };
        let calls = window.window_expr.into_iter().map(settle).collect::<Result<_>>()?;
        Window::try_new(calls, input).map(LogicalPlan::Window)
    }

    fn input(&mut self, input: Arc<LogicalPlan>) -> Result<(Arc<LogicalPlan>, Vec<Expr>)> {
        let addressed = self.carrier.carry(Arc::unwrap_or_clone(input))?;
        let address = addressed.exprs();
        Ok((Arc::new(addressed.plan), address))
    }
}

fn settle_calls(expr: Expr, schema: &DFSchema, address: &[Expr], limits: Limits) -> Result<Expr> {
    let settled = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(mut call) => {
                let args = std::mem::take(&mut call.params.args);
                (call.func, call.params.args) = settle_call(call.func, args, schema, address, limits, None)?;
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::WindowFunction(mut call) => {
                if let WindowFunctionDefinition::AggregateUDF(function) = call.fun {
                    let (args, window) = (std::mem::take(&mut call.params.args), Some(&call.params));
                    let (function, args) = settle_call(function, args, schema, address, limits, window)?;
                    call.fun = WindowFunctionDefinition::AggregateUDF(function);
                    call.params.args = args;
                }
                Transformed::yes(Expr::WindowFunction(call))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(settled.data)
}

/// The aggregate of one call, with its arguments.
fn settle_call(
    function: Arc<AggregateUDF>,
    mut args: Vec<Expr>,
    schema: &DFSchema,
    address: &[Expr],
    limits: Limits,
    window: Option<&WindowFunctionParams>,
) -> Result<(Arc<AggregateUDF>, Vec<Expr>)> {
    let Some(aggregate) = aggregate::unsettled(&function) else { return Ok((function, args)) };
    let name = aggregate.name;
    let types = args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let chosen = aggregate::chosen(aggregate, &types)?;
    let compute = chosen.variant.kernel;
    let Some(recipe) = compute.recipe else { return Ok((function, args)) };
    let varying = args.len() - compute.constants;
    let fixed = args.split_off(varying);
    let fixed = fixed.iter().enumerate().map(|(at, arg)| constant(name, varying + at + 1, arg));
    let constants = fixed.collect::<Result<_>>()?;
    if let Some(at) = types[..varying].iter().position(DataType::is_null) {
        let message = format!("argument {} of \"{name}\" is NULL, so its type is unknown", at + 1);
        return Err(refuse(Diagnostic::new(PLAN, message).hint("Give it a type: CAST(NULL AS STRING).")));
    }
    let moves = window.is_some_and(|window| !window.window_frame.start_bound.is_unbounded());
    if moves && !recipe.retracts {
        let message = format!("\"{name}\" cannot be computed over a frame whose start moves");
        let hint = "Start it at the first row: ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW.";
        return Err(refuse(Diagnostic::new(PLAN, message).hint(hint)));
    }
    let bring = |((arg, has), takes): ((Expr, &DataType), &DataType)| {
        if has == takes { arg } else { cast(arg, takes.clone()) }
    };
    let address = match recipe.order {
        Order::Any => &[],
        // The rows of a window arrive in the order of its ORDER BY.
        Order::Rows if window.is_some_and(|window| !window.order_by.is_empty()) => &[],
        Order::Rows | Order::Records => address,
    };
    let takes = chosen.takes[..varying].to_vec();
    let args = args.into_iter().zip(&types).zip(&takes).map(bring).chain(address.iter().cloned()).collect();
    let shape = Shape {
        takes,
        constants,
        returns: chosen.returns,
        positions: address.len().saturating_sub(2),
        sliding: false,
        limit: limits.for_function(name),
        shared: Shared::default(),
    };
    Ok((aggregate::shaped(aggregate, recipe, shape), args))
}

/// An argument that must be constant.
fn constant(name: &str, at: usize, arg: &Expr) -> Result<ScalarValue> {
    let hint = format!("DESCRIBE FUNCTION {name}; shows its arguments.");
    let refuse = |what: &str| {
        let message = format!("argument {at} of \"{name}\" must be {what}");
        refuse(Diagnostic::new(PLAN, message).hint(hint.clone()))
    };
    match arg {
        Expr::Alias(alias) => constant(name, at, &alias.expr),
        Expr::Literal(ScalarValue::Int32(Some(count)), _) if *count < 1 => {
            Err(refuse(&format!("1 or more, not {count}")))
        }
        Expr::Literal(value, _) if value.is_null() => Err(refuse("a literal, not NULL")),
        Expr::Literal(value, _) => Ok(value.clone()),
        _ => Err(refuse("a literal")),
    }
}

fn refuse(diagnostic: Diagnostic) -> DataFusionError {
    DataFusionError::External(Box::new(diagnostic))
}
