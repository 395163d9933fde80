//! Aggregates over tables, driven by hand over a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use headwater_language::topology::{AggregateCall, Aggregation};
use headwater_language::types::SqlType;
use headwater_state::{MemoryStore, Store};

use super::Aggregate;
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::for_tests::{changed, cx, numbers};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("K", DataType::Utf8, true), Field::new("X", DataType::Int32, true)]))
}

/// A row of the table: its group and its value.
type Row = Option<(Option<&'static str>, Option<i32>)>;

/// A change, from what was before to what is there.
type Change = (Row, Row);

fn chunk(changes: &[Change], first_offset: i64) -> Chunk {
    let rows = |rows: &[Row]| {
        let keys: StringArray = rows.iter().map(|row| row.and_then(|row| row.0)).collect();
        let values: Int32Array = rows.iter().map(|row| row.and_then(|row| row.1)).collect();
        RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(values)]).expect("it has these columns")
    };
    let sided = |side: &[Row]| (rows(side), side.iter().map(Option::is_some).collect());
    let (before, after): (Vec<Row>, Vec<Row>) = changes.iter().copied().unzip();
    let offsets: Vec<i64> = (first_offset..).take(changes.len()).collect();
    let times_ms = offsets.iter().map(|offset| offset * 1_000).collect();
    changed(sided(&after), sided(&before), offsets, times_ms)
}

/// An aggregate with what a task has of it.
struct Twin {
    aggregate: Aggregate,
    stores: Vec<Box<dyn Store>>,
    clocks: Clocks,
    pushed: i64,
}

impl Twin {
    /// `SELECT k, COUNT(*) AS n, COUNT(x) AS nx … GROUP BY k`.
    fn new(emits_every_change: bool) -> Self {
        let call = |column: &str, args: &[&str]| AggregateCall {
            column: column.to_owned(),
            function: "COUNT".to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            constants: Vec::new(),
            ty: SqlType::BigInt,
        };
        let (store, groups) = ("aggregate-1".to_owned(), vec!["K".to_owned()]);
        let calls = vec![call("N", &[]), call("NX", &["X"])];
        let aggregation = Aggregation { store, groups, window: None, calls, is_final: false };
        let aggregate = Aggregate::new(&aggregation, &schema(), 0, emits_every_change, true);
        let aggregate = aggregate.and_then(|aggregate| aggregate.over_table(&schema()));
        let aggregate = aggregate.expect("COUNT is supported");
        Self { aggregate, stores: vec![Box::new(MemoryStore::default())], clocks: Clocks::default(), pushed: 0 }
    }

    fn with(&mut self, act: impl FnOnce(&mut Aggregate, &mut Context<'_>) -> Emitted) -> Vec<String> {
        let mut cx = cx!(&mut self.clocks, &mut self.stores);
        match act(&mut self.aggregate, &mut cx) {
            Emitted::Nothing => Vec::new(),
            Emitted::Rows(chunk) => shown(&chunk),
            Emitted::Pieces(_) => panic!("an aggregate has no pieces"),
        }
    }

    fn push(&mut self, changes: &[Change]) -> Vec<String> {
        let chunk = chunk(changes, self.pushed);
        self.pushed += changes.len() as i64;
        self.with(|aggregate, cx| aggregate.push(Port(0), chunk, cx).expect("nothing fails"))
    }

    /// What comes out at a barrier, after which the store is sealed.
    fn barrier(&mut self) -> Vec<String> {
        let shown = self.with(|aggregate, cx| aggregate.barrier(cx).expect("nothing fails"));
        self.stores[0].seal().expect("the changes are few");
        shown
    }
}

/// Each row as `offset group: before→after`, with `-` where there is none.
fn shown(chunk: &Chunk) -> Vec<String> {
    let results = |rows: &RecordBatch, valued: &Option<NullBuffer>, row: usize| match valued {
        Some(valued) if valued.is_null(row) => "-".to_owned(),
        _ => ["N", "NX"].map(|name| rows[name].as_primitive::<Int64Type>().value(row).to_string()).join(","),
    };
    let before = chunk.before.as_ref().expect("groups carry what they were before");
    let row = |row| {
        let (from, to) = (results(&before.rows, &before.valued, row), results(&chunk.rows, &chunk.valued, row));
        format!("{} {}: {from}→{to}", chunk.offsets.value(row), chunk.rows["K"].as_string::<i32>().value(row))
    };
    (0..chunk.len()).map(row).collect()
}

const fn row(key: &'static str, value: Option<i32>) -> Row {
    Some((Some(key), value))
}

/// Goal: undo of NULL is nothing, and a group whose last row leaves stays. Method: one row gets a value, loses it, and goes.
#[test]
fn a_null_is_undone() {
    let changes = [
        (None, row("x", None)),
        (row("x", None), row("x", Some(5))),
        (row("x", Some(5)), row("x", None)),
        (row("x", None), None),
        (None, row("x", Some(1))),
    ];
    let expected = ["0 x: -→1,0", "1 x: 1,0→1,1", "2 x: 1,1→1,0", "3 x: 1,0→0,0", "4 x: 0,0→1,1"];
    assert_eq!(Twin::new(true).push(&changes), expected);
    let mut twin = Twin::new(false);
    twin.push(&changes[..4]);
    assert_eq!(twin.barrier(), ["3 x: -→0,0"]);
    twin.push(&changes[4..]);
    assert_eq!(twin.barrier(), ["4 x: 0,0→1,1"]);
}

/// Goal: a change of a group comes out once, and two rows that follow each other are two changes. Method: both in one batch.
#[test]
fn a_row_that_stays_in_its_group_changes_it_once() {
    let mut twin = Twin::new(true);
    twin.push(&[(None, row("x", Some(1))), (None, row("y", None))]);
    let changes = [
        (row("x", Some(1)), row("x", Some(2))),
        (row("x", Some(2)), None),
        (None, row("x", None)),
        (row("x", None), row("y", Some(3))),
        (Some((None, Some(1))), None),
        (Some((None, Some(1))), row("z", Some(1))),
        (row("z", Some(1)), Some((None, None))),
        (None, None),
    ];
    let expected =
        ["2 x: 1,1→1,1", "3 x: 1,1→0,0", "4 x: 0,0→1,0", "5 x: 1,0→0,0", "5 y: 1,0→2,1", "7 z: -→1,1", "8 z: 1,1→0,0"];
    assert_eq!(twin.push(&changes), expected);
    assert_eq!(twin.barrier(), [""; 0]);
}

/// The random changes of a table, and the table after them.
fn changes(random: &mut impl FnMut(u64) -> u64) -> (Vec<Change>, BTreeMap<u64, Row>) {
    const KEYS: [Option<&str>; 4] = [None, Some("x"), Some("y"), Some("z")];
    let (mut table, mut changes) = (BTreeMap::new(), Vec::new());
    for _ in 0..100 {
        let row = (random(4) > 0).then(|| (KEYS[random(4) as usize], (random(2) > 0).then_some(1)));
        let before: Option<Row> = table.insert(random(9), row);
        changes.push((before.flatten(), row));
    }
    (changes, table)
}

/// Goal: a group is what its rows make of it, wherever batches are cut. Method: random changes, counted at the end.
#[test]
fn groups_are_what_their_rows_make_of_them() {
    for seed in 0..60 {
        let mut random = numbers(seed);
        let (changes, table) = changes(&mut random);
        let run = |every_change: bool, next: &mut dyn FnMut(usize) -> usize| {
            let (mut twin, mut shown) = (Twin::new(every_change), Vec::new());
            for mut rest in changes.chunks(40) {
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at(next(rest.len()));
                    shown.extend(twin.push(batch));
                    rest = others;
                }
                shown.extend(twin.barrier());
            }
            shown
        };
        for every_change in [true, false] {
            let whole = run(every_change, &mut |rest| rest);
            assert_eq!(run(every_change, &mut |_| 1), whole, "seed {seed}, row by row");
            let cuts = run(every_change, &mut |rest| 1 + random(rest.min(20) as u64) as usize);
            assert_eq!(cuts, whole, "seed {seed}, random cuts");
            for key in ["x", "y", "z"] {
                let rows: Vec<_> = table.values().flatten().filter(|row| row.0 == Some(key)).collect();
                let expected = format!("→{},{}", rows.len(), rows.iter().filter(|row| row.1.is_some()).count());
                let last = whole.iter().rev().find(|shown| shown.contains(&format!(" {key}: ")));
                assert!(last.is_none_or(|last| last.ends_with(&expected)), "seed {seed}, {key}: {last:?}, {expected}");
            }
        }
    }
}
