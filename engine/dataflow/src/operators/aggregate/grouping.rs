//! Groups the rows of a batch by window and key. Groups are numbered from 0.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use arrow::array::BinaryArray;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// A row's window, by its start, and key.
pub type Item<'a> = (i64, &'a [u8]);

/// The groups in a batch.
#[derive(Debug)]
pub struct Groups<'a> {
    /// The number of each row's group. Groups of a window have consecutive numbers, in the order of their first rows.
    pub numbers: Vec<u32>,
    /// The window and key of each group.
    pub items: Vec<Item<'a>>,
    /// The starts of the windows in ascending order, each with the numbers of its groups.
    pub windows: Vec<(i64, Range<usize>)>,
}

impl Groups<'_> {
    /// The keys of the groups.
    pub fn keys(&self) -> BinaryArray {
        BinaryArray::from_iter_values(self.items.iter().map(|(_, key)| key))
    }
}

/// Groups rows by window and key. Each row is hashed once.
pub fn group<'a>(rows: impl IntoIterator<Item = Item<'a>>) -> Groups<'a> {
    let rows = rows.into_iter();
    let (mut numbers, mut items, mut hashes) = (Vec::with_capacity(rows.size_hint().0), Vec::new(), Vec::new());
    let mut index = HashTable::<u32>::new();
    for item in rows {
        let hash = hash(item);
        let number = index.find(hash, |group| items[*group as usize] == item).copied().unwrap_or_else(|| {
            let number = items.len() as u32;
            items.push(item);
            hashes.push(hash);
            index.insert_unique(hash, number, |group| hashes[*group as usize]);
            number
        });
        numbers.push(number);
    }
    by_window(numbers, items)
}

fn hash((start, key): Item<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(1).build_hasher();
    hasher.write_i64(start);
    hasher.write(key);
    hasher.finish()
}

/// Renumbers the groups, so that those of a window have consecutive numbers.
fn by_window(mut numbers: Vec<u32>, mut items: Vec<Item<'_>>) -> Groups<'_> {
    if !items.is_sorted_by_key(|(start, _)| *start) {
        let mut order: Vec<u32> = (0..items.len() as u32).collect();
        order.sort_by_key(|group| items[*group as usize].0);
        let mut places = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(group, place)| places[*group as usize] = place);
        numbers.iter_mut().for_each(|number| *number = places[*number as usize]);
        items = order.iter().map(|group| items[*group as usize]).collect();
    }
    let mut windows: Vec<(i64, Range<usize>)> = Vec::new();
    for run in items.chunk_by(|(one, _), (next, _)| one == next) {
        let from = windows.last().map_or(0, |(_, groups)| groups.end);
        windows.push((run[0].0, from..from + run.len()));
    }
    Groups { numbers, items, windows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_window_are_consecutive() {
        let keys = [&b"a"[..], b"b", b"a", b"a", b"c", b"b"];
        let groups = group([10, 0, 10, 0, 20, 0].into_iter().zip(keys));
        assert_eq!(groups.numbers, [2, 0, 2, 1, 3, 0]);
        assert_eq!(groups.items, [(0, &b"b"[..]), (0, b"a"), (10, b"a"), (20, b"c")]);
        assert_eq!(groups.windows, [(0, 0..2), (10, 2..3), (20, 3..4)]);
        let groups = group([0; 6].into_iter().zip(keys));
        assert_eq!(groups.numbers, [0, 1, 0, 0, 2, 1]);
        assert_eq!(groups.windows, [(0, 0..3)]);
    }
}
