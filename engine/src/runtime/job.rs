//! What a driver runs: a compiled query, with the names of its group and transactions.

use std::num::NonZero;
use std::sync::Arc;

use headwater_connectors::transport::TransportError;
use headwater_dataflow::{CompileOptions, Compiled};
use headwater_formats::record::{TopicPartition, Wanted};
use headwater_language::catalog::QueryDef;
use headwater_language::config::{DECIMAL_DIVISION, Settings};
use headwater_language::diagnostic::Diagnostic;
use headwater_planner::continuous::{self, CACHE_BYTES, THREADS, THROWS_ON_INVALID_TIME};

/// Most bytes of a group in the names of topics, which have 249 bytes at most.
const GROUP_BYTES_MAX: usize = 200;

/// A compiled query, ready for a driver.
#[derive(Clone)]
pub struct Job {
    /// The query.
    pub(super) query: Arc<QueryDef>,
    /// Its compiled topology.
    pub(super) compiled: Compiled,
    /// The service id, which is part of the names of groups and topics.
    pub(super) service_id: String,
    /// It ends when all input that existed at the start is processed and committed.
    pub(super) until_idle: bool,
    /// Separate threads read ahead and write, so that the query can compute in the meantime.
    pub(super) in_threads: bool,
}

impl Job {
    /// Compiles a query. Fails if it cannot be compiled.
    pub fn new(query: Arc<QueryDef>, service_id: &str, until_idle: bool) -> Result<Self, Vec<Diagnostic>> {
        let state = continuous::state_of(&query.topology, &settings_of(&query).map_err(|error| vec![*error])?)?;
        let options = CompileOptions {
            stops_on_time: query.property(THROWS_ON_INVALID_TIME) == "true",
            emits_every_change: query.property(CACHE_BYTES) == "0",
            ..own_topics(service_id, &query)
        };
        let compiled = Compiled::new(&query.topology, &state, &options)?;
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

    /// Most threads that process batches, not counting those that read and write.
    pub(super) fn threads(&self) -> usize {
        let given = self.query.property(THREADS).parse().unwrap_or(0);
        match (self.in_threads, given) {
            (false, _) => 1,
            (true, 0) => std::thread::available_parallelism().map_or(1, NonZero::get),
            (true, given) => given,
        }
    }

    /// The transactional id of the process whose first partition this is. No other process uses it, so taking over the
    /// partition ends the transaction that its former owner left open.
    pub(super) fn transactional_id(&self, first: &TopicPartition) -> String {
        let inputs = self.compiled.inputs();
        match inputs.iter().find(|input| **input.topic == *first.topic).map_or(0, |input| input.stage) {
            0 => format!("{}-{}", self.group(), first.partition),
            stage => format!("{}-{stage}-{}", self.group(), first.partition),
        }
    }

    /// Partitions in the order of the stages that read them.
    pub(super) fn by_stage(&self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let inputs = self.compiled.inputs();
        let stage = |p: &TopicPartition| inputs.iter().position(|input| **input.topic == *p.topic);
        let mut ordered = partitions.to_vec();
        ordered.sort_by_key(|partition| (stage(partition), partition.partition));
        ordered
    }

    pub(super) fn wanted(&self) -> Result<Wanted, TransportError> {
        let wanted = self.compiled.wanted().map_err(TransportError::internal)?;
        // Dead letters are complete records.
        Ok(if self.query.dlq_topic.is_some() { Wanted::ALL } else { wanted })
    }
}

/// The settings under which a query's expressions are evaluated: those of the time when it was created.
fn settings_of(query: &QueryDef) -> Result<Settings, Box<Diagnostic>> {
    let mut settings = Settings::default();
    // Before this property existed every quotient was exact or NULL; queries from that time keep that behaviour.
    let division = query.properties.get(DECIMAL_DIVISION).map_or("exact", String::as_str);
    settings.set(DECIMAL_DIVISION, division)?;
    Ok(settings)
}

/// How the topics that belong to a query alone are named.
pub(super) fn own_topics(service_id: &str, query: &QueryDef) -> CompileOptions {
    CompileOptions { own_topics: topic_prefix(&group_of(service_id, query)), ..CompileOptions::default() }
}

/// What the names of a query's own topics begin with: its group, as far as a topic's name can hold it. A table may have any
/// name, and one of any length; the end of the group tells it from all others.
fn topic_prefix(group: &str) -> String {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let legal: String = group.chars().map(|letter| if is_legal(letter) { letter } else { '_' }).collect();
    match legal.len() {
        0..=GROUP_BYTES_MAX => format!("{legal}-"),
        bytes => {
            let half = GROUP_BYTES_MAX / 2;
            format!("{}{}-", &legal[..half], &legal[bytes - half..])
        }
    }
}

/// A name with only the letters that the names of topics may have, so that it can also be that of a file.
pub(super) fn legal_name(name: &str) -> String {
    let mut legal = topic_prefix(name);
    legal.pop();
    // No file is hidden, and none is the folder above.
    if legal.starts_with('.') { format!("_{legal}") } else { legal }
}

/// The consumer group of a query of a service id.
pub fn group_of(service_id: &str, query: &QueryDef) -> String {
    format!("{}{service_id}query_{}", super::OWN_TOPICS, query.unique_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_names_that_a_cluster_takes() {
        assert_eq!(topic_prefix("_headwater-a.b_c-1query_CTAS_T_1"), "_headwater-a.b_c-1query_CTAS_T_1-");
        assert_eq!(topic_prefix("query_CTAS_odd n\u{e4}me/x_2_75b9"), "query_CTAS_odd_n_me_x_2_75b9-");
        let long = topic_prefix(&format!("_headwater-query_CTAS_{}_3_75b9", "X".repeat(300)));
        assert!(long.starts_with("_headwater-query_CTAS_X") && long.ends_with("X_3_75b9-"), "{long}");
        assert_eq!(long.len(), GROUP_BYTES_MAX + 1);
    }
}
