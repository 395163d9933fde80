//! Output that is gone soon after it was written: its timestamps, which are event times, are older than the time for which its topic
//! keeps records by the cluster's clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, TransportError};
use headwater_formats::record::{OutBatch, TopicPartition};
use headwater_language::catalog::QueryDef;
use headwater_language::definition::SourceDef;

/// The sink of a query that does not keep its records for ever.
#[derive(Debug)]
pub(super) struct Expiring {
    topic: Arc<str>,
    retention_ms: i64,
}

impl Expiring {
    /// A topic; `None` if it keeps its records.
    pub(super) fn new(topic: &str, retention_ms: Option<i64>) -> Option<Self> {
        Some(Self { topic: topic.into(), retention_ms: retention_ms? })
    }

    /// What to tell the user if one of these records is too old for its topic.
    pub(super) fn warning(&self, batch: &OutBatch, now_ms: i64) -> Option<String> {
        let times = batch.timestamps_ms.as_ref().filter(|_| batch.topic == self.topic)?;
        let earliest = times.iter().min()?;
        (*earliest < now_ms.saturating_sub(self.retention_ms)).then(|| {
            format!("rows are older than topic \"{}\" keeps them: {}", self.topic, consequence(self.retention_ms))
        })
    }
}

/// What to tell the user if the sources of a new query have records that are older than its output topic keeps records. Sources
/// whose event time is a column are not examined, and neither are those of which only new records are read. Blocks.
pub(crate) fn older_input(admin: &dyn Admin, query: &QueryDef, now_ms: i64) -> Result<Option<String>, TransportError> {
    let Some(sink) = query.topology.sink() else { return Ok(None) };
    let Some(retention_ms) = admin.record_limits(&sink.topic)?.retention_ms else { return Ok(None) };
    let reads_old = query.property("auto.offset.reset") == "earliest";
    let is_read = |source: &&SourceDef| reads_old || query.topology.reads_table(&source.topic);
    for source in query.topology.sources().filter(is_read).filter(|source| source.event_time.is_none()) {
        if has_older(admin, &source.topic, now_ms.saturating_sub(retention_ms))? {
            let why = consequence(retention_ms);
            return Ok(Some(format!(
                "topic \"{}\" has records that are older than topic \"{}\" keeps rows: {why}",
                source.topic, sink.topic
            )));
        }
    }
    Ok(None)
}

/// Whether a topic has records from before a time.
fn has_older(admin: &dyn Admin, topic: &str, time_ms: i64) -> Result<bool, TransportError> {
    let marks = admin.watermarks(topic, Isolation::ReadCommitted)?;
    let partition = |number: i32| TopicPartition::new(topic, number);
    let times: BTreeMap<TopicPartition, i64> =
        (0..).zip(&marks).map(|(number, _)| (partition(number), time_ms)).collect();
    let first = admin.offsets_for_times(&times)?;
    Ok((0..).zip(&marks).any(|(number, marks)| {
        let first = first.get(&partition(number)).copied().flatten().unwrap_or(marks.end);
        first > marks.start
    }))
}

fn consequence(retention_ms: i64) -> String {
    format!(
        "the cluster will delete rows that are older than {} (retention.ms). WITH (RETENTION_MS = -1) keeps them, and WINDOW … \
         (…, RETENTION …) keeps windows longer",
        in_words(retention_ms)
    )
}

/// A duration in its largest whole unit.
fn in_words(ms: i64) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "ms")];
    let whole = units.into_iter().find(|(unit, _)| ms >= *unit && ms % unit == 0);
    let (unit, name) = whole.unwrap_or((1, "ms"));
    let plural = if ms == unit || name == "ms" { "" } else { "s" };
    format!("{} {name}{plural}", ms / unit)
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::Transport as _;

    use super::super::for_tests::Process;
    use super::*;
    use crate::answer::{Answer, Facts};

    const HOURLY: &str = "AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k;";

    async fn warnings(process: &mut Process, statement: &str) -> Vec<String> {
        let Answer::Done { warnings, .. } = process.ask(statement).await else { panic!("it is done") };
        warnings
    }

    /// Goal: who replays old data into windows learns that they will be gone, when the query is created. Method: records of 1970.
    #[tokio::test]
    async fn a_query_over_old_records_warns_that_its_rows_will_be_gone() {
        let mut process = Process::with(&["SET 'auto.offset.reset' = 'earliest';"]).await;
        assert!(warnings(&mut process, &format!("CREATE TABLE t {HOURLY}")).await.is_empty(), "there are no records");
        process.ask("INSERT INTO s (ROWTIME, k, a, v) VALUES (1000, 'a', 1, 1);").await;
        let found = warnings(&mut process, &format!("CREATE TABLE u {HOURLY}")).await;
        let expected = "topic \"s\" has records that are older than topic \"U\" keeps rows: the cluster will delete rows that are older \
                        than 1 day (retention.ms). WITH (RETENTION_MS = -1) keeps them, and WINDOW … (…, RETENTION …) keeps windows longer";
        assert_eq!(found, [expected]);
        let kept = format!("CREATE TABLE v WITH (RETENTION_MS = -1) {HOURLY}");
        assert!(warnings(&mut process, &kept).await.is_empty());
        let plain = "CREATE TABLE w AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
        assert!(warnings(&mut process, plain).await.is_empty(), "it keeps the latest row of each key");
        process.ask("SET 'auto.offset.reset' = 'latest';").await;
        assert!(warnings(&mut process, &format!("CREATE TABLE x {HOURLY}")).await.is_empty(), "they are not read");
    }

    /// Goal: the same is reported once by a query that writes such rows, and only then. Method: the clock of the query is that of the
    /// test.
    #[tokio::test]
    async fn a_query_that_writes_old_rows_reports_it_once() {
        let mut process = Process::with(&[&format!("CREATE TABLE t {HOURLY}")]).await;
        for time_ms in [1_000, 2_000, 3_000, 4_000] {
            process.ask(&format!("INSERT INTO s (ROWTIME, k, a, v) VALUES ({time_ms}, 'k{time_ms}', 1, 1);")).await;
        }
        let engine =
            crate::Engine::new(Arc::new(process.cluster.clone()), &headwater_language::config::Settings::default());
        process.engine = engine;
        process.ask("SHOW TABLES;").await;
        process.engine.process().work();
        process.await_rows("SELECT COUNT(*) AS n FROM t;", &["4"]).await;
        let Answer::Facts(Facts::QueryDescriptions(described)) = process.ask("EXPLAIN CTAS_T_2;").await else {
            panic!("no description")
        };
        let errors = format!("{:?}", described[0]);
        assert_eq!(errors.matches("rows are older than topic").count(), 1, "{errors}");
        process.engine.stop_queries();
    }

    /// W7: changelogs are compacted and never expire, whatever the times of the rows are.
    #[tokio::test]
    async fn changelogs_do_not_expire() {
        let mut process = Process::with(&[&format!("CREATE TABLE t {HOURLY}")]).await;
        process.ask("INSERT INTO s (ROWTIME, k, a, v) VALUES (1000, 'a', 1, 1);").await;
        assert_eq!(process.run().await, None);
        let topics = process.cluster.admin().topics().expect("topics");
        let own: Vec<_> = topics.iter().filter(|topic| topic.name.contains("query_CTAS_T")).collect();
        assert_eq!(own.len(), 2, "an exchange and a changelog");
        for topic in own {
            let limits = process.cluster.admin().record_limits(&topic.name).expect("a topic");
            assert_eq!(limits.retention_ms, None, "{}", topic.name);
        }
    }
}
