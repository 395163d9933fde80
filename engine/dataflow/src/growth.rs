//! How much larger a record may be than the state that it is made from, by the types of its columns. Records of JSON are the largest:
//! digits, quotes and names in place of the bytes and bits of COMPACT. So it is known without encoding a record that it is not too
//! large for its topic, whenever records are read and however they are cut into batches.

use arrow::datatypes::{DataType, Field};

/// The bound on the size of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Most bytes of a record whose texts and collections are empty.
    base: usize,
    /// Most bytes for each byte of state.
    factor: usize,
}

/// Most bytes of a number, a date or a time of any format, with a comma.
const SCALAR_BYTES: usize = 90;
/// The bytes of `null,`.
const NULL_BYTES: usize = 5;
/// Most bytes for a byte of a text, if it is a control character.
const ESCAPED_BYTES: usize = 6;

impl Growth {
    /// The bound for records with these columns, in keys and values. The values of those with texts and collections are in the state.
    pub fn of<'a>(fields: impl Iterator<Item = &'a Field>) -> Self {
        let add = |sum: Self, field: &Field| {
            let is_sized = is_sized(field.data_type());
            let base = name_bytes(field) + if is_sized { SCALAR_BYTES } else { bits(field.data_type()) };
            let factor = if is_sized { 0 } else { bytes(field.data_type()) };
            Self { base: sum.base + base, factor: sum.factor + factor }
        };
        fields.fold(Self { base: 2, factor: 0 }, add)
    }

    /// Most bytes of a state whose record has no more than so many bytes.
    pub fn state_bytes(self, record_bytes: usize) -> usize {
        match self.factor {
            0 if self.base <= record_bytes => usize::MAX,
            factor => record_bytes.saturating_sub(self.base) / factor.max(1),
        }
    }
}

/// Whether the values of a type have a size that does not depend on them.
pub fn is_sized(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Utf8 | DataType::Binary)
}

fn name_bytes(field: &Field) -> usize {
    ESCAPED_BYTES * field.name().len() + 4
}

/// Most bytes of a value that has only bits in the state: of a null, or of a struct of nulls.
fn bits(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => {
            fields.iter().map(|field| name_bytes(field) + bits(field.data_type())).sum::<usize>() + 3
        }
        _ => NULL_BYTES,
    }
}

/// Most bytes for each byte of a value that has more than bits in the state.
fn bytes(data_type: &DataType) -> usize {
    // A value in a collection has at least one bit of its own.
    let collected = |item: &Field| 8 * bits(item.data_type()) + bytes(item.data_type());
    match data_type {
        DataType::List(item) => 3 + collected(item),
        DataType::Map(entries, _) => match entries.data_type() {
            // An entry has at least the byte with the length of its key.
            DataType::Struct(fields) => 3 + fields.iter().map(|field| collected(field)).sum::<usize>(),
            _ => usize::MAX / 2,
        },
        DataType::Struct(fields) => fields.iter().map(|field| bytes(field.data_type())).max().unwrap_or(0),
        // A BOOLEAN has a byte, `false,` has six; other numbers have fewer for each of theirs.
        _ => ESCAPED_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, StringArray, StructArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Fields;
    use headwater_formats::format::{FormatKind, Layout};

    use super::*;

    /// Goal: no record is larger than the bound says. Method: values that JSON makes as much larger as possible, in both formats.
    #[test]
    fn a_record_is_no_larger_than_the_bound() {
        let control: ArrayRef = Arc::new(StringArray::from(vec!["\u{1}".repeat(500); 3]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN; 3]));
        let [nulls, empty, bools]: [ArrayRef; 3] = [
            Arc::new(Int32Array::new_null(3_000)),
            Arc::new(StringArray::from(vec![""; 3_000])),
            Arc::new(BooleanArray::from(vec![false; 3_000])),
        ];
        let named: Fields = vec![Field::new("a_name_of_twenty_char", DataType::Boolean, true)].into();
        let structs: ArrayRef = Arc::new(StructArray::new(named.clone(), vec![bools.clone()], None));
        let hollow: ArrayRef = Arc::new(StructArray::new(named, vec![Arc::new(BooleanArray::new_null(3_000))], None));
        let nested = listed(Arc::new(listed_of(&empty, 1)));
        let lists = [nulls, empty, bools, structs, hollow].map(listed);
        for column in [control, numbers, nested].into_iter().chain(lists) {
            let field = Field::new("X", column.data_type().clone(), true);
            let encoded = |kind: FormatKind| {
                let layout = Layout::of(vec![Arc::new(field.clone())]);
                let mut encoder = kind.encoder(&layout).expect("it is supported");
                encoder.encode(std::slice::from_ref(&column), column.len(), None).payloads
            };
            let (state, record) = (encoded(FormatKind::Compact), encoded(FormatKind::Json));
            let growth = Growth::of(std::iter::once(&field));
            for row in 0..column.len() {
                let (state, record) = (state.value(row).len(), record.value(row).len());
                assert!(record <= growth.base + growth.factor * state, "{field}: {record} of {state}, {growth:?}");
                assert!(
                    growth.state_bytes(record - 1) < state || growth.factor == 0,
                    "{field}: it would not be looked at"
                );
            }
        }
    }

    /// Three lists of the same length.
    fn listed(items: ArrayRef) -> ArrayRef {
        let length = items.len() / 3;
        Arc::new(listed_of(&items, length))
    }

    fn listed_of(items: &ArrayRef, length: usize) -> ListArray {
        let item = Arc::new(Field::new_list_field(items.data_type().clone(), true));
        let lengths = vec![length; items.len() / length];
        let nulls: Option<NullBuffer> = None;
        ListArray::new(item, OffsetBuffer::from_lengths(lengths), items.clone(), nulls)
    }
}
