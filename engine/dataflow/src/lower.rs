//! From the nodes of a topology to operators.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::session_state::SessionState;
use headwater_expression::errors::diagnose;
use headwater_expression::{Compiler, Expression};
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_functions::rows_of;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::sql::parse_expr;
use headwater_language::topology::{Action, Exploded, Join, JoinForm, Node, Projection, ResultColumn, names_in};

use super::columns::needs_value;
use super::operator::Operator;
use super::operators::{
    Aggregate, Column, Explode, Filter, JoinForeign, JoinStreamTable, JoinStreams, JoinTables, Latest, Project,
    Subscribe, Table,
};

/// An operator, and the columns of the rows that it emits.
pub type Lowered = (Arc<dyn Operator>, SchemaRef);

/// The context in which a node is lowered.
pub struct Lowering<'a> {
    /// The nodes that its rows reach.
    pub later: &'a [&'a Node],
    /// The columns of the rows that it receives at each port.
    pub inputs: &'a [SchemaRef],
    /// The session with the functions that expressions may call.
    pub state: &'a SessionState,
    /// The source of the rows that it receives at its first port.
    pub source: &'a SourceDef,
    /// The number of stores in the stage before it, which is the index of its own store if it has one.
    pub store: usize,
    /// Whether every change of a key is emitted, not only the last one before a commit. An aggregate gets all of them, so that a group
    /// is there as soon as it has had a row, whether or not a commit came before it lost the row again.
    pub emits_every_change: bool,
    /// Whether the rows that it receives are the changes of a table.
    pub receives_table: bool,
}

impl Lowering<'_> {
    /// The operator of a node that processes rows. Fails for a source, an exchange or a sink, which have none.
    pub fn lower(&self, action: &Action) -> Result<Lowered, Vec<Diagnostic>> {
        let rows = self.inputs.first().ok_or_else(|| vec![Diagnostic::new(INTERNAL, "an operator has no input")])?;
        let compiler = || Compiler::new(self.state, rows.clone()).map_err(|e| diagnose(&e, None));
        Ok(match action {
            Action::Source(_) | Action::Exchange(_) | Action::Sink(_) => {
                return Err(vec![Diagnostic::new(INTERNAL, "a topic is not an operator")]);
            }
            Action::Join(join) => self.join(join)?,
            Action::Subscribe(subscribe) => {
                let subscribe = Subscribe::new(subscribe, rows, self.store)?;
                let schema = subscribe.schema().clone();
                (Arc::new(subscribe), schema)
            }
            Action::ForeignJoin(join) => {
                let join = JoinForeign::new(join, self.two_inputs()?, self.store, self.emits_every_change)?;
                let schema = join.schema().clone();
                (Arc::new(join), schema)
            }
            Action::Latest(latest) => {
                let (every, before) = (self.emits_every_change, self.needs_before());
                let latest = Latest::new(latest, rows, self.store, every, before)?;
                let schema = latest.schema().clone();
                (Arc::new(latest), schema)
            }
            Action::Table(table) => {
                let (every, before) = (self.emits_every_change, self.needs_before());
                (Arc::new(Table::new(table, rows, self.store, every, before)?), rows.clone())
            }
            Action::Filter { predicate } => {
                let filter = Filter::new(compile(predicate, &compiler()?)?.into_type(DataType::Boolean));
                (Arc::new(filter), rows.clone())
            }
            Action::Explode { columns } => {
                let explode = explode(columns, self.later, &compiler()?)?;
                let schema = explode.schema().clone();
                (Arc::new(explode), schema)
            }
            Action::Project(projection) => {
                let project = self.project(projection, &compiler()?)?;
                let schema = project.schema().clone();
                (Arc::new(project), schema)
            }
            Action::Aggregate(aggregation) => {
                let (every, before) = (self.emits_every_change, self.needs_before());
                let aggregate = Aggregate::new(aggregation, rows, self.store, every, before)?;
                let aggregate = if self.receives_table { aggregate.over_table(rows)? } else { aggregate };
                let schema = aggregate.schema().clone();
                (Arc::new(aggregate), schema)
            }
        })
    }

    /// The operator of a join. It emits the columns that later nodes use.
    fn join(&self, join: &Join) -> Result<Lowered, Vec<Diagnostic>> {
        let [left, right] = self.two_inputs()?;
        let used = names_in(self.later.iter().copied())?;
        Ok(match join.form {
            JoinForm::Streams { .. } => {
                let operator = JoinStreams::new(join, left, right, self.store)?;
                let schema = operator.schema().clone();
                (Arc::new(operator), schema)
            }
            JoinForm::StreamTable => {
                let operator = JoinStreamTable::new(join, [left, right], &used, self.store)?;
                let schema = operator.schema().clone();
                (Arc::new(operator), schema)
            }
            JoinForm::Tables => {
                let modes = (self.emits_every_change, self.needs_before());
                let operator = JoinTables::new(join, [left, right], &used, self.store, modes)?;
                let schema = operator.schema().clone();
                (Arc::new(operator), schema)
            }
        })
    }

    /// The columns of the rows that a join receives at its ports.
    fn two_inputs(&self) -> Result<[&SchemaRef; 2], Vec<Diagnostic>> {
        let missing = || vec![Diagnostic::new(INTERNAL, "a join does not have two inputs")];
        if let [left, right] = self.inputs { Ok([left, right]) } else { Err(missing()) }
    }

    /// The operator of a projection.
    fn project(&self, projection: &Projection, compiler: &Compiler<'_>) -> Result<Project, Vec<Diagnostic>> {
        let (is_group, shows_deletes) = (self.makes_groups(), self.shows_deletes());
        let column = |c: &ResultColumn| -> Result<_, Vec<Diagnostic>> {
            let data_type = c.ty.to_arrow().map_err(|name| vec![Diagnostic::new(INTERNAL, name)])?;
            let expr = compile(&c.expr, compiler)?.into_type(data_type);
            let of_value = || needs_value(&c.expr, self.source, compiler.schema());
            let needs_value = (shows_deletes && !self.is_in_key(c)) || (projection.rekeyed && c.key && of_value()?);
            Ok(Column { name: c.name.clone(), expr, needs_value, is_group: is_group && c.key })
        };
        let columns = projection.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let headers = projection.headers.as_deref().map(|text| compile(text, compiler)).transpose()?;
        let bound = |text: &String| Ok::<_, Vec<Diagnostic>>(compile(text, compiler)?.into_type(DataType::Int64));
        let window =
            projection.window.as_ref().map(|[start, end]| Ok::<_, Vec<Diagnostic>>([bound(start)?, bound(end)?]));
        let project = Project::new(columns, headers).with_window(window.transpose()?);
        let project = if self.receives_table { project.of_table() } else { project };
        let project = if self.are_groups_next() { project.reporting_groups() } else { project };
        Ok(if self.receives_table && self.needs_before() { project.with_before() } else { project })
    }

    /// Whether its rows are shown to a user. A row of a table that is deleted is shown by its key alone.
    fn shows_deletes(&self) -> bool {
        self.receives_table && self.later.is_empty()
    }

    /// Whether a column of the result is part of the key of the source, which may have a window.
    fn is_in_key(&self, column: &ResultColumn) -> bool {
        column.key || (self.source.window.is_some() && [WINDOWSTART, WINDOWEND].contains(&column.expr.as_str()))
    }

    /// Whether the key of its rows groups them: they are sent to the partition of their group.
    fn makes_groups(&self) -> bool {
        self.later.iter().any(|node| matches!(node.action, Action::Exchange(_)))
    }

    /// Whether its rows are aggregated next, in the partitions of their groups.
    fn are_groups_next(&self) -> bool {
        let actions: Vec<&Action> = self.later.iter().map(|node| &node.action).collect();
        matches!(actions[..], [Action::Filter { .. }, Action::Exchange(_), Action::Aggregate(_), ..])
    }

    /// Whether a later operator needs the rows before they changed: a filter deletes a row that it no longer keeps, an exchange
    /// removes it from its former partition, and an aggregate takes it out of its group. A join keeps the rows itself.
    fn needs_before(&self) -> bool {
        let needs = |action: &Action| {
            let changes_groups = matches!(action, Action::Exchange(_) | Action::Aggregate(_) | Action::Subscribe(_));
            changes_groups || matches!(action, Action::Filter { .. })
        };
        self.later.iter().any(|node| needs(&node.action))
    }
}

fn compile(text: &str, compiler: &Compiler<'_>) -> Result<Expression, Vec<Diagnostic>> {
    let expr = parse_expr(text).map_err(|e| vec![e])?;
    compiler.compile(&expr, text, None).map(|(expression, _)| expression)
}

fn explode(columns: &[Exploded], later: &[&Node], compiler: &Compiler<'_>) -> Result<Explode, Vec<Diagnostic>> {
    let array = |c: &Exploded| -> Result<_, Vec<Diagnostic>> {
        let expr = rows_of(parse_expr(&c.expr).map_err(|e| vec![e])?);
        Ok((c.name.clone(), compiler.compile(&expr, &c.expr, None)?.0))
    };
    let arrays = columns.iter().map(array).collect::<Result<Vec<_>, _>>()?;
    let read = names_in(later.iter().copied())?;
    let explode = Explode::new(arrays, compiler.schema(), |name| read.contains(name));
    explode.ok_or_else(|| vec![Diagnostic::new(INTERNAL, "a table function does not return an array")])
}
