//! The three steps of a join by a foreign key, driven by hand: rows go from step to step through queues, as through the topics
//! of exchanges.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use headwater_language::topology::{
    ForeignJoin, JoinKind, Latest as LatestDefinition, Subscribe as SubscribeDefinition, TableStore,
};
use headwater_state::{Changes, MemoryStore, Store};

use super::{JoinForeign, Latest, Subscribe};
use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::table::Table;

/// A record of the left table: key, and the right row it refers to with its text; `None` deletes it.
type Left = (&'static str, Option<(Option<&'static str>, &'static str)>);
/// A record of the right table: key, text; `None` deletes it.
type Right = (&'static str, Option<&'static str>);

fn schema(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()))
}

fn chunk(schema: &SchemaRef, columns: Vec<StringArray>, valued: Vec<bool>, first: i64) -> Chunk {
    let rows = valued.len() as i64;
    let columns = columns.into_iter().map(|column| Arc::new(column) as Arc<dyn Array>).collect();
    Chunk {
        rows: RecordBatch::try_new(schema.clone(), columns).expect("it has these columns"),
        times_ms: (first..first + rows).map(|offset| 1_000 - offset).collect(),
        offsets: (first..first + rows).collect(),
        headers: None,
        valued: Some(valued.into_iter().collect()),
        windows: None,
        before: None,
        origins: None,
        clocks_ms: None,
    }
}

/// Operators in a line, with their stores and changelogs.
struct Task {
    operators: Vec<Box<dyn Operator>>,
    stores: Vec<Box<dyn Store>>,
    changelogs: Vec<Vec<Changes>>,
    clocks: Clocks,
}

impl Task {
    fn new(operators: Vec<Box<dyn Operator>>, stores: usize) -> Self {
        let store = |_| Box::new(MemoryStore::default()) as Box<dyn Store>;
        let changelogs = (0..stores).map(|_| Vec::new()).collect();
        Self { operators, stores: (0..stores).map(store).collect(), changelogs, clocks: Clocks::default() }
    }

    fn with(&mut self, act: impl FnOnce(&mut [Box<dyn Operator>], &mut Context<'_>) -> Vec<Chunk>) -> Vec<Chunk> {
        let mut cx = Context {
            now_ms: 0,
            passed_ms: i64::MAX,
            clocks: &mut self.clocks,
            source: SourcePartition { source: 0, partition: 0 },
            stores: &mut self.stores,
            failures: &mut Vec::new(),
            late: &mut Vec::new(),
        };
        act(&mut self.operators, &mut cx)
    }

    fn push(&mut self, port: usize, chunk: Chunk) -> Vec<Chunk> {
        self.with(|operators, cx| through(operators, Port(port), chunk, cx))
    }

    fn barrier(&mut self) -> Vec<Chunk> {
        let out = self.with(|operators, cx| {
            let mut out = Vec::new();
            for at in 0..operators.len() {
                for chunk in chunks(operators[at].barrier(cx).expect("nothing fails")) {
                    out.extend(through(&mut operators[at + 1..], Port(0), chunk, cx));
                }
            }
            out
        });
        for (store, log) in self.stores.iter_mut().zip(&mut self.changelogs) {
            log.push(store.seal().expect("they are few"));
            store.commit();
        }
        out
    }

    /// Restores the state of the last barrier.
    fn restart(&mut self) {
        self.operators = self.operators.iter().map(|operator| operator.fresh()).collect();
        for (store, log) in self.stores.iter_mut().zip(&self.changelogs) {
            *store = Box::new(MemoryStore::default());
            for changes in log {
                store.restore(&changes.record_keys(), &changes.values).expect("these are record keys");
            }
        }
    }
}

fn through(operators: &mut [Box<dyn Operator>], port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Vec<Chunk> {
    let Some((first, others)) = operators.split_first_mut() else { return vec![chunk] };
    let emitted = chunks(first.push(port, chunk, cx).expect("nothing fails"));
    emitted.into_iter().flat_map(|chunk| through(others, Port(0), chunk, cx)).collect()
}

fn chunks(emitted: Emitted) -> Vec<Chunk> {
    match emitted {
        Emitted::Nothing => Vec::new(),
        Emitted::Rows(chunk) => vec![chunk],
        Emitted::Pieces(mut pieces) => std::iter::from_fn(|| pieces.next_piece().expect("it fits")).collect(),
    }
}

/// The number of partitions of the second step.
const PARTITIONS: usize = 3;

/// A query with a join by a foreign key.
struct Query {
    left: Task,
    middle: Vec<Task>,
    last: Task,
    /// Requests on their way to each partition of the second step.
    requests: Vec<VecDeque<Chunk>>,
    /// Right rows on their way to each.
    right: Vec<VecDeque<Chunk>>,
    /// Answers on their way from each.
    answers: Vec<VecDeque<Chunk>>,
    offset: i64,
    /// The joined rows that are out.
    out: BTreeMap<String, String>,
    shown: Vec<String>,
}

impl Query {
    fn new(kind: JoinKind, every: bool) -> Self {
        let name = |name: &str| name.to_owned();
        let left = schema(&["L_ID", "L_V", "L_REF"]);
        let key = vec![name("L_ID")];
        let table = TableStore { store: name("left"), key: key.clone() };
        let table = Table::new(&table, &left, 0, every, true).expect("it is supported");
        let subscribe = SubscribeDefinition {
            kind,
            store: name("requests"),
            foreign_key: name("L_REF"),
            version: name("VERSION"),
            request: name("REQUEST"),
        };
        let subscribe = Subscribe::new(&subscribe, &left, 1).expect("it is supported");
        let join = ForeignJoin {
            kind,
            left_store: name("subscribers"),
            right_store: name("right"),
            foreign_key: name("L_REF"),
            left_key: key.clone(),
            right_key: name("R_ID"),
            version: name("VERSION"),
            request: name("REQUEST"),
            has_row: name("HAS ROW"),
        };
        let right = schema(&["R_V", "R_ID"]);
        let join = JoinForeign::new(&join, [subscribe.schema(), &right], 0, every).expect("it is supported");
        let latest = LatestDefinition {
            version_store: name("versions"),
            store: name("latest"),
            key,
            version: name("VERSION"),
            has_row: name("HAS ROW"),
        };
        let latest = Latest::new(&latest, join.schema(), 0, every, true).expect("it is supported");
        let names: Vec<_> = latest.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["L_ID", "L_V", "L_REF", "R_V", "R_ID"]);
        let queues = || (0..PARTITIONS).map(|_| VecDeque::new()).collect();
        Self {
            middle: (0..PARTITIONS).map(|_| Task::new(vec![join.fresh()], 2)).collect(),
            left: Task::new(vec![Box::new(table), Box::new(subscribe)], 2),
            last: Task::new(vec![Box::new(latest)], 2),
            requests: queues(),
            right: queues(),
            answers: queues(),
            offset: 0,
            out: BTreeMap::new(),
            shown: Vec::new(),
        }
    }

    fn left(&mut self, rows: &[Left]) {
        let column = |of: fn(&Left) -> Option<&'static str>| rows.iter().map(of).collect::<StringArray>();
        let columns = vec![
            column(|row| Some(row.0)),
            column(|row| row.1.map(|(_, text)| text)),
            column(|row| row.1.and_then(|(reference, _)| reference)),
        ];
        let valued = rows.iter().map(|row| row.1.is_some()).collect();
        let chunk = chunk(&schema(&["L_ID", "L_V", "L_REF"]), columns, valued, self.offset);
        self.offset += rows.len() as i64;
        let requests = self.left.push(0, chunk);
        self.request(requests);
    }

    /// Sends requests to the partitions of the rows that they refer to.
    fn request(&mut self, requests: Vec<Chunk>) {
        for chunk in requests {
            let keys = chunk.rows.column(2).as_string::<i32>().clone();
            for (partition, queue) in self.requests.iter_mut().enumerate() {
                let place = |row: usize| if keys.is_valid(row) { partition_of(keys.value(row)) } else { 0 };
                let rows =
                    (0..chunk.len()).filter(|row| place(*row) == partition).map(|row| Some(row as u32)).collect();
                let rows = chunk.clone().take(&rows).expect("they are there");
                queue.extend((!rows.is_empty()).then_some(rows));
            }
        }
    }

    fn right(&mut self, rows: &[Right]) {
        for (partition, queue) in self.right.iter_mut().enumerate() {
            let rows: Vec<&Right> = rows.iter().filter(|row| partition_of(row.0) == partition).collect();
            let columns = vec![rows.iter().map(|row| row.1).collect(), rows.iter().map(|row| Some(row.0)).collect()];
            let valued = rows.iter().map(|row| row.1.is_some()).collect();
            let chunk = chunk(&schema(&["R_V", "R_ID"]), columns, valued, self.offset);
            queue.extend((!chunk.is_empty()).then_some(chunk));
        }
        self.offset += rows.len() as i64;
    }

    /// Takes one step, the one with this number, if there is something to be done. Returns whether there was.
    fn step(&mut self, step: usize) -> bool {
        let partition = step % PARTITIONS;
        match step / PARTITIONS {
            0 => match self.requests[partition].pop_front() {
                Some(chunk) => self.answers[partition].extend(self.middle[partition].push(0, chunk)),
                None => return false,
            },
            1 => match self.right[partition].pop_front() {
                Some(chunk) => self.answers[partition].extend(self.middle[partition].push(1, chunk)),
                None => return false,
            },
            _ => match self.answers[partition].pop_front() {
                Some(chunk) => {
                    let changes = self.last.push(0, chunk);
                    self.show(changes);
                }
                None => return false,
            },
        }
        true
    }

    /// Takes all steps until nothing is on its way.
    fn drain(&mut self) {
        while (0..3 * PARTITIONS).any(|step| self.step(step)) {}
    }

    /// Commits each step, one after the other, with everything before it.
    fn commit(&mut self) {
        let requests = self.left.barrier();
        self.request(requests);
        self.drain();
        self.middle.iter_mut().for_each(|task| drop(task.barrier()));
        let changes = self.last.barrier();
        self.show(changes);
    }

    fn restart(&mut self) {
        self.commit();
        [&mut self.left, &mut self.last].into_iter().chain(&mut self.middle).for_each(Task::restart);
    }

    /// Applies changes to the rows that are out, and checks what was before.
    fn show(&mut self, changes: Vec<Chunk>) {
        for chunk in changes {
            let before = chunk.before.as_ref().expect("they were asked for");
            for row in 0..chunk.len() {
                let key = chunk.rows.column(0).as_string::<i32>().value(row).to_owned();
                let [then, now] =
                    [(&before.rows, &before.valued), (&chunk.rows, &chunk.valued)].map(|(rows, valued)| {
                        valued.as_ref().is_none_or(|valued| valued.is_valid(row)).then(|| text(rows, row))
                    });
                assert_eq!(self.out.get(&key), then.as_ref(), "key {key}");
                assert!(then.is_some() || now.is_some(), "a tombstone only for a row that was out");
                self.shown.push(now.clone().unwrap_or_else(|| format!("{key}: -")));
                match now {
                    Some(now) => self.out.insert(key, now),
                    None => self.out.remove(&key),
                };
            }
        }
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }
}

fn partition_of(key: &str) -> usize {
    key.bytes().map(usize::from).sum::<usize>() % PARTITIONS
}

/// A joined row as `key text reference right`.
fn text(rows: &RecordBatch, row: usize) -> String {
    let value = |at: usize| {
        let column = rows.column(at).as_string::<i32>();
        if column.is_valid(row) { column.value(row).to_owned() } else { "null".to_owned() }
    };
    let (right, right_key) = (value(3), value(4));
    assert!(right_key == "null" || right_key == value(2), "the keys are equal");
    format!("{}: {} {} {right}", value(0), value(1), value(2))
}

const REFERENCES: [(Option<&str>, bool); 8] = [
    (None, true),
    (Some("r1"), true),
    (Some("r2"), true),
    (Some("r9"), true),
    (None, true),
    (Some("r1"), true),
    (None, false),
    (None, false),
];

fn left_of((reference, exists): (Option<&'static str>, bool)) -> Left {
    ("1", exists.then_some((reference, "v")))
}

/// Trap J4.
#[test]
fn moves_nulls_and_deletes() {
    let expected = |kind| match kind {
        JoinKind::Inner => ["", "1: v r1 A", "1: v r2 B", "1: -", "", "1: v r1 A", "1: -", ""],
        _ => ["1: v null null", "1: v r1 A", "1: v r2 B", "1: v r9 null", "1: v null null", "1: v r1 A", "1: -", ""],
    };
    for kind in [JoinKind::Inner, JoinKind::Left] {
        for restarts in [false, true] {
            let mut query = Query::new(kind, true);
            query.right(&[("r1", Some("A")), ("r2", Some("B"))]);
            query.drain();
            for (step, expected) in REFERENCES.into_iter().zip(expected(kind)) {
                query.left(&[left_of(step)]);
                query.drain();
                assert_eq!(query.take().join("; "), expected, "{kind:?} {step:?}");
                if restarts {
                    query.restart();
                }
            }
        }
    }
}

/// Trap J4, all of it in one batch.
#[test]
fn in_last_change_mode_only_the_end_state_comes_out() {
    for kind in [JoinKind::Inner, JoinKind::Left] {
        let mut query = Query::new(kind, false);
        query.right(&[("r1", Some("A")), ("r2", Some("B"))]);
        query.left(&REFERENCES.map(left_of));
        query.commit();
        assert_eq!(query.take(), [""; 0]);
        query.left(&REFERENCES[..6].iter().copied().map(left_of).collect::<Vec<_>>());
        query.commit();
        assert_eq!(query.take(), ["1: v r1 A"]);
        query.left(&REFERENCES[..6].iter().copied().map(left_of).collect::<Vec<_>>());
        query.left(&[left_of(REFERENCES[2])]);
        query.right(&[("r2", None), ("r2", Some("C"))]);
        query.commit();
        assert_eq!(query.take(), ["1: v r2 C"]);
    }
}

#[test]
fn a_right_row_changes_all_rows_that_refer_to_it() {
    for (kind, gone) in [(JoinKind::Inner, ["1: -", "2: -"]), (JoinKind::Left, ["1: a r null", "2: b r null"])] {
        let mut query = Query::new(kind, true);
        query.left(&[("1", Some((Some("r"), "a"))), ("2", Some((Some("r"), "b"))), ("3", Some((Some("rr"), "c")))]);
        query.drain();
        query.take();
        query.right(&[("r", Some("A"))]);
        query.drain();
        assert_eq!(query.take(), ["1: a r A", "2: b r A"]);
        query.restart();
        query.right(&[("r", Some("B")), ("r", None), ("r", None)]);
        query.drain();
        let expected = ["1: a r B", "2: b r B"].into_iter().chain(gone).collect::<Vec<_>>();
        assert_eq!(query.take(), expected);
    }
}

/// Goal: an answer of a row's former reference does not replace that of its new one. Method: the former one answers late.
#[test]
fn an_older_answer_changes_nothing() {
    let mut query = Query::new(JoinKind::Inner, true);
    query.right(&[("r1", Some("A")), ("r2", Some("B"))]);
    query.left(&[("1", Some((Some("r1"), "v")))]);
    query.drain();
    query.take();
    query.right(&[("r1", Some("C"))]);
    let first = partition_of("r1");
    assert!(query.step(PARTITIONS + first), "the answer is on its way");
    let late = std::mem::take(&mut query.answers[first]);
    query.left(&[("1", Some((Some("r2"), "v")))]);
    query.drain();
    assert_eq!(query.take(), ["1: v r2 B"]);
    query.answers[first] = late;
    query.drain();
    assert_eq!(query.take(), [""; 0]);
}

/// Numbers that look random, from a seed (a linear congruence).
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(2) + 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Goal: in whatever order rows, requests and answers arrive, the end is the join of both tables. Method: random changes of both
/// tables from each seed, steps in random order, commits and restarts in between; in the end a nested loop over both tables.
#[test]
fn random_interleavings_end_with_the_join() {
    const KEYS: [&str; 5] = ["1", "2", "3", "4", "5"];
    const RIGHT: [&str; 5] = ["r1", "r2", "r3", "r", "r12"];
    const TEXTS: [&str; 3] = ["x", "y", "z"];
    for seed in 0..80 {
        let mut random = numbers(seed);
        let kind = [JoinKind::Inner, JoinKind::Left][seed as usize % 2];
        let mut query = Query::new(kind, seed % 4 < 2);
        let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..150 {
            match random(10) {
                0 | 1 => {
                    let row = |_| {
                        let reference = (random(5) > 0).then(|| RIGHT[random(5)]);
                        (KEYS[random(5)], (random(5) > 0).then(|| (reference, TEXTS[random(3)])))
                    };
                    let rows: Vec<Left> = (0..3).map(row).collect();
                    left.extend(rows.iter().copied());
                    query.left(&rows[..]);
                }
                2 => {
                    let row = |_| (RIGHT[random(5)], (random(3) > 0).then(|| TEXTS[random(3)]));
                    let rows: Vec<Right> = (0..2).map(row).collect();
                    right.extend(rows.iter().copied());
                    query.right(&rows[..]);
                }
                3 if random(4) == 0 => query.restart(),
                3 if random(4) == 0 => query.commit(),
                _ => drop(query.step(random(3 * PARTITIONS))),
            }
        }
        query.commit();
        let joined = |(key, row): (&&str, &Option<(Option<&str>, &str)>)| {
            let (reference, text) = (*row)?;
            let found = reference.and_then(|reference| right.get(reference).copied().flatten());
            let shown = format!("{key}: {text} {} {}", reference.unwrap_or("null"), found.unwrap_or("null"));
            (found.is_some() || kind == JoinKind::Left).then(|| (key.to_string(), shown))
        };
        let expected: BTreeMap<String, String> = left.iter().filter_map(joined).collect();
        assert_eq!(query.out, expected, "seed {seed}");
    }
}

/// Goal: a right row with many references is answered in pieces. Method: left rows that are large together.
#[test]
fn many_references_are_answered_in_pieces() {
    let mut query = Query::new(JoinKind::Left, true);
    let long: &'static str = Box::leak("x".repeat(40_000).into_boxed_str());
    let keys: Vec<&'static str> = (0..600).map(|key: i32| &*Box::leak(key.to_string().into_boxed_str())).collect();
    query.left(&keys.iter().map(|key| (*key, Some((Some("r"), long)))).collect::<Vec<_>>());
    query.drain();
    query.right(&[("r", Some("A"))]);
    let partition = partition_of("r");
    assert!(query.step(PARTITIONS + partition));
    let rows: Vec<usize> = query.answers[partition].iter().map(Chunk::len).collect();
    assert_eq!((rows.len(), rows.iter().sum::<usize>()), (2, 600));
    query.drain();
    assert!(query.out.values().all(|row| row.ends_with(" r A")));
}
