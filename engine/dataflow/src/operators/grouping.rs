//! Groups the rows of a batch by window and key. Groups are numbered from 0.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use arrow::array::{BinaryArray, UInt32Array};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The groups in a batch.
#[derive(Debug)]
pub struct Groups {
    /// The number of each row's group. Groups of a window have consecutive numbers, in the order of their first rows.
    pub numbers: Vec<u32>,
    /// The first row of each group.
    pub firsts: Vec<u32>,
    /// The starts of the windows in ascending order, each with the numbers of its groups.
    pub windows: Vec<(i64, Range<usize>)>,
}

impl Groups {
    /// Where each row's group is as it was before that row, among the groups as they were before the batch, followed by the rows
    /// of the batch.
    pub fn previous(&self) -> UInt32Array {
        let count = self.firsts.len() as u32;
        let mut last: Vec<u32> = (0..count).collect();
        let previous = |(row, number): (u32, &u32)| std::mem::replace(&mut last[*number as usize], count + row);
        (0..).zip(&self.numbers).map(previous).collect::<Vec<_>>().into()
    }

    /// The last row of each group.
    pub fn lasts(&self) -> UInt32Array {
        let mut lasts = self.firsts.clone();
        (0..).zip(&self.numbers).for_each(|(row, number)| lasts[*number as usize] = row);
        lasts.into()
    }
}

/// Groups rows by window and key. Each row's key is hashed once.
pub fn group(keys: &BinaryArray, starts: &[i64]) -> Groups {
    let (mut numbers, mut firsts, mut hashes) = (Vec::with_capacity(starts.len()), Vec::new(), Vec::new());
    let mut index = HashTable::<u32>::new();
    for ((row, at), start) in (0..starts.len()).zip(0_u32..).zip(starts) {
        let (hash, key) = (hash(*start, keys.value(row)), keys.value(row));
        let same = |group: &u32| {
            let first: u32 = firsts[*group as usize];
            starts[first as usize] == *start && keys.value(first as usize) == key
        };
        let number = index.find(hash, same).copied().unwrap_or_else(|| {
            let number = firsts.len() as u32;
            firsts.push(at);
            hashes.push(hash);
            index.insert_unique(hash, number, |group| hashes[*group as usize]);
            number
        });
        numbers.push(number);
    }
    by_window(numbers, firsts, starts)
}

fn hash(start: i64, key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(1).build_hasher();
    hasher.write_i64(start);
    hasher.write(key);
    hasher.finish()
}

/// Renumbers the groups, so that those of a window have consecutive numbers.
fn by_window(mut numbers: Vec<u32>, mut firsts: Vec<u32>, starts: &[i64]) -> Groups {
    let start = |first: &u32| starts[*first as usize];
    if !firsts.is_sorted_by_key(start) {
        let mut order: Vec<u32> = (0..firsts.len() as u32).collect();
        order.sort_by_key(|group| start(&firsts[*group as usize]));
        let mut places = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(group, place)| places[*group as usize] = place);
        numbers.iter_mut().for_each(|number| *number = places[*number as usize]);
        firsts = order.iter().map(|group| firsts[*group as usize]).collect();
    }
    let mut windows: Vec<(i64, Range<usize>)> = Vec::new();
    for run in firsts.chunk_by(|one, next| start(one) == start(next)) {
        let from = windows.last().map_or(0, |(_, groups)| groups.end);
        windows.push((start(&run[0]), from..from + run.len()));
    }
    Groups { numbers, firsts, windows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_window_are_consecutive() {
        let keys = BinaryArray::from_vec(vec![b"a", b"b", b"a", b"a", b"c", b"b"]);
        let groups = group(&keys, &[10, 0, 10, 0, 20, 0]);
        assert_eq!(groups.numbers, [2, 0, 2, 1, 3, 0]);
        assert_eq!(groups.firsts, [1, 3, 0, 4]);
        assert_eq!(groups.windows, [(0, 0..2), (10, 2..3), (20, 3..4)]);
        assert_eq!(groups.previous(), UInt32Array::from(vec![2, 0, 4, 1, 3, 5]));
        assert_eq!(groups.lasts(), UInt32Array::from(vec![5, 3, 2, 4]));
        let groups = group(&keys, &[0; 6]);
        assert_eq!(groups.numbers, [0, 1, 0, 0, 2, 1]);
        assert_eq!(groups.windows, [(0, 0..3)]);
    }
}
