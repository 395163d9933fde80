//! A continuous query as plain, versioned data: what EXPLAIN prints and the command topic keeps.
//!
//! Names are resolved and `*` is spelt out; expressions are text of the dialect over the input's
//! columns, so that a newer program reads what an older one wrote. Nothing here runs:
//! [`headwater_dataflow`] compiles it.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::definition::{FunctionDef, SourceDef};
use crate::types::SqlType;

/// Version of this shape; a higher one was written by a newer program.
pub const VERSION: u32 = 3;

/// A query over one source: its records are filtered, projected and written or shown.
///
/// ```text
/// input → [filter] → [explode] → project → output
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Version of this shape.
    pub version: u32,
    /// What is read, as it was declared when the query was planned.
    pub input: SourceDef,
    /// What is done to each record, in order.
    pub steps: Vec<Step>,
    /// What is written; none for a push query, whose rows are shown.
    pub output: Option<SourceDef>,
    /// The functions of statements that its expressions call, as they were when it was planned. Since version 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionDef>,
}

/// Something that is done to rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Rows stay for which the condition is true.
    Filter {
        /// The condition.
        predicate: String,
    },
    /// Each row becomes several, by table functions that are zipped by position. Since version 2.
    Explode {
        /// The columns that are added.
        columns: Vec<Exploded>,
    },
    /// Each row becomes another.
    Project(Projection),
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
    /// The oldest version whose programs can run these steps with these functions.
    pub fn version_of(steps: &[Step], functions: &[FunctionDef]) -> u32 {
        if !functions.is_empty() {
            return 3;
        }
        if steps.iter().any(|step| matches!(step, Step::Explode { .. })) { 2 } else { 1 }
    }

    /// The last projection: what the result looks like. Every topology has one.
    pub fn result(&self) -> Option<&Projection> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Project(projection) => Some(projection),
            Step::Filter { .. } | Step::Explode { .. } => None,
        })
    }
}

impl Display for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let input = &self.input;
        writeln!(f, "> [ SOURCE ] {} \"{}\"{}", input.kind.word(), input.name, place(input))?;
        for (depth, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:indent$}> {step}", "", indent = 2 * (depth + 1))?;
        }
        let indent = 2 * (self.steps.len() + 1);
        match &self.output {
            Some(output) => {
                write!(f, "{:indent$}> [ SINK ] {} \"{}\"{}", "", output.kind.word(), output.name, place(output))
            }
            None => write!(f, "{:indent$}> [ SHOW ]", ""),
        }?;
        let function =
            |def: &FunctionDef| format!("\n[ FUNCTION ] {} RETURNS {} AS {}", def.signature(), def.returns, def.body);
        f.write_str(&self.functions.iter().map(function).collect::<String>())
    }
}

fn place(source: &SourceDef) -> String {
    format!(", topic \"{}\", key {}, value {}", source.topic, source.key.format, source.value.format)
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { predicate } => write!(f, "[ FILTER ] {predicate}"),
            Self::Explode { columns } => {
                let columns: Vec<String> = columns.iter().map(|c| format!("{} AS {}", c.expr, c.name)).collect();
                write!(f, "[ EXPLODE ] {}", columns.join(", "))
            }
            Self::Project(projection) => projection.fmt(f),
        }
    }
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
