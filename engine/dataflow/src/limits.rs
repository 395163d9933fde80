//! What the topics behind an operator accept: the changelogs of its stores, and the sink that its rows reach. State that a topic
//! refuses could never be committed, so the row that would make it too large is rejected instead.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;

use super::chunk::Chunk;
use super::operator::{Operator, repeated};
use super::output::Output;
use super::stage::{OutputTopic, Target};

/// Bytes of a changelog record's key in addition to the key of the store: the start of its window.
const WINDOW_BYTES: usize = size_of::<i64>();

/// What the topics behind an operator accept; by default anything.
#[derive(Debug, Default)]
pub struct Limits<'a> {
    /// The changelogs of the task's stores.
    pub changelogs: &'a [Changelog],
    /// Where the operator's rows go.
    pub onward: Option<Onward<'a>>,
}

/// The changelog topic of a store.
#[derive(Clone, Debug)]
pub struct Changelog {
    /// Its name.
    pub topic: Arc<str>,
    /// Most bytes of a record, key and value together; `None` if that is not known.
    pub bytes_max: Option<usize>,
}

impl Limits<'_> {
    /// Fails if the changelog of the store with this index does not accept one of these values, even if it grows by `reserve` bytes.
    pub fn check(&self, store: usize, values: (&BinaryArray, &BinaryArray), reserve: usize) -> Result<(), ArrowError> {
        let large = self.too_large(store, values, reserve).into_iter().next();
        large.map_or(Ok(()), |(_, why)| Err(ArrowError::ComputeError(why)))
    }

    /// The values that the changelog of the store with this index does not accept if they grow by `reserve` bytes, each with its
    /// row and the reason. A key without a value is removed, which is always accepted.
    pub fn too_large(
        &self,
        store: usize,
        (keys, values): (&BinaryArray, &BinaryArray),
        reserve: usize,
    ) -> Vec<(usize, String)> {
        let Some(Changelog { topic, bytes_max: Some(most) }) = self.changelogs.get(store) else { return Vec::new() };
        let own = WINDOW_BYTES + reserve;
        if longest(keys) + longest(values) + own <= *most {
            return Vec::new();
        }
        let length = |column: &BinaryArray, row: usize| usize::try_from(column.value_length(row)).unwrap_or(0);
        let bytes = |row: usize| length(keys, row) + length(values, row) + own;
        let put = (0..keys.len()).filter(|row| values.is_valid(*row));
        let large = put.map(|row| (row, bytes(row))).filter(|(_, bytes)| bytes > most);
        let why = |bytes| {
            format!("the record has {bytes} bytes, but topic \"{topic}\" accepts at most {most} (max.message.bytes)")
        };
        large.map(|(row, bytes)| (row, why(bytes))).collect()
    }

    /// Most bytes that the changelog of the store with this index accepts of a key and its value together; `None` if that is not
    /// known.
    pub fn bytes_max(&self, store: usize) -> Option<usize> {
        self.changelogs.get(store)?.bytes_max.map(|most| most.saturating_sub(WINDOW_BYTES))
    }

    /// The size of a key and its value, in bytes, above which their record may be too large for the sink; `None` if none is.
    pub fn doubtful_bytes(&self) -> Option<usize> {
        self.onward.as_ref()?.doubtful_bytes()
    }
}

/// The size of the longest value.
pub fn longest(values: &BinaryArray) -> usize {
    values.offsets().lengths().max().unwrap_or(0)
}

/// An operator of a task, and the next steps for its rows.
pub type Step = (Box<dyn Operator>, Vec<Target>);

/// Where the rows of an operator go: the later operators of the stage, and its outputs.
pub struct Onward<'a> {
    /// The next steps.
    pub to: &'a [Target],
    /// The operators after this one, and the index of the first of them.
    pub later: (&'a mut [Step], usize),
    /// The outputs of the stage, and what they are.
    pub outputs: (&'a mut [Output], &'a [OutputTopic]),
    /// The current time, in ms since the epoch.
    pub now_ms: i64,
}

impl Onward<'_> {
    /// The size of a state, in bytes, above which the records that are made of it may be too large for the sink. It is 0 if a later
    /// operator computes texts or collections, which may be of any size.
    fn doubtful_bytes(&self) -> Option<usize> {
        let sinks = self.outputs.0.iter().zip(self.outputs.1).filter(|(_, topic)| topic.exchange.is_none());
        let bytes = sinks.filter_map(|(output, _)| output.doubtful_bytes()).min()?;
        Some(if self.later.0.iter().any(|(operator, _)| operator.lengthens()) { 0 } else { bytes })
    }

    /// Why the sink would not accept the record of one of these rows because of its size; `None` if it would, or if the rows pass an
    /// operator whose result depends on others.
    pub fn too_large(&mut self, chunk: &Chunk) -> Result<Option<String>, ArrowError> {
        let Self { to, later: (later, first), outputs: (outputs, topics), now_ms } = self;
        let mut left: Vec<(Chunk, Target)> = to.iter().map(|to| (chunk.clone(), *to)).collect();
        while let Some((chunk, to)) = left.pop() {
            match to {
                Target::Output(at) => {
                    if topics.get(at).is_some_and(|topic| topic.exchange.is_none())
                        && let Some(output) = outputs.get_mut(at)
                        && let Some(why) = output.too_large_of(&chunk)?
                    {
                        return Ok(Some(why));
                    }
                }
                Target::Operator(at, port) => {
                    let Some((operator, to)) = at.checked_sub(*first).and_then(|at| later.get_mut(at)) else {
                        continue;
                    };
                    if !operator.repeats() {
                        continue;
                    }
                    if let Some(rows) = repeated(operator.as_mut(), port, chunk, *now_ms)? {
                        left.extend(to.iter().map(|to| (rows.clone(), *to)));
                    }
                }
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Onward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onward").field("to", &self.to).finish_non_exhaustive()
    }
}
