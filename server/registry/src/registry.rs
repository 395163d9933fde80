//! The registry over its log: a request is answered when its changes are in the log.
//!
//! Separate from the state, which is still, and from the server, which is HTTP.

use std::panic::{AssertUnwindSafe, catch_unwind};

use headwater_formats::panic::words;
use tokio::sync::RwLock;

use crate::api::{self, Outcome};
use crate::fault::Fault;
use crate::log::{LogError, LogRecord, SchemaLog};
use crate::record::Change;
use crate::request::{Answer, Request};
use crate::state::State;

/// A registry.
pub(crate) struct SchemaRegistry {
    log: Box<dyn SchemaLog>,
    /// `None` while only the log knows: until the first request, and after a write whose outcome is not known.
    state: RwLock<Option<State>>,
}

impl SchemaRegistry {
    /// Reads nothing yet.
    pub(crate) fn new(log: Box<dyn SchemaLog>) -> Self {
        Self { log, state: RwLock::default() }
    }

    /// The answer to a request. It must be awaited to its end: a change that is dropped half-way may be in the log.
    pub(crate) async fn answer(&self, request: &Request) -> Answer {
        let answered = match api::is_change(request) {
            true => self.change(request).await,
            false => self.look_up(request).await,
        };
        answered.unwrap_or_else(|LogError(problem)| Fault::Store(problem).answer())
    }

    async fn look_up(&self, request: &Request) -> Result<Answer, LogError> {
        if let Some(state) = &*self.state.read().await {
            return Ok(handle(state, request).answer);
        }
        let mut state = self.state.write().await;
        Ok(handle(self.known(&mut state).await?, request).answer)
    }

    async fn change(&self, request: &Request) -> Result<Answer, LogError> {
        // Nothing else changes between the decision and its record.
        let mut state = self.state.write().await;
        let known = self.known(&mut state).await?;
        let Outcome { changes, answer } = handle(known, request);
        if changes.is_empty() {
            return Ok(answer);
        }
        if let Err(error) = self.log.append(changes.iter().map(Change::to_record).collect()).await {
            *state = None;
            return Err(error);
        }
        changes.into_iter().for_each(|change| known.apply(change));
        Ok(answer)
    }

    /// What is known, read from the log if need be.
    async fn known<'a>(&self, state: &'a mut Option<State>) -> Result<&'a mut State, LogError> {
        Ok(match state {
            Some(state) => state,
            None => state.insert(replayed(&self.log.read_all().await?)),
        })
    }
}

fn replayed(records: &[LogRecord]) -> State {
    let mut state = State::default();
    for record in records {
        match Change::from_record(record) {
            Ok(change) => change.into_iter().for_each(|change| state.apply(change)),
            // One bad record must not make all other schemas unreadable.
            Err(error) => tracing::warn!(key = %shown(record), %error, "ignored a record of the schema log"),
        }
    }
    state
}

/// A panic in a parser costs its request and nothing else: nothing is changed while a request is handled.
fn handle(state: &State, request: &Request) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| api::handle(state, request))).unwrap_or_else(|panic| {
        let problem = words(panic.as_ref());
        tracing::error!(problem, "a request to the schema registry panicked");
        Outcome { changes: Vec::new(), answer: Fault::Internal(problem.to_owned()).answer() }
    })
}

fn shown(record: &LogRecord) -> String {
    const SHOWN_MAX: usize = 200;
    String::from_utf8_lossy(&record.key[..record.key.len().min(SHOWN_MAX)]).into_owned()
}
