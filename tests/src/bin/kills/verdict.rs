//! The verdict about an output: how many records are correct, and what is wrong with the others.

use std::fmt::{self, Debug};

/// Number of failures that are described individually.
const EXAMPLES_MAX: usize = 10;

/// What was found in an output.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Expected records that were found.
    pub records: usize,
    /// Acknowledged records that must be there and are missing.
    pub lost: usize,
    /// Duplicate records.
    pub doubled: usize,
    /// Records that follow a later record of the same key in the same partition.
    pub out_of_order: usize,
    /// Records that were never sent, or that differ from what was sent.
    pub wrong: usize,
    /// The first failures, each with its address.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether the output is correct.
    pub fn is_good(&self) -> bool {
        self.lost + self.doubled + self.out_of_order + self.wrong == 0
    }

    /// The sum of two verdicts.
    pub fn and(mut self, other: Self) -> Self {
        self.records += other.records;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.out_of_order += other.out_of_order;
        self.wrong += other.wrong;
        self.examples.extend(other.examples);
        self
    }

    /// Counts a record that was never sent, or that differs from what was sent.
    pub fn wrong(&mut self, row: &dyn Debug, address: &dyn Fn() -> String) {
        self.wrong += 1;
        self.add_example(|| format!("wrong: {row:?} at {}", address()));
    }

    /// Counts a duplicate record.
    pub fn doubled(&mut self, row: &dyn Debug, address: &dyn Fn() -> String) {
        self.doubled += 1;
        self.add_example(|| format!("doubled: {row:?} at {}", address()));
    }

    /// Counts a record that follows a later one.
    pub fn out_of_order(&mut self, row: &dyn Debug, before: &dyn Debug, address: &dyn Fn() -> String) {
        self.out_of_order += 1;
        self.add_example(|| format!("out of order: {row:?} at {} after {before:?}", address()));
    }

    /// Counts a record that is missing from a topic.
    pub fn lost(&mut self, topic: &str, row: &dyn Debug) {
        self.lost += 1;
        self.add_example(|| format!("lost from {topic}: {row:?}"));
    }

    /// Keeps the description of a failure, if there are few so far.
    pub fn add_example(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, lost, doubled, out_of_order, wrong, .. } = self;
        write!(f, "{records} records, {lost} lost, {doubled} doubled, {out_of_order} out of order")?;
        if *wrong > 0 { write!(f, ", {wrong} wrong") } else { Ok(()) }
    }
}
