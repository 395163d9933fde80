//! A table in FROM: its last rows are kept, so that later steps get changes.
//!
//! ```text
//! CREATE TABLE b AS SELECT id, v FROM a WHERE v > 1
//!
//! table      by ID
//! filter     V > 1
//! project    ID AS ID KEY, V AS V
//! ```

use headwater_language::definition::{ColumnRole, SourceKind};
use headwater_language::topology::{Action, TableStore};

use crate::continuous::query::Streaming;
use crate::continuous::window::BOUNDS;

/// The id of the node, which is also the name of its store.
const STORE: &str = "table-1";

/// The step that keeps the rows of a table; `None` if the source is not a table. The key of a windowed table has its window.
pub fn step(query: &Streaming<'_>) -> Option<Action> {
    let source = query.only_source().filter(|source| source.kind == SourceKind::Table)?;
    let columns = source.columns_of(&ColumnRole::Key).map(|column| column.name.clone());
    let bounds = BOUNDS.iter().filter(|_| source.window.is_some()).map(|bound| (*bound).to_owned());
    Some(Action::Table(TableStore { store: STORE.to_owned(), key: columns.chain(bounds).collect(), is_result: false }))
}
