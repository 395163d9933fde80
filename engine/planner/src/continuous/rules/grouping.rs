//! GROUP BY, aggregates and HAVING.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::{Stateful, called};
use crate::callee::Callee;
use crate::continuous::lowering::Use;
use crate::continuous::scope::span_of;
use crate::sides::contains_map;
use headwater_functions::aggregate;
use headwater_language::diagnostic::{Diagnostic, PLAN, PROJECTION_KEY, STREAMING};
use headwater_language::sql::{each_own_expr, walk};

/// Aggregates whose state is one plain value, which any format can hold.
const PLAIN_STATE: &[&str] = &["COUNT", "MAX", "MIN", "SUM", "SUM_LIST"];

impl Stateful<'_> {
    pub(super) fn grouping(&self, errors: &mut Vec<Diagnostic>) {
        self.groups_are_plain(errors);
        self.something_is_aggregated(errors);
        self.aggregates_are_sound(errors);
        self.rest_is_grouped(errors);
        self.values_fit("GROUP BY", errors);
        self.state_fits(errors);
        if errors.is_empty() {
            self.key_is_selected(errors);
        }
    }

    /// Each expression stands once in GROUP BY, by itself, and is no aggregate; its values can be a key.
    fn groups_are_plain(&self, errors: &mut Vec<Diagnostic>) {
        let mut seen: Vec<String> = Vec::new();
        for group in &self.groups {
            let span = span_of(group, self.span());
            let mut refuse = |message: String| errors.push(Diagnostic::new(STREAMING, message).at(span));
            if let Expr::Tuple(list) = group {
                let list: Vec<String> = list.iter().map(|expr| self.scope.text(expr)).collect();
                refuse(format!("GROUP BY takes expressions one by one, \"({})\" is a list", list.join(", ")));
                continue;
            }
            let text = self.scope.text(group);
            if seen.contains(&text) {
                let of =
                    if self.scope.members.len() == 1 { format!(" of {}", self.scope.listed()) } else { String::new() };
                refuse(format!("\"{text}\"{of} is twice in GROUP BY"));
                continue;
            }
            seen.push(text);
            let aggregates = self.aggregates_in(group);
            for aggregate in aggregates.iter().filter_map(called) {
                refuse(format!("GROUP BY cannot contain the aggregate {aggregate}"));
            }
            let mut found = Vec::new();
            if aggregates.is_empty()
                && let Some(ty) = self.ty(group, &mut found).filter(contains_map)
            {
                let name = self.name_of(group);
                refuse(format!("key column \"{name}\" has the type {ty}: a key cannot contain a MAP"));
            }
            // Names and functions that do not exist are told once, by their own rules.
            errors.extend(found.into_iter().filter(|error| error.code == PLAN));
        }
    }

    /// What an expression of GROUP BY is called in the result.
    fn name_of(&self, group: &Expr) -> String {
        let text = self.scope.text(group);
        let item = self.items.iter().find(|item| self.scope.text(&item.expr) == text);
        item.map_or(text, |item| item.name.clone())
    }

    fn something_is_aggregated(&self, errors: &mut Vec<Diagnostic>) {
        let in_having = self.select.having.as_ref().is_some_and(|having| !self.aggregates_in(having).is_empty());
        if !self.groups.is_empty() && !self.has_aggregates() && !in_having {
            let message = "GROUP BY needs an aggregate in SELECT or HAVING";
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()).hint("Add one, such as COUNT(*)."));
        }
        if self.groups.is_empty() && matches!(self.purpose, Use::Write(_)) {
            let found: Vec<String> = self
                .items
                .iter()
                .flat_map(|item| self.aggregates_in(&item.expr))
                .map(|a| self.scope.text(&a))
                .collect();
            if !found.is_empty() {
                let message = format!("aggregates that are written to a topic need a GROUP BY: {}", found.join(", "));
                errors.push(Diagnostic::new(STREAMING, message).at(self.span()));
            }
        }
    }

    fn aggregates_are_sound(&self, errors: &mut Vec<Diagnostic>) {
        let exprs = self.items.iter().map(|item| &item.expr).chain(&self.select.having);
        let aggregates: Vec<Expr> = exprs.flat_map(|expr| self.aggregates_in(expr)).collect();
        for aggregate in &aggregates {
            self.aggregate_is_sound(aggregate, errors);
        }
        if let Some(filter) = &self.select.selection {
            for aggregate in self.aggregates_in(filter).iter().filter_map(called) {
                let message = format!("WHERE cannot contain the aggregate {aggregate}");
                let error = Diagnostic::new(STREAMING, message).at(span_of(filter, self.span()));
                errors.push(error.hint("HAVING filters groups."));
            }
        }
        let tables = (0..self.scope.members.len()).all(|member| self.is_table(member));
        let mut stuck: Vec<String> = aggregates.iter().filter_map(called).collect();
        stuck.retain(|name| !aggregate::retracts(name));
        stuck.dedup();
        if tables && !stuck.is_empty() {
            let message =
                format!("these aggregates are for streams, not for a table, whose rows change: {}", stuck.join(", "));
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()));
        }
        self.no_table_functions(errors);
    }

    fn aggregate_is_sound(&self, aggregate: &Expr, errors: &mut Vec<Diagnostic>) {
        let (Some(name), span) = (called(aggregate), span_of(aggregate, self.span())) else { return };
        let arguments = arguments(aggregate);
        for inner in arguments.iter().flat_map(|argument| self.aggregates_in(argument)).filter_map(|a| called(&a)) {
            let message = format!("the aggregate {name} cannot take the aggregate {inner}");
            errors.push(Diagnostic::new(STREAMING, message).at(span));
        }
        let first_constant = arguments.len() - aggregate::constants(&name, arguments.len());
        for (at, argument) in arguments.iter().enumerate().skip(first_constant) {
            if !self.scope.columns_in(argument).is_empty() {
                let text = self.scope.text(argument);
                let message = format!("argument {} of {name} must be a literal, not \"{text}\"", at + 1);
                errors.push(Diagnostic::new(PLAN, message).at(span_of(argument, self.span())));
            }
        }
    }

    fn no_table_functions(&self, errors: &mut Vec<Diagnostic>) {
        for item in &self.items {
            each_own_expr(&item.expr, &mut |expr: &Expr| {
                let makes_rows = |name: &String| Callee::of(name, self.state).is_some_and(Callee::makes_rows);
                let Some(name) = called(expr).filter(makes_rows) else { return };
                let message = format!("table function {name} cannot be used together with aggregates or GROUP BY");
                errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, self.span())));
            });
        }
    }

    /// What is not aggregated is an expression of GROUP BY, or made of those.
    fn rest_is_grouped(&self, errors: &mut Vec<Diagnostic>) {
        let groups: Vec<String> = self.groups.iter().map(|group| self.scope.text(group)).collect();
        let loose = |expr: &Expr| !self.loose(expr, &groups).is_empty();
        let items: Vec<_> = self.items.iter().filter(|item| loose(&item.expr)).collect();
        if let Some(first) = items.first() {
            let texts: Vec<String> = items.iter().map(|item| self.scope.text(&item.expr)).collect();
            let message = format!("in SELECT and neither aggregated nor in GROUP BY: {}", texts.join(", "));
            let hint = "Add it to GROUP BY, or take it out of SELECT.";
            errors.push(Diagnostic::new(STREAMING, message).at(first.span.unwrap_or(self.span())).hint(hint));
        }
        let Some(having) = &self.select.having else { return };
        if let Some(expr) = self.loose(having, &groups).first() {
            let message = format!("in HAVING and neither aggregated nor in GROUP BY: {}", self.scope.text(expr));
            errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, self.span())));
        }
    }

    /// Columns that no aggregate and no expression of GROUP BY holds.
    fn loose(&self, expr: &Expr, groups: &[String]) -> Vec<Expr> {
        if groups.contains(&self.scope.text(expr)) || super::is_aggregate(expr, self.state) {
            return Vec::new();
        }
        if self.scope.column(expr).is_some() {
            return vec![expr.clone()];
        }
        children(expr).iter().flat_map(|child| self.loose(child, groups)).collect()
    }

    /// The state of an aggregate is written in the format of the result's values.
    fn state_fits(&self, errors: &mut Vec<Diagnostic>) {
        let inherited = self.scope.members.first().map(|m| m.source.value.format.clone());
        let format = self.property("VALUE_FORMAT").or_else(|| self.property("FORMAT")).or(inherited);
        if format.as_deref() != Some("DELIMITED") {
            return;
        }
        let all = self.items.iter().map(|item| &item.expr).chain(&self.select.having);
        let names: Vec<String> = all.flat_map(|expr| self.aggregates_in(expr)).filter_map(|a| called(&a)).collect();
        let nested: Vec<&str> = names.iter().map(String::as_str).filter(|name| !PLAIN_STATE.contains(name)).collect();
        if !nested.is_empty() {
            let message = format!("format DELIMITED cannot hold the state of {}", nested.join(", "));
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()).hint("Say WITH (VALUE_FORMAT='JSON')."));
        }
    }

    /// What is written to a topic has each expression of GROUP BY in SELECT once, and something besides.
    fn key_is_selected(&self, errors: &mut Vec<Diagnostic>) {
        let Use::Write(sink) = self.purpose else { return };
        let texts: Vec<String> = self.groups.iter().map(|group| self.scope.text(group)).collect();
        let missing: Vec<&String> =
            texts.iter().filter(|text| self.items.iter().all(|item| self.scope.text(&item.expr) != **text)).collect();
        if let Some(first) = missing.first() {
            let message = format!("the expression of GROUP BY \"{first}\" is missing in SELECT");
            let detail = format!("\"{sink}\" has its key among its columns, under any name: {}.", texts.join(", "));
            let hint = format!("Say SELECT {}, ….", texts.join(", "));
            errors.push(Diagnostic::new(PROJECTION_KEY, message).at(self.span()).detail(detail).hint(hint));
            return;
        }
        for text in &texts {
            let names: Vec<_> = self.items.iter().filter(|item| self.scope.text(&item.expr) == *text).collect();
            if let [first, second, ..] = names[..] {
                let message = format!(
                    "the expression of GROUP BY \"{text}\" is more than once in SELECT, as \"{}\" and \"{}\"",
                    first.name, second.name
                );
                let span = second.span.unwrap_or(self.span());
                let hint = format!("Copy it into the value with AS_VALUE({text}).");
                errors.push(Diagnostic::new(PROJECTION_KEY, message).at(span).hint(hint));
            }
        }
        if !self.groups.is_empty() && self.items.iter().all(|item| texts.contains(&self.scope.text(&item.expr))) {
            let message = format!("SELECT has nothing but the key of \"{sink}\": there is no value column");
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()));
        }
    }
}

/// The arguments of a call.
fn arguments(call: &Expr) -> Vec<Expr> {
    let Expr::Function(function) = call else { return Vec::new() };
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => expr.clone(),
        _ => Expr::value(Value::Null),
    };
    list.args.iter().map(argument).collect()
}

/// The expressions right inside of an expression.
fn children(expr: &Expr) -> Vec<Expr> {
    struct Children {
        depth: usize,
        found: Vec<Expr>,
    }
    impl sqlparser::ast::Visitor for Children {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
            if self.depth == 1 {
                self.found.push(expr.clone());
            }
            self.depth += 1;
            std::ops::ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &Expr) -> std::ops::ControlFlow<()> {
            self.depth -= 1;
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut children = Children { depth: 0, found: Vec::new() };
    walk(expr, &mut children);
    children.found
}
