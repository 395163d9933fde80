//! Aggregates, driven by hand over a store in memory.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use headwater_language::definition::WindowDef;
use headwater_language::topology::{AggregateCall, AggregateWindow, Aggregation};
use headwater_language::types::SqlType;
use headwater_state::{Changes, MemoryStore, Store};

use super::Aggregate;
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Late, Operator, Port};

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("K", DataType::Utf8, true), Field::new("X", DataType::Int32, true)]))
}

/// `SELECT k, COUNT(*) AS n, COUNT(x) AS nx … GROUP BY k`, with windows of 10 s.
pub fn aggregation(grace_ms: Option<i64>) -> Aggregation {
    let call = |column: &str, args: &[&str]| AggregateCall {
        column: column.to_owned(),
        function: "COUNT".to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        constants: Vec::new(),
        ty: SqlType::BigInt,
    };
    let def = WindowDef::Tumbling(10_000);
    Aggregation {
        store: "Aggregate".to_owned(),
        groups: vec!["K".to_owned()],
        window: grace_ms.map(|grace_ms| AggregateWindow {
            def,
            advance_ms: None,
            gap_ms: None,
            grace_ms,
            retention_ms: 10_000 + grace_ms,
        }),
        calls: vec![call("N", &[]), call("NX", &["X"])],
        is_final: false,
    }
}

/// A row: key, argument, event time in seconds.
type Row = (Option<&'static str>, Option<i32>, i64);

fn chunk(rows: &[Row], first_offset: i64) -> Chunk {
    let keys: StringArray = rows.iter().map(|row| row.0).collect();
    let args: Int32Array = rows.iter().map(|row| row.1).collect();
    let offsets: Vec<i64> = (first_offset..).take(rows.len()).collect();
    let origins = Origins {
        sources: vec![0; rows.len()].into(),
        partitions: vec![7; rows.len()].into(),
        offsets: offsets.iter().map(|at| at * 2).collect(),
    };
    Chunk {
        rows: RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(args)]).expect("it has these columns"),
        times_ms: rows.iter().map(|row| row.2 * 1000).collect(),
        offsets: offsets.into(),
        headers: None,
        valued: None,
        windows: None,
        before: None,
        origins: Some(origins),
        clocks_ms: None,
    }
}

/// An aggregate with what a task has of it.
pub struct Twin {
    pub aggregate: Aggregate,
    pub stores: Vec<Box<dyn Store>>,
    pub clocks: Clocks,
    pub late: Vec<(i64, String)>,
    pub pushed: i64,
}

impl Twin {
    fn new(grace_ms: Option<i64>, emits_every_change: bool, gives_before: bool) -> Self {
        Self::of(&aggregation(grace_ms), emits_every_change, gives_before)
    }

    pub fn of(aggregation: &Aggregation, emits_every_change: bool, gives_before: bool) -> Self {
        let aggregate = Aggregate::new(aggregation, &schema(), 0, emits_every_change, gives_before);
        Self {
            aggregate: aggregate.expect("COUNT is supported"),
            stores: vec![Box::new(MemoryStore::default())],
            clocks: Clocks::default(),
            late: Vec::new(),
            pushed: 0,
        }
    }

    pub fn with(&mut self, act: impl FnOnce(&mut Aggregate, &mut Context<'_>) -> Emitted) -> Vec<String> {
        let mut late: Vec<Late> = Vec::new();
        let mut cx = Context {
            now_ms: 0,
            passed_ms: i64::MAX,
            clocks: &mut self.clocks,
            source: SourcePartition { source: 0, partition: 0 },
            stores: &mut self.stores,
            failures: &mut Vec::new(),
            late: &mut late,
        };
        let emitted = act(&mut self.aggregate, &mut cx);
        self.late.extend(late.into_iter().map(|late| (self.pushed + late.row as i64, late.reason)));
        match emitted {
            Emitted::Nothing => Vec::new(),
            Emitted::Rows(chunk) => show(&chunk),
            Emitted::Pieces(_) => panic!("an aggregate has no pieces"),
        }
    }

    pub fn push(&mut self, rows: &[Row]) -> Vec<String> {
        self.push_chunk(chunk(rows, self.pushed))
    }

    pub fn push_chunk(&mut self, chunk: Chunk) -> Vec<String> {
        let rows = chunk.len() as i64;
        let shown = self.with(|aggregate, cx| aggregate.push(Port(0), chunk, cx).expect("nothing fails"));
        self.pushed += rows;
        shown
    }

    /// What comes out at a barrier, after which the store is sealed.
    pub fn barrier(&mut self) -> Vec<String> {
        let shown = self.with(|aggregate, cx| aggregate.barrier(cx).expect("nothing fails"));
        self.seal();
        shown
    }

    pub fn seal(&mut self) -> Changes {
        self.stores[0].seal().expect("the changes are few")
    }
}

/// Each row as `offset@seconds columns`, and what it was before after `<-`.
fn show(chunk: &Chunk) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let text = |array: &dyn Array, row| ArrayFormatter::try_new(array, &options).expect("plain").value(row).to_string();
    let columns =
        |rows: &RecordBatch, row| rows.columns().iter().map(|column| text(column, row)).collect::<Vec<_>>().join(" ");
    if let Some([starts, ends]) = &chunk.windows {
        assert_eq!(chunk.rows["WINDOWSTART"].as_primitive::<Int64Type>(), starts);
        assert_eq!(chunk.rows["WINDOWEND"].as_primitive::<Int64Type>(), ends);
    }
    let row = |row: usize| {
        let before = chunk.before.as_ref().map(|before| match &before.valued {
            Some(valued) if valued.is_null(row) => " <- -".to_owned(),
            _ => format!(" <- {}", columns(&before.rows, row)),
        });
        let (offset, time) = (chunk.offsets.value(row), chunk.times_ms.value(row) / 1000);
        let gone = if chunk.valued.as_ref().is_some_and(|valued| valued.is_null(row)) { " gone" } else { "" };
        format!("{offset}@{time} {}{gone}{}", columns(&chunk.rows, row), before.unwrap_or_default())
    };
    (0..chunk.len()).map(row).collect()
}

const A: Option<&str> = Some("a");
const B: Option<&str> = Some("b");

#[test]
fn every_change_gives_the_group_after_each_row() {
    let mut twin = Twin::new(None, true, true);
    let shown = twin.push(&[(A, Some(1), 5), (B, None, 3), (None, Some(1), 99), (A, None, 4), (A, Some(1), 6)]);
    assert_eq!(shown, ["0@5 a 1 1 <- -", "1@3 b 1 0 <- -", "3@5 a 2 1 <- a 1 1", "4@6 a 3 2 <- a 2 1"]);
    assert_eq!(twin.push(&[(B, Some(1), 1)]), ["5@3 b 2 1 <- b 1 0"]);
    assert_eq!(twin.barrier(), [""; 0]);
    assert_eq!(twin.push(&[(B, None, 8)]), ["6@8 b 3 1 <- b 2 1"]);
    let names: Vec<_> = twin.aggregate.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["K", "N", "NX"]);
}

#[test]
fn by_default_a_group_comes_out_once_at_the_barrier() {
    let mut twin = Twin::new(Some(0), false, true);
    assert_eq!(twin.push(&[(B, Some(1), 1), (A, Some(1), 2), (B, None, 1)]), [""; 0]);
    assert_eq!(twin.push(&[(A, None, 11), (B, None, 9)]), [""; 0]);
    assert_eq!(twin.late.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [4]);
    let shown = twin.barrier();
    assert_eq!(shown, ["1@2 a 0 10000 1 1 <- -", "2@1 b 0 10000 2 1 <- -", "3@11 a 10000 20000 1 0 <- -"]);
    assert_eq!(twin.barrier(), [""; 0]);
    twin.push(&[(A, Some(1), 13)]);
    assert_eq!(twin.barrier(), ["5@13 a 10000 20000 2 1 <- a 10000 20000 1 0"]);
    let without = Twin::new(Some(0), false, false).aggregate;
    assert_eq!(without.schema().fields().len(), 5);
}

/// Goal: a window closes by the row, not by the batch. Method: a row closes a window that the next one misses.
#[test]
fn a_row_closes_the_window_that_the_next_one_misses() {
    let mut twin = Twin::new(Some(2_000), true, false);
    let shown = twin.push(&[(A, None, 9), (A, None, 11), (A, None, 8), (B, None, 12), (A, None, 9), (A, None, 10)]);
    let expected = [
        "0@9 a 0 10000 1 0",
        "1@11 a 10000 20000 1 0",
        "2@9 a 0 10000 2 0",
        "3@12 b 10000 20000 1 0",
        "5@11 a 10000 20000 2 0",
    ];
    assert_eq!(shown, expected);
    let reason = "the row is late: its window [0, 10000) closed at stream time 12000 (grace period 2000 ms), \
                  and stream time is 12000";
    assert_eq!(twin.late, [(4, reason.to_owned())]);
    assert_eq!(twin.clocks.latest(), Some(12_000));
}

#[test]
fn windows_expire_with_stream_time_but_what_changed_still_comes_out() {
    let mut twin = Twin::new(Some(0), false, false);
    twin.push(&[(A, None, 1), (A, None, 100), (B, None, 55)]);
    assert_eq!(twin.late.len(), 1);
    assert_eq!(twin.barrier(), ["0@1 a 0 10000 1 0", "1@100 a 100000 110000 1 0"]);
    assert_eq!(twin.stores[0].len(), 2, "a group, and the partitions of its window");
}

#[test]
fn a_group_has_the_origin_of_its_last_change() {
    for (every_change, expected) in [(true, [8, 12, 14]), (false, [12, 14, 14])] {
        let mut twin = Twin::new(None, every_change, false);
        let mut origins = Vec::new();
        let mut keep = |emitted: Emitted| {
            if let Emitted::Rows(Chunk { origins: Some(found), .. }) = &emitted {
                assert!(found.partitions.values().iter().all(|partition| *partition == 7));
                origins.extend_from_slice(found.offsets.values());
            }
            emitted
        };
        let rows = chunk(&[(A, None, 1), (None, None, 2), (B, None, 3), (A, None, 4)], 4);
        twin.with(|aggregate, cx| keep(aggregate.push(Port(0), rows, cx).expect("nothing fails")));
        twin.with(|aggregate, cx| keep(aggregate.barrier(cx).expect("nothing fails")));
        assert_eq!(origins, expected[..origins.len()]);
        assert_eq!(origins.len(), if every_change { 3 } else { 2 });
    }
}

/// Numbers that look random, from a seed (a linear congruence).
pub fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(2) + 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Goal: how rows are cut into batches changes nothing. Method: from each seed, random rows in one batch, one by one, and in
/// random cuts; what comes out, which rows are late and what the store seals have to be the same.
#[test]
fn cuts_change_nothing() {
    const KEYS: [Option<&str>; 5] = [None, A, B, Some("c"), Some("")];
    for seed in 0..60 {
        let mut random = numbers(seed);
        let (mut time, mut rows) = (0, Vec::new());
        for _ in 0..80 {
            time += random(4) as i64;
            let arg = (random(3) > 0).then_some(1);
            rows.push((KEYS[random(5) as usize], arg, time - random(25) as i64));
        }
        let grace_ms = [None, Some(0), Some(5_000)][seed as usize % 3];
        for every_change in [true, false] {
            let run = |next: &mut dyn FnMut(usize) -> usize| {
                let mut twin = Twin::new(grace_ms, every_change, true);
                let (mut shown, mut rest) = (Vec::new(), &rows[..]);
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at(next(rest.len()));
                    shown.extend(twin.push(batch));
                    rest = others;
                }
                shown.extend(twin.with(|aggregate, cx| aggregate.barrier(cx).expect("nothing fails")));
                (shown, twin.seal(), std::mem::take(&mut twin.late), twin.clocks.latest(), twin.stores[0].len())
            };
            let whole = run(&mut |rest| rest);
            assert!(whole.0.len() > 2, "seed {seed}");
            assert_eq!(run(&mut |_| 1), whole, "seed {seed}, row by row");
            for _ in 0..3 {
                assert_eq!(
                    run(&mut |rest| 1 + random(rest.min(20) as u64) as usize),
                    whole,
                    "seed {seed}, random cuts"
                );
            }
        }
    }
}

/// Goal: a push that fails changes nothing. Method: a state in the store that is no state.
#[test]
fn a_push_that_fails_changes_nothing() {
    let mut twin = Twin::new(Some(0), true, false);
    twin.push(&[(A, None, 1), (B, None, 1)]);
    let Changes { keys, .. } = twin.seal();
    let keys = keys.slice(1, 2);
    let damaged = BinaryArray::from_vec(vec![b"no state", b"no state"]);
    twin.stores[0].put(10_000, &keys, &damaged);
    let rows = chunk(&[(B, None, 2), (A, None, 11), (B, None, 3)], 2);
    twin.with(|aggregate, cx| {
        let error = aggregate.push(Port(0), rows, cx).expect_err("the state is damaged");
        assert!(error.to_string().contains("a value in a store is not valid"), "{error}");
        assert!(cx.late.is_empty());
        Emitted::Nothing
    });
    assert_eq!(twin.clocks.latest(), Some(1_000));
    assert_eq!(
        twin.seal().windows,
        Int64Array::from(vec![10_000, 10_000]),
        "only what was damaged by hand has changed"
    );
    assert_eq!(twin.push(&[(B, None, 3)]), ["2@3 b 0 10000 2 0"]);
}

#[test]
fn what_is_not_supported_is_refused() {
    let refused = |change: fn(&mut Aggregation)| {
        let mut aggregation = aggregation(Some(0));
        change(&mut aggregation);
        let refused = Aggregate::new(&aggregation, &schema(), 0, false, false).expect_err("it is refused");
        refused[0].message.clone()
    };
    assert_eq!(refused(|it| it.calls[0].function = "TOPK".to_owned()), "continuous queries cannot compute TOPK yet");
    assert_eq!(refused(|it| it.groups[0] = "Y".to_owned()), "column \"Y\" does not exist");
    let session = |it: &mut Aggregation| {
        let def = WindowDef::Session;
        it.window = Some(AggregateWindow { def, advance_ms: None, gap_ms: None, grace_ms: 0, retention_ms: 0 });
    };
    assert_eq!(refused(session), "the lengths of SESSION windows are not valid");
}

/// `SELECT k, COUNT(*) AS n, SUM(x) AS s, SUM(y) AS t … GROUP BY k` of DECIMAL(2, 0), which rejects sums over 99.
fn sums(every_change: bool) -> Aggregate {
    let ty = SqlType::Decimal { precision: 2, scale: 0 };
    let call = |column: &str, arg: &str| AggregateCall {
        column: column.to_owned(),
        function: "SUM".to_owned(),
        args: vec![arg.to_owned()],
        constants: Vec::new(),
        ty: ty.clone(),
    };
    let mut aggregation = aggregation(None);
    aggregation.calls.truncate(1);
    aggregation.calls.extend([call("S", "X"), call("T", "Y")]);
    Aggregate::new(&aggregation, &decimals(&[]).schema(), 0, every_change, false).expect("SUM is supported")
}

/// Rows with a key and two DECIMALs.
fn decimals(rows: &[(&str, i128, i128)]) -> RecordBatch {
    let keys: StringArray = rows.iter().map(|row| Some(row.0)).collect();
    let decimal = |of: fn(&(&str, i128, i128)) -> i128| {
        let values: Decimal128Array = rows.iter().map(|row| Some(of(row))).collect();
        Arc::new(values.with_precision_and_scale(2, 0).expect("they have two digits"))
    };
    let ty = DataType::Decimal128(2, 0);
    let fields =
        vec![Field::new("K", DataType::Utf8, true), Field::new("X", ty.clone(), true), Field::new("Y", ty, true)];
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(keys), decimal(|row| row.1), decimal(|row| row.2)];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("it has these columns")
}

/// Goal: a row that one call rejects is left out of all, and is reported; what the others can fold after it is decided without
/// it. Method: sums that two calls reject in turn, in one batch and row by row.
#[test]
fn a_rejected_row_is_left_out_of_all_calls() {
    let rows = decimals(&[
        ("a", 60, 1),
        ("a", 60, 50),
        ("c", 99, 99),
        ("a", 1, 60),
        ("b", 5, 5),
        ("a", 38, 39),
        ("c", 1, -99),
    ]);
    for (size, every_change) in [(7, true), (1, true), (3, true), (7, false), (1, false)] {
        let twin = Twin { aggregate: sums(every_change), ..Twin::new(None, every_change, false) };
        let Twin { mut aggregate, mut stores, .. } = twin;
        let (mut shown, mut reported) = (Vec::new(), Vec::new());
        for start in (0..rows.num_rows()).step_by(size) {
            let part = rows.slice(start, size.min(rows.num_rows() - start));
            let offsets: Vec<i64> = (start as i64..).take(part.num_rows()).collect();
            let (times_ms, offsets) = (offsets.clone().into(), offsets.into());
            let chunk = Chunk { rows: part, times_ms, offsets, origins: None, ..chunk(&[], 0) };
            let (mut failures, mut clocks) = (Vec::new(), Clocks::default());
            let mut cx = Context {
                now_ms: 0,
                passed_ms: i64::MAX,
                clocks: &mut clocks,
                source: SourcePartition { source: 0, partition: 0 },
                stores: &mut stores,
                failures: &mut failures,
                late: &mut Vec::new(),
            };
            if let Emitted::Rows(chunk) = aggregate.push(Port(0), chunk, &mut cx).expect("nothing fails") {
                shown.extend(show(&chunk));
            }
            reported.extend(failures.into_iter().map(|it| (start + it.row, it.expr, it.reason)));
        }
        let reason = "the sum exceeds DECIMAL(2, 0)";
        let of = |row: usize, expr: &str| (row, expr.to_owned(), reason.to_owned());
        let [s, t] = ["SUM(\"X\") AS \"S\"", "SUM(\"Y\") AS \"T\""];
        assert_eq!(reported, [of(1, s), of(5, t), of(6, s)], "{size}");
        if every_change {
            assert_eq!(shown, ["0@0 a 1 60 1", "2@0 c 1 99 99", "3@0 a 2 61 61", "4@0 b 1 5 5"], "{size}");
        }
    }
}
