//! What was found in the topics of a run, or of several: the verdict about records, and about transactions.

use std::collections::BTreeMap;
use std::fmt;

use super::tag::Tag;
use crate::verdict::Verdict;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// About the records of both topics.
    pub verdict: Verdict,
    /// Transactions of which a part is shown, or that are shown although they were aborted.
    pub half_shown: usize,
}

impl Findings {
    /// Whether everything is right.
    pub fn is_good(&self) -> bool {
        self.verdict.is_good() && self.half_shown == 0
    }

    /// The sum of two.
    pub fn and(self, other: Self) -> Self {
        Self { verdict: self.verdict.and(other.verdict), half_shown: self.half_shown + other.half_shown }
    }

    /// Describes the first failures.
    pub fn print_examples(&self) {
        self.verdict.examples.iter().for_each(|example| eprintln!("{example}"));
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { records, lost, doubled, out_of_order, wrong, .. } = &self.verdict;
        let half_shown = self.half_shown;
        write!(
            f,
            "{records} records, {lost} lost, {doubled} doubled, {half_shown} half shown, {out_of_order} out of order"
        )?;
        if *wrong > 0 { write!(f, ", {wrong} wrong") } else { Ok(()) }
    }
}

/// The transactions of which a reader has seen records.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<u32, (Tag, usize)>);

impl Shown {
    /// Counts a record.
    pub fn add(&mut self, tag: Tag) {
        self.0.entry(tag.transaction).or_insert((tag, 0)).1 += 1;
    }

    /// Judges all transactions once everything was read.
    pub fn judge(&self, findings: &mut Findings) {
        for (transaction, (tag, shown)) in &self.0 {
            if *shown != tag.size || tag.is_doomed {
                findings.half_shown += 1;
                let what = if tag.is_doomed { ", which was aborted" } else { "" };
                let size = tag.size;
                findings.verdict.add_example(|| {
                    format!("half shown: {shown} of {size} records of transaction {transaction}{what}")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_shown(size: usize, shown: usize, is_doomed: bool) -> usize {
        let (mut transactions, mut findings) = (Shown::default(), Findings::default());
        (0..shown).for_each(|number| transactions.add(Tag { number, transaction: 7, size, is_doomed }));
        transactions.judge(&mut findings);
        findings.half_shown
    }

    #[test]
    fn transactions_are_shown_as_a_whole_or_not_at_all() {
        assert_eq!(half_shown(3, 3, false), 0);
        assert_eq!(half_shown(3, 0, false), 0);
        assert_eq!(half_shown(3, 2, false), 1);
        assert_eq!(half_shown(3, 4, false), 1);
        assert_eq!(half_shown(3, 3, true), 1);
    }

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let tag = Tag { number: 123, transaction: 4, size: 500, is_doomed: true };
        assert_eq!(tag.to_string().parse::<Tag>().ok(), Some(tag));
        assert!("123".parse::<Tag>().is_err());
    }
}
