//! What a driver runs: a query, compiled, with the names of its group and transactions.

use std::sync::Arc;

use headwater_connectors::transport::TransportError;
use headwater_formats::record::{TopicPartition, Wanted};

use headwater_dataflow::Compiled;
use headwater_language::catalog::QueryDef;
use headwater_language::config::{DECIMAL_DIVISION, Settings};
use headwater_language::diagnostic::Diagnostic;
use headwater_planner::continuous::{self, THROWS_ON_INVALID_TIME};

/// What a driver runs.
#[derive(Clone)]
pub struct Job {
    /// The query.
    pub(super) query: Arc<QueryDef>,
    /// Its topology, ready to run.
    pub(super) compiled: Compiled,
    /// The service id, which names groups and topics of its own.
    pub(super) service_id: String,
    /// It ends when everything that was there at the start is processed and committed.
    pub(super) until_idle: bool,
    /// Threads of its own read ahead and write, so that the query goes on meanwhile.
    pub(super) in_threads: bool,
}

impl Job {
    /// A query made ready to run. Fails on one that cannot be compiled.
    pub fn new(query: Arc<QueryDef>, service_id: &str, until_idle: bool) -> Result<Self, Vec<Diagnostic>> {
        let state = continuous::state_of(&query.topology, &settings_of(&query).map_err(|error| vec![*error])?)?;
        let compiled = Compiled::new(&query.topology, &state)?;
        let compiled = compiled.stopping_on_time(query.property(THROWS_ON_INVALID_TIME) == "true");
        Ok(Self { query, compiled, service_id: service_id.to_owned(), until_idle, in_threads: true })
    }

    /// The name of the query's consumer group.
    pub fn group(&self) -> String {
        group_of(&self.service_id, &self.query)
    }

    pub(super) fn is_exactly_once(&self) -> bool {
        self.query.property("processing.guarantee") != "at_least_once"
    }

    pub(super) fn commit_interval_ms(&self) -> i64 {
        self.query.property("commit.interval.ms").parse().unwrap_or(1_000)
    }

    /// The transactional id of whoever has this partition as its first: nobody else has, so that taking
    /// the partition over ends what its former owner left open.
    pub(super) fn transactional_id(&self, first: &TopicPartition) -> String {
        format!("{}-{}", self.group(), first.partition)
    }

    pub(super) fn wanted(&self) -> Result<Wanted, TransportError> {
        let wanted = self.compiled.wanted().map_err(TransportError::internal)?;
        // What goes to a dead-letter topic goes there whole.
        Ok(if self.query.dlq_topic.is_some() { Wanted::ALL } else { wanted })
    }
}

/// The settings under which a query's expressions are computed: as they were when it was made.
fn settings_of(query: &QueryDef) -> Result<Settings, Box<Diagnostic>> {
    let mut settings = Settings::default();
    // Before there was this property every quotient was exact or NULL; a query that began so goes on so.
    let division = query.properties.get(DECIMAL_DIVISION).map_or("exact", String::as_str);
    settings.set(DECIMAL_DIVISION, division)?;
    Ok(settings)
}

/// The consumer group under which a query of a service id commits.
pub fn group_of(service_id: &str, query: &QueryDef) -> String {
    format!("{}{service_id}query_{}", super::OWN_TOPICS, query.unique_name())
}
