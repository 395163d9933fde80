//! Decodes JSON payloads to columns.

use std::slice;

use arrow::array::BinaryArray;

use super::dialect::{Dialect, Times};
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
    pub(crate) fn new(selected: Selected, record: bool, times: Times) -> Self {
        let reader = JsonReader::new(&selected, record, Dialect::Plain, times);
        Self { columns: selected.columns, reader }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        JsonReader::decode(slice::from_mut(&mut self.reader), payloads, &mut self.columns, |_| Ok((0, 0)))
    }
}
