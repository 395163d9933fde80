//! The persistent queries that a statement refers to: one by its id, or all.

use std::sync::Arc;

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::{Diagnostic, IN_USE, Span, UNKNOWN_QUERY};
use headwater_language::sql::ast;

use super::Context;
use crate::answer::Answer;

/// The ids of the queries, and where the statement names them.
pub(super) async fn chosen(
    choice: &ast::QueryChoice,
    context: &mut Context<'_>,
) -> Result<(Vec<String>, Span), Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    Ok(match choice {
        ast::QueryChoice::All => (catalog.queries().map(|query| query.id.clone()).collect(), Span::default()),
        ast::QueryChoice::Id(name) => (vec![find(&catalog, name)?.id.clone()], name.span),
    })
}

/// The ids of the queries that a statement may end or pause, and where it names them. The query of a SOURCE TABLE is part of that
/// table: it is left out of ALL, and refused by its id.
pub(super) async fn chosen_to_stop(
    choice: &ast::QueryChoice,
    what: &str,
    context: &mut Context<'_>,
) -> Result<(Vec<String>, Span), Vec<Diagnostic>> {
    let (mut ids, span) = chosen(choice, context).await?;
    let catalog = context.catalog().await?;
    let kept = |id: &String| catalog.query(id).filter(|query| query.topology.is_kept()).map(|query| query.computed());
    if let (ast::QueryChoice::Id(_), Some(table)) = (choice, ids.first().and_then(kept)) {
        let message = format!("query {} cannot be {what}: it keeps the rows of the SOURCE TABLE \"{table}\"", ids[0]);
        let error =
            Diagnostic::new(IN_USE, message).at(span).hint(format!("It ends with the table: DROP TABLE {table};"));
        return Err(vec![error]);
    }
    ids.retain(|id| kept(id).is_none());
    Ok((ids, span))
}

/// The query with this id, ignoring case, or an error with the nearest id.
pub(super) fn find<'a>(catalog: &'a Catalog, name: &ast::Name) -> Result<&'a Arc<QueryDef>, Vec<Diagnostic>> {
    let folded = name.to_uppercase();
    catalog.query(name).or_else(|| catalog.query(&folded)).ok_or_else(|| {
        let error = Diagnostic::new(UNKNOWN_QUERY, format!("query \"{}\" does not exist", name.value)).at(name.span);
        vec![error.hint("SHOW QUERIES; lists them all.").nearest_of(name, catalog.queries().map(|q| q.id.as_str()))]
    })
}

/// The answer that says what was done to the queries.
pub(super) fn done_to(ids: &[String], what: &str) -> Answer {
    match ids {
        [] => Answer::warning("there are no queries; nothing was done"),
        [id] => Answer::done(format!("Query {id} {what}")),
        ids => Answer::done(format!("Queries {} {what}", ids.join(", "))),
    }
}
