//! The spine: what happens to a statement, from top to bottom.
//!
//! Parse → plan → publish → answer. Every statement that changes the catalog becomes one command in the command topic and
//! takes effect once the command is read back; all other statements use a snapshot of the catalog.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_connectors::transport::Transport;
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, SYNTAX};
use headwater_language::sql::{self, ast};
use headwater_state::Storage;

use crate::answer::Answer;
use crate::runtime::{Asked, Driver, Folder, Locked, Process, Ran};
use crate::session::Session;
use crate::statement::{
    Answered, Context, alter_source, assert, copy, create_as, create_function, create_source, create_type, define,
    describe, drop_function, drop_source, drop_type, explain, insert_select, insert_values, is_definition, pause,
    print, resume, select, set, show, terminate, undefine, unset, unsupported,
};
use crate::words::{Words, words};

/// One process's engine on one cluster, for one service id.
pub struct Engine {
    process: Process,
}

impl Engine {
    /// An engine on a cluster. Reads nothing before the first statement.
    pub fn new(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { process: Process::new(transport, settings) }
    }

    /// An engine that does not run persistent queries by itself, for tests and simulations that drive each step
    /// ([`driver`](Self::driver)).
    pub fn driven(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { process: Process::driven(transport, settings) }
    }

    /// A driver of a persistent query, which joins the query's group like another process would. Fails if the query does
    /// not exist or the cluster fails.
    pub fn driver<'a>(&'a self, id: &'a str, transport: Arc<dyn Transport>) -> Asked<'a, Driver> {
        self.process.driver(id, transport)
    }

    /// Keeps local snapshots of the state of the persistent queries that run here in a folder on the disk, from now on. They
    /// shorten the next restore. Fails if another process uses the folder; without write access to it, queries run without
    /// snapshots, which is logged.
    pub fn keep_state_in(&self, folder: &Path) -> Result<(), Locked> {
        self.process.snapshots().open(folder, self.service_id())
    }

    /// The same in any folder, for simulations, with at most one snapshot of a store in `interval_ms`.
    pub fn keep_state(&self, folder: Arc<dyn Folder>, interval_ms: i64) {
        self.process.snapshots().use_folder(folder, self.service_id(), interval_ms);
    }

    /// Has queries that are started from now on keep their state in memory up to `query.state.memory.max`, and beyond that in
    /// a folder of this process within `parent`, which is created when it is needed. Without this, all of it is in memory.
    pub fn keep_state_within(&self, settings: &Settings, parent: &Path) {
        self.process.keep_state_within(settings, parent);
    }

    /// Has queries that are started from now on keep their state in `storage`, for tests and simulations.
    pub fn store_in(&self, storage: Storage) {
        self.process.store_in(storage);
    }

    /// This process.
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

    /// Starts to run this process's share of the persistent queries of the service id.
    pub fn work(&self) {
        self.process.work();
    }

    /// True when this process runs persistent queries.
    pub fn is_working(&self) -> bool {
        self.process.is_working()
    }

    /// The errors of the persistent queries of this process that failed for good.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.process.failures()
    }

    /// How many persistent queries this process has, including those that failed for good.
    pub fn queries(&self) -> usize {
        self.process.queries()
    }

    /// Commits and stops the persistent queries of this process. Blocks.
    pub fn stop_queries(&self) {
        self.process.stop_queries();
    }

    /// The catalog after every command that is in the command topic now. If the topic can no longer be followed, this is the
    /// last known catalog; fails if definitions are missing from it. Does not wait for definitions that are being written.
    pub fn catalog(&self) -> Asked<'_, Arc<Catalog>> {
        self.process.catalog()
    }

    /// Runs every persistent query until its current input is processed and committed. Queries that read what others write
    /// run after them. Ends early once `stopped` returns true. Returns what each query did, in that order.
    pub fn run_until_idle(&self, stopped: impl Fn() -> bool + Send + 'static) -> Asked<'_, Vec<Ran>> {
        self.process.run_until_idle(stopped)
    }

    /// The words that can be completed in a session.
    pub fn words<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Words> {
        Box::pin(words(&self.process, session))
    }

    /// Runs one statement given as text: replaces its variables, parses and executes it. Text with several statements is
    /// refused; [`sql::split`] splits scripts.
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
            // Before the statement is planned, and a topic created for it.
            context.plan_with(self.process.sure_catalog().await?);
        }
        self.dispatch(&statement.kind, &mut context).await
    }

    /// One arm for each kind of statement, in the order of [`crate::statement`].
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
