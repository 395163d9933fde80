//! The form of a topology in the command topic, which all versions so far share: one source and its steps.
//!
//! A topology is written for the oldest program that can run it, so that several releases can share a command topic.

use serde::{Deserialize, Serialize};

use super::{Action, Exploded, Projection, Topology};
use crate::definition::{FunctionDef, SourceDef};

/// The version of the shape that this program knows; a higher one was written by a newer program.
pub const VERSION: u32 = 3;

/// The JSON form of a topology.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: u32,
    input: SourceDef,
    steps: Vec<StoredStep>,
    output: Option<SourceDef>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    functions: Vec<FunctionDef>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredStep {
    Filter {
        predicate: String,
    },
    /// Since version 2.
    Explode {
        columns: Vec<Exploded>,
    },
    Project(Projection),
}

/// The oldest version whose programs can run this topology with these functions.
pub(super) fn version_of(actions: &[Action], functions: &[FunctionDef]) -> u32 {
    if !functions.is_empty() {
        return 3;
    }
    if actions.iter().any(|action| matches!(action, Action::Explode { .. })) { 2 } else { 1 }
}

impl From<Stored> for Topology {
    fn from(stored: Stored) -> Self {
        let Stored { version, input, steps, output, functions } = stored;
        let action = |step| match step {
            StoredStep::Filter { predicate } => Action::Filter { predicate },
            StoredStep::Explode { columns } => Action::Explode { columns },
            StoredStep::Project(projection) => Action::Project(projection),
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
        let (input, output) = (topology.source().clone(), topology.sink().cloned());
        let step = |node: super::Node| match node.action {
            Action::Filter { predicate } => Some(StoredStep::Filter { predicate }),
            Action::Explode { columns } => Some(StoredStep::Explode { columns }),
            Action::Project(projection) => Some(StoredStep::Project(projection)),
            Action::Source(_) | Action::Sink(_) | Action::Exchange(_) | Action::Aggregate(_) => None,
        };
        let steps = topology.nodes.into_iter().filter_map(step).collect();
        Self { version: topology.version, input, steps, output, functions: topology.functions }
    }
}
