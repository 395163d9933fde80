//! NONE: no columns and no payload; the format of keys where there is none.

use arrow::array::{ArrayRef, BinaryArray};
use arrow::buffer::NullBuffer;

use super::batch::Payloads;
use super::{Decoded, Decoder, Encoded, Encoder};

/// Gives no columns, whatever the payloads are.
pub(super) struct NoneDecoder;

impl Decoder for NoneDecoder {
    fn decode(&mut self, _: &BinaryArray) -> Decoded {
        Decoded { columns: Vec::new(), bad: Vec::new(), absent: Vec::new() }
    }
}

/// Gives null payloads.
pub(super) struct NoneEncoder;

impl Encoder for NoneEncoder {
    fn encode(&mut self, _: &[ArrayRef], rows: usize, _: Option<&NullBuffer>) -> Encoded {
        let mut payloads = Payloads::new(rows);
        (0..rows).for_each(|_| payloads.push_null());
        payloads.finish()
    }
}
