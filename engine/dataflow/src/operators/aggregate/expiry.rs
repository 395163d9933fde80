//! When windows and sessions expire. They are kept until every partition that the task knows has passed their retention, and every
//! partition that has records which were not read yet: one that is behind may still add rows to them, whichever partition was read
//! first. One that was read to its end and is more than a day behind all of these does not keep it, or an idle one would keep
//! everything.

use std::collections::BTreeMap;

use super::contributors::Contributors;
use super::deadlines::{Deadlines, Due};
use crate::clocks::{Clocks, LAG_MS};

/// What waits to expire.
#[derive(Clone, Debug, Default)]
pub struct Expiry {
    /// The contributors of what expires, by its time.
    waiting: BTreeMap<(i64, Due), Contributors>,
    /// The same, by when partitions that are behind keep it no longer.
    lagging: Deadlines,
}

/// Whether something that expires at a time has expired. `None` is later than any time.
pub fn has_expired(time_ms: Option<i64>, contributors: &Contributors, clocks: &Clocks) -> bool {
    let lagging = time_ms.and_then(|time_ms| time_ms.checked_add(LAG_MS));
    time_ms.is_some_and(|time_ms| clocks.slowest() >= Some(time_ms)) || contributors.have_reached(lagging, clocks)
}

impl Expiry {
    /// Adds something that expires at a time. It never does if there is no such time.
    pub fn add(&mut self, time_ms: Option<i64>, contributors: &Contributors, due: Due) {
        let Some(time_ms) = time_ms else { return };
        let lagging = time_ms.checked_add(LAG_MS);
        if let Some(known) = self.waiting.insert((time_ms, due.clone()), contributors.clone()) {
            self.lagging.remove(lagging, &known, &due);
        }
        self.lagging.add(lagging, contributors, due);
    }

    /// Removes and returns what has expired.
    pub fn take_due(&mut self, clocks: &Clocks) -> Vec<Due> {
        let (mut expired, slowest_ms) = (Vec::new(), clocks.slowest());
        while let Some(first) = self.waiting.first_entry().filter(|first| Some(first.key().0) <= slowest_ms) {
            let ((time_ms, due), contributors) = first.remove_entry();
            self.lagging.remove(time_ms.checked_add(LAG_MS), &contributors, &due);
            expired.push(due);
        }
        for (time_ms, due) in self.lagging.take_due(clocks) {
            self.waiting.remove(&(time_ms - LAG_MS, due.clone()));
            expired.push(due);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clocks::SourcePartition;

    #[test]
    fn a_partition_that_is_behind_keeps_it_for_a_day() {
        let [one, other] = [0, 1].map(|partition| SourcePartition { source: 0, partition });
        let due = |start: i64| (start, Box::default());
        let (mut expiry, mut clocks) = (Expiry::default(), Clocks::default());
        let contributors = Contributors::of(one);
        for start in [1, 2] {
            expiry.add(Some(start * 10), &contributors, due(start));
        }
        clocks.advance(other, 10);
        clocks.advance(one, 50);
        assert_eq!(expiry.take_due(&clocks), [due(1)]);
        clocks.advance(one, LAG_MS + 19);
        assert!(!has_expired(Some(20), &contributors, &clocks));
        assert_eq!(expiry.take_due(&clocks), []);
        clocks.advance(one, LAG_MS + 20);
        clocks.hold(Some(10));
        assert!(!has_expired(Some(20), &contributors, &clocks));
        assert_eq!(expiry.take_due(&clocks), [], "the other partition has records that were not read");
        clocks.hold(None);
        assert!(has_expired(Some(20), &contributors, &clocks));
        assert_eq!(expiry.take_due(&clocks), [due(2)]);
        assert!(expiry.waiting.is_empty());
        clocks.advance(other, LAG_MS + 20);
        assert_eq!(expiry.take_due(&clocks), []);
    }
}
