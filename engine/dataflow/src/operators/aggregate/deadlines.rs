//! What is due at a time, such as the results that are to be emitted.

use std::collections::{BTreeMap, BTreeSet};

use super::contributors::Contributors;
use crate::clocks::Clocks;

/// What is due: a window by its start, or a session by a time in it, of the group with this key. The key is empty for a window
/// of all groups.
pub type Due = (i64, Box<[u8]>);

/// Times at which something is due, by the partitions whose stream time has to reach them. So the cost of a batch does not
/// depend on how much is waiting.
#[derive(Clone, Debug, Default)]
pub struct Deadlines(BTreeMap<Contributors, BTreeMap<i64, BTreeSet<Due>>>);

impl Deadlines {
    /// Adds something that is due at a time. It is never due if there is no such time.
    pub fn add(&mut self, time_ms: Option<i64>, contributors: &Contributors, due: Due) {
        let Some(time_ms) = time_ms else { return };
        if !self.0.contains_key(contributors) {
            self.0.insert(contributors.clone(), BTreeMap::new());
        }
        if let Some(times) = self.0.get_mut(contributors) {
            times.entry(time_ms).or_default().insert(due);
        }
    }

    /// Removes what was added with the same arguments.
    pub fn remove(&mut self, time_ms: Option<i64>, contributors: &Contributors, due: &Due) {
        let times = self.0.get_mut(contributors);
        if let Some((times, time_ms)) = times.zip(time_ms)
            && let Some(at_once) = times.get_mut(&time_ms)
        {
            at_once.remove(due);
            if at_once.is_empty() {
                times.remove(&time_ms);
            }
        }
    }

    /// The number of things that are due at some time.
    pub fn len(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).map(BTreeSet::len).sum()
    }

    /// Removes and returns what is due, each with its time.
    pub fn take_due(&mut self, clocks: &Clocks) -> Vec<(i64, Due)> {
        let mut due = Vec::new();
        self.0.retain(|contributors, times| {
            let Some(reached) = contributors.reached(clocks) else { return true };
            while let Some(first) = times.first_entry().filter(|first| *first.key() <= reached) {
                let (time_ms, at_once) = first.remove_entry();
                due.extend(at_once.into_iter().map(|one| (time_ms, one)));
            }
            !times.is_empty()
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clocks::SourcePartition;

    #[test]
    fn what_is_due_is_taken_once() {
        let [one, other] = [0, 1].map(|partition| SourcePartition { source: 0, partition });
        let mut both = Contributors::of(one);
        both.add(other);
        let due = |start: i64| (start, Box::from(&b"k"[..]));
        let (mut deadlines, mut clocks) = (Deadlines::default(), Clocks::default());
        deadlines.add(Some(10), &Contributors::of(one), due(1));
        deadlines.add(Some(10), &both, due(2));
        deadlines.add(Some(20), &Contributors::of(one), due(3));
        deadlines.add(None, &Contributors::of(one), due(4));
        deadlines.add(Some(10), &Contributors::of(one), due(5));
        deadlines.remove(Some(10), &Contributors::of(one), &due(5));
        assert_eq!(deadlines.len(), 3);
        clocks.advance(one, 15);
        assert_eq!(deadlines.take_due(&clocks), [(10, due(1))]);
        assert_eq!(deadlines.take_due(&clocks), []);
        clocks.advance(other, 10);
        clocks.advance(one, 20);
        assert_eq!(deadlines.take_due(&clocks), [(20, due(3)), (10, due(2))]);
        assert!(deadlines.0.is_empty());
    }
}
