//! What the tests of operators share: rows of a table with an INT column `a`, and what comes out as text; contexts, and numbers that
//! look random.

use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use headwater_expression::{Compiler, Expression, session};
use headwater_language::config::Settings;
use headwater_language::sql::parse_expr;

use crate::chunk::{Before, Chunk};

/// A context with these clocks and stores, or with its own, in which nothing has happened.
macro_rules! cx {
    () => {
        cx!(&mut Default::default(), &mut [])
    };
    ($clocks:expr, $stores:expr) => {
        $crate::operator::Context {
            now_ms: 0,
            passed_ms: i64::MAX,
            clocks: $clocks,
            source: $crate::clocks::SourcePartition { source: 0, partition: 0 },
            stores: $stores,
            failures: &mut Vec::new(),
            late: &mut Vec::new(),
            refused: &mut Vec::new(),
            limits: Default::default(),
        }
    };
}
pub(crate) use cx;

/// Numbers that look random, each below a bound, from a seed (a linear congruence).
pub(crate) fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(2) + 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("A", DataType::Int32, true)]))
}

/// An expression over `a`.
pub(crate) fn compiled(text: &str) -> Expression {
    let state = session(&Settings::default());
    let compiler = Compiler::new(&state, schema()).expect("the columns are plain");
    compiler.compile(&parse_expr(text).expect("it is an expression"), text, None).expect("it compiles").0
}

/// Changes of a table with these rows, where there is one, in place of others.
pub(crate) fn changed(
    after: (RecordBatch, NullBuffer),
    before: (RecordBatch, NullBuffer),
    offsets: Vec<i64>,
    times_ms: Vec<i64>,
) -> Chunk {
    Chunk {
        rows: after.0,
        times_ms: times_ms.into(),
        offsets: offsets.into(),
        headers: None,
        valued: Some(after.1),
        windows: None,
        before: Some(Before { rows: before.0, valued: Some(before.1) }),
        origins: None,
        clocks_ms: None,
    }
}

/// Changes of a table, from `before` to `after`, where there is a row.
pub(crate) fn table(after: &[Option<i32>], before: &[Option<i32>]) -> Chunk {
    let rows = |values: &[Option<i32>]| {
        RecordBatch::try_new(schema(), vec![Arc::new(Int32Array::from(values.to_vec()))]).expect("it has that column")
    };
    let sided = |values: &[Option<i32>]| (rows(values), values.iter().map(Option::is_some).collect());
    let offsets: Vec<i64> = (0..after.len() as i64).collect();
    changed(sided(after), sided(before), offsets.clone(), offsets)
}

/// The values of the only column.
pub(crate) fn integers(rows: &RecordBatch) -> Vec<Option<i32>> {
    rows.column(0).as_primitive::<Int32Type>().iter().collect()
}

/// Each row as `offset: before→after`, with `-` where there is none.
pub(crate) fn shown(chunk: &Chunk) -> Vec<String> {
    let before = chunk.before.as_ref().expect("rows carry what they were before");
    let value = |rows: &RecordBatch, valued: &Option<NullBuffer>, row: usize| match valued {
        Some(valued) if valued.is_null(row) => "-".to_owned(),
        _ => integers(rows)[row].map_or("null".to_owned(), |value| value.to_string()),
    };
    let row = |row| {
        let (before, after) = (value(&before.rows, &before.valued, row), value(&chunk.rows, &chunk.valued, row));
        format!("{}: {before}→{after}", chunk.offsets.value(row))
    };
    (0..chunk.len()).map(row).collect()
}
