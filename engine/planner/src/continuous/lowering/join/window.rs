//! The key of windowed sources that are joined: a STRUCT of the key and its window, so that rows match only if both are equal.
//!
//! ```text
//! source S   project   STRUCT(`KEY` := K, `START` := WINDOWSTART) AS JOIN_1_LEFT KEY, …   exchange   by JOIN_1_LEFT
//! …
//! join       on JOIN_1_LEFT = JOIN_1_RIGHT
//! project    JOIN_1_LEFT->`KEY` AS K KEY, …, (JOIN_1_LEFT->`START`, …) AS window
//! ```
//!
//! As in the keys of Kafka Streams, a time window is its start, whatever its size. A session is its start and its end.

use headwater_language::definition::WindowDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::{parse_expr, print};
use sqlparser::ast::Expr;

use crate::continuous::query::Streaming;
use crate::continuous::scope::{ColumnRef, ident};
use crate::continuous::window::BOUNDS;

/// A key with the window in columns with these names; the key alone without windows. It is null if the key is.
pub fn with(
    windows: Option<WindowDef>,
    key: Expr,
    [start, end]: [impl AsRef<str>; 2],
) -> Result<Expr, Vec<Diagnostic>> {
    let Some(windows) = windows else { return Ok(key) };
    let (key, start) = (print::expr(&key), ident(start.as_ref()));
    let end = match windows {
        WindowDef::Session => format!(", `END` := {}", ident(end.as_ref())),
        WindowDef::Tumbling(_) | WindowDef::Hopping(_) => String::new(),
    };
    let text = format!("CASE WHEN {key} IS NOT NULL THEN STRUCT(`KEY` := {key}, `START` := {start}{end}) END");
    parse_expr(&text).map_err(|error| vec![error])
}

/// The key in a key with a window, as SQL.
pub fn key(of: &str) -> String {
    format!("({of})->`KEY`")
}

/// Start and end of the window in a key of sources with such windows, as SQL.
pub fn bounds(of: &str, windows: WindowDef) -> [String; 2] {
    let start = format!("({of})->`START`");
    let end = match windows {
        WindowDef::Session => format!("({of})->`END`"),
        WindowDef::Tumbling(size_ms) | WindowDef::Hopping(size_ms) => format!("{start} + {size_ms}"),
    };
    [start, end]
}

/// The columns with the window of a source; none without windows.
pub fn columns(query: &Streaming<'_>, member: usize) -> impl Iterator<Item = ColumnRef> {
    let has_window = query.scope.members[member].source.window.is_some();
    BOUNDS.into_iter().filter(move |_| has_window).map(move |name| ColumnRef { member, name: name.to_owned() })
}
