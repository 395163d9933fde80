//! SQL syntax that bounded queries do not support, reported with its location: rows in parentheses, UNNEST in FROM, a
//! query as LIMIT, duplicate names.
//!
//! The parser accepts more than can be planned. What is not reported here, DataFusion reports in its own wording.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use headwater_functions::is_table_call;
use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{DUPLICATE_COLUMN, Diagnostic, NOT_SUPPORTED, PLAN, Span};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{each_expr, place, print, walk, walk_mut};
use sqlparser::ast::{
    DuplicateTreatment, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    JoinConstraint, JoinOperator, LimitClause, NamedWindowDefinition, NamedWindowExpr, ObjectName, Query, Select,
    SelectItem, SetExpr, Spanned as _, TableFactor, TableWithJoins, Value, Visitor, VisitorMut, WindowType,
};

use super::callee::Callee;
use super::relations::Namer;
use super::{frames, groups, parameters, patterns};

/// Reports all unsupported syntax in a query.
pub(super) fn check(query: &Query, state: &SessionState) -> Vec<Diagnostic> {
    let mut forms = Forms { state, grouped: BTreeSet::new(), has_rows: false, errors: Vec::new() };
    walk(query, &mut forms);
    names_twice(query.body.as_ref(), &mut forms.errors);
    forms.errors
}

/// Rewrites `FETCH FIRST n ROWS ONLY` as a LIMIT, and `COUNT(1)` as `COUNT(TRUE)`, everywhere in a query: DataFusion
/// has the same name for `COUNT(1)` and `COUNT(*)` and rejects a query with both.
pub(super) fn other_words(query: &mut Query) {
    walk_mut(query, &mut OtherWords);
}

struct OtherWords;

impl VisitorMut for OtherWords {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr
            && is_count(name)
            && list.duplicate_treatment.is_none()
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(counted)))] = &mut list.args[..]
            && matches!(counted.value, Value::Number(..))
        {
            counted.value = Value::Boolean(true);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(Fetch { quantity, .. }) = query.fetch.take() else { return ControlFlow::Continue(()) };
        let rows = quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
            Some(LimitClause::OffsetCommaLimit { limit, .. }) => *limit = rows,
            None => {
                query.limit_clause =
                    Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether a relation is `UNNEST(array)`, which has no condition of its own.
fn is_of_arrays(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::UNNEST { .. } | TableFactor::Table { args: Some(_), .. })
}

fn is_count(name: &ObjectName) -> bool {
    matches!(&name.0[..], [part] if part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case("count")))
}

struct Forms<'a> {
    state: &'a SessionState,
    /// The locations of lists in GROUP BY, which are not rows.
    grouped: BTreeSet<Span>,
    /// Whether a row in parentheses has been reported.
    has_rows: bool,
    errors: Vec<Diagnostic>,
}

impl Forms<'_> {
    fn refuse(&mut self, message: impl Into<String>, span: Option<Span>) -> &mut Diagnostic {
        self.errors.push(Diagnostic::new(NOT_SUPPORTED, message).at_maybe(span));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// Checks the row count of LIMIT, OFFSET or FETCH, which must be a literal number.
    fn number(&mut self, clause: &str, expr: &Expr) {
        let span = place(expr.span());
        let mut what = None;
        each_expr(expr, &mut |part| {
            what = what.or(match part {
                query if is_subquery(query) => Some("a query"),
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some("a column"),
                Expr::Function(_) => Some("a function call"),
                _ => None,
            });
        });
        if let Some(what) = what {
            self.errors.push(Diagnostic::new(PLAN, format!("{clause} must be a number, not {what}")).at_maybe(span));
        } else if frames::is_negative(expr) {
            self.errors.push(Diagnostic::new(PLAN, format!("{clause} cannot be negative")).at_maybe(span));
        }
    }

    fn limits(&mut self, query: &Query) {
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                limit.iter().for_each(|limit| self.number("LIMIT", limit));
                offset.iter().for_each(|offset| self.number("OFFSET", &offset.value));
                if let Some(by) = limit_by.first() {
                    self.refuse("LIMIT … BY is not supported", place(by.span())).hint =
                        Some("Use ROW_NUMBER() OVER (PARTITION BY …) in a subquery.".to_owned());
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.number("OFFSET", offset);
                self.number("LIMIT", limit);
            }
            None => {}
        }
        let Some(fetch) = &query.fetch else { return };
        let span = fetch.quantity.as_ref().and_then(|rows| place(rows.span()));
        let limited = matches!(
            query.limit_clause,
            Some(LimitClause::LimitOffset { limit: Some(_), .. } | LimitClause::OffsetCommaLimit { .. })
        );
        if fetch.percent || fetch.with_ties {
            let what = if fetch.percent { "PERCENT" } else { "WITH TIES" };
            self.refuse(format!("FETCH FIRST … {what} is not supported"), span);
        } else if limited {
            let error = Diagnostic::new(PLAN, "a query cannot have both LIMIT and FETCH FIRST");
            self.errors.push(error.at_maybe(span));
        }
        fetch.quantity.iter().for_each(|rows| self.number("FETCH FIRST", rows));
    }

    /// Reports a relation in FROM that is made from an array.
    fn unnest(&mut self, factor: &TableFactor, array: Option<&Expr>) {
        let span = array.and_then(|array| place(array.span())).or(place(factor.span()));
        let error = self.refuse("UNNEST in FROM is not supported", span);
        error.hint = Some(match array {
            Some(array) => {
                format!("Use a table function in SELECT: SELECT *, EXPLODE({}) FROM ….", print::expr(array))
            }
            None => "Use a table function in SELECT: SELECT *, EXPLODE(array) FROM ….".to_owned(),
        });
    }

    /// Checks that each join is of a supported kind and has a condition unless it is a CROSS JOIN.
    fn joins(&mut self, from: &TableWithJoins) {
        use JoinOperator::{ArrayJoin, AsOf, CrossApply, InnerArrayJoin, LeftArrayJoin, OuterApply, StraightJoin};
        use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
        for join in &from.joins {
            let span = place(join.relation.span());
            match &join.join_operator {
                ArrayJoin
                | AsOf { .. }
                | CrossApply
                | InnerArrayJoin
                | LeftArrayJoin
                | OuterApply
                | StraightJoin(_) => {
                    self.refuse("this kind of join is not supported", span);
                }
                Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c)
                    if *c == JoinConstraint::None && !is_of_arrays(&join.relation) =>
                {
                    let error = Diagnostic::new(PLAN, "the join needs a condition with ON or USING");
                    self.errors.push(error.at_maybe(span).hint("Use CROSS JOIN to combine every row with every row."));
                }
                _ => {}
            }
        }
    }

    fn call(&mut self, call: &Function) {
        self.errors.extend(patterns::check(call));
        self.errors.extend(parameters::check(call));
        if let Some(WindowType::WindowSpec(spec)) = &call.over {
            self.errors.extend(frames::check(spec));
        }
        let span = call.name.0.first().and_then(|part| part.as_ident()).and_then(|name| place(name.span));
        let name = call.name.to_string().to_uppercase();
        if call.over.is_some() && is_table_call(&headwater_language::sql::call(&name, Vec::new())) {
            let error = Diagnostic::new(PLAN, format!("table function {name} is not a window function"));
            self.errors.push(error.at_maybe(span).hint("Remove OVER."));
        }
        let FunctionArguments::List(list) = &call.args else { return };
        let all = |arg: &&FunctionArg| {
            matches!(
                arg,
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard | FunctionArgExpr::QualifiedWildcard(_))
                    | FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(_))
            )
        };
        // A function that does not exist is reported elsewhere.
        let callee = Callee::of(&name, self.state);
        let exists = callee.is_some_and(|it| it.is_scalar() || matches!(it, Callee::Table | Callee::Aggregate));
        let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if name == "COUNT" && is_distinct && (list.args.len() > 1 || list.args.iter().any(|arg| all(&arg))) {
            let error = self.refuse("COUNT(DISTINCT …) takes one expression", span);
            error.hint =
                Some("Count the rows of a subquery: SELECT COUNT(*) FROM (SELECT DISTINCT … FROM …).".to_owned());
        }
        if name != "COUNT" && exists && list.args.iter().any(|arg| all(&arg)) {
            let error = Diagnostic::new(PLAN, format!("function \"{name}\" does not take *"));
            self.errors.push(error.at_maybe(span).hint("Only COUNT accepts *; list the columns instead."));
        }
    }
}

/// Whether an expression reads columns.
pub(super) fn has_columns(expr: &Expr) -> bool {
    let mut found = false;
    each_expr(expr, &mut |part| found |= matches!(part, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
    found
}

/// Whether an expression has a form that cannot be planned.
fn is_unplanned(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::JsonAccess { .. }
            | Expr::IsNormalized { .. }
            | Expr::InUnnest { .. }
            | Expr::RLike { .. }
            | Expr::Convert { .. }
            | Expr::Collate { .. }
            | Expr::Prefixed { .. }
            | Expr::Dictionary(_)
            | Expr::MatchAgainst { .. }
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::MemberOf(_)
    )
}

impl Visitor for Forms<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.limits(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(items, _) = &select.group_by {
            self.grouped.extend(items.iter().filter_map(|item| place(item.span())));
        }
        if let (true, Some(SelectItem::Wildcard(options))) = (select.from.is_empty(), select.projection.first()) {
            let error = Diagnostic::new(PLAN, "SELECT * needs a FROM clause");
            self.errors.push(error.at_maybe(place(options.wildcard_token.0.span)));
        }
        for NamedWindowDefinition(_, window) in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = window {
                self.errors.extend(frames::check(spec));
            }
        }
        select.from.iter().for_each(|from| self.joins(from));
        sources_twice(&select.from, &mut self.errors);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality: false, .. }
                if !array_exprs.is_empty() && !array_exprs.iter().any(has_columns) => {}
            TableFactor::UNNEST { array_exprs, .. } => self.unnest(factor, array_exprs.first()),
            TableFactor::Table { name, args: Some(args), .. } => {
                let array = match args.args.first() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(array))) => Some(array),
                    _ => None,
                };
                let call = headwater_language::sql::call(&name.to_string(), Vec::new());
                if is_table_call(&call) {
                    let message =
                        format!("table function {} is allowed only in SELECT", name.to_string().to_uppercase());
                    let hint = array.map(|array| format!("SELECT *, {name}({}) FROM ….", print::expr(array)));
                    let error = Diagnostic::new(headwater_language::diagnostic::STREAMING, message);
                    self.errors.push(Diagnostic { hint, ..error.at_maybe(place(factor.span())) });
                }
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins(table_with_joins),
            TableFactor::Table { .. } | TableFactor::Derived { .. } => {}
            TableFactor::Function { .. } => {}
            other => {
                self.refuse("this kind of item in FROM is not supported", place(other.span()));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Tuple(_) if !self.has_rows && place(expr.span()).is_none_or(|span| !self.grouped.contains(&span)) => {
                // Only the first of a list of rows is reported.
                self.has_rows = true;
                let message = format!("a row in parentheses is not supported as a value: {}", print::expr(expr));
                let error = self.refuse(message, place(expr.span()));
                error.hint = Some("Compare column by column: a = 1 AND b = 2.".to_owned());
            }
            Expr::Function(call) => self.call(call),
            Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_) => {
                self.errors.extend(groups::nested(expr, self.state))
            }
            Expr::Extract { .. } => self.errors.extend(parameters::check_extract(expr)),
            Expr::SimilarTo { .. } => {
                let error = self.refuse("SIMILAR TO is not supported", place(expr.span()));
                error.hint = Some(
                    "Use LIKE with % and _, or REGEXP_LIKE(text, '^(a|b).*$') with a regular expression.".to_owned(),
                );
            }
            other if is_unplanned(other) => {
                let message = format!("the expression {} is not supported", print::expr(other));
                self.refuse(message, place(other.span()));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Reports names that two sources in the same FROM have.
fn sources_twice(from: &[TableWithJoins], errors: &mut Vec<Diagnostic>) {
    let catalog = Catalog::default();
    let relations = Namer { catalog: &catalog, named: Vec::new() }.relations(from);
    let mut seen = BTreeSet::new();
    for name in relations.iter().filter_map(|relation| relation.alias.as_ref()) {
        if !seen.insert(name.value.as_str()) {
            let error = Diagnostic::new(PLAN, format!("FROM has two sources called \"{}\"", name.value));
            errors.push(error.at_maybe(place(name.span)).hint("Give one of them another name with AS."));
        }
    }
}

/// Reports names that the statement gives to two columns of the result. In a UNION the first side names the columns.
fn names_twice(body: &SetExpr, errors: &mut Vec<Diagnostic>) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return names_twice(&query.body, errors),
        SetExpr::SetOperation { left, .. } => return names_twice(left, errors),
        _ => return,
    };
    // The columns of a single source keep their names; in a join they are renamed.
    let is_alone = matches!(&select.from[..], [from] if from.joins.is_empty());
    let mut seen = BTreeMap::new();
    for item in &select.projection {
        let (name, is_given) = match item {
            SelectItem::ExprWithAlias { alias, .. } => (alias, true),
            SelectItem::UnnamedExpr(Expr::Identifier(column)) if is_alone => (column, false),
            _ => continue,
        };
        if let Some(before) = seen.insert(name.value.as_str(), is_given)
            && (before || is_given)
        {
            let error =
                Diagnostic::new(DUPLICATE_COLUMN, format!("column \"{}\" appears twice in the result", name.value));
            errors.push(error.at_maybe(place(name.span)).hint("Give one of them another name with AS."));
        }
    }
}
