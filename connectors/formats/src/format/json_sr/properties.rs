//! The properties of an object, and which of them a column is for: the same one when it is read and when it is written.

use super::documents::Node;
use super::infer::fields;

/// The properties of an object in the order of its fields.
pub(super) struct Properties<'d> {
    all: Vec<(&'d str, Node<'d>)>,
    /// The name of each in upper case.
    upper: Vec<String>,
}

impl<'d> Properties<'d> {
    /// The properties of this object.
    pub(super) fn of(object: Node<'d>) -> Self {
        let all = fields(object);
        let upper = all.iter().map(|(name, _)| name.to_uppercase()).collect();
        Self { all, upper }
    }

    /// The one that a column is for: with exactly its name, or else the first that has it in upper case.
    pub(super) fn chosen(&self, column: &str) -> Option<(&'d str, Node<'d>)> {
        let exact = self.all.iter().copied().find(|(name, _)| *name == column);
        exact.or_else(|| self.folded(column).next())
    }

    /// Those whose names in upper case are that of a column.
    pub(super) fn folded(&self, column: &str) -> impl Iterator<Item = (&'d str, Node<'d>)> {
        self.all.iter().zip(&self.upper).filter(move |(_, upper)| *upper == column).map(|(property, _)| *property)
    }
}
