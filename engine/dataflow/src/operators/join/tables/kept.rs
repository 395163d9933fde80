//! The joined rows, made of what the stores of both sides have.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array};
use arrow::compute::filter;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use headwater_language::topology::JoinKind;

use super::JoinTables;
use super::changes::Rows;
use crate::chunk::Chunk;
use crate::keeper::{Found, Keeper};

impl Keeper for JoinTables {
    fn stores(&self) -> Range<usize> {
        self.store..self.store + 2
    }

    /// The sides whose rows are joined rows, with a match or without. For an inner join either would do.
    fn scanned(&self) -> Range<usize> {
        match self.kind {
            JoinKind::Inner | JoinKind::Left => 0..1,
            JoinKind::Right => 1..2,
            JoinKind::Full => 0..2,
        }
    }

    fn rows(&self, found: Found<'_>) -> Result<Chunk, ArrowError> {
        let (place, keys) = (found.place, &found.keys.keys);
        let theirs = found.stores[1 - place].get(0, keys)?;
        // A key that is on both sides was found on the left.
        let is_new: BooleanArray = (0..keys.len())
            .map(|row| Some(place == 0 || self.kind == JoinKind::Right || theirs.is_null(row)))
            .collect();
        let [keys, ours, theirs] = [keys, &found.keys.values, &theirs].map(|column| filter(column, &is_new));
        let (keys, ours, theirs) = (keys?, ours?, theirs?);
        let rows = |side: usize, values: &ArrayRef| Rows::decode(&self.rows[side], values.as_binary());
        let (own, other) = (rows(place, &ours)?, rows(1 - place, &theirs)?);
        let both = if place == 0 { [own, other] } else { [other, own] };
        let times_ms: Int64Array =
            (0..keys.len()).map(|row| both.iter().fold(i64::MIN, |time, of| of.latest(row, time))).collect();
        let (key, exist) = (self.sides[0].keys.decode(keys.as_binary())?.remove(0), self.exist(&both)?);
        let joined = self.joined(&key, &both, exist.as_ref())?;
        let offsets = Int64Array::from(vec![0; times_ms.len()]);
        let chunk = Chunk::of_state(joined, times_ms, offsets);
        if let Some(exist) = exist { chunk.filter(&exist) } else { Ok(chunk) }
    }

    fn key_types(&self) -> Vec<DataType> {
        self.sides[0].keys.types()
    }

    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        self.sides[0].keys.encode(columns, columns.first().map_or(0, |column| column.len()))
    }
}
