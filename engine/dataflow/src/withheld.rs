//! Complaints about records whose rows have not all been emitted.
//!
//! They are withheld until then: a commit before that must not include them, since the record would be read again.

use super::addresses::Addresses;
use super::complaint::{Complaint, ComplaintKind, Wrong};
use super::position::TaskPosition;

/// The complaints that a task withholds, each with the offset of its record in the input.
#[derive(Debug, Default)]
pub struct Withheld(Vec<(i64, Complaint)>);

impl Withheld {
    /// True when nothing is withheld.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Withholds a complaint about the record at an offset of the input.
    pub fn add(&mut self, offset: i64, complaint: Complaint) {
        self.0.push((offset, complaint));
    }

    /// Withholds a complaint about a row.
    pub fn add_row(&mut self, addresses: &Addresses, kind: ComplaintKind, row: usize, wrong: Wrong, reason: String) {
        self.add(addresses.offsets.value(row), Complaint::new(kind, addresses.record(row), wrong, reason));
    }

    /// Removes and returns the complaints about records before `position`, in the order of their offsets.
    pub fn release(&mut self, position: TaskPosition) -> impl Iterator<Item = Complaint> {
        self.0.sort_by_key(|(offset, _)| *offset);
        let ready = match position {
            TaskPosition::Done => self.0.len(),
            TaskPosition::Before(offset) | TaskPosition::Within(offset) => {
                self.0.partition_point(|(withheld, _)| *withheld < offset)
            }
        };
        self.0.drain(..ready).map(|(_, complaint)| complaint)
    }
}
