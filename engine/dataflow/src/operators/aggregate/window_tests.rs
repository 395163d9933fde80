//! Hopping and session windows and EMIT FINAL over several partitions, in examples and against a model.

use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use headwater_language::definition::WindowDef;
use headwater_language::topology::{AggregateWindow, Aggregation};
use headwater_state::{MemoryStore, Store};

use super::Aggregate;
use super::model::Model;
use super::tests::{aggregation, numbers, schema};
use crate::chunk::{Chunk, Origins};
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Late, Operator, Port};

/// A row: key, event time in ms, partition.
pub type Row = (&'static str, i64, i32);

/// A row that is emitted: time, key, bounds of the window, count; none for a session that was replaced.
pub type Shown = (i64, String, [i64; 2], Option<i64>);

fn chunk(rows: &[Row], first_offset: i64) -> Chunk {
    let offsets: Vec<i64> = (first_offset..).take(rows.len()).collect();
    let origins = Origins {
        sources: vec![0; rows.len()].into(),
        partitions: rows.iter().map(|row| row.2).collect(),
        offsets: offsets.clone().into(),
    };
    let keys = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>());
    let args = Arc::new(Int32Array::from(vec![1; rows.len()]));
    Chunk {
        rows: RecordBatch::try_new(schema(), vec![keys, args]).expect("it has these columns"),
        times_ms: rows.iter().map(|row| row.1).collect(),
        offsets: offsets.into(),
        headers: None,
        valued: None,
        windows: None,
        before: None,
        origins: Some(origins),
        clocks_ms: None,
    }
}

fn tumbling(size_ms: i64, grace_ms: i64) -> AggregateWindow {
    let def = WindowDef::Tumbling(size_ms);
    AggregateWindow { def, advance_ms: None, gap_ms: None, grace_ms, retention_ms: size_ms + grace_ms }
}

fn hopping(size_ms: i64, advance_ms: i64, grace_ms: i64) -> AggregateWindow {
    let def = WindowDef::Hopping(size_ms);
    AggregateWindow { def, advance_ms: Some(advance_ms), ..tumbling(size_ms, grace_ms) }
}

fn session(gap_ms: i64, grace_ms: i64) -> AggregateWindow {
    AggregateWindow { def: WindowDef::Session, gap_ms: Some(gap_ms), ..tumbling(gap_ms, grace_ms) }
}

/// How a run emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emits {
    EveryChange,
    LastChange,
    Final,
}

/// An aggregate with what a task has of it.
struct Run {
    aggregate: Aggregate,
    stores: Vec<Box<dyn Store>>,
    clocks: Clocks,
    /// The offsets of late rows, with the reasons.
    late: Vec<(i64, String)>,
    pushed: i64,
    changelog: Vec<(BinaryArray, BinaryArray)>,
}

impl Run {
    fn new(window: AggregateWindow, emits: Emits) -> Self {
        let is_final = emits == Emits::Final;
        let aggregation = Aggregation { window: Some(window), is_final, ..aggregation(None) };
        let aggregate = Aggregate::new(&aggregation, &schema(), 0, emits == Emits::EveryChange, true);
        Self {
            aggregate: aggregate.expect("it is supported"),
            stores: vec![Box::new(MemoryStore::default())],
            clocks: Clocks::default(),
            late: Vec::new(),
            pushed: 0,
            changelog: Vec::new(),
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Aggregate, &mut Context<'_>) -> Emitted) -> Vec<Shown> {
        let mut late: Vec<Late> = Vec::new();
        let mut cx = Context {
            now_ms: 0,
            passed_ms: i64::MAX,
            clocks: &mut self.clocks,
            source: SourcePartition { source: 9, partition: 9 },
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

    fn push(&mut self, rows: &[Row]) -> Vec<Shown> {
        let chunk = chunk(rows, self.pushed);
        let shown = self.with(|aggregate, cx| aggregate.push(Port(0), chunk, cx).expect("nothing fails"));
        self.pushed += rows.len() as i64;
        shown
    }

    fn commit(&mut self) -> Vec<Shown> {
        let shown = self.with(|aggregate, cx| aggregate.barrier(cx).expect("nothing fails"));
        let sealed = self.stores[0].seal().expect("the changes are few");
        self.stores[0].commit();
        self.changelog.push((sealed.record_keys(), sealed.values));
        shown
    }

    /// Starts again with the state of the last commit, right after it.
    fn restart(&mut self) {
        let mut restored = MemoryStore::default();
        for (keys, values) in &self.changelog {
            restored.restore(keys, values).expect("these are record keys");
        }
        assert_eq!(restored.len(), self.stores[0].len());
        self.stores = vec![Box::new(restored)];
        self.aggregate = Aggregate { memory: None, ..self.aggregate.clone() };
    }

    fn late(&self) -> Vec<i64> {
        self.late.iter().map(|(offset, _)| *offset).collect()
    }
}

fn show(chunk: &Chunk) -> Vec<Shown> {
    let keys = chunk.rows["K"].as_string::<i32>();
    let [starts, ends] = chunk.windows.as_ref().expect("they have windows");
    assert_eq!(chunk.rows["WINDOWSTART"].as_primitive::<Int64Type>(), starts);
    assert_eq!(chunk.rows["WINDOWEND"].as_primitive::<Int64Type>(), ends);
    assert!(chunk.offsets.values().is_sorted(), "they are in the order of records");
    let counts = chunk.rows["N"].as_primitive::<Int64Type>();
    let is_there = |row| chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(row));
    let row = |row| {
        let count = is_there(row).then(|| counts.value(row));
        (chunk.times_ms.value(row), keys.value(row).to_owned(), [starts.value(row), ends.value(row)], count)
    };
    (0..chunk.len()).map(row).collect()
}

fn shown(rows: &[(i64, &str, i64, i64, i64)]) -> Vec<Shown> {
    let row = |(time, key, start, end, count): &(i64, &str, i64, i64, i64)| {
        (*time, (*key).to_owned(), [*start, *end], (*count > 0).then_some(*count))
    };
    rows.iter().map(row).collect()
}

#[test]
fn a_row_may_be_late_for_one_window_and_not_for_the_next() {
    let mut run = Run::new(hopping(10, 5, 0), Emits::EveryChange);
    let of_b = shown(&[(12, "b", 5, 15, 1), (12, "b", 10, 20, 1)]);
    assert_eq!(run.push(&[("b", 12, 0)]), of_b);
    assert_eq!(run.push(&[("a", 8, 0), ("a", 1, 0)]), shown(&[(8, "a", 5, 15, 1)]));
    let reason = "the row is late: its last window [0, 10) closed at stream time 10 (grace period 0 ms), and stream time \
                  is 12";
    assert_eq!(run.late, [(2, reason.to_owned())]);
}

/// Goal: a session is late by its end after merging. Method: the example of Kafka Streams' defect.
#[test]
fn a_session_is_late_by_its_merged_end() {
    let mut run = Run::new(session(10_000, 0), Emits::EveryChange);
    run.push(&[("a", 0, 0), ("a", 9_000, 0), ("a", 18_000, 0), ("b", 27_000, 0)]);
    let found = run.push(&[("a", 5_000, 0), ("c", 16_999, 0), ("c", 17_000, 0)]);
    assert_eq!(found, shown(&[(18_000, "a", 0, 18_000, 4), (17_000, "c", 17_000, 17_000, 1)]));
    assert_eq!(run.late(), [5]);
}

#[test]
fn a_session_that_is_replaced_is_deleted_before() {
    let mut run = Run::new(session(15, 1_000), Emits::EveryChange);
    let found = run.push(&[("b", 0, 0), ("b", 25, 0), ("b", 12, 0), ("b", 3, 0)]);
    let expected = [
        (0, "b", 0, 0, 1),
        (25, "b", 25, 25, 1),
        (0, "b", 0, 0, 0),
        (25, "b", 25, 25, 0),
        (25, "b", 0, 25, 3),
        (25, "b", 0, 25, 4),
    ];
    assert_eq!(found, shown(&expected));
}

#[test]
fn only_sessions_that_were_out_are_deleted() {
    let mut run = Run::new(session(1_000, 1_000), Emits::LastChange);
    run.push(&[("a", 0, 0), ("a", 20, 0), ("a", 10, 0)]);
    assert_eq!(run.commit(), shown(&[(20, "a", 0, 20, 3)]));
    run.push(&[("a", 30, 0), ("a", 40, 0), ("a", 5_000, 0)]);
    let expected = [(20, "a", 0, 20, 0), (40, "a", 0, 40, 5), (5_000, "a", 5_000, 5_000, 1)];
    assert_eq!(run.commit(), shown(&expected));
    assert_eq!(run.commit(), []);
}

/// Goal: a restart forgets neither stream time nor what waits to be emitted. Method: a restart between any two rows.
#[test]
fn what_waits_to_be_emitted_survives_a_restart() {
    let mut run = Run::new(tumbling(10_000, 0), Emits::Final);
    assert_eq!(run.push(&[("a", 1_000, 0), ("a", 2_000, 0)]), []);
    assert_eq!(run.commit(), []);
    run.restart();
    assert_eq!(run.push(&[("a", 3_000, 0), ("b", 10_000, 0)]), shown(&[(3_000, "a", 0, 10_000, 3)]));
    run.commit();
    run.restart();
    assert_eq!(run.push(&[("a", 4_000, 0)]), []);
    assert_eq!(run.late(), [4]);
    assert_eq!(run.push(&[("b", 20_000, 0)]), shown(&[(10_000, "b", 10_000, 20_000, 1)]));
}

#[test]
fn a_partition_that_is_ahead_emits_nothing_of_the_others() {
    let mut run = Run::new(tumbling(10_000, 0), Emits::Final);
    assert_eq!(run.push(&[("a", 1_000, 0), ("b", 30_000, 1)]), []);
    assert_eq!(run.push(&[("c", 10_000, 0)]), shown(&[(1_000, "a", 0, 10_000, 1)]));
    assert_eq!(run.push(&[("a", 2_000, 2)]), []);
    let reason = "the row is late: the result of its window [0, 10000) has been emitted";
    assert_eq!(run.late, [(3, reason.to_owned())]);
}

#[test]
fn a_partition_that_is_ahead_closes_no_window_of_the_others() {
    let [one, other, far, late] = [("a", 1_000, 0), ("a", 2_000, 0), ("a", 95_617_584_000_000, 0), ("a", 3_000, 0)];
    for first in [vec![], vec![("b", 1_000, 1)]] {
        let mut run = Run::new(tumbling(10_000, 0), Emits::EveryChange);
        run.push(&first);
        run.push(&[one, other, far, late]);
        let is_late = run.pushed - 1;
        run.commit();
        if first.is_empty() {
            run.push(&[("b", 1_000, 1)]);
        }
        assert_eq!(run.push(&[("b", 3_000, 1)]), shown(&[(3_000, "b", 0, 10_000, 2)]));
        assert_eq!(run.late(), [is_late]);
    }
}

/// Goal: groups with rows of several partitions are whole, however far one of them is ahead. Method: the partition that is read
/// first passes the retention of all windows.
#[test]
fn a_partition_that_is_behind_finds_the_state() {
    for window in [tumbling(10, 0), session(10, 0)] {
        let mut run = Run::new(window, Emits::EveryChange);
        run.push(&[("a", 0, 1), ("a", 3, 0), ("a", 500, 0)]);
        run.commit();
        run.restart();
        let found = run.push(&[("a", 4, 1)]);
        assert_eq!(found.last().and_then(|row| row.3), Some(3), "{window:?}");
    }
}

#[test]
fn a_session_is_emitted_once_after_its_gap() {
    let mut run = Run::new(session(10, 5), Emits::Final);
    assert_eq!(run.push(&[("a", 0, 0), ("a", 9, 0), ("b", 23, 0)]), []);
    assert_eq!(run.push(&[("b", 24, 0)]), shown(&[(9, "a", 0, 9, 2)]));
    assert_eq!(run.push(&[("b", 34, 0), ("c", 50, 0)]), shown(&[(34, "b", 23, 34, 3)]));
    assert_eq!(run.commit(), []);
    assert_eq!(run.stores[0].len(), 1, "what was emitted is gone");
}

#[test]
fn state_that_expired_is_given_back() {
    for (window, len) in [(hopping(10, 5, 0), 4), (session(10, 0), 1)] {
        for emits in [Emits::EveryChange, Emits::LastChange, Emits::Final] {
            let mut run = Run::new(window, emits);
            for time in 0..1_000 {
                run.push(&[("a", time * 20, 0)]);
                run.commit();
            }
            assert_eq!(run.stores[0].len(), len, "{window:?} {emits:?}");
        }
    }
}

/// Random rows, whose times advance while they jitter, over three partitions that advance differently.
fn random_rows(random: &mut impl FnMut(u64) -> u64) -> Vec<Row> {
    let keys = ["a", "b", "c"];
    let mut times = [0_i64, 0, 30];
    // All partitions are known from the start.
    let mut rows: Vec<Row> = (0..3).map(|partition| ("c", 0, partition)).collect();
    for _ in 0..90 {
        let partition = random(3) as usize;
        times[partition] += random(6) as i64 + 20 * i64::from(random(25) == 0);
        let time = (times[partition] - random(30) as i64).max(0);
        rows.push((keys[random(3) as usize], time, partition as i32));
    }
    rows
}

const WINDOWS: [fn() -> AggregateWindow; 7] = [
    || tumbling(10, 0),
    || AggregateWindow { retention_ms: 60, ..tumbling(10, 5) },
    || hopping(10, 5, 0),
    || hopping(12, 5, 10),
    || session(4, 0),
    || session(6, 15),
    || AggregateWindow { retention_ms: 50, ..session(3, 5) },
];

/// Goal: what comes out and which rows are late depends on the rows and their order alone. Method: from each seed, random rows in
/// random batches with commits and restarts between them; the model takes one row after the other and forgets nothing.
#[test]
fn every_window_agrees_with_the_model() {
    for seed in 0..42 {
        let mut random = numbers(seed);
        let (rows, window) = (random_rows(&mut random), WINDOWS[seed as usize % 7]());
        for emits in [Emits::EveryChange, Emits::Final] {
            let mut model = Model::new(window, emits == Emits::Final);
            rows.iter().for_each(|row| model.add(*row));
            assert!(seed > 20 || model.shown.len() > 5, "seed {seed}");
            for cut in [90, 1, 12] {
                let mut run = Run::new(window, emits);
                let (mut found, mut rest) = (Vec::new(), &rows[..]);
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at((1 + random(cut) as usize).min(rest.len()));
                    found.extend(run.push(if cut == 90 { rest } else { batch }));
                    rest = if cut == 90 { &[] } else { others };
                    if random(3) == 0 {
                        assert_eq!(run.commit(), [], "seed {seed}");
                    }
                    if random(4) == 0 {
                        run.commit();
                        run.restart();
                    }
                }
                let at = format!("seed {seed}, {window:?}, {emits:?}, cut {cut}");
                assert_eq!(run.late(), model.late, "{at}");
                assert_eq!(found, model.shown, "{at}");
            }
        }
    }
}

/// Goal: with the last change of each commit, a sink has the same rows as with every change, and nothing comes out that was not
/// changed. Method: as above; the sink is a map.
#[test]
fn the_last_changes_lead_to_the_same_rows() {
    for seed in 0..42 {
        let mut random = numbers(seed);
        let (rows, window) = (random_rows(&mut random), WINDOWS[seed as usize % 7]());
        let (mut run, mut model) = (Run::new(window, Emits::LastChange), Model::new(window, false));
        let mut sink = std::collections::BTreeMap::new();
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let (batch, others) = rest.split_at((1 + random(15) as usize).min(rest.len()));
            assert_eq!(run.push(batch), []);
            batch.iter().for_each(|row| model.add(*row));
            rest = others;
            if random(2) == 0 || rest.is_empty() {
                for (_, key, bounds, count) in run.commit() {
                    let before = match count {
                        Some(count) => sink.insert((key.clone(), bounds), count),
                        None => sink.remove(&(key.clone(), bounds)),
                    };
                    assert_ne!(before, count, "seed {seed}, {window:?}: {key} {bounds:?} has not changed");
                }
                assert_eq!(sink, model.sink(), "seed {seed}, {window:?}");
                if random(2) == 0 {
                    run.restart();
                }
            }
        }
        assert_eq!(run.late(), model.late, "seed {seed}");
    }
}
