//! The groups in the stores of an aggregation, as they were emitted last. With EMIT FINAL, those that have been emitted.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::{filter, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use headwater_functions::in_one_form;
use headwater_state::Scanned;

use super::contributors::shares;
use super::emission::{Results, of_groups};
use super::windowing::Windows;
use super::{Aggregate, Emission, list};
use crate::chunk::Chunk;
use crate::keeper::{Found, Keeper};
use crate::operators::encoding::States;

/// Groups in a store.
struct Stored {
    keys: BinaryArray,
    states: BinaryArray,
    /// The bounds of their windows.
    bounds: Option<[Int64Array; 2]>,
}

impl Stored {
    /// Groups in their windows, which all have the same length.
    fn of_windows(aggregate: &Aggregate, scanned: &Scanned) -> Result<Self, ArrowError> {
        let Scanned { windows, keys, values } = of_groups(scanned)?;
        Ok(Self { keys, states: values, bounds: aggregate.bounds_of(windows) })
    }

    /// The sessions in some values.
    fn of_sessions(scanned: &Scanned) -> Result<Self, ArrowError> {
        let (mut rows, mut states, mut bounds) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for (row, value) in (0_u32..).zip(scanned.values.iter()) {
            for ([start, end], state) in list::split(value.unwrap_or_default())? {
                rows.push(row);
                states.push(state);
                bounds[0].push(start);
                bounds[1].push(end);
            }
        }
        let keys = take(&scanned.keys, &UInt32Array::from(rows), None)?.as_binary().clone();
        Ok(Self { keys, states: BinaryArray::from_iter_values(states), bounds: Some(bounds.map(Int64Array::from)) })
    }
}

impl Aggregate {
    /// Those of some groups that have been emitted.
    fn emitted(&self, stored: Stored) -> Result<Stored, ArrowError> {
        let shares = shares(&States::decode(&self.state, &stored.states)?)?;
        let is_emitted: BooleanArray =
            shares.iter().map(|share| Some(share.as_ref().is_some_and(|share| share.is_emitted))).collect();
        let bytes = |column: &BinaryArray| Ok::<_, ArrowError>(filter(column, &is_emitted)?.as_binary().clone());
        let (keys, states) = (bytes(&stored.keys)?, bytes(&stored.states)?);
        let times = |column: &Int64Array| Ok::<_, ArrowError>(filter(column, &is_emitted)?.as_primitive().clone());
        let bounds = stored.bounds.map(|[starts, ends]| Ok::<_, ArrowError>([times(&starts)?, times(&ends)?]));
        Ok(Stored { keys, states, bounds: bounds.transpose()? })
    }
}

impl Keeper for Aggregate {
    fn stores(&self) -> Range<usize> {
        self.store..self.store + 1
    }

    fn rows(&self, found: Found<'_>) -> Result<Chunk, ArrowError> {
        let stored = match self.windows {
            Some(Windows::Session(_)) => Stored::of_sessions(found.keys)?,
            _ => Stored::of_windows(self, found.keys)?,
        };
        let stored = if self.emission == Emission::Final { self.emitted(stored)? } else { stored };
        let (states, groups) = (States::decode(&self.state, &stored.states)?, self.key.decode(&stored.keys)?);
        let results = self.results(&states);
        let results = Results { groups, bounds: stored.bounds, results, valued: None, before: None };
        self.chunk(results, states.times_ms, states.offsets, None)
    }

    fn key_types(&self) -> Vec<DataType> {
        self.key.types()
    }

    fn has_canonical_keys(&self) -> bool {
        true
    }

    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        let columns = columns.iter().map(in_one_form).collect::<Result<Vec<_>, _>>()?;
        self.key.encode(&columns, columns.first().map_or(0, |column| column.len()))
    }

    fn window_end(&self, start_ms: i64) -> Option<i64> {
        match self.windows {
            Some(Windows::Time(windows)) => Some(windows.end(start_ms)),
            _ => None,
        }
    }

    fn kept_from(&self, stream_time_ms: i64) -> i64 {
        match self.windows {
            Some(Windows::Time(windows)) => windows.kept_from(stream_time_ms),
            Some(Windows::Session(windows)) => windows.kept_from(stream_time_ms),
            None => i64::MIN,
        }
    }
}
