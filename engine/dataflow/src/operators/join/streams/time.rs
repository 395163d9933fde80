//! The stream time of a join, which its left store keeps beside the rows. It is that of the join alone, so that it does not
//! depend on how far other operators of the task have come.

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;
use headwater_state::Store;

/// How far the join has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// The highest event time of the rows of both inputs so far, in ms since the epoch; `None` before the first row.
    pub stream_ms: Option<i64>,
    /// The number of the next row that is kept.
    pub next_number: u64,
}

/// The first byte of the value.
const VERSION: u8 = 1;

impl Time {
    /// Its window in the store, which never expires. The key is empty.
    pub const WINDOW: i64 = i64::MAX;

    /// Reads it from the store.
    pub fn read(store: &dyn Store) -> Result<Self, ArrowError> {
        let values = store.get(Self::WINDOW, &BinaryArray::from_vec(vec![b""]))?;
        if values.is_null(0) {
            return Ok(Self::default());
        }
        let damaged = || ArrowError::ParseError("the stream time of a join is damaged".to_owned());
        Self::split(values.value(0)).ok_or_else(damaged)
    }

    fn split(value: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = value.split_first()? else { return None };
        let (stream_ms, number) = rest.split_first_chunk()?;
        let next_number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { stream_ms: Some(i64::from_be_bytes(*stream_ms)), next_number })
    }

    /// Writes it to the store.
    pub fn write(self, store: &mut dyn Store) {
        if let Some(stream_ms) = self.stream_ms {
            let value = [&[VERSION][..], &stream_ms.to_be_bytes(), &self.next_number.to_be_bytes()].concat();
            store.put(Self::WINDOW, &BinaryArray::from_vec(vec![b""]), &BinaryArray::from_vec(vec![&value]));
        }
    }
}
