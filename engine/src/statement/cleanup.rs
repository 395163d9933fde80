//! Deletes the topics and the consumer groups of terminated queries.

use std::sync::Arc;

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::Diagnostic;

use super::Context;
use crate::answer::Answer;
use crate::runtime::belongings::Belongings;
use crate::runtime::blocking;

/// Deletes what belonged to the queries that are in `before` and not in `after`. What could not be deleted becomes a warning of the
/// answer; what another process still uses is deleted later. Call it when the queries have ended in this process.
pub(super) async fn cleanup(
    answer: Answer,
    (before, after): (&Catalog, &Catalog),
    context: &Context<'_>,
) -> Result<Answer, Vec<Diagnostic>> {
    let ended: Vec<Arc<QueryDef>> =
        before.queries().filter(|query| after.query(&query.id).is_none()).cloned().collect();
    let (transport, service_id) = (context.process.transport().clone(), context.process.service_id().to_owned());
    let delete = move || -> Vec<String> {
        let notes = |query: &Arc<QueryDef>| Belongings::of(query, &service_id).delete(transport.admin()).0;
        ended.iter().flat_map(notes).collect()
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
