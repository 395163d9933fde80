//! The judge of a left join of a stream with a table: each left row exactly once and in order, with a version of its key
//! in the table that is never older than that of an earlier row.
//!
//! Which version a row meets depends on stream time in its partition and in that of the version: one that is not later, unless the table
//! was read to its end then. So the version may not be replaced long before the row, nor be written long after it, however far one
//! of two processes is behind the other one.

use std::collections::{BTreeMap, BTreeSet};

use crate::feed::{DISORDER_MS_MAX, LATE_MS};
use crate::joins::{Input, OutputRow};
use crate::verdict::Verdict;

/// Maximum time between a row and the time in which its version was the latest.
const SKEW_MS_MAX: i64 = (2 * (LATE_MS + DISORDER_MS_MAX) + WRITTEN_MS_MAX) as i64;

/// Maximum time that the feed takes to write a record that is due.
const WRITTEN_MS_MAX: u64 = 3_000;

/// What the output must contain, and what was found so far.
pub struct Versions<'a> {
    left: &'a Input,
    table: &'a Input,
    /// The number of the next version of the same key.
    next: BTreeMap<i64, i64>,
    seen: BTreeSet<i64>,
    /// The numbers of the latest left row and of its version, for each key.
    latest: BTreeMap<&'a [u8], (i64, Option<i64>)>,
    verdict: Verdict,
}

impl<'a> Versions<'a> {
    /// The rows of a stream and of a table.
    pub fn new(left: &'a Input, table: &'a Input) -> Self {
        let (mut next, mut latest) = (BTreeMap::new(), BTreeMap::new());
        for (number, row) in table {
            next.extend(latest.insert(&row.key, *number).map(|before| (before, *number)));
        }
        Self { left, table, next, seen: BTreeSet::new(), latest: BTreeMap::new(), verdict: Verdict::default() }
    }

    /// Checks one row of the output.
    pub fn hear(&mut self, row: Option<OutputRow>, address: &dyn Fn() -> String) {
        let Some((row, key)) = row.as_ref().and_then(|row| Some((row, self.key_of(row)?))) else {
            return self.verdict.wrong(&row, address);
        };
        if !self.seen.insert(row.left) {
            return self.verdict.doubled(row, address);
        }
        self.verdict.records += 1;
        let now = (row.left, row.right);
        let before = self.latest.insert(key, now).unwrap_or(now);
        if before.0 > now.0 || before.1 > now.1 {
            self.verdict.out_of_order(row, &before, address);
        }
    }

    /// The key, if it is that of the left row and its version, and their times agree.
    fn key_of(&self, row: &OutputRow) -> Option<&'a [u8]> {
        let left = self.left.get(&row.left).filter(|left| left.key == row.key)?;
        if let Some(number) = row.right {
            let version = self.table.get(&number).filter(|version| version.key == row.key)?;
            let replaced = self.next.get(&number).and_then(|next| self.table.get(next));
            let replaced_ms = replaced.map_or(i64::MAX, |next| next.time_ms.saturating_add(SKEW_MS_MAX));
            (version.time_ms - SKEW_MS_MAX <= left.time_ms && left.time_ms <= replaced_ms).then_some(())?;
        }
        Some(&left.key)
    }

    /// Left rows that were never seen are lost.
    pub fn close(mut self, topic: &str) -> Verdict {
        for lost in self.left.iter().filter(|(number, _)| !self.seen.contains(number)) {
            self.verdict.lost(topic, &lost);
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joins::for_tests::input;

    /// Left rows 1 and 3, and the versions 0, 2 and 4 of the key, of which the last is much newer.
    fn judged(rows: &[(i64, Option<i64>)]) -> String {
        let (left, table) = (input(&[(1, 10), (3, 30)]), input(&[(0, 0), (2, 20), (4, 90_000)]));
        let mut versions = Versions::new(&left, &table);
        for (left, right) in rows {
            let row = OutputRow { key: b"k".to_vec(), left: *left, right: *right };
            versions.hear(Some(row), &String::new);
        }
        versions.close("t").to_string()
    }

    #[test]
    fn complete_output_is_good() {
        assert_eq!(judged(&[(1, Some(0)), (3, Some(2))]), "2 records, 0 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, None), (3, Some(0))]), "2 records, 0 lost, 0 doubled, 0 out of order");
    }

    #[test]
    fn each_failure_is_reported() {
        assert_eq!(judged(&[(1, Some(0))]), "1 records, 1 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, Some(0)), (3, None)]), "2 records, 0 lost, 0 doubled, 1 out of order");
        assert_eq!(judged(&[(3, Some(2)), (1, Some(2))]), "2 records, 0 lost, 0 doubled, 1 out of order");
        assert_eq!(judged(&[(1, None), (3, None), (3, None)]), "2 records, 0 lost, 1 doubled, 0 out of order");
        assert_eq!(judged(&[(1, None), (3, Some(4))]), "1 records, 1 lost, 0 doubled, 0 out of order, 1 wrong");
    }
}
