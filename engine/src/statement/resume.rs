//! RESUME: persistent queries go on, and where their place is lost, from where the statement says.

use headwater_connectors::transport::{Extent, Isolation, TransportErrorKind};

use super::choice::{chosen, done_to};
use super::{Answered, Context};
use crate::runtime::{blocking, refused};
use headwater_language::catalog::{CatalogChange, Ends, RestartFrom};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;

/// Resumes the queries. This process works from now on.
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

/// Where the queries go on, and how the answer says it.
fn wanted(from: Option<ast::ResumeFrom>) -> (Option<RestartFrom>, &'static str) {
    match from {
        None => (None, "resumed"),
        Some(ast::ResumeFrom::Earliest) => (
            Some(RestartFrom::Earliest),
            "resumed; partitions whose place is lost are read from their first record, others go on",
        ),
        Some(ast::ResumeFrom::Latest) => {
            (Some(RestartFrom::Latest), "resumed; partitions whose place is lost are read from their end, others go on")
        }
    }
}

/// Where the input of a query ends now; none while there is none.
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
