//! Tasks, driven by hand. Goal: what comes out at a barrier, and when. Method: a query is planned from its text, and
//! its task receives records one call at a time.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use headwater_expression::session;
use headwater_formats::record::{RawBatch, RecordLimits, TopicPartition};
use headwater_language::catalog::{Catalog, CatalogChange};
use headwater_language::config::Settings;
use headwater_language::sql::{ast::StatementKind, parse};
use headwater_language::topology::Topology;
use headwater_planner::continuous;
use headwater_planner::define::{FormatDefaults, define};
use headwater_planner::schemas::Found;
use headwater_state::Storage;

use super::chunk::Chunk;
use super::command::{Command, Exchanged, Written};
use super::compiled::{Compiled, TaskId};
use super::operator::{Context, Emitted, Operator, Port};
use super::options::CompileOptions;
use super::output::Placement;
use super::position::TaskPosition;
use super::stage::Target;
use super::task::{Epoch, Event, Task};

const STREAM: &str = "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
const NOW_MS: i64 = 1_700_000_000_000;

fn statement(text: &str) -> StatementKind {
    let mut parsed = parse(text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    parsed.statements.remove(0).kind
}

/// A catalog with the stream `s`.
fn catalog() -> Catalog {
    let StatementKind::CreateSource(create) = statement(STREAM) else { panic!("a stream is declared") };
    let defaults = FormatDefaults::from(&Settings::default());
    let defined = define(&create, STREAM, &Catalog::default(), &defaults, &Found::default()).expect("a stream");
    let change = CatalogChange::DefineSource { source: Box::new(defined.source), replace: false };
    Catalog::default().apply(&change).expect("the name is free")
}

/// The topology of a push query over the stream `s`.
fn topology(query: &str) -> Topology {
    let StatementKind::Query(query) = statement(query) else { panic!("a query is asked") };
    continuous::push(&query, &catalog(), &Settings::default()).expect("it can be continuous").topology
}

fn task(query: &str) -> Task {
    let (topology, session) = (topology(query), session(&Settings::default()));
    let compiled = Compiled::new(&topology, &session, &CompileOptions::default()).expect("it compiles");
    compiled.task(TaskId { stage: 0, partition: 0 }, &BTreeMap::new(), &Storage::default()).expect("formats exist")
}

/// Records at offsets from 0, with these values of `a`.
fn records(values: &[i32]) -> RawBatch {
    let json: Vec<String> = values.iter().map(|a| format!(r#"{{"A":{a}}}"#)).collect();
    RawBatch {
        origin: TopicPartition::new("s", 0),
        offsets: (0..values.len() as i64).collect::<Vec<_>>().into(),
        timestamps_ms: vec![NOW_MS; values.len()].into(),
        keys: None,
        values: Some(json.iter().map(|value| Some(value.as_bytes())).collect()),
        value_nulls: None,
        headers: None,
        payload_bytes: 0,
    }
}

/// The rows that a task emits, and the epochs that it reaches.
fn drain(task: &mut Task) -> (Vec<i32>, Vec<Epoch>) {
    let (mut shown, mut reached) = (Vec::new(), Vec::new());
    while let Some(command) = task.poll_command() {
        match command {
            Command::Show(rows) => shown.extend(rows.column(0).as_primitive::<Int32Type>().values()),
            Command::Reached(epoch) => reached.push(epoch),
            other => panic!("{other:?} came out"),
        }
    }
    (shown, reached)
}

/// An operator that keeps every row until the barrier.
#[derive(Clone, Debug, Default)]
struct Keeping(Option<Chunk>);

impl Operator for Keeping {
    fn push(&mut self, _: Port, chunk: Chunk, _: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        self.0 = Some(match self.0.take() {
            None => chunk,
            Some(kept) => Chunk {
                rows: arrow::compute::concat_batches(&kept.rows.schema(), [&kept.rows, &chunk.rows])?,
                times_ms: kept.times_ms.iter().chain(&chunk.times_ms).collect(),
                offsets: kept.offsets.iter().chain(&chunk.offsets).collect(),
                ..kept
            },
        });
        Ok(Emitted::Nothing)
    }

    fn barrier(&mut self, _: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        Ok(self.0.take().map_or(Emitted::Nothing, Emitted::Rows))
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::<Self>::default()
    }
}

#[test]
fn rows_go_through_the_operators_of_a_query() {
    let mut task = task("SELECT a * 10 AS b FROM s WHERE a > 1 EMIT CHANGES;");
    task.handle(&Event::Records(Port(0), &records(&[1, 2, 3]))).expect("records");
    while task.advance(NOW_MS).expect("it goes on") && task.position() != TaskPosition::Done {}
    assert_eq!(drain(&mut task), (vec![20, 30], vec![]));
}

#[test]
fn what_is_kept_comes_out_at_the_barrier_and_before_it_is_reached() {
    let mut task = task("SELECT a FROM s EMIT CHANGES;");
    task.put_before(Box::<Keeping>::default());
    task.handle(&Event::Records(Port(0), &records(&[1, 2]))).expect("records");
    while task.position() != TaskPosition::Done {
        task.advance(NOW_MS).expect("it goes on");
    }
    assert_eq!(drain(&mut task), (vec![], vec![]));
    task.handle(&Event::Barrier(Epoch(1))).expect("a barrier");
    while task.passes_barrier() {
        task.advance(NOW_MS).expect("it goes on");
    }
    assert_eq!(drain(&mut task), (vec![1, 2], vec![Epoch(1)]));
}

#[test]
fn a_barrier_goes_ahead_of_records_that_are_left() {
    let mut task = task("SELECT a FROM s EMIT CHANGES;");
    task.put_before(Box::<Keeping>::default());
    task.handle(&Event::Records(Port(0), &records(&[1, 2]))).expect("records");
    task.handle(&Event::Barrier(Epoch(1))).expect("a barrier");
    while task.passes_barrier() {
        task.advance(NOW_MS).expect("it goes on");
    }
    assert_eq!(drain(&mut task), (vec![], vec![Epoch(1)]));
    assert_eq!(task.position(), TaskPosition::Before(0));
    while task.position() != TaskPosition::Done {
        task.advance(NOW_MS).expect("it goes on");
    }
    task.handle(&Event::Barrier(Epoch(2))).expect("a barrier");
    while task.passes_barrier() {
        task.advance(NOW_MS).expect("it goes on");
    }
    assert_eq!(drain(&mut task), (vec![1, 2], vec![Epoch(2)]));
}

/// The task of the second stage of a table that counts rows, whose topic accepts values of `bytes_max`, and the records of its
/// exchange that these values of `a` become.
fn counting(values: &[i32], emits_every_change: bool, bytes_max: Option<usize>) -> (Task, RawBatch) {
    let text = "CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM s GROUP BY a;";
    let settings = Settings::default();
    let StatementKind::CreateAs(create) = statement(text) else { panic!("a table is created") };
    let topology =
        continuous::create_as(&create, text, &catalog(), &settings, &Found::default()).expect("a plan").query.topology;
    let options = CompileOptions { emits_every_change, ..CompileOptions::default() };
    let compiled = Compiled::new(&topology, &session(&settings), &options).expect("it compiles");
    let placement = |topic: &str| {
        let limits = RecordLimits { bytes_max: bytes_max.filter(|_| topic == "T"), ..RecordLimits::default() };
        (topic.to_owned(), Placement { partitions: 1, limits })
    };
    let placements: BTreeMap<_, _> = compiled.outputs().map(placement).collect();
    let task =
        |stage| compiled.task(TaskId { stage, partition: 0 }, &placements, &Storage::default()).expect("formats exist");
    let mut first = task(0);
    first.handle(&Event::Records(Port(0), &records(values))).expect("records");
    while first.position() != TaskPosition::Done {
        first.advance(NOW_MS).expect("it goes on");
    }
    let Some(Command::Write(Written { batch, .. })) = first.poll_command() else { panic!("rows are exchanged") };
    let exchanged = RawBatch {
        origin: TopicPartition::new(batch.topic, 0),
        offsets: (100..100 + values.len() as i64).collect::<Vec<_>>().into(),
        timestamps_ms: batch.timestamps_ms.expect("event times"),
        keys: Some(batch.keys),
        values: Some(batch.values),
        value_nulls: None,
        headers: None,
        payload_bytes: 0,
    };
    (task(1), exchanged)
}

/// Goal: no commit holds the state of a record that is read again. Method: the state has the whole batch before the first row
/// of it comes out.
#[test]
fn a_batch_that_has_changed_state_is_committed_as_a_whole() {
    let (mut task, exchanged) = counting(&[7, 7, 8], true, None);
    task.handle(&Event::Records(Port(0), &exchanged)).expect("records");
    let mut positions = Vec::new();
    while task.advance(NOW_MS).expect("it goes on") && positions.last() != Some(&TaskPosition::Done) {
        positions.push(task.position());
    }
    assert!(positions.len() > 1, "{positions:?}");
    assert!(!positions.iter().any(|position| matches!(position, TaskPosition::Before(_))), "{positions:?}");
}

/// The task that reads the stream `s` for a join of it with itself, with a batch of three records at 10, 30 and 20 ms.
fn joined_with_itself(join: &str) -> Task {
    let topology = topology(&format!("SELECT a.a FROM s a {join} ON a.a = b.a EMIT CHANGES;"));
    assert_eq!(topology.version(), 6, "older programs would give both sides different stream times");
    let compiled = Compiled::new(&topology, &session(&Settings::default()), &CompileOptions::default());
    let compiled = compiled.expect("it compiles");
    let placement = Placement { partitions: 1, limits: RecordLimits::default() };
    let placements = compiled.outputs().map(|topic| (topic.to_owned(), placement)).collect();
    let task = compiled.task(TaskId { stage: 0, partition: 0 }, &placements, &Storage::default());
    let mut task = task.expect("formats exist");
    task.exchange_rows(true);
    let batch = RawBatch { timestamps_ms: vec![10, 30, 20].into(), ..records(&[1, 2, 3]) };
    task.handle(&Event::Records(Port(0), &batch)).expect("records");
    task
}

/// The stream times of the rows that a task sends when rows are released, by exchange; with them, its positions meanwhile.
fn released(task: &mut Task) -> (Vec<(String, Vec<i64>)>, Vec<TaskPosition>) {
    task.release(Port(0), i64::MAX);
    let (mut sent, mut positions) = (Vec::new(), Vec::new());
    while task.advance(NOW_MS).expect("it goes on") {
        positions.push(task.position());
        while let Some(Command::Exchange(Exchanged { topic, rows })) = task.poll_command() {
            let clocks = rows.iter().flat_map(|(_, chunk)| chunk.clocks_ms.iter().flat_map(|clocks| clocks.values()));
            sent.push((topic.to_string(), clocks.copied().collect()));
        }
    }
    (sent, positions)
}

/// Goal: a row has the stream time of its record on both sides of the join, however far the batch goes, and no commit has the rows of
/// one side alone.
#[test]
fn both_sides_of_a_stream_that_is_joined_with_itself_have_its_stream_times() {
    let mut task = joined_with_itself("JOIN s b WITHIN 1 MINUTE");
    let (sent, mut positions) = released(&mut task);
    let all = vec![10, 30, 30];
    assert_eq!(sent, [("exchange-1".to_owned(), all.clone()), ("exchange-2".to_owned(), all)]);
    let is_done = |position: &TaskPosition| *position == TaskPosition::Done;
    positions.retain(|position| !is_done(position));
    assert!(positions.iter().all(|position| matches!(position, TaskPosition::Within(_))), "{positions:?}");
    assert!(!positions.is_empty() && is_done(&task.position()));
}

/// Goal: whether a row has a match in time does not depend on what else is in its batch. Method: a join that waits for stream time gets
/// rows with one stream time, one that does not wait gets single rows.
#[test]
fn an_outer_join_of_a_stream_with_itself_gets_as_many_rows_as_it_can_tell_apart() {
    let paces = [("GRACE PERIOD 0 SECONDS", vec![vec![10], vec![30, 30]]), ("", vec![vec![10], vec![30], vec![30]])];
    for (grace, wanted) in paces {
        let mut task = joined_with_itself(&format!("LEFT JOIN s b WITHIN 1 MINUTE {grace}"));
        let mut found = Vec::new();
        while task.head(Port(0)).is_some() {
            let sent = released(&mut task).0;
            assert_eq!(sent[0].1, sent[1].1, "both sides get the same rows");
            found.push(sent[0].1.clone());
        }
        assert_eq!(found, wanted, "{grace}");
    }
}

/// Goal: a complaint about a group has the address of the record in the query's input, not that in its exchange, whenever groups
/// come out. Method: the topic accepts no record.
#[test]
fn a_row_whose_group_cannot_be_written_has_the_address_of_its_record() {
    for emits_every_change in [true, false] {
        let (mut task, exchanged) = counting(&[7, 7, 8], emits_every_change, Some(0));
        task.handle(&Event::Records(Port(0), &exchanged)).expect("records");
        while task.position() != TaskPosition::Done {
            task.advance(NOW_MS).expect("it goes on");
        }
        task.handle(&Event::Barrier(Epoch(1))).expect("a barrier");
        while task.passes_barrier() {
            task.advance(NOW_MS).expect("it goes on");
        }
        let commands = std::iter::from_fn(|| task.poll_command());
        let address = |command| match command {
            Command::Complain(complaint) => Some((complaint.origin, complaint.offset)),
            _ => None,
        };
        let expected = [0, 1, 2].map(|offset| (TopicPartition::new("s", 0), offset));
        assert_eq!(commands.filter_map(address).collect::<Vec<_>>(), expected);
    }
}

impl Task {
    /// Inserts an operator between the input and the first operator.
    fn put_before(&mut self, operator: Box<dyn Operator>) {
        let entry = std::mem::replace(&mut self.inputs[0].entry, vec![Target::Operator(self.operators.len(), Port(0))]);
        self.operators.push((operator, entry));
        self.growth.push(None);
    }
}
