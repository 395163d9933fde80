//! Tables, driven by hand over a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use headwater_expression::Failure;
use headwater_formats::decode::{ROWOFFSET, ROWTIME};
use headwater_language::topology::TableStore;
use headwater_state::{Changes, MemoryStore, Store};

use super::Table;
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Operator, Port};

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let own = [field(ROWTIME, DataType::Int64), field(ROWOFFSET, DataType::Int64)];
    let columns = [field("V", DataType::Int32), field("K", DataType::Utf8)].into_iter().chain(own);
    Arc::new(Schema::new(columns.chain([field("L", DataType::Utf8)]).collect::<Vec<_>>()))
}

/// A record: the two columns of the key, the value, event time in ms. Without a value it deletes the row.
type Record = (Option<&'static str>, Option<&'static str>, Option<Option<i32>>, i64);

fn chunk(records: &[Record], first_offset: i64) -> Chunk {
    let (keys, others): (StringArray, StringArray) =
        (records.iter().map(|record| record.0).collect(), records.iter().map(|record| record.1).collect());
    let values: Int32Array = records.iter().map(|record| record.2.flatten()).collect();
    let valued = Some(records.iter().map(|record| record.2.is_some()).collect::<NullBuffer>());
    let offsets: Int64Array = (first_offset..).take(records.len()).collect::<Vec<_>>().into();
    let times_ms: Int64Array = records.iter().map(|record| record.3).collect::<Vec<_>>().into();
    let own = [&times_ms, &offsets].map(|column| Arc::new(column.clone()) as Arc<dyn Array>);
    let [times, places] = own;
    let columns = vec![Arc::new(values) as Arc<dyn Array>, Arc::new(keys), times, places, Arc::new(others)];
    Chunk {
        rows: RecordBatch::try_new(schema(), columns).expect("it has these columns"),
        times_ms,
        offsets,
        headers: None,
        valued: valued.filter(|valued| valued.null_count() > 0),
        windows: None,
        before: None,
        origins: None,
        clocks_ms: None,
    }
}

/// A table with what a task has of it.
struct Twin {
    table: Table,
    stores: Vec<Box<dyn Store>>,
    clocks: Clocks,
    failures: Vec<(i64, String)>,
    pushed: i64,
}

const SOURCE: SourcePartition = SourcePartition { source: 1, partition: 7 };

impl Twin {
    fn new(emits_every_change: bool, gives_before: bool) -> Self {
        let table = TableStore { store: "table-1".to_owned(), key: vec!["L".to_owned(), "K".to_owned()] };
        let table = Table::new(&table, &schema(), 0, emits_every_change, gives_before).expect("its columns exist");
        let stores: Vec<Box<dyn Store>> = vec![Box::new(MemoryStore::default())];
        Self { table, stores, clocks: Clocks::default(), failures: Vec::new(), pushed: 0 }
    }

    fn with(&mut self, act: impl FnOnce(&mut Table, &mut Context<'_>) -> Emitted) -> Vec<String> {
        let mut failures: Vec<Failure> = Vec::new();
        let mut cx = Context {
            now_ms: 0,
            passed_ms: i64::MAX,
            clocks: &mut self.clocks,
            source: SOURCE,
            stores: &mut self.stores,
            failures: &mut failures,
            late: &mut Vec::new(),
        };
        let emitted = act(&mut self.table, &mut cx);
        let reported = |failure: Failure| (self.pushed + failure.row as i64, failure.expr + ": " + &failure.reason);
        self.failures.extend(failures.into_iter().map(reported));
        match emitted {
            Emitted::Nothing => Vec::new(),
            Emitted::Rows(chunk) => shown(&chunk),
            Emitted::Pieces(_) => panic!("a table has no pieces"),
        }
    }

    fn push(&mut self, records: &[Record]) -> Vec<String> {
        let chunk = chunk(records, self.pushed);
        let shown = self.with(|table, cx| table.push(Port(0), chunk, cx).expect("nothing fails"));
        self.pushed += records.len() as i64;
        shown
    }

    /// What comes out at a barrier, and what is sealed then.
    fn barrier(&mut self) -> (Vec<String>, Changes) {
        let shown = self.with(|table, cx| table.barrier(cx).expect("nothing fails"));
        (shown, self.stores[0].seal().expect("the changes are few"))
    }

    /// The same table in another process, which has only its changelog.
    fn restarted(&self, changelog: &[Changes]) -> Self {
        let mut store = MemoryStore::default();
        for changes in changelog {
            store.restore(&changes.record_keys(), &changes.values).expect("they were sealed");
        }
        let table = self.table.clone();
        let stores: Vec<Box<dyn Store>> = vec![Box::new(store)];
        Self { table, stores, clocks: self.clocks.clone(), failures: Vec::new(), pushed: self.pushed }
    }
}

/// Each row as `offset@time key: before→after`, with `-` where there is none.
fn shown(chunk: &Chunk) -> Vec<String> {
    let is_valid = |marks: &Option<NullBuffer>, row| marks.as_ref().is_none_or(|marks| marks.is_valid(row));
    let text = |rows: &RecordBatch, name: &str, row| {
        let column = rows[name].as_string::<i32>();
        if column.is_valid(row) { column.value(row).to_owned() } else { "null".to_owned() }
    };
    let value = |rows: &RecordBatch, valued: &Option<NullBuffer>, row: usize| {
        let (values, offsets) = (rows["V"].as_primitive::<Int32Type>(), rows[ROWOFFSET].as_primitive::<Int64Type>());
        let value = if values.is_valid(row) { values.value(row).to_string() } else { "null".to_owned() };
        if is_valid(valued, row) { format!("{value}@{}", offsets.value(row)) } else { "-".to_owned() }
    };
    let row = |row| {
        let key = format!("{}{}", text(&chunk.rows, "K", row), text(&chunk.rows, "L", row));
        let before = chunk.before.as_ref().map(|before| {
            assert_eq!(text(&before.rows, "K", row), text(&chunk.rows, "K", row), "a change is one of one key");
            value(&before.rows, &before.valued, row) + "→"
        });
        let (offset, time) = (chunk.offsets.value(row), chunk.times_ms.value(row));
        if is_valid(&chunk.valued, row) {
            assert_eq!(chunk.rows[ROWTIME].as_primitive::<Int64Type>().value(row), time);
        }
        let after = value(&chunk.rows, &chunk.valued, row);
        format!("{offset}@{time} {key}: {}{after}", before.unwrap_or_default())
    };
    (0..chunk.len()).map(row).collect()
}

const A: Option<&str> = Some("a");
const B: Option<&str> = Some("b");
const X: Option<&str> = Some("x");
const DELETE: Option<Option<i32>> = None;

fn v(value: i32) -> Option<Option<i32>> {
    Some(Some(value))
}

#[test]
fn every_change_has_what_was_before() {
    let mut twin = Twin::new(true, true);
    let records = [(A, X, v(1), 5), (B, X, DELETE, 6), (A, X, v(2), 3), (A, None, v(3), 7), (A, X, DELETE, 8)];
    let expected = ["0@5 ax: -→1@0", "2@3 ax: 1@0→2@2", "3@7 anull: -→3@3", "4@8 ax: 2@2→-"];
    assert_eq!(twin.push(&records), expected);
    assert_eq!(twin.push(&[(A, X, DELETE, 9), (A, None, Some(None), 9)]), ["6@9 anull: 3@3→null@6"]);
    assert!(twin.barrier().0.is_empty());
    assert_eq!(twin.push(&[(A, X, v(4), 10), (A, X, v(4), 10)]), ["7@10 ax: -→4@7", "8@10 ax: 4@7→4@8"]);
    assert_eq!(twin.clocks.get(SOURCE), Some(10));
    let mut without = Twin::new(true, false);
    assert_eq!(without.push(&records), ["0@5 ax: 1@0", "2@3 ax: 2@2", "3@7 anull: 3@3", "4@8 ax: -"]);
}

/// Goal: at a barrier comes out what the ends of two epochs differ by. Method: rows that come and go within one, between two.
#[test]
fn by_default_a_changed_key_comes_out_once_at_the_barrier() {
    let mut twin = Twin::new(false, true);
    assert!(twin.push(&[(B, X, v(1), 1), (A, X, v(2), 2), (A, None, v(3), 3)]).is_empty());
    assert!(twin.push(&[(A, None, DELETE, 4), (B, X, v(5), 0)]).is_empty());
    assert_eq!(twin.barrier().0, ["1@2 ax: -→2@1", "4@0 bx: -→5@4"]);
    assert!(twin.barrier().0.is_empty());
    twin.push(&[(A, X, DELETE, 9), (B, X, DELETE, 8), (A, X, v(6), 7), (B, None, DELETE, 6)]);
    assert_eq!(twin.barrier().0, ["6@8 bx: 5@4→-", "7@7 ax: 2@1→6@7"], "a delete has the address of its record");
    assert_eq!(twin.stores[0].len(), 1);
}

#[test]
fn a_record_without_a_key_is_reported_once() {
    for every_change in [true, false] {
        let mut twin = Twin::new(every_change, true);
        twin.push(&[(None, None, v(1), 90), (None, X, v(2), 5), (None, None, DELETE, 91)]);
        let (shown, _) = twin.barrier();
        assert_eq!(shown.len(), usize::from(!every_change));
        let reason = "L, K: the record has no key, so it is not a row of the table".to_owned();
        assert_eq!(twin.failures, [(0, reason.clone()), (2, reason)]);
        assert_eq!((twin.stores[0].len(), twin.clocks.latest()), (1, Some(5)));
    }
}

/// Goal: rows that came through an exchange keep their addresses. Method: one is deleted, one stays.
#[test]
fn rows_keep_the_records_that_they_came_from() {
    let at = |offsets: &[i64]| Origins {
        sources: vec![0; offsets.len()].into(),
        partitions: vec![3; offsets.len()].into(),
        offsets: offsets.to_vec().into(),
    };
    let mut twin = Twin::new(false, false);
    let mut origins = Vec::new();
    for (records, from) in [(vec![(A, X, v(1), 1), (B, X, v(2), 2)], [70, 71]), (vec![(A, X, DELETE, 3)], [72, 0])] {
        let rows = chunk(&records, twin.pushed);
        let rows = Chunk { origins: Some(at(&from[..records.len()])), ..rows };
        twin.with(|table, cx| table.push(Port(0), rows, cx).expect("nothing fails"));
        twin.pushed += records.len() as i64;
        twin.with(|table, cx| {
            let Ok(Emitted::Rows(chunk)) = table.barrier(cx) else { panic!("rows come out") };
            origins.push(chunk.origins.expect("they have origins"));
            Emitted::Nothing
        });
        twin.stores[0].seal().expect("the changes are few");
    }
    assert_eq!(origins.iter().map(|at| at.offsets.values().to_vec()).collect::<Vec<_>>(), [vec![70, 71], vec![72]]);
    assert_eq!(twin.clocks.get(SourcePartition { source: 0, partition: 3 }), Some(3));
    let mut own = Twin::new(false, false);
    own.push(&[(A, X, v(1), 1)]);
    own.with(|table, cx| {
        let Ok(Emitted::Rows(chunk)) = table.barrier(cx) else { panic!("rows come out") };
        assert_eq!(chunk.origins.expect("they are those of the input").source(0), SOURCE);
        Emitted::Nothing
    });
}

/// Goal: a push that fails changes nothing. Method: a value in the store that is no row.
#[test]
fn a_push_that_fails_changes_nothing() {
    let mut twin = Twin::new(true, true);
    twin.push(&[(A, X, v(1), 1)]);
    let (_, Changes { keys, .. }) = twin.barrier();
    twin.stores[0].put(0, &keys, &BinaryArray::from_vec(vec![b"no row"]));
    let rows = chunk(&[(B, X, v(2), 2), (A, X, v(3), 3), (None, None, v(4), 4)], 1);
    twin.with(|table, cx| {
        let error = table.push(Port(0), rows, cx).expect_err("the value is damaged");
        assert!(error.to_string().contains("a value in a store is not valid"), "{error}");
        Emitted::Nothing
    });
    assert_eq!((twin.clocks.latest(), twin.stores[0].len()), (Some(1), 1));
    assert_eq!(twin.push(&[(B, X, v(2), 2)]), ["1@2 bx: -→2@1"]);
}

/// Numbers that look random, from a seed (a linear congruence).
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(2) + 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn records(random: &mut impl FnMut(u64) -> u64) -> Vec<Record> {
    const KEYS: [Option<&str>; 4] = [None, A, B, Some("")];
    let record = |_| {
        let (key, other) = (KEYS[random(4) as usize], KEYS[random(2) as usize]);
        let value = [None, Some(None), Some(Some(random(3) as i32))][random(3) as usize];
        (key, other, value, random(50) as i64)
    };
    (0..90).map(record).collect()
}

/// Everything that can be seen of a run in epochs of 30 records: what comes out, what is sealed, what is reported, stream time.
type Seen = (Vec<String>, Vec<Changes>, Vec<(i64, String)>, Option<i64>);

fn run(records: &[Record], every_change: bool, restarts: bool, next: &mut dyn FnMut(usize) -> usize) -> Seen {
    let mut twin = Twin::new(every_change, true);
    let (mut out, mut changelog, mut reported) = (Vec::new(), Vec::new(), Vec::new());
    for mut rest in records.chunks(30) {
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(next(rest.len()));
            out.extend(twin.push(batch));
            rest = others;
        }
        let (shown, sealed) = twin.barrier();
        out.extend(shown);
        changelog.push(sealed);
        reported.append(&mut twin.failures);
        twin = if restarts { twin.restarted(&changelog) } else { twin };
    }
    (out, changelog, reported, twin.clocks.latest())
}

/// Goal: how records are cut into batches changes nothing, and neither does a restart after each commit. Method: from each seed,
/// random records in one batch, one by one, in random cuts, and with restarts.
#[test]
fn cuts_and_restarts_change_nothing() {
    for seed in 0..60 {
        let mut random = numbers(seed);
        let records = records(&mut random);
        for every_change in [true, false] {
            let whole = run(&records, every_change, false, &mut |rest| rest);
            assert!(whole.0.len() > 8, "seed {seed}");
            assert_eq!(run(&records, every_change, false, &mut |_| 1), whole, "seed {seed}, row by row");
            assert_eq!(run(&records, every_change, true, &mut |rest| rest), whole, "seed {seed}, restarts");
            for _ in 0..3 {
                let seen = run(&records, every_change, true, &mut |rest| 1 + random(rest.min(20) as u64) as usize);
                assert_eq!(seen, whole, "seed {seed}, random cuts and restarts");
            }
        }
    }
}

/// Goal: the changes are those of a table. Method: a map that is changed by hand, record by record.
#[test]
fn the_changes_are_those_of_a_map() {
    for seed in 100..130 {
        let records = records(&mut numbers(seed));
        let (mut map, mut expected) = (BTreeMap::new(), Vec::new());
        let (mut committed, mut at_commits) = (BTreeMap::new(), Vec::new());
        let text = |row: Option<&(i64, Option<i32>)>| match row {
            Some((offset, value)) => value.map_or("null".to_owned(), |value| value.to_string()) + &format!("@{offset}"),
            None => "-".to_owned(),
        };
        let mut last = BTreeMap::new();
        for (offset, (key, other, value, time)) in (0..).zip(&records) {
            if let (Some(_), _) | (_, Some(_)) = (key, other) {
                let name = format!("{}{}", key.unwrap_or("null"), other.unwrap_or("null"));
                let before = match value {
                    Some(value) => map.insert(name.clone(), (offset, *value)),
                    None => map.remove(&name),
                };
                if before.is_some() || value.is_some() {
                    let (from, to) = (text(before.as_ref()), text(map.get(&name)));
                    expected.push(format!("{offset}@{time} {name}: {from}→{to}"));
                }
                last.insert(name, (offset, *time));
            }
            if (offset + 1) % 30 == 0 {
                let mut changed: Vec<_> = std::mem::take(&mut last).into_iter().collect();
                changed.retain(|(name, _)| committed.get(name) != map.get(name));
                changed.sort_by_key(|(_, (offset, _))| *offset);
                at_commits.extend(changed.into_iter().map(|(name, (offset, time))| {
                    format!("{offset}@{time} {name}: {}→{}", text(committed.get(&name)), text(map.get(&name)))
                }));
                committed = map.clone();
            }
        }
        assert_eq!(run(&records, true, false, &mut |rest| rest).0, expected, "seed {seed}");
        assert_eq!(run(&records, false, false, &mut |rest| rest).0, at_commits, "seed {seed}");
    }
}
