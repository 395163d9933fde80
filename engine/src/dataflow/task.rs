//! One partition of a running query: records in, commands out.
//!
//! ```text
//! handle(Records) → Write*, Complain* …   as often as records come
//! handle(Barrier) → Reached               everything before it has come out
//! handle(Committed)                       it will never come again
//! ```
//!
//! A task never waits and never fails on a record: what is wrong with one comes out as a complaint
//! with its address.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, nullif};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use datafusion::execution::session_state::SessionState;
use headwater_connectors::format::FormatError;
use headwater_connectors::record::{OutBatch, RawBatch, Side, TopicPartition, Wanted};
use headwater_connectors::table::{ROWOFFSET, ROWPARTITION, ROWTIME, RecordDecoder, TopicSpec, WINDOWEND, WINDOWSTART};

use super::chunk::Chunk;
use super::explode::Explode;
use super::expression::{Compiler, Expression, Failure};
use super::filter::Filter;
use super::output::{Output, Placement};
use super::project::Project;
use crate::catalog::SourceDef;
use crate::diagnostic::{Diagnostic, INTERNAL};
use crate::functions::rows_of;
use crate::planner::plan_errors::diagnose;
use crate::sql::{each_expr, parse_expr};
use crate::topology::{Projection, Step, Topology, VERSION};

/// Number of a commit of one query in one process, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What happens to a task.
#[derive(Debug)]
pub enum Event<'a> {
    /// The next records of its partition.
    Records(&'a RawBatch),
    /// An epoch ends: everything that belongs to it is to come out.
    Barrier(Epoch),
    /// An epoch is committed.
    Committed(Epoch),
}

/// What is to be done for a task.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a command carries thousands of records: its own size is nothing beside them"
)]
pub enum Command {
    /// Records to be written to the output topic.
    Write(OutBatch),
    /// Rows to be shown, with the columns of [`Compiled::result_schema`].
    Show(RecordBatch),
    /// Something is wrong with a record.
    Complain(Complaint),
    /// All of this epoch has come out.
    Reached(Epoch),
}

/// What is wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What could not be done with it.
    pub kind: ComplaintKind,
    /// Its partition.
    pub origin: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// The expression that failed, where it was one.
    pub expr: Option<String>,
    /// Why, in words for a user.
    pub reason: String,
    /// Its index in the batch that was handled last.
    pub index: usize,
}

/// What could not be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComplaintKind {
    /// It could not be decoded, and was skipped.
    Deserialization,
    /// An expression failed on it, which is NULL there; in WHERE the record was skipped.
    Processing,
    /// What it became could not be encoded, and was skipped.
    Serialization,
}

impl ComplaintKind {
    /// The word that the processing log has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deserialization => "DESERIALIZATION",
            Self::Processing => "PROCESSING",
            Self::Serialization => "SERIALIZATION",
        }
    }
}

/// A topology that is ready to run: what all its tasks share.
#[derive(Clone)]
pub struct Compiled {
    spec: Arc<TopicSpec>,
    /// Columns of the input that are decoded, by index in the spec's columns.
    projection: Vec<usize>,
    operators: Vec<Operator>,
    schema: SchemaRef,
    sink: Option<SourceDef>,
    /// Headers of the input go on to the output.
    forwards_headers: bool,
    /// The key is another than the input's.
    rekeyed: bool,
}

#[derive(Clone)]
enum Operator {
    Filter(Filter),
    Explode(Explode),
    Project(Project),
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
        let mut compiler = Compiler::new(state, input).map_err(|e| diagnose(&e, None))?;
        let mut operators = Vec::with_capacity(topology.steps.len());
        for step in &topology.steps {
            let operator = operator(step, &compiler)?;
            if let Operator::Explode(explode) = &operator {
                compiler = Compiler::new(state, explode.schema().clone()).map_err(|e| diagnose(&e, None))?;
            }
            operators.push(operator);
        }
        let schema = operators.iter().rev().find_map(Operator::schema).expect("a topology has a projection");
        let forwards_headers = topology.output.is_some() && topology.result().is_some_and(|p| p.headers.is_none());
        let sink = topology.output.clone();
        let rekeyed = topology.result().is_some_and(|result| result.rekeyed);
        Ok(Self { spec: Arc::new(spec), projection, operators, schema, sink, forwards_headers, rekeyed })
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
        Ok(Task { compiled: self.clone(), origin, decoder, output, commands: VecDeque::new() })
    }
}

impl Operator {
    fn schema(&self) -> Option<SchemaRef> {
        match self {
            Self::Project(project) => Some(project.schema().clone()),
            Self::Filter(_) | Self::Explode(_) => None,
        }
    }

    fn apply(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        match self {
            Self::Filter(filter) => filter.apply(chunk, failures),
            Self::Explode(explode) => explode.apply(chunk, failures),
            Self::Project(project) => project.apply(chunk, failures),
        }
    }
}

/// One partition of a running query.
pub struct Task {
    compiled: Compiled,
    origin: TopicPartition,
    decoder: RecordDecoder,
    output: Option<Output>,
    commands: VecDeque<Command>,
}

impl Task {
    /// Takes an event. What is to be done about it is given by [`Self::poll_command`]. Fails only on a
    /// fault of ours.
    pub fn handle(&mut self, event: &Event<'_>) -> Result<(), ArrowError> {
        match event {
            Event::Records(raw) => self.records(raw),
            Event::Barrier(epoch) => {
                self.commands.push_back(Command::Reached(*epoch));
                Ok(())
            }
            // Without state there is nothing to let go of.
            Event::Committed(_) => Ok(()),
        }
    }

    /// The next thing to be done, in order.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn records(&mut self, raw: &RawBatch) -> Result<(), ArrowError> {
        debug_assert_eq!(raw.origin, self.origin, "a task has one partition");
        let mut decoded = self.decoder.decode(raw)?;
        let rejects = std::mem::take(&mut decoded.rejects);
        let indexes = Indexes::new(raw);
        for reject in rejects {
            let reason = format!("{}: {}", reject.side, reject.reason);
            self.complain(ComplaintKind::Deserialization, &indexes, reject.offset, None, reason);
        }
        if decoded.rows.num_rows() == 0 {
            return Ok(());
        }
        let headers = raw.headers.as_ref().filter(|_| self.compiled.forwards_headers);
        let headers = match (headers, &decoded.kept) {
            (Some(headers), Some(kept)) => Some(filter(headers, kept)?.as_list().clone()),
            (headers, _) => headers.cloned(),
        };
        let windowed = self.compiled.sink.as_ref().is_some_and(|sink| sink.window.is_some());
        let mut chunk = chunk(decoded.rows, headers.filter(any_header), decoded.valued, windowed)?;
        for at in 0..self.compiled.operators.len() {
            let mut failures = Vec::new();
            let offsets = chunk.offsets.clone();
            chunk = self.compiled.operators[at].apply(chunk, &mut failures)?;
            for failure in failures {
                let offset = offsets.value(failure.row);
                self.complain(ComplaintKind::Processing, &indexes, offset, Some(failure.expr), failure.reason);
            }
            if chunk.is_empty() {
                return Ok(());
            }
        }
        self.put_out(chunk, &indexes)
    }

    fn put_out(&mut self, chunk: Chunk, indexes: &Indexes<'_>) -> Result<(), ArrowError> {
        let Some(output) = &mut self.output else {
            self.commands.push_back(Command::Show(chunk.rows));
            return Ok(());
        };
        let (batch, unwritten) = output.encode(&chunk, self.origin.partition)?;
        if !batch.is_empty() {
            self.commands.push_back(Command::Write(batch));
        }
        for bad in unwritten {
            let side = if bad.side == Side::Key { "key" } else { "value" };
            let reason = format!("{side}: {}", bad.reason);
            self.complain(ComplaintKind::Serialization, indexes, chunk.offsets.value(bad.row), None, reason);
        }
        Ok(())
    }

    fn complain(
        &mut self,
        kind: ComplaintKind,
        indexes: &Indexes<'_>,
        offset: i64,
        expr: Option<String>,
        reason: String,
    ) {
        let origin = self.origin.clone();
        let index = indexes.of(offset);
        self.commands.push_back(Command::Complain(Complaint { kind, origin, offset, expr, reason, index }));
    }
}

/// Where each offset is in a batch.
struct Indexes<'a>(&'a [i64]);

impl<'a> Indexes<'a> {
    fn new(raw: &'a RawBatch) -> Self {
        Self(&raw.offsets)
    }

    fn of(&self, offset: i64) -> usize {
        self.0.binary_search(&offset).unwrap_or(0)
    }
}

/// Decoded rows, among whose columns are event time and offset, as a chunk.
fn chunk(
    rows: RecordBatch,
    headers: Option<ListArray>,
    valued: Option<NullBuffer>,
    windowed: bool,
) -> Result<Chunk, ArrowError> {
    let column = |name: &str| -> Result<Int64Array, ArrowError> {
        let column =
            rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("{name} was not read")))?;
        Ok(column.as_primitive().clone())
    };
    let (times_ms, offsets) = (column(ROWTIME)?, column(ROWOFFSET)?);
    let windows = if windowed { Some([column(WINDOWSTART)?, column(WINDOWEND)?]) } else { None };
    let rows = match &valued {
        Some(valued) => without_address(rows, valued)?,
        None => rows,
    };
    Ok(Chunk { times_ms, offsets, headers, valued, windows, rows })
}

/// Expressions see of a record without a value nothing but its key. Semantics: ksqlDB's, whose pseudo columns are part
/// of the value.
fn without_address(rows: RecordBatch, valued: &NullBuffer) -> Result<RecordBatch, ArrowError> {
    let valueless = BooleanArray::new(!valued.inner(), None);
    let schema = rows.schema();
    let hide = |(field, column): (&FieldRef, &ArrayRef)| match field.name().as_str() {
        ROWTIME | ROWOFFSET | ROWPARTITION => nullif(column, &valueless),
        _ => Ok(column.clone()),
    };
    let columns = schema.fields().iter().zip(rows.columns()).map(hide).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

fn any_header(headers: &ListArray) -> bool {
    !headers.values().is_empty()
}

/// The columns of the input that a topology needs, event time and offset included.
fn referenced(topology: &Topology, spec: &TopicSpec) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let schema = spec.schema();
    let mut names: BTreeMap<String, ()> = [ROWTIME, ROWOFFSET].map(|name| (name.to_owned(), ())).into();
    if topology.output.as_ref().is_some_and(|sink| sink.window.is_some()) {
        names.extend([WINDOWSTART, WINDOWEND].map(|name| (name.to_owned(), ())));
    }
    for text in texts(topology) {
        let expr = parse_expr(text).map_err(|e| vec![e])?;
        columns_of(&expr, &mut |name| {
            names.insert(name.to_owned(), ());
        });
    }
    Ok((0..schema.fields().len()).filter(|i| names.contains_key(schema.field(*i).name())).collect())
}

fn texts(topology: &Topology) -> impl Iterator<Item = &str> {
    topology.steps.iter().flat_map(|step| match step {
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

fn operator(step: &Step, compiler: &Compiler<'_>) -> Result<Operator, Vec<Diagnostic>> {
    let compile = |text: &str| -> Result<Expression, Vec<Diagnostic>> {
        let expr = parse_expr(text).map_err(|e| vec![e])?;
        compiler.compile(&expr, text, None).map(|(expression, _)| expression)
    };
    match step {
        Step::Filter { predicate } => {
            Ok(Operator::Filter(Filter::new(compile(predicate)?.into_type(DataType::Boolean))))
        }
        Step::Explode { columns } => {
            let array = |c: &crate::topology::Exploded| -> Result<_, Vec<Diagnostic>> {
                let expr = rows_of(parse_expr(&c.expr).map_err(|e| vec![e])?);
                Ok((c.name.clone(), compiler.compile(&expr, &c.expr, None)?.0))
            };
            let arrays = columns.iter().map(array).collect::<Result<Vec<_>, _>>()?;
            let explode = Explode::new(arrays, compiler.schema());
            let no_array = || vec![Diagnostic::new(INTERNAL, "a table function gives no rows")];
            Ok(Operator::Explode(explode.ok_or_else(no_array)?))
        }
        Step::Project(projection) => {
            let column = |c: &crate::topology::ResultColumn| -> Result<_, Vec<Diagnostic>> {
                let data_type = c.ty.to_arrow().map_err(|name| vec![Diagnostic::new(INTERNAL, name)])?;
                Ok((c.name.clone(), compile(&c.expr)?.into_type(data_type)))
            };
            let columns = projection.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
            let headers = projection.headers.as_deref().map(compile).transpose()?;
            Ok(Operator::Project(Project::new(columns, headers)))
        }
    }
}
