//! Which field of a record belongs to a column: as in JSON, the one with exactly its name, or else the one whose name
//! in upper case it has.

use super::schema::{Field, Record};

/// The index of the field that belongs to the column with this name. Of several in upper case the first one wins, which
/// is the one that the column's type is inferred from.
pub(super) fn field_of(record: &Record, column: &str) -> Option<usize> {
    let first = |matches: &dyn Fn(&Field) -> bool| record.fields.iter().position(matches);
    first(&|field| &*field.name == column).or_else(|| first(&|field| field.name.to_uppercase() == column))
}
