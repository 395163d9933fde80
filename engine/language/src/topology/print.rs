//! Prints a topology for EXPLAIN: one line for each node, each indented further than the one before.

use std::fmt::{self, Display, Formatter};

use super::{Action, Projection, ResultColumn, Topology};
use crate::definition::{FunctionDef, SourceDef};

impl Display for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (depth, node) in self.nodes.iter().enumerate() {
            let end = if depth == 0 { "" } else { "\n" };
            write!(f, "{end}{:indent$}> {}", "", node.action, indent = 2 * depth)?;
        }
        if self.sink().is_none() {
            write!(f, "\n{:indent$}> [ SHOW ]", "", indent = 2 * self.nodes.len())?;
        }
        let function =
            |def: &FunctionDef| format!("\n[ FUNCTION ] {} RETURNS {} AS {}", def.signature(), def.returns, def.body);
        f.write_str(&self.functions.iter().map(function).collect::<String>())
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => write!(f, "[ SOURCE ] {}", named(source)),
            Self::Filter { predicate } => write!(f, "[ FILTER ] {predicate}"),
            Self::Explode { columns } => {
                let columns: Vec<String> = columns.iter().map(|c| format!("{} AS {}", c.expr, c.name)).collect();
                write!(f, "[ EXPLODE ] {}", columns.join(", "))
            }
            Self::Project(projection) => projection.fmt(f),
            Self::Exchange(topic) => write!(f, "[ EXCHANGE ] {}", named(topic)),
            Self::Aggregate(aggregation) => write!(f, "[ AGGREGATE ] {}", aggregation.groups.join(", ")),
            Self::Sink(sink) => write!(f, "[ SINK ] {}", named(sink)),
        }
    }
}

fn named(source: &SourceDef) -> String {
    let SourceDef { kind, name, topic, key, value, .. } = source;
    format!("{} \"{name}\", topic \"{topic}\", key {}, value {}", kind.word(), key.format, value.format)
}

impl Display for Projection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.rekeyed { "[ PARTITION BY, PROJECT ] " } else { "[ PROJECT ] " })?;
        let column = |c: &ResultColumn| {
            let key = if c.key { " KEY" } else { "" };
            format!("{} AS {} {}{key}", c.expr, c.name, c.ty)
        };
        let headers = self.headers.iter().map(|expr| format!("{expr} AS headers"));
        let all: Vec<String> = self.columns.iter().map(column).chain(headers).collect();
        f.write_str(&all.join(", "))
    }
}
