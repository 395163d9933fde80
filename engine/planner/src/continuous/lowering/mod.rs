//! Lowers a query that passed the rules to the nodes of a topology: sources, table, joins, filter, explode, aggregate, project.
//!
//! Expressions are lowered over the columns of all sources. Aggregates and table functions become steps of their own.

mod aggregate;
mod defaults;
mod explode;
mod join;
mod table;

use std::sync::Arc;

use arrow::array::new_empty_array;
use arrow::datatypes::{DataType, SchemaRef};
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_formats::format::FormatKind;
use headwater_language::definition::{ColumnDef, ColumnRole, FunctionDef, SideDef, SourceDef, SourceKind};
use headwater_language::diagnostic::{
    AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, PLAN, RESERVED_NAME, Span, UNKNOWN_COLUMN,
};
use headwater_language::sql::print;
use headwater_language::topology::{Action, AggregateWindow, Builder, NodeId, Projection, ResultColumn, Topology};
use headwater_language::types::SqlType;
use sqlparser::ast::Expr;

use super::joins;
use super::key::{Key, made_name};
use super::query::{Item, Streaming, identifier};
use super::scope::span_of;
use crate::define::ROWHEADERS;

/// The nodes of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// The nodes before the result is computed.
    builder: Builder,
    /// The last of them.
    last: NodeId,
    /// The result: SELECT and PARTITION BY.
    pub projection: Projection,
    /// The span of each column of the projection, if it was written.
    pub spans: Vec<Option<Span>>,
}

impl Lowered {
    /// The topology of a query that calls these functions.
    pub fn into_topology(self, functions: Vec<FunctionDef>) -> Topology {
        let Self { mut builder, last, projection, .. } = self;
        builder.add(Action::Project(projection), &[&last]);
        builder.finish(functions)
    }

    /// The windows of its groups.
    pub fn windows(&self) -> Option<AggregateWindow> {
        let window = |action: &Action| if let Action::Aggregate(of) = action { of.window } else { None };
        self.builder.nodes().iter().find_map(|node| window(&node.action))
    }

    /// Makes groups what the key of the result tells apart. Sets the key format of the exchanges whose keys have the types of the
    /// result's to that of the result, so that both assign keys to the same partitions. Keys with registered schemas have the names
    /// of their columns in the schema, so they are not written to exchanges.
    pub fn write_keys_as(&mut self, key: &SideDef) {
        defaults::fill(&mut self.builder, key);
        if FormatKind::is_registered(&key.format) {
            return;
        }
        let types: Vec<SqlType> = self.projection.columns.iter().filter(|c| c.key).map(|c| c.ty.clone()).collect();
        for node in self.builder.nodes_mut() {
            if let Action::Exchange(exchange) = &mut node.action
                && exchange.columns_of(&ColumnRole::Key).map(|column| &column.ty).eq(&types)
            {
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
    match nodes(query, errors.is_empty()) {
        Ok(lowered) => Some(lowered),
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

/// Adds a node after its inputs. An exchange gets the name of its node.
fn add(builder: &mut Builder, action: Action, inputs: &[&NodeId]) -> NodeId {
    let id = builder.add(action, inputs);
    if let Some(Action::Exchange(exchange)) = builder.nodes_mut().last().map(|node| &mut node.action) {
        (exchange.name, exchange.topic) = (id.to_string(), id.to_string());
    }
    id
}

/// An exchange of rows with these columns. Its name and its key format are set later.
fn exchange(columns: &[ResultColumn]) -> Action {
    let column = |column: &ResultColumn| ColumnDef {
        name: column.name.clone(),
        ty: column.ty.clone(),
        role: if column.key { ColumnRole::Key } else { ColumnRole::Value },
    };
    let side = SideDef::compact();
    Action::Exchange(Box::new(SourceDef {
        name: String::new(),
        kind: SourceKind::Stream,
        read_only: false,
        columns: columns.iter().map(column).collect(),
        topic: String::new(),
        key: side.clone(),
        value: side,
        event_time: None,
        window: None,
        statement: String::new(),
    }))
}

/// The rows that FROM gives.
struct From {
    builder: Builder,
    last: NodeId,
    /// Their columns.
    schema: SchemaRef,
    /// The expression for the key of a join.
    key: Option<Expr>,
    /// The expressions for start and end of the window in the key of a join.
    window: Option<[String; 2]>,
}

/// Lowers FROM. Joins are only lowered if the query `is_valid` so far.
fn from(query: &Streaming<'_>, is_valid: bool) -> Result<From, Vec<Diagnostic>> {
    if query.is_joined() && is_valid {
        let join::Joined { builder, last, schema, key, window } = join::lower(query)?;
        return Ok(From { builder, last, schema, key, window });
    }
    let mut builder = Builder::default();
    let last = builder.add(Action::Source(Box::new(query.first().source.as_ref().clone())), &[]);
    Ok(From { builder, last, schema: query.scope.schema(), key: None, window: None })
}

fn nodes(query: &Streaming<'_>, is_valid: bool) -> Result<Lowered, Vec<Diagnostic>> {
    let From { mut builder, mut last, schema, key: join_key, window } = from(query, is_valid)?;
    let compiler = compiler(query, schema)?;
    let mut errors = Vec::new();
    let filter =
        query.select.selection.as_ref().and_then(|written| {
            condition("WHERE", (written, query.scope.lowered(written)), query, &compiler, &mut errors)
        });
    let key = Key::of(query);
    let made = match query.is_grouped() {
        true => of_groups(query, &compiler),
        false => of_rows(query, &key, join_key.as_ref(), &compiler),
    };
    let Before { steps, items, schema } = match made {
        Ok(made) => made,
        Err(found) => return Err(errors.into_iter().chain(found).collect()),
    };
    let compiler = self::compiler(query, schema)?;
    let window = window.filter(|_| query.purpose.sink().is_some());
    let mut columns = Columns { query, compiler, key, found: Vec::new(), headers: None, window, errors };
    items.iter().enumerate().for_each(|(at, item)| columns.add(at, item));
    if !columns.errors.is_empty() {
        return Err(columns.errors);
    }
    let (projection, spans) = columns.projection();
    for step in table::step(query).into_iter().chain(filter).chain(steps) {
        last = add(&mut builder, step, &[&last]);
    }
    Ok(Lowered { builder, last, projection, spans })
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
fn of_rows(
    query: &Streaming<'_>,
    key: &Key,
    join_key: Option<&Expr>,
    compiler: &Compiler<'_>,
) -> Result<Before, Vec<Diagnostic>> {
    let mut items = items(query, key, join_key);
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

/// The items of SELECT over the columns of the sources. The key of a join that is written to a topic is the value that it
/// compares: the column that is selected for it may be null, if its side has no match.
fn items(query: &Streaming<'_>, key: &Key, join_key: Option<&Expr>) -> Vec<Item> {
    let name = made_name(&query.scope);
    let is_key = query.query.partition_by.is_none() && query.purpose.sink().is_some();
    let lowered = |(at, item): (usize, &Item)| match (&key.made, join_key) {
        (Some(made), _) if identifier(&item.expr) == Some(&name) => {
            join_key.cloned().unwrap_or_else(|| query.scope.lowered(made))
        }
        (_, Some(join_key)) if is_key && key.rank(at).is_some() => join_key.clone(),
        _ => query.scope.lowered(&item.expr),
    };
    query.items.iter().enumerate().map(|(at, item)| Item { expr: lowered((at, item)), ..item.clone() }).collect()
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
    /// The window in the key of a join, if it is written to a topic.
    window: Option<[String; 2]>,
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
        // A key that is kept keeps its window.
        let window = self.window.filter(|_| !rekeyed && !self.query.is_grouped());
        (Projection { columns, headers: self.headers, rekeyed, window }, spans)
    }
}
