//! A topology made ready to run: its steps as operators, which all tasks of a query share.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::session_state::SessionState;
use headwater_expression::errors::diagnose;
use headwater_formats::decode::{RecordDecoder, TopicSpec};
use headwater_formats::format::FormatError;
use headwater_formats::record::{TopicPartition, Wanted};
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::topology::{Node, NodeId, Topology, VERSION};

use super::columns::referenced;
use super::lower::lower;
use super::operator::{Operator, Port};
use super::output::{Output, Placement};
use super::task::Task;

/// A topology that is ready to run: what all its tasks share.
#[derive(Clone)]
pub struct Compiled {
    spec: Arc<TopicSpec>,
    /// Columns of the input that are decoded, by index in the spec's columns.
    projection: Vec<usize>,
    /// The operators as they were made; each task has its own.
    operators: Vec<Wired>,
    /// Where the rows of the input go.
    pub(super) entry: Vec<Target>,
    schema: SchemaRef,
    pub(super) sink: Option<SourceDef>,
    /// Headers of the input go on to the output.
    pub(super) forwards_headers: bool,
    /// The key is another than the input's.
    rekeyed: bool,
    /// A record without a readable event time stops the query.
    pub(super) stops_on_time: bool,
}

/// Where rows go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the operator with this index, at one of its ports.
    Operator(usize, Port),
    /// Out of the task.
    Output,
}

/// An operator, and where what comes out of it goes.
#[derive(Clone)]
struct Wired {
    operator: Arc<dyn Operator>,
    to: Vec<Target>,
}

impl Compiled {
    /// Compiles a topology with the functions that `state` knows. Fails on one that a newer program
    /// wrote, or whose expressions have no meaning any more.
    pub fn new(topology: &Topology, state: &SessionState) -> Result<Self, Vec<Diagnostic>> {
        if topology.version() > VERSION {
            let message = "the query was made by a newer version of Headwater, which this one does not understand";
            return Err(vec![Diagnostic::new(INTERNAL, message)]);
        }
        let spec = topology.source().topic_spec().map_err(|why| vec![Diagnostic::new(INTERNAL, why)])?;
        let projection = referenced(topology, &spec)?;
        let input = Arc::new(spec.schema().project(&projection).map_err(|e| diagnose(&e.into(), None))?);
        let Wiring { operators, entry, schema } = wire(topology, input, state)?;
        let forwards_headers = topology.sink().is_some() && topology.result().is_some_and(|p| p.headers.is_none());
        let sink = topology.sink().cloned();
        let rekeyed = topology.result().is_some_and(|result| result.rekeyed);
        let spec = Arc::new(spec);
        Ok(Self { spec, projection, operators, entry, schema, sink, forwards_headers, rekeyed, stops_on_time: false })
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
        let operators = self.operators.iter().map(|wired| (wired.operator.fresh(), wired.to.clone())).collect();
        Ok(Task::new(self.clone(), operators, origin, decoder, output))
    }
}

/// The operators of a topology and how they are connected.
struct Wiring {
    operators: Vec<Wired>,
    /// Where the rows of the input go.
    entry: Vec<Target>,
    /// The columns of what comes out.
    schema: SchemaRef,
}

/// Makes an operator of each node that does something to rows. Each node takes the rows of nodes before it.
fn wire(topology: &Topology, input: SchemaRef, state: &SessionState) -> Result<Wiring, Vec<Diagnostic>> {
    let nodes = topology.nodes();
    let mut schemas: BTreeMap<&NodeId, SchemaRef> = BTreeMap::new();
    let mut indices: BTreeMap<&NodeId, usize> = BTreeMap::new();
    let mut operators = Vec::new();
    let mut schema = input;
    for (at, node) in nodes.iter().enumerate() {
        if let Some(from) = node.inputs.first().and_then(|id| schemas.get(id)) {
            schema = from.clone();
        }
        if let Some((operator, out)) = lower(&node.action, &nodes[at + 1..], &schema, state, topology.source())? {
            indices.insert(&node.id, operators.len());
            operators.push((operator, &node.id));
            schema = out;
        }
        schemas.insert(&node.id, schema.clone());
    }
    let to = |id: &NodeId| targets(id, nodes, &indices);
    let entry = to(&nodes[0].id);
    let operators = operators.into_iter().map(|(operator, id)| Wired { operator, to: to(id) }).collect();
    Ok(Wiring { operators, entry, schema })
}

/// Where the rows of a node go: to each port that takes them, and out where a sink does or nobody.
fn targets(id: &NodeId, nodes: &[Node], indices: &BTreeMap<&NodeId, usize>) -> Vec<Target> {
    let mut targets = Vec::new();
    for node in nodes {
        for port in (0..node.inputs.len()).filter(|port| node.inputs[*port] == *id) {
            targets.push(indices.get(&node.id).map_or(Target::Output, |at| Target::Operator(*at, Port(port))));
        }
    }
    if targets.is_empty() {
        targets.push(Target::Output);
    }
    targets
}
