//! One process's part in a service id: the cluster, the command topic, and the persistent queries that run here.
//!
//! Statements are run with it; it knows none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use headwater_connectors::transport::Transport;

use super::{CommandLog, Driver, StatusSnapshot, Worker, Writer, blocking};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_QUERY};

/// What one process is made of: the cluster, the command topic, the persistent queries that run here.
pub struct Process {
    transport: Arc<dyn Transport>,
    log: Arc<CommandLog>,
    writer: Arc<Writer>,
    service_id: String,
    worker: Arc<Worker>,
    /// Persistent queries run here when there are some; else whoever asks for drivers runs them.
    works: bool,
    /// Files are applied first, and work begins when it is asked for: a query that is made starts nothing.
    applies: AtomicBool,
}

/// What is asked for, on its way. Boxed, so that the code behind it is compiled here and not again in every crate
/// that asks.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Vec<Diagnostic>>>;

impl Process {
    /// A process on a cluster. Nothing is read until the first statement.
    pub fn new(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        let service_id = settings.get("service.id").to_owned();
        let writer = Arc::new(Writer::new(transport.clone()));
        let log = Arc::new(CommandLog::new(transport.clone(), writer.clone(), &service_id));
        let worker = Arc::new(Worker::new(transport.clone(), log.clone(), &service_id));
        Self { transport, log, writer, service_id, worker, works: true, applies: AtomicBool::new(false) }
    }

    /// One that runs no persistent query by itself: for tests and simulations, which drive each
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

    /// What records of statements are written through.
    pub(crate) fn writer(&self) -> &Arc<Writer> {
        &self.writer
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
        self.worker.is_running()
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
    /// the last one that was known; fails where definitions are missing in it. A definition that is being written holds
    /// nobody up.
    pub fn catalog(&self) -> Asked<'_, Arc<Catalog>> {
        Box::pin(async { self.log.fresh().await?.readable() })
    }

    /// The command topic.
    pub(crate) fn log(&self) -> &Arc<CommandLog> {
        &self.log
    }
}
