//! A builder for a column of bytes that returns an error when the column is full, where Arrow's own builder panics.

use arrow::array::{Array, BinaryArray, NullBufferBuilder};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

/// The column so far.
pub(crate) struct BytesBuilder {
    offsets: Vec<i32>,
    data: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl BytesBuilder {
    /// An empty column with room for some values and their bytes.
    pub(crate) fn new(values: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(values + 1);
        offsets.push(0);
        Self { offsets, data: Vec::with_capacity(bytes), nulls: NullBufferBuilder::new(values) }
    }

    /// Makes room for some more values and their bytes.
    pub(crate) fn reserve(&mut self, values: usize, bytes: usize) {
        self.offsets.reserve(values);
        self.data.reserve(bytes);
    }

    /// Adds a value, or null. Fails if the column would exceed 2 GiB.
    pub(crate) fn push(&mut self, value: Option<&[u8]>) -> Result<(), ArrowError> {
        match value {
            Some(value) => self.push_parts(&[value]),
            None => {
                self.nulls.append_null();
                self.offsets.push(self.offsets[self.offsets.len() - 1]);
                Ok(())
            }
        }
    }

    /// Adds a value that consists of several parts. Fails if the column would exceed 2 GiB.
    pub(crate) fn push_parts(&mut self, parts: &[&[u8]]) -> Result<(), ArrowError> {
        let end = self.data.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let end = i32::try_from(end).map_err(|_| full())?;
        parts.iter().for_each(|part| self.data.extend_from_slice(part));
        self.nulls.append_non_null();
        self.offsets.push(end);
        Ok(())
    }

    /// Fails if the column would exceed 2 GiB with `more` bytes for each value.
    pub(crate) fn check_room(&self, more: usize) -> Result<(), ArrowError> {
        let bytes = self.data.len() + (self.offsets.len() - 1) * more;
        i32::try_from(bytes).map(drop).map_err(|_| full())
    }

    /// The column.
    pub(crate) fn finish(mut self) -> BinaryArray {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        BinaryArray::new(offsets, Buffer::from_vec(self.data), self.nulls.finish())
    }
}

/// A value of a column; `None` if it is null.
pub(crate) fn value(values: &BinaryArray, row: usize) -> Option<&[u8]> {
    values.is_valid(row).then(|| values.value(row))
}

fn full() -> ArrowError {
    ArrowError::ComputeError("the keys or values of a batch of state exceed 2 GiB".to_owned())
}
