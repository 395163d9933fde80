//! Groups that become too large for a record: the changelog, or the sink, would refuse them, and with them the whole commit, again
//! and again. Rows that would make a group too large are pushed one by one, since the push fails, and such a row is rejected: its
//! group keeps its value, and others are not affected. Of a table, the rows before and after a change are pushed one by one as well
//! (`apart`).

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

use super::contributors::shares;
use super::emission::Results;
use super::{Aggregate, Emission, Incoming, Windows, list};
use crate::chunk::Chunk;
use crate::limits::{Limits, longest};
use crate::operators::encoding::States;
use crate::size::{PIECE_BYTES_MAX, piece};

/// Bytes by which a group may grow when its result is emitted.
const MARK_BYTES: usize = 16;

/// Most characters of a key that are reported.
const KEY_CHARS_MAX: usize = 100;

/// A window, its groups and their new values.
type Puts = (i64, BinaryArray, BinaryArray);

impl Aggregate {
    /// Fails if the group of a row would become too large for the changelog or the sink.
    pub(super) fn check_size(
        &self,
        incoming: Incoming<'_>,
        puts: &[Puts],
        limits: &mut Limits<'_>,
    ) -> Result<(), ArrowError> {
        let chunk = incoming.chunk;
        let is_undone = chunk.len() == 1 && incoming.undone.is_some();
        let reserve = if self.emission == Emission::Final { MARK_BYTES } else { 0 };
        let doubtful = limits.doubtful_bytes();
        for put in puts {
            let large = limits.too_large(self.store, (&put.1, &put.2), reserve);
            let is_doubtful = doubtful.is_some_and(|bytes| longest(&put.1) + longest(&put.2) > bytes);
            if large.is_empty() && !is_doubtful {
                continue;
            }
            // Groups without rows are among them if they are due.
            let keys = self.key.encode(&self.group_columns(chunk), chunk.len())?;
            let keys: BTreeSet<&[u8]> = keys.iter().flatten().collect();
            let mut large = large.into_iter().filter(|(row, _)| keys.contains(put.1.value(*row)));
            if let Some((row, why)) = large.find(|(row, _)| chunk.len() > 1 || !self.is_emitted(put.2.value(*row))) {
                return Err(self.refused(put, row, (is_undone, &why)));
            }
            if let Some(bytes) = doubtful
                && let Some((row, why)) = self.large_result(&keys, put, bytes, limits)?
            {
                return Err(self.refused(put, row, (is_undone, &why)));
            }
        }
        Ok(())
    }

    /// A group that has more than so many bytes, with its key, and whose result is too large for the sink, with the reason.
    fn large_result(
        &self,
        keys: &BTreeSet<&[u8]>,
        put: &Puts,
        bytes: usize,
        limits: &mut Limits<'_>,
    ) -> Result<Option<(usize, String)>, ArrowError> {
        let Some(onward) = &mut limits.onward else { return Ok(None) };
        let (_, groups, values) = put;
        let is_doubtful = |row: &usize| {
            let size = groups.value(*row).len() + values.value(*row).len();
            values.is_valid(*row) && size > bytes && keys.contains(groups.value(*row))
        };
        let rows: Vec<usize> = (0..groups.len()).filter(is_doubtful).collect();
        let mut left = &rows[..];
        while !left.is_empty() {
            // A single row changes two groups at most. Of several, which are pushed in halves, it does not matter which is too large.
            let most = if rows.len() <= 2 { 0 } else { PIECE_BYTES_MAX };
            let (some, others) = left.split_at(piece(left.iter().map(|row| values.value(*row).len()), most));
            if let Some(why) = onward.too_large(&self.results_of(put, some, bytes)?)? {
                return Ok(Some((some[0], why)));
            }
            left = others;
        }
        Ok(None)
    }

    /// The rows that show the values of some groups; of sessions, only those with more than so many bytes, with their keys.
    fn results_of(&self, (window, keys, values): &Puts, groups: &[usize], bytes: usize) -> Result<Chunk, ArrowError> {
        let (mut rows, mut states, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in groups {
            let value = values.value(*row);
            let shown = match self.windows {
                Some(Windows::Session(_)) => list::split(value)?,
                _ => vec![([*window; 2], value)],
            };
            let least = bytes.saturating_sub(keys.value(*row).len());
            for ([start, end], state) in shown.into_iter().filter(|(_, state)| state.len() > least) {
                rows.push(*row as u32);
                states.push(state);
                starts.push(start);
                ends.push(end);
            }
        }
        let states = States::decode(&self.state, &BinaryArray::from_vec(states))?;
        let key = take(keys, &UInt32Array::from(rows), None)?;
        let bounds = match self.windows {
            Some(Windows::Session(_)) => Some([starts.into(), ends.into()]),
            _ => self.bounds_of(starts.into()),
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

    fn refused(&self, (window, keys, _): &Puts, row: usize, (is_undone, why): (bool, &str)) -> ArrowError {
        let columns = self.key.decode(&keys.slice(row, 1)).unwrap_or_default();
        let value = |column: &ArrayRef| array_value_to_string(column, 0).unwrap_or_default();
        let key: Vec<String> = columns.iter().map(value).map(short).collect();
        let window = match self.windows {
            Some(Windows::Time(_)) => format!(" in the window that starts at {window}"),
            _ => String::new(),
        };
        let group = format!("group {}{window}", key.join(", "));
        let with = if is_undone { "without it" } else { "with it" };
        ArrowError::ComputeError(format!("{with}, {group} would be too large: {why}"))
    }
}

/// The text of a key, cut off if it is long.
fn short(key: String) -> String {
    match key.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key,
    }
}
