//! Prints a topology for EXPLAIN: one line for each node, indented further than its inputs, which are above it.
//!
//! ```text
//! > [ SOURCE ] stream "S", …
//!   > [ EXCHANGE ] by "S_ID", …
//! > [ SOURCE ] table "T", …
//!   > [ EXCHANGE ] by "T_ID", …
//!     > [ INNER JOIN ] on "S_ID" = "T_ID", …
//! ```

use std::fmt::{self, Display, Formatter};

use super::{
    Action, AggregateCall, AggregateWindow, Aggregation, ForeignJoin, Join, JoinForm, Latest, Node, Projection,
    ResultColumn, Subscribe, Topology,
};
use crate::definition::{ColumnRole, FunctionDef, SourceDef, WindowDef};

/// The units of time, the longest first, each with its length in ms.
const UNITS: [(i64, &str); 5] =
    [(86_400_000, "DAYS"), (3_600_000, "HOURS"), (60_000, "MINUTES"), (1_000, "SECONDS"), (1, "MILLISECONDS")];

impl Display for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let depths = self.depths();
        let mut above: Option<&Node> = None;
        for (at, (node, depth)) in self.nodes.iter().zip(&depths).enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            // A source that several nodes read is printed again if another one was printed since.
            if let Some(source) = self.source_before(node).filter(|source| above.is_some_and(|above| above != *source))
            {
                write!(f, "\n> {}, read above", source.action)?;
                above = Some(source);
            }
            if matches!(node.action, Action::Source(_)) {
                above = Some(node);
            }
            write!(f, "{end}{:indent$}> {}", "", node.action, indent = 2 * depth)?;
        }
        if self.sink().is_none() && !self.is_kept() {
            let depth = depths.last().map_or(0, |last| last + 1);
            write!(f, "\n{:indent$}> [ SHOW ]", "", indent = 2 * depth)?;
        }
        let function =
            |def: &FunctionDef| format!("\n[ FUNCTION ] {} RETURNS {} AS {}", def.signature(), def.returns, def.body);
        f.write_str(&self.functions.iter().map(function).collect::<String>())
    }
}

impl Topology {
    /// The source that a node reads, if it reads one itself.
    fn source_before(&self, node: &Node) -> Option<&Node> {
        let is_read = |other: &&Node| node.inputs.contains(&other.id) && matches!(other.action, Action::Source(_));
        self.nodes.iter().find(is_read)
    }

    /// The depth of each node: 0 for a source, otherwise 1 more than the depth of its deepest input.
    fn depths(&self) -> Vec<usize> {
        let mut depths: Vec<usize> = Vec::new();
        for node in &self.nodes {
            let before = self.nodes.iter().zip(&depths).filter(|(other, _)| node.inputs.contains(&other.id));
            depths.push(before.map(|(_, depth)| depth + 1).max().unwrap_or(0));
        }
        depths
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
            Self::Exchange(topic) => {
                let key = topic.columns_of(&ColumnRole::Key).map(|column| column.name.as_str());
                write!(f, "[ EXCHANGE ] by {}, key {}", quoted(key), topic.key.format)
            }
            Self::Aggregate(aggregation) => aggregation.fmt(f),
            Self::Table(table) => {
                let key = quoted(table.key.iter().map(String::as_str));
                write!(f, "[ TABLE ] by {key}, store \"{}\"", table.store)?;
                f.write_str(if table.is_result { ", read from the store" } else { "" })
            }
            Self::Join(join) => join.fmt(f),
            Self::Subscribe(Subscribe { foreign_key, store, .. }) => {
                write!(f, "[ SUBSCRIBE ] to \"{foreign_key}\", store \"{store}\"")
            }
            Self::ForeignJoin(join) => join.fmt(f),
            Self::Latest(Latest { key, version_store, store, .. }) => {
                let key = quoted(key.iter().map(String::as_str));
                write!(f, "[ LATEST ] by {key}, store {}", quoted([version_store.as_str(), store]))
            }
            Self::Sink(sink) => write!(f, "[ SINK ] {}", named(sink)),
        }
    }
}

fn named(source: &SourceDef) -> String {
    let SourceDef { kind, name, topic, key, value, .. } = source;
    format!("{} \"{name}\", topic \"{topic}\", key {}, value {}", kind.word(), key.format, value.format)
}

/// Names in quotes, separated by commas.
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

impl Display for Aggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { store, groups, window, calls, is_final } = self;
        let calls: Vec<String> = calls.iter().map(AggregateCall::to_string).collect();
        let groups = quoted(groups.iter().map(String::as_str));
        write!(f, "[ AGGREGATE ] {} BY {groups}", calls.join(", "))?;
        if let Some(window) = window {
            write!(f, " {window}")?;
        }
        write!(f, "{}, store \"{store}\"", if *is_final { " EMIT FINAL" } else { "" })
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[ {} ] on \"{}\" = \"{}\"", self.kind.words(), self.left.key, self.right.key)?;
        if let JoinForm::Streams { before_ms, after_ms, grace_ms } = self.form {
            write!(f, " WITHIN ({}, {})", duration(before_ms), duration(after_ms))?;
            grace_ms.map_or(Ok(()), |ms| write!(f, " GRACE PERIOD {}", duration(ms)))?;
        }
        let stores: Vec<&str> = self.stores().collect();
        let word = if stores.len() == 1 { "store" } else { "stores" };
        write!(f, ", {word} {}", quoted(stores))
    }
}

impl Display for ForeignJoin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stores = quoted([self.left_store.as_str(), &self.right_store]);
        write!(f, "[ {} ] on \"{}\" = \"{}\", store {stores}", self.kind.words(), self.foreign_key, self.right_key)
    }
}

impl Display for AggregateCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns = self.args.iter().map(|column| format!("\"{column}\""));
        let args: Vec<String> = columns.chain(self.constants.iter().cloned()).collect();
        let args = if args.is_empty() { "*".to_owned() } else { args.join(", ") };
        write!(f, "{}({args}) AS \"{}\"", self.function, self.column)
    }
}

impl Display for AggregateWindow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "WINDOW {} (", self.def.word())?;
        if let WindowDef::Tumbling(size_ms) | WindowDef::Hopping(size_ms) = self.def {
            write!(f, "SIZE {}, ", duration(size_ms))?;
        }
        self.advance_ms.map_or(Ok(()), |ms| write!(f, "ADVANCE BY {}, ", duration(ms)))?;
        self.gap_ms.map_or(Ok(()), |ms| write!(f, "{}, ", duration(ms)))?;
        write!(f, "RETENTION {}, GRACE PERIOD {})", duration(self.retention_ms), duration(self.grace_ms))
    }
}

/// A duration in the largest unit in which it is a whole number.
fn duration(ms: i64) -> String {
    let unit = UNITS.iter().find(|(length, _)| ms != 0 && ms % length == 0);
    let (length, unit) = unit.copied().unwrap_or((1_000, "SECONDS"));
    format!("{} {unit}", ms / length)
}

impl Display for Projection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.rekeyed { "[ PARTITION BY, PROJECT ] " } else { "[ PROJECT ] " })?;
        let column = |c: &ResultColumn| {
            let key = if c.key { " KEY" } else { "" };
            format!("{} AS {} {}{key}", c.expr, c.name, c.ty)
        };
        let headers = self.headers.iter().map(|expr| format!("{expr} AS headers"));
        let window = self.window.iter().map(|[start, end]| format!("({start}, {end}) AS window"));
        let all: Vec<String> = self.columns.iter().map(column).chain(headers).chain(window).collect();
        f.write_str(&all.join(", "))
    }
}
