//! The spine: what happens to a statement, top to bottom.
//!
//! Parse → plan → publish → answer. Every statement that changes the catalog becomes one command in
//! the command topic and is live once that was read back; everything else looks at a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_connectors::transport::{Transport, TransportError};
use parking_lot::Mutex;

use crate::answer::{Answer, Section};
use crate::catalog::{Catalog, CatalogChange};
use crate::config::Settings;
use crate::diagnostic::{Diagnostic, INTERNAL, MISPLACED, NOT_SUPPORTED, Span, UNKNOWN_QUERY, UNKNOWN_TYPE, transport};
use crate::planner;
use crate::planner::define::{FormatDefaults, define, source_kind};
use crate::planner::types::resolve;
use crate::runtime::bounded::{Bounded, Surroundings};
use crate::runtime::publish::{changes_catalog, dry_run};
use crate::runtime::{CommandLog, Driver, StatusSnapshot, Worker, Writer, topics};
use crate::session::Session;
use crate::sql::{self, ast};
use crate::statement::{assert, copy, describe, describe_function, insert_values, print, show};
use crate::words::{Words, words};

/// One process's engine on one cluster, for one service id.
pub struct Engine {
    transport: Arc<dyn Transport>,
    log: Arc<Mutex<CommandLog>>,
    writer: Arc<Writer>,
    service_id: String,
    worker: Arc<Worker>,
    /// Persistent queries run here when there are some; else whoever asks for drivers runs them.
    works: bool,
    /// Files are applied first, and work begins when it is asked for: a query that is made starts nothing.
    applies: AtomicBool,
}

type Answered = Result<Answer, Vec<Diagnostic>>;

/// What an engine is asked for, on its way. Boxed, so that the code behind it is compiled here and not again in every crate
/// that asks.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Vec<Diagnostic>>>;

impl Engine {
    /// An engine on a cluster. Nothing is read until the first statement.
    pub fn new(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        let service_id = settings.get("service.id").to_owned();
        let writer = Arc::new(Writer::new(transport.clone()));
        let log = Arc::new(Mutex::new(CommandLog::new(transport.clone(), writer.clone(), &service_id)));
        let worker = Arc::new(Worker::new(transport.clone(), log.clone(), &service_id));
        Self { transport, log, writer, service_id, worker, works: true, applies: AtomicBool::new(false) }
    }

    /// An engine that runs no persistent query by itself: for tests and simulations, which drive each
    /// step ([`Self::driver`]).
    pub fn driven(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { works: false, ..Self::new(transport, settings) }
    }

    /// A driver of a persistent query, which joins the query's group as one more process. Fails when there is
    /// no such query, or as the cluster fails.
    pub fn driver<'a>(&'a self, id: &'a str, transport: Arc<dyn Transport>) -> Asked<'a, Driver> {
        Box::pin(async move {
            let catalog = self.catalog().await?;
            let unknown = || vec![Diagnostic::new(UNKNOWN_QUERY, format!("query \"{id}\" does not exist"))];
            let query = catalog.query(id).ok_or_else(unknown)?.clone();
            Driver::of(query, &self.service_id, transport)
        })
    }

    /// The cluster.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// The service id.
    pub fn service_id(&self) -> &str {
        &self.service_id
    }

    /// From now on this process runs the persistent queries of the service id, its share of them.
    pub fn work(&self) {
        if self.works {
            self.worker.begin();
        }
    }

    /// A persistent query was made or resumed: it runs here, unless files are being applied.
    pub(crate) fn work_on(&self) {
        if !self.applies.load(Ordering::Relaxed) {
            self.work();
        }
    }

    /// From now on statements describe a service, whose work begins when they are all applied.
    pub(crate) fn apply_first(&self) {
        self.applies.store(true, Ordering::Relaxed);
    }

    /// True when this process runs persistent queries.
    pub fn is_working(&self) -> bool {
        self.worker.is_begun()
    }

    /// Why those persistent queries of this process stopped that cannot go on by themselves.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.worker.failures()
    }

    /// How many persistent queries this process has, those that stopped included.
    pub fn queries(&self) -> usize {
        self.worker.queries()
    }

    /// Commits and stops the persistent queries of this process. Blocks.
    pub fn rest(&self) {
        self.worker.end();
    }

    /// Looks at the catalog now, not in a moment, for queries to start and stop. Waits until those that
    /// are stopped have committed.
    pub(crate) async fn sync(&self) -> Result<(), Vec<Diagnostic>> {
        let worker = self.worker.clone();
        blocking(move || worker.wake()).await
    }

    /// What runs the persistent queries of this process.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// The status of a persistent query, when it runs here.
    pub(crate) fn status(&self, id: &str) -> Option<StatusSnapshot> {
        self.worker.status(id)
    }

    /// The catalog after every command that is in the command topic now. Where the topic cannot be followed any more it is
    /// the last one that was known; fails where definitions are missing in it.
    pub fn catalog(&self) -> Asked<'_, Arc<Catalog>> {
        Box::pin(self.known_catalog())
    }

    /// The command topic.
    pub(crate) fn log(&self) -> &Arc<Mutex<CommandLog>> {
        &self.log
    }

    /// The words that may be typed now, for completion.
    pub fn words<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Words> {
        Box::pin(words(self, session))
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
                let error = Diagnostic::new(crate::diagnostic::SYNTAX, "one statement at a time is expected here")
                    .at(second.span);
                Err(in_typed_text(vec![error]))
            }
        }
    }

    async fn execute(&self, session: &mut Session, statement: &ast::Statement) -> Answered {
        use ast::StatementKind as S;
        if changes_catalog(&statement.kind) {
            // Before a topic is made for it, too.
            self.sure_catalog().await?;
        }
        match &statement.kind {
            S::Query(query) if query.is_bounded() => self.query(session, query).await,
            S::Query(query) => self.push(session, query).await,
            S::Explain(explain) => self.explain(session, explain, statement.span).await,
            S::CreateSource(create) => self.create_source(session, create, &statement.text).await,
            S::DropSource(drop) => self.drop_source(drop, &statement.text).await,
            S::AlterSource(alter) => self.alter_source(alter, &statement.text).await,
            S::CreateType(create) => self.create_type(create, &statement.text).await,
            S::DropType(drop) => self.drop_type(drop, &statement.text).await,
            S::CreateFunction(create) => self.create_function(create, &statement.text).await,
            S::DropFunction(drop) => self.drop_function(drop, &statement.text).await,
            S::CreateAs(create) => self.create_as(session, create, &statement.text).await,
            S::InsertSelect(insert) => self.insert_select(session, insert, &statement.text).await,
            S::Terminate(choice) => self.terminate(choice, &statement.text).await,
            S::Pause(choice) => self.pause(choice, &statement.text).await,
            S::Resume(resume) => self.resume(resume, &statement.text).await,
            S::InsertValues(insert) => {
                insert_values::insert(self.catalog().await?, &self.writer, session, insert).await
            }
            S::Copy(copy) => self.copy(session, copy).await,
            S::Print(print) => print::print(self.transport.clone(), print, statement.span).await,
            S::Show(show) => self.show(session, show, statement.span).await,
            S::Describe(describe) => self.describe(describe, statement.span).await,
            S::Set(set) => session.set(set),
            S::Unset(name) => session.unset(name),
            S::Define(define) => Ok(session.define(define)),
            S::Undefine(name) => Ok(session.undefine(name)),
            S::Assert(ast::Assert::Topic { exists, name, properties, timeout }) => {
                let expected = assert::Expected::new(name, *exists, properties)?;
                let patience = timeout.and_then(|timeout| timeout.ms()).and_then(|ms| u64::try_from(ms).ok());
                let patience = patience.map_or(assert::PATIENCE, Duration::from_millis);
                let transport = self.transport.clone();
                blocking(move || assert::topic(transport.admin(), &expected, patience)).await?
            }
            S::RunScript(_) => {
                let error = Diagnostic::new(MISPLACED, "RUN SCRIPT is a command of the shell, which reads the file");
                Err(vec![error.at(statement.span).hint("Send the statements of the file, or run headwater -f FILE.")])
            }
            other => Err(vec![not_yet(other, statement.span)]),
        }
    }

    async fn query(&self, session: &mut Session, query: &ast::Query) -> Answered {
        let bounded = self.plan(session, query).await?;
        session.remember(bounded.progress().clone());
        bounded.run().map(Answer::Rows)
    }

    async fn plan(&self, session: &Session, query: &ast::Query) -> Result<Bounded, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let around = Surroundings { transport: &self.transport, catalog: &catalog, settings: session.settings() };
        Bounded::plan(query, &around).await
    }

    async fn explain(&self, session: &mut Session, explain: &ast::Explain, span: Span) -> Answered {
        let inner = match &explain.target {
            ast::ExplainTarget::Statement(inner) => inner,
            ast::ExplainTarget::QueryId(id) => return self.explain_query(id).await.map(Answer::Facts),
        };
        if let Some(sections) = self.explain_continuous(session, inner).await? {
            return match explain.analyze {
                true => Err(vec![not_yet_so("EXPLAIN ANALYZE of a continuous query", span)]),
                false => Ok(Answer::Facts(sections)),
            };
        }
        let ast::StatementKind::Query(query) = &inner.kind else {
            return Err(vec![not_yet_so("EXPLAIN of this statement", inner.span)]);
        };
        let bounded = self.plan(session, query).await?;
        if !explain.analyze {
            return Ok(Answer::Facts(bounded.explain()));
        }
        session.remember(bounded.progress().clone());
        bounded.explain_analyze().await.map(Answer::Facts)
    }

    pub(crate) async fn create_source(&self, session: &Session, create: &ast::CreateSource, text: &str) -> Answered {
        let catalog = self.catalog().await?;
        let kind = source_kind(create.kind).word();
        if let (true, Some(standing)) = (create.if_not_exists, catalog.source(&create.name)) {
            let warning = format!("{} \"{}\" exists already; nothing was done", standing.kind.word(), standing.name);
            return Ok(Answer::warning(warning));
        }
        let definition = define(create, text, &catalog, &FormatDefaults::from(session.settings()))?;
        // Tried before a topic is made, too.
        let change =
            CatalogChange::DefineSource { source: Box::new(definition.source.clone()), replace: create.or_replace };
        dry_run(&catalog, &change, create.name.span)?;
        let (transport, name_span) = (self.transport.clone(), create.name.span);
        blocking(move || topics::ensure(transport.admin(), &definition, name_span)).await??;
        let unbuilt = match &change {
            CatalogChange::DefineSource { source, .. } => source.unbuilt_format(),
            _ => None,
        };
        self.publish(text, change, create.name.span).await?;
        let warning = |error| format!("{error}: what is declared here cannot be read or written");
        Ok(Answer::Done {
            message: format!("{} \"{}\" created", capital(kind), create.name.value),
            warnings: unbuilt.map(warning).into_iter().collect(),
        })
    }

    async fn alter_source(&self, alter: &ast::AlterSource, text: &str) -> Answered {
        let source = planner::alter::alter(alter, text, &*self.catalog().await?)?;
        let (kind, name) = (source.kind.word(), source.name.clone());
        let change = CatalogChange::DefineSource { source: Box::new(source), replace: true };
        self.publish(text, change, alter.name.span).await?;
        Ok(Answer::done(format!("{} \"{name}\" altered", capital(kind))))
    }

    async fn create_type(&self, create: &ast::CreateType, text: &str) -> Answered {
        let catalog = self.catalog().await?;
        if create.if_not_exists && catalog.custom_type(&create.name).is_some() {
            let warning = format!("type \"{}\" exists already; nothing was done", create.name.value);
            return Ok(Answer::warning(warning));
        }
        let ty = resolve(&create.ty, &catalog).map_err(|e| vec![*e])?;
        self.publish(text, CatalogChange::DefineType { name: create.name.value.clone(), ty }, create.name.span).await?;
        Ok(Answer::done(format!("Type \"{}\" created", create.name.value)))
    }

    async fn drop_type(&self, drop: &ast::DropNamed, text: &str) -> Answered {
        let catalog = self.catalog().await?;
        if catalog.custom_type(&drop.name).is_none() {
            let message = format!("type \"{}\" does not exist", drop.name.value);
            let names = catalog.custom_types().map(|(name, _)| name);
            let error = Diagnostic::new(UNKNOWN_TYPE, message).at(drop.name.span).nearest_of(&drop.name, names);
            return unless_forgiven(drop.if_exists, error);
        }
        self.publish(text, CatalogChange::DropType { name: drop.name.value.clone() }, drop.name.span).await?;
        Ok(Answer::done(format!("Type \"{}\" dropped", drop.name.value)))
    }

    async fn copy(&self, session: &mut Session, copy: &ast::Copy) -> Answered {
        let target = copy::Target::new(copy)?;
        let bounded = self.plan(session, &copy.query).await?;
        session.remember(bounded.progress().clone());
        copy::write(bounded.run()?, target, copy.query.span).await
    }

    async fn show(&self, session: &Session, show: &ast::Show, span: Span) -> Answered {
        use ast::Show;
        let sections = match show {
            Show::Sources { kind, extended } => {
                let catalog = self.catalog().await?;
                match extended {
                    false => show::sources(&catalog, source_kind(*kind)),
                    true => self.describe_all(source_kind(*kind), true).await?,
                }
            }
            Show::Topics { all, extended } => {
                let (transport, all, extended) = (self.transport.clone(), *all, *extended);
                blocking(move || show::topics(transport.admin(), all, extended)).await?.map_err(refused)?
            }
            Show::Types => show::types(&*self.catalog().await?),
            Show::Functions => show::functions(&*self.catalog().await?, &Bounded::bare_state(session.settings())),
            Show::Variables => show::variables(session),
            Show::Properties => show::properties(session),
            Show::Rejects => show::rejects(session),
            Show::Queries { extended } => self.show_queries(*extended).await?,
            Show::Connectors(_) | Show::ConnectorPlugins => {
                return Err(vec![Diagnostic::new(NOT_SUPPORTED, "connectors are not supported yet").at(span)]);
            }
        };
        Ok(Answer::Facts(sections))
    }

    async fn describe(&self, what: &ast::Describe, span: Span) -> Answered {
        match what {
            ast::Describe::Source { name, extended } => {
                let catalog = self.catalog().await?;
                let source = describe::find(&catalog, name)?;
                self.describe_source(source, *extended).await.map(Answer::Facts)
            }
            ast::Describe::Sources { kind, extended } => {
                self.describe_all(source_kind(*kind), *extended).await.map(Answer::Facts)
            }
            ast::Describe::Function(name) => {
                let state = Bounded::bare_state(&Settings::default());
                let described = describe_function::describe(&name.value, &*self.catalog().await?, &state);
                described.map(Answer::Facts).map_err(|unknown| vec![unknown.at(name.span)])
            }
            ast::Describe::Connector(_) => {
                Err(vec![Diagnostic::new(NOT_SUPPORTED, "connectors are not supported yet").at(span)])
            }
        }
    }

    async fn describe_all(
        &self,
        kind: crate::catalog::SourceKind,
        extended: bool,
    ) -> Result<Vec<Section>, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let mut sections = Vec::new();
        for source in catalog.sources().filter(|s| s.kind == kind) {
            sections.extend(self.describe_source(source.clone(), extended).await?);
        }
        Ok(sections)
    }

    async fn describe_source(
        &self,
        source: Arc<crate::catalog::SourceDef>,
        extended: bool,
    ) -> Result<Vec<Section>, Vec<Diagnostic>> {
        if !extended {
            return Ok(vec![describe::columns(&source)]);
        }
        let (transport, name) = (self.transport.clone(), source.name.clone());
        let mut sections = blocking(move || describe::extended(transport.admin(), &source)).await?.map_err(refused)?;
        sections.extend(self.describe_queries(&name).await?);
        Ok(sections)
    }
}

/// Runs work that waits for the cluster on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Vec<Diagnostic>> {
    let failed = |error| vec![Diagnostic::new(INTERNAL, format!("a worker thread failed: {error}"))];
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

pub(crate) fn refused(error: TransportError) -> Vec<Diagnostic> {
    vec![transport(&error)]
}

/// An error, or the same as a warning where the statement forgives it (IF EXISTS, IF NOT EXISTS).
pub(crate) fn unless_forgiven(forgiven: bool, error: Diagnostic) -> Answered {
    match forgiven {
        true => Ok(Answer::warning(format!("{}; nothing was done", error.message))),
        false => Err(vec![error]),
    }
}

pub(crate) fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn not_yet_so(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} is not supported yet")).at(span)
}

fn not_yet(kind: &ast::StatementKind, span: Span) -> Diagnostic {
    use ast::StatementKind as S;
    let what = match kind {
        S::AlterSystem(_) => "ALTER SYSTEM",
        S::CreateConnector(_) | S::DropConnector(_) => "connectors",
        S::Assert(_) => "ASSERT",
        _ => "this statement",
    };
    not_yet_so(what, span)
}
