//! The judge of a left join of two streams: each pair that matches exactly once, and each left row without a match
//! exactly once, after its time to match has passed.

use std::collections::{BTreeMap, BTreeSet};

use crate::joins::{GRACE_MS, Input, OutputRow, WITHIN_MS};
use crate::verdict::Verdict;

/// How much later than its time to match a row without a match must have been emitted.
const SETTLED_MS: i64 = 2_000;

/// A left row and its match, by number.
type Pair = (i64, Option<i64>);

/// What the output must contain, and what was found so far.
pub struct Pairs<'a> {
    left: &'a Input,
    /// Every pair that may be in the output, and whether it must be.
    expected: BTreeMap<Pair, bool>,
    seen: BTreeSet<Pair>,
    verdict: Verdict,
}

impl<'a> Pairs<'a> {
    /// The pairs of the rows of two streams.
    pub fn new(left: &'a Input, right: &Input) -> Self {
        let settled_ms = slowest_end_ms(left).min(slowest_end_ms(right)) - WITHIN_MS - GRACE_MS - SETTLED_MS;
        let by_key = by_key_and_time(right);
        let mut expected = BTreeMap::new();
        for (number, row) in left {
            let matches = matches_of(&by_key, &row.key, row.time_ms);
            if matches.is_empty() {
                expected.insert((*number, None), row.time_ms < settled_ms);
            }
            expected.extend(matches.into_iter().map(|right| ((*number, Some(right)), true)));
        }
        Self { left, expected, seen: BTreeSet::new(), verdict: Verdict::default() }
    }

    /// Checks one row of the output.
    pub fn hear(&mut self, row: Option<OutputRow>, address: &dyn Fn() -> String) {
        let pair = row.as_ref().map(|row| (row.left, row.right)).filter(|pair| self.expected.contains_key(pair));
        let keyed = |row: &OutputRow| self.left.get(&row.left).is_some_and(|left| left.key == row.key);
        match pair {
            Some(pair) if row.as_ref().is_some_and(keyed) => {
                if self.seen.insert(pair) {
                    self.verdict.records += 1;
                } else {
                    self.verdict.doubled(&row, address);
                }
            }
            _ => self.verdict.wrong(&row, address),
        }
    }

    /// Pairs that must be there and were never seen are lost.
    pub fn close(mut self, topic: &str) -> Verdict {
        for (pair, _) in self.expected.iter().filter(|(pair, must)| **must && !self.seen.contains(pair)) {
            self.verdict.lost(topic, &(pair, self.left.get(&pair.0)));
        }
        self.verdict
    }
}

/// The newest time of the partition whose newest time is the oldest.
fn slowest_end_ms(input: &Input) -> i64 {
    let mut ends = BTreeMap::new();
    for row in input.values() {
        let end = ends.entry(row.partition).or_insert(row.time_ms);
        *end = row.time_ms.max(*end);
    }
    ends.into_values().min().unwrap_or_default()
}

/// The rows of a stream, as (time, number) for each key.
fn by_key_and_time(input: &Input) -> BTreeMap<&[u8], BTreeSet<(i64, i64)>> {
    let mut rows: BTreeMap<&[u8], BTreeSet<_>> = BTreeMap::new();
    for (number, row) in input {
        rows.entry(&row.key).or_default().insert((row.time_ms, *number));
    }
    rows
}

fn matches_of(rows: &BTreeMap<&[u8], BTreeSet<(i64, i64)>>, key: &[u8], time_ms: i64) -> Vec<i64> {
    let range = (time_ms - WITHIN_MS, i64::MIN)..=(time_ms + WITHIN_MS, i64::MAX);
    rows.get(key).into_iter().flat_map(|times| times.range(range.clone())).map(|(_, number)| *number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joins::for_tests::input;

    /// Left rows 1 and 2 and a later one, of which the first matches the right row 5.
    fn judged(rows: &[Pair]) -> String {
        let (left, right) = (input(&[(1, 1_000), (2, 9_000), (3, 90_000)]), input(&[(5, 2_000), (6, 99_000)]));
        let mut pairs = Pairs::new(&left, &right);
        for (left, right) in rows {
            let row = OutputRow { key: b"k".to_vec(), left: *left, right: *right };
            pairs.hear(Some(row), &String::new);
        }
        pairs.close("t").to_string()
    }

    #[test]
    fn complete_output_is_good() {
        assert_eq!(judged(&[(1, Some(5)), (2, None)]), "2 records, 0 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, Some(5)), (2, None), (3, None)]), "3 records, 0 lost, 0 doubled, 0 out of order");
    }

    #[test]
    fn each_failure_is_reported() {
        assert_eq!(judged(&[(2, None)]), "1 records, 1 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, Some(5))]), "1 records, 1 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, Some(5)), (2, None), (2, None)]), "2 records, 0 lost, 1 doubled, 0 out of order");
        assert_eq!(
            judged(&[(1, Some(5)), (1, None), (2, None)]),
            "2 records, 0 lost, 0 doubled, 0 out of order, 1 wrong"
        );
    }
}
