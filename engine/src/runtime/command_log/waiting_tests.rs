//! Goal: a definition checks the command topic only as often as needed, and readers do not wait for one that is being
//! written. Method: an engine on a cluster in memory that counts those checks and can block writes to the command topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{
    Admin, Doorbell, Extent, Glance, GroupPlan, Isolation, Member, Membership, NewTopic, Position, ReadPlan, Sink,
    SinkOptions, Source, TopicId, TopicInfo, Transport, TransportError, Watermarks,
};
use headwater_formats::record::{OutBatch, RecordLimits, TopicPartition};
use headwater_language::config::Settings;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::{Engine, Session};

const TOPIC: &str = "_headwater-default__command_topic";
const S: &str = "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
/// Longest time that an answer may take; it takes that long only if the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, TransportError>;

/// A cluster in memory that is watched.
#[derive(Clone, Debug)]
struct Watched {
    cluster: MemoryTransport,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    /// How often the ends of the command topic were requested.
    looks: AtomicUsize,
    /// Where writes to the command topic report that they have begun. They wait until this is removed.
    held: Mutex<Option<mpsc::UnboundedSender<()>>>,
}

impl Watch {
    /// Waits while writes are blocked.
    fn pass(&self) {
        let Some(begun) = self.held.lock().clone() else { return };
        begun.send(()).expect("the test waits for it");
        while self.held.lock().is_some() {
            std::thread::yield_now();
        }
    }
}

struct WatchedSink {
    sink: Box<dyn Sink>,
    watch: Arc<Watch>,
}

impl Sink for WatchedSink {
    fn write(&mut self, batch: &OutBatch) -> Result<()> {
        if &*batch.topic == TOPIC {
            self.watch.pass();
        }
        self.sink.write(batch)
    }

    fn flush(&mut self, timeout: Duration) -> Result<()> {
        self.sink.flush(timeout)
    }

    fn begin(&mut self) -> Result<()> {
        self.sink.begin()
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<()> {
        self.sink.commit(membership, offsets, timeout)
    }

    fn abort(&mut self, timeout: Duration) -> Result<()> {
        self.sink.abort(timeout)
    }
}

impl Transport for Watched {
    fn admin(&self) -> &dyn Admin {
        self
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>> {
        self.cluster.open_sources(plans)
    }

    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>> {
        self.cluster.doorbell(places)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>> {
        self.cluster.join_group(plan)
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>> {
        Ok(Box::new(WatchedSink { sink: self.cluster.open_sink(options)?, watch: self.watch.clone() }))
    }
}

impl Admin for Watched {
    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.cluster.admin().topics()
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.cluster.admin().topic(name)
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<()> {
        self.cluster.admin().create_topic(topic)
    }

    fn delete_topic(&self, name: &str) -> Result<()> {
        self.cluster.admin().delete_topic(name)
    }

    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>> {
        if topic == TOPIC {
            self.watch.looks.fetch_add(1, Ordering::Relaxed);
        }
        self.cluster.admin().watermarks(topic, isolation)
    }

    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent> {
        self.cluster.admin().extent(topic, isolation)
    }

    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>> {
        self.cluster.admin().topic_id(topic)
    }

    fn glance(&self, topic: &str) -> Result<Option<Glance>> {
        self.cluster.admin().glance(topic)
    }

    fn glance_now(&self, topic: &str) -> Result<Option<Glance>> {
        self.cluster.admin().glance_now(topic)
    }

    fn record_limits(&self, topic: &str) -> Result<RecordLimits> {
        self.cluster.admin().record_limits(topic)
    }

    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>> {
        self.cluster.admin().offsets_for_times(times_ms)
    }

    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>> {
        self.cluster.admin().topic_settings(topic)
    }

    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>> {
        self.cluster.admin().committed_offsets(group, partitions)
    }

    fn cluster_id(&self) -> Result<Option<String>> {
        self.cluster.admin().cluster_id()
    }

    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>> {
        self.cluster.admin().group_members(groups)
    }

    fn groups(&self) -> Result<BTreeSet<String>> {
        self.cluster.admin().groups()
    }

    fn delete_group(&self, group: &str) -> Result<bool> {
        self.cluster.admin().delete_group(group)
    }

    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        self.cluster.admin().delete_records(before)
    }
}

/// A watched cluster with a stream, and the engine that created it.
async fn started() -> (Arc<Watch>, Arc<Engine>) {
    let watched = Watched { cluster: MemoryTransport::new(), watch: Arc::default() };
    let watch = watched.watch.clone();
    let engine = Arc::new(Engine::driven(Arc::new(watched), &Settings::default()));
    succeed(&engine, S).await;
    (watch, engine)
}

async fn succeed(engine: &Engine, statement: &str) {
    let mut session = Session::new(Settings::default());
    let asked = tokio::time::timeout(PATIENCE, engine.ask(&mut session, statement));
    asked.await.expect("an answer in time").map(drop).unwrap_or_else(|errors| panic!("{statement}: {errors:?}"));
}

#[tokio::test]
async fn a_definition_looks_before_it_is_planned_and_at_what_became_of_it() {
    let (watch, engine) = started().await;
    // The first query also declares the processing log, which is a definition of its own.
    succeed(&engine, "CREATE STREAM first AS SELECT * FROM s;").await;
    for statement in [
        "CREATE STREAM t (k INT KEY) WITH (KAFKA_TOPIC = 't', PARTITIONS = 1, VALUE_FORMAT = 'JSON');",
        "ALTER STREAM t ADD COLUMN b INT;",
        "CREATE STREAM o AS SELECT * FROM s;",
        "INSERT INTO o SELECT * FROM s;",
        "PAUSE CSAS_O_5;",
        "RESUME CSAS_O_5;",
        "DROP STREAM t;",
        "CREATE TYPE ty AS INT;",
        "DROP TYPE ty;",
        "CREATE FUNCTION f (n INT) RETURNS INT AS 'n';",
        "DROP FUNCTION f;",
    ] {
        let before = watch.looks.load(Ordering::Relaxed);
        succeed(&engine, statement).await;
        assert_eq!(watch.looks.load(Ordering::Relaxed) - before, 2, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_do_not_wait_for_a_definition_that_is_being_written() {
    let (watch, engine) = started().await;
    let (begun, mut writes) = mpsc::unbounded_channel();
    *watch.held.lock() = Some(begun);
    let defining = engine.clone();
    let defining = tokio::spawn(async move { succeed(&defining, "CREATE TYPE t AS INT;").await });
    writes.recv().await.expect("a write begins");
    for statement in
        ["SHOW STREAMS;", "DESCRIBE s;", "SELECT * FROM s;", "EXPLAIN SELECT * FROM s;", "SHOW QUERIES;", "SHOW TYPES;"]
    {
        succeed(&engine, statement).await;
    }
    let words = engine.words(&Session::new(Settings::default())).await;
    assert!(words.sources.iter().any(|(name, _)| name == "S"));
    let types = async || engine.catalog().await.expect("a catalog").custom_types().count();
    assert!(!defining.is_finished() && types().await == 0);
    *watch.held.lock() = None;
    defining.await.expect("it is defined");
    assert_eq!(types().await, 1, "the process sees what it has defined");
}

/// The number of rows of a query; `None` if it fails.
async fn rows(engine: &Engine, query: &str) -> Option<usize> {
    let mut session = Session::new(Settings::default());
    let Answer::Rows(rows) = engine.ask(&mut session, query).await.ok()? else { panic!("{query} has no rows") };
    let batches: Vec<_> = rows.stream.try_collect().await.ok()?;
    Some(batches.iter().map(|batch| batch.num_rows()).sum())
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Goal: look-ups in a state of this process do not ask where the topic ends, and yet do not miss for long what another process
/// defines. Method: two processes, of which one runs the query.
#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_in_a_state_of_this_process_asks_nothing() {
    let watched = Watched { cluster: MemoryTransport::new(), watch: Arc::default() };
    let (watch, cluster) = (watched.watch.clone(), watched.cluster.clone());
    let engine = Arc::new(Engine::new(Arc::new(watched), &Settings::default()));
    let other = Engine::driven(Arc::new(cluster), &Settings::default());
    for statement in
        [S, "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;", "INSERT INTO s (k, a) VALUES (1, 1);"]
    {
        succeed(&engine, statement).await;
    }
    let query = "SELECT n FROM t WHERE k = 1;";
    until("the query runs", async || rows(&engine, query).await == Some(1)).await;
    let before = watch.looks.load(Ordering::Relaxed);
    for _ in 0..500 {
        assert_eq!(rows(&engine, query).await, Some(1));
    }
    let looks = watch.looks.load(Ordering::Relaxed) - before;
    assert!(looks < 50, "{looks}: the thread that follows the topic looks every half second");
    succeed(&other, "DROP TABLE t;").await;
    until("the table is gone here, too", async || rows(&engine, query).await.is_none()).await;
    tokio::task::spawn_blocking(move || engine.stop_queries()).await.expect("it ends");
}
