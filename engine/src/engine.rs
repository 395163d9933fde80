//! The spine: what happens to a statement, top to bottom.
//!
//! Parse → plan → publish → answer. Every statement that changes the catalog becomes one command in
//! the command topic and is live once that was read back; everything else looks at a snapshot.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_connectors::transport::Transport;

use crate::answer::Answer;
use crate::runtime::{Asked, Driver, Process, Ran};
use crate::session::Session;
use crate::statement::{
    Answered, Context, alter_source, assert, copy, create_as, create_function, create_source, create_type, define,
    describe, drop_function, drop_source, drop_type, explain, insert_select, insert_values, is_definition, pause,
    print, resume, select, set, show, terminate, undefine, unset, unsupported,
};
use crate::words::{Words, words};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, SYNTAX};
use headwater_language::sql::{self, ast};

/// One process's engine on one cluster, for one service id.
pub struct Engine {
    process: Process,
}

impl Engine {
    /// An engine on a cluster. Nothing is read until the first statement.
    pub fn new(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { process: Process::new(transport, settings) }
    }

    /// An engine that runs no persistent query by itself: for tests and simulations, which drive each
    /// step ([`Self::driver`]).
    pub fn driven(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { process: Process::driven(transport, settings) }
    }

    /// A driver of a persistent query, which joins the query's group as one more process. Fails when there is
    /// no such query, or as the cluster fails.
    pub fn driver<'a>(&'a self, id: &'a str, transport: Arc<dyn Transport>) -> Asked<'a, Driver> {
        self.process.driver(id, transport)
    }

    /// What this process is made of.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// The cluster.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        self.process.transport()
    }

    /// The service id.
    pub fn service_id(&self) -> &str {
        self.process.service_id()
    }

    /// From now on this process runs the persistent queries of the service id, its share of them.
    pub fn work(&self) {
        self.process.work();
    }

    /// True when this process runs persistent queries.
    pub fn is_working(&self) -> bool {
        self.process.is_working()
    }

    /// Why those persistent queries of this process stopped that cannot go on by themselves.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.process.failures()
    }

    /// How many persistent queries this process has, those that stopped included.
    pub fn queries(&self) -> usize {
        self.process.queries()
    }

    /// Commits and stops the persistent queries of this process. Blocks.
    pub fn rest(&self) {
        self.process.rest();
    }

    /// The catalog after every command that is in the command topic now. Where the topic cannot be followed any more it is
    /// the last one that was known; fails where definitions are missing in it. A definition that is being written holds
    /// nobody up.
    pub fn catalog(&self) -> Asked<'_, Arc<Catalog>> {
        self.process.catalog()
    }

    /// Runs every persistent query until what is in its input now is processed and committed; queries
    /// that read what others write run after them. Ends early when `stopped` says so. Gives what each did, in that order.
    pub fn run_until_idle(&self, stopped: impl Fn() -> bool + Send + 'static) -> Asked<'_, Vec<Ran>> {
        self.process.run_until_idle(stopped)
    }

    /// The words that may be typed now, for completion.
    pub fn words<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Words> {
        Box::pin(words(&self.process, session))
    }

    /// Runs one statement given as text: variables are replaced, then it is parsed. Text with several
    /// statements is refused; scripts are split by [`sql::split`].
    pub fn ask<'a>(&'a self, session: &'a mut Session, text: &'a str) -> Asked<'a, Answer> {
        Box::pin(self.answer(session, text))
    }

    async fn answer(&self, session: &mut Session, text: &str) -> Answered {
        let substituted = sql::variables::substitute(text, |name| session.variables().get(name).map(String::as_str));
        let parsed = sql::parse(&substituted.text);
        let in_typed_text = |errors: Vec<Diagnostic>| substituted.diagnostics(errors);
        if !parsed.errors.is_empty() {
            return Err(in_typed_text(parsed.errors));
        }
        match &parsed.statements[..] {
            [] => Ok(Answer::done("")),
            [statement] => self.execute(session, statement).await.map_err(in_typed_text),
            [_, second, ..] => {
                let error = Diagnostic::new(SYNTAX, "one statement at a time is expected here").at(second.span);
                Err(in_typed_text(vec![error]))
            }
        }
    }

    async fn execute(&self, session: &mut Session, statement: &ast::Statement) -> Answered {
        let mut context = Context::new(&self.process, session, statement);
        if is_definition(&statement.kind) {
            // Before it is planned, and a topic made for it.
            context.plan_with(self.process.sure_catalog().await?);
        }
        self.dispatch(&statement.kind, &mut context).await
    }

    /// One arm a kind of statement, in the order of [`crate::statement`].
    pub(crate) async fn dispatch(&self, kind: &ast::StatementKind, context: &mut Context<'_>) -> Answered {
        use ast::StatementKind as S;
        match kind {
            S::Copy(copy) => copy::run(copy, context).await,
            S::Explain(explain) => explain::run(explain, context).await,
            S::Query(query) => select::run(query, context).await,
            S::AlterSource(alter) => alter_source::run(alter, context).await,
            S::CreateAs(create) => create_as::run(create, context).await,
            S::CreateFunction(create) => create_function::run(create, context).await,
            S::CreateSource(create) => create_source::run(create, context).await,
            S::CreateType(create) => create_type::run(create, context).await,
            S::DropFunction(drop) => drop_function::run(drop, context).await,
            S::DropSource(drop) => drop_source::run(drop, context).await,
            S::DropType(drop) => drop_type::run(drop, context).await,
            S::InsertSelect(insert) => insert_select::run(insert, context).await,
            S::Pause(choice) => pause::run(choice, context).await,
            S::Resume(resume) => resume::run(resume, context).await,
            S::Terminate(choice) => terminate::run(choice, context).await,
            S::InsertValues(insert) => insert_values::run(insert, context).await,
            S::Print(print) => print::run(print, context).await,
            S::Assert(assert) => assert::run(assert, context).await,
            S::Describe(describe) => describe::run(describe, context).await,
            S::Show(show) => show::run(show, context).await,
            S::Define(define) => define::run(define, context),
            S::Set(set) => set::run(set, context),
            S::Undefine(name) => undefine::run(name, context),
            S::Unset(name) => unset::run(name, context),
            kind => unsupported::run(kind, context),
        }
    }
}
