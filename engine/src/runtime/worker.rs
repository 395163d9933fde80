//! This process's part of the service: it follows the command topic and keeps the queries running.
//!
//! A worker is started by an interactive shell, by `headwater run`, or by the first persistent query that a script
//! creates. A process that only reads runs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::Utc;
use headwater_connectors::transport::Transport;
use headwater_language::catalog::{Catalog, CatalogChange, QueryDef};
use headwater_language::diagnostic::Diagnostic;
use parking_lot::Mutex;

use super::belongings::Leftovers;
use super::board::Board;
use super::command_log::{CommandLog, Known};
use super::descriptors::Descriptors;
use super::query_status::StatusSnapshot;
use super::signal::Signal;
use super::snapshots::Snapshots;
use super::states::States;
use super::supervisor::{Ran, Supervisor};

/// How often the command topic is checked, and so how late a statement of another process is noticed.
const LOOK: Duration = Duration::from_millis(500);

/// Follows the command topic of one service id. Idle until [`begin`](Self::begin) is called.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    transport: Arc<dyn Transport>,
    service_id: String,
    log: Arc<CommandLog>,
    supervisor: Mutex<Supervisor>,
    board: Mutex<Board>,
    descriptors: Mutex<Descriptors>,
    leftovers: Mutex<Leftovers>,
    /// Why the last attempt to read the command topic failed.
    unread: Mutex<Option<String>>,
    end: Signal,
}

impl Worker {
    /// A worker that is still idle.
    pub fn new(
        transport: Arc<dyn Transport>,
        log: Arc<CommandLog>,
        service_id: &str,
        states: &Arc<States>,
        snapshots: &Arc<Snapshots>,
    ) -> Self {
        let board = Mutex::new(Board::new(transport.clone(), service_id));
        let supervisor = Mutex::new(Supervisor::new(transport.clone(), service_id, states, snapshots));
        let (unread, descriptors, leftovers) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (service_id, transport) = (service_id.to_owned(), transport);
        let end = Signal::default();
        let shared = Shared { transport, service_id, log, supervisor, board, descriptors, leftovers, unread, end };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Starts to follow the command topic. If it does so already, checks the topic immediately.
    pub fn begin(&self) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return self.shared.end.wake();
        }
        let shared = self.shared.clone();
        match std::thread::Builder::new().name("worker".to_owned()).spawn(move || shared.follow()) {
            Ok(started) => *thread = Some(started),
            Err(error) => tracing::error!(%error, "could not start the thread that runs persistent queries"),
        }
    }

    /// True after [`begin`](Self::begin).
    pub fn is_running(&self) -> bool {
        self.thread.lock().is_some()
    }

    /// The errors of queries that failed here for good.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.shared.supervisor.lock().failures()
    }

    /// How many queries this process has, including those that failed for good.
    pub fn queries(&self) -> usize {
        self.shared.supervisor.lock().len()
    }

    /// Starts and stops queries as the catalog of this process says. Does nothing if idle. Blocks.
    pub fn wake(&self) {
        if self.is_running() {
            self.shared.act();
        }
    }

    /// Stops following the topic, then commits and stops every query.
    pub fn end(&self) {
        self.shared.end.set();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        let ended = self.shared.supervisor.lock().stop_all();
        self.shared.show_ended(&ended);
    }

    /// The status of a query, if it runs here.
    pub fn status(&self, id: &str) -> Option<StatusSnapshot> {
        self.shared.supervisor.lock().status(id).map(|status| status.snapshot())
    }

    /// Runs queries until all of their current input is processed and committed. Returns what each query did. Blocks.
    pub fn run_until_idle(&self, queries: &[Arc<QueryDef>], stopped: &dyn Fn() -> bool) -> Vec<Ran> {
        let ran = self.shared.supervisor.lock().run_until_idle(queries, stopped);
        let statuses = ran.iter().filter_map(|ran| Some((ran.query.clone(), ran.status.clone()?))).collect();
        self.shared.show_ended(&statuses);
        self.shared.record_ran(queries, &ran);
        ran
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn follow(&self) {
        while !self.end.is_set() {
            // This comes first, because the look blocks when descriptors have run out.
            self.show();
            self.look();
            self.clean(Utc::now().timestamp_millis());
            self.end.wait(LOOK);
        }
    }

    /// Shows other processes which queries fail here, and logs when file descriptors run out.
    fn show(&self) {
        let (statuses, waiting) = {
            let supervisor = self.supervisor.lock();
            (supervisor.statuses(), supervisor.waiting())
        };
        self.descriptors.lock().look(statuses.len(), waiting);
        self.board.lock().show(&statuses, Utc::now().timestamp_millis());
    }

    /// Shows other processes the last status of queries that have ended here: only permanent failures remain.
    fn show_ended(&self, statuses: &BTreeMap<String, StatusSnapshot>) {
        self.board.lock().show(statuses, Utc::now().timestamp_millis());
    }

    /// Records in the catalog which queries have committed a position, once for each. What cannot be written now is written
    /// at the next look.
    fn record_started(&self, catalog: &Catalog) {
        let started = self.supervisor.lock().newly_started(catalog);
        self.append_started(started.into_iter());
    }

    /// Does the same for queries that ran until idle, after catching up with the command topic.
    fn record_ran(&self, queries: &[Arc<QueryDef>], ran: &[Ran]) {
        let positioned = queries.iter().zip(ran).filter(|(_, ran)| ran.has_position);
        let started: Vec<(String, u64)> = positioned
            .filter_map(|(query, _)| {
                let restart = query.restarts();
                query.began.is_none_or(|known| known < restart).then(|| (query.id.clone(), restart))
            })
            .collect();
        if !started.is_empty() && self.log.catch_up().is_ok() {
            self.append_started(started.into_iter());
        }
    }

    fn append_started(&self, started: impl Iterator<Item = (String, u64)>) {
        for (id, restart) in started {
            if let Err(error) = self.log.append("", CatalogChange::BeginQuery { id, restart }) {
                tracing::debug!(?error, "could not record that a query has begun");
                return;
            }
        }
    }

    fn look(&self) {
        let caught_up = self.log.catch_up();
        self.note(caught_up.as_ref().err().map(ToString::to_string));
        match caught_up {
            Ok(_) => self.act(),
            // It is not known what should run now.
            Err(_) => self.supervisor.lock().keep(),
        }
    }

    /// Starts and stops queries as the published catalog says.
    fn act(&self) {
        let mut supervisor = self.supervisor.lock();
        // Read while holding the lock, so that nobody acts on an older catalog after this.
        let Known { catalog, fault, .. } = self.log.known();
        if fault.is_some() {
            return supervisor.keep();
        }
        supervisor.sync(&catalog);
        drop(supervisor);
        self.record_started(&catalog);
    }

    /// Deletes what belonged to queries that have ended. What cannot be deleted now is tried again later.
    fn clean(&self, now_ms: i64) {
        // Read after what has ended, so that it has all queries that may use the same.
        let ended = self.log.take_ended();
        let Known { catalog, fault, .. } = self.log.known();
        let mut leftovers = self.leftovers.lock();
        leftovers.add(ended, now_ms);
        if fault.is_none()
            && let Err(error) = leftovers.clean(self.transport.admin(), &catalog, &self.service_id, now_ms)
        {
            tracing::debug!(%error, "could not look for what ended queries have left");
        }
    }

    /// Logs once that the command topic cannot be read, and once that it can again.
    fn note(&self, failure: Option<String>) {
        let mut unread = self.unread.lock();
        match (&*unread, &failure) {
            (before, Some(error)) if before.as_ref() != Some(error) => {
                tracing::warn!(%error, "could not read the command topic; queries continue as they are");
            }
            (Some(_), None) => tracing::info!("command topic can be read again"),
            _ => {}
        }
        *unread = failure;
    }
}
