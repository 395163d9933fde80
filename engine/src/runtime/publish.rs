//! Publishing a change of the catalog, which all statements that define something have in common.
//!
//! A definition reads the command topic to its end once before it is planned, so that it is planned with the catalog
//! that every process has. It reads again after its command is written, until its own command comes back: only the order
//! of the topic decides whether the change was still possible. Nothing is read in between: what another process defines
//! meanwhile is found by the second reading, as it would be however often one looked before.

use std::sync::Arc;

use headwater_language::catalog::{Catalog, CatalogChange, Refusal};
use headwater_language::diagnostic::{Diagnostic, EXISTS, Span};

use super::command_log::AppendError;
use super::process::Process;
use super::{blocking, refused};

type Found = Result<Arc<Catalog>, Vec<Diagnostic>>;

impl Process {
    /// The catalog to plan a definition with: the one that every process of the service id has. Fails when that cannot be
    /// guaranteed.
    pub(crate) async fn sure_catalog(&self) -> Found {
        let log = self.log().clone();
        blocking(move || log.catch_up()).await?.map_err(refused)?.sure()
    }

    /// The catalog as this process knows it, including its own definitions. Asks the cluster only if nothing was read yet.
    pub(crate) async fn remembered_catalog(&self) -> Found {
        let known = self.log().known();
        if known.read_to.is_some() { known.readable() } else { self.catalog().await }
    }

    /// Appends a change that was planned with a catalog to the command topic and waits until it is live. Returns the
    /// catalog that includes it.
    pub(crate) async fn publish(&self, catalog: &Catalog, statement: &str, change: CatalogChange, span: Span) -> Found {
        dry_run(catalog, &change, span)?;
        let (log, statement) = (self.log().clone(), statement.to_owned());
        let appended = blocking(move || log.append(&statement, change)).await?;
        appended.map_err(|error| match error {
            AppendError::Cluster(error) => refused(error),
            AppendError::Fault(fault) => vec![*fault],
            AppendError::Refused(refusal) => {
                let message = format!("{refusal}: another process published a change first");
                vec![Diagnostic::new(EXISTS, message).at(span)]
            }
        })
    }
}

/// Checks that a change is possible, before its command is written or a topic created for it.
pub(crate) fn dry_run(catalog: &Catalog, change: &CatalogChange, span: Span) -> Result<(), Vec<Diagnostic>> {
    let here = |refusal: Refusal| vec![Diagnostic::new(EXISTS, refusal.to_string()).at(span)];
    catalog.apply(change).map(drop).map_err(here)
}
