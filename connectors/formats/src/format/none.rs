//! NONE: no columns and no payload; the format of the key if there is no key.

use arrow::array::{ArrayRef, BinaryArray};
use arrow::buffer::NullBuffer;

use super::batch::Payloads;
use super::{Decoded, Decoder, Encoded, Encoder};

/// A decoder that returns no columns.
pub(super) struct NoneDecoder;

impl Decoder for NoneDecoder {
    fn decode(&mut self, _: &BinaryArray) -> Decoded {
        Decoded { columns: Vec::new(), bad: Vec::new(), absent: Vec::new() }
    }
}

/// An encoder that returns null payloads.
pub(super) struct NoneEncoder;

impl Encoder for NoneEncoder {
    fn encode(&mut self, _: &[ArrayRef], rows: usize, _: Option<&NullBuffer>) -> Encoded {
        let mut payloads = Payloads::new(rows);
        (0..rows).for_each(|_| payloads.push_null());
        payloads.finish()
    }
}
