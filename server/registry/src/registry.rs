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
    state: RwLock<State>,
}

impl SchemaRegistry {
    /// Reads the log.
    pub(crate) async fn open(log: Box<dyn SchemaLog>) -> Result<Self, LogError> {
        let mut state = State::default();
        for record in log.read_all().await? {
            match Change::from_record(&record) {
                Ok(change) => change.into_iter().for_each(|change| state.apply(change)),
                // One bad record must not make all other schemas unreadable.
                Err(error) => tracing::warn!(key = %shown(&record), %error, "ignored a record of the schema log"),
            }
        }
        Ok(Self { log, state: RwLock::new(state) })
    }

    pub(crate) async fn answer(&self, request: &Request) -> Answer {
        if !api::is_change(request) {
            return handle(&*self.state.read().await, request).answer;
        }
        // Nothing else changes between the decision and its record.
        let mut state = self.state.write().await;
        let Outcome { changes, answer } = handle(&state, request);
        if changes.is_empty() {
            return answer;
        }
        if let Err(LogError(problem)) = self.log.append(changes.iter().map(Change::to_record).collect()).await {
            return Fault::Store(problem).answer();
        }
        changes.into_iter().for_each(|change| state.apply(change));
        answer
    }
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
