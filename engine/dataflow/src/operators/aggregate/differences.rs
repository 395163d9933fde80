//! What the groups of a table have differently from the table. A row that a call rejects, or with which its group would be too large,
//! is in the table but not in its group; a row that cannot be taken out is in its group but no longer in the table. So a row that
//! leaves the table is never taken out of a group that does not have it.
//!
//! For each group and each arguments of its calls, the store has a count beside the groups: the rows of the table less those in the
//! group. Rows with equal arguments are equal for all calls that can undo, so that nothing else needs to be known of them. A row
//! that leaves the table while its group lacks such rows only decreases the count, and one that arrives while its group has too many
//! only increases it. Rows of which a group has too many are kept with their arguments, to be taken out as soon as that is possible.

use std::collections::BTreeMap;

use arrow::array::BinaryArray;
use arrow::error::ArrowError;
use headwater_state::Store;
use sha2::{Digest as _, Sha256};

/// The window of the store that has the differences, by the digests of their rows.
pub const DIFFERENCES: i64 = i64::MIN + 2;

/// What identifies a group and the arguments of a row. It is short, however long they are.
pub type Digest = [u8; 16];

/// The bytes of a count.
const COUNT_BYTES: usize = size_of::<i64>();

/// Extra rows by the keys of their groups, with their encoded arguments.
type Extras = BTreeMap<Box<[u8]>, BTreeMap<Digest, Box<[u8]>>>;

/// A row as far as its group depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The key of its group.
    pub group: &'a [u8],
    /// Its encoded arguments.
    pub args: &'a [u8],
}

impl Row<'_> {
    /// Its digest.
    pub fn digest(self) -> Digest {
        let mut hash = Sha256::new();
        hash.update((self.group.len() as u64).to_be_bytes());
        hash.update(self.group);
        hash.update(self.args);
        *hash.finalize().first_chunk().expect("it has 32 bytes")
    }
}

/// What is known of all differences in a store.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The number of different rows that groups lack.
    lacking: usize,
    /// The number of different rows that groups have too many of.
    extra: usize,
    /// Those of them that are kept with their arguments.
    extras: Extras,
}

impl Known {
    /// Reads what is known from a store. Fails if a difference is damaged.
    pub fn read(store: &dyn Store) -> Result<Self, ArrowError> {
        let (mut known, mut is_damaged) = (Self::default(), false);
        store.visit(DIFFERENCES, &mut |key, value| match key.try_into().ok().zip(from_bytes(value)) {
            Some((digest, (count, row))) => known.set(digest, 0, count, row),
            None => is_damaged = true,
        });
        let damaged =
            || ArrowError::ComputeError("the differences between a table and its groups are damaged".to_owned());
        if is_damaged { Err(damaged()) } else { Ok(known) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lacking + self.extra == 0
    }

    /// Whether there may be a difference that a row makes smaller, which is taken out or added.
    pub fn concerns(&self, is_undone: bool) -> bool {
        if is_undone { self.lacking > 0 } else { self.extra > 0 }
    }

    /// The extra rows of a group that can be taken out.
    pub fn extras_of(&self, group: &[u8]) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.extras.get(group).into_iter().flatten().map(|(digest, args)| (digest, &**args))
    }

    /// Whether a group has extra rows that can be taken out.
    pub fn has_extras(&self, group: &[u8]) -> bool {
        !self.extras.is_empty() && self.extras.contains_key(group)
    }

    /// Changes a count. An extra row can be taken out if it is there.
    fn set(&mut self, digest: Digest, before: i64, count: i64, row: Option<Row<'_>>) {
        self.lacking = self.lacking + usize::from(count > 0) - usize::from(before > 0);
        self.extra = self.extra + usize::from(count < 0) - usize::from(before < 0);
        let Some(Row { group, args }) = row else { return };
        if count < 0 {
            self.extras.entry(group.into()).or_default().insert(digest, args.into());
        } else if let Some(extras) = self.extras.get_mut(group) {
            extras.remove(&digest);
            if extras.is_empty() {
                self.extras.remove(group);
            }
        }
    }
}

/// A count that a batch changes.
#[derive(Clone, Debug)]
struct Changed {
    /// The count in the store.
    before: i64,
    count: i64,
    group: Box<[u8]>,
    args: Box<[u8]>,
}

/// Counts that a batch changes.
#[derive(Clone, Debug, Default)]
pub struct Changes(BTreeMap<Digest, Changed>);

impl Changes {
    /// Puts them into the store, whose records have `bytes_max` bytes at most, and remembers them.
    pub fn save(self, known: &mut Known, bytes_max: Option<usize>, store: &mut dyn Store) {
        let changed: Vec<(Digest, Changed)> =
            self.0.into_iter().filter(|(_, changed)| changed.count != changed.before).collect();
        if changed.is_empty() {
            return;
        }
        let mut values = Vec::with_capacity(changed.len());
        for (digest, Changed { before, count, group, args }) in &changed {
            let row = Row { group, args };
            let bytes = to_bytes(*count, row);
            let fits = bytes_max.is_none_or(|most| digest.len() + bytes.len() <= most);
            known.set(*digest, *before, *count, (*count >= 0 || fits).then_some(row));
            let kept = if fits { bytes.len() } else { COUNT_BYTES };
            values.push((*count != 0).then(|| bytes[..kept].to_vec()));
        }
        let keys = BinaryArray::from_iter_values(changed.iter().map(|(digest, _)| digest));
        store.put(DIFFERENCES, &keys, &BinaryArray::from_iter(values));
    }
}

/// The counts of some rows, as a batch changes them.
#[derive(Debug, Default)]
pub struct Counts {
    stored: BTreeMap<Digest, i64>,
    changes: Changes,
    /// The extra rows of groups that are folded row by row.
    extras: Extras,
}

impl Counts {
    /// Reads the counts of some rows.
    pub fn read(digests: impl Iterator<Item = Digest>, store: &dyn Store) -> Result<Self, ArrowError> {
        let mut digests: Vec<Digest> = digests.collect();
        digests.sort_unstable();
        digests.dedup();
        let mut stored = BTreeMap::new();
        if !digests.is_empty() {
            let values = store.get(DIFFERENCES, &BinaryArray::from_iter_values(&digests))?;
            let damaged = || ArrowError::ComputeError("a count of rows is damaged".to_owned());
            for (digest, value) in digests.into_iter().zip(&values) {
                if let Some(value) = value {
                    stored.insert(digest, from_bytes(value).ok_or_else(damaged)?.0);
                }
            }
        }
        Ok(Self { stored, ..Self::default() })
    }

    /// Has the extra rows of a group be known, which is folded row by row.
    pub fn follow(&mut self, group: &[u8], known: &Known) {
        let extras = known.extras_of(group).map(|(digest, args)| (*digest, args.into()));
        self.extras.insert(group.into(), extras.collect());
    }

    /// The first extra rows of a group, at most so many.
    pub fn extras_of(&self, group: &[u8], most: usize) -> Vec<(Digest, Box<[u8]>)> {
        let extras = self.extras.get(group).into_iter().flatten().take(most);
        extras.map(|(digest, args)| (*digest, args.clone())).collect()
    }

    /// Whether a row that is taken out or added only makes a difference smaller: then its group stays as it is.
    pub fn settle(&mut self, digest: Digest, row: Row<'_>, is_undone: bool) -> bool {
        let count = self.count(digest);
        let is_settled = if is_undone { count > 0 } else { count < 0 };
        if is_settled {
            self.change(digest, row, if is_undone { -1 } else { 1 });
        }
        is_settled
    }

    /// A row could not be taken out or added.
    pub fn leave(&mut self, digest: Digest, row: Row<'_>, is_undone: bool) {
        self.change(digest, row, if is_undone { -1 } else { 1 });
    }

    /// An extra row was taken out of its group.
    pub fn take_out(&mut self, digest: Digest, row: Row<'_>) {
        self.change(digest, row, 1);
    }

    /// The counts that have changed.
    pub fn changes(self) -> Changes {
        self.changes
    }

    fn count(&self, digest: Digest) -> i64 {
        let stored = || self.stored.get(&digest).copied().unwrap_or(0);
        self.changes.0.get(&digest).map_or_else(stored, |changed| changed.count)
    }

    fn change(&mut self, digest: Digest, row: Row<'_>, by: i64) {
        let before = self.stored.get(&digest).copied().unwrap_or(0);
        let new = || Changed { before, count: before, group: row.group.into(), args: row.args.into() };
        let changed = self.changes.0.entry(digest).or_insert_with(new);
        changed.count = changed.count.saturating_add(by);
        let count = changed.count;
        if let Some(extras) = self.extras.get_mut(row.group) {
            match count < 0 {
                true => drop(extras.insert(digest, row.args.into())),
                false => drop(extras.remove(&digest)),
            }
        }
    }
}

/// The value of a count: 8 bytes and, if a group has too many of its row, the length of the group's key as 4 bytes, that key, and the
/// arguments.
fn to_bytes(count: i64, Row { group, args }: Row<'_>) -> Vec<u8> {
    let mut bytes = count.to_be_bytes().to_vec();
    if let Ok(length) = u32::try_from(group.len())
        && count < 0
    {
        bytes.extend(length.to_be_bytes());
        bytes.extend(group);
        bytes.extend(args);
    }
    bytes
}

/// Reads what [`to_bytes`] returned, or only the count; `None` if the bytes are damaged.
fn from_bytes(bytes: &[u8]) -> Option<(i64, Option<Row<'_>>)> {
    let (count, rest) = bytes.split_first_chunk::<COUNT_BYTES>()?;
    let count = i64::from_be_bytes(*count);
    if rest.is_empty() {
        return Some((count, None));
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (group, args) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((count, Some(Row { group, args })))
}

#[cfg(test)]
mod tests {
    use headwater_state::MemoryStore;

    use super::*;

    const ROW: Row<'static> = Row { group: b"a", args: b"some arguments" };

    /// Leaves a row out of its group, or in it.
    fn leave(store: &mut dyn Store, bytes_max: Option<usize>, is_undone: bool) -> Known {
        let (mut known, digest) = (Known::read(store).expect("it is not damaged"), ROW.digest());
        let mut counts = Counts::read([digest].into_iter(), store).expect("it is not damaged");
        if !counts.settle(digest, ROW, is_undone) {
            counts.leave(digest, ROW, is_undone);
        }
        counts.changes().save(&mut known, bytes_max, store);
        known
    }

    /// Goal: what is known is what is in the store, and an extra row that is too large for a record counts without its arguments.
    /// Method: a row is left twice, with a limit and without, and settled twice.
    #[test]
    fn what_is_known_is_in_the_store() {
        for (bytes_max, is_undone) in [(None, true), (Some(40), true), (Some(40), false)] {
            let mut store = MemoryStore::default();
            for count in [1, 2] {
                let known = leave(&mut store, bytes_max, is_undone);
                let read = Known::read(&store).expect("it is not damaged");
                assert_eq!(format!("{known:?}"), format!("{read:?}"), "{count}");
                assert!(!known.is_empty() && known.concerns(!is_undone) != known.concerns(is_undone));
                assert_eq!(known.concerns(true), !is_undone, "a row that leaves settles that its group lacks one");
                assert_eq!(known.has_extras(b"a"), is_undone && bytes_max.is_none());
            }
            leave(&mut store, bytes_max, !is_undone);
            assert!(!Known::read(&store).expect("it is not damaged").is_empty());
            let known = leave(&mut store, bytes_max, !is_undone);
            assert!(known.is_empty() && !known.has_extras(b"a") && store.is_empty());
        }
    }

    #[test]
    fn damaged_differences_are_an_error() {
        let digest = ROW.digest();
        let mut store = MemoryStore::default();
        for (key, value) in [(&digest[..], &[0_u8; 7][..]), (&digest[..], &[0; 9]), (&digest[1..], &[0; 8])] {
            let (keys, values) = (BinaryArray::from_vec(vec![key]), BinaryArray::from_vec(vec![value]));
            store.put(DIFFERENCES, &keys, &values);
            assert!(Known::read(&store).is_err());
            store.remove_window(DIFFERENCES);
        }
        assert_ne!(Row { group: b"ab", args: b"c" }.digest(), Row { group: b"a", args: b"bc" }.digest());
    }
}
