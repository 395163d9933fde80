//! A builder for columns of headers.

use arrow::array::ListArray;
use arrow::array::builder::{BinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow::datatypes::{DataType, Fields};

use super::headers_type;
use crate::decode_utf8;

/// A builder for a column of [`headers_type`]: add the headers of a record, end the record, and continue with the
/// next one.
pub struct HeaderColumn {
    lists: ListBuilder<StructBuilder>,
}

impl Default for HeaderColumn {
    fn default() -> Self {
        let entry =
            StructBuilder::new(entry_fields(), vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())]);
        Self { lists: ListBuilder::new(entry) }
    }
}

impl HeaderColumn {
    /// Adds a header of the current record. A name that is not UTF-8 is shown with replacement characters.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        let entry = self.lists.values();
        let names = entry.field_builder::<StringBuilder>(0).expect("field 0 was built as strings");
        names.append_value(decode_utf8(name));
        let values = entry.field_builder::<BinaryBuilder>(1).expect("field 1 was built as bytes");
        values.append_option(value);
        entry.append(true);
    }

    /// Ends the headers of the current record.
    pub fn end_record(&mut self) {
        self.lists.append(true);
    }

    /// The column, with a list for each completed record.
    pub fn finish(mut self) -> ListArray {
        self.lists.finish()
    }
}

/// The headers of some records as a column: of each its names and values in order, as [`headers_at`] gives them.
///
/// [`headers_at`]: super::headers_at
pub fn header_lists<'a>(records: impl IntoIterator<Item = &'a [(String, Option<Vec<u8>>)]>) -> ListArray {
    let mut column = HeaderColumn::default();
    for record in records {
        record.iter().for_each(|(name, value)| column.push(name.as_bytes(), value.as_deref()));
        column.end_record();
    }
    column.finish()
}

fn entry_fields() -> Fields {
    let DataType::List(item) = headers_type() else { unreachable!("headers are a list") };
    let DataType::Struct(fields) = item.data_type() else { unreachable!("of structs") };
    fields.clone()
}
