//! RESUME: continues persistent queries, from where the statement says if their position is lost.
//!
//! A query with state cannot begin at the earliest records again: its state has what it read from there before, which would be
//! counted twice. It can skip what is lost, or be created again, with new state.

use headwater_connectors::transport::{Extent, Isolation, TransportErrorKind};
use headwater_language::catalog::{CatalogChange, Ends, QueryDef, RestartFrom};
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::ast;

use super::choice::{chosen, done_to};
use super::{Answered, Context};
use crate::runtime::{blocking, refused};

/// Resumes the queries and starts to run queries in this process.
pub(crate) async fn run(resume: &ast::Resume, context: &mut Context<'_>) -> Answered {
    let (from, done) = wanted(resume.from);
    let (ids, span) = chosen(&resume.choice, context).await?;
    if from == Some(RestartFrom::Earliest) {
        let catalog = context.catalog().await?;
        let queries = ids.iter().filter_map(|id| catalog.query(id));
        let refused: Vec<Diagnostic> =
            queries.filter(|query| query.keeps_state()).map(|q| with_state(q, span)).collect();
        if !refused.is_empty() {
            return Err(refused);
        }
    }
    for id in &ids {
        let ends = if from == Some(RestartFrom::Latest) { ends_of_input(id, context).await? } else { None };
        let change = CatalogChange::PauseQuery { id: id.clone(), paused: false, from, ends };
        context.publish(change, span).await?;
    }
    context.process.work_on();
    context.process.sync().await?;
    Ok(done_to(&ids, done))
}

/// Where the queries continue, and the text of the answer.
fn wanted(from: Option<ast::ResumeFrom>) -> (Option<RestartFrom>, &'static str) {
    match from {
        None => (None, "resumed"),
        Some(ast::ResumeFrom::Earliest) => (
            Some(RestartFrom::Earliest),
            "resumed; partitions whose position is lost start at their first record, others continue",
        ),
        Some(ast::ResumeFrom::Latest) => (
            Some(RestartFrom::Latest),
            "resumed; partitions whose position is lost start at their end, others continue",
        ),
    }
}

/// The error of FROM EARLIEST for a query with state.
fn with_state(query: &QueryDef, span: Span) -> Diagnostic {
    let message = format!("query {} cannot be resumed from the earliest records: it keeps state", query.id);
    let detail =
        "Records that are part of its state would be counted again, and what no longer exists would remain in it.";
    Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(query.way_out())
}

/// The current end of a query's input; `None` if the input does not exist.
async fn ends_of_input(id: &str, context: &mut Context<'_>) -> Result<Option<Ends>, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let Some(query) = catalog.query(id).cloned() else { return Ok(None) };
    let transport = context.process.transport().clone();
    let extent = move || transport.admin().extent(&query.topology.source().topic, Isolation::ReadCommitted);
    match blocking(extent).await? {
        Ok(Extent { id, marks }) => Ok(Some(Ends {
            topic: id.map(|id| id.to_string()),
            offsets: marks.iter().map(|marks| marks.end).collect(),
        })),
        Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(None),
        Err(error) => Err(refused(error)),
    }
}
