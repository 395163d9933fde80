//! Lowers a query that passed the rules to the steps of a topology: table, filter, explode, aggregate, project.
//!
//! Expressions are lowered over the columns of all sources. Aggregates and table functions become steps of their own.

mod aggregate;
mod explode;
mod table;

use std::sync::Arc;

use arrow::array::new_empty_array;
use arrow::datatypes::{DataType, SchemaRef};
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_language::definition::SideDef;
use headwater_language::diagnostic::{
    AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, PLAN, RESERVED_NAME, Span, UNKNOWN_COLUMN,
};
use headwater_language::sql::print;
use headwater_language::topology::{Action, AggregateWindow, Projection, ResultColumn};
use headwater_language::types::SqlType;
use sqlparser::ast::Expr;

use super::joins;
use super::key::{Key, made_name};
use super::query::{Item, Streaming, identifier};
use super::scope::span_of;
use crate::define::ROWHEADERS;

/// The steps of a query as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// The steps before the result is computed, in order.
    steps: Vec<Action>,
    /// The result: SELECT and PARTITION BY.
    pub projection: Projection,
    /// The span of each column of the projection, if it was written.
    pub spans: Vec<Option<Span>>,
}

impl Lowered {
    /// All steps, the projection last.
    pub fn into_actions(self) -> Vec<Action> {
        self.steps.into_iter().chain([Action::Project(self.projection)]).collect()
    }

    /// The windows of its groups.
    pub fn windows(&self) -> Option<AggregateWindow> {
        self.steps
            .iter()
            .find_map(|step| if let Action::Aggregate(aggregation) = step { aggregation.window } else { None })
    }

    /// Sets the key format of all exchanges to that of the result, so that both assign keys to the same partitions.
    pub fn write_keys_as(&mut self, key: &SideDef) {
        for step in &mut self.steps {
            if let Action::Exchange(exchange) = step {
                exchange.key = key.clone();
            }
        }
    }
}

/// Lowers a query. Errors in its expressions are added to `errors`, except those that are there already, such as names that
/// do not exist.
pub fn lower(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) -> Option<Lowered> {
    // An error in GROUP BY would cause further errors in SELECT and HAVING.
    if !joins::are_readable(query) || (query.is_grouped() && !errors.is_empty()) {
        return None;
    }
    match steps(query) {
        Ok(steps) => Some(steps),
        Err(found) => {
            let names_are_known = !errors.iter().any(is_about_a_name);
            let is_new = |error: &Diagnostic| names_are_known || !is_about_a_name(error);
            // Parameters of a lambda with one name were reported, too.
            let is_ours = |error: &Diagnostic| !error.message.starts_with("lambda parameters names must be unique");
            errors.extend(found.into_iter().filter(|error| is_new(error) && is_ours(error)));
            None
        }
    }
}

/// Whether an error is about a name; the rules for names report those.
fn is_about_a_name(error: &Diagnostic) -> bool {
    [UNKNOWN_COLUMN, AMBIGUOUS_COLUMN, RESERVED_NAME].contains(&error.code)
}

fn steps(query: &Streaming<'_>) -> Result<Lowered, Vec<Diagnostic>> {
    let compiler = compiler(query, query.scope.schema())?;
    let mut errors = Vec::new();
    let filter =
        query.select.selection.as_ref().and_then(|written| {
            condition("WHERE", (written, query.scope.lowered(written)), query, &compiler, &mut errors)
        });
    let key = Key::of(query);
    let made = match query.is_grouped() {
        true => of_groups(query, &compiler),
        false => of_rows(query, &key, &compiler),
    };
    let Before { steps, items, schema } = match made {
        Ok(made) => made,
        Err(found) => return Err(errors.into_iter().chain(found).collect()),
    };
    let compiler = self::compiler(query, schema)?;
    let mut columns = Columns { query, compiler, key, found: Vec::new(), headers: None, errors };
    items.iter().enumerate().for_each(|(at, item)| columns.add(at, item));
    if !columns.errors.is_empty() {
        return Err(columns.errors);
    }
    let (projection, spans) = columns.projection();
    let table = table::step(query);
    Ok(Lowered { steps: table.into_iter().chain(filter).chain(steps).collect(), projection, spans })
}

fn compiler<'a>(query: &Streaming<'a>, schema: SchemaRef) -> Result<Compiler<'a>, Vec<Diagnostic>> {
    Compiler::new(query.state, schema).map_err(|error| diagnose(&error, Some(query.span())))
}

/// The steps before the result.
struct Before {
    /// The steps after WHERE.
    steps: Vec<Action>,
    /// SELECT over the columns of the last step.
    items: Vec<Item>,
    /// Those columns.
    schema: SchemaRef,
}

/// SELECT over rows, with its table functions.
fn of_rows(query: &Streaming<'_>, key: &Key, compiler: &Compiler<'_>) -> Result<Before, Vec<Diagnostic>> {
    let mut items = items(query, key);
    let mut misplaced = Vec::new();
    let (columns, schema) = explode::extract(&mut items, compiler, query.span(), &mut misplaced);
    if !misplaced.is_empty() {
        return Err(misplaced);
    }
    let explode = (!columns.is_empty()).then_some(Action::Explode { columns });
    Ok(Before { steps: explode.into_iter().collect(), items, schema })
}

/// SELECT and HAVING over groups.
fn of_groups(query: &Streaming<'_>, rows: &Compiler<'_>) -> Result<Before, Vec<Diagnostic>> {
    let mut grouped = aggregate::lower(query, rows)?;
    let compiler = compiler(query, grouped.schema.clone())?;
    let over_groups = |item: &Item| Item { expr: grouped.over_groups(query, &item.expr), ..item.clone() };
    let items = query.items.iter().map(over_groups).collect();
    let mut errors = Vec::new();
    let filter = query.select.having.as_ref().and_then(|written| {
        condition("HAVING", (written, grouped.over_groups(query, written)), query, &compiler, &mut errors)
    });
    grouped.steps.extend(filter);
    if errors.is_empty() { Ok(Before { steps: grouped.steps, items, schema: grouped.schema }) } else { Err(errors) }
}

/// The items of SELECT over the columns of the sources.
fn items(query: &Streaming<'_>, key: &Key) -> Vec<Item> {
    let name = made_name(&query.scope);
    let lowered = |item: &Item| match &key.made {
        // The key that a join makes has the values of the expression it joins on.
        Some(made) if identifier(&item.expr) == Some(&name) => query.scope.lowered(made),
        _ => query.scope.lowered(&item.expr),
    };
    query.items.iter().map(|item| Item { expr: lowered(item), ..item.clone() }).collect()
}

/// The filter for a condition, which is passed as it was written and over the columns of `compiler`.
fn condition(
    clause: &str,
    (written, filter): (&Expr, Expr),
    query: &Streaming<'_>,
    compiler: &Compiler<'_>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Action> {
    let (text, span) = (query.scope.text(written), span_of(written, query.span()));
    match compiler.compile(&filter, &text, Some(span)) {
        Ok((_, SqlType::Boolean)) => return Some(Action::Filter { predicate: print::expr(&filter) }),
        Ok((_, ty)) => {
            let message = format!("{clause} requires a BOOLEAN, but \"{text}\" is {ty}");
            errors.push(Diagnostic::new(PLAN, message).at(span));
        }
        Err(found) => errors.extend(found),
    }
    None
}

/// A column of the result.
struct Column {
    result: ResultColumn,
    /// Its place in the key.
    rank: Option<usize>,
    /// Where it was written.
    span: Option<Span>,
}

/// Turns items into columns.
struct Columns<'a> {
    query: &'a Streaming<'a>,
    compiler: Compiler<'a>,
    key: Key,
    found: Vec<Column>,
    headers: Option<String>,
    errors: Vec<Diagnostic>,
}

impl Columns<'_> {
    fn add(&mut self, at: usize, item: &Item) {
        let text = self.query.scope.text(&self.query.items[at].expr);
        let span = item.span.or(Some(self.query.span()));
        if item.name == ROWHEADERS && self.query.purpose.sink().is_some() {
            self.add_headers(&item.expr, &text, span);
            return;
        }
        match self.compiler.compile(&item.expr, &text, span) {
            Ok((_, ty)) => {
                let (rank, expr) = (self.key.rank(at), print::expr(&item.expr));
                let result = ResultColumn { name: item.name.clone(), expr, ty, key: rank.is_some() };
                self.found.push(Column { result, rank, span: item.span });
            }
            Err(found) => self.errors.extend(found),
        }
    }

    /// Handles `… AS ROWHEADERS`, which sets the headers of the record.
    fn add_headers(&mut self, expr: &Expr, text: &str, span: Option<Span>) {
        if self.headers.is_some() {
            self.errors.push(Diagnostic::new(DUPLICATE_COLUMN, "ROWHEADERS appears twice in SELECT").at_maybe(span));
        }
        let checked = self.compiler.compile(expr, text, span).and_then(|(expression, _)| {
            let empty: Arc<dyn arrow::array::Array> = new_empty_array(expression.data_type());
            let null = matches!(expression.data_type(), DataType::Null);
            let shape = if null { Ok(empty.clone()) } else { headwater_expression::headers_of(&empty) };
            shape.map(drop).map_err(|why| vec![Diagnostic::new(PLAN, why).at_maybe(span)])
        });
        match checked {
            Ok(()) => self.headers = Some(print::expr(expr)),
            Err(found) => self.errors.extend(found),
        }
    }

    /// The projection, with the columns of the key first where it is written, and the places of its columns.
    fn projection(mut self) -> (Projection, Vec<Option<Span>>) {
        if self.query.purpose.sink().is_some() {
            self.found.sort_by_key(|column| column.rank.unwrap_or(usize::MAX));
        }
        let (columns, spans) = self.found.into_iter().map(|column| (column.result, column.span)).unzip();
        let rekeyed = self.query.query.partition_by.is_some();
        (Projection { columns, headers: self.headers, rekeyed }, spans)
    }
}
