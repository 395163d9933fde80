//! The registry over its log: a request is answered when its changes are in the log.
//!
//! Separate from the state, which is still, and from the server, which is HTTP.
//!
//! Requests are handled in threads that may block, since parsing and comparing schemas may take seconds. Each has the
//! state as it was when it began: those that change nothing wait neither for the log nor for each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use headwater_formats::panic::words;
use parking_lot::RwLock;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;

use crate::api::{self, Outcome};
use crate::fault::Fault;
use crate::log::{LogError, LogRecord, SchemaLog};
use crate::record::Change;
use crate::request::{Answer, Method, Request};
use crate::state::State;

/// How many schemas are parsed and compared at once, beside the one that is being registered. Others wait.
const COMPARED_MAX: usize = 4;

/// A registry.
pub(crate) struct SchemaRegistry {
    log: Box<dyn SchemaLog>,
    /// What is in the log. `None` while only the log knows: until the first request, and after a write whose outcome is
    /// not known. Locked for no longer than it takes to apply a change.
    state: RwLock<Option<Arc<State>>>,
    /// Held by whoever reads the log or changes something, from the decision until the change is applied.
    writer: Mutex<()>,
    compared: Semaphore,
}

impl SchemaRegistry {
    /// Reads nothing yet.
    pub(crate) fn new(log: Box<dyn SchemaLog>) -> Self {
        Self { log, state: RwLock::default(), writer: Mutex::default(), compared: Semaphore::new(COMPARED_MAX) }
    }

    /// The answer to a request. It must be awaited to its end: a change that is dropped half-way may be in the log.
    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let answered = match api::is_change(&request) {
            true => self.change(request).await,
            false => self.look_up(request).await,
        };
        answered.unwrap_or_else(|LogError(problem)| Fault::Store(problem).answer())
    }

    async fn look_up(&self, request: Request) -> Result<Answer, LogError> {
        let known = self.state.read().clone();
        let state = match known {
            Some(state) => state,
            None => {
                let _writer = self.writer.lock().await;
                self.known().await?
            }
        };
        // What only reads is not kept waiting by what has a schema to parse.
        let _permit = match request.method {
            Method::Post => self.compared.acquire().await.ok(),
            _ => None,
        };
        Ok(handle(state, request).await.answer)
    }

    async fn change(&self, request: Request) -> Result<Answer, LogError> {
        // Nothing else changes between the decision and its record.
        let _writer = self.writer.lock().await;
        let state = self.known().await?;
        let Outcome { changes, answer } = handle(state, request).await;
        if changes.is_empty() {
            return Ok(answer);
        }
        if let Err(error) = self.log.append(changes.iter().map(Change::to_record).collect()).await {
            *self.state.write() = None;
            return Err(error);
        }
        if let Some(state) = &mut *self.state.write() {
            // Requests that have the state as it was keep it.
            let state = Arc::make_mut(state);
            changes.into_iter().for_each(|change| state.apply(change));
        }
        Ok(answer)
    }

    /// What is known, read from the log if need be. The caller is the writer.
    async fn known(&self) -> Result<Arc<State>, LogError> {
        let known = self.state.read().clone();
        if let Some(state) = known {
            return Ok(state);
        }
        let records = self.log.read_all().await?;
        let replayed = spawn_blocking(move || replayed(&records)).await;
        let state = Arc::new(replayed.map_err(|panic| LogError(format!("internal error: {panic}")))?);
        *self.state.write() = Some(Arc::clone(&state));
        Ok(state)
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
async fn handle(state: Arc<State>, request: Request) -> Outcome {
    let work = move || catch_unwind(AssertUnwindSafe(|| api::handle(&state, &request)));
    let problem = match spawn_blocking(work).await {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(panic)) => words(panic.as_ref()).to_owned(),
        // The process is ending.
        Err(error) => error.to_string(),
    };
    tracing::error!(problem, "a request to the schema registry panicked");
    Outcome { changes: Vec::new(), answer: Fault::Internal(problem).answer() }
}

fn shown(record: &LogRecord) -> String {
    const SHOWN_MAX: usize = 200;
    String::from_utf8_lossy(&record.key[..record.key.len().min(SHOWN_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use async_trait::async_trait;

    use super::*;
    use crate::log::MemoryLog;

    /// Asks the registry for what it knows, each time that something is appended.
    #[derive(Clone, Default)]
    struct AskingLog {
        records: MemoryLog,
        registry: Arc<OnceLock<Arc<SchemaRegistry>>>,
        answers: Arc<parking_lot::Mutex<Vec<String>>>,
    }

    #[async_trait]
    impl SchemaLog for AskingLog {
        async fn read_all(&self) -> Result<Vec<LogRecord>, LogError> {
            self.records.read_all().await
        }

        async fn append(&self, records: Vec<LogRecord>) -> Result<(), LogError> {
            let registry = self.registry.get().expect("it is set");
            for (method, target, body) in [
                (Method::Get, "/subjects", ""),
                (Method::Post, "/compatibility/subjects/a/versions", r#"{"schema":"\"int\""}"#),
            ] {
                let answer = registry.answer(Request::new(method, target, body.as_bytes().to_vec())).await;
                self.answers.lock().push(answer.body);
            }
            self.records.append(records).await
        }
    }

    /// Goal: what is known is answered while a change is being written. Were it to wait, this would not end.
    #[tokio::test]
    async fn a_change_keeps_nobody_waiting() {
        let log = AskingLog::default();
        let registry = Arc::new(SchemaRegistry::new(Box::new(log.clone())));
        assert!(log.registry.set(Arc::clone(&registry)).is_ok());
        for subject in ["a", "b"] {
            let body = br#"{"schema":"\"int\""}"#.to_vec();
            let register = Request::new(Method::Post, &format!("/subjects/{subject}/versions"), body);
            assert_eq!(registry.answer(register).await.body, r#"{"id":1}"#);
        }
        let compatible = r#"{"is_compatible":true}"#;
        assert_eq!(*log.answers.lock(), ["[]", compatible, r#"["a"]"#, compatible]);
        let subjects = registry.answer(Request::new(Method::Get, "/subjects", Vec::new())).await;
        assert_eq!(subjects.body, r#"["a","b"]"#);
    }
}
