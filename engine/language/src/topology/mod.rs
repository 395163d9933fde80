//! A continuous query as plain, versioned data, which EXPLAIN prints and the command topic stores.
//!
//! Names are resolved and `*` is expanded. Expressions are stored as SQL text over the input columns, so that a newer
//! program can read what an older one wrote. `stored` defines the stored form of a topology, `print` the printed one.
//! Nothing here runs.

mod aggregation;
mod join;
mod names;
mod print;
mod stored;

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::definition::{FunctionDef, SourceDef, SourceKind};
use crate::types::SqlType;

pub use aggregation::{AggregateCall, AggregateWindow, Aggregation};
pub use join::{ForeignJoin, Join, JoinForm, JoinKind, JoinSide, Latest, Subscribe, TableStore};
pub use names::{names_in, names_of};
pub use stored::VERSION;

/// A query as a graph of nodes through which rows flow: from sources, through operations, to a sink or to the reader
/// of a push query.
///
/// ```text
/// source-1 → filter-1 → explode-1 → project-1 → sink-1
/// source-1 → project-1 → exchange-1 → aggregate-1 → project-2 → sink-1
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "stored::Stored", into = "stored::Stored")]
pub struct Topology {
    /// The version of the shape, which is at most [`VERSION`].
    version: u32,
    /// The nodes, each after its inputs.
    nodes: Vec<Node>,
    /// The user-defined functions that its expressions call, as they were when it was planned.
    functions: Vec<FunctionDef>,
}

/// A node of a topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The name by which other nodes refer to it.
    pub id: NodeId,
    /// The input nodes, one for each port.
    pub inputs: Vec<NodeId>,
    /// Its operation.
    pub action: Action,
}

/// The name of a node, made of its operation and a number among the nodes with that operation, such as `filter-1`. It
/// does not change when nodes with other operations are added or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(String);

/// The operation of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Reads rows from the records of a topic, as it was declared when the query was planned.
    Source(Box<SourceDef>),
    /// Keeps the rows for which the condition is true.
    Filter {
        /// The condition.
        predicate: String,
    },
    /// Expands each row to several, with table functions that are zipped by position.
    Explode {
        /// The columns that are added.
        columns: Vec<Exploded>,
    },
    /// Computes a new row from each row.
    Project(Projection),
    /// Sends each row to the partition of its key, through a topic that belongs to the query. The nodes after it are another
    /// stage. The definition has the name of that topic without the query's prefix.
    Exchange(Box<SourceDef>),
    /// Aggregates each group of rows in a store, and passes on the groups that have changed.
    Aggregate(Aggregation),
    /// Keeps the rows of a table in a store, and passes on their changes.
    Table(TableStore),
    /// Joins two inputs.
    Join(Join),
    /// Sends the rows of a table to the rows of another table that they refer to.
    Subscribe(Subscribe),
    /// Joins the rows of a table with the rows that they refer to.
    ForeignJoin(ForeignJoin),
    /// Keeps the latest of the rows that were joined for each row of a table.
    Latest(Latest),
    /// Writes rows as records to a topic.
    Sink(Box<SourceDef>),
}

/// A column with the result of a table function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploded {
    /// Its name, by which later nodes refer to it.
    pub name: String,
    /// The call of the table function.
    pub expr: String,
}

/// The columns of a projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// The columns, those of the key first.
    pub columns: Vec<ResultColumn>,
    /// The expression for the headers of the record; without it, the headers of the input are passed on.
    pub headers: Option<String>,
    /// Whether the key differs from the input's (PARTITION BY).
    pub rekeyed: bool,
    /// The expressions for start and end of the window in the key, if that of the input does not pass through. Since version 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<[String; 2]>,
}

/// A column of a projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// The expression that computes it.
    pub expr: String,
    /// Its type.
    #[serde(with = "crate::definition::type_text")]
    pub ty: SqlType,
    /// Whether it is part of the key.
    pub key: bool,
}

/// Adds the nodes of a topology one by one.
///
/// ```
/// use headwater_language::topology::{Action, Builder};
///
/// let mut builder = Builder::default();
/// # let source: headwater_language::definition::SourceDef = serde_json::from_value(serde_json::json!({
/// #     "name": "S", "kind": "stream", "read_only": false, "columns": [], "topic": "s",
/// #     "key": { "format": "NONE", "wrapped": true, "delimiter": 44 }, "value": { "format": "JSON", "wrapped": true, "delimiter": 44 },
/// #     "event_time": null, "window": null, "statement": "",
/// # })).expect("a definition");
/// let source = builder.add(Action::Source(Box::new(source)), &[]);
/// let filter = builder.add(Action::Filter { predicate: "A > 1".to_owned() }, &[&source]);
/// assert_eq!(filter.to_string(), "filter-1");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    /// Adds a node after its inputs, one for each port. Returns its id.
    pub fn add(&mut self, action: Action, inputs: &[&NodeId]) -> NodeId {
        let id = next_id(&self.nodes, &action);
        let inputs = inputs.iter().map(|id| (*id).clone()).collect();
        self.nodes.push(Node { id: id.clone(), inputs, action });
        id
    }

    /// The nodes so far.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes so far, to be changed.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut()
    }

    /// The topology of a push query; [`Topology::into_sink`] adds a sink.
    pub fn finish(self, functions: Vec<FunctionDef>) -> Topology {
        let version = stored::version_of(&self.nodes, &functions);
        Topology { version, nodes: self.nodes, functions }
    }
}

/// The id of the next node with an operation.
fn next_id(nodes: &[Node], action: &Action) -> NodeId {
    let alike = nodes.iter().filter(|node| node.action.word() == action.word()).count();
    NodeId(format!("{}-{}", action.word(), alike + 1))
}

impl Topology {
    /// A topology with one source, followed by operations in a line. It is a push query until [`Self::into_sink`]
    /// adds a sink.
    pub fn linear(source: SourceDef, actions: Vec<Action>, functions: Vec<FunctionDef>) -> Self {
        let mut builder = Builder::default();
        let mut last = builder.add(Action::Source(Box::new(source)), &[]);
        for action in actions {
            last = builder.add(action, &[&last]);
        }
        builder.finish(functions)
    }

    /// Adds a node that writes the rows to `sink`.
    pub fn into_sink(mut self, sink: SourceDef) -> Self {
        self.append(Action::Sink(Box::new(sink)));
        self
    }

    /// The same steps with another definition of the stream or table that is written.
    pub fn with_sink(mut self, sink: SourceDef) -> Self {
        for node in &mut self.nodes {
            if let Action::Sink(former) = &mut node.action {
                **former = sink.clone();
            }
        }
        self
    }

    /// Adds a node after the last one.
    fn append(&mut self, action: Action) {
        let inputs = self.nodes.last().map(|last| last.id.clone()).into_iter().collect();
        self.nodes.push(Node { id: next_id(&self.nodes, &action), inputs, action });
    }

    /// The minimum version of the program that can run it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All nodes, each after its inputs.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The user-defined functions that its expressions call.
    pub fn functions(&self) -> &[FunctionDef] {
        &self.functions
    }

    /// All sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceDef> {
        self.nodes.iter().filter_map(|node| match &node.action {
            Action::Source(source) => Some(source.as_ref()),
            _ => None,
        })
    }

    /// The first source, after which a result inherits formats and settings.
    pub fn source(&self) -> &SourceDef {
        self.sources().next().expect("a topology begins with a source")
    }

    /// The source of the rows of a node: the first one, if they come from several.
    pub fn source_of(&self, id: &NodeId) -> &SourceDef {
        let node = self.nodes.iter().find(|node| node.id == *id);
        match node.map(|node| (&node.action, node.inputs.first())) {
            Some((Action::Source(source), _)) => source,
            Some((_, Some(input))) => self.source_of(input),
            _ => self.source(),
        }
    }

    /// The nodes that the rows of a node reach.
    pub fn after(&self, id: &NodeId) -> Vec<&Node> {
        let mut after: Vec<&Node> = Vec::new();
        for node in &self.nodes {
            let is_reached = |input: &NodeId| input == id || after.iter().any(|reached| reached.id == *input);
            if node.inputs.iter().any(is_reached) {
                after.push(node);
            }
        }
        after
    }

    /// Whether it reads a topic as a table.
    pub fn reads_table(&self, topic: &str) -> bool {
        self.sources().any(|source| source.topic == topic && source.kind == SourceKind::Table)
    }

    /// The sink; none for a push query.
    pub fn sink(&self) -> Option<&SourceDef> {
        self.nodes.iter().find_map(|node| match &node.action {
            Action::Sink(sink) => Some(sink.as_ref()),
            _ => None,
        })
    }

    /// Whether its result is in a store, and neither written to a topic nor shown.
    pub fn is_kept(&self) -> bool {
        self.nodes.iter().any(|node| matches!(&node.action, Action::Table(table) if table.is_result))
    }

    /// The exchanges, as definitions whose topics lack the query's prefix.
    pub fn exchanges(&self) -> impl Iterator<Item = &SourceDef> {
        self.nodes.iter().filter_map(|node| match &node.action {
            Action::Exchange(exchange) => Some(exchange.as_ref()),
            _ => None,
        })
    }

    /// Whether the rows of a node are the changes of a table; otherwise they are the rows of a stream.
    pub fn is_table(&self, id: &NodeId) -> bool {
        let Some(node) = self.nodes.iter().find(|node| node.id == *id) else { return false };
        match &node.action {
            Action::Source(source) => source.kind == SourceKind::Table,
            Action::Table(_) | Action::Aggregate(_) | Action::Latest(_) => true,
            Action::Subscribe(_) | Action::ForeignJoin(_) => false,
            Action::Join(join) => join.form == JoinForm::Tables,
            _ => node.inputs.first().is_some_and(|input| self.is_table(input)),
        }
    }

    /// Whether it aggregates rows.
    pub fn aggregates(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.action, Action::Aggregate(_)))
    }

    /// Whether it aggregates rows by windows.
    pub fn has_windows(&self) -> bool {
        let windows =
            |node: &Node| matches!(&node.action, Action::Aggregate(aggregation) if aggregation.window.is_some());
        self.nodes.iter().any(windows)
    }

    /// The names of its stores.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().flat_map(|node| node.action.stores())
    }

    /// The last projection, which defines the columns of the result. Every topology has one.
    pub fn result(&self) -> Option<&Projection> {
        self.nodes.iter().rev().find_map(|node| match &node.action {
            Action::Project(projection) => Some(projection),
            _ => None,
        })
    }
}

impl Action {
    /// The names of its stores, in the order in which the operator knows them.
    pub fn stores(&self) -> Vec<&str> {
        match self {
            Self::Aggregate(aggregation) => vec![&aggregation.store],
            Self::Table(table) => vec![&table.store],
            Self::Join(join) => join.stores().collect(),
            Self::Subscribe(subscribe) => vec![&subscribe.store],
            Self::ForeignJoin(join) => vec![&join.left_store, &join.right_store],
            Self::Latest(latest) => vec![&latest.version_store, &latest.store],
            _ => Vec::new(),
        }
    }

    /// The word for the operation.
    fn word(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Filter { .. } => "filter",
            Self::Explode { .. } => "explode",
            Self::Project(_) => "project",
            Self::Exchange(_) => "exchange",
            Self::Aggregate(_) => "aggregate",
            Self::Table(_) => "table",
            Self::Join(_) => "join",
            Self::Subscribe(_) => "subscribe",
            Self::ForeignJoin(_) => "foreign-join",
            Self::Latest(_) => "latest",
            Self::Sink(_) => "sink",
        }
    }
}

impl Display for NodeId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
