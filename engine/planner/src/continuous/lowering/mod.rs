//! Columns and key of a result.
//!
//! The key is the source's, or what PARTITION BY says. A query that is written to a topic has each
//! part of its key in SELECT once; one that is shown need not.

use std::sync::Arc;

use arrow::array::new_empty_array;
use arrow::datatypes::DataType;
use datafusion::execution::session_state::SessionState;
use sqlparser::ast::{Expr, Spanned as _, Value, ValueWithSpan};

mod explode;

use crate::continuous::scope::ident;
use crate::continuous::shape::{Item, Shape};

use crate::define::ROWHEADERS;
use crate::naming::FreeNames;
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_language::definition::ColumnRole;
use headwater_language::diagnostic::{
    AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, PLAN, PROJECTION_KEY, STREAMING, Span, UNKNOWN_COLUMN,
};
use headwater_language::sql::{place, print};
use headwater_language::topology::{Exploded, Projection, ResultColumn};
use headwater_language::types::SqlType;

/// What becomes of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// They are shown as they come.
    Show,
    /// They are written to the topic of this stream or table.
    Write(&'a str),
}

/// The steps of a query as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// WHERE.
    pub predicate: Option<String>,
    /// What table functions add.
    pub exploded: Vec<Exploded>,
    /// SELECT and PARTITION BY.
    pub projection: Projection,
    /// Place of each column of the projection, where it was written.
    pub spans: Vec<Option<Span>>,
}

/// Plans the columns of a query. Gives everything that is wrong with them.
pub fn plan(shape: &Shape, state: &SessionState, purpose: Use<'_>) -> Result<Planned, Vec<Diagnostic>> {
    let compiler = Compiler::new(state, shape.source.row_schema()).map_err(|e| diagnose(&e, Some(shape.span)))?;
    let mut errors = shape.names.clone();
    let predicate = shape.filter.as_ref().and_then(|filter| predicate(filter, shape, &compiler, &mut errors));
    let keys = keys(shape, &mut errors);
    let mut items = with_keys(shape, &keys);
    let told = errors.len();
    let (exploded, schema) = explode::extract(&mut items, &compiler, shape.span, &mut errors);
    let compiler = Compiler::new(state, schema).map_err(|e| diagnose(&e, Some(shape.span)))?;
    if errors.len() > told {
        return Err(errors);
    }
    let mut planner = Items { compiler, whole: shape.span, purpose, headers: None, errors };
    let mut columns: Vec<(ResultColumn, Option<Span>)> =
        items.iter().filter_map(|item| planner.column(item, &keys)).collect();
    let (headers, mut errors) = (planner.headers, planner.errors);
    if let Use::Write(sink) = purpose {
        check_keys(&keys, &columns, shape, sink, &mut errors);
        columns.sort_by_key(|(column, _)| key_rank(column, &keys));
    }
    if columns.is_empty() && errors.is_empty() {
        errors.push(Diagnostic::new(STREAMING, "a continuous query selects at least one column").at(shape.span));
    }
    if !errors.is_empty() {
        // Unknown names are told once, with their clause.
        let told = |error: &Diagnostic| shape.names.is_empty() || shape.names.contains(error);
        errors.retain(|error| told(error) || ![UNKNOWN_COLUMN, AMBIGUOUS_COLUMN].contains(&error.code));
        // So are parameters of a lambda with one name.
        errors.retain(|error| !error.message.starts_with("lambda parameters names must be unique"));
        return Err(errors);
    }
    let (columns, spans) = columns.into_iter().unzip();
    let projection = Projection { columns, headers, rekeyed: shape.partition_by.is_some() };
    Ok(Planned { predicate, exploded, projection, spans })
}

/// A part of the key.
struct Key {
    /// Its expression as text, by which it is found in SELECT.
    text: String,
    expr: Expr,
    /// It was said in PARTITION BY.
    said: bool,
}

fn keys(shape: &Shape, errors: &mut Vec<Diagnostic>) -> Vec<Key> {
    let Some(said) = &shape.partition_by else {
        let column = |c: &headwater_language::definition::ColumnDef| {
            let expr = Expr::Identifier(ident(&c.name));
            Key { text: print::expr(&expr), expr, said: false }
        };
        return shape.source.columns_of(&ColumnRole::Key).map(column).collect();
    };
    let is_null = |expr: &Expr| matches!(expr, Expr::Value(ValueWithSpan { value: Value::Null, .. }));
    if said.iter().any(is_null) {
        if said.len() > 1 {
            let message = "NULL stands alone in PARTITION BY: it takes the key away";
            errors.push(Diagnostic::new(STREAMING, message).at(said.span));
        }
        return Vec::new();
    }
    let mut keys: Vec<Key> = Vec::new();
    for expr in &said.value {
        let text = print::expr(expr);
        if keys.iter().any(|key| key.text == text) {
            let span = place(expr.span()).unwrap_or(said.span);
            errors.push(Diagnostic::new(STREAMING, format!("\"{text}\" is twice in PARTITION BY")).at(span));
            continue;
        }
        keys.push(Key { text, expr: expr.clone(), said: true });
    }
    keys
}

/// The items of SELECT, and of the key those that `*` stands for. With `*` the columns of the former
/// key come last.
fn with_keys(shape: &Shape, keys: &[Key]) -> Vec<Item> {
    let mut items = shape.items.clone();
    if !shape.has_star || shape.partition_by.is_none() {
        return items;
    }
    let former: Vec<&str> = shape.source.columns_of(&ColumnRole::Key).map(|c| c.name.as_str()).collect();
    let is_former = |item: &Item| match &item.expr {
        Expr::Identifier(name) => former.contains(&name.value.as_str()) && item.name == name.value,
        _ => false,
    };
    items.sort_by_key(is_former);
    let of_source = shape.source.columns.iter().map(|column| &column.name);
    let mut names = FreeNames::beside(of_source.chain(items.iter().map(|item| &item.name)).cloned().collect());
    for key in keys {
        if !items.iter().any(|item| print::expr(&item.expr) == key.text) {
            let name = match &key.expr {
                Expr::Identifier(name) => name.value.clone(),
                expr => names.name(expr),
            };
            items.push(Item { name, expr: key.expr.clone(), span: place(key.expr.span()) });
        }
    }
    items
}

fn predicate(filter: &Expr, shape: &Shape, compiler: &Compiler<'_>, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let text = print::expr(filter);
    let span = place(filter.span()).or(Some(shape.span));
    match compiler.compile(filter, &text, span) {
        Ok((_, SqlType::Boolean)) => Some(text),
        Ok((_, ty)) => {
            let message = format!("WHERE takes a BOOLEAN, \"{text}\" is {ty}");
            errors.push(Diagnostic::new(PLAN, message).at_maybe(span));
            None
        }
        Err(found) => {
            errors.extend(found);
            None
        }
    }
}

/// Turns items into columns.
struct Items<'a> {
    compiler: Compiler<'a>,
    whole: Span,
    purpose: Use<'a>,
    headers: Option<String>,
    errors: Vec<Diagnostic>,
}

impl Items<'_> {
    fn column(&mut self, item: &Item, keys: &[Key]) -> Option<(ResultColumn, Option<Span>)> {
        let text = print::expr(&item.expr);
        let span = item.span.or(Some(self.whole));
        if item.name == ROWHEADERS && self.purpose != Use::Show {
            self.headers(&item.expr, text, span);
            return None;
        }
        match self.compiler.compile(&item.expr, &text, span) {
            Ok((_, ty)) => {
                let key = keys.iter().any(|key| key.text == text);
                Some((ResultColumn { name: item.name.clone(), expr: text, ty, key }, item.span))
            }
            Err(found) => {
                self.errors.extend(found);
                None
            }
        }
    }

    /// `… AS ROWHEADERS` gives the headers of the record.
    fn headers(&mut self, expr: &Expr, text: String, span: Option<Span>) {
        if self.headers.is_some() {
            self.errors.push(Diagnostic::new(DUPLICATE_COLUMN, "ROWHEADERS is given twice").at_maybe(span));
        }
        let checked = self.compiler.compile(expr, &text, span).and_then(|(expression, _)| {
            let empty: Arc<dyn arrow::array::Array> = new_empty_array(expression.data_type());
            let null = matches!(expression.data_type(), DataType::Null);
            let shape = if null { Ok(empty.clone()) } else { headwater_expression::headers_of(&empty) };
            shape.map(drop).map_err(|why| vec![Diagnostic::new(PLAN, why).at_maybe(span)])
        });
        match checked {
            Ok(()) => self.headers = Some(text),
            Err(found) => self.errors.extend(found),
        }
    }
}

/// Each part of the key is in SELECT exactly once, and something besides.
fn check_keys(
    keys: &[Key],
    columns: &[(ResultColumn, Option<Span>)],
    shape: &Shape,
    sink: &str,
    errors: &mut Vec<Diagnostic>,
) {
    // An item that could not be planned may be the missing one.
    if !errors.is_empty() {
        return;
    }
    let all: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    for key in keys {
        let found: Vec<_> = columns.iter().filter(|(column, _)| column.expr == key.text).collect();
        let what = if key.said { "the expression of PARTITION BY" } else { "the key column" };
        match found[..] {
            [_] => {}
            [] => {
                let message = format!("{what} \"{}\" is missing in SELECT", key.text);
                let whose = if key.said { "with PARTITION BY of what it reads from" } else { "as that of" };
                let detail = format!(
                    "\"{sink}\" has its key among its columns, under any name: {}, {whose} \"{}\".",
                    all.join(", "),
                    shape.source.name
                );
                let hint = format!("Say SELECT {}, …{}.", all.join(", "), other_key(key));
                errors.push(Diagnostic::new(PROJECTION_KEY, message).at(shape.span).detail(detail).hint(hint));
            }
            [(first, _), (second, span), ..] => {
                let message = format!(
                    "{what} \"{}\" is more than once in SELECT, as \"{}\" and \"{}\"",
                    key.text, first.name, second.name
                );
                let hint = format!("Copy it into the value with AS_VALUE({}).", key.text);
                errors.push(Diagnostic::new(PROJECTION_KEY, message).at(span.unwrap_or(shape.span)).hint(hint));
            }
        }
    }
    if errors.is_empty() && columns.iter().all(|(column, _)| column.key) {
        let message = format!("SELECT has nothing but the key of \"{sink}\": there is no value column");
        errors.push(Diagnostic::new(STREAMING, message).at(shape.span));
    }
}

fn other_key(key: &Key) -> &'static str {
    if key.said { "" } else { ", or take another key with PARTITION BY" }
}

fn key_rank(column: &ResultColumn, keys: &[Key]) -> usize {
    let rank = keys.iter().position(|key| key.text == column.expr).filter(|_| column.key);
    rank.unwrap_or(keys.len())
}
