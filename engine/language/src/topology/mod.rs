//! A continuous query as plain, versioned data: what EXPLAIN prints and the command topic keeps.
//!
//! Names are resolved and `*` is spelt out; expressions are text of the dialect over the columns that come in, so that a
//! newer program reads what an older one wrote. `stored` is how a topology is kept, `print` how it is shown. Nothing here
//! runs.

mod print;
mod stored;

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::definition::{FunctionDef, SourceDef};
use crate::types::SqlType;

pub use stored::VERSION;

/// A query as nodes through which rows flow: from sources, through what is done to them, to a sink or to whoever is shown
/// them.
///
/// ```text
/// source-1 → filter-1 → explode-1 → project-1 → sink-1
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "stored::Stored", into = "stored::Stored")]
pub struct Topology {
    /// The program that wrote it knew so much: a higher one than [`VERSION`] is of a newer program.
    version: u32,
    /// Each after those that its rows come from.
    nodes: Vec<Node>,
    /// The functions of statements that its expressions call, as they were when it was planned.
    functions: Vec<FunctionDef>,
}

/// A node of a topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What others call it.
    pub id: NodeId,
    /// The nodes whose rows come in, one for each port.
    pub inputs: Vec<NodeId>,
    /// What it does.
    pub action: Action,
}

/// The name of a node: what it does and which of those that do so it is, such as `filter-1`. It stays the same when nodes
/// that do other things come or go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(String);

/// What a node does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Rows come from the records of a topic, as it was declared when the query was planned.
    Source(Box<SourceDef>),
    /// Rows stay for which the condition is true.
    Filter {
        /// The condition.
        predicate: String,
    },
    /// Each row becomes several, by table functions that are zipped by position.
    Explode {
        /// The columns that are added.
        columns: Vec<Exploded>,
    },
    /// Each row becomes another.
    Project(Projection),
    /// Rows become the records of a topic.
    Sink(Box<SourceDef>),
}

/// A column of what a table function gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploded {
    /// Its name, by which later steps call it.
    pub name: String,
    /// The call of the table function.
    pub expr: String,
}

/// The columns of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// The columns, those of the key first.
    pub columns: Vec<ResultColumn>,
    /// The expression that gives the headers of the record; without it those of the input go on.
    pub headers: Option<String>,
    /// The key is another than the input's (PARTITION BY).
    pub rekeyed: bool,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub expr: String,
    /// Its type.
    #[serde(with = "crate::definition::type_text")]
    pub ty: SqlType,
    /// It is part of the key.
    pub key: bool,
}

impl Topology {
    /// One source, and what is done to its rows, one thing after the other. They are shown until [`Self::into_sink`] says
    /// where they go.
    pub fn linear(source: SourceDef, actions: Vec<Action>, functions: Vec<FunctionDef>) -> Self {
        let version = stored::version_of(&actions, &functions);
        let mut topology = Self { version, nodes: Vec::new(), functions };
        topology.append(Action::Source(Box::new(source)));
        actions.into_iter().for_each(|action| topology.append(action));
        topology
    }

    /// The same, whose rows are written to `sink`.
    pub fn into_sink(mut self, sink: SourceDef) -> Self {
        self.append(Action::Sink(Box::new(sink)));
        self
    }

    /// Adds a node behind the last one.
    fn append(&mut self, action: Action) {
        let alike = self.nodes.iter().filter(|node| node.action.word() == action.word()).count();
        let id = NodeId(format!("{}-{}", action.word(), alike + 1));
        let inputs = self.nodes.last().map(|last| last.id.clone()).into_iter().collect();
        self.nodes.push(Node { id, inputs, action });
    }

    /// The version of the program that is needed to run it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All nodes, each after those that its rows come from.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The functions of statements that its expressions call.
    pub fn functions(&self) -> &[FunctionDef] {
        &self.functions
    }

    /// What is read.
    pub fn sources(&self) -> impl Iterator<Item = &SourceDef> {
        self.nodes.iter().filter_map(|node| match &node.action {
            Action::Source(source) => Some(source.as_ref()),
            _ => None,
        })
    }

    /// What is read, where it is one source.
    pub fn source(&self) -> &SourceDef {
        self.sources().next().expect("a topology begins with a source")
    }

    /// What is written; none for a push query, whose rows are shown.
    pub fn sink(&self) -> Option<&SourceDef> {
        self.nodes.iter().find_map(|node| match &node.action {
            Action::Sink(sink) => Some(sink.as_ref()),
            _ => None,
        })
    }

    /// The last projection: what the result looks like. Every topology has one.
    pub fn result(&self) -> Option<&Projection> {
        self.nodes.iter().rev().find_map(|node| match &node.action {
            Action::Project(projection) => Some(projection),
            _ => None,
        })
    }
}

impl Action {
    /// The word for what it does.
    fn word(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Filter { .. } => "filter",
            Self::Explode { .. } => "explode",
            Self::Project(_) => "project",
            Self::Sink(_) => "sink",
        }
    }
}

impl Display for NodeId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
