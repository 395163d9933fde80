//! RESUME: continues persistent queries, from where the statement says if their position is lost.

use headwater_connectors::transport::{Extent, Isolation, TransportErrorKind};
use headwater_language::catalog::{CatalogChange, Ends, RestartFrom};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;

use super::choice::{chosen, done_to};
use super::{Answered, Context};
use crate::runtime::{blocking, refused};

/// Resumes the queries and starts to run queries in this process.
pub(crate) async fn run(resume: &ast::Resume, context: &mut Context<'_>) -> Answered {
    let (from, done) = wanted(resume.from);
    let (ids, span) = chosen(&resume.choice, context).await?;
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
