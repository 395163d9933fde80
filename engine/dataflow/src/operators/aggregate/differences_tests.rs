//! Aggregates over tables whose groups do not have all rows, driven by hand over a store in memory as a task does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef};
use headwater_language::topology::{AggregateCall, Aggregation};
use headwater_language::types::SqlType;
use headwater_state::{MemoryStore, Store};

use super::Aggregate;
use super::differences::DIFFERENCES;
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::keeper::Found;
use crate::limits::{Changelog, Limits};
use crate::operator::{Emitted, Operator, Port};
use crate::operators::for_tests::{changed, cx, numbers};

/// A row of the table: its group and its value, in hundredths. The sum of a group is at most 99.99.
type Row = Option<(Option<&'static str>, Option<i128>)>;

/// A change, from what was before to what is there.
type Change = (Row, Row);

const NUMBER: DataType = DataType::Decimal128(4, 2);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("K", DataType::Utf8, true), Field::new("X", NUMBER, true)]))
}

fn chunk(changes: &[Change], first_offset: i64) -> Chunk {
    let rows = |rows: &[Row]| {
        let keys: StringArray = rows.iter().map(|row| row.and_then(|row| row.0)).collect();
        let values: Decimal128Array = rows.iter().map(|row| row.and_then(|row| row.1)).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(keys), Arc::new(values.with_data_type(NUMBER))];
        RecordBatch::try_new(schema(), columns).expect("it has these columns")
    };
    let sided = |side: &[Row]| (rows(side), side.iter().map(Option::is_some).collect());
    let (before, after): (Vec<Row>, Vec<Row>) = changes.iter().copied().unzip();
    let offsets: Vec<i64> = (first_offset..).take(changes.len()).collect();
    let times_ms = offsets.clone();
    changed(sided(&after), sided(&before), offsets, times_ms)
}

/// An aggregate with what a task has of it.
struct Twin {
    aggregate: Box<dyn Operator>,
    stores: Vec<Box<dyn Store>>,
    changelogs: [Changelog; 1],
    /// The records of the changelog.
    records: Vec<(BinaryArray, BinaryArray)>,
    pushed: i64,
    /// What came out, and what was reported.
    shown: Vec<String>,
    reported: Vec<String>,
}

impl Twin {
    /// `SELECT k, COUNT(*) AS n, SUM(x) AS s, COLLECT_LIST(x) AS l … GROUP BY k`, with a changelog that accepts so many bytes.
    fn new(emits_every_change: bool, bytes_max: Option<usize>) -> Self {
        let call = |column: &str, function: &str, args: &[&str], ty: SqlType| AggregateCall {
            column: column.to_owned(),
            function: function.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            constants: Vec::new(),
            ty,
        };
        let decimal = || SqlType::Decimal { precision: 4, scale: 2 };
        let calls = vec![
            call("N", "COUNT", &[], SqlType::BigInt),
            call("S", "SUM", &["X"], decimal()),
            call("L", "COLLECT_LIST", &["X"], SqlType::Array(Box::new(decimal()))),
        ];
        let (store, groups) = ("aggregate-1".to_owned(), vec!["K".to_owned()]);
        let aggregation = Aggregation { store, groups, window: None, calls, is_final: false };
        let aggregate = Aggregate::new(&aggregation, &schema(), 0, emits_every_change, true);
        let aggregate = aggregate.and_then(|aggregate| aggregate.over_table(&schema())).expect("all can undo");
        Self {
            aggregate: Box::new(aggregate),
            stores: vec![Box::new(MemoryStore::default())],
            changelogs: [Changelog { topic: "log".into(), bytes_max }],
            records: Vec::new(),
            pushed: 0,
            shown: Vec::new(),
            reported: Vec::new(),
        }
    }

    fn push(&mut self, changes: &[Change]) -> &mut Self {
        let chunk = chunk(changes, self.pushed);
        self.pushed += changes.len() as i64;
        self.push_chunk(chunk);
        self
    }

    /// Pushes rows, in halves if that fails.
    fn push_chunk(&mut self, chunk: Chunk) {
        let (rows, first) = (chunk.len(), chunk.offsets.value(0));
        let (mut failures, mut refused, mut clocks) = (Vec::new(), Vec::new(), Clocks::default());
        let mut cx = cx!(&mut clocks, &mut self.stores);
        (cx.failures, cx.refused) = (&mut failures, &mut refused);
        cx.limits = Limits { changelogs: &self.changelogs, onward: None };
        let emitted = self.aggregate.push(Port(0), chunk.clone(), &mut cx);
        let failures = failures.into_iter().map(|failure| (failure.row, failure.reason));
        let refused = refused.into_iter().map(|refused| (refused.row, refused.reason));
        let address = |(row, reason): (usize, String)| format!("{}: {reason}", first + row as i64);
        self.reported.extend(failures.chain(refused).map(address));
        match emitted {
            Ok(Emitted::Rows(chunk)) => self.shown.extend(show(&chunk)),
            Ok(Emitted::Nothing) => {}
            Ok(Emitted::Pieces(mut pieces)) => {
                while let Some(chunk) = pieces.next_piece().expect("nothing fails") {
                    self.shown.extend(show(&chunk));
                }
            }
            Err(why) => {
                assert!(rows > 1, "a row fails: {why}");
                self.push_chunk(chunk.slice(0, rows / 2));
                self.push_chunk(chunk.slice(rows / 2, rows - rows / 2));
            }
        }
    }

    /// Ends an epoch, and adds what has changed to the changelog.
    fn commit(&mut self) {
        let mut clocks = Clocks::default();
        let emitted = self.aggregate.barrier(&mut cx!(&mut clocks, &mut self.stores)).expect("nothing fails");
        if let Emitted::Rows(chunk) = emitted {
            self.shown.extend(show(&chunk));
        }
        let changes = self.stores[0].seal().expect("the changes are few");
        self.stores[0].commit();
        if let Some(most) = self.changelogs[0].bytes_max {
            let bytes = |row: usize| changes.record_keys().value(row).len() + changes.values.value(row).len();
            assert!((0..changes.keys.len()).all(|row| bytes(row) <= most), "the topic refuses a record");
        }
        self.records.push((changes.record_keys(), changes.values));
    }

    /// Commits, and goes on in another process.
    fn restart(&mut self) {
        self.commit();
        self.aggregate = self.aggregate.fresh();
        self.stores = vec![Box::new(MemoryStore::default())];
        for (keys, values) in &self.records {
            self.stores[0].restore(keys, values).expect("these are records of a changelog");
        }
    }

    fn shown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }

    fn reported(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reported)
    }

    /// The groups that readers see, as they are in the last commit.
    fn read(&self) -> Vec<String> {
        let stores = [self.stores[0].view().snapshot()];
        let mut read = Vec::new();
        for keys in stores[0].scan(.., 3) {
            let found = Found { stores: &stores, place: 0, keys: &keys.expect("it is in memory") };
            let rows = self.aggregate.keeper().expect("it keeps its groups").rows(found).expect("nothing fails").rows;
            let keys = rows["K"].as_string::<i32>();
            read.extend((0..rows.num_rows()).map(|row| format!("{}: {}", keys.value(row), group(&rows, row))));
        }
        read.sort_unstable();
        read
    }

    /// The number of differences in the store.
    fn differences(&self) -> usize {
        let mut found = 0;
        self.stores[0].visit(DIFFERENCES, &mut |_, _| found += 1);
        found
    }
}

/// The number of rows, the sum and the list of a group.
fn group(rows: &RecordBatch, row: usize) -> String {
    let [n, sum] = [rows["N"].as_primitive::<Int64Type>().value(row), hundredths(&rows["S"], row)];
    let list = rows["L"].as_list::<i32>().value(row);
    let items =
        (0..list.len()).map(|at| if list.is_null(at) { "null".to_owned() } else { hundredths(&list, at).to_string() });
    format!("{n} {sum} [{}]", items.collect::<Vec<_>>().join(" "))
}

fn hundredths(values: &dyn Array, row: usize) -> i64 {
    i64::try_from(values.as_primitive::<Decimal128Type>().value(row)).expect("it has four digits")
}

/// Each row as `offset group: before→after`, with `-` where there is none.
fn show(chunk: &Chunk) -> Vec<String> {
    let before = chunk.before.as_ref().expect("groups carry what they were before");
    let is_there = |row: usize| before.valued.as_ref().is_none_or(|valued| valued.is_valid(row));
    let row = |row: usize| {
        let from = if is_there(row) { group(&before.rows, row) } else { "-".to_owned() };
        let (offset, key) = (chunk.offsets.value(row), chunk.rows["K"].as_string::<i32>().value(row));
        format!("{offset} {key}: {from} → {}", group(&chunk.rows, row))
    };
    (0..chunk.len()).map(row).collect()
}

const fn a(value: i128) -> Row {
    Some((Some("a"), Some(value)))
}

const fn b(value: i128) -> Row {
    Some((Some("b"), Some(value)))
}

/// What comes out and what is reported must be this, in one batch, and row by row with a restart after each.
fn check(changes: &[Change], expected: &[&str], reported: &[&str]) {
    let mut whole = Twin::new(true, None);
    assert_eq!(whole.push(changes).shown(), expected);
    assert_eq!(whole.reported(), reported);
    let mut single = Twin::new(true, None);
    for change in changes {
        single.push(&[*change]).restart();
    }
    assert_eq!(
        (single.shown(), single.reported(), single.differences()),
        (
            expected.iter().map(ToString::to_string).collect(),
            reported.iter().map(ToString::to_string).collect(),
            whole.differences()
        )
    );
}

/// Goal: a row that was rejected is never taken out, and the others are. Method: it leaves, after it has changed to what fits, or to
/// what does not; equal rows are one for the other.
#[test]
fn a_row_that_was_rejected_is_not_taken_out() {
    let exceeds = "the sum exceeds DECIMAL(4, 2)";
    let [one, two, four] = [1, 2, 4].map(|offset| format!("{offset}: {exceeds}"));
    let leaves = [(None, a(6000)), (None, a(5000)), (a(5000), None), (a(6000), None)];
    check(&leaves, &["0 a: - → 1 6000 [6000]", "3 a: 1 6000 [6000] → 0 0 []"], &[&one]);
    let changes =
        [(None, a(6000)), (None, a(5000)), (a(5000), a(4500)), (a(4500), a(3000)), (a(3000), b(1)), (a(6000), None)];
    let expected = [
        "0 a: - → 1 6000 [6000]",
        "3 a: 1 6000 [6000] → 2 9000 [6000 3000]",
        "4 a: 2 9000 [6000 3000] → 1 6000 [6000]",
        "4 b: - → 1 1 [1]",
        "5 a: 1 6000 [6000] → 0 0 []",
    ];
    check(&changes, &expected, &[&one, &two]);
    let equal = [
        (None, a(6000)),
        (None, a(6000)),
        (a(6000), None),
        (None, b(1)),
        (None, a(6000)),
        (a(6000), None),
        (a(6000), None),
    ];
    let expected = ["0 a: - → 1 6000 [6000]", "3 b: - → 1 1 [1]", "6 a: 1 6000 [6000] → 0 0 []"];
    check(&equal, &expected, &[&one, &four]);
}

/// Goal: a row that cannot be taken out is reported, and taken out as soon as that is possible; if it is back before, nothing is to be
/// done. Method: a negative number leaves a group that is full.
#[test]
fn a_row_that_cannot_be_taken_out_is_taken_out_later() {
    let full = [(None, a(9900)), (None, a(-5000)), (None, a(4000)), (a(-5000), None)];
    let stays =
        "3: the sum exceeds DECIMAL(4, 2); the row that was before stays in its group until it can be taken out";
    let shown = [
        "0 a: - → 1 9900 [9900]",
        "1 a: 1 9900 [9900] → 2 4900 [9900 -5000]",
        "2 a: 2 4900 [9900 -5000] → 3 8900 [9900 -5000 4000]",
    ];
    let goes = "4 a: 3 8900 [9900 -5000 4000] → 1 9900 [9900]";
    check(&[&full[..], &[(a(4000), None)]].concat(), &[&shown[..], &[goes]].concat(), &[stays]);
    let back = [(None, a(-5000)), (a(4000), None)];
    let goes = "5 a: 3 8900 [9900 -5000 4000] → 2 4900 [9900 -5000]";
    check(&[&full[..], &back].concat(), &[&shown[..], &[goes]].concat(), &[stays]);
}

/// Goal: the order within one change does not matter. Method: the sum without the row before would be out of range, but with the row
/// after it is not.
#[test]
fn a_change_that_fits_as_a_whole_is_not_reported() {
    let changes = [(None, a(9900)), (None, a(-500)), (a(-500), a(-400)), (a(9900), a(9950)), (a(-400), None)];
    let expected = [
        "0 a: - → 1 9900 [9900]",
        "1 a: 1 9900 [9900] → 2 9400 [9900 -500]",
        "2 a: 2 9400 [9900 -500] → 2 9500 [9900 -400]",
        "3 a: 2 9500 [9900 -400] → 2 9550 [-400 9950]",
        "4 a: 2 9550 [-400 9950] → 1 9950 [9950]",
    ];
    check(&changes, &expected, &[]);
    let same = [(None, a(9900)), (None, a(-500)), (None, a(500)), (a(-500), a(-500))];
    let expected = [
        "0 a: - → 1 9900 [9900]",
        "1 a: 1 9900 [9900] → 2 9400 [9900 -500]",
        "2 a: 2 9400 [9900 -500] → 3 9900 [9900 -500 500]",
    ];
    check(&same, &expected, &[]);
}

/// Goal: a row that would make its group too large is not taken out, and what the change takes out of another group is. Method: the
/// changelog accepts a list of some numbers.
#[test]
fn a_row_that_would_make_its_group_too_large_is_not_taken_out() {
    let mut twin = Twin::new(true, Some(110));
    let rows: Vec<Change> = (1..=9).map(|value| (None, a(value))).collect();
    twin.push(&rows).push(&[(None, b(10))]);
    let fit = twin.shown().iter().filter(|shown| shown.contains(" a:")).count() as i128;
    assert!((2..8).contains(&fit) && twin.reported().len() as i128 == 9 - fit, "{fit} fit");
    assert_eq!(twin.differences() as i128, 9 - fit);
    twin.restart();
    assert_eq!(twin.read(), ["a: 3 6 [1 2 3]", "b: 1 10 [10]"], "differences are no groups");
    twin.push(&[(b(10), a(11))]).push(&[(a(9), None), (a(11), b(12))]);
    assert_eq!(twin.shown(), ["10 b: 1 10 [10] → 0 0 []", "12 b: 0 0 [] → 1 12 [12]"]);
    let reported = twin.reported();
    assert!(
        reported.len() == 1 && reported[0].starts_with("10: the row could not be processed: with it, group a"),
        "{reported:?}"
    );
    let rest: Vec<Change> = (1..=8).map(|value| (a(value), None)).collect();
    twin.push(&rest);
    assert!(twin.shown().last().is_some_and(|last| last.ends_with("→ 0 0 []")));
    assert_eq!((twin.differences(), twin.reported().len()), (0, 0));
}

/// The random changes of a table with numbers up to `most`, at the end of which all rows leave.
fn random_changes(random: &mut impl FnMut(u64) -> u64, lowest: i128, most: i128) -> Vec<Change> {
    const KEYS: [Option<&str>; 4] = [None, Some("a"), Some("a"), Some("b")];
    let (mut table, mut changes): (BTreeMap<u64, Row>, Vec<Change>) = (BTreeMap::new(), Vec::new());
    let values: Vec<i128> = (0..4).map(|_| lowest + i128::from(random((most - lowest) as u64))).collect();
    for _ in 0..120 {
        let value = (random(8) > 0).then(|| values[random(4) as usize]);
        let row = (random(4) > 0).then(|| (KEYS[random(4) as usize], value));
        let before = table.insert(random(9), row).flatten();
        changes.push((before, row));
    }
    changes.extend(table.into_values().map(|row| (row, None)));
    changes
}

/// Takes one row after the other and remembers what each group has and lacks. It never takes a row out that it rejected.
#[derive(Default)]
struct Model {
    groups: BTreeMap<&'static str, Vec<Option<i128>>>,
    lacking: Vec<(&'static str, Option<i128>)>,
    reported: usize,
}

impl Model {
    fn take_out(&mut self, row: Row) {
        let Some((Some(key), value)) = row else { return };
        if let Some(at) = self.lacking.iter().position(|lacking| *lacking == (key, value)) {
            self.lacking.remove(at);
        } else if let Some(group) = self.groups.get_mut(key) {
            let at = group.iter().rposition(|item| *item == value).expect("it was added");
            group.remove(at);
        }
    }

    fn add(&mut self, row: Row) {
        let Some((Some(key), value)) = row else { return };
        let group = self.groups.entry(key).or_default();
        if group.iter().flatten().sum::<i128>() + value.unwrap_or(0) > 9999 {
            self.reported += 1;
            self.lacking.push((key, value));
        } else {
            group.push(value);
        }
    }
}

/// Goal: groups are what a model makes of one row after the other, wherever batches are cut and whenever the process is another one,
/// and nothing is left of the differences when all rows have left. Method: random changes, with numbers of one sign for the model; with
/// both signs, rows cannot be taken out either, so that all ways are compared with each other.
#[test]
fn groups_do_not_depend_on_batches_and_restarts() {
    for (seed, lowest) in (0..8).flat_map(|seed| [(seed, 0), (seed, -7000)]) {
        let mut random = numbers(seed);
        let changes = random_changes(&mut random, lowest, 7000);
        let run = |every_change: bool, next: &mut dyn FnMut(usize) -> (usize, bool)| {
            let mut twin = Twin::new(every_change, None);
            for mut rest in changes.chunks(40) {
                while !rest.is_empty() {
                    let (rows, restarts) = next(rest.len());
                    let (batch, others) = rest.split_at(rows);
                    twin.push(batch);
                    if restarts && every_change {
                        twin.restart();
                    }
                    rest = others;
                }
                twin.restart();
            }
            assert_eq!(twin.differences(), 0, "seed {seed}");
            (twin.shown(), twin.reported())
        };
        for every_change in [true, false] {
            let whole = run(every_change, &mut |rest| (rest, false));
            assert_eq!(run(every_change, &mut |_| (1, true)), whole, "seed {seed}, row by row");
            let cuts = run(every_change, &mut |rest| (1 + random(rest.min(20) as u64) as usize, random(2) > 0));
            assert_eq!(cuts, whole, "seed {seed}, random cuts");
            if lowest == 0 {
                is_as_the_model(&changes, every_change, &whole);
            }
            let last = |key: &str| whole.0.iter().rev().find(|shown| shown.contains(&format!(" {key}: ")));
            assert!(
                ["a", "b"].iter().all(|key| last(key).is_none_or(|last| last.ends_with("→ 0 0 []"))),
                "seed {seed}"
            );
        }
    }
}

/// Compares what came out with the model, after the change that caused it or at the end of an epoch.
fn is_as_the_model(changes: &[Change], every_change: bool, (shown, reported): &(Vec<String>, Vec<String>)) {
    let mut model = Model::default();
    for (offset, (before, after)) in changes.iter().enumerate() {
        model.take_out(*before);
        model.add(*after);
        for (key, group) in model.groups.iter().filter(|_| every_change) {
            let Some(last) = shown.iter().rev().find(|shown| shown.starts_with(&format!("{offset} {key}: "))) else {
                continue;
            };
            let items = group.iter().map(|item| item.map_or("null".to_owned(), |item| item.to_string()));
            let items = items.collect::<Vec<_>>().join(" ");
            let expected = format!("→ {} {} [{items}]", group.len(), group.iter().flatten().sum::<i128>());
            assert!(last.ends_with(&expected), "{last}, expected {expected}");
        }
    }
    assert_eq!(reported.len(), model.reported);
}

/// Goal: no row is taken out of a group that does not have it if groups become too large, and no record is too large. Method: random
/// changes, random cuts and restarts, and a changelog that accepts a few numbers of a group; at the end all rows leave.
#[test]
fn groups_that_are_too_large_are_right_once_all_rows_have_left() {
    let mut refused = 0;
    for seed in 0..20 {
        let mut random = numbers(seed);
        let changes = random_changes(&mut random, -5000, 5000);
        let mut twin = Twin::new(true, Some(95 + random(30) as usize));
        let mut rest = &changes[..];
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(1 + random(rest.len().min(20) as u64) as usize);
            twin.push(batch);
            if random(3) == 0 {
                twin.restart();
            }
            rest = others;
        }
        twin.restart();
        let shown = twin.shown();
        let last = |key: &str| shown.iter().rev().find(|shown| shown.contains(&format!(" {key}: ")));
        assert!(
            ["a", "b"].iter().all(|key| last(key).is_none_or(|last| last.ends_with("→ 0 0 []"))),
            "seed {seed}: {:?}",
            last("a")
        );
        assert_eq!(twin.differences(), 0, "seed {seed}");
        refused += twin.reported().iter().filter(|reported| reported.contains("would be too large")).count();
    }
    assert!(refused > 50, "{refused} rows were too large");
}
