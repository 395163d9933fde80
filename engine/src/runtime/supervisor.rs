//! Keeps the persistent queries of the catalog running in this process: one thread per query, restarted on failure.
//!
//! A query that fails is restarted after a pause, unless only the user can fix the cause; a panic counts as a
//! failure. Queries do not affect each other.

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{Transport, TransportError, TransportErrorKind};
use headwater_formats::panic::words;
use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::{Diagnostic, INTERNAL, LOST};

use super::descriptors::room_for_queries;
use super::driver::{Driver, StepOutcome};
use super::job::Job;
use super::query_status::{QueryStatus, State, StatusSnapshot};
use super::refusals::Refusals;
use super::signal::Signal;
use super::states::States;
use crate::failure::transport;

/// Longest wait of a query that has nothing to do, and so the longest time until it notices that it must stop.
const WAIT: Duration = Duration::from_millis(500);
/// How long a call of a driver may take before its query is restarted without it, in ms. Every call has a shorter
/// time limit, but librdkafka does not respect all of them.
const SILENT_MS_MAX: i64 = 90_000;
/// How long to wait for a query to stop: somewhat longer than a commit may take.
const END_MAX: Duration = Duration::from_secs(40);
/// Stack size of a query's thread, which compiles and evaluates expressions as deeply nested as a statement may write
/// them. The memory is only allocated as it is used.
const STACK_BYTES: usize = 32 << 20;
/// First pause after a failure. It doubles with each further failure until a commit succeeds.
const BACKOFF: Duration = Duration::from_millis(500);
/// Longest pause after a failure, and so the longest time until the end of an outage is noticed.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// The persistent queries of this process.
pub struct Supervisor {
    transport: Arc<dyn Transport>,
    service_id: String,
    states: Arc<States>,
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
}

impl Supervisor {
    /// A supervisor that runs nothing yet. The states of its queries are shown in `states`.
    pub fn new(transport: Arc<dyn Transport>, service_id: &str, states: &Arc<States>) -> Self {
        Self {
            transport,
            service_id: service_id.to_owned(),
            states: states.clone(),
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
        self.stop(&gone);
        for running in self.running.values() {
            let Some(query) = catalog.query(&running.query.id) else { continue };
            running.status.set_resumed(query.resumed);
            let began = query.began;
            if began.is_some_and(|began| began >= restarts(&running.query)) {
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
        let is_silent = |running: &Running| {
            !running.ended.is_set() && running.status.stuck_ms(now_ms).is_some_and(|ms| ms > SILENT_MS_MAX)
        };
        let mut abandoned = Vec::new();
        self.running.retain(|id, running| {
            let silent = is_silent(running);
            if silent {
                tracing::error!(query_id = %id, silent_s = SILENT_MS_MAX / 1_000, "query is stuck; restarting it");
                running.stop.set();
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
            let restart = restarts(&running.query);
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
        stopping.iter().for_each(|running| running.stop.set());
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
        Running { query, stop, ended, status, thread: thread.ok() }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl Running {
    /// True when this is the query as the catalog has it. A query that failed runs again after a RESUME.
    fn is_current(&self, wanted: &Arc<QueryDef>) -> bool {
        // Usually the catalog has not changed.
        if Arc::ptr_eq(&self.query, wanted) {
            return !wanted.paused;
        }
        let failed = matches!(self.status.snapshot().state, State::Failed(_));
        let resumed = if failed { self.query.resumed } else { wanted.resumed };
        // This process itself reports that the query has begun.
        let began = wanted.began;
        !wanted.paused && QueryDef { resumed, began, ..(*self.query).clone() } == **wanted
    }

    /// Why the query stopped, if it failed for good.
    fn failure(&self) -> Option<Diagnostic> {
        let State::Failed(error) = self.status.snapshot().state else { return None };
        Some(Diagnostic { message: format!("query \"{}\": {}", self.query.id, error.message), ..error })
    }

    fn is_over(&self) -> bool {
        matches!(self.status.snapshot().state, State::Ended | State::Failed(_))
    }

    fn end(&mut self) {
        self.stop.set();
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

/// Runs one query in this process: attempts with pauses between them.
struct Runner {
    transport: Arc<dyn Transport>,
    service_id: String,
    states: Arc<States>,
    query: Arc<QueryDef>,
    until_idle: bool,
    stop: Arc<Signal>,
    status: Arc<QueryStatus>,
    refusals: Arc<Refusals>,
}

impl Runner {
    fn run(self) {
        let mut pause = BACKOFF;
        let mut was_missing = false;
        while !self.stop.is_set() {
            let commits = self.status.snapshot().commits;
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt()));
            let Err(failure) = attempt.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) else { break };
            if self.status.snapshot().commits > commits {
                (pause, was_missing) = (BACKOFF, false);
            }
            let is_missing = matches!(failure, Failure::Missing(_));
            match failure {
                Failure::Final(error) => return self.fail(error),
                // The next attempt creates Headwater's own topics again, but no others.
                Failure::Missing(error) if self.until_idle && was_missing => return self.fail(error),
                Failure::Denied(error) if self.until_idle => return self.fail(error),
                Failure::Learned(error) => {
                    tracing::warn!(query_id = %self.query.id, %error, "topic refused a record; retrying without it");
                    continue;
                }
                Failure::Missing(error) | Failure::Denied(error) | Failure::Passing(error) => self.wait(error, pause),
            }
            was_missing = is_missing;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        self.status.set_state(State::Ended);
    }

    fn attempt(&self) -> Result<(), Failure> {
        let job = Job::new(self.definition(), &self.service_id, self.until_idle)
            .map_err(|errors| Failure::Final(first(errors)))?;
        self.drive(job).map_err(|error| match self.refusals.failed(&error) {
            true => Failure::Learned(transport(&error)),
            false => error.into(),
        })
    }

    /// Drives the query until it is stopped or has nothing left to do.
    fn drive(&self, job: Job) -> Result<(), TransportError> {
        let (transport, status) = (self.transport.clone(), self.status.clone());
        let mut driver = Driver::new(transport, job, status, self.refusals.clone())?.shown_in(&self.states);
        self.status.set_state(State::Starting);
        while !self.stop.is_set() {
            self.status.beat(now_ms());
            // If this fails, dropping the driver discards what is not committed.
            let step = driver.step(now_ms(), WAIT)?;
            if let Some(warning) = self.status.take_news() {
                tracing::warn!(query_id = %self.query.id, "{warning}");
            }
            if step == StepOutcome::Done {
                break;
            }
        }
        driver.finish(now_ms())?;
        // Everything is committed; leaving the group takes a moment.
        self.status.set_state(State::Ended);
        Ok(())
    }

    /// The query as this process knows it, including that it has begun, which the catalog may not say yet.
    fn definition(&self) -> Arc<QueryDef> {
        match self.status.has_position() {
            false => self.query.clone(),
            true => Arc::new(QueryDef { began: Some(restarts(&self.query)), ..(*self.query).clone() }),
        }
    }

    fn fail(&self, error: Diagnostic) {
        let error = if error.code == LOST { self.with_choice(error) } else { error };
        tracing::error!(query_id = %self.query.id, %error, "query stopped");
        self.status.set_state(State::Failed(error));
    }

    /// The error of a lost position, with what the user can do about it.
    fn with_choice(&self, error: Diagnostic) -> Diagnostic {
        let detail = "The query stops, because only you know which records it should read.";
        error.detail(detail).hint(self.query.way_out())
    }

    fn wait(&self, error: Diagnostic, pause: Duration) {
        let pause = jittered(pause);
        let seconds = pause.as_secs_f64();
        tracing::warn!(query_id = %self.query.id, %error, retry_in_s = seconds, "query failed; retrying");
        let at = now_ms() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.status.set_state(State::Retrying(error, at));
        self.stop.wait(pause);
        self.status.beat(now_ms());
    }
}

/// A pause shortened by a random amount of up to a half, so that queries that failed together do not retry together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() as u32;
    pause.mul_f64(1.0 - 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Why an attempt ended.
enum Failure {
    /// Another attempt may succeed.
    Passing(Diagnostic),
    /// A topic does not exist; someone may create it again.
    Missing(Diagnostic),
    /// An access right is missing or was revoked; someone may grant it.
    Denied(Diagnostic),
    /// A topic refused a record; the next attempt will handle it differently.
    Learned(Diagnostic),
    /// Only the user can fix the cause.
    Final(Diagnostic),
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        use TransportErrorKind as K;
        let diagnostic = transport(&error);
        match error.kind {
            K::TopicExists | K::Invalid | K::Lost => Self::Final(diagnostic),
            K::Authentication | K::Tls | K::Authorization => Self::Denied(diagnostic),
            K::UnknownTopic => Self::Missing(diagnostic),
            K::Unreachable | K::Timeout | K::Fenced | K::Refused | K::Other => Self::Passing(diagnostic),
        }
    }
}

/// The number of the latest RESUME … FROM of a query; 0 if there was none.
fn restarts(query: &QueryDef) -> u64 {
    query.restart.as_ref().map_or(0, |restart| restart.number)
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let message = format!("internal error in the query: {}", words(panic));
    Failure::Passing(Diagnostic::new(INTERNAL, message))
}

fn first(errors: Vec<Diagnostic>) -> Diagnostic {
    errors.into_iter().next().unwrap_or_else(|| Diagnostic::new(INTERNAL, "the query could not be compiled"))
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
