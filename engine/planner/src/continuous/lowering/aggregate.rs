//! GROUP BY and aggregates. Rows are reduced to the GROUP BY columns and the arguments of the calls, sent to the partition of
//! their group, and aggregated there. SELECT and HAVING are expressions over the columns of the aggregation.
//!
//! ```text
//! SELECT UCASE(k) AS k, COUNT(v) * 2 AS n FROM s GROUP BY UCASE(k)
//!
//! project    UCASE(K) AS K KEY, V AS A1
//! filter     K IS NOT NULL
//! exchange   by K
//! aggregate  COUNT(A1) AS KSQL_AGG_VARIABLE_0 BY K
//! project    K AS K KEY, KSQL_AGG_VARIABLE_0 * 2 AS N
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_functions::{aggregate, fold};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::{each_own_expr, print, walk_mut};
use headwater_language::topology::{Action, AggregateCall, Aggregation, Projection, ResultColumn};
use headwater_language::types::{SqlType, type_name};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Spanned as _, VisitorMut};

use crate::continuous::query::{Streaming, called};
use crate::continuous::rules::not_yet;
use crate::continuous::scope::{Scope, ident, span_of};
use crate::continuous::window::BOUNDS;
use crate::define::RESERVED;

/// The id of the aggregation, which is also the name of its store.
const STORE: &str = "aggregate-1";

/// The lowered GROUP BY of a query.
pub struct Grouped {
    /// The steps from rows to groups.
    pub steps: Vec<Action>,
    /// The columns of the aggregation.
    pub schema: SchemaRef,
    /// The column of each GROUP BY expression and call, by its SQL text.
    columns: Vec<(String, String)>,
}

/// Lowers GROUP BY and the calls of aggregates. `compiler` has the columns of the rows before GROUP BY.
pub fn lower(query: &Streaming<'_>, compiler: &Compiler<'_>) -> Result<Grouped, Vec<Diagnostic>> {
    let names = Names::of(query);
    let mut grouping = Grouping { query, compiler, names, columns: Vec::new(), args: Vec::new(), errors: Vec::new() };
    let mut groups: Vec<ResultColumn> = query.groups.iter().filter_map(|group| grouping.group(group)).collect();
    if query.is_one_group() {
        groups.push(grouping.group_of_all());
    }
    let calls: Vec<AggregateCall> = query.aggregates().iter().filter_map(|call| grouping.call(call)).collect();
    let Grouping { columns, args, mut errors, .. } = grouping;
    let window = query.windows().transpose().map_err(|found| errors.extend(found)).ok().flatten();
    if !errors.is_empty() {
        return Err(errors);
    }
    let names = groups.iter().map(|group| group.name.clone()).collect();
    let aggregation = Aggregation { store: STORE.to_owned(), groups: names, window, calls, is_final: query.is_final() };
    let schema = schema(&groups, &aggregation);
    Ok(Grouped { steps: steps(groups, args, aggregation), schema, columns })
}

/// The steps that reduce rows to these columns, exchange them and aggregate them.
fn steps(groups: Vec<ResultColumn>, args: Vec<ResultColumn>, aggregation: Aggregation) -> Vec<Action> {
    let is_known = |group: &ResultColumn| format!("{} IS NOT NULL", ident(&group.name));
    let predicate = groups.iter().map(is_known).collect::<Vec<_>>().join(" AND ");
    let columns: Vec<ResultColumn> = groups.into_iter().chain(args).collect();
    let exchange = super::exchange(&columns);
    vec![
        Action::Project(Projection { columns, headers: None, rekeyed: true, window: None }),
        Action::Filter { predicate },
        exchange,
        Action::Aggregate(aggregation),
    ]
}

/// The columns of an aggregation.
fn schema(groups: &[ResultColumn], aggregation: &Aggregation) -> SchemaRef {
    let field = |name: &str, ty: &SqlType| {
        let data_type = ty.to_arrow().expect("custom types are replaced before a column is compiled");
        Field::new(name, data_type, true)
    };
    let groups = groups.iter().map(|group| field(&group.name, &group.ty));
    let bounds = BOUNDS.into_iter().filter(|_| aggregation.window.is_some());
    let bounds = bounds.map(|name| field(name, &SqlType::BigInt));
    let calls = aggregation.calls.iter().map(|call| field(&call.column, &call.ty));
    Arc::new(Schema::new(groups.chain(bounds).chain(calls).collect::<Vec<_>>()))
}

/// A call of an aggregate whose variant is known.
struct Resolved {
    /// The types to which its arguments are converted, except those that are constants.
    takes: Vec<SqlType>,
    /// Its constants, as SQL text.
    constants: Vec<String>,
    /// The type of its result.
    ty: SqlType,
}

/// Assigns columns to GROUP BY expressions, calls, and arguments of calls.
struct Grouping<'a> {
    query: &'a Streaming<'a>,
    compiler: &'a Compiler<'a>,
    names: Names,
    /// The column of each GROUP BY expression and call, by its SQL text.
    columns: Vec<(String, String)>,
    /// The columns of arguments.
    args: Vec<ResultColumn>,
    errors: Vec<Diagnostic>,
}

impl Grouping<'_> {
    fn group(&mut self, group: &Expr) -> Option<ResultColumn> {
        let name = self.column_of(group, "KSQL_COL_");
        Some(ResultColumn { name, key: true, ..self.compiled(group)? })
    }

    /// The column of a group that has all rows.
    fn group_of_all(&mut self) -> ResultColumn {
        let name = self.names.free(None, "KSQL_COL_", 0);
        ResultColumn { name, expr: "1".to_owned(), ty: SqlType::Int, key: true }
    }

    /// A call; `None` if an equal one has a column already.
    fn call(&mut self, call: &Expr) -> Option<AggregateCall> {
        let text = self.query.scope.text(call);
        if self.columns.iter().any(|(known, _)| *known == text) {
            return None;
        }
        let column = self.column_of(call, "KSQL_AGG_VARIABLE_");
        let (function, written) = (called(call)?, arguments(call));
        let args = written.iter().map(|argument| self.compiled(argument)).collect::<Option<Vec<_>>>()?;
        let Resolved { takes, constants, ty } = self.resolved(call, &function, &args)?;
        let args = args.into_iter().zip(takes).map(|(argument, ty)| self.argument(argument, ty)).collect();
        Some(AggregateCall { column, function, args, constants, ty })
    }

    /// Resolves a call of an aggregate by the types of its arguments.
    fn resolved(&mut self, call: &Expr, function: &str, args: &[ResultColumn]) -> Option<Resolved> {
        let span = span_of(call, self.query.span());
        let types: Vec<DataType> = args.iter().filter_map(|argument| argument.ty.to_arrow().ok()).collect();
        let chosen = aggregate::chosen(aggregate::find(function)?, &types);
        let mut chosen = chosen.map_err(|error| self.errors.extend(diagnose(&error, Some(span)))).ok()?;
        let varying = args.len() - chosen.variant.kernel.constants;
        chosen.takes.truncate(varying);
        let limit = self.query.limits.of_collected(function).map(|limit| limit.to_string());
        let constants: Vec<String> =
            args[varying..].iter().map(|constant| constant.expr.clone()).chain(limit).collect();
        let values = constants.iter().map(|text| fold::constant(text)).collect::<Option<Vec<_>>>();
        let Some(fold) = values.and_then(|values| fold::fold(function, &chosen.takes, &values)) else {
            let of: Vec<String> = chosen.takes.iter().map(type_name).collect();
            let what = format!("the aggregate {function} of {} in a continuous query", of.join(", "));
            self.errors.push(not_yet(&what, span));
            return None;
        };
        let takes = chosen.takes.iter().map(SqlType::from_arrow).collect::<Option<_>>()?;
        Some(Resolved { takes, constants, ty: SqlType::from_arrow(&fold.data_type())? })
    }

    /// The column of an argument that is converted to a type. Equal arguments share a column.
    fn argument(&mut self, argument: ResultColumn, ty: SqlType) -> String {
        let is_known = |known: &&ResultColumn| known.expr == argument.expr && known.ty == ty;
        if let Some(known) = self.args.iter().find(is_known) {
            return known.name.clone();
        }
        let name = self.names.free(None, "A", 1);
        self.args.push(ResultColumn { name: name.clone(), ty, ..argument });
        name
    }

    /// A name for the column of an expression: that of its column in SELECT, or `made` and a number.
    fn column_of(&mut self, expr: &Expr, made: &str) -> String {
        let scope = &self.query.scope;
        let text = scope.text(expr);
        let item = self.query.items.iter().find(|item| scope.text(&item.expr) == text);
        let name = self.names.free(item.map(|item| item.name.clone()), made, 0);
        self.columns.push((text, name.clone()));
        name
    }

    /// A column without a name.
    fn compiled(&mut self, expr: &Expr) -> Option<ResultColumn> {
        let (text, span) = (self.query.scope.text(expr), span_of(expr, self.query.span()));
        let lowered = self.query.scope.lowered(expr);
        match self.compiler.compile(&lowered, &text, Some(span)) {
            Ok((_, ty)) => Some(ResultColumn { name: String::new(), expr: print::expr(&lowered), ty, key: false }),
            Err(found) => {
                self.errors.extend(found);
                None
            }
        }
    }
}

/// The arguments of a call, without parentheses; none for `COUNT(*)`.
fn arguments(call: &Expr) -> Vec<&Expr> {
    let Expr::Function(function) = call else { return Vec::new() };
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let argument = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(inner(expr)),
        _ => None,
    };
    list.args.iter().filter_map(argument).collect()
}

/// An expression without the parentheses around it.
fn inner(expr: &Expr) -> &Expr {
    if let Expr::Nested(expr) = expr { inner(expr) } else { expr }
}

/// The names that are in use.
struct Names(BTreeSet<String>);

impl Names {
    /// The names that no column of an aggregation may have, because they have another meaning in expressions over it.
    fn of(query: &Streaming<'_>) -> Self {
        let mut used: BTreeSet<String> = RESERVED.iter().map(|name| (*name).to_owned()).collect();
        for expr in query.items.iter().map(|item| &item.expr).chain(&query.select.having) {
            each_own_expr(expr, &mut |expr: &Expr| {
                if let Expr::Lambda(lambda) = expr {
                    used.extend(lambda.params.iter().map(|param| param.name.value.clone()));
                }
            });
        }
        Self(used)
    }

    /// The wanted name if it is free, otherwise `made` followed by the first free number from `first` on.
    fn free(&mut self, wanted: Option<String>, made: &str, first: usize) -> String {
        let numbered = (first..).map(|n| format!("{made}{n}"));
        let name = wanted.into_iter().chain(numbered).find(|name| !self.0.contains(name));
        let name = name.expect("numbers do not end");
        self.0.insert(name.clone());
        name
    }
}

impl Grouped {
    /// The same expression over the columns of the aggregation. Spans are kept.
    pub fn over_groups(&self, query: &Streaming<'_>, expr: &Expr) -> Expr {
        let mut expr = expr.clone();
        if !self.replace(query, &mut expr) {
            walk_mut(&mut expr, &mut Replacing { query, grouped: self });
        }
        // A column of the aggregation may have the name of a column of one of several sources.
        if query.is_joined() { Scope::default().lowered(&expr) } else { query.scope.lowered(&expr) }
    }

    /// Replaces an expression that has a column by that column. Returns whether it did.
    fn replace(&self, query: &Streaming<'_>, expr: &mut Expr) -> bool {
        let text = query.scope.text(expr);
        let Some((_, column)) = self.columns.iter().find(|(known, _)| *known == text) else { return false };
        *expr = Expr::Identifier(Ident { span: expr.span(), ..ident(column) });
        true
    }
}

struct Replacing<'a> {
    query: &'a Streaming<'a>,
    grouped: &'a Grouped,
}

impl VisitorMut for Replacing<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // A literal may be the name of a field.
        if !matches!(expr, Expr::Value(_)) {
            self.grouped.replace(self.query, expr);
        }
        ControlFlow::Continue(())
    }
}
