//! From a change to a catalog that has it: what statements that define something have in common.

use std::sync::Arc;

use super::command_log::{AppendError, CommandLog, Followed};
use super::{blocking, refused};
use crate::catalog::{Catalog, CatalogChange, Refusal};
use crate::diagnostic::{Diagnostic, EXISTS, Span};
use crate::engine::Engine;
use crate::sql::ast;

type Found = Result<Arc<Catalog>, Vec<Diagnostic>>;

impl Engine {
    /// The catalog as far as it is known; fails where definitions are missing in it.
    pub(crate) async fn known_catalog(&self) -> Found {
        match self.followed().await? {
            Followed { fault: Some(fault), is_partial: true, .. } => Err(vec![*fault]),
            followed => Ok(followed.catalog),
        }
    }

    /// The catalog that every process of the service id has, so that something may be started or changed by it. Fails
    /// where it is not known to be that.
    pub(crate) async fn sure_catalog(&self) -> Found {
        let followed = self.followed().await?;
        followed.fault.map_or(Ok(followed.catalog), |fault| Err(vec![*fault]))
    }

    /// Appends a change to the command topic and waits until it is live.
    pub(crate) async fn publish(&self, statement: &str, change: CatalogChange, span: Span) -> Found {
        dry_run(&*self.known_catalog().await?, &change, span)?;
        let statement = statement.to_owned();
        let appended = self.with_log(move |log| log.append(&statement, change)).await?;
        appended.map_err(|error| match error {
            AppendError::Cluster(error) => refused(error),
            AppendError::Fault(fault) => vec![*fault],
            AppendError::Refused(refusal) => {
                let message = format!("{refusal}: another process was faster");
                vec![Diagnostic::new(EXISTS, message).at(span)]
            }
        })
    }

    async fn followed(&self) -> Result<Followed, Vec<Diagnostic>> {
        self.with_log(CommandLog::catch_up).await?.map_err(refused)
    }

    async fn with_log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut CommandLog) -> T + Send + 'static,
    ) -> Result<T, Vec<Diagnostic>> {
        let log = self.log().clone();
        blocking(move || work(&mut log.lock())).await
    }
}

/// What the one reader will do is tried before a command is written, or a topic made for it.
pub(crate) fn dry_run(catalog: &Catalog, change: &CatalogChange, span: Span) -> Result<(), Vec<Diagnostic>> {
    let here = |refusal: Refusal| vec![Diagnostic::new(EXISTS, refusal.to_string()).at(span)];
    catalog.apply(change).map(drop).map_err(here)
}

/// Whether a statement becomes a command.
pub(crate) fn changes_catalog(kind: &ast::StatementKind) -> bool {
    use ast::StatementKind as S;
    matches!(
        kind,
        S::CreateSource(_)
            | S::DropSource(_)
            | S::AlterSource(_)
            | S::CreateType(_)
            | S::DropType(_)
            | S::CreateFunction(_)
            | S::DropFunction(_)
            | S::CreateAs(_)
            | S::InsertSelect(_)
            | S::Terminate(_)
            | S::Pause(_)
            | S::Resume(_)
    )
}
