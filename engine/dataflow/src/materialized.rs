//! The result of a query as a table that can be read at any time: the rows of its stores, and the steps after them.
//!
//! ```text
//! aggregate, table or join → filter → project → sink
//!     └ keys and values of a snapshot → rows → the records that the sink has for these keys
//! ```
//!
//! Readers get records and not rows, so that they see exactly what they would read from the topic: what a format cannot hold
//! is not there either, and the timestamps are those of the records.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use headwater_formats::decode::TopicSpec;
use headwater_formats::format::FormatError;
use headwater_formats::record::{OutBatch, RawBatch, RecordLimits, TopicPartition};
use headwater_language::definition::SourceDef;

use super::keeper::{Found, Keeper, Kept};
use super::operator::{Operator, Port, repeated};
use super::output::{Output, Placement};
use super::stage::Stage;

/// How the result of a query is read from its state.
#[derive(Clone)]
pub struct Materialized {
    stage: Arc<Stage>,
    number: usize,
    kept: Kept,
    spec: Option<Arc<TopicSpec>>,
}

/// Reads the result from the state of one partition after the other.
pub struct MaterializedReader {
    keeper: Arc<dyn Operator>,
    later: Vec<Box<dyn Operator>>,
    output: Output,
    topic: TopicPartition,
}

impl Materialized {
    /// The result of the last stage, or the reason why the state does not have all of it.
    pub(super) fn of(stages: &[Arc<Stage>]) -> Result<Self, &'static str> {
        let number = stages.iter().position(|stage| stage.is_last).ok_or("the query has no last step")?;
        let stage = stages[number].clone();
        if stage.outputs.len() + usize::from(stage.kept_as.is_some()) != 1 {
            return Err("the result of the query is not one topic");
        }
        let kept = stage.kept.clone()?;
        let spec = stage.kept_as.as_ref().map(SourceDef::topic_spec).transpose();
        let spec = spec.map_err(|_| "the rows of the query cannot be decoded")?.map(Arc::new);
        Ok(Self { stage, number, kept, spec })
    }

    /// What the records of a [`reader`](Self::reader) are, if the query has no topic for its result. Its columns are those of the
    /// query's source.
    pub fn spec(&self) -> Option<&Arc<TopicSpec>> {
        self.spec.as_ref()
    }

    /// The topic whose partitions are those of the state.
    pub fn topic(&self) -> &Arc<str> {
        &self.stage.inputs[0].spec.topic
    }

    /// The index of the stage whose tasks have the state.
    pub fn stage(&self) -> usize {
        self.number
    }

    /// The indices of the stores in each of these tasks.
    pub fn stores(&self) -> Range<usize> {
        self.keeper().stores()
    }

    /// Those of the stores that are scanned for all rows, by their places among [`Self::stores`]. A key may be in several.
    pub fn scanned(&self) -> Range<usize> {
        self.keeper().scanned()
    }

    /// Whether several partitions may have a row for one key: the source's records are where their producers have placed them.
    pub fn may_repeat_keys(&self) -> bool {
        self.stage.inputs.iter().any(|input| input.exchange.is_none())
    }

    /// The columns of the result that make a key of the state, with their types; `None` if they do not determine it.
    pub fn key_columns(&self) -> Option<Vec<(&str, DataType)>> {
        let (keeper, names) = (self.keeper(), self.kept.keys.as_ref()?);
        let types = keeper.key_types();
        let is_plain = types.iter().all(|data_type| !data_type.is_floating() && !data_type.is_nested());
        let is_known = is_plain || keeper.has_canonical_keys();
        is_known.then(|| names.iter().map(String::as_str).zip(types).collect())
    }

    /// The keys of the state for these values of [`Self::key_columns`], none of them null.
    pub fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        self.keeper().keys(columns)
    }

    /// The end of the window with this start, in ms; `None` if the result has no windows of one length.
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
        let (stage, written) = (&self.stage, self.stage.outputs.first());
        let as_written = written.map(|written| (&written.sink, &written.schema, written.rekeyed));
        let as_kept = stage.kept_as.as_ref().map(|source| (source, &stage.schema, false));
        let (sink, schema, rekeyed) = as_written.or(as_kept).expect("checked when it was compiled");
        let operators = self.stage.operators[self.kept.operator + 1..].iter();
        Ok(MaterializedReader {
            keeper: self.stage.operators[self.kept.operator].operator.clone(),
            later: operators.map(|wired| wired.operator.fresh()).collect(),
            output: Output::new(sink, schema, rekeyed, placement)?,
            topic: TopicPartition::new(sink.topic.as_str(), 0),
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
    /// The records of the result for some keys of the stores, with their positions as offsets in partition 0. A
    /// key whose row the query does not keep has none, and neither has one whose row cannot be written as a record. Fails if the
    /// state is damaged.
    pub fn records(&mut self, found: Found<'_>, now_ms: i64) -> Result<RawBatch, ArrowError> {
        let mut chunk = self.keeper().rows(found)?;
        for operator in &mut self.later {
            if !chunk.is_empty() {
                let none = chunk.slice(0, 0);
                chunk = repeated(operator.as_mut(), Port(0), chunk, now_ms)?.unwrap_or(none);
            }
        }
        if chunk.is_empty() {
            return Ok(self.batch(None));
        }
        let (batch, _) = self.output.encode(&chunk, 0, now_ms)?;
        Ok(self.batch(Some(batch)))
    }

    /// The event times of the rows for some keys, each of which has a row. Fails if the state is damaged.
    pub fn times_ms(&self, found: Found<'_>) -> Result<Int64Array, ArrowError> {
        Ok(self.keeper().rows(found)?.times_ms)
    }

    fn keeper(&self) -> &dyn Keeper {
        self.keeper.keeper().expect("checked when it was compiled")
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
