//! CREATE SOURCE TABLE: the query that keeps the rows of the table, so that they can be read by key. It writes no topic.
//!
//! ```text
//! source T → table by its key, read from the store → project   the columns of T
//! ```
//!
//! Semantics: ksqlDB's source tables.

use headwater_language::catalog::QueryDef;
use headwater_language::config::Settings;
use headwater_language::definition::{ColumnDef, ColumnRole, SourceDef, SourceKind};
use headwater_language::topology::{Action, Projection, ResultColumn, TableStore, Topology};

use super::scope::ident;
use super::sink::{QueryProperties, query_def};

/// The property that decides whether the rows of a source table are kept.
const MATERIALIZED: &str = "source.table.materialization.enabled";

/// The id of the node, which is also the name of its store.
const STORE: &str = "table-1";

/// The query for a source that `text` declares. `None` if it is not a SOURCE TABLE, or if its rows are not kept: if its keys have
/// windows or its columns headers, if its formats are not built, or if the settings say so.
pub fn keep_source(source: &SourceDef, text: &str, settings: &Settings) -> Option<QueryDef> {
    let is_kept = source.kind == SourceKind::Table
        && source.read_only
        && source.window.is_none()
        && !source.columns.iter().any(|column| column.role.is_of_headers())
        && source.unbuilt_format().is_none()
        && settings.get(MATERIALIZED) == "true";
    is_kept.then(|| {
        let properties = QueryProperties::default();
        let query = query_def(format!("CST_{}", source.name), text, topology(source), &properties, settings);
        QueryDef { owns_sink: true, ..query }
    })
}

fn topology(source: &SourceDef) -> Topology {
    let column = |column: &ColumnDef| ResultColumn {
        name: column.name.clone(),
        expr: ident(&column.name).to_string(),
        ty: column.ty.clone(),
        key: column.role == ColumnRole::Key,
    };
    let key = source.columns_of(&ColumnRole::Key).map(|column| column.name.clone()).collect();
    let columns = source.columns.iter().map(column).collect();
    let table = Action::Table(TableStore { store: STORE.to_owned(), key, is_result: true });
    let project = Action::Project(Projection { columns, headers: None, rekeyed: false, window: None });
    Topology::linear(source.clone(), vec![table, project], Vec::new())
}
