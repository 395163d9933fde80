//! What every statement runs with.

use std::sync::Arc;

use crate::answer::Answer;
use crate::catalog::Catalog;
use crate::config::Settings;
use crate::diagnostic::{Diagnostic, Span};
use crate::engine::Engine;
use crate::session::Session;

/// What a statement answers: facts, or everything that is wrong with it.
pub(crate) type Answered = Result<Answer, Vec<Diagnostic>>;

/// What a statement runs with.
pub(crate) struct Context<'a> {
    /// The engine: the cluster, the command topic and the queries of this process.
    pub(crate) engine: &'a Engine,
    /// The session of whoever asks.
    pub(crate) session: &'a mut Session,
    /// The statement's text, after its variables were replaced.
    pub(crate) text: &'a str,
    /// The place of the statement in what was typed.
    pub(crate) span: Span,
}

impl Context<'_> {
    /// The catalog that the statement is planned with.
    pub(crate) async fn catalog(&mut self) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        self.engine.catalog().await
    }

    /// The properties of the session.
    pub(crate) fn settings(&self) -> &Settings {
        self.session.settings()
    }
}
