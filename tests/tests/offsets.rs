//! Goal: records that are gone before a query read them are noticed, and a query whose position in a topic is gone
//! stops until the user says where to continue. Method: queries over a cluster in memory, whose records, topics,
//! partitions and offsets change; drivers are stepped manually, and where the supervisor matters queries run until they
//! are idle.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{BinaryArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{
    Admin, Doorbell, GroupPlan, Member, Membership, NewTopic, ReadPlan, Sink, SinkOptions, Source, SourceEvent,
    TopicIds, Transport, TransportError, TransportErrorKind,
};
use headwater_engine::answer::{Answer, Condition, Facts};
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::Diagnostic;
use headwater_engine::{Driver, Engine, Session, StepOutcome};
use headwater_formats::record::{OutBatch, TopicPartition};
use parking_lot::Mutex;

const SOURCE: &str = "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, VALUE_FORMAT = 'JSON');";
const TABLE: &str = "CREATE TABLE k (k STRING PRIMARY KEY, n BIGINT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');";
const QUERY: &str = "CREATE STREAM t AS SELECT n, ROWPARTITION AS p, ROWOFFSET AS o FROM s;";

/// A change of the cluster.
type Event = Box<dyn FnOnce(&MemoryTransport) + Send>;

/// A cluster that changes after a bounded query has frozen its offsets and before it reads.
#[derive(Clone)]
struct Gate {
    cluster: MemoryTransport,
    event: Arc<Mutex<Option<Event>>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cluster.fmt(f)
    }
}

impl Transport for Gate {
    fn admin(&self) -> &dyn Admin {
        self.cluster.admin()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        let reads = plans.iter().flat_map(|plan| &plan.ranges).any(|range| &*range.partition.topic == "s");
        if let Some(event) = self.event.lock().take_if(|_| reads) {
            event(&self.cluster);
        }
        self.cluster.open_sources(plans)
    }

    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        self.cluster.doorbell(places)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        self.cluster.join_group(plan)
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        self.cluster.open_sink(options)
    }
}

struct World {
    cluster: MemoryTransport,
    event: Arc<Mutex<Option<Event>>>,
    engine: Engine,
    session: Session,
    query: String,
    now_ms: i64,
}

/// A cluster whose sources do not check whether a topic is still the same.
#[derive(Debug)]
struct Blind(MemoryTransport);

impl Transport for Blind {
    fn admin(&self) -> &dyn Admin {
        self.0.admin()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        let open = |plan| Box::new(BlindSource { cluster: self.0.clone(), plan }) as Box<dyn Source>;
        Ok(plans.into_iter().map(open).collect())
    }

    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        self.0.doorbell(places)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        self.0.join_group(plan)
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        self.0.open_sink(options)
    }
}

/// Opens a new source for each event, at the current offsets.
struct BlindSource {
    cluster: MemoryTransport,
    plan: ReadPlan,
}

impl Source for BlindSource {
    fn poll(&mut self, wait: Duration) -> Result<SourceEvent, TransportError> {
        let plan = ReadPlan { ids: TopicIds::new(), ..self.plan.clone() };
        let event = self.cluster.open_sources(vec![plan])?.remove(0).poll(wait)?;
        let next = match &event {
            SourceEvent::Batch(batch) => batch.offsets.last().map(|last| (&batch.origin, last + 1)),
            SourceEvent::Passed(partition, offset) => Some((partition, *offset)),
            _ => None,
        };
        if let Some((partition, next)) = next {
            let range = self.plan.ranges.iter_mut().find(|range| range.partition == *partition);
            range.unwrap().start = next;
        }
        Ok(event)
    }
}

impl World {
    async fn new(settings: &[&str]) -> Self {
        let cluster = MemoryTransport::default();
        let event = Arc::<Mutex<Option<Event>>>::default();
        let gate = Gate { cluster: cluster.clone(), event: event.clone() };
        let engine = Engine::driven(Arc::new(gate), &Settings::default());
        let session = Session::new(Settings::default());
        let mut world = Self { cluster, event, engine, session, query: String::new(), now_ms: 1_000 };
        for statement in settings.iter().chain(&[SOURCE, TABLE, QUERY]) {
            world.say(statement).await;
        }
        world.query = world.engine.catalog().await.unwrap().queries().next().unwrap().id.clone();
        world
    }

    async fn say(&mut self, statement: &str) -> Answer {
        self.engine.ask(&mut self.session, statement).await.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"))
    }

    /// The rows of a statement, as one text each.
    async fn rows(&mut self, statement: &str) -> Vec<String> {
        let Answer::Rows(rows) = self.say(statement).await else { panic!("{statement} returns rows") };
        let batches: Vec<RecordBatch> = rows.stream.try_collect().await.unwrap();
        texts(&batches)
    }

    /// Why a bounded query fails when this event happens before it reads.
    async fn failure(&mut self, statement: &str, event: impl FnOnce(&MemoryTransport) + Send + 'static) -> Diagnostic {
        *self.event.lock() = Some(Box::new(event));
        let Answer::Rows(rows) = self.say(statement).await else { panic!("{statement} returns rows") };
        let error = rows.stream.try_collect::<Vec<_>>().await.expect_err(statement);
        headwater_engine::failure::diagnose(&error, None).remove(0)
    }

    /// Writes records with these numbers as values.
    fn write(&self, partition: i32, numbers: Range<i64>) {
        write(&self.cluster, partition, numbers);
    }

    fn write_in_transaction(&self, partition: i32, numbers: Range<i64>) {
        let options = SinkOptions { transactional_id: Some("foreign".to_owned()), ..SinkOptions::default() };
        let mut sink = self.cluster.open_sink(options).unwrap();
        sink.begin().unwrap();
        sink.write(&records(partition, numbers)).unwrap();
        sink.commit(&Membership::outside("nobody"), &BTreeMap::new(), Duration::ZERO).unwrap();
    }

    fn delete_before(&self, partition: i32, offset: i64) {
        delete_before(&self.cluster, partition, offset);
    }

    fn recreate(&self) {
        recreate(&self.cluster);
    }

    async fn driver(&self) -> Driver {
        self.engine.driver(&self.query, Arc::new(self.cluster.clone())).await.unwrap()
    }

    /// Steps a driver, 100 ms apart, until all existing input is committed.
    fn drive(&mut self, driver: &mut Driver) -> Result<(), TransportError> {
        let mut idle = 0;
        while idle < 50 {
            self.now_ms += 100;
            idle = if driver.step(self.now_ms, Duration::ZERO)? == StepOutcome::Idle { idle + 1 } else { 0 };
        }
        Ok(())
    }

    /// Starts the query, lets it finish the existing input, and stops it.
    async fn run(&mut self) -> Result<(), TransportError> {
        let mut driver = self.driver().await;
        self.drive(&mut driver)?;
        driver.finish(self.now_ms)
    }

    /// The output of the query: partition and number of each input record.
    async fn written(&mut self) -> Vec<String> {
        self.rows("SELECT p, n FROM t ORDER BY ROWPARTITION, ROWOFFSET;").await
    }

    async fn gaps(&mut self) -> Vec<String> {
        let log = "SELECT kind, source_topic, source_partition, source_offset, reason FROM processing_log;";
        self.rows(log).await
    }

    async fn group(&mut self) -> String {
        group_of(&self.engine, &mut self.session, &self.query).await
    }
}

/// The consumer group of a query, as shown by EXPLAIN.
async fn group_of(engine: &Engine, session: &mut Session, query: &str) -> String {
    let answer = engine.ask(session, &format!("EXPLAIN {query};")).await.unwrap();
    let Answer::Facts(Facts::QueryDescriptions(described)) = answer else { panic!("EXPLAIN describes the query") };
    described[0].group.clone()
}

fn write(cluster: &MemoryTransport, partition: i32, numbers: Range<i64>) {
    cluster.open_sink(SinkOptions::default()).unwrap().write(&records(partition, numbers)).unwrap();
}

fn delete_before(cluster: &MemoryTransport, partition: i32, offset: i64) {
    cluster.delete_records(&TopicPartition::new("s", partition), offset).unwrap();
}

fn recreate(cluster: &MemoryTransport) {
    let admin = cluster.admin();
    admin.delete_topic("s").unwrap();
    let topic = NewTopic { name: "s".to_owned(), partitions: 2, replicas: None, settings: BTreeMap::new() };
    admin.create_topic(&topic).unwrap();
}

fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, at: usize| {
        let values = batch.columns().iter().map(|column| array_value_to_string(column, at).unwrap());
        values.collect::<Vec<_>>().join(" ")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>()).collect()
}

fn records(partition: i32, numbers: Range<i64>) -> OutBatch {
    let values: Vec<String> = numbers.map(|n| format!("{{\"N\": {n}}}")).collect();
    OutBatch {
        topic: Arc::from("s"),
        partitions: Some(vec![partition; values.len()].into()),
        keys: values.iter().map(|_| None::<&[u8]>).collect::<BinaryArray>(),
        values: BinaryArray::from_iter_values(&values),
        timestamps_ms: None,
        headers: None,
    }
}

fn numbered(partition: i32, numbers: impl Iterator<Item = i64>) -> Vec<String> {
    numbers.map(|n| format!("{partition} {n}")).collect()
}

const GAP: &str = "GAP s 0 10 60 offsets of s[0] lost (10 to 69): deleted before being read";

#[tokio::test]
async fn unread_records_that_are_deleted_while_a_query_is_stopped_are_a_gap() {
    let mut world = World::new(&[]).await;
    world.write(0, 0..10);
    world.run().await.unwrap();
    world.write(0, 10..110);
    world.delete_before(0, 70);
    world.run().await.unwrap();
    assert_eq!(world.written().await, numbered(0, (0..10).chain(70..110)));
    assert_eq!(world.gaps().await, [GAP]);
    // It is reported once.
    world.run().await.unwrap();
    assert_eq!(world.gaps().await.len(), 1);
}

#[tokio::test]
async fn unread_records_that_are_deleted_while_a_query_runs_are_a_gap() {
    let mut world = World::new(&[]).await;
    let mut driver = world.driver().await;
    world.write(0, 0..10);
    world.drive(&mut driver).unwrap();
    world.write(0, 10..110);
    world.delete_before(0, 70);
    world.drive(&mut driver).unwrap();
    assert_eq!(world.written().await, numbered(0, (0..10).chain(70..110)));
    assert_eq!(world.gaps().await, [GAP]);
}

#[tokio::test]
async fn a_gap_without_a_record_behind_it_is_committed_too() {
    let mut world = World::new(&[]).await;
    world.write(0, 0..10);
    world.run().await.unwrap();
    world.write(0, 10..70);
    world.delete_before(0, 70);
    world.run().await.unwrap();
    assert_eq!(world.gaps().await, [GAP]);
    world.run().await.unwrap();
    assert_eq!(world.gaps().await, [GAP]);
}

#[tokio::test]
async fn what_was_read_may_be_deleted() {
    let mut world = World::new(&[]).await;
    for round in 0..3 {
        world.write_in_transaction(0, round * 10..round * 10 + 10);
        world.run().await.unwrap();
        // All records, and the marker after them.
        world.delete_before(0, i64::MAX);
        world.run().await.unwrap();
    }
    assert_eq!(world.written().await.len(), 30);
    assert_eq!(world.gaps().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_same_holds_for_a_query_that_runs_on() {
    let mut world = World::new(&[]).await;
    let mut driver = world.driver().await;
    world.write_in_transaction(0, 0..10);
    world.drive(&mut driver).unwrap();
    world.now_ms += 20_000;
    world.drive(&mut driver).unwrap();
    // Like kill -9: nothing is committed or released.
    drop(driver);
    world.delete_before(0, i64::MAX);
    world.run().await.unwrap();
    assert_eq!(world.gaps().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_truncated_log_stops_the_query_until_the_user_says_where_to_go_on() {
    for (from, again) in [("EARLIEST", 0..5), ("LATEST", 0..0)] {
        let mut world = World::new(&[]).await;
        world.write(0, 0..10);
        world.write(1, 0..10);
        world.run().await.unwrap();
        world.cluster.truncate(&TopicPartition::new("s", 0), 5).unwrap();
        let error = world.run().await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost);
        assert_eq!(error.message, "s[0] ends at offset 5, before the committed offset 10: it was truncated");
        world.say(&format!("RESUME {} FROM {from};", world.query)).await;
        world.run().await.unwrap();
        world.write(0, 20..22);
        world.run().await.unwrap();
        // The other partition continues where it was.
        let (zero, one): (Vec<_>, Vec<_>) = world.written().await.into_iter().partition(|row| row.starts_with('0'));
        assert_eq!(zero, numbered(0, (0..10).chain(again).chain(20..22)), "{from}");
        assert_eq!(one, numbered(1, 0..10));
        // RESUME applied to that loss and not to a later one.
        world.cluster.truncate(&TopicPartition::new("s", 0), 2).unwrap();
        assert_eq!(world.run().await.unwrap_err().kind, TransportErrorKind::Lost);
        world.cluster.truncate(&TopicPartition::new("s", 1), 2).unwrap();
        let error = world.run().await.unwrap_err();
        assert!(error.message.ends_with("; and one more partition like it"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_log_that_is_truncated_while_it_is_read_stops_the_query() {
    let mut world = World::new(&[]).await;
    let mut driver = world.driver().await;
    world.write(0, 0..10);
    world.drive(&mut driver).unwrap();
    world.cluster.truncate(&TopicPartition::new("s", 0), 5).unwrap();
    let error = world.drive(&mut driver).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (TransportErrorKind::Lost, "5 offsets of s[0] lost (5 to 9): the log was truncated")
    );
}

#[tokio::test]
async fn a_topic_that_is_created_again_stops_the_query() {
    for records in [3, 10, 30] {
        let mut world = World::new(&[]).await;
        let mut driver = world.driver().await;
        world.write(0, 0..10);
        world.drive(&mut driver).unwrap();
        world.recreate();
        world.write(0, 100..100 + records);
        let error = world.drive(&mut driver).unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost, "while it runs, {records} records: {error}");
        drop(driver);
        let error = world.run().await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost, "at its start, {records} records: {error}");
        assert!(error.message.contains("topic \"s\" was deleted and created again"), "{error}");
        world.say(&format!("RESUME {} FROM EARLIEST;", world.query)).await;
        world.run().await.unwrap();
        let expected = numbered(0, (0..10).chain(100..100 + records));
        assert_eq!(world.written().await, expected);
    }
}

/// A client may continue reading at the old offset in the new topic of the same name: nothing of it is ever committed.
#[tokio::test]
async fn nothing_of_a_topic_that_is_created_again_is_committed() {
    let mut world = World::new(&[]).await;
    let blind = Arc::new(Blind(world.cluster.clone()));
    let mut driver = world.engine.driver(&world.query, blind).await.unwrap();
    world.write(0, 0..10);
    world.drive(&mut driver).unwrap();
    world.recreate();
    world.write(0, 100..130);
    let error = world.drive(&mut driver).unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
    drop(driver);
    assert_eq!(world.written().await, numbered(0, 0..10));
    world.say(&format!("RESUME {} FROM EARLIEST;", world.query)).await;
    world.run().await.unwrap();
    assert_eq!(world.written().await, numbered(0, (0..10).chain(100..130)));
}

/// RESUME … FROM LATEST means the time of the statement, whenever the query runs.
#[tokio::test]
async fn resume_from_latest_begins_where_the_log_ended_when_it_was_said() {
    let mut world = World::new(&[]).await;
    world.write(0, 0..10);
    world.run().await.unwrap();
    world.recreate();
    world.write(0, 100..110);
    world.run().await.unwrap_err();
    world.say(&format!("RESUME {} FROM LATEST;", world.query)).await;
    world.write(0, 110..120);
    world.write(1, 200..203);
    world.run().await.unwrap();
    let all = [numbered(0, (0..10).chain(110..120)), numbered(1, 200..203)].concat();
    let mut written = world.written().await;
    written.sort_by_key(|row| row.split(' ').map(|n| n.parse::<i64>().unwrap()).collect::<Vec<_>>());
    assert_eq!(written, all);
    // A topic that is created after the statement contains only later records.
    world.recreate();
    world.run().await.unwrap_err();
    world.say(&format!("RESUME {} FROM LATEST;", world.query)).await;
    world.recreate();
    world.write(0, 300..302);
    world.run().await.unwrap();
    assert!(world.written().await.contains(&"0 300".to_owned()));
}

/// A process that was removed from its group checks the topic again when it has rejoined.
#[tokio::test]
async fn a_topic_that_is_created_again_is_noticed_by_who_joins_again() {
    let mut world = World::new(&["SET 'auto.offset.reset' = 'latest';"]).await;
    let mut driver = world.driver().await;
    world.drive(&mut driver).unwrap();
    world.write(0, 0..10);
    world.drive(&mut driver).unwrap();
    world.recreate();
    world.write(0, 100..200);
    let group = world.group().await;
    world.cluster.expire_offsets(&group);
    world.cluster.expire_members();
    let error = world.drive(&mut driver).unwrap_err();
    assert!(error.message.contains("topic \"s\" was deleted and created again"), "{error}");
    // If only the offsets are gone, the error says so.
    drop(driver);
    let mut world = World::new(&[]).await;
    let mut driver = world.driver().await;
    world.write(0, 0..10);
    world.drive(&mut driver).unwrap();
    let group = world.group().await;
    world.cluster.expire_offsets(&group);
    world.cluster.expire_members();
    let error = world.drive(&mut driver).unwrap_err();
    assert!(error.message.contains("the committed offset of s[0] is gone"), "{error}");
}

#[tokio::test]
async fn offsets_that_expired_stop_the_query() {
    let mut world = World::new(&[]).await;
    world.write(0, 0..10);
    let ran = world.engine.run_until_idle(|| false).await.unwrap();
    assert_eq!(ran[0].error, None);
    world.say(&format!("PAUSE {};", world.query)).await;
    let group = world.group().await;
    world.cluster.expire_offsets(&group);
    world.write(0, 10..20);
    world.say(&format!("RESUME {};", world.query)).await;
    let ran = world.engine.run_until_idle(|| false).await.unwrap();
    let error = ran[0].error.clone().expect("the position is unknown");
    assert!(error.message.contains("the committed offset of s[0] is gone"), "{error}");
    let hint = error.hint.unwrap();
    assert!(hint.contains(&format!("RESUME {} FROM EARLIEST;", world.query)), "{hint}");
    world.say(&format!("RESUME {} FROM LATEST;", world.query)).await;
    let ran = world.engine.run_until_idle(|| false).await.unwrap();
    assert_eq!(ran[0].error, None);
    world.write(0, 20..22);
    world.engine.run_until_idle(|| false).await.unwrap();
    assert_eq!(world.written().await, numbered(0, (0..10).chain(20..22)));
    // The next time, the user must decide again.
    let group = world.group().await;
    world.cluster.expire_offsets(&group);
    let ran = world.engine.run_until_idle(|| false).await.unwrap();
    assert!(ran[0].error.is_some());
}

/// When a topic is deleted, its committed offsets are deleted too, so nothing in the group shows that it existed. That
/// the query had already started shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_whose_topic_is_created_again_does_not_begin_anew() {
    let cluster = MemoryTransport::default();
    let engine = Engine::new(Arc::new(cluster.clone()), &Settings::default());
    let mut session = Session::new(Settings::default());
    for statement in [SOURCE, QUERY] {
        engine.ask(&mut session, statement).await.unwrap();
    }
    write(&cluster, 0, 0..10);
    let condition = async |engine: &Engine| {
        let answer = engine.ask(&mut Session::new(Settings::default()), "SHOW QUERIES;").await.unwrap();
        let Answer::Facts(Facts::Queries(listed)) = answer else { panic!("SHOW QUERIES returns a list") };
        listed[0].state.condition
    };
    let written = || cluster.admin().watermarks("T", headwater_connectors::transport::Isolation::ReadCommitted);
    await_that("it reads", || async { written().unwrap().iter().map(|mark| mark.end).sum::<i64>() > 10 }).await;
    let topic = NewTopic { name: "s".to_owned(), partitions: 2, replicas: None, settings: BTreeMap::new() };
    cluster.admin().delete_topic("s").unwrap();
    await_that("it misses its topic", || async { condition(&engine).await == Condition::Error }).await;
    cluster.expire_offsets(&group_of(&engine, &mut session, "CSAS_T_2").await);
    cluster.admin().create_topic(&topic).unwrap();
    write(&cluster, 0, 100..110);
    await_that("it stops", || async {
        let failures = engine.failures();
        failures.iter().any(|failure| failure.message.contains("the committed offset of s[0] is gone"))
    })
    .await;
    engine.ask(&mut session, "RESUME CSAS_T_2 FROM EARLIEST;").await.unwrap();
    await_that("it reads again", || async { written().unwrap().iter().map(|mark| mark.end).sum::<i64>() > 21 }).await;
    assert_eq!(condition(&engine).await, Condition::Running);
    engine.stop_queries();
}

/// Waits for at most ten seconds.
async fn await_that<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not reached within ten seconds");
}

#[tokio::test]
async fn partitions_that_are_added_are_read_from_their_beginning() {
    for reset in ["earliest", "latest"] {
        let mut world = World::new(&[&format!("SET 'auto.offset.reset' = '{reset}';")]).await;
        world.write(0, 0..10);
        let mut driver = world.driver().await;
        world.drive(&mut driver).unwrap();
        world.cluster.add_partitions("s", 3).unwrap();
        world.write(2, 0..5);
        world.drive(&mut driver).unwrap();
        let expected = numbered(0, if reset == "latest" { 0..0 } else { 0..10 });
        let expected: Vec<_> = expected.into_iter().chain(numbered(2, 0..5)).collect();
        let mut written = world.written().await;
        written.sort_by_key(|row| row.starts_with('2'));
        assert_eq!(written, expected, "{reset}, while it runs");
        driver.finish(world.now_ms).unwrap();
        drop(driver);
        world.cluster.add_partitions("s", 4).unwrap();
        world.write(3, 0..5);
        world.run().await.unwrap();
        let added: Vec<_> = world.written().await.into_iter().filter(|row| row.starts_with('3')).collect();
        assert_eq!(added, numbered(3, 0..5), "{reset}, while it is stopped");
    }
}

/// Two processes start a query at once; whichever is first, the other's partitions do not count as new.
#[tokio::test]
async fn who_begins_later_does_not_begin_elsewhere() {
    let mut world = World::new(&["SET 'auto.offset.reset' = 'latest';"]).await;
    world.write(0, 0..10);
    world.write(1, 0..10);
    let (mut one, mut other) = (world.driver().await, world.driver().await);
    world.drive(&mut one).unwrap();
    world.drive(&mut other).unwrap();
    assert_eq!(world.written().await, Vec::<String>::new());
}

#[tokio::test]
async fn records_that_are_deleted_while_a_bounded_query_reads_are_an_error_or_a_note() {
    let mut world = World::new(&[]).await;
    for statement in BOUNDED {
        world.recreate();
        world.write(0, 0..100);
        let error = world.failure(statement, |cluster| delete_before(cluster, 0, 60)).await;
        assert_eq!(error.code.0, "K0411", "{error}");
        assert!(error.message.contains(" to 59): deleted before being read"), "{error}");
        assert!(error.hint.unwrap().contains("query.lost.records"));
    }
    world.say("SET 'query.lost.records' = 'note';").await;
    world.recreate();
    world.write(0, 0..100);
    *world.event.lock() = Some(Box::new(|cluster| delete_before(cluster, 0, 60)));
    let Answer::Rows(rows) = world.say("SELECT COUNT(n) FROM s;").await else { panic!("rows") };
    let progress = rows.progress.clone();
    let batches: Vec<RecordBatch> = rows.stream.try_collect().await.unwrap();
    assert_eq!(texts(&batches), ["40"]);
    let lost: Vec<String> = progress.lost().iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["60 offsets of s[0] lost (0 to 59): deleted before being read"]);
}

#[tokio::test]
async fn a_topic_that_is_cut_or_created_again_while_a_bounded_query_reads_is_an_error() {
    let mut world = World::new(&[]).await;
    for statement in BOUNDED {
        for records in [0, 3, 100, 300] {
            world.recreate();
            world.write(0, 0..100);
            let again = move |cluster: &MemoryTransport| {
                recreate(cluster);
                write(cluster, 0, 0..records);
            };
            let error = world.failure(statement, again).await;
            assert!(error.message.contains("deleted and created again"), "{statement} {records}: {error}");
        }
        world.recreate();
        world.write(0, 0..100);
        let cut = |cluster: &MemoryTransport| cluster.truncate(&TopicPartition::new("s", 0), 5).unwrap();
        let error = world.failure(statement, cut).await;
        assert!(error.message.contains("truncated"), "{statement}: {error}");
    }
}

/// Reads forward, the latest record of each key, and backward.
const BOUNDED: [&str; 4] = [
    "SELECT n FROM s;",
    "SELECT COUNT(*) FROM s;",
    "SELECT n FROM s ORDER BY ROWOFFSET DESC LIMIT 100;",
    "SELECT n FROM k;",
];

/// The first and the last scan that is planned see the same records, whatever is written in between.
#[tokio::test]
async fn all_scans_of_a_query_read_the_same_range() {
    let mut world = World::new(&[]).await;
    world.write(0, 0..10);
    let writing = world.cluster.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let writer = std::thread::spawn(move || {
        while !stopping.load(Ordering::Relaxed) {
            write(&writing, 0, 0..1);
        }
    });
    for _ in 0..20 {
        let both = "SELECT a.c - b.c FROM (SELECT COUNT(*) AS c FROM s) a CROSS JOIN (SELECT COUNT(*) AS c FROM s) b;";
        assert_eq!(world.rows(both).await, ["0"]);
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}
