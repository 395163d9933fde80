//! The rows of an input in its store. The rows of a key in one bucket form a list; each row is an entry of its own, so that a
//! list has no limit and a new row costs the same however long its list is.
//!
//! ```text
//! window   the bucket of the row's time
//! key      key, place of the row in its list (4 bytes, the most significant first)
//! value    header, the other columns in COMPACT
//! header   VERSION, whether the row was matched, rows of the list (0 except in its first row), time, number, partition
//! ```

use std::ops::Range;

use arrow::array::{Array, BinaryArray, BinaryBuilder};
use arrow::error::ArrowError;
use headwater_state::Store;

use crate::operators::grouping::Groups;

/// The first byte of a header.
const VERSION: u8 = 2;

/// The length of a header.
const HEADER_BYTES: usize = 2 + 4 + 8 + 8 + 4;

/// The bytes before the columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the row was matched.
    pub is_matched: bool,
    /// The number of rows in the list, in its first row; 0 in the others.
    pub rows: u32,
    /// The event time, in ms since the epoch.
    pub time_ms: i64,
    /// The number of the row among all rows of the join, in the order in which they arrived.
    pub number: u64,
    /// The number of the partition of its source.
    pub partition: i32,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        (bytes[0], bytes[1]) = (VERSION, u8::from(self.is_matched));
        bytes[2..6].copy_from_slice(&self.rows.to_be_bytes());
        bytes[6..14].copy_from_slice(&self.time_ms.to_be_bytes());
        bytes[14..22].copy_from_slice(&self.number.to_be_bytes());
        bytes[22..].copy_from_slice(&self.partition.to_be_bytes());
        bytes
    }

    /// Reads the header of a value. Returns the rest, too.
    pub fn read(value: &[u8]) -> Result<(Self, &[u8]), ArrowError> {
        Self::split(value).ok_or_else(damaged)
    }

    fn split(value: &[u8]) -> Option<(Self, &[u8])> {
        let ([VERSION, is_matched @ (0 | 1)], rest) = value.split_first_chunk()? else { return None };
        let (rows, rest) = rest.split_first_chunk()?;
        let (time_ms, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (partition, rest) = rest.split_first_chunk()?;
        let (rows, time_ms) = (u32::from_be_bytes(*rows), i64::from_be_bytes(*time_ms));
        let (number, partition) = (u64::from_be_bytes(*number), i32::from_be_bytes(*partition));
        Some((Self { is_matched: *is_matched == 1, rows, time_ms, number, partition }, rest))
    }
}

fn damaged() -> ArrowError {
    ArrowError::ParseError("a row in the state of a join is damaged".to_owned())
}

/// The key of a row and its place in its list, from the key of its entry.
pub fn split_key(entry: &[u8]) -> Result<(&[u8], u32), ArrowError> {
    entry.split_last_chunk().map(|(key, place)| (key, u32::from_be_bytes(*place))).ok_or_else(damaged)
}

/// Keys of entries, from the keys and the places of their rows.
pub fn entry_keys<'a>(rows: impl Iterator<Item = (&'a [u8], u32)>) -> BinaryArray {
    let mut keys = BinaryBuilder::new();
    let mut entry = Vec::new();
    for (key, place) in rows {
        entry.clear();
        entry.extend_from_slice(key);
        entry.extend_from_slice(&place.to_be_bytes());
        keys.append_value(&entry);
    }
    keys.finish()
}

/// A row in the store.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its header.
    pub header: Header,
    /// The number of its list among those that were read.
    pub list: u32,
    /// Its place in the list.
    pub place: u32,
    /// Where its value is: the array, and the row in it.
    value: (u32, u32),
}

impl Kept {
    fn read(bytes: &[u8], list: u32, place: u32, value: (u32, u32)) -> Result<Self, ArrowError> {
        Header::read(bytes).map(|(header, _)| Self { header, list, place, value })
    }
}

/// Lists that were read from a store.
#[derive(Debug, Default)]
pub struct Lists {
    /// The rows of each list in the order of their times, list after list.
    pub rows: Vec<Kept>,
    /// The rows of each list.
    ranges: Vec<Range<usize>>,
    values: Vec<BinaryArray>,
}

impl Lists {
    /// Reads the lists of groups, each of which is a key in a bucket. `keys` has the key of each group.
    pub fn read(store: &dyn Store, groups: &Groups, keys: &BinaryArray) -> Result<Self, ArrowError> {
        let mut lists = Self::default();
        for (bucket, range) in &groups.windows {
            let array = lists.values.len() as u32;
            let values = store.get(*bucket, &entry_keys(range.clone().map(|group| (keys.value(group), 0))))?;
            let known = range.clone().zip(0_u32..).filter(|(_, row)| values.is_valid(*row as usize));
            let first =
                |(list, row): (usize, u32)| Kept::read(values.value(row as usize), list as u32, 0, (array, row));
            let firsts = known.map(first).collect::<Result<Vec<_>, _>>()?;
            let places = |first: &Kept| {
                let (key, rows) = (keys.value(first.list as usize), first.header.rows);
                (1..rows).map(move |place| (key, place))
            };
            let others = entry_keys(firsts.iter().flat_map(places));
            let others = if others.is_empty() { others } else { store.get(*bucket, &others)? };
            lists.add(range, &firsts, (&others, array + 1))?;
            lists.values.extend([values, others]);
        }
        Ok(lists)
    }

    /// Adds the lists of some groups of a bucket, from their first rows and, in one array with its index, all others.
    fn add(
        &mut self,
        groups: &Range<usize>,
        firsts: &[Kept],
        (others, array): (&BinaryArray, u32),
    ) -> Result<(), ArrowError> {
        let (mut firsts, mut row) = (firsts.iter().peekable(), 0);
        for group in groups.clone() {
            let start = self.rows.len();
            if let Some(first) = firsts.next_if(|first| first.list as usize == group) {
                self.rows.push(*first);
                for place in 1..first.header.rows {
                    let value = others.is_valid(row).then(|| others.value(row)).ok_or_else(damaged)?;
                    self.rows.push(Kept::read(value, first.list, place, (array, row as u32))?);
                    row += 1;
                }
            }
            self.rows[start..].sort_unstable_by_key(|kept| (kept.header.time_ms, kept.header.number));
            self.ranges.push(start..self.rows.len());
        }
        Ok(())
    }

    /// The numbers of the rows of a list whose times are between two times, both included.
    pub fn between(&self, list: u32, [from_ms, to_ms]: [i64; 2]) -> Range<usize> {
        let range = self.ranges[list as usize].clone();
        let rows = &self.rows[range.clone()];
        let start = range.start + rows.partition_point(|kept| kept.header.time_ms < from_ms);
        let end = range.start + rows.partition_point(|kept| kept.header.time_ms <= to_ms);
        start..end.max(start)
    }

    /// The bytes of the columns of a row.
    pub fn payload(&self, row: usize) -> &[u8] {
        &self.value(row)[HEADER_BYTES..]
    }

    fn value(&self, row: usize) -> &[u8] {
        let (array, at) = self.rows[row].value;
        self.values[array as usize].value(at as usize)
    }
}

/// New rows, as they are put into a store.
#[derive(Debug)]
pub struct Appended {
    /// The keys and values to be put, by bucket.
    pub puts: Vec<(i64, BinaryArray, BinaryArray)>,
    /// The place of each row in its list.
    pub places: Vec<u32>,
}

impl Appended {
    /// Appends rows to their lists, which are their groups. `keys` has the key of each group, and `rows` the header and the other
    /// columns of each row. Changes nothing.
    pub fn new(
        store: &dyn Store,
        groups: &Groups,
        keys: &BinaryArray,
        rows: &[(Header, &[u8])],
    ) -> Result<Self, ArrowError> {
        let key = |group: usize| keys.value(group);
        let mut by_group: Vec<Vec<u32>> = vec![Vec::new(); keys.len()];
        groups.numbers.iter().zip(0..).for_each(|(group, row)| by_group[*group as usize].push(row));
        let (mut puts, mut places) = (Vec::with_capacity(groups.windows.len()), vec![0; rows.len()]);
        for (bucket, range) in &groups.windows {
            let firsts = store.get(*bucket, &entry_keys(range.clone().map(|group| (key(group), 0))))?;
            let (mut entries, mut added) = (Vec::new(), Vec::new());
            for (group, at) in range.clone().zip(0..) {
                let first = firsts.is_valid(at).then(|| Header::read(firsts.value(at))).transpose()?;
                let known = first.map_or(0, |(header, _)| header.rows);
                let all = known + by_group[group].len() as u32;
                if let Some((header, payload)) = first {
                    entries.push((key(group), 0));
                    added.push((Header { rows: all, ..header }, payload));
                }
                for (row, place) in by_group[group].iter().zip(known..) {
                    let (header, payload) = rows[*row as usize];
                    places[*row as usize] = place;
                    entries.push((key(group), place));
                    added.push((Header { rows: if place == 0 { all } else { 0 }, ..header }, payload));
                }
            }
            puts.push((*bucket, entry_keys(entries.into_iter()), values(added.into_iter())));
        }
        Ok(Self { puts, places })
    }
}

/// The bytes of the columns of rows with these addresses: bucket, key, and place in its list.
pub fn payloads(store: &dyn Store, addresses: &[(i64, &[u8], u32)]) -> Result<BinaryArray, ArrowError> {
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_by_key(|at| addresses[*at].0);
    let (mut found, mut places) = (Vec::new(), vec![(0, 0); addresses.len()]);
    for run in order.chunk_by(|one, next| addresses[*one].0 == addresses[*next].0) {
        let entry = |at: &usize| (addresses[*at].1, addresses[*at].2);
        run.iter().zip(0..).for_each(|(at, row)| places[*at] = (found.len(), row));
        found.push(store.get(addresses[run[0]].0, &entry_keys(run.iter().map(entry)))?);
    }
    let value = |(array, row): (usize, usize)| {
        let values: &BinaryArray = &found[array];
        values.is_valid(row).then(|| values.value(row)).ok_or_else(damaged).and_then(Header::read)
    };
    let rows = places.into_iter().map(|place| value(place).map(|(_, payload)| payload));
    rows.collect::<Result<Vec<_>, _>>().map(BinaryArray::from_vec)
}

/// The values of rows.
pub fn values<'a>(rows: impl Iterator<Item = (Header, &'a [u8])>) -> BinaryArray {
    let mut values = BinaryBuilder::new();
    let mut value = Vec::new();
    for (header, payload) in rows {
        value.clear();
        value.extend_from_slice(&header.to_bytes());
        value.extend_from_slice(payload);
        values.append_value(&value);
    }
    values.finish()
}
