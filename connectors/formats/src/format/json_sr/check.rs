//! Checks rows against the rules of a schema before they are written.
//!
//! Separate from the encoder of JSON, which cannot fail, so that only schemas with rules cost anything.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

use super::rules::{Null, Rule};
use crate::format::BadRow;
use crate::format::batch::is_present;
use crate::format::fault::{Fault, Outcome};

/// The rows that break a rule, in ascending order. There is a rule for each column, and its name in the schema; a column
/// that is bare has no name.
pub(super) fn bad_rows<'a>(
    rules: &'a [Rule],
    columns: impl Iterator<Item = (Option<&'a str>, &'a ArrayRef)>,
    rows: usize,
    null_rows: Option<&NullBuffer>,
) -> Vec<BadRow> {
    let fields = fields(rules, columns);
    let bad = |row: usize| match check_fields(&fields, row) {
        Ok(()) => None,
        Err(fault) => Some(BadRow { row, reason: fault.reason("$") }),
    };
    (0..rows).filter(|row| is_present(null_rows, *row)).filter_map(bad).collect()
}

/// A column with a rule.
struct Checked<'a> {
    rule: &'a Rule,
    column: &'a ArrayRef,
    within: Within<'a>,
}

/// The values within those of a column that have rules.
enum Within<'a> {
    Nothing,
    /// The items of each row are those from its offset to the next.
    Items(&'a [i32], Box<Checked<'a>>),
    Entries(&'a [i32], &'a StringArray, Box<Checked<'a>>),
    Fields(Vec<(Option<&'a str>, Checked<'a>)>),
}

fn fields<'a>(
    rules: &'a [Rule],
    columns: impl Iterator<Item = (Option<&'a str>, &'a ArrayRef)>,
) -> Vec<(Option<&'a str>, Checked<'a>)> {
    let ruled = rules.iter().zip(columns).filter(|(rule, _)| !rule.is_free());
    ruled.map(|(rule, (name, column))| (name, Checked::new(rule, column))).collect()
}

fn check_fields(fields: &[(Option<&str>, Checked<'_>)], row: usize) -> Outcome<()> {
    fields.iter().try_for_each(|(name, field)| match (field.check(row), name) {
        (Err(fault), Some(name)) => Err(fault.in_field(name)),
        (checked, _) => checked,
    })
}

impl<'a> Checked<'a> {
    fn new(rule: &'a Rule, column: &'a ArrayRef) -> Self {
        let within = match (rule.within.as_slice(), column.data_type()) {
            ([item], DataType::List(_)) => {
                let list = column.as_list::<i32>();
                Within::Items(list.value_offsets(), Box::new(Self::new(item, list.values())))
            }
            ([value], DataType::Map(..)) => {
                let map = column.as_map();
                let values = Box::new(Self::new(value, map.values()));
                Within::Entries(map.value_offsets(), map.keys().as_string(), values)
            }
            (rules @ [_, ..], DataType::Struct(names)) => {
                let names = names.iter().map(|field| Some(field.name().as_str()));
                Within::Fields(fields(rules, names.zip(column.as_struct().columns())))
            }
            _ => Within::Nothing,
        };
        Self { rule, column, within }
    }

    fn check(&self, row: usize) -> Outcome<()> {
        if self.column.is_null(row) {
            return match self.rule.null {
                Null::Written | Null::LeftOut => Ok(()),
                Null::Refused => Err(Fault::of_row("the value is null, which the schema does not allow")),
            };
        }
        match &self.rule.allowed {
            Some(allowed) if !allowed.has(self.column, row) => Err(not_allowed(self.column, row)),
            _ => self.check_within(row),
        }
    }

    fn check_within(&self, row: usize) -> Outcome<()> {
        let range = |offsets: &[i32]| offsets[row] as usize..offsets[row + 1] as usize;
        match &self.within {
            Within::Nothing => Ok(()),
            Within::Fields(fields) => check_fields(fields, row),
            Within::Items(offsets, items) => {
                let mut items = range(offsets).map(|at| items.check(at)).enumerate();
                items.try_for_each(|(index, checked)| checked.map_err(|fault| fault.in_item(index)))
            }
            Within::Entries(offsets, keys, values) => range(offsets).try_for_each(|entry| {
                values.check(entry).map_err(|fault| fault.in_entry(keys.value(entry).as_bytes()))
            }),
        }
    }
}

#[cold]
fn not_allowed(column: &ArrayRef, row: usize) -> Box<Fault> {
    let value = array_value_to_string(column, row).unwrap_or_default();
    let value = if column.data_type() == &DataType::Utf8 { format!("\"{value}\"") } else { value };
    Fault::of_row(format!("{value} is not one of the values that the schema allows"))
}
