//! The result of a query as a table that can be read at any time: the rows of a store, and the steps after it.
//!
//! ```text
//! aggregate → filter → project → sink
//!     └ keys and values of a snapshot → rows → the records that the sink has for these keys
//! ```
//!
//! Readers get records and not rows, so that they see exactly what they would read from the topic: what a format cannot hold
//! is not there either, and the timestamps are those of the records.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use headwater_formats::format::FormatError;
use headwater_formats::record::{OutBatch, RawBatch, RecordLimits, TopicPartition};
use headwater_language::sql::parse_expr;
use headwater_language::topology::{Action, Node, ResultColumn};
use headwater_state::Scanned;
use sqlparser::ast::Expr;

use super::chunk::Chunk;
use super::clocks::{Clocks, SourcePartition};
use super::operator::{Context, Emitted, Operator, Port};
use super::output::{Output, Placement};
use super::stage::Stage;

/// An operator whose store has the rows that it has emitted and that are still valid.
pub trait Keeper: fmt::Debug {
    /// The index of its store.
    fn store(&self) -> usize;

    /// The rows for some keys of the store and their values. Fails if they are damaged.
    fn rows(&self, scanned: &Scanned) -> Result<Chunk, ArrowError>;

    /// The types of the columns that make a key.
    fn key_types(&self) -> Vec<DataType>;

    /// The keys that these columns make, none of them null.
    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError>;

    /// The end of the window with this start, in ms; `None` without windows.
    fn window_end(&self, start_ms: i64) -> Option<i64>;

    /// Windows that start before this have expired at a stream time; `i64::MIN` without windows.
    fn kept_from(&self, stream_time_ms: i64) -> i64;
}

/// How the result of a query is read from its state.
#[derive(Clone)]
pub struct Materialized {
    stage: Arc<Stage>,
    number: usize,
    kept: Kept,
}

/// The operator of a stage that keeps the result.
#[derive(Clone)]
pub struct Kept {
    /// Its index. Only operators follow that compute each row from one row.
    operator: usize,
    /// The columns of the result that are those of its key, in their order; `None` if one of them is missing.
    keys: Option<Vec<String>>,
}

/// Reads the result from the state of one partition after the other.
pub struct MaterializedReader {
    keeper: Arc<dyn Operator>,
    later: Vec<Box<dyn Operator>>,
    output: Output,
    topic: TopicPartition,
}

impl Kept {
    /// The operator that keeps the result; `None` if none does. `operators` are those of the last stage in their order, and
    /// `nodes` are its nodes.
    pub fn of(operators: &[Arc<dyn Operator>], nodes: &[&Node]) -> Option<Self> {
        let operator = operators.iter().position(|operator| operator.keeper().is_some())?;
        let is_line = nodes.iter().all(|node| node.inputs.len() <= 1);
        let repeats = operators[operator + 1..].iter().all(|later| later.repeats());
        let aggregation = nodes.iter().find_map(|node| match &node.action {
            Action::Aggregate(aggregation) if !aggregation.is_final => Some(aggregation),
            _ => None,
        })?;
        let columns = nodes.iter().rev().find_map(|node| match &node.action {
            Action::Project(projection) => Some(&projection.columns),
            _ => None,
        })?;
        let key = |group: &String| columns.iter().find(|column| column.key && is_column(column, group));
        let keys = aggregation.groups.iter().map(|group| Some(key(group)?.name.clone())).collect();
        (is_line && repeats).then_some(Self { operator, keys })
    }
}

/// Whether a column of the result is a column of the aggregation.
fn is_column(column: &ResultColumn, group: &str) -> bool {
    matches!(parse_expr(&column.expr), Ok(Expr::Identifier(name)) if name.value == group)
}

impl Materialized {
    /// The result of the last stage; `None` if no operator keeps it, or if a later step is not the same whenever it is taken.
    pub(super) fn of(stages: &[Arc<Stage>]) -> Option<Self> {
        let number = stages.iter().position(|stage| stage.is_last)?;
        let stage = stages[number].clone();
        let [_] = stage.inputs.as_slice() else { return None };
        let [_] = stage.outputs.as_slice() else { return None };
        let kept = stage.kept.clone()?;
        Some(Self { stage, number, kept })
    }

    /// The topic whose partitions are those of the state.
    pub fn topic(&self) -> &Arc<str> {
        &self.stage.inputs[0].spec.topic
    }

    /// The index of the stage whose tasks have the state.
    pub fn stage(&self) -> usize {
        self.number
    }

    /// The index of the store in each of these tasks.
    pub fn store(&self) -> usize {
        self.keeper().store()
    }

    /// The columns of the result that make a key of the state, with their types; `None` if they do not determine it.
    pub fn key_columns(&self) -> Option<Vec<(&str, DataType)>> {
        let names = self.kept.keys.iter().flatten().map(String::as_str);
        self.kept.keys.as_ref().map(|_| names.zip(self.keeper().key_types()).collect())
    }

    /// The keys of the state for these values of [`Self::key_columns`], none of them null.
    pub fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        self.keeper().keys(columns)
    }

    /// The end of the window with this start, in ms; `None` if the result has no windows.
    pub fn window_end(&self, start_ms: i64) -> Option<i64> {
        self.keeper().window_end(start_ms)
    }

    /// Windows that start before this have expired at a stream time, all in ms since the epoch; `i64::MIN` if the result has no
    /// windows.
    pub fn kept_from(&self, stream_time_ms: i64) -> i64 {
        self.keeper().kept_from(stream_time_ms)
    }

    /// A reader of the result.
    pub fn reader(&self) -> Result<MaterializedReader, FormatError> {
        // Nothing is written, so that the limits of the topic do not matter.
        let placement = Placement { partitions: 1, limits: RecordLimits::default() };
        let written = &self.stage.outputs[0];
        let operators = self.stage.operators[self.kept.operator + 1..].iter();
        Ok(MaterializedReader {
            keeper: self.stage.operators[self.kept.operator].operator.clone(),
            later: operators.map(|wired| wired.operator.fresh()).collect(),
            output: Output::new(&written.sink, &written.schema, written.rekeyed, placement)?,
            topic: TopicPartition::new(written.sink.topic.as_str(), 0),
        })
    }

    fn keeper(&self) -> &dyn Keeper {
        self.stage.operators[self.kept.operator].operator.keeper().expect("checked when it was compiled")
    }
}

impl fmt::Debug for Materialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materialized").field("stage", &self.number).finish_non_exhaustive()
    }
}

impl MaterializedReader {
    /// The records of the result for some keys of a store and their values, with their positions as offsets in partition 0. A
    /// key whose row the query does not keep has none, and neither has one whose row cannot be written as a record. Fails if the
    /// state is damaged.
    pub fn records(&mut self, scanned: &Scanned, now_ms: i64) -> Result<RawBatch, ArrowError> {
        let keeper = self.keeper.keeper().expect("checked when it was compiled");
        let mut chunk = keeper.rows(scanned)?;
        for operator in &mut self.later {
            if !chunk.is_empty() {
                chunk = step(operator.as_mut(), chunk, now_ms)?;
            }
        }
        if chunk.is_empty() {
            return Ok(self.batch(None));
        }
        let (batch, _) = self.output.encode(&chunk, 0, now_ms)?;
        Ok(self.batch(Some(batch)))
    }

    fn batch(&self, written: Option<OutBatch>) -> RawBatch {
        let none = || BinaryArray::new_null(0);
        let (keys, values) = written.as_ref().map_or_else(|| (none(), none()), |b| (b.keys.clone(), b.values.clone()));
        let times = written.and_then(|batch| batch.timestamps_ms).unwrap_or_default();
        RawBatch {
            origin: self.topic.clone(),
            offsets: (0..times.len() as i64).collect(),
            timestamps_ms: times,
            payload_bytes: (keys.value_data().len() + values.value_data().len()) as u64,
            value_nulls: values.nulls().cloned(),
            keys: Some(keys),
            values: Some(values),
            headers: None,
        }
    }
}

/// The rows that an operator emits for some rows. Failures of expressions were reported when the rows came to be.
fn step(operator: &mut dyn Operator, chunk: Chunk, now_ms: i64) -> Result<Chunk, ArrowError> {
    let (failures, late, clocks) = (&mut Vec::new(), &mut Vec::new(), &mut Clocks::default());
    let (nothing, source) = (chunk.slice(0, 0), SourcePartition { source: 0, partition: 0 });
    let mut cx = Context { now_ms, passed_ms: i64::MAX, clocks, source, stores: &mut [], failures, late };
    match operator.push(Port(0), chunk, &mut cx)? {
        Emitted::Rows(chunk) => Ok(chunk),
        Emitted::Nothing => Ok(nothing),
        Emitted::Pieces(_) => Err(ArrowError::ComputeError("a step after the state emits pieces".to_owned())),
    }
}
