//! One query in this process: attempts with pauses between them.

use std::any::Any;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{Transport, TransportError, TransportErrorKind};
use headwater_formats::panic::words;
use headwater_language::catalog::QueryDef;
use headwater_language::diagnostic::{Diagnostic, INTERNAL, LOST};

use super::driver::{Driver, StepOutcome};
use super::job::Job;
use super::query_status::{QueryStatus, State};
use super::refusals::Refusals;
use super::signal::Signal;
use super::snapshots::Snapshots;
use super::states::States;
use crate::failure::transport;

/// Longest wait of a query that has nothing to do, and so the longest time until it notices that it must stop.
const WAIT: Duration = Duration::from_millis(500);
/// First pause after a failure. It doubles with each further failure until a commit succeeds.
const BACKOFF: Duration = Duration::from_millis(500);
/// Longest pause after a failure, and so the longest time until the end of an outage is noticed.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Runs one query in this process.
pub(super) struct Runner {
    /// The cluster.
    pub(super) transport: Arc<dyn Transport>,
    /// The service id.
    pub(super) service_id: String,
    /// Where readers find its state.
    pub(super) states: Arc<States>,
    /// The local snapshots of its state.
    pub(super) snapshots: Arc<Snapshots>,
    /// The query.
    pub(super) query: Arc<QueryDef>,
    /// Whether it ends when its current input is processed.
    pub(super) until_idle: bool,
    /// Set when it must end.
    pub(super) stop: Arc<Signal>,
    /// Its status.
    pub(super) status: Arc<QueryStatus>,
    /// The records that topics refuse, as far as earlier attempts have learned.
    pub(super) refusals: Arc<Refusals>,
}

impl Runner {
    /// Runs it until it is stopped, has nothing left to do, or has failed for good.
    pub(super) fn run(self) {
        let mut pause = BACKOFF;
        let (mut was_missing, mut has_failed) = (false, false);
        while !self.stop.is_set() {
            let commits = self.status.commits();
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(has_failed)));
            let Err(failure) = attempt.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) else { break };
            if self.stop.is_set() && failure.may_pass() {
                tracing::debug!(query_id = %self.query.id, "query was asked to end before it could commit");
                break;
            }
            if self.status.commits() > commits {
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
            (was_missing, has_failed) = (is_missing, true);
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        self.status.set_state(State::Ended);
    }

    fn attempt(&self, has_failed: bool) -> Result<(), Failure> {
        let job = Job::new(self.definition(), &self.service_id, self.until_idle)
            .map_err(|errors| Failure::Final(first(errors)))?;
        self.drive(job, has_failed).map_err(|error| match self.refusals.failed(&error) {
            true => Failure::Learned(transport(&error)),
            false => error.into(),
        })
    }

    /// Drives the query until it is stopped or has nothing left to do. After a failure, its first commit is reported.
    fn drive(&self, job: Job, has_failed: bool) -> Result<(), TransportError> {
        let (transport, status) = (self.transport.clone(), self.status.clone());
        let mut driver = Driver::new(transport, job, status, self.refusals.clone())?;
        driver = driver.shown_in(&self.states).kept_in(&self.snapshots);
        self.status.set_state(State::Starting);
        let mut failed_at = has_failed.then(|| self.status.commits());
        while !self.stop.is_set() {
            self.status.beat(now_ms());
            // If this fails, dropping the driver discards what is not committed.
            let step = driver.step(now_ms(), WAIT)?;
            if let Some(warning) = self.status.take_news() {
                tracing::warn!(query_id = %self.query.id, "{warning}");
            }
            if failed_at.is_some_and(|commits| self.status.commits() > commits) {
                tracing::warn!(query_id = %self.query.id, "query runs again");
                failed_at = None;
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
            true => Arc::new(QueryDef { began: Some(self.query.restarts()), ..(*self.query).clone() }),
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
        let seconds = (pause.as_secs_f64() * 10.0).ceil() / 10.0;
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

impl Failure {
    /// Whether another attempt may succeed without anyone's help.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Passing(_) | Self::Learned(_))
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        use TransportErrorKind as K;
        let diagnostic = transport(&error);
        match error.kind {
            K::TopicExists | K::Invalid | K::Lost => Self::Final(diagnostic),
            K::Authentication | K::Tls | K::Authorization => Self::Denied(diagnostic),
            K::UnknownTopic => Self::Missing(diagnostic),
            K::Unreachable | K::Timeout | K::Fenced | K::Refused | K::Disk | K::Other => Self::Passing(diagnostic),
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let message = format!("internal error in the query: {}", words(panic));
    Failure::Passing(Diagnostic::new(INTERNAL, message))
}

fn first(errors: Vec<Diagnostic>) -> Diagnostic {
    errors.into_iter().next().unwrap_or_else(|| Diagnostic::new(INTERNAL, "the query could not be compiled"))
}

/// The current time, in ms since the epoch.
pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
