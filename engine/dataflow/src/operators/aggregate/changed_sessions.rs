//! What changes of sessions look like: one that was replaced is deleted, before the one that replaced it comes out.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{nullif, take};
use arrow::error::ArrowError;
use headwater_state::{Changes, Store};

use super::emission::{Previous, Results};
use super::folding::Folded;
use super::sessions::Added;
use super::{Aggregate, list};
use crate::operator::Emitted;
use crate::operators::encoding::States;

/// A change of a session that is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The entry that made the change.
    pub entry: usize,
    /// The bounds of the session.
    pub bounds: [i64; 2],
    /// The place of its results after the change; `None` if it was replaced.
    pub now: Option<u32>,
    /// The place of its results before the change; `None` if it was new.
    pub before: Option<u32>,
}

/// The place of each session's latest results: those of stored sessions come first, then those after each entry.
pub(super) struct Replaced {
    latest: Vec<u32>,
    stored: usize,
    entries: usize,
}

impl Replaced {
    /// No entry so far, and some stored sessions.
    pub(super) fn new(stored: usize) -> Self {
        Self { latest: (0..stored as u32).collect(), stored, entries: 0 }
    }

    /// The changes that the next entry makes: a session whose bounds change is replaced.
    pub(super) fn changes(&mut self, Added { session, replaced }: &Added, bounds: [i64; 2]) -> Vec<Change> {
        let (entry, mut before) = (self.entries, None);
        let mut changes = Vec::with_capacity(replaced.len() + 1);
        for (session, former) in replaced {
            let latest = Some(self.latest[*session]);
            match *former == bounds {
                true => before = latest,
                false => changes.push(Change { entry, bounds: *former, now: None, before: latest }),
            }
        }
        let now = (self.stored + entry) as u32;
        changes.push(Change { entry, bounds, now: Some(now), before });
        self.latest.resize(self.latest.len().max(session + 1), now);
        self.latest[*session] = now;
        self.entries += 1;
        changes
    }
}

/// The rows for some changes, with their times. `groups` has a row for each; `folded` has the results at all places.
pub(super) fn emitted_changes(
    groups: Vec<ArrayRef>,
    changes: &[Change],
    folded: &Folded,
    gives_before: bool,
) -> Result<(Results, Int64Array), ArrowError> {
    let places = |place: fn(&Change) -> Option<u32>| changes.iter().map(place).collect::<UInt32Array>();
    let [now, before, either] =
        [places(|change| change.now), places(|change| change.before), places(|change| change.now.or(change.before))];
    let at = |places: &UInt32Array| {
        folded.running.iter().map(|column| take(column, places, None)).collect::<Result<Vec<_>, _>>()
    };
    let valued = |places: &UInt32Array| places.nulls().cloned();
    let before = gives_before.then(|| Ok::<_, ArrowError>(Previous { results: at(&before)?, valued: valued(&before) }));
    let times_ms = take(&folded.times_ms, &either, None)?.as_primitive().clone();
    let bounds = [0, 1].map(|bound| changes.iter().map(|change| change.bounds[bound]).collect());
    let (results, valued) = (at(&now)?, valued(&now));
    Ok((Results { groups, bounds: Some(bounds), results, valued, before: before.transpose()? }, times_ms))
}

/// A session that differs between two commits.
#[derive(Clone, Copy)]
struct Difference<'a> {
    /// The row of its key among the changes.
    key: u32,
    bounds: [i64; 2],
    /// Its state; `None` if it was replaced.
    now: Option<&'a [u8]>,
    /// Its state at the last commit; `None` if it is new.
    before: Option<&'a [u8]>,
    /// The state of the session that it is part of now.
    whole: &'a [u8],
}

impl Aggregate {
    /// The sessions that have changed since the last barrier, ordered by the offset of the record that changed them last. What
    /// was replaced by another session comes before that.
    pub(super) fn changed_sessions(&self, store: &dyn Store) -> Result<Emitted, ArrowError> {
        let changes = store.changes()?;
        let differences = differences(&changes)?;
        if differences.is_empty() {
            return Ok(Emitted::Nothing);
        }
        let whole =
            States::decode(&self.state, &BinaryArray::from_iter_values(differences.iter().map(|one| one.whole)))?;
        let now = States::decode(&self.state, &BinaryArray::from_iter(differences.iter().map(|one| one.now)))?;
        let before = States::decode(&self.state, &BinaryArray::from_iter(differences.iter().map(|one| one.before)))?;
        let is_now: BooleanArray = differences.iter().map(|one| Some(one.now.is_some())).collect();
        let gone = |column: ArrayRef| nullif(&column, &arrow::compute::not(&is_now)?);
        let results = self.results(&now).into_iter().map(gone).collect::<Result<_, _>>()?;
        let previous = self.gives_before.then(|| {
            let had: Vec<bool> = differences.iter().map(|one| one.before.is_some()).collect();
            Previous { results: self.results(&before), valued: Some(NullBuffer::from(had)) }
        });
        let times_ms = now.times_ms.iter().zip(&before.times_ms).map(|(now, before)| now.or(before)).collect();
        let keys = differences.iter().map(|one| Some(one.key)).collect::<UInt32Array>();
        let groups = self.key.decode(take(&changes.keys, &keys, None)?.as_binary())?;
        let bounds = [0, 1].map(|bound| differences.iter().map(|one| one.bounds[bound]).collect());
        let valued = Some(NullBuffer::new(is_now.values().clone()));
        let results = Results { groups, bounds: Some(bounds), results, valued, before: previous };
        let mut order: Vec<u32> = (0..differences.len() as u32).collect();
        order.sort_by_key(|row| whole.offsets.value(*row as usize));
        let origins = whole.origins();
        let changed = self.chunk(results, times_ms, whole.offsets, origins)?;
        changed.take(&UInt32Array::from(order)).map(Emitted::from)
    }
}

/// The sessions that differ, by key. Those that a session replaced come before it.
fn differences(changes: &Changes) -> Result<Vec<Difference<'_>>, ArrowError> {
    let mut differences = Vec::new();
    for (row, key) in (0..changes.keys.len()).zip(0_u32..) {
        let (now, before) = (value(&changes.values, row), value(&changes.before, row));
        let mut former: BTreeMap<[i64; 2], &[u8]> = list::split(before)?.into_iter().collect();
        let now: BTreeMap<[i64; 2], &[u8]> = list::split(now)?.into_iter().collect();
        let same: Vec<[i64; 2]> = now.keys().copied().filter(|bounds| former.contains_key(bounds)).collect();
        let before: BTreeMap<[i64; 2], &[u8]> = same.iter().filter_map(|bounds| former.remove_entry(bounds)).collect();
        for (bounds, state) in now {
            let [start, end] = bounds;
            let part = |of: &[i64; 2]| start <= of[0] && of[1] <= end;
            let replaced: Vec<[i64; 2]> = former.keys().copied().filter(part).collect();
            let gone = replaced.iter().filter_map(|bounds| former.remove_entry(bounds));
            let gone =
                gone.map(|(bounds, former)| Difference { key, bounds, now: None, before: Some(former), whole: state });
            differences.extend(gone.collect::<Vec<_>>());
            let before = before.get(&bounds).copied();
            if before != Some(state) {
                differences.push(Difference { key, bounds, now: Some(state), before, whole: state });
            }
        }
    }
    Ok(differences)
}

/// A value of a column; empty if it is null.
fn value(values: &BinaryArray, row: usize) -> &[u8] {
    if values.is_valid(row) { values.value(row) } else { &[] }
}
