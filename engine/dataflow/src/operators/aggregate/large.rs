//! Groups that become too large for a record: the changelog, or the sink, would refuse them, and with them the whole commit, again
//! and again. Rows that would make a group too large are pushed one by one, since the push fails, and such a row is rejected: its
//! group keeps its value, and others are not affected.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

use super::contributors::shares;
use super::emission::Results;
use super::{Aggregate, Emission, Windows, list};
use crate::chunk::Chunk;
use crate::limits::{Limits, longest};
use crate::operators::encoding::States;

/// Bytes by which a group may grow when its result is emitted.
const MARK_BYTES: usize = 16;

/// Most characters of a key that are reported.
const KEY_CHARS_MAX: usize = 100;

/// A window, its groups and their new values.
type Puts = (i64, BinaryArray, BinaryArray);

impl Aggregate {
    /// Fails if the group of a row would become too large for the changelog or the sink.
    pub(super) fn check_size(&self, chunk: &Chunk, puts: &[Puts], limits: &mut Limits<'_>) -> Result<(), ArrowError> {
        let reserve = if self.emission == Emission::Final { MARK_BYTES } else { 0 };
        for put in puts {
            let large = limits.too_large(self.store, (&put.1, &put.2), reserve);
            if large.is_empty() && limits.doubtful_bytes().is_none_or(|bytes| longest(&put.2) <= bytes) {
                continue;
            }
            // Groups without rows are among them if they are due.
            let keys = self.key.encode(&self.group_columns(chunk), chunk.len())?;
            let keys: BTreeSet<&[u8]> = keys.iter().flatten().collect();
            let mut large = large.into_iter().filter(|(row, _)| keys.contains(put.1.value(*row)));
            if let Some((row, why)) = large.find(|(row, _)| chunk.len() > 1 || !self.is_emitted(put.2.value(*row))) {
                return Err(self.refused(put, row, &why));
            }
            if let Some(bytes) = limits.doubtful_bytes() {
                self.check_results(&keys, put, bytes, limits)?;
            }
        }
        Ok(())
    }

    /// Fails if the result of a group whose value has more than so many bytes is too large for the sink.
    fn check_results(
        &self,
        keys: &BTreeSet<&[u8]>,
        put: &Puts,
        bytes: usize,
        limits: &mut Limits<'_>,
    ) -> Result<(), ArrowError> {
        let Some(onward) = &mut limits.onward else { return Ok(()) };
        let (_, groups, values) = put;
        for row in (0..groups.len()).filter(|row| values.is_valid(*row) && values.value(*row).len() > bytes) {
            if keys.contains(groups.value(row))
                && let Some(why) = onward.too_large(&self.result_of(put, row, bytes)?)?
            {
                return Err(self.refused(put, row, &why));
            }
        }
        Ok(())
    }

    /// The rows that show the value of one group; of sessions, only those with more than so many bytes.
    fn result_of(&self, (window, keys, values): &Puts, row: usize, bytes: usize) -> Result<Chunk, ArrowError> {
        let value = values.value(row);
        let (bounds, states): (Option<Vec<[i64; 2]>>, Vec<&[u8]>) = match self.windows {
            Some(Windows::Session(_)) => {
                let large = list::split(value)?.into_iter().filter(|(_, state)| state.len() > bytes);
                let (bounds, states) = large.unzip();
                (Some(bounds), states)
            }
            _ => (None, vec![value]),
        };
        let rows = states.len();
        let states = States::decode(&self.state, &BinaryArray::from_vec(states))?;
        let key = take(keys, &UInt32Array::from(vec![row as u32; rows]), None)?;
        let bounds = match bounds {
            Some(bounds) => Some([0, 1].map(|bound| bounds.iter().map(|bounds| bounds[bound]).collect())),
            None => self.bounds_of(Int64Array::from(vec![*window; rows])),
        };
        let (groups, results) = (self.key.decode(key.as_binary())?, self.results(&states));
        self.chunk(
            Results { groups, bounds, results, valued: None, before: None },
            states.times_ms,
            states.offsets,
            None,
        )
    }

    /// Whether the only result of a group has been emitted now, which is not done by a row of that group.
    fn is_emitted(&self, value: &[u8]) -> bool {
        let is_final = self.emission == Emission::Final && !matches!(self.windows, Some(Windows::Session(_)));
        let states = is_final.then(|| States::decode(&self.state, &BinaryArray::from_vec(vec![value])));
        let shares = states.and_then(|states| shares(&states.ok()?).ok());
        shares.is_some_and(|shares| shares.iter().flatten().any(|share| share.is_emitted))
    }

    fn refused(&self, (window, keys, _): &Puts, row: usize, why: &str) -> ArrowError {
        let columns = self.key.decode(&keys.slice(row, 1)).unwrap_or_default();
        let value = |column: &ArrayRef| array_value_to_string(column, 0).unwrap_or_default();
        let key: Vec<String> = columns.iter().map(value).map(short).collect();
        let window = match self.windows {
            Some(Windows::Time(_)) => format!(" in the window that starts at {window}"),
            _ => String::new(),
        };
        let group = format!("group {}{window}", key.join(", "));
        ArrowError::ComputeError(format!("with it, {group} would be too large: {why}"))
    }
}

/// The text of a key, cut off if it is long.
fn short(key: String) -> String {
    match key.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key,
    }
}
