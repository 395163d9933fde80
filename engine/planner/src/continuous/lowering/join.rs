//! FROM with joins. Each source is reduced to its join key and the columns that the query uses, under the names that `*` gives
//! them, and sent to the partition of its key. There it is joined to the sources before it.
//!
//! ```text
//! SELECT s.k, s.v, t.w FROM s JOIN t ON s.k = t.id
//!
//! source S   project   K AS S_K KEY, V AS S_V     exchange   by S_K  ─┐
//! source T   project   ID AS T_ID KEY, W AS T_W   exchange   by T_ID ─┴─ join   on S_K = T_ID
//! ```
//!
//! Both sides are always exchanged, since nothing is known about how their records were placed. The result of a join is only
//! exchanged again if the next join compares something else than its key.

mod foreign;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast::Duration;
use headwater_language::sql::{parse_expr, print};
use headwater_language::topology::{
    Action, Builder, Join, JoinForm, JoinKind, JoinSide, Node, NodeId, Projection, ResultColumn,
};
use sqlparser::ast::Expr;

use super::exchange;
use crate::continuous::joins::{self, JoinOn};
use crate::continuous::query::Streaming;
use crate::continuous::scope::{ColumnRef, Scope, ident, span_of};
use crate::continuous::window::BOUNDS;

/// The lowered joins of a query.
pub struct Joined {
    /// The sources and joins.
    pub builder: Builder,
    /// The last join.
    pub last: NodeId,
    /// The columns of all sources, and the keys of the joins that are not columns.
    pub schema: SchemaRef,
    /// The expression for the key of the last join; `None` if it is the columns of a key as they are.
    pub key: Option<Expr>,
    /// The expressions for start and end of the window in that key, if the sources are windowed.
    pub window: Option<[String; 2]>,
}

/// Lowers the joins of a query, whose conditions must be valid.
pub fn lower(query: &Streaming<'_>) -> Result<Joined, Vec<Diagnostic>> {
    let joins = joins::read(query);
    let mut joining = Joining { query, used: used(query, &joins), builder: Builder::default(), made: Vec::new() };
    let (mut rows, mut key) = (None, Key::default());
    for (at, join) in joins.iter().enumerate() {
        if join.is_foreign {
            let (last, keys) = joining.foreign(join)?;
            key = keys.first().map(|column| Key::of(join.kind, column, column)).unwrap_or_default();
            rows = Some(last);
            continue;
        }
        let left = match &rows {
            None => joining.source(&join.left, at)?,
            Some(last) if joins::is_key_so_far(query, join, &joins[..at]) => (NodeId::clone(last), key.column.clone()),
            Some(last) => joining.joined(last, join, at)?,
        };
        let right = joining.source(&join.right, at)?;
        key = Key::of(join.kind, &left.1, &right.1);
        rows = Some(joining.join(join, left, right, at)?);
    }
    let Joining { builder, made, .. } = joining;
    let fields = query.scope.schema().fields().iter().cloned().chain(made).collect::<Vec<_>>();
    let last = rows.expect("a query with joins has a join");
    let keeps_key = joins.last().is_some_and(|join| join.is_foreign);
    let windows = query.first().source.window;
    let window = windows.map(|windows| window::bounds(&key.text, windows));
    if windows.is_some() {
        key.text = window::key(&key.text);
    }
    let key = if keeps_key { None } else { Some(key.expr()?) };
    Ok(Joined { builder, last, schema: Arc::new(Schema::new(fields)), key, window })
}

/// The key of a join's rows.
#[derive(Default)]
struct Key {
    /// A column that contains it, unless rows of either side may have no match.
    column: String,
    /// Its SQL text.
    text: String,
}

impl Key {
    /// The key of rows that are joined by these columns. That of the side whose rows are kept without a match is never null.
    fn of(kind: JoinKind, left: &str, right: &str) -> Self {
        let (left_text, right_text) = (ident(left).to_string(), ident(right).to_string());
        let (column, text) = match kind {
            JoinKind::Inner | JoinKind::Left => (left, left_text),
            JoinKind::Right => (right, right_text),
            JoinKind::Full => (left, format!("COALESCE({left_text}, {right_text})")),
        };
        Self { column: column.to_owned(), text }
    }

    fn expr(&self) -> Result<Expr, Vec<Diagnostic>> {
        parse_expr(&self.text).map_err(|error| vec![error])
    }
}

/// The columns that are used after a source was read: in a clause, or in the condition of a join after its own.
fn used(query: &Streaming<'_>, joins: &[JoinOn]) -> BTreeSet<ColumnRef> {
    let (select, partition_by) = (&query.select, query.query.partition_by.iter().flat_map(|list| &list.value));
    let clauses = select.selection.iter().chain(&query.groups).chain(&select.having).chain(partition_by);
    let later = || joins.iter().skip(1).map(|join| &join.left);
    let exprs = query.items.iter().map(|item| &item.expr).chain(clauses).chain(later().map(|(on, _)| on));
    // The rows joined so far may be sent by a key and its window.
    let windows = later().flat_map(|(_, member)| window::columns(query, *member));
    exprs.flat_map(|expr| query.scope.columns_in(expr)).chain(windows).collect()
}

/// Adds the nodes of joins one by one.
struct Joining<'a> {
    query: &'a Streaming<'a>,
    used: BTreeSet<ColumnRef>,
    builder: Builder,
    /// The keys that are not columns of a source.
    made: Vec<Arc<Field>>,
}

impl Joining<'_> {
    /// Adds a source, which is joined by an expression in the join at an index. Returns its last node and the column of its key.
    fn source(&mut self, (on, member): &(Expr, usize), at: usize) -> Result<(NodeId, String), Vec<Diagnostic>> {
        let scope = Scope { members: vec![self.query.scope.members[*member].clone()] };
        let source = &scope.members[0].source;
        let columns = self.columns_of(*member);
        let is_key = scope
            .column(on)
            .is_some_and(|column| joins::is_whole_key(self.query, &ColumnRef { member: *member, name: column.name }));
        let node = self.read(source);
        let key = self.key_name(on, *member, at);
        let on = window::with(source.window, scope.lowered(on), BOUNDS)?;
        Ok((self.exchanged(&node, &scope.schema(), vec![(key.clone(), on)], columns, !is_key)?, key))
    }

    /// The node that reads a source. A source that is joined with itself is read once.
    fn read(&mut self, source: &SourceDef) -> NodeId {
        let is_same = |node: &&Node| matches!(&node.action, Action::Source(other) if **other == *source);
        let known = self.builder.nodes().iter().find(is_same).map(|node| node.id.clone());
        known.unwrap_or_else(|| self.builder.add(Action::Source(Box::new(source.clone())), &[]))
    }

    /// The columns of a source that are used, under the names that `*` gives them.
    fn columns_of(&self, member: usize) -> Vec<(String, Expr)> {
        let own = self.used.iter().filter(|column| column.member == member);
        own.map(|column| (self.query.scope.merged_name(column), column_expr(&column.name))).collect()
    }

    /// Adds an exchange of the rows joined so far, by the left expression of the join at an index.
    fn joined(&mut self, rows: &NodeId, join: &JoinOn, at: usize) -> Result<(NodeId, String), Vec<Diagnostic>> {
        let (on, member) = &join.left;
        let scope = &self.query.scope;
        let before = self.used.iter().filter(|column| column.member < join.right.1);
        let columns = before.map(|column| scope.merged_name(column)).map(|name| (name.clone(), column_expr(&name)));
        let (columns, key) = (columns.collect(), self.key_name(on, *member, at));
        let bounds = BOUNDS.map(|name| scope.merged_name(&ColumnRef { member: *member, name: name.to_owned() }));
        let on = window::with(scope.members[*member].source.window, scope.lowered(on), bounds.each_ref())?;
        Ok((self.exchanged(rows, &scope.schema(), vec![(key.clone(), on)], columns, true)?, key))
    }

    /// The name of the column with the values of a side of the join at an index.
    fn key_name(&self, on: &Expr, member: usize, at: usize) -> String {
        let scope = &self.query.scope;
        let has_window = scope.members[member].source.window.is_some();
        if let Some(column) = scope.column(on).filter(|_| !has_window) {
            return scope.merged_name(&column);
        }
        let schema = scope.schema();
        let is_free = |name: &String| schema.field_with_name(name).is_err();
        let side = if member > at { "RIGHT" } else { "LEFT" };
        let numbered = (0..).map(|n| format!("JOIN_{}_{side}{}", at + 1, "_".repeat(n)));
        let mut names = numbered.filter(is_free);
        names.next().expect("a name that is long enough is free")
    }

    /// Adds the projection and the exchange of rows with the columns of `schema`: to a key, and these columns besides it.
    fn exchanged(
        &mut self,
        rows: &NodeId,
        schema: &SchemaRef,
        keys: Vec<(String, Expr)>,
        mut columns: Vec<(String, Expr)>,
        rekeyed: bool,
    ) -> Result<NodeId, Vec<Diagnostic>> {
        let is_key = |name: &String| keys.iter().any(|(key, _)| key == name);
        columns.retain(|(name, _)| !is_key(name));
        let span = self.query.span();
        let compiler = Compiler::new(self.query.state, schema.clone()).map_err(|error| diagnose(&error, Some(span)))?;
        let column = |(name, expr): (String, Expr)| {
            let text = print::expr(&expr);
            let (_, ty) = compiler.compile(&expr, &text, Some(span_of(&expr, span)))?;
            Ok(ResultColumn { key: is_key(&name), name, expr: text, ty })
        };
        let columns = keys.iter().cloned().chain(columns).map(column).collect::<Result<Vec<_>, Vec<Diagnostic>>>()?;
        columns.iter().filter(|column| column.key).for_each(|column| self.add_made(column));
        let exchange = exchange(&columns);
        let project = Action::Project(Projection { columns, headers: None, rekeyed, window: None });
        let project = super::add(&mut self.builder, project, &[rows]);
        Ok(super::add(&mut self.builder, exchange, &[&project]))
    }

    /// Remembers a key if it is not a column of a source.
    fn add_made(&mut self, key: &ResultColumn) {
        if self.query.scope.schema().field_with_name(&key.name).is_err() {
            let data_type = key.ty.to_arrow().expect("custom types are replaced before a column is compiled");
            self.made.push(Arc::new(Field::new(&key.name, data_type, true)));
        }
    }

    /// Adds the join at an index. Each side has its last node and the column of its key.
    fn join(
        &mut self,
        join: &JoinOn,
        left: (NodeId, String),
        right: (NodeId, String),
        at: usize,
    ) -> Result<NodeId, Vec<Diagnostic>> {
        let form = self.form(join, at);
        let store = |side: &str| Some(format!("join-{}-{side}", at + 1));
        let keeps_left = form != JoinForm::StreamTable;
        let action = Action::Join(Join {
            kind: join.kind,
            form,
            left: JoinSide { key: left.1, store: store("left").filter(|_| keeps_left) },
            right: JoinSide { key: right.1, store: store("right") },
        });
        Ok(super::add(&mut self.builder, action, &[&left.0, &right.0]))
    }

    fn form(&self, join: &JoinOn, at: usize) -> JoinForm {
        let right = join.right.1;
        match ((0..right).all(|member| self.query.is_table(member)), self.query.is_table(right)) {
            (true, _) => JoinForm::Tables,
            (false, true) => JoinForm::StreamTable,
            (false, false) => self.streams(at),
        }
    }

    /// The form of a join of two streams, with the times in WITHIN. A time that is too long never ends.
    fn streams(&self, at: usize) -> JoinForm {
        let within = self.query.query.within.iter().find(|within| within.value.join == at);
        let within = within.expect("the rules require WITHIN for two streams").value;
        let ms = |time: Duration| time.ms().unwrap_or(i64::MAX);
        JoinForm::Streams { before_ms: ms(within.before), after_ms: ms(within.after), grace_ms: within.grace.map(ms) }
    }
}

fn column_expr(name: &str) -> Expr {
    Expr::Identifier(ident(name))
}
