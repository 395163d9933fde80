//! Deletes the topics that belonged to terminated queries alone.

use std::sync::Arc;

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::Diagnostic;

use super::Context;
use crate::answer::Answer;
use crate::runtime::{blocking, own_topics};

/// Deletes the own topics of the queries that are in `before` and not in `after`. Topics that could not be deleted become
/// warnings of the answer. Call it when the queries have ended in this process.
pub(super) async fn cleanup(
    answer: Answer,
    (before, after): (&Catalog, &Catalog),
    context: &Context<'_>,
) -> Result<Answer, Vec<Diagnostic>> {
    let ended: Vec<Arc<QueryDef>> =
        before.queries().filter(|query| after.query(&query.id).is_none()).cloned().collect();
    let (transport, service_id) = (context.process.transport().clone(), context.process.service_id().to_owned());
    let delete = move || -> Vec<String> {
        let warning = |query: &Arc<QueryDef>| {
            let error = own_topics::delete(transport.admin(), query, &service_id).err()?;
            Some(format!("topics of query {} could not be deleted: {}", query.id, error.message))
        };
        ended.iter().filter_map(warning).collect()
    };
    let found = blocking(delete).await?;
    Ok(match answer {
        Answer::Done { message, mut warnings } => {
            warnings.extend(found);
            Answer::Done { message, warnings }
        }
        other => other,
    })
}
