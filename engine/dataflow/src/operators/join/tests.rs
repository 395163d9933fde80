//! Joins, driven by hand over stores in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use headwater_language::topology::{Join, JoinForm, JoinKind, JoinSide};
use headwater_state::{MemoryStore, Store};

use super::{JoinStreamTable, JoinTables};
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::for_tests::{cx, numbers};

/// A row: side, key, value (none for a delete), event time.
type Row = (usize, Option<&'static str>, Option<i32>, i64);

const A: Option<&str> = Some("a");
const B: Option<&str> = Some("b");

/// The columns of a side as an exchange delivers them.
fn schema(side: usize) -> SchemaRef {
    let name = |name: &str| format!("{}_{name}", ["L", "R"][side]);
    let unused = Field::new(name("U"), DataType::Int64, true);
    let columns = [Field::new(name("V"), DataType::Int32, true), Field::new(name("K"), DataType::Utf8, true), unused];
    Arc::new(Schema::new(columns.to_vec()))
}

fn join(kind: JoinKind, form: JoinForm) -> Join {
    let side = |name: &str| JoinSide { key: format!("{name}_K"), store: Some(name.to_owned()) };
    Join { kind, form, left: side("L"), right: side("R") }
}

fn used() -> BTreeSet<String> {
    ["L_K", "L_V", "R_K", "R_V"].map(str::to_owned).into()
}

/// The rows of a batch, which are all on one side, with offsets from `first`.
fn chunk(rows: &[Row], first: i64) -> Chunk {
    let times: Int64Array = rows.iter().map(|row| row.3).collect();
    let offsets: Int64Array = (first..).take(rows.len()).collect();
    let values: Int32Array = rows.iter().map(|row| row.2).collect();
    let keys: StringArray = rows.iter().map(|row| row.1).collect();
    let sources: Vec<i32> = rows.iter().map(|row| row.0 as i32).collect();
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(values), Arc::new(keys), Arc::new(times.clone())];
    let valued: NullBuffer = rows.iter().map(|row| row.2.is_some()).collect();
    Chunk {
        rows: RecordBatch::try_new(schema(rows[0].0), columns).expect("it has these columns"),
        times_ms: times,
        offsets: offsets.clone(),
        headers: None,
        valued: Some(valued).filter(|valued| valued.null_count() > 0),
        windows: None,
        before: None,
        origins: Some(Origins {
            sources: sources.into(),
            partitions: vec![7; rows.len()].into(),
            offsets: offsets.iter().map(|at| at.map(|at| at * 2)).collect(),
        }),
        clocks_ms: None,
    }
}

/// A join with what a task has of it.
struct Twin {
    join: Box<dyn Operator>,
    stores: Vec<Box<dyn Store>>,
    clocks: Clocks,
    failures: Vec<(i64, String)>,
    pushed: i64,
    /// The stream time that all streams have passed.
    passed_ms: i64,
}

impl Twin {
    fn new(join: impl Operator + 'static, stores: usize) -> Self {
        let store = |_| Box::new(MemoryStore::default()) as Box<dyn Store>;
        let stores = (0..stores).map(store).collect();
        let (clocks, failures, passed_ms) = (Clocks::default(), Vec::new(), i64::MAX);
        Self { join: Box::new(join), stores, clocks, failures, pushed: 0, passed_ms }
    }

    fn tables(kind: JoinKind, emits_every_change: bool) -> Self {
        let inputs = [&schema(0), &schema(1)];
        let join = JoinTables::new(&join(kind, JoinForm::Tables), inputs, &used(), 0, (emits_every_change, true));
        Self::new(join.expect("it has these columns"), 2)
    }

    fn stream_table(kind: JoinKind) -> Self {
        let inputs = [&schema(0), &schema(1)];
        let join = JoinStreamTable::new(&join(kind, JoinForm::StreamTable), inputs, &used(), 0);
        Self::new(join.expect("it has these columns"), 1)
    }

    fn with(&mut self, act: impl FnOnce(&mut dyn Operator, &mut Context<'_>) -> Emitted) -> Vec<String> {
        let mut failures = Vec::new();
        let mut cx = cx!(&mut self.clocks, &mut self.stores);
        cx.failures = &mut failures;
        cx.passed_ms = self.passed_ms;
        let emitted = act(self.join.as_mut(), &mut cx);
        let failures = failures.into_iter().map(|failure| (self.pushed + failure.row as i64, failure.reason));
        self.failures.extend(failures);
        match emitted {
            Emitted::Nothing => Vec::new(),
            Emitted::Rows(chunk) => show(&chunk),
            Emitted::Pieces(_) => panic!("a join has no pieces"),
        }
    }

    /// Pushes rows, in one batch for each run of rows of one side.
    fn push(&mut self, rows: &[Row]) -> Vec<String> {
        let mut shown = Vec::new();
        for run in rows.chunk_by(|one, next| one.0 == next.0) {
            let (chunk, port) = (chunk(run, self.pushed), Port(run[0].0));
            shown.extend(self.with(|join, cx| join.push(port, chunk, cx).expect("nothing fails")));
            self.pushed += run.len() as i64;
        }
        shown
    }

    /// What comes out at a barrier, after which the stores are sealed.
    fn barrier(&mut self) -> Vec<String> {
        let shown = self.with(|join, cx| join.barrier(cx).expect("nothing fails"));
        self.stores.iter_mut().for_each(|store| drop(store.seal().expect("the changes are few")));
        shown
    }
}

/// Each row as `offset@time key left right`, and what it was before after `<-`.
fn show(chunk: &Chunk) -> Vec<String> {
    let row = |rows: &RecordBatch, valued: &Option<NullBuffer>, row: usize| {
        let of = |side: &str| {
            let key = rows[&*format!("{side}_K")].as_string::<i32>();
            let value = rows[&*format!("{side}_V")].as_primitive::<Int32Type>();
            let value = value.is_valid(row).then(|| value.value(row).to_string());
            (key.is_valid(row).then(|| key.value(row).to_owned()), value)
        };
        let ((left_key, left), (right_key, right)) = (of("L"), of("R"));
        let key = left_key.clone().or(right_key.clone()).expect("a row has a key");
        match valued {
            // A delete has the key of both sides, whichever of them is the key of the result.
            Some(valued) if valued.is_null(row) => {
                assert_eq!(left_key, right_key);
                format!("{key} -")
            }
            _ => {
                assert_eq!((left_key.is_some(), right_key.is_some()), (left.is_some(), right.is_some()));
                let side = |value: Option<String>| value.unwrap_or("null".to_owned());
                format!("{key} {} {}", side(left), side(right))
            }
        }
    };
    assert_eq!(chunk.rows.num_columns(), 4, "columns that are not used are not emitted");
    let origins = chunk.origins.as_ref().expect("rows know their records");
    let shown = |at: usize| {
        assert_eq!(origins.offsets.value(at), 2 * chunk.offsets.value(at));
        let before = chunk.before.as_ref().map(|before| format!(" <- {}", row(&before.rows, &before.valued, at)));
        let (offset, time) = (chunk.offsets.value(at), chunk.times_ms.value(at));
        format!("{offset}@{time} {}{}", row(&chunk.rows, &chunk.valued, at), before.unwrap_or_default())
    };
    (0..chunk.len()).map(shown).collect()
}

#[test]
fn a_row_of_the_stream_gets_what_the_table_has_at_that_time() {
    let rows: &[Row] = &[
        (0, A, Some(1), 10),
        (1, A, Some(7), 11),
        (1, B, Some(8), 12),
        (1, A, Some(9), 13),
        (0, A, Some(2), 14),
        (0, B, Some(3), 15),
        (0, A, Some(4), 16),
        (1, A, None, 17),
        (0, A, Some(5), 18),
    ];
    let mut left = Twin::stream_table(JoinKind::Left);
    assert_eq!(left.push(rows), ["0@10 a 1 null", "4@14 a 2 9", "5@15 b 3 8", "6@16 a 4 9", "8@18 a 5 null"]);
    let mut inner = Twin::stream_table(JoinKind::Inner);
    assert_eq!(inner.push(rows), ["4@14 a 2 9", "5@15 b 3 8", "6@16 a 4 9"]);
    assert_eq!(inner.stores[0].len(), 1);
    assert_eq!(inner.barrier(), [""; 0]);
    let clock = |source| inner.clocks.get(SourcePartition { source, partition: 7 });
    assert_eq!([clock(0), clock(1)], [Some(18), Some(17)]);
}

/// Goal: a row of the stream gets what the table had at its stream time, although the table is read ahead of the stream, and however
/// that is cut by barriers and restarts.
#[test]
fn a_table_that_is_read_ahead_still_has_its_former_rows() {
    let table: &[Row] = &[(1, A, Some(7), 20), (1, B, Some(8), 30), (1, A, None, 40), (1, A, Some(9), 50)];
    // The row at 15 comes after one at 35, so it is that late: stream time does not go back.
    let stream: &[Row] =
        &[(0, A, Some(1), 10), (0, A, Some(2), 20), (0, A, Some(3), 35), (0, B, Some(4), 15), (0, A, Some(5), 40)];
    let expected = ["4@10 a 1 null", "5@20 a 2 7", "6@35 a 3 7", "7@15 b 4 8", "8@40 a 5 null", "9@50 a 6 9"];
    for restarts in [false, true] {
        let mut join = Twin::stream_table(JoinKind::Left);
        join.passed_ms = i64::MIN;
        assert_eq!(join.push(&table[..2]), [""; 0]);
        assert_eq!(join.push(&table[2..]), [""; 0]);
        if restarts {
            join.barrier();
            join.join = join.join.fresh();
        }
        let mut shown = join.push(&stream[..3]);
        join.passed_ms = 35;
        if restarts {
            join.barrier();
            assert_eq!(join.stores[0].len(), 3, "two rows, and the former rows of one key");
            join.join = join.join.fresh();
        }
        shown.extend(join.push(&stream[3..]));
        shown.extend(join.push(&[(0, A, Some(6), 50)]));
        assert_eq!(shown, expected);
        join.passed_ms = 50;
        join.barrier();
        assert_eq!(join.stores[0].len(), 2, "what was passed is not kept");
    }
}

#[test]
fn an_older_change_that_arrives_later_changes_only_the_past() {
    let mut join = Twin::stream_table(JoinKind::Inner);
    join.passed_ms = 0;
    join.push(&[(1, A, Some(7), 30)]);
    // Another partition of the table has an older row of the same key.
    let mut other = chunk(&[(1, A, Some(6), 20)], 1);
    other.origins.as_mut().expect("rows have origins").partitions = vec![8].into();
    join.with(|join, cx| join.push(Port(1), other, cx).expect("nothing fails"));
    assert_eq!(
        join.push(&[(0, A, Some(1), 19), (0, A, Some(2), 20), (0, A, Some(3), 30)]),
        ["2@20 a 2 6", "3@30 a 3 7"]
    );
}

#[test]
fn a_row_without_a_key_is_reported() {
    let reason = "the join key is NULL, so the row is not joined".to_owned();
    let mut join = Twin::stream_table(JoinKind::Left);
    assert_eq!(join.push(&[(1, None, Some(1), 1), (1, A, Some(2), 2)]), [""; 0]);
    assert_eq!(join.push(&[(0, A, Some(3), 3), (0, None, Some(4), 4)]), ["2@3 a 3 2"]);
    assert_eq!(join.push(&[(0, None, Some(5), 5)]), [""; 0]);
    assert_eq!(join.failures, [0, 3, 4].map(|offset| (offset, reason.clone())));
    let mut join = Twin::tables(JoinKind::Full, true);
    assert_eq!(join.push(&[(0, None, Some(1), 1), (0, A, Some(2), 2)]), ["1@2 a 2 null <- a -"]);
    assert_eq!(join.failures, [(0, reason)]);
}

/// An update of the right side is no further match, so its delete brings the row without a match back.
#[test]
fn a_left_join_of_tables_knows_what_was_out() {
    let rows: &[Row] = &[
        (0, A, Some(1), 1),
        (1, A, Some(2), 5),
        (1, A, Some(3), 4),
        (1, A, None, 6),
        (1, A, None, 7),
        (0, A, None, 8),
        (0, A, None, 9),
        (1, B, Some(4), 10),
        (1, B, None, 11),
    ];
    let expected = [
        "0@1 a 1 null <- a -",
        "1@5 a 1 2 <- a 1 null",
        "2@4 a 1 3 <- a 1 2",
        "3@1 a 1 null <- a 1 3",
        "5@8 a - <- a 1 null",
    ];
    assert_eq!(Twin::tables(JoinKind::Left, true).push(rows), expected);
    let mut by_epoch = Twin::tables(JoinKind::Left, false);
    assert_eq!(by_epoch.push(rows), [""; 0]);
    assert_eq!(by_epoch.barrier(), [""; 0], "nothing is left of it");
    by_epoch.push(&rows[..3]);
    assert_eq!(by_epoch.barrier(), ["11@4 a 1 3 <- a -"]);
    by_epoch.push(&rows[3..]);
    assert_eq!(by_epoch.barrier(), ["15@9 a - <- a 1 3"]);
    assert_eq!(by_epoch.barrier(), [""; 0]);
    assert!(by_epoch.stores.iter().all(|store| store.is_empty()));
}

/// Random rows of both sides, each at a time of its own.
fn random_rows(random: &mut impl FnMut(u64) -> u64) -> Vec<Row> {
    const KEYS: [&str; 4] = ["a", "b", "c", ""];
    let mut row = |at: i64| {
        let value = (random(3) > 0).then(|| random(100) as i32);
        (random(2) as usize, Some(KEYS[random(4) as usize]), value, at * 10 - random(50) as i64)
    };
    (0..60).map(&mut row).collect()
}

/// Two tables as maps: the value and the time of each key, for each side.
#[derive(Clone, Default)]
struct Model([BTreeMap<&'static str, (i32, i64)>; 2]);

impl Model {
    fn apply(&mut self, (side, key, value, time): Row) {
        let key = key.expect("rows of a model have keys");
        match value {
            Some(value) => drop(self.0[side].insert(key, (value, time))),
            None => drop(self.0[side].remove(key)),
        }
    }

    /// The joined row of a key; none if it does not exist.
    fn joined(&self, kind: JoinKind, key: &str) -> Option<String> {
        let [left, right] = self.0.each_ref().map(|side| side.get(key));
        let exists = match kind {
            JoinKind::Inner => left.is_some() && right.is_some(),
            JoinKind::Left => left.is_some(),
            JoinKind::Right => right.is_some(),
            JoinKind::Full => left.is_some() || right.is_some(),
        };
        let side = |value: Option<&(i32, i64)>| value.map_or("null".to_owned(), |(value, _)| value.to_string());
        exists.then(|| format!("{key} {} {}", side(left), side(right)))
    }

    /// The change from `before` that the row at an offset made last, as it is shown.
    fn change(&self, before: &Self, kind: JoinKind, at: usize, row: Row) -> Option<String> {
        let key = row.1.expect("rows of a model have keys");
        let (was, is) = (before.joined(kind, key), self.joined(kind, key));
        let has_changed = (0..2).any(|side| before.0[side].get(key) != self.0[side].get(key));
        if (was.is_none() && is.is_none()) || !has_changed {
            return None;
        }
        // A joined row has the times of its rows, and a delete that of the row that made it.
        let least = if is.is_some() { i64::MIN } else { row.3 };
        let time = self.0.iter().filter_map(|side| side.get(key)).fold(least, |time, (_, other)| time.max(*other));
        let shown = |row: Option<String>| row.unwrap_or(format!("{key} -"));
        Some(format!("{at}@{time} {} <- {}", shown(is), shown(was)))
    }
}

const KINDS: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];

/// Goal: every change of a joined row comes out, however rows are cut into batches. Method: from each seed, random rows of both
/// sides in random cuts, compared with two maps.
#[test]
fn every_change_is_that_of_a_model() {
    for seed in 0..40 {
        let mut random = numbers(seed);
        let rows = random_rows(&mut random);
        for kind in KINDS {
            let (mut model, mut expected) = (Model::default(), Vec::new());
            for (at, row) in rows.iter().enumerate() {
                let before = model.clone();
                model.apply(*row);
                expected.extend(model.change(&before, kind, at, *row));
            }
            for cut in [1, 60, 7] {
                let (mut twin, mut rest, mut shown) = (Twin::tables(kind, true), &rows[..], Vec::new());
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at(rest.len().min(1 + random(cut) as usize));
                    shown.extend(twin.push(batch));
                    rest = others;
                }
                assert_eq!(shown, expected, "seed {seed}, {kind:?}, cut {cut}");
            }
        }
    }
}

/// Goal: by default each key comes out once for each epoch, in the order of the last changes. Method: as above, with random
/// barriers.
#[test]
fn the_changes_of_an_epoch_are_those_of_a_model() {
    for seed in 0..40 {
        let mut random = numbers(seed);
        let rows = random_rows(&mut random);
        for kind in KINDS {
            let (mut twin, mut model, mut rest, mut first) =
                (Twin::tables(kind, false), Model::default(), &rows[..], 0);
            while !rest.is_empty() {
                let (epoch, others) = rest.split_at(rest.len().min(1 + random(20) as usize));
                let before = model.clone();
                epoch.iter().for_each(|row| model.apply(*row));
                let is_last = |at: usize| epoch[at + 1..].iter().all(|later| later.1 != epoch[at].1);
                let lasts = (0..epoch.len()).filter(|at| is_last(*at));
                let expected: Vec<_> =
                    lasts.filter_map(|at| model.change(&before, kind, first + at, epoch[at])).collect();
                assert_eq!(twin.push(epoch), [""; 0]);
                assert_eq!(twin.barrier(), expected, "seed {seed}, {kind:?}");
                (rest, first) = (others, first + epoch.len());
            }
        }
    }
}

/// Goal: how rows are cut into batches changes nothing in a join with a table. Method: as above.
#[test]
fn a_join_with_a_table_is_that_of_a_model() {
    for seed in 0..40 {
        let mut random = numbers(seed);
        let mut rows = random_rows(&mut random);
        // Only rows of the table are deletes.
        rows.retain(|row| row.0 == 1 || row.2.is_some());
        for kind in [JoinKind::Inner, JoinKind::Left] {
            let (mut model, mut expected) = (Model::default(), Vec::new());
            for (at, row) in rows.iter().enumerate() {
                model.apply(*row);
                let joined = model.joined(kind, row.1.expect("rows of a model have keys"));
                expected.extend(joined.filter(|_| row.0 == 0).map(|joined| format!("{at}@{} {joined}", row.3)));
            }
            for cut in [1, 60, 7] {
                let (mut twin, mut rest, mut shown) = (Twin::stream_table(kind), &rows[..], Vec::new());
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at(rest.len().min(1 + random(cut) as usize));
                    shown.extend(twin.push(batch));
                    rest = others;
                }
                assert_eq!(shown, expected, "seed {seed}, {kind:?}, cut {cut}");
            }
        }
    }
}
