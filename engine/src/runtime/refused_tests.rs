//! Records and complaints that their topic refuses: the query continues without them.
//!
//! Method: a query runs until idle over the memory transport, as `headwater run --until-idle` runs it, and the test reads
//! what it wrote and reported.

use std::sync::Arc;

use headwater_connectors::transport::Transport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_language::config::Settings;

use super::Ran;
use super::complaints::processing_log_topic;
use crate::answer::Answer;
use crate::{Engine, Session};

const SOURCE: &str =
    "CREATE STREAM s (n INT, v STRING) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";

struct Stage {
    cluster: MemoryTransport,
    engine: Engine,
    session: Session,
}

impl Stage {
    /// A cluster with the stream `s` and a query.
    async fn new(query: &str) -> Self {
        let cluster = MemoryTransport::new();
        let engine = Engine::new(Arc::new(cluster.clone()), &Settings::default());
        let mut stage = Self { cluster, engine, session: Session::new(Settings::default()) };
        stage.engine.process().apply_first();
        for statement in [SOURCE, query] {
            stage.ask(statement).await;
        }
        stage
    }

    async fn ask(&mut self, statement: &str) -> Answer {
        self.engine.ask(&mut self.session, statement).await.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"))
    }

    /// Inserts rows into `s`, numbered 0, 1, 2 and so on.
    async fn insert(&mut self, values: &[&str]) {
        for (n, value) in values.iter().enumerate() {
            self.ask(&format!("INSERT INTO s VALUES ({n}, '{value}');")).await;
        }
    }

    fn log(&self) -> String {
        processing_log_topic(self.engine.service_id())
    }

    async fn run(&self) -> Ran {
        let ran = self.engine.run_until_idle(|| false).await.expect("it runs");
        ran.into_iter().next().expect("one query")
    }

    /// The values of one column of a bounded query.
    async fn column(&mut self, query: &str) -> Vec<String> {
        use futures::TryStreamExt as _;
        let Answer::Rows(rows) = self.ask(query).await else { panic!("no rows") };
        let batches: Vec<_> = rows.stream.try_collect().await.expect("rows");
        let texts = |batch: arrow::array::RecordBatch| {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).expect("text");
            let texts = arrow::array::AsArray::as_string::<i32>(&column).iter();
            texts.map(|text| text.unwrap_or("null").to_owned()).collect::<Vec<_>>()
        };
        batches.into_iter().flat_map(texts).collect()
    }
}

#[tokio::test]
async fn a_limit_that_is_lowered_leaves_out_what_does_not_fit() {
    let mut stage = Stage::new("CREATE STREAM o AS SELECT n, v FROM s;").await;
    stage.insert(&["a", &"b".repeat(500), "c"]).await;
    stage.cluster.set("O", "max.message.bytes", "100").expect("a topic");
    let ran = stage.run().await;
    assert!(ran.error.is_none(), "{ran:?}");
    assert_eq!((ran.records_read, ran.records_written, ran.complaints), (3, 2, 1));
    assert_eq!(stage.column("SELECT n FROM o;").await, ["0", "2"]);
    let reasons = stage.column("SELECT reason FROM processing_log;").await;
    assert!(reasons.len() == 1 && reasons[0].contains("max.message.bytes"), "{reasons:?}");
}

#[tokio::test]
async fn what_is_refused_for_a_reason_that_no_setting_tells_is_found_and_left_out() {
    let mut stage = Stage::new("CREATE STREAM o AS SELECT n, v FROM s;").await;
    stage.insert(&["good", "evil", "good", "evil too", "good"]).await;
    stage.cluster.refuse("O", b"evil").expect("a topic");
    let ran = stage.run().await;
    assert!(ran.error.is_none(), "{ran:?}");
    assert_eq!((ran.records_read, ran.records_written, ran.complaints), (5, 3, 2), "rolled back rows do not count");
    assert_eq!(stage.column("SELECT n FROM o;").await, ["0", "2", "4"]);
    let reported =
        stage.column("SELECT source_offset FROM processing_log WHERE reason LIKE '%refuses the record%';").await;
    assert_eq!(reported, ["1", "3"]);
}

#[tokio::test]
async fn a_compacted_output_takes_no_records_without_a_key() {
    let mut stage = Stage::new("CREATE STREAM o AS SELECT v, n FROM s PARTITION BY v;").await;
    stage.insert(&["a", "b"]).await;
    stage.ask("INSERT INTO s (n) VALUES (9);").await;
    stage.cluster.set("O", "cleanup.policy", "compact").expect("a topic");
    let ran = stage.run().await;
    assert!(ran.error.is_none(), "{ran:?}");
    assert_eq!((ran.records_written, ran.complaints), (2, 1));
    let reasons = stage.column("SELECT reason FROM processing_log;").await;
    assert!(reasons[0].contains("has no key"), "{reasons:?}");
}

#[tokio::test]
async fn complaints_of_any_length_hold_up_nothing() {
    for (name, value) in [("max.message.bytes", "300"), ("max.message.bytes", "20"), ("retention.ms", "-1")] {
        let mut stage = Stage::new("CREATE STREAM o AS SELECT n, CAST(v AS INT) AS i FROM s;").await;
        stage.cluster.set(&stage.log(), name, value).expect("a topic");
        stage.insert(&["1", &"x".repeat(1_200_000), &"\t\u{1}".repeat(100_000)]).await;
        let ran = stage.run().await;
        assert!(ran.error.is_none(), "{ran:?}");
        assert_eq!((ran.records_written, ran.complaints), (3, 2));
        assert_eq!(stage.column("SELECT i FROM o;").await, ["1", "null", "null"]);
        let logged = stage.column("SELECT source_offset FROM processing_log;").await;
        assert_eq!(logged.len(), if value == "20" { 0 } else { 2 }, "{name}={value}");
    }
}

#[tokio::test]
async fn a_log_that_refuses_for_a_reason_of_its_own_is_written_no_more() {
    let mut stage = Stage::new("CREATE STREAM o AS SELECT n, CAST(v AS INT) AS i FROM s;").await;
    stage.cluster.refuse(&stage.log(), b"REASON").expect("a topic");
    stage.insert(&["1", "x", "3"]).await;
    let ran = stage.run().await;
    assert!(ran.error.is_none(), "{ran:?}");
    assert_eq!((ran.records_written, ran.complaints), (3, 1));
    assert!(stage.column("SELECT source_offset FROM processing_log;").await.is_empty());
}

#[tokio::test]
async fn a_processing_log_that_is_gone_is_made_again_when_it_is_needed() {
    let mut stage = Stage::new("CREATE STREAM o AS SELECT n, CAST(v AS INT) AS i FROM s;").await;
    let log = stage.log();
    stage.cluster.admin().delete_topic(&log).expect("a topic");
    stage.insert(&["1"]).await;
    let ran = stage.run().await;
    assert!(ran.error.is_none() && ran.records_written == 1, "{ran:?}");
    assert!(stage.cluster.admin().topic(&log).expect("an answer").is_none(), "nothing was reported");
    stage.insert(&["x"]).await;
    let ran = stage.run().await;
    assert!(ran.error.is_none() && ran.records_written == 1, "{ran:?}");
    assert_eq!(stage.column("SELECT source_offset FROM processing_log;").await, ["1"]);
}
