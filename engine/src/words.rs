//! The words for completion.

use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME};
use headwater_language::config::PROPERTIES;
use headwater_planner::property_names;
use headwater_planner::types::BUILT_IN;

use crate::runtime::{OWN_TOPICS, Process};
use crate::session::Session;
use crate::statement::show::functions;

/// Words of the language that begin or join clauses.
const KEYWORDS: &[&str] = &[
    "ALL",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "BEGINNING",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS",
    "DEFINE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "EARLIEST",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "FALSE",
    "FROM",
    "FULL",
    "FUNCTION",
    "FUNCTIONS",
    "GROUP",
    "HAVING",
    "HEADER",
    "HEADERS",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LATEST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRIMARY",
    "PRINT",
    "PROPERTIES",
    "REJECTS",
    "REPLACE",
    "RETURNS",
    "RIGHT",
    "ROLLUP",
    "SELECT",
    "SET",
    "SHOW",
    "SOURCE",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TABLES",
    "THEN",
    "TO",
    "TOPIC",
    "TOPICS",
    "TRUE",
    "TYPE",
    "TYPES",
    "UNDEFINE",
    "UNION",
    "UNSET",
    "USING",
    "VALUES",
    "VARIABLES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Words of the language, in capitals.
    pub keywords: Vec<String>,
    /// Streams and tables with their columns, address columns included.
    pub sources: Vec<(String, Vec<String>)>,
    /// Functions.
    pub functions: Vec<String>,
    /// Properties of a WITH clause.
    pub with_properties: Vec<String>,
    /// Properties of SET.
    pub properties: Vec<String>,
    /// Topics of the cluster.
    pub topics: Vec<String>,
    /// Types, both built in and named by CREATE TYPE.
    pub types: Vec<String>,
    /// Variables.
    pub variables: Vec<String>,
}

/// The words of a session. Those that come from the cluster are left out if it does not respond.
pub(crate) async fn words(process: &Process, session: &Session) -> Words {
    let catalog = process.remembered_catalog().await.unwrap_or_default();
    let columns = |source: &headwater_language::definition::SourceDef| {
        let address = [ROWTIME, ROWPARTITION, ROWOFFSET];
        source.visible_columns().into_iter().chain(address).map(str::to_owned).collect()
    };
    let transport = process.transport().clone();
    let topics = tokio::task::spawn_blocking(move || transport.admin().topics()).await;
    let topics = topics.ok().and_then(Result::ok).unwrap_or_default();
    Words {
        keywords: KEYWORDS.iter().map(|word| (*word).to_owned()).collect(),
        sources: catalog.sources().map(|s| (s.name.clone(), columns(s))).collect(),
        functions: functions::listed(&catalog, session.settings()).into_iter().map(|function| function.name).collect(),
        with_properties: property_names().map(str::to_owned).collect(),
        properties: PROPERTIES.iter().map(|p| p.name.to_owned()).collect(),
        topics: topics.into_iter().map(|t| t.name).filter(|name| !name.starts_with(OWN_TOPICS)).collect(),
        types: BUILT_IN
            .iter()
            .map(|t| (*t).to_owned())
            .chain(catalog.custom_types().map(|(n, _)| n.to_owned()))
            .collect(),
        variables: session.variables().keys().cloned().collect(),
    }
}
