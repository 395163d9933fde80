//! SHOW REJECTS: records that the last query could not read.

use super::super::Context;
use crate::answer::{Facts, Rejects};

/// Lists the records that the last query of the session could not read.
pub(super) fn run(context: &Context<'_>) -> Facts {
    let rejects = |progress: &std::sync::Arc<crate::answer::Progress>| Rejects {
        kept: progress.rejects(),
        total: progress.snapshot().rejects,
    };
    Facts::Rejects(context.session.last_query().map(rejects))
}
