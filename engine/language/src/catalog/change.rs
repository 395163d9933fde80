//! A change of the catalog: plain data that is written to the command topic and read for ever.
//!
//! Its JSON form is a promise: a new shape of a change is a new variant or an optional field, never
//! another meaning of an old one. A program that meets what it does not know stops applying changes, so nothing is
//! ever applied in part: every type here denies unknown fields.

use serde::{Deserialize, Serialize};

use super::query::{Ends, QueryDef, RestartFrom};
use crate::definition::FunctionDef;
use crate::definition::SourceDef;
use crate::types::SqlType;

/// One step from a catalog to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CatalogChange {
    /// A stream or table comes into being, or takes another's place.
    DefineSource {
        /// What it is.
        source: Box<SourceDef>,
        /// It may take the place of one of the same name.
        replace: bool,
    },
    /// A stream or table goes.
    DropSource {
        /// Its name.
        name: String,
    },
    /// A persistent query comes into being, with the stream it writes unless that exists; or takes the
    /// place of the one that came with that stream. Older programs, which apply in part what they do not
    /// know, would run it under another group: they do not know it by this name.
    #[serde(rename = "create_query", alias = "define_query")]
    DefineQuery {
        /// The stream that is made for it.
        source: Option<Box<SourceDef>>,
        /// What it is.
        query: Box<QueryDef>,
        /// It may take the place of the query behind that stream.
        replace: bool,
    },
    /// A persistent query ends; what it wrote stays.
    DropQuery {
        /// Its name.
        id: String,
    },
    /// A persistent query stops for a while, or goes on.
    PauseQuery {
        /// Its name.
        id: String,
        /// It stops.
        paused: bool,
        /// Where partitions begin whose place in the log is gone, of one that goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<RestartFrom>,
        /// Where its input ends now, if that is where they begin.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<Ends>,
    },
    /// A place in the input of a persistent query was committed.
    BeginQuery {
        /// Its name.
        id: String,
        /// The number of the latest `RESUME … FROM` that it had seen then; 0 for none.
        restart: u64,
    },
    /// A name for a type comes into being.
    DefineType {
        /// The name.
        name: String,
        /// What it stands for.
        #[serde(with = "crate::definition::type_text")]
        ty: SqlType,
    },
    /// A name for a type goes.
    DropType {
        /// The name.
        name: String,
    },
    /// A function comes into being, or takes another's place.
    DefineFunction {
        /// What it is.
        function: Box<FunctionDef>,
        /// It may take the place of one of the same name.
        replace: bool,
    },
    /// A function goes.
    DropFunction {
        /// Its name.
        name: String,
    },
}

/// Why a change is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is taken: kind of what has it, name.
    #[error("{0} \"{1}\" already exists")]
    Exists(String, String),
    /// There is nothing of that name.
    #[error("\"{0}\" does not exist")]
    Unknown(String),
    /// Queries read or write it: name, their ids.
    #[error("\"{0}\" is used by {list}", list = .1.join(", "))]
    InUse(String, Vec<String>),
    /// OR REPLACE would change more than it may: name, what differs.
    #[error("cannot replace \"{0}\": {1}")]
    Incompatible(String, String),
}
