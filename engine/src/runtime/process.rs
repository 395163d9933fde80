//! One process of a service id: its cluster, the command topic, and the persistent queries that run here.
//!
//! Statements run on top of it; it knows nothing about them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_connectors::transport::Transport;
use headwater_language::catalog::Catalog;
use headwater_language::config::{STATE_MEMORY, Settings};
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_QUERY};
use headwater_state::Storage;

use super::state_memory::memory_max;
use super::{CommandLog, Driver, Snapshots, States, StatusSnapshot, Worker, Writer, blocking};

/// How old the catalog may be with which a key is looked up in a state of this process. The topic is read every half second.
const RECENT: Duration = Duration::from_secs(2);

/// One process of a service id: its cluster, the command topic, and the persistent queries that run here.
pub struct Process {
    transport: Arc<dyn Transport>,
    log: Arc<CommandLog>,
    writer: Arc<Writer>,
    service_id: String,
    worker: Arc<Worker>,
    states: Arc<States>,
    snapshots: Arc<Snapshots>,
    /// Whether persistent queries run here by themselves. If not, whoever asks for their drivers runs them.
    works: bool,
    /// Whether files are being applied: creating a query then does not start it.
    applies: AtomicBool,
}

/// A future of an answer. Boxed, so that the code behind it is compiled here and not again in every crate that calls it.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Vec<Diagnostic>>>;

impl Process {
    /// A process on a cluster. Reads nothing before the first statement.
    pub fn new(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        let service_id = settings.get("service.id").to_owned();
        let writer = Arc::new(Writer::new(transport.clone()));
        let log = Arc::new(CommandLog::new(transport.clone(), writer.clone(), &service_id));
        let (states, snapshots) = (Arc::default(), Arc::default());
        let worker = Arc::new(Worker::new(transport.clone(), log.clone(), &service_id, &states, &snapshots));
        let applies = AtomicBool::new(false);
        Self { transport, log, writer, service_id, worker, states, snapshots, works: true, applies }
    }

    /// A process that does not run persistent queries by itself, for tests and simulations that drive each step
    /// ([`driver`](Self::driver)).
    pub fn driven(transport: Arc<dyn Transport>, settings: &Settings) -> Self {
        Self { works: false, ..Self::new(transport, settings) }
    }

    /// Has queries that are started from now on keep their state in memory up to `query.state.memory.max`, and beyond that in
    /// a folder of this process within `parent`, which is created when it is needed.
    pub fn keep_state_within(&self, settings: &Settings, parent: &Path) {
        let limit = memory_max(settings.get(STATE_MEMORY), settings.bytes(STATE_MEMORY));
        self.states.store_in(headwater_disk::storage(limit, parent));
    }

    /// Has queries that are started from now on keep their state in `storage`.
    pub fn store_in(&self, storage: Storage) {
        self.states.store_in(storage);
    }

    /// A driver of a persistent query, which joins the query's group like another process would. Fails if the query does
    /// not exist or the cluster fails.
    pub fn driver<'a>(&'a self, id: &'a str, transport: Arc<dyn Transport>) -> Asked<'a, Driver> {
        Box::pin(async move {
            let catalog = self.catalog().await?;
            let unknown = || vec![Diagnostic::new(UNKNOWN_QUERY, format!("query \"{id}\" does not exist"))];
            let query = catalog.query(id).ok_or_else(unknown)?.clone();
            Driver::of(query, &self.service_id, transport)
                .map(|driver| driver.shown_in(&self.states).kept_in(&self.snapshots))
        })
    }

    /// The cluster.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// The states of the persistent queries that run in this process.
    pub(crate) fn states(&self) -> &Arc<States> {
        &self.states
    }

    /// Where the persistent queries of this process keep local snapshots of their state.
    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// The writer of records that statements insert.
    pub(crate) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// The service id.
    pub fn service_id(&self) -> &str {
        &self.service_id
    }

    /// Starts to run this process's share of the persistent queries of the service id.
    pub fn work(&self) {
        if self.works {
            self.worker.begin();
        }
    }

    /// Starts to run queries, because one was created or resumed, unless files are being applied.
    pub(crate) fn work_on(&self) {
        if !self.applies.load(Ordering::Relaxed) {
            self.work();
        }
    }

    /// From now on statements come from files that describe a service; nothing runs until [`work`](Self::work) is called.
    pub(crate) fn apply_first(&self) {
        self.applies.store(true, Ordering::Relaxed);
    }

    /// True when this process runs persistent queries.
    pub fn is_working(&self) -> bool {
        self.worker.is_running()
    }

    /// The errors of the persistent queries of this process that failed for good.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.worker.failures()
    }

    /// How many persistent queries this process has, including those that failed for good.
    pub fn queries(&self) -> usize {
        self.worker.queries()
    }

    /// Commits and stops the persistent queries of this process. Blocks.
    pub fn stop_queries(&self) {
        self.worker.end();
    }

    /// Starts and stops queries as the catalog says, immediately. Waits until those that are stopped have committed.
    pub(crate) async fn sync(&self) -> Result<(), Vec<Diagnostic>> {
        let worker = self.worker.clone();
        blocking(move || worker.wake()).await
    }

    /// The worker that runs the persistent queries of this process.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// The status of a persistent query, if it runs here.
    pub(crate) fn status(&self, id: &str) -> Option<StatusSnapshot> {
        self.worker.status(id)
    }

    /// The catalog after every command that is in the command topic now. If the topic can no longer be followed, this is the
    /// last known catalog; fails if definitions are missing from it. Does not wait for definitions that are being written.
    pub fn catalog(&self) -> Asked<'_, Arc<Catalog>> {
        Box::pin(async { self.log.fresh().await?.readable() })
    }

    /// The catalog as the thread that follows the command topic has published it, without asking the cluster; `None` if that was
    /// more than a second or two ago.
    pub(crate) fn recent_catalog(&self) -> Option<Arc<Catalog>> {
        self.log.recent(RECENT).map(|known| known.catalog)
    }

    /// The command topic.
    pub(crate) fn log(&self) -> &Arc<CommandLog> {
        &self.log
    }
}
