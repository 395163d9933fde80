//! The forms of a topology in the command topic.
//!
//! ```text
//! version   form    added
//! 1         steps   filter, project
//! 2         steps   explode
//! 3         steps   functions
//! 4         nodes   exchange, aggregate, table, join, subscribe, foreign_join, latest
//! 5         nodes   a table that is the result
//! 6         nodes   a source that several nodes read, a window that a projection adds to the key
//! ```
//!
//! A topology is written for the oldest program that can run it, so that several releases can share a command topic.

use std::collections::BTreeSet;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Action, Exploded, Node, NodeId, Projection, Topology};
use crate::definition::{FunctionDef, SourceDef};

/// The version of the shape that this program knows; a higher one was written by a newer program.
pub const VERSION: u32 = 6;

/// The first version that is written as nodes.
const NODES: u32 = 4;

/// The JSON form of a topology.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Stored {
    /// Up to version 3.
    Steps(Box<Steps>),
    /// Since version 4.
    Nodes(Nodes),
}

/// The form of a topology without branches: a source, steps, and a sink.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Steps {
    version: u32,
    input: SourceDef,
    steps: Vec<Step>,
    output: Option<SourceDef>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    functions: Vec<FunctionDef>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Filter {
        predicate: String,
    },
    /// Since version 2.
    Explode {
        columns: Vec<Exploded>,
    },
    Project(Projection),
}

/// The form of any topology: its nodes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nodes {
    version: u32,
    nodes: Vec<Node>,
    functions: Vec<FunctionDef>,
}

/// The oldest version whose programs can run these nodes with these functions.
pub(super) fn version_of(nodes: &[Node], functions: &[FunctionDef]) -> u32 {
    let of = |action: &Action| match action {
        Action::Project(projection) if projection.window.is_some() => 6,
        Action::Source(_) | Action::Filter { .. } | Action::Project(_) | Action::Sink(_) => 1,
        Action::Explode { .. } => 2,
        Action::Table(table) if table.is_result => 5,
        Action::Exchange(_) | Action::Aggregate(_) | Action::Table(_) | Action::Join(_) => NODES,
        Action::Subscribe(_) | Action::ForeignJoin(_) | Action::Latest(_) => NODES,
    };
    let of_functions = (!functions.is_empty()).then_some(3);
    let of_branches = nodes.iter().any(|node| readers(nodes, &node.id) > 1).then_some(6);
    nodes.iter().map(|node| of(&node.action)).chain(of_functions).chain(of_branches).max().unwrap_or(1)
}

/// The number of inputs that have a node as theirs.
fn readers(nodes: &[Node], id: &NodeId) -> usize {
    nodes.iter().flat_map(|node| &node.inputs).filter(|input| *input == id).count()
}

impl<'de> Deserialize<'de> for Stored {
    /// Reads the version first, since the shape of a newer version is unknown.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let version = json.get("version").and_then(Value::as_u64);
        match version.ok_or_else(|| D::Error::missing_field("version"))? {
            version if version > u64::from(VERSION) => Err(D::Error::custom(format!(
                "its plan has version {version}, but this process supports up to {VERSION}"
            ))),
            version if version >= u64::from(NODES) => of_json(json).map(Self::Nodes),
            _ => of_json(json).map(Self::Steps),
        }
    }
}

fn of_json<T: DeserializeOwned, E: serde::de::Error>(json: Value) -> Result<T, E> {
    serde_json::from_value(json).map_err(E::custom)
}

impl TryFrom<Stored> for Topology {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        match stored {
            Stored::Steps(steps) => Ok((*steps).into()),
            Stored::Nodes(Nodes { version, nodes, functions }) => {
                check(&nodes)?;
                Ok(Self { version, nodes, functions })
            }
        }
    }
}

/// Checks the invariants of a topology: only sources have no inputs, each node follows its inputs, and ids are unique.
fn check(nodes: &[Node]) -> Result<(), String> {
    let mut known: BTreeSet<&NodeId> = BTreeSet::new();
    for node in nodes {
        if let Some(missing) = node.inputs.iter().find(|input| !known.contains(input)) {
            return Err(format!("node {} comes before its input {missing}", node.id));
        }
        if node.inputs.is_empty() != matches!(node.action, Action::Source(_)) {
            return Err(format!("node {} does not have the inputs of its operation", node.id));
        }
        if !known.insert(&node.id) {
            return Err(format!("there are two nodes {}", node.id));
        }
    }
    if nodes.is_empty() { Err("it has no nodes".to_owned()) } else { Ok(()) }
}

impl From<Steps> for Topology {
    fn from(Steps { version, input, steps, output, functions }: Steps) -> Self {
        let action = |step| match step {
            Step::Filter { predicate } => Action::Filter { predicate },
            Step::Explode { columns } => Action::Explode { columns },
            Step::Project(projection) => Action::Project(projection),
        };
        let topology = Self::linear(input, steps.into_iter().map(action).collect(), functions);
        let topology = Self { version, ..topology };
        match output {
            Some(sink) => topology.into_sink(sink),
            None => topology,
        }
    }
}

impl From<Topology> for Stored {
    fn from(topology: Topology) -> Self {
        if topology.version >= NODES {
            let Topology { version, nodes, functions } = topology;
            return Self::Nodes(Nodes { version, nodes, functions });
        }
        let (input, output) = (topology.source().clone(), topology.sink().cloned());
        let step = |node: Node| match node.action {
            Action::Filter { predicate } => Some(Step::Filter { predicate }),
            Action::Explode { columns } => Some(Step::Explode { columns }),
            Action::Project(projection) => Some(Step::Project(projection)),
            // Source and sink are stored apart. The others exist only in topologies that are stored as nodes.
            Action::Source(_) | Action::Sink(_) => None,
            Action::Exchange(_) | Action::Aggregate(_) | Action::Table(_) | Action::Join(_) => None,
            Action::Subscribe(_) | Action::ForeignJoin(_) | Action::Latest(_) => None,
        };
        let Topology { version, nodes, functions } = topology;
        let steps = nodes.into_iter().filter_map(step).collect();
        Self::Steps(Box::new(Steps { version, input, steps, output, functions }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Topology, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn refused(text: &str, why: &str) {
        match read(text) {
            Err(found) => assert!(found.starts_with(why), "{found}"),
            Ok(topology) => panic!("{text} is {topology}"),
        }
    }

    #[test]
    fn a_newer_version_is_recognized_whatever_its_shape() {
        let why = "its plan has version 7, but this process supports up to 6";
        refused(r#"{"version":7,"regions":[{"id":"a"}]}"#, why);
        refused(r#"{"version":7,"nodes":[],"functions":[]}"#, why);
    }

    #[test]
    fn nodes_follow_their_inputs() {
        let filter = |id: &str, input: &str| {
            format!(r#"{{"id":"{id}","inputs":["{input}"],"action":{{"filter":{{"predicate":"TRUE"}}}}}}"#)
        };
        let of = |nodes: &str| format!(r#"{{"version":4,"nodes":[{nodes}],"functions":[]}}"#);
        refused(&of(""), "it has no nodes");
        refused(&of(&filter("filter-1", "filter-2")), "node filter-1 comes before its input filter-2");
        let rootless = r#"{"id":"filter-1","inputs":[],"action":{"filter":{"predicate":"TRUE"}}}"#;
        refused(&of(rootless), "node filter-1 does not have the inputs of its operation");
    }

    #[test]
    fn what_a_version_does_not_have_is_refused() {
        refused(r#"{"version":4,"nodes":[],"functions":[],"regions":[]}"#, "unknown field `regions`");
        let action = r#"{"version":4,"nodes":[{"id":"a","inputs":[],"action":{"sample":{}}}],"functions":[]}"#;
        refused(action, "unknown variant `sample`");
        refused(r#"{"version":1,"nodes":[],"functions":[]}"#, "unknown field `nodes`");
        refused(r#"{"nodes":[],"functions":[]}"#, "missing field `version`");
    }
}
