//! The rows of the other input that the rows of a batch can match, read with one pass over the buckets.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow::array::BinaryArray;
use arrow::error::ArrowError;
use headwater_state::Store;

use super::grouped;
use super::kept::{Header, Lists, entry_keys, values};
use super::side::{Side, Within};
use super::walk::Arrival;

/// Lists with the partners of rows, and other rows with the same keys and similar times.
pub struct Candidates {
    /// The lists.
    pub lists: Lists,
    /// The key of each list.
    keys: BinaryArray,
    /// The bucket of each list.
    buckets: Vec<i64>,
    /// The lists of all rows of the batch, row after row.
    numbers: Vec<u32>,
    /// The part of `numbers` of each row; empty if it is late.
    ranges: Vec<Range<usize>>,
}

impl Candidates {
    /// Without rows there are none.
    pub fn none() -> Self {
        let (lists, keys) = (Lists::default(), BinaryArray::new_null(0));
        Self { lists, keys, buckets: Vec::new(), numbers: Vec::new(), ranges: Vec::new() }
    }

    /// Reads the candidates for rows of an input from the store of the other one. `keys` has the key of each row of the batch.
    pub fn read(
        side: &Side,
        within: Within,
        arrivals: &[Arrival],
        keys: &BinaryArray,
        store: &dyn Store,
    ) -> Result<Self, ArrowError> {
        let (mut rows, mut buckets, mut ranges) = (Vec::new(), Vec::new(), Vec::with_capacity(arrivals.len()));
        for arrival in arrivals {
            let start = rows.len();
            let [first, last] = side.partners_ms(arrival.time_ms).map(|time_ms| within.bucket(time_ms));
            if arrival.number.is_some() {
                buckets.push(first);
                // They are two at most, because a bucket is as long as the time in which rows match.
                buckets.extend((last != first).then_some(last));
                rows.resize(buckets.len(), arrival.row);
            }
            ranges.push(start..rows.len());
        }
        let (groups, keys) = grouped(keys, &rows, &buckets)?;
        let lists = Lists::read(store, &groups, &keys)?;
        let bucket = |(bucket, groups): &(i64, Range<usize>)| std::iter::repeat_n(*bucket, groups.len());
        let buckets = groups.windows.iter().flat_map(bucket).collect();
        Ok(Self { lists, keys, buckets, numbers: groups.numbers, ranges })
    }

    /// The lists of each row.
    pub fn of_each_row(&self) -> impl Iterator<Item = &[u32]> {
        self.ranges.iter().map(|range| &self.numbers[range.clone()])
    }

    /// The key of a row in the lists, and the bytes of its other columns.
    pub fn row(&self, row: usize) -> (&[u8], &[u8]) {
        (self.keys.value(self.lists.rows[row].list as usize), self.lists.payload(row))
    }

    /// The keys and values to be put, by bucket, so that some rows are known to be matched.
    pub fn matched(&self, rows: &BTreeSet<usize>) -> impl Iterator<Item = (i64, BinaryArray, BinaryArray)> {
        let bucket = |row: &usize| self.buckets[self.lists.rows[*row].list as usize];
        let rows: Vec<usize> = rows.iter().copied().collect();
        let put = |rows: &[usize]| {
            let entries = rows.iter().map(|row| (self.row(*row).0, self.lists.rows[*row].place));
            let header = |row: usize| Header { is_matched: true, ..self.lists.rows[row].header };
            let values = values(rows.iter().map(|row| (header(*row), self.lists.payload(*row))));
            (bucket(&rows[0]), entry_keys(entries), values)
        };
        rows.chunk_by(|one, next| bucket(one) == bucket(next)).map(put).collect::<Vec<_>>().into_iter()
    }
}
