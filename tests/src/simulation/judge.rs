//! Checks that the queries of a simulation wrote the same rows as bounded queries over their input: each row once, and
//! in order for each key.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::Diagnostic;
use headwater_engine::{Engine, Session};

/// Checks that a stream or table written by a query has the rows of the bounded query, and that the rows of one key and one
/// partition of the input are in offset order. For a count, the offset is the start of its window; for a group of a table,
/// the partition is the number of its rows.
pub(super) async fn check(engine: &Engine, source: &str, sink: &str, wanted: &str) -> Result<(), String> {
    let columns = match sink {
        "FIRST" | "PAIRS" | "OWN" => "n AS value, p, o",
        "SECOND" => "twice AS value, p, o",
        "RESTS" => "n AS value, CAST(c AS INT) AS p, CAST(0 AS BIGINT) AS o",
        _ => "n AS value, CAST(0 AS INT) AS p, WINDOWSTART AS o",
    };
    let found = format!("SELECT k AS key, {columns} FROM {sink} ORDER BY ROWPARTITION, ROWOFFSET;");
    let found = rows(engine, &found).await.map_err(words)?;
    let wanted = rows(engine, &format!("{wanted};")).await.map_err(words)?;
    if wanted.is_empty() {
        return Err(format!("nothing arrived in {source}, so the simulation tests nothing"));
    }
    if sorted(&found) != sorted(&wanted) {
        return Err(difference(sink, &sorted(&found), &sorted(&wanted)));
    }
    if sink == "FIRST" { in_order(sink, &found) } else { Ok(()) }
}

fn in_order(sink: &str, found: &[Row]) -> Result<(), String> {
    let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for row in found {
        if let Some(before) = last.insert((&row.key, row.partition), row.offset)
            && before > row.offset
        {
            return Err(format!("{sink}: key {} has offset {} after {before}", row.key, row.offset));
        }
    }
    Ok(())
}

/// The rows of a statement with the columns `key`, `value`, partition and offset.
pub(super) async fn rows(engine: &Engine, statement: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut session = Session::new(Settings::default());
    // In one partition, so that its calls have a fixed order.
    let settings = ["SET 'query.partitions' = '1';", statement];
    let mut answer = None;
    for statement in settings {
        answer = Some(engine.ask(&mut session, statement).await.map_err(messages)?);
    }
    let Some(Answer::Rows(rows)) = answer else { return Err(vec![format!("{statement} returned no rows")]) };
    let batches: Vec<RecordBatch> = rows.stream.try_collect().await.map_err(|error| vec![error.to_string()])?;
    Ok(batches.iter().flat_map(rows_of).collect())
}

pub(super) fn messages(errors: Vec<Diagnostic>) -> Vec<String> {
    errors.into_iter().map(|error| error.message).collect()
}

fn words(errors: Vec<String>) -> String {
    errors.join("; ")
}

pub(super) fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

/// A row of a result and the address of its input record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    partition: i32,
    offset: i64,
    key: String,
    value: i64,
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let keys = batch.column(0).as_string::<i32>();
    let values = batch.column(1).as_primitive::<Int64Type>();
    let partitions = batch.column(2).as_primitive::<Int32Type>();
    let offsets = batch.column(3).as_primitive::<Int64Type>();
    let row = |at: usize| Row {
        partition: partitions.value(at),
        offset: offsets.value(at),
        key: keys.value(at).to_owned(),
        value: values.value(at),
    };
    (0..keys.len()).map(row).collect()
}

fn difference(sink: &str, found: &[Row], wanted: &[Row]) -> String {
    let counted = |rows: &[Row]| {
        let mut counts: BTreeMap<Row, i64> = BTreeMap::new();
        rows.iter().for_each(|row| *counts.entry(row.clone()).or_default() += 1);
        counts
    };
    let mut counts = counted(wanted);
    counted(found).into_iter().for_each(|(row, count)| *counts.entry(row).or_default() -= count);
    // A group that counted a row twice is not lost: its value is too high.
    let is_higher = |row: &Row| {
        let is_same =
            |other: &&Row| (other.partition, other.offset, &other.key) == (row.partition, row.offset, &row.key);
        found.iter().filter(is_same).any(|other| other.value > row.value)
    };
    let lost = counts.iter().filter(|(row, count)| **count > 0 && !is_higher(row)).count();
    let doubled = counts.iter().filter(|(_, count)| **count < 0).count();
    let example = counts.iter().find(|(_, count)| **count != 0).map(|(row, _)| row);
    format!(
        "{sink}: {lost} rows lost, {doubled} duplicated or unexpected, of {}; for example {example:?}",
        wanted.len()
    )
}
