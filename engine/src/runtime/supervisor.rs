//! Keeps the persistent queries of the catalog running in this process: one thread per query, restarted on failure.
//!
//! A query that fails is restarted after a pause, unless only the user can fix the cause; a panic counts as a
//! failure. Queries do not affect each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_connectors::transport::Transport;
use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::{Diagnostic, INTERNAL};

use super::descriptors::room_for_queries;
use super::query_status::{QueryStatus, State, StatusSnapshot};
use super::runner::{Runner, now_ms};
use super::signal::Signal;
use super::snapshots::Snapshots;
use super::states::States;

/// How long a query may show no sign of progress before it is restarted, in ms. Every call of a driver has a shorter time
/// limit, but librdkafka does not respect all of them.
const SILENT_MS_MAX: i64 = 90_000;
/// How long to wait for a query to stop: somewhat longer than a commit may take.
const END_MAX: Duration = Duration::from_secs(40);
/// Stack size of a query's thread, which compiles and evaluates expressions as deeply nested as a statement may write
/// them. The memory is only allocated as it is used.
pub(super) const STACK_BYTES: usize = 32 << 20;

/// The persistent queries of this process.
pub struct Supervisor {
    transport: Arc<dyn Transport>,
    service_id: String,
    states: Arc<States>,
    snapshots: Arc<Snapshots>,
    running: BTreeMap<String, Running>,
    /// Number of queries that are not started because file descriptors are short.
    waiting: usize,
}

struct Running {
    query: Arc<QueryDef>,
    stop: Arc<Signal>,
    ended: Arc<Signal>,
    status: Arc<QueryStatus>,
    thread: Option<JoinHandle<()>>,
    /// The signs of progress that were seen last, and when they were new, in ms since the epoch.
    seen: (u64, i64),
}

impl Supervisor {
    /// A supervisor that runs nothing yet. The states of its queries are shown in `states` and kept in `snapshots`.
    pub fn new(
        transport: Arc<dyn Transport>,
        service_id: &str,
        states: &Arc<States>,
        snapshots: &Arc<Snapshots>,
    ) -> Self {
        Self {
            transport,
            service_id: service_id.to_owned(),
            states: states.clone(),
            snapshots: snapshots.clone(),
            running: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Starts the queries of the catalog that are not running, stops those that are no longer in it, and restarts
    /// those that were replaced. Waits for the ones it stops.
    pub fn sync(&mut self, catalog: &Catalog) {
        // They are started again below if the catalog still has them.
        self.abandon_silent();
        let is_current =
            |running: &Running| catalog.query(&running.query.id).is_some_and(|query| running.is_current(query));
        let gone: Vec<String> =
            self.running.iter().filter(|(_, running)| !is_current(running)).map(|(id, _)| id.clone()).collect();
        self.end_dropped(&gone, catalog);
        for running in self.running.values() {
            let Some(query) = catalog.query(&running.query.id) else { continue };
            running.status.set_resumed(query.resumed);
            let began = query.began;
            if began.is_some_and(|began| began >= running.query.restarts()) {
                running.status.found_position();
            }
        }
        let missing: Vec<_> =
            catalog.queries().filter(|query| !query.paused && !self.running.contains_key(&query.id)).cloned().collect();
        self.waiting = 0;
        if missing.is_empty() {
            return;
        }
        // Queries without descriptors wait until others are suspended; at least one is always tried.
        let room = room_for_queries().max(usize::from(self.running.is_empty()));
        self.waiting = missing.len().saturating_sub(room);
        for query in missing.into_iter().take(room) {
            let running = self.start(query.clone(), false);
            self.running.insert(query.id.clone(), running);
        }
    }

    /// Stops queries that are not in the catalog as they are here, and deletes the snapshots of those that no longer exist.
    fn end_dropped(&mut self, gone: &[String], catalog: &Catalog) {
        let is_dropped =
            |query: &QueryDef| catalog.query(&query.id).is_none_or(|other| other.unique_name() != query.unique_name());
        let gone_here = gone.iter().filter_map(|id| self.running.get(id)).filter(|running| is_dropped(&running.query));
        let dropped: Vec<Arc<QueryDef>> = gone_here
            .map(|running| {
                running.status.drop_query();
                running.query.clone()
            })
            .collect();
        self.stop(gone);
        self.snapshots.sweep(self.transport.admin(), catalog);
        dropped.iter().for_each(|query| self.snapshots.delete(self.transport.admin(), query));
    }

    /// How many queries wait for others to release file descriptors.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Keeps the current queries running when the catalog is not available: queries that are stuck are restarted.
    pub fn keep(&mut self) {
        for query in self.abandon_silent() {
            let running = self.start(query.clone(), false);
            self.running.insert(query.id.clone(), running);
        }
    }

    /// Abandons queries whose driver is stuck in a call, and returns them. What they have not committed never happened,
    /// and whoever restarts them takes over their place in the group and their transactional id.
    fn abandon_silent(&mut self) -> Vec<Arc<QueryDef>> {
        let now_ms = now_ms();
        let mut abandoned = Vec::new();
        self.running.retain(|id, running| {
            let silent = running.is_silent(now_ms);
            if silent {
                tracing::error!(query_id = %id, silent_s = SILENT_MS_MAX / 1_000, "query is stuck; restarting it");
                running.ask_to_end();
                abandoned.push(running.query.clone());
            }
            !silent
        });
        abandoned
    }

    /// Queries that have committed a position in their input of which the catalog does not know yet, each with the number
    /// of the latest RESUME … FROM that it has seen.
    pub fn newly_started(&self, catalog: &Catalog) -> Vec<(String, u64)> {
        let newly_started = |(id, running): (&String, &Running)| {
            let restart = running.query.restarts();
            let known = catalog.query(id)?.began;
            let is_news = running.status.has_position() && known.is_none_or(|known| known < restart);
            is_news.then(|| (id.clone(), restart))
        };
        self.running.iter().filter_map(newly_started).collect()
    }

    /// The errors of queries that failed for good.
    pub fn failures(&self) -> Vec<Diagnostic> {
        self.running.values().filter_map(Running::failure).collect()
    }

    /// How many queries this process has, including those that failed for good.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Commits and stops every query. Returns the last status of each.
    pub fn stop_all(&mut self) -> BTreeMap<String, StatusSnapshot> {
        let statuses: Vec<_> = self.running.iter().map(|(id, running)| (id.clone(), running.status.clone())).collect();
        let all: Vec<String> = self.running.keys().cloned().collect();
        self.stop(&all);
        statuses.into_iter().map(|(id, status)| (id, status.snapshot())).collect()
    }

    /// The status of a query, if it runs here.
    pub fn status(&self, id: &str) -> Option<Arc<QueryStatus>> {
        self.running.get(id).map(|running| running.status.clone())
    }

    /// The status of each query that runs here, by id.
    pub fn statuses(&self) -> BTreeMap<String, StatusSnapshot> {
        self.running.iter().map(|(id, running)| (id.clone(), running.status.snapshot())).collect()
    }

    /// Runs queries until all of their current input is processed and committed. Blocks; ends early once `stopped`
    /// returns true. Returns what each query did.
    pub fn run_until_idle(&mut self, queries: &[Arc<QueryDef>], stopped: &dyn Fn() -> bool) -> Vec<Ran> {
        let started = Instant::now();
        let all: Vec<Running> = queries.iter().map(|query| self.start(query.clone(), true)).collect();
        let mut took: Vec<Option<Duration>> = vec![None; all.len()];
        while !stopped() && took.contains(&None) {
            std::thread::sleep(Duration::from_millis(10));
            for (_, took) in all.iter().zip(&mut took).filter(|(running, _)| running.is_over()) {
                took.get_or_insert_with(|| started.elapsed());
            }
        }
        let ended = all.into_iter().zip(took).map(|(mut running, took)| {
            running.end();
            Ran::new(&running, took.unwrap_or_else(|| started.elapsed()))
        });
        ended.collect()
    }

    /// Stops queries and waits for them. All are signalled first, so that they commit in parallel.
    fn stop(&mut self, ids: &[String]) {
        let mut stopping: Vec<Running> = ids.iter().filter_map(|id| self.running.remove(id)).collect();
        stopping.iter().for_each(Running::ask_to_end);
        stopping.iter_mut().for_each(Running::end);
    }

    fn start(&self, query: Arc<QueryDef>, until_idle: bool) -> Running {
        let (stop, ended, status) = (Arc::<Signal>::default(), Arc::<Signal>::default(), Arc::<QueryStatus>::default());
        status.set_resumed(query.resumed);
        let over = ended.clone();
        let runner = Runner {
            transport: self.transport.clone(),
            service_id: self.service_id.clone(),
            states: self.states.clone(),
            snapshots: self.snapshots.clone(),
            query: query.clone(),
            until_idle,
            stop: stop.clone(),
            status: status.clone(),
            refusals: Arc::default(),
        };
        let name = format!("query {}", query.id);
        let thread = std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
            runner.run();
            over.set();
        });
        if let Err(error) = &thread {
            let message = format!("could not start a thread: {error}");
            status.set_state(State::Failed(Diagnostic::new(INTERNAL, message)));
        }
        tracing::info!(query_id = %query.id, "query started");
        Running { query, stop, ended, status, thread: thread.ok(), seen: (0, now_ms()) }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl Running {
    fn ask_to_end(&self) {
        self.status.end();
        self.stop.set();
    }

    /// Whether it has shown no sign of progress for too long.
    fn is_silent(&mut self, now_ms: i64) -> bool {
        let signs = self.status.signs();
        if signs != self.seen.0 || self.ended.is_set() {
            self.seen = (signs, now_ms);
        }
        now_ms - self.seen.1 > SILENT_MS_MAX && self.status.silent_ms(now_ms).is_some()
    }

    /// True when this is the query as the catalog has it. A query that failed runs again after a RESUME.
    fn is_current(&self, wanted: &Arc<QueryDef>) -> bool {
        // Usually the catalog has not changed.
        if Arc::ptr_eq(&self.query, wanted) {
            return !wanted.paused;
        }
        let failed = matches!(self.status.state(), State::Failed(_));
        let resumed = if failed { self.query.resumed } else { wanted.resumed };
        // This process itself reports that the query has begun.
        let began = wanted.began;
        !wanted.paused && QueryDef { resumed, began, ..(*self.query).clone() } == **wanted
    }

    /// Why the query stopped, if it failed for good.
    fn failure(&self) -> Option<Diagnostic> {
        let State::Failed(error) = self.status.state() else { return None };
        Some(Diagnostic { message: format!("query \"{}\": {}", self.query.id, error.message), ..error })
    }

    fn is_over(&self) -> bool {
        matches!(self.status.state(), State::Ended | State::Failed(_))
    }

    fn end(&mut self) {
        self.ask_to_end();
        let Some(thread) = self.thread.take() else { return };
        self.ended.wait(END_MAX);
        if !self.ended.is_set() && !thread.is_finished() {
            tracing::error!(query_id = %self.query.id, "query is stuck and did not stop in time; abandoning its thread");
        } else if thread.join().is_err() {
            tracing::error!(query_id = %self.query.id, "query thread panicked outside the query");
        }
    }
}

/// What a query did while it ran until idle.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Id of the query.
    pub query: String,
    /// Number of records read.
    pub records_read: u64,
    /// Number of records written to its output.
    pub records_written: u64,
    /// Number of bad records.
    pub complaints: u64,
    /// Time from its start to its last commit.
    pub took: Duration,
    /// The error that stopped it, if it failed.
    pub error: Option<Diagnostic>,
    /// The query is paused and did nothing.
    pub paused: bool,
    /// The query has committed a position in its input.
    pub(super) has_position: bool,
    /// Its last status; `None` when it did nothing.
    pub(super) status: Option<StatusSnapshot>,
}

impl Ran {
    /// The result of a paused query, which did nothing.
    pub(super) fn paused(query: &QueryDef) -> Self {
        Self {
            query: query.id.clone(),
            records_read: 0,
            records_written: 0,
            complaints: 0,
            took: Duration::ZERO,
            error: None,
            paused: true,
            has_position: false,
            status: None,
        }
    }

    fn new(running: &Running, took: Duration) -> Self {
        let status = running.status.snapshot();
        let (records_read, records_written) = (status.records_read, status.records_written);
        Self {
            query: running.query.id.clone(),
            records_read,
            records_written,
            complaints: status.complaints,
            took,
            error: running.failure(),
            paused: false,
            has_position: running.status.has_position(),
            status: Some(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::for_tests::Process;
    use super::*;

    /// Goal: a query is restarted when a call hangs, and not because a restore takes long. Method: two minutes with and without
    /// signs of progress within one step.
    #[tokio::test]
    async fn a_query_is_stuck_only_without_signs_of_progress() {
        let process = Process::with(&["CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;"]).await;
        let catalog = process.engine.catalog().await.expect("a catalog");
        let definition = catalog.queries().next().expect("a query").clone();
        let (stop, ended, status) = (Arc::default(), Arc::default(), Arc::<QueryStatus>::default());
        let mut running = Running { query: definition, stop, ended, status, thread: None, seen: (0, 0) };
        assert!(!running.is_silent(100_000), "it has not begun");
        running.status.beat(100_000);
        for minute in 2..4 {
            running.status.go_on().expect("nobody ends it");
            assert!(!running.is_silent(minute * 60_000));
        }
        assert!(running.is_silent(3 * 60_000 + SILENT_MS_MAX + 1));
        running.ask_to_end();
        running.status.go_on().expect_err("it is to end");
    }
}
