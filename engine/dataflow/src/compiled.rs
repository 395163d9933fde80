//! A topology made ready to run: its steps as operators, which all tasks of a query share.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::session_state::SessionState;
use headwater_formats::decode::{ROWOFFSET, ROWTIME, RecordDecoder, TopicSpec, WINDOWEND, WINDOWSTART};
use headwater_formats::format::FormatError;
use headwater_formats::record::{TopicPartition, Wanted};

use super::operator::Operator;
use super::operators::{Column, Explode, Filter, Project};
use super::output::{Output, Placement};
use super::task::Task;
use headwater_expression::errors::diagnose;
use headwater_expression::{Compiler, Expression};
use headwater_functions::rows_of;
use headwater_language::definition::{ColumnRole, SourceDef};
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::sql::{each_expr, parse_expr};
use headwater_language::topology::{Exploded, Projection, ResultColumn, Step, Topology, VERSION};

/// A topology that is ready to run: what all its tasks share.
#[derive(Clone)]
pub struct Compiled {
    spec: Arc<TopicSpec>,
    /// Columns of the input that are decoded, by index in the spec's columns.
    projection: Vec<usize>,
    /// The operators as they were made; each task has its own.
    operators: Vec<Arc<dyn Operator>>,
    schema: SchemaRef,
    pub(super) sink: Option<SourceDef>,
    /// Headers of the input go on to the output.
    pub(super) forwards_headers: bool,
    /// The key is another than the input's.
    rekeyed: bool,
    /// A record without a readable event time stops the query.
    pub(super) stops_on_time: bool,
}

impl Compiled {
    /// Compiles a topology with the functions that `state` knows. Fails on one that a newer program
    /// wrote, or whose expressions have no meaning any more.
    pub fn new(topology: &Topology, state: &SessionState) -> Result<Self, Vec<Diagnostic>> {
        if topology.version > VERSION {
            let message = "the query was made by a newer version of Headwater, which this one does not understand";
            return Err(vec![Diagnostic::new(INTERNAL, message)]);
        }
        let spec = topology.input.topic_spec().map_err(|why| vec![Diagnostic::new(INTERNAL, why)])?;
        let projection = referenced(topology, &spec)?;
        let input = Arc::new(spec.schema().project(&projection).map_err(|e| diagnose(&e.into(), None))?);
        let mut rows = input;
        let mut operators = Vec::with_capacity(topology.steps.len());
        for (at, step) in topology.steps.iter().enumerate() {
            let compiler = Compiler::new(state, rows.clone()).map_err(|e| diagnose(&e, None))?;
            let operator;
            (operator, rows) = lower(step, &topology.steps[at + 1..], &compiler, &topology.input)?;
            operators.push(operator);
        }
        let schema = rows;
        let forwards_headers = topology.output.is_some() && topology.result().is_some_and(|p| p.headers.is_none());
        let sink = topology.output.clone();
        let rekeyed = topology.result().is_some_and(|result| result.rekeyed);
        let spec = Arc::new(spec);
        Ok(Self { spec, projection, operators, schema, sink, forwards_headers, rekeyed, stops_on_time: false })
    }

    /// The same, where with `stops` a record whose event time cannot be read is not skipped but stops the query.
    pub fn stopping_on_time(self, stops: bool) -> Self {
        Self { stops_on_time: stops, ..self }
    }

    /// The columns of the result; all may be null.
    pub fn result_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The parts of each record that a task looks at.
    pub fn wanted(&self) -> Result<Wanted, FormatError> {
        let wanted = RecordDecoder::new(&self.spec, &self.projection)?.wanted();
        Ok(Wanted { headers: wanted.headers || self.forwards_headers, ..wanted })
    }

    /// A task for one partition of the input. `placement` is that of the output topic.
    pub fn task(&self, origin: TopicPartition, placement: Placement) -> Result<Task, FormatError> {
        let rekeyed = self.rekeyed;
        let output = self.sink.as_ref().map(|sink| Output::new(sink, &self.schema, rekeyed, placement)).transpose()?;
        let decoder = RecordDecoder::new(&self.spec, &self.projection)?;
        // What is written goes on without a value where it came without one; what is shown are rows.
        let decoder = if self.sink.is_some() { decoder.keeping_valueless() } else { decoder };
        let operators = self.operators.iter().map(|operator| operator.fresh()).collect();
        Ok(Task::new(self.clone(), operators, origin, decoder, output))
    }
}

/// The columns of the input that a topology needs, event time and offset included.
fn referenced(topology: &Topology, spec: &TopicSpec) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let schema = spec.schema();
    let mut names: BTreeSet<String> = [ROWTIME, ROWOFFSET].map(str::to_owned).into();
    if topology.output.as_ref().is_some_and(|sink| sink.window.is_some()) {
        names.extend([WINDOWSTART, WINDOWEND].map(str::to_owned));
    }
    names.extend(names_in(&topology.steps)?);
    Ok((0..schema.fields().len()).filter(|i| names.contains(schema.field(*i).name())).collect())
}

/// Every name in the expressions of some steps that may be a column's.
fn names_in(steps: &[Step]) -> Result<BTreeSet<String>, Vec<Diagnostic>> {
    let mut names = BTreeSet::new();
    for text in texts(steps) {
        let expr = parse_expr(text).map_err(|e| vec![e])?;
        columns_of(&expr, &mut |name| {
            names.insert(name.to_owned());
        });
    }
    Ok(names)
}

fn texts(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().flat_map(|step| match step {
        Step::Filter { predicate } => vec![predicate.as_str()],
        Step::Explode { columns } => columns.iter().map(|c| c.expr.as_str()).collect(),
        Step::Project(Projection { columns, headers, .. }) => {
            columns.iter().map(|c| c.expr.as_str()).chain(headers.as_deref()).collect()
        }
    })
}

/// Tells every name in an expression that may be a column's.
fn columns_of(expr: &sqlparser::ast::Expr, tell: &mut dyn FnMut(&str)) {
    use sqlparser::ast::Expr;
    each_expr(expr, &mut |expr| match expr {
        Expr::Identifier(name) => tell(&name.value),
        Expr::CompoundIdentifier(names) => names.iter().for_each(|name| tell(&name.value)),
        _ => {}
    });
}

/// Whether an expression names a column of the input that is not part of its key: it has a meaning only where there is
/// a value. Semantics: ksqlDB's of PARTITION BY.
fn needs_value(expr: &str, input: &SourceDef, schema: &SchemaRef) -> Result<bool, Vec<Diagnostic>> {
    let is_key = |name: &str| input.column(name).is_some_and(|column| column.role == ColumnRole::Key);
    let mut needs = false;
    columns_of(&parse_expr(expr).map_err(|e| vec![e])?, &mut |name| {
        needs |= schema.index_of(name).is_ok() && !is_key(name);
    });
    Ok(needs)
}

/// The operator of a step, and the columns of the rows that come out of it; `later` are the steps after it.
fn lower(
    step: &Step,
    later: &[Step],
    compiler: &Compiler<'_>,
    input: &SourceDef,
) -> Result<(Arc<dyn Operator>, SchemaRef), Vec<Diagnostic>> {
    match step {
        Step::Filter { predicate } => {
            let filter = Filter::new(compile(predicate, compiler)?.into_type(DataType::Boolean));
            Ok((Arc::new(filter), compiler.schema().clone()))
        }
        Step::Explode { columns } => {
            let explode = explode(columns, later, compiler)?;
            let schema = explode.schema().clone();
            Ok((Arc::new(explode), schema))
        }
        Step::Project(projection) => {
            let project = project(projection, compiler, input)?;
            let schema = project.schema().clone();
            Ok((Arc::new(project), schema))
        }
    }
}

fn compile(text: &str, compiler: &Compiler<'_>) -> Result<Expression, Vec<Diagnostic>> {
    let expr = parse_expr(text).map_err(|e| vec![e])?;
    compiler.compile(&expr, text, None).map(|(expression, _)| expression)
}

fn explode(columns: &[Exploded], later: &[Step], compiler: &Compiler<'_>) -> Result<Explode, Vec<Diagnostic>> {
    let array = |c: &Exploded| -> Result<_, Vec<Diagnostic>> {
        let expr = rows_of(parse_expr(&c.expr).map_err(|e| vec![e])?);
        Ok((c.name.clone(), compiler.compile(&expr, &c.expr, None)?.0))
    };
    let arrays = columns.iter().map(array).collect::<Result<Vec<_>, _>>()?;
    let read = names_in(later)?;
    let explode = Explode::new(arrays, compiler.schema(), |name| read.contains(name));
    explode.ok_or_else(|| vec![Diagnostic::new(INTERNAL, "a table function gives no rows")])
}

fn project(projection: &Projection, compiler: &Compiler<'_>, input: &SourceDef) -> Result<Project, Vec<Diagnostic>> {
    let column = |c: &ResultColumn| -> Result<_, Vec<Diagnostic>> {
        let data_type = c.ty.to_arrow().map_err(|name| vec![Diagnostic::new(INTERNAL, name)])?;
        let expr = compile(&c.expr, compiler)?.into_type(data_type);
        let of_value = || needs_value(&c.expr, input, compiler.schema());
        let needs_value = projection.rekeyed && c.key && of_value()?;
        Ok(Column { name: c.name.clone(), expr, needs_value })
    };
    let columns = projection.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let headers = projection.headers.as_deref().map(|text| compile(text, compiler)).transpose()?;
    Ok(Project::new(columns, headers))
}
