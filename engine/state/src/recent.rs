//! Batches of keys that were read last. Operators read a batch and then put it: what was read is the value at the last seal of each
//! key that has not changed since, so it need not be searched for again.

use std::collections::VecDeque;

use arrow::array::{Array, BinaryArray};

/// Most batches; an operator reads one of each window to which a row belongs.
const BATCHES_MAX: usize = 16;
/// Most bytes of their keys and values.
const BYTES_MAX: usize = 8 << 20;

/// The batches, the latest last. Nothing in them may be used after a seal, or after a window was removed.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Batch>);

/// Keys of a window that were read.
#[derive(Debug)]
pub(crate) struct Batch {
    window: i64,
    keys: BinaryArray,
    /// The hashes of the keys.
    pub(crate) hashes: Vec<u64>,
    /// What was read.
    pub(crate) values: BinaryArray,
}

impl Recent {
    /// Remembers a batch, and forgets the oldest ones if there are too many.
    pub(crate) fn add(&mut self, window: i64, keys: &BinaryArray, hashes: Vec<u64>, values: &BinaryArray) {
        self.0.push_back(Batch { window, keys: keys.clone(), hashes, values: values.clone() });
        while self.0.len() > BATCHES_MAX || self.0.iter().map(Batch::bytes).sum::<usize>() > BYTES_MAX {
            self.0.pop_front();
        }
    }

    /// Takes the batch with these keys, if it is there. Forgets those that were read before it, and others of its window, which is about
    /// to change.
    pub(crate) fn take(&mut self, window: i64, keys: &BinaryArray) -> Option<Batch> {
        let at = self.0.iter().rposition(|batch| batch.window == window && are_same(&batch.keys, keys));
        let found = at.and_then(|at| self.0.drain(..=at).next_back());
        self.0.retain(|batch| batch.window != window);
        found
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Batch {
    fn bytes(&self) -> usize {
        let bytes = |column: &BinaryArray| (column.value_offsets()[column.len()] - column.value_offsets()[0]) as usize;
        self.hashes.len() * size_of::<u64>() + bytes(&self.keys) + bytes(&self.values)
    }
}

/// Whether two columns are the same memory.
fn are_same(one: &BinaryArray, other: &BinaryArray) -> bool {
    let memory = |keys: &BinaryArray| (keys.value_offsets().as_ptr(), keys.value_data().as_ptr(), keys.len());
    memory(one) == memory(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_found_by_its_memory() {
        let keys = BinaryArray::from_vec(vec![b"a", b"b", b"c", b"d"]);
        let mut recent = Recent::default();
        for window in [1, 2] {
            recent.add(window, &keys.slice(0, 2), vec![window as u64], &keys);
        }
        assert!(recent.take(2, &keys.slice(1, 2)).is_none(), "other keys");
        recent.add(2, &keys, Vec::new(), &keys);
        assert!(recent.take(1, &BinaryArray::from_vec(vec![b"a", b"b"])).is_none(), "other memory");
        recent.add(1, &keys.slice(0, 2), vec![3], &keys);
        assert_eq!(recent.take(1, &keys.slice(0, 2)).map(|batch| batch.hashes), Some(vec![3]), "the latest");
        assert!(recent.0.is_empty(), "older ones are forgotten");
        (0..20).for_each(|window| recent.add(window, &keys, Vec::new(), &keys));
        assert!(recent.take(3, &keys).is_none() && recent.take(4, &keys).is_some(), "as many as an operator needs");
        recent.add(1, &keys, Vec::new(), &BinaryArray::from_vec(vec![&vec![0; BYTES_MAX]]));
        assert!(recent.take(1, &keys).is_none(), "too large");
    }
}
