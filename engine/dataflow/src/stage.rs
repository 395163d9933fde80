//! Stages: the parts of a topology between its exchanges, each as operators that all of its tasks share.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::session_state::SessionState;
use headwater_expression::errors::diagnose;
use headwater_formats::decode::{RecordDecoder, TopicSpec};
use headwater_formats::format::FormatError;
use headwater_formats::record::Wanted;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::topology::{Action, Join, JoinForm, JoinKind, Node, NodeId, Topology};

use super::columns::referenced;
use super::exchange::Exchange;
use super::keeper::Kept;
use super::lower::Lowering;
use super::operator::{Operator, Port};
use super::options::CompileOptions;
use super::output::{Output, Placement};

/// A part of a topology without an exchange inside it. Each partition of it is a [`Task`](super::Task).
pub struct Stage {
    /// The topics that it reads, one for each port of its tasks.
    pub inputs: Vec<Input>,
    /// The operators before any row was pushed; each task gets its own copies.
    pub operators: Vec<Wired>,
    /// The topics that it writes; none if its rows are shown to a user.
    pub outputs: Vec<OutputTopic>,
    /// The changelog topic of each of its stores.
    pub changelogs: Vec<Arc<str>>,
    /// The topics of the query's sources, which complaints name.
    pub origins: Arc<[Arc<str>]>,
    /// The declaration of the records that stand for the result, if that is only in a store: those of the source in COMPACT.
    pub kept_as: Option<SourceDef>,
    /// The columns of the rows that its last operator emits.
    pub schema: SchemaRef,
    /// The operator that keeps the result of the query, or the reason why none does.
    pub kept: Result<Kept, &'static str>,
    /// Whether it is the last stage, which emits the result of the query.
    pub is_last: bool,
}

/// A topic that a stage reads.
pub struct Input {
    /// How its records are decoded.
    pub spec: Arc<TopicSpec>,
    /// The columns that are decoded, by index in those of the spec.
    pub projection: Vec<usize>,
    /// The first operators or outputs that get its rows.
    pub entry: Vec<Target>,
    /// The columns that an exchange adds to those of its rows; `None` if it is a source.
    pub exchange: Option<Exchange>,
    /// Whether its records are the changes of a table.
    pub is_table: bool,
    /// The index of the source among those of the topology; 0 for an exchange.
    pub source: i32,
    /// The sources whose rows come through an exchange; those of tables only if there are no streams, which they change the rows of.
    pub sources: Vec<i32>,
    /// Whether records without a value become rows without a value; otherwise they are skipped.
    pub keeps_valueless: bool,
    /// Whether the window in its keys is passed on to the output.
    pub forwards_windows: bool,
    /// Whether its headers are passed on to the output.
    pub forwards_headers: bool,
    /// How many of its rows go to all of its first steps before the next ones do.
    pub pace: Pace,
}

/// How many rows of a source that is joined with itself go to one side of the join before they go to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All that are released at once.
    Batch,
    /// Those at which stream time is the same: something depends on how far it is when two of them meet.
    StreamTime,
    /// One row.
    Row,
}

/// A topic that a stage writes.
pub struct OutputTopic {
    /// The declaration of the topic.
    pub sink: SourceDef,
    /// The columns of the rows that become its records.
    pub schema: SchemaRef,
    /// Whether the key differs from the input's.
    pub rekeyed: bool,
    /// The columns that an exchange adds to those of its rows; `None` if it is the sink.
    pub exchange: Option<Exchange>,
}

/// The next step for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The operator with this index, at one of its ports.
    Operator(usize, Port),
    /// The output topic with this index or, in a query without a sink, the user who reads its rows.
    Output(usize),
}

/// An operator and the next steps for the rows that it emits.
pub struct Wired {
    /// The operator.
    pub operator: Arc<dyn Operator>,
    /// The next steps for its rows.
    pub to: Vec<Target>,
}

impl Stage {
    /// The inputs whose rows have it emit rows, however late they come: the streams or, without any, the tables.
    pub fn drivers(&self) -> impl Iterator<Item = &Input> {
        let has_streams = self.inputs.iter().any(|input| !input.is_table);
        self.inputs.iter().filter(move |input| !(has_streams && input.is_table))
    }
}

impl Input {
    /// A decoder of its records.
    pub fn decoder(&self) -> Result<RecordDecoder, FormatError> {
        let decoder = RecordDecoder::new(&self.spec, &self.projection)?;
        Ok(if self.keeps_valueless { decoder.keeping_valueless() } else { decoder })
    }

    /// Whether several steps get its rows: a source that is joined with itself.
    pub fn is_shared(&self) -> bool {
        self.entry.len() > 1
    }

    /// The parts of each record that its decoder reads or that are passed on.
    pub fn wanted(&self) -> Result<Wanted, FormatError> {
        let wanted = RecordDecoder::new(&self.spec, &self.projection)?.wanted();
        Ok(Wanted { headers: wanted.headers || self.forwards_headers, ..wanted })
    }
}

impl OutputTopic {
    /// An encoder of its records.
    pub fn open(&self, placements: &BTreeMap<String, Placement>) -> Result<Output, FormatError> {
        let missing = || FormatError::Unfit(format!("topic \"{}\" was not looked up", self.sink.topic));
        let placement = *placements.get(&self.sink.topic).ok_or_else(missing)?;
        Output::new(&self.sink, &self.schema, self.rekeyed, placement)
    }
}

/// The stages of a topology.
pub fn stages(
    topology: &Topology,
    state: &SessionState,
    options: &CompileOptions,
) -> Result<Vec<Stage>, Vec<Diagnostic>> {
    let places = places(topology.nodes());
    let numbers = in_order(&places);
    let wire = |number: usize| Wiring::new(topology, state, options, &places, number).wire();
    let mut stages = numbers.into_iter().map(wire).collect::<Result<Vec<_>, _>>()?;
    // Each stage comes after those that it gets rows from.
    for at in 0..stages.len() {
        let (before, stage) = stages.split_at_mut(at);
        for input in stage[0].inputs.iter_mut().filter(|input| input.exchange.is_some()) {
            input.sources = sources_of(before, &input.spec.topic);
        }
    }
    Ok(stages)
}

/// The sources whose rows come through an exchange that one of these stages writes.
fn sources_of(stages: &[Stage], exchange: &str) -> Vec<i32> {
    let writes = |stage: &&Stage| stage.outputs.iter().any(|output| output.sink.topic == exchange);
    let mut sources = Vec::new();
    for input in stages.iter().filter(writes).flat_map(Stage::drivers) {
        match input.exchange {
            Some(_) => sources.extend(&input.sources),
            None => sources.push(input.source),
        }
    }
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// The stage of a node, and the stage that gets its rows. They differ only for an exchange.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    next: usize,
}

/// The stages of all nodes. Nodes that are connected without an exchange in between share a stage.
fn places(nodes: &[Node]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut unused = 0;
    for node in nodes {
        let position = |id: &NodeId| nodes.iter().take(places.len()).position(|node| node.id == *id);
        let from: Vec<usize> = node.inputs.iter().filter_map(position).map(|at| places[at].next).collect();
        let at = from.iter().min().copied().unwrap_or(unused);
        unused = unused.max(at + 1);
        for place in places.iter_mut().flat_map(|place| [&mut place.at, &mut place.next]) {
            if from.contains(place) {
                *place = at;
            }
        }
        let next = if matches!(node.action, Action::Exchange(_)) { unused } else { at };
        unused = unused.max(next + 1);
        places.push(Place { at, next });
    }
    places
}

/// The pace of a source that is joined with itself, so that the output does not depend on how its records are cut into batches.
fn pace(topology: &Topology, options: &CompileOptions, is_table: bool) -> Pace {
    if is_table {
        return if options.emits_every_change { Pace::Row } else { Pace::Batch };
    }
    let joins = || {
        topology.nodes().iter().filter_map(|node| match &node.action {
            Action::Join(Join { kind, form: JoinForm::Streams { grace_ms, .. }, .. }) => Some((*kind, *grace_ms)),
            _ => None,
        })
    };
    // Rows of outer joins without GRACE PERIOD are emitted alone unless a match is there.
    if joins().any(|(kind, grace_ms)| kind != JoinKind::Inner && grace_ms.is_none()) {
        return Pace::Row;
    }
    // Other outer joins wait for stream time, and windows and further joins drop what is late.
    let uses_time = joins().any(|(kind, _)| kind != JoinKind::Inner) || joins().count() > 1 || topology.has_windows();
    if uses_time { Pace::StreamTime } else { Pace::Batch }
}

/// The numbers of all stages, each after those that it gets rows from.
fn in_order(places: &[Place]) -> Vec<usize> {
    let mut depths: BTreeMap<usize, usize> = places.iter().flat_map(|place| [(place.at, 0), (place.next, 0)]).collect();
    // A path has at most as many steps as there are stages.
    for _ in 0..depths.len() {
        for Place { at, next } in places.iter().filter(|place| place.at != place.next) {
            let deeper = depths[at] + 1;
            depths.entry(*next).and_modify(|depth| *depth = deeper.max(*depth));
        }
    }
    let mut numbers: Vec<usize> = depths.keys().copied().collect();
    numbers.sort_by_key(|number| depths[number]);
    numbers
}

/// Builds one stage from the nodes of its topology.
struct Wiring<'a> {
    topology: &'a Topology,
    state: &'a SessionState,
    options: &'a CompileOptions,
    places: &'a [Place],
    number: usize,
    /// The columns of the rows that each node emits.
    schemas: BTreeMap<&'a NodeId, SchemaRef>,
    inputs: Vec<(&'a NodeId, Input)>,
    operators: Vec<(&'a NodeId, Arc<dyn Operator>)>,
    outputs: Vec<(&'a NodeId, OutputTopic)>,
    changelogs: Vec<Arc<str>>,
    /// The columns of the rows that the last node added emits.
    schema: SchemaRef,
}

impl<'a> Wiring<'a> {
    fn new(
        topology: &'a Topology,
        state: &'a SessionState,
        options: &'a CompileOptions,
        places: &'a [Place],
        number: usize,
    ) -> Self {
        Self {
            topology,
            state,
            options,
            places,
            number,
            schemas: BTreeMap::new(),
            inputs: Vec::new(),
            operators: Vec::new(),
            outputs: Vec::new(),
            changelogs: Vec::new(),
            schema: Arc::new(Schema::empty()),
        }
    }

    fn wire(mut self) -> Result<Stage, Vec<Diagnostic>> {
        for (at, node) in self.topology.nodes().iter().enumerate() {
            if self.places[at].at == self.number {
                self.add(node)?;
            }
            if let (Action::Exchange(topic), true) = (&node.action, self.places[at].next == self.number) {
                let (topic, exchange) = self.own(node, topic);
                self.read(node, topic, Some(exchange))?;
            }
        }
        let is_here = |(node, place): (&'a Node, &Place)| (place.at == self.number).then_some(node);
        let nodes: Vec<_> = self.topology.nodes().iter().zip(self.places).filter_map(is_here).collect();
        let is_last = self.places.last().is_some_and(|last| last.at == self.number);
        let kept = Kept::of(&self.operators, &nodes);
        let entries: Vec<_> = self.inputs.iter().map(|(id, _)| self.targets(id)).collect();
        let to: Vec<_> = self.operators.iter().map(|(id, _)| self.targets(id)).collect();
        let wired = |((_, operator), to)| Wired { operator, to };
        let (topology, options) = (self.topology, self.options);
        let input = |((_, input), entry): ((_, Input), Vec<Target>)| {
            let pace = if entry.len() > 1 { pace(topology, options, input.is_table) } else { Pace::Batch };
            Input { entry, pace, ..input }
        };
        Ok(Stage {
            inputs: self.inputs.into_iter().zip(entries).map(input).collect(),
            operators: self.operators.into_iter().zip(to).map(wired).collect(),
            outputs: self.outputs.into_iter().map(|(_, output)| output).collect(),
            changelogs: self.changelogs,
            origins: self.topology.sources().map(|source| Arc::from(source.topic.as_str())).collect(),
            kept_as: self.topology.is_kept().then(|| self.topology.source().in_compact()),
            schema: self.schema,
            kept,
            is_last,
        })
    }

    /// Adds a node of this stage after its inputs.
    fn add(&mut self, node: &'a Node) -> Result<(), Vec<Diagnostic>> {
        if let Some(from) = node.inputs.first().and_then(|id| self.schemas.get(id)) {
            self.schema = from.clone();
        }
        match &node.action {
            Action::Source(source) => return self.read(node, source.as_ref().clone(), None),
            Action::Exchange(topic) => {
                let (sink, exchange) = self.own(node, topic);
                let schema = exchange.schema(&self.schema);
                self.outputs.push((&node.id, OutputTopic { sink, schema, rekeyed: true, exchange: Some(exchange) }));
            }
            Action::Sink(sink) => {
                let rekeyed = self.topology.result().is_some_and(|result| result.rekeyed);
                let (sink, schema) = (sink.as_ref().clone(), self.schema.clone());
                self.outputs.push((&node.id, OutputTopic { sink, schema, rekeyed, exchange: None }));
            }
            action => {
                let inputs: Vec<SchemaRef> =
                    node.inputs.iter().filter_map(|id| self.schemas.get(id)).cloned().collect();
                let later = self.topology.after(&node.id);
                let is_aggregated = later.iter().any(|node| matches!(node.action, Action::Aggregate(_)));
                let lowering = Lowering {
                    later: &later,
                    inputs: &inputs,
                    state: self.state,
                    source: self.topology.source_of(&node.id),
                    store: self.changelogs.len(),
                    emits_every_change: self.options.emits_every_change || is_aggregated,
                    receives_table: node.inputs.first().is_some_and(|input| self.topology.is_table(input)),
                };
                let (operator, schema) = lowering.lower(action)?;
                let changelog = |store: &str| self.options.changelog(store).into();
                self.changelogs.extend(action.stores().into_iter().map(changelog));
                self.operators.push((&node.id, operator));
                self.schema = schema;
            }
        }
        self.schemas.insert(&node.id, self.schema.clone());
        Ok(())
    }

    /// Adds an input.
    fn read(&mut self, node: &'a Node, source: SourceDef, exchange: Option<Exchange>) -> Result<(), Vec<Diagnostic>> {
        let is_table = self.topology.is_table(&node.id);
        let number = self.topology.sources().take_while(|other| **other != source).count();
        let spec = source.topic_spec().map_err(|why| vec![Diagnostic::new(INTERNAL, why)])?;
        let topology = self.topology;
        let has_exchange = topology.nodes().iter().any(|node| matches!(node.action, Action::Exchange(_)));
        let forwards_windows = !has_exchange && topology.sink().is_some_and(|sink| sink.window.is_some());
        let keeps_headers = topology.result().is_some_and(|result| result.headers.is_none());
        // A row that is emitted at a barrier comes out when its record is long gone.
        let has_record = !topology.aggregates() && (!is_table || self.options.emits_every_change);
        let forwards_headers = has_record && topology.sink().is_some() && keeps_headers;
        let is_here = |(node, place): (&'a Node, &Place)| (place.at == self.number).then_some(node);
        let nodes = topology.nodes().iter().zip(self.places).filter_map(is_here);
        let projection = referenced(nodes, &spec, forwards_windows, exchange.as_ref())?;
        let schema = spec.schema().project(&projection).map_err(|e| diagnose(&e.into(), None))?;
        self.schema = Arc::new(exchange.as_ref().map_or(schema.clone(), |exchange| exchange.rows(&schema)));
        self.schemas.insert(&node.id, self.schema.clone());
        let input = Input {
            spec: Arc::new(spec),
            projection,
            entry: Vec::new(),
            source: if exchange.is_some() { 0 } else { i32::try_from(number).unwrap_or(i32::MAX) },
            sources: Vec::new(),
            is_table,
            keeps_valueless: exchange.is_none() && (is_table || (!has_exchange && topology.sink().is_some())),
            exchange,
            forwards_windows,
            forwards_headers,
            pace: Pace::Batch,
        };
        self.inputs.push((&node.id, input));
        Ok(())
    }

    /// The definition of an exchange's topic with its full name and all columns, and the columns that the exchange adds.
    fn own(&self, node: &Node, topic: &SourceDef) -> (SourceDef, Exchange) {
        let exchange = Exchange::of(topic, self.topology.is_table(&node.id));
        let topic = SourceDef { topic: self.options.own_topic(&topic.topic), ..topic.clone() };
        (exchange.declare(topic), exchange)
    }

    /// The next steps for the rows of a node: the ports and outputs that have it as their input, or else the first output.
    fn targets(&self, id: &NodeId) -> Vec<Target> {
        let operator = |id: &NodeId| self.operators.iter().position(|(other, _)| *other == id);
        let output = |id: &NodeId| self.outputs.iter().position(|(other, _)| *other == id);
        let mut targets = Vec::new();
        for node in self.topology.nodes() {
            for port in (0..node.inputs.len()).filter(|port| node.inputs[*port] == *id) {
                targets.extend(operator(&node.id).map(|at| Target::Operator(at, Port(port))));
                targets.extend(output(&node.id).map(Target::Output));
            }
        }
        if targets.is_empty() { vec![Target::Output(0)] } else { targets }
    }
}
