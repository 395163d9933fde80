//! Decodes JSON payloads to columns.

use arrow::array::BinaryArray;

use super::dialect::Dialect;
use super::reader::JsonReader;
use crate::format::batch::Selected;
use crate::format::column::Column;
use crate::format::{Decoded, Decoder};

/// Decodes JSON; see [`super`].
pub(crate) struct JsonDecoder {
    columns: Vec<Column>,
    reader: JsonReader,
}

impl JsonDecoder {
    /// A decoder for the selected columns; `record` is false if the payload is a bare value.
    pub(crate) fn new(selected: Selected, record: bool) -> Self {
        let reader = JsonReader::new(&selected, record, Dialect::Plain);
        Self { columns: selected.columns, reader }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        self.reader.decode(payloads, &mut self.columns, |_| Ok(0))
    }
}
