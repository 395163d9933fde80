//! Joins of two streams, driven by hand over stores in memory.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use headwater_language::topology::{Join, JoinForm, JoinKind, JoinSide};
use headwater_state::{Changes, MemoryStore, Store};

use super::{JoinStreams, Time};
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Emitted, Late, Operator, Port};
use crate::operators::for_tests::{cx, numbers};

/// A row: input, key, value, event time in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row(usize, &'static str, i32, i64);

const L: usize = 0;
const R: usize = 1;

fn schema(side: usize) -> SchemaRef {
    let (key, value) = if side == L { ("LK", "LV") } else { ("RK", "RV") };
    let (key, value) = (Field::new(key, DataType::Utf8, true), Field::new(value, DataType::Int32, true));
    // The key is in different places.
    Arc::new(Schema::new(if side == L { vec![key, value] } else { vec![value, key] }))
}

fn join(kind: JoinKind, [before_ms, after_ms]: [i64; 2], grace_ms: Option<i64>) -> Join {
    let side = |key: &str| JoinSide { key: key.to_owned(), store: Some(format!("Join-{key}")) };
    let form = JoinForm::Streams { before_ms, after_ms, grace_ms };
    Join { kind, form, left: side("LK"), right: side("RK") }
}

fn operator(join: &Join) -> JoinStreams {
    JoinStreams::new(join, &schema(L), &schema(R), 0).expect("it is supported")
}

fn chunk(rows: &[Row], first_offset: i64) -> Chunk {
    let keys: StringArray = rows.iter().map(|row| Some(row.1)).collect();
    let values: Int32Array = rows.iter().map(|row| Some(row.2)).collect();
    let (keys, values): (Arc<dyn Array>, Arc<dyn Array>) = (Arc::new(keys), Arc::new(values));
    let columns = if rows[0].0 == L { vec![keys, values] } else { vec![values, keys] };
    let offsets: Vec<i64> = (first_offset..).take(rows.len()).collect();
    let origins = Origins {
        sources: rows.iter().map(|row| Some(row.0 as i32)).collect(),
        partitions: vec![7; rows.len()].into(),
        offsets: offsets.iter().map(|at| at * 2).collect(),
    };
    Chunk {
        rows: RecordBatch::try_new(schema(rows[0].0), columns).expect("it has these columns"),
        times_ms: rows.iter().map(|row| row.3).collect(),
        offsets: offsets.into(),
        headers: None,
        valued: None,
        windows: None,
        before: None,
        origins: Some(origins),
        clocks_ms: None,
    }
}

/// A join with what a task has of it, and its changelogs.
struct Twin {
    join: JoinStreams,
    stores: Vec<Box<dyn Store>>,
    changelogs: [Vec<Changes>; 2],
    clocks: Clocks,
    late: Vec<(i64, String)>,
    pushed: i64,
    /// The stream time that all streams have passed.
    passed_ms: i64,
}

fn stores() -> Vec<Box<dyn Store>> {
    (0..2).map(|_| Box::new(MemoryStore::default()) as Box<dyn Store>).collect()
}

impl Twin {
    fn new(kind: JoinKind, within: [i64; 2], grace_ms: Option<i64>) -> Self {
        Self {
            join: operator(&join(kind, within, grace_ms)),
            stores: stores(),
            changelogs: [Vec::new(), Vec::new()],
            clocks: Clocks::default(),
            late: Vec::new(),
            pushed: 0,
            passed_ms: i64::MAX,
        }
    }

    /// Pushes rows of one input.
    fn push(&mut self, rows: &[Row]) -> Vec<String> {
        self.push_from(7, rows)
    }

    /// Pushes rows of one input from partitions with a number.
    fn push_from(&mut self, partition: i32, rows: &[Row]) -> Vec<String> {
        let mut chunk = chunk(rows, self.pushed);
        chunk.origins.as_mut().expect("rows have origins").partitions = vec![partition; rows.len()].into();
        self.push_chunk(Port(rows[0].0), chunk)
    }

    /// Tells the join that all streams have passed a time.
    fn pass(&mut self, passed_ms: i64) -> Vec<String> {
        self.passed_ms = passed_ms;
        self.push_chunk(Port(0), chunk(&[Row(L, "", 0, 0)], 0).slice(0, 0))
    }

    fn push_chunk(&mut self, port: Port, chunk: Chunk) -> Vec<String> {
        let mut late: Vec<Late> = Vec::new();
        let mut cx = cx!(&mut self.clocks, &mut self.stores);
        cx.late = &mut late;
        cx.passed_ms = self.passed_ms;
        let rows = chunk.len() as i64;
        let emitted = self.join.push(port, chunk, &mut cx).expect("nothing fails");
        self.late.extend(late.into_iter().map(|late| (self.pushed + late.row as i64, late.reason)));
        self.pushed += rows;
        match emitted {
            Emitted::Nothing => Vec::new(),
            Emitted::Rows(chunk) => show(&chunk),
            Emitted::Pieces(_) => panic!("there are few rows"),
        }
    }

    /// Pushes rows in their order, each run of one input as a batch.
    fn push_all(&mut self, rows: &[Row]) -> Vec<String> {
        rows.chunk_by(|one, next| one.0 == next.0).flat_map(|rows| self.push(rows)).collect()
    }

    fn seal(&mut self) {
        for (store, log) in self.stores.iter_mut().zip(&mut self.changelogs) {
            log.push(store.seal().expect("the changes are few"));
            store.commit();
        }
    }

    /// Commits, and restores the state from the changelogs.
    fn restart(&mut self) {
        self.seal();
        self.stores = stores();
        for (store, log) in self.stores.iter_mut().zip(&self.changelogs) {
            for changes in log {
                store.restore(&changes.record_keys(), &changes.values).expect("these are record keys");
            }
        }
        self.join = operator_of(&self.join);
    }
}

/// The operator as a new task has it.
fn operator_of(join: &JoinStreams) -> JoinStreams {
    JoinStreams { waiting: None, last: None, ..join.clone() }
}

/// Each row as `offset@time [left,right]`, where a side without a row is `-`.
fn show(chunk: &Chunk) -> Vec<String> {
    let text = |key: usize, value: usize, row: usize| {
        let (key, value) = (chunk.rows.column(key).as_string::<i32>(), chunk.rows.column(value));
        match key.is_null(row) {
            true => "-".to_owned(),
            false => format!("{}{}", key.value(row), value.as_primitive::<Int32Type>().value(row)),
        }
    };
    let origins = chunk.origins.as_ref().expect("rows keep their origins");
    assert!(origins.offsets.values().iter().zip(chunk.offsets.values()).all(|(origin, offset)| *origin == offset * 2));
    assert!(chunk.clocks_ms.is_some());
    let row = |row| {
        let (left, right) = (text(0, 1, row), text(3, 2, row));
        format!("{}@{} [{left},{right}]", chunk.offsets.value(row), chunk.times_ms.value(row))
    };
    (0..chunk.len()).map(row).collect()
}

const SYMMETRIC: [i64; 2] = [10_000, 10_000];

/// Trap J2.
#[test]
fn a_row_without_a_match_comes_out_once_its_window_and_grace_have_passed() {
    let mut twin = Twin::new(JoinKind::Left, SYMMETRIC, Some(5_000));
    assert_eq!(twin.push(&[Row(L, "a", 1, 0)]), [""; 0]);
    assert_eq!(twin.push(&[Row(R, "a", 2, 9_000)]), ["1@9000 [a1,a2]"]);
    assert_eq!(twin.push(&[Row(L, "b", 1, 12_000)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "c", 1, 1_000)]), [""; 0]);
    assert_eq!(twin.push(&[Row(R, "c", 2, 5_000)]), ["4@5000 [c1,c2]"]);
    assert_eq!(twin.push(&[Row(L, "d", 1, 16_001)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "x", 1, 27_000)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "e", 1, 27_001)]), ["7@12000 [b1,-]"]);
    assert!(twin.late.is_empty());
}

/// Goal: a process that is behind loses no matches. Method: partitions with number 1 are a minute behind those with number 0.
#[test]
fn a_row_is_late_by_its_own_partition() {
    let mut twin = Twin::new(JoinKind::Left, [50, 50], Some(10));
    assert_eq!(twin.push_from(1, &[Row(L, "a", 1, 100)]), [""; 0]);
    assert_eq!(twin.push_from(0, &[Row(L, "b", 1, 60_000), Row(L, "b", 2, 60_061)]), ["2@60000 [b1,-]"]);
    assert_eq!(twin.push_from(1, &[Row(R, "a", 2, 150), Row(R, "a", 3, 90)]), ["3@150 [a1,a2]", "4@100 [a1,a3]"]);
    assert_eq!(twin.push_from(1, &[Row(L, "c", 1, 150)]), [""; 0]);
    twin.restart();
    assert_eq!(twin.push_from(1, &[Row(R, "a", 4, 211)]), ["6@150 [c1,-]"]);
    assert_eq!(twin.late, []);
    assert_eq!(twin.push_from(1, &[Row(R, "a", 5, 100)]), [""; 0]);
    assert_eq!(twin.late.len(), 1);
    // Once the slower one has passed, too, nothing is kept of the rows before.
    twin.push_from(1, &[Row(R, "z", 1, 61_000)]);
    twin.seal();
    assert_eq!((twin.stores[L].len(), twin.stores[R].len()), (3, 1));
}

/// Goal: a row waits as long as a process that is behind may have a match, and does not wait for another row then.
#[test]
fn a_row_waits_for_streams_elsewhere() {
    let mut twin = Twin::new(JoinKind::Left, [50, 50], Some(10));
    assert_eq!(twin.pass(100), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "a", 1, 100), Row(L, "b", 1, 110), Row(L, "c", 1, 1_000)]), [""; 0]);
    twin.restart();
    assert_eq!(twin.pass(165), [""; 0], "no row was pushed since");
    assert_eq!(twin.push(&[Row(L, "d", 1, 1_000)]), ["3@100 [a1,-]"]);
    assert_eq!(twin.push(&[Row(R, "b", 2, 110)]), [""; 0], "it is late by its own partition");
    assert_eq!(twin.pass(170), [""; 0]);
    assert_eq!(twin.pass(i64::MAX), ["4@110 [b1,-]"]);
    twin.restart();
    assert_eq!(twin.push(&[Row(L, "e", 1, 1_060)]), [""; 0]);
}

#[test]
fn a_row_of_either_input_waits_for_streams_elsewhere() {
    let mut twin = Twin::new(JoinKind::Full, [50, 50], Some(10));
    twin.pass(0);
    assert_eq!(twin.push(&[Row(R, "a", 1, 100), Row(R, "b", 1, 1_000)]), [""; 0]);
    assert_eq!(twin.pass(161), ["1@100 [-,a1]"]);
}

/// Trap J3, a row whose partner is gone.
#[test]
fn a_row_that_was_matched_stays_matched() {
    let mut twin = Twin::new(JoinKind::Left, SYMMETRIC, Some(0));
    assert_eq!(twin.push(&[Row(R, "a", 1, 0)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "a", 2, 9_000)]), ["1@9000 [a2,a1]"]);
    twin.restart();
    assert_eq!(twin.push(&[Row(L, "b", 3, 60_000)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "c", 4, 70_001)]), ["3@60000 [b3,-]"]);
    twin.seal();
    // The rows at 70001 and the time of the join; at 60000, the row of the left input.
    assert_eq!((twin.stores[L].len(), twin.stores[R].len()), (3, 0));
}

/// Trap J3, rows with the same key and time.
#[test]
fn rows_with_the_same_key_and_time_are_kept_apart() {
    let mut twin = Twin::new(JoinKind::Left, SYMMETRIC, Some(0));
    assert_eq!(twin.push(&[Row(L, "c", 1, 100)]), [""; 0]);
    assert_eq!(twin.push(&[Row(L, "c", 2, 100)]), [""; 0]);
    twin.restart();
    assert_eq!(twin.push(&[Row(R, "c", 9, 100)]), ["2@100 [c1,c9]", "2@100 [c2,c9]"]);
    twin.restart();
    assert_eq!(twin.push(&[Row(R, "x", 9, 99_000)]), [""; 0]);
}

/// The example of the reference: WITHIN 1 minute GRACE PERIOD 1 minute.
#[test]
fn a_late_row_matches_nothing() {
    let run = |kind, first: Row, rows: &[Row]| {
        let mut twin = Twin::new(kind, [60_000, 60_000], Some(60_000));
        assert_eq!(twin.push_all(&[Row(L, "a", 1, 0), Row(R, "a", 2, 60_000)]), ["1@60000 [a1,a2]"]);
        assert_eq!(twin.push(&[first]), [""; 0]);
        (twin.push_all(rows), twin.late.len())
    };
    let rows = [Row(L, "c", 1, 90_000), Row(R, "c", 2, 90_000), Row(L, "d", 1, 60_000), Row(R, "d", 2, 60_000)];
    let left = ["3@90000 [c1,-]", "5@60000 [d1,-]"].map(str::to_owned).to_vec();
    assert_eq!(run(JoinKind::Inner, Row(L, "b", 1, 330_000), &rows), (vec![], 4));
    assert_eq!(run(JoinKind::Left, Row(L, "b", 1, 330_000), &rows), (left, 4));
    let rows = [Row(R, "c", 2, 90_000), Row(L, "c", 1, 90_000)];
    let both = ["3@90000 [-,c2]", "4@90000 [c1,-]"].map(str::to_owned).to_vec();
    assert_eq!(run(JoinKind::Full, Row(R, "b", 2, 330_000), &rows), (both, 2));
}

#[test]
fn late_rows_are_reported_with_the_reason() {
    let mut twin = Twin::new(JoinKind::Left, [5, 7], Some(3));
    twin.push_all(&[
        Row(L, "a", 1, 100),
        Row(L, "a", 1, 90),
        Row(L, "a", 1, 89),
        Row(R, "a", 1, 91),
        Row(R, "a", 1, 92),
    ]);
    let accepted = |until| format!("the row is late: it was accepted until stream time {until} (grace period 3 ms)");
    let left = format!("{}, and stream time is 100; it is emitted without a match", accepted(99));
    assert_eq!(twin.late, [(2, left), (3, format!("{}, and stream time is 100", accepted(99)))]);
    assert_eq!(twin.clocks.get(SourcePartition { source: 1, partition: 7 }), Some(92));
}

#[test]
fn without_grace_rows_without_a_match_come_out_at_once() {
    let mut twin = Twin::new(JoinKind::Full, [10, 0], None);
    assert_eq!(twin.push(&[Row(L, "a", 1, 100), Row(L, "b", 1, 100)]), ["0@100 [a1,-]", "1@100 [b1,-]"]);
    assert_eq!(
        twin.push(&[Row(R, "a", 2, 90), Row(R, "a", 3, 101), Row(R, "a", 4, 89)]),
        ["2@100 [a1,a2]", "3@101 [-,a3]", "4@89 [-,a4]"]
    );
    let late = [Row(L, "z", 1, 86_400_101), Row(L, "a", 5, 100)];
    assert_eq!(twin.push(&late), ["5@86400101 [z1,-]", "6@100 [a5,-]"]);
    assert_eq!(twin.late.len(), 1);
}

#[test]
fn rows_that_wait_come_out_in_the_order_in_which_they_stop_waiting() {
    // A left row waits for 3 ms, a right one for 8 ms.
    let mut twin = Twin::new(JoinKind::Full, [8, 3], Some(0));
    twin.push_all(&[Row(R, "a", 1, 0), Row(L, "b", 2, 5), Row(L, "c", 3, 4), Row(L, "d", 4, 5)]);
    let jump = [Row(R, "y", 1, 8), Row(R, "z", 1, 1_000)];
    let expected = ["4@4 [c3,-]", "5@0 [-,a1]", "5@5 [b2,-]", "5@5 [d4,-]", "5@8 [-,y1]"];
    assert_eq!(twin.push(&jump[..1]), expected[..1]);
    assert_eq!(twin.push(&jump[1..]), expected[1..]);
}

/// Rows in lists, buckets and stores as the reference says, without any of them: each row is compared with all others.
#[derive(Default)]
struct Model {
    /// The rows that were not late, each with its number, whether it was matched, and whether it waits.
    kept: Vec<(Row, bool, bool)>,
    stream_ms: Option<i64>,
    pushed: i64,
    late: Vec<i64>,
}

impl Model {
    fn push(&mut self, kind: JoinKind, [before, after]: [i64; 2], grace: Option<i64>, row: Row) -> Vec<String> {
        let offset = self.pushed;
        self.pushed += 1;
        let now = self.stream_ms.map_or(row.3, |now| now.max(row.3));
        self.stream_ms = Some(now);
        let keeps = |side: usize| match side {
            L => matches!(kind, JoinKind::Left | JoinKind::Full),
            _ => matches!(kind, JoinKind::Right | JoinKind::Full),
        };
        let close = |row: &Row| row.3 + if row.0 == L { after } else { before } + grace.unwrap_or(86_400_000);
        let alone = |row: &Row| {
            let text = format!("{}{}", row.1, row.2);
            if row.0 == L { format!("{offset}@{} [{text},-]", row.3) } else { format!("{offset}@{} [-,{text}]", row.3) }
        };
        let mut out = Vec::new();
        let mut done: Vec<usize> = (0..self.kept.len())
            .filter(|at| self.kept[*at].2 && !self.kept[*at].1 && close(&self.kept[*at].0) < now)
            .collect();
        done.sort_by_key(|at| (close(&self.kept[*at].0), *at));
        for at in done {
            out.push(alone(&self.kept[at].0));
            self.kept[at].2 = false;
        }
        if close(&row) < now {
            self.late.push(offset);
            out.extend(keeps(row.0).then(|| alone(&row)));
            return out;
        }
        let mut partners: Vec<usize> = (0..self.kept.len())
            .filter(|at| {
                let other = &self.kept[*at].0;
                let (left, right) = if row.0 == L { (&row, other) } else { (other, &row) };
                other.0 != row.0 && other.1 == row.1 && right.3 >= left.3 - before && right.3 <= left.3 + after
            })
            .collect();
        partners.sort_by_key(|at| (self.kept[*at].0.3, *at));
        for at in &partners {
            let other = self.kept[*at].0;
            self.kept[*at].1 = true;
            let (left, right) = if row.0 == L { (row, other) } else { (other, row) };
            let time = row.3.max(other.3);
            out.push(format!("{offset}@{time} [{}{},{}{}]", left.1, left.2, right.1, right.2));
        }
        let is_matched = !partners.is_empty();
        let alone = (!is_matched && keeps(row.0) && grace.is_none()).then(|| alone(&row));
        out.extend(alone);
        self.kept.push((row, is_matched, keeps(row.0) && grace.is_some()));
        out
    }
}

fn random_rows(random: &mut impl FnMut(u64) -> u64, jitter: u64) -> Vec<Row> {
    const KEYS: [&str; 4] = ["a", "b", "c", ""];
    let mut time = 0;
    let mut side = L;
    let row = |value| {
        time += random(6) as i64 * 20;
        if random(3) == 0 {
            side = 1 - side;
        }
        Row(side, KEYS[random(4) as usize], value, time - random(jitter) as i64)
    };
    (0..120).map(row).collect()
}

/// Goal: the operator does what the reference says, however rows are cut into batches, and with restarts in between. Method:
/// random rows from each seed, joined by a model that compares each row with all others.
#[test]
fn random_rows_agree_with_a_model() {
    const KINDS: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
    const WITHIN: [[i64; 2]; 4] = [[50, 50], [0, 130], [300, 20], [0, 0]];
    const GRACE: [Option<i64>; 4] = [None, Some(0), Some(70), Some(400)];
    for seed in 0..160 {
        let mut random = numbers(seed);
        let (kind, grace) = (KINDS[seed as usize % 4], GRACE[seed as usize / 4 % 4]);
        let within = WITHIN[random(4) as usize];
        let jitter = 1 + random(600);
        let rows = random_rows(&mut random, jitter);
        let mut model = Model::default();
        let expected: Vec<String> = rows.iter().flat_map(|row| model.push(kind, within, grace, *row)).collect();
        for cuts in 0..4 {
            let mut twin = Twin::new(kind, within, grace);
            let (mut shown, mut rest) = (Vec::new(), &rows[..]);
            while !rest.is_empty() {
                let run = rest.iter().take_while(|row| row.0 == rest[0].0).count();
                let count = match cuts {
                    0 => run,
                    1 => 1,
                    _ => 1 + random(run as u64) as usize,
                };
                shown.extend(twin.push(&rest[..count]));
                rest = &rest[count..];
                match random(6) {
                    0 if cuts > 1 => twin.restart(),
                    1 => twin.seal(),
                    _ => {}
                }
            }
            assert_eq!(shown, expected, "seed {seed}, {kind:?} {within:?} {grace:?}, cuts {cuts}");
            assert_eq!(twin.late.iter().map(|late| late.0).collect::<Vec<_>>(), model.late, "seed {seed}");
        }
    }
}

/// Goal: state does not grow with time. Method: many rows over a long time, and what is left of them.
#[test]
fn rows_expire_with_stream_time() {
    let mut twin = Twin::new(JoinKind::Full, [50, 50], Some(20));
    for time in 0..500 {
        twin.push(&[Row(L, "a", 1, time * 10)]);
        twin.push(&[Row(R, "a", 1, time * 10)]);
        if time % 7 == 0 {
            twin.seal();
        }
    }
    twin.seal();
    // A row is kept for 120 ms, and at most 100 ms longer with its bucket.
    assert!(twin.stores[L].len() <= 23 && twin.stores[R].len() <= 22, "{}", twin.stores[L].len());
    twin.restart();
    assert_eq!(twin.join.waiting.as_ref().map(|waiting| waiting.len()), None);
    assert_eq!(twin.push(&[Row(R, "a", 1, 1_000_000)]), [""; 0]);
}

/// Goal: a row that matches many does not make one huge chunk. Method: 600 rows that match 600 others, with long values.
#[test]
fn many_matches_come_out_in_pieces() {
    let schema = |key: &str, value: &str| {
        let field = |name: &str| Field::new(name, DataType::Utf8, true);
        Arc::new(Schema::new(vec![field(key), field(value)]))
    };
    let schemas = [schema("LK", "LV"), schema("RK", "RV")];
    let definition = join(JoinKind::Inner, [50, 50], Some(0));
    let mut operator = JoinStreams::new(&definition, &schemas[0], &schemas[1], 0).expect("it is supported");
    let (mut stores, mut clocks) = (stores(), Clocks::default());
    let mut counts = Vec::new();
    for side in [L, R] {
        let texts = |text: &str| Arc::new(StringArray::from(vec![text; 600])) as Arc<dyn Array>;
        let rows = RecordBatch::try_new(schemas[side].clone(), vec![texts("k"), texts(&"x".repeat(50))]);
        let rows = rows.expect("it has these columns");
        let numbers: Vec<Row> = (0..600).map(|value| Row(L, "k", value, 5)).collect();
        let chunk = chunk(&numbers, 0).with_rows(rows);
        let mut cx = cx!(&mut clocks, &mut stores);
        let emitted = operator.push(Port(side), chunk, &mut cx).expect("nothing fails");
        let Emitted::Pieces(mut pieces) = emitted else { continue };
        assert_eq!(pieces.position(), Some((0, false)));
        assert_eq!(pieces.bytes(), 360_000 * (2 * 4 + 1 + 50) * 2);
        while let Some(piece) = pieces.next_piece().expect("it fits") {
            counts.push(piece.len());
            let last = piece.offsets.value(piece.len() - 1);
            assert!(pieces.position().is_none_or(|(offset, begun)| begun == (offset == last)));
        }
        assert_eq!(pieces.position(), None);
    }
    assert_eq!(counts.iter().sum::<usize>(), 360_000);
    assert!(counts.len() > 2 && counts.iter().all(|count| count * 118 <= 16 << 20), "{counts:?}");
}

/// Goal: a push that fails changes nothing. Method: damaged rows in the store.
#[test]
fn a_push_that_fails_changes_nothing() {
    let mut twin = Twin::new(JoinKind::Full, [50, 50], Some(0));
    twin.push_all(&[Row(L, "a", 1, 10), Row(R, "b", 1, 20)]);
    twin.seal();
    let damaged = twin.changelogs[L][0].keys.clone();
    let values = twin.changelogs[L][0].values.clone();
    assert_eq!(damaged.len(), 2, "a row, and the time of the join");
    let row = damaged.slice(0, 1);
    twin.stores[L].put(0, &row, &arrow::array::BinaryArray::from_vec(vec![b"damaged"]));
    let mut cx = cx!(&mut twin.clocks, &mut twin.stores);
    let rows = [Row(R, "c", 1, 15), Row(R, "a", 1, 30)];
    let error = twin.join.push(Port(R), chunk(&rows, 2), &mut cx).expect_err("the row is damaged");
    assert!(error.to_string().contains("a row in the state of a join is damaged"), "{error}");
    assert_eq!(Time::read(&*twin.stores[L]).expect("it is there").of(7).map(|reached| reached.stream_ms), Some(20));
    assert_eq!(twin.stores[R].seal().expect("they are few").keys.len(), 0);
    twin.stores[L].put(0, &row, &values.slice(0, 1));
    assert_eq!(twin.push(&rows), ["3@30 [a1,a1]"]);
    assert_eq!(twin.push(&[Row(L, "z", 1, 1_000)]), ["4@15 [-,c1]", "4@20 [-,b1]"]);
}

#[test]
fn what_is_not_supported_is_refused() {
    let refused = |change: fn(&mut Join)| {
        let mut join = join(JoinKind::Inner, [0, 0], None);
        change(&mut join);
        JoinStreams::new(&join, &schema(L), &schema(R), 0).expect_err("it is refused")[0].message.clone()
    };
    assert_eq!(refused(|join| join.left.key = "X".to_owned()), "column \"X\" does not exist");
    assert_eq!(refused(|join| join.right.key = "RV".to_owned()), "the keys of a join have different types");
    assert_eq!(refused(|join| join.form = JoinForm::Tables), "this is not a join of two streams");
    let schema = operator(&join(JoinKind::Inner, [0, 0], None)).schema().clone();
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["LK", "LV", "RV", "RK"]);
}
