//! A change to the catalog: plain data that is written to the command topic and must stay readable forever.
//!
//! Its JSON form is stable: an extension is a new variant or an optional field and never changes the meaning of an
//! existing one. A program that reads a change it does not know stops applying changes, so that no change is ever
//! applied in part; for that reason, every type here denies unknown fields.

use serde::{Deserialize, Serialize};

use super::query::{Ends, QueryDef, RestartFrom};
use crate::definition::FunctionDef;
use crate::definition::SourceDef;
use crate::types::SqlType;

/// One step from a catalog to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CatalogChange {
    /// Creates or replaces a stream or table.
    DefineSource {
        /// What it is.
        source: Box<SourceDef>,
        /// Whether it may replace one of the same name.
        replace: bool,
    },
    /// Drops a stream or table.
    DropSource {
        /// Its name.
        name: String,
    },
    /// Creates a persistent query, together with the stream that it writes unless that exists, or replaces the query
    /// that was created with that stream. The variant has a name that older programs do not know, because they ignore
    /// unknown fields and would run the query under another consumer group.
    #[serde(rename = "create_query", alias = "define_query")]
    DefineQuery {
        /// The stream that is created for it.
        source: Option<Box<SourceDef>>,
        /// What it is.
        query: Box<QueryDef>,
        /// Whether it may replace the query that was created with that stream.
        replace: bool,
    },
    /// Terminates a persistent query; its output remains.
    DropQuery {
        /// Its name.
        id: String,
    },
    /// Pauses or resumes a persistent query.
    PauseQuery {
        /// Its name.
        id: String,
        /// True to pause, false to resume.
        paused: bool,
        /// On resuming, where partitions continue whose position in the log was lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<RestartFrom>,
        /// The current end of its input, if they continue from the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<Ends>,
    },
    /// Records that a persistent query has committed a position in its input.
    BeginQuery {
        /// Its name.
        id: String,
        /// The number of the latest `RESUME … FROM` that the query had seen at that time; 0 for none.
        restart: u64,
    },
    /// Creates a named type.
    DefineType {
        /// The name.
        name: String,
        /// The type that the name refers to.
        #[serde(with = "crate::definition::type_text")]
        ty: SqlType,
    },
    /// Drops a named type.
    DropType {
        /// The name.
        name: String,
    },
    /// Creates or replaces a function.
    DefineFunction {
        /// What it is.
        function: Box<FunctionDef>,
        /// Whether it may replace one of the same name.
        replace: bool,
    },
    /// Drops a function.
    DropFunction {
        /// Its name.
        name: String,
    },
}

/// Why a change is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is already taken: the kind of its owner, and the name.
    #[error("{0} \"{1}\" already exists")]
    Exists(String, String),
    /// Nothing of that name exists.
    #[error("\"{0}\" does not exist")]
    Unknown(String),
    /// Queries read or write it: its name and the ids of the queries.
    #[error("\"{0}\" is used by {list}", list = .1.join(", "))]
    InUse(String, Vec<String>),
    /// OR REPLACE would change something that it cannot change: the name, and what differs.
    #[error("cannot replace \"{0}\": {1}")]
    Incompatible(String, String),
}
