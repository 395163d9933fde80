//! An input of the join of two streams: its columns, and when its rows have partners.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use headwater_formats::format::FormatError;

use crate::chunk::Chunk;
use crate::operators::encoding::Encoding;

/// The shortest time for which the rows of a key are kept together, in ms.
const BUCKET_MS_MIN: i64 = 100;

/// How far apart rows that match are, and for how long rows are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// How much earlier than the left row the right row may be, in ms.
    pub before_ms: i64,
    /// How much later than the left row the right row may be, in ms.
    pub after_ms: i64,
    /// How long after that rows are accepted, in ms of stream time.
    pub grace_ms: i64,
}

impl Within {
    /// The time between the earliest and the latest partner of a row.
    fn size_ms(self) -> i64 {
        self.before_ms.saturating_add(self.after_ms)
    }

    /// The length of a bucket, in ms. The partners of a row are in two buckets at most, and at least half of what is read
    /// there is near enough if times are spread evenly.
    fn bucket_ms(self) -> i64 {
        self.size_ms().max(BUCKET_MS_MIN)
    }

    /// The bucket of a time, which is the window in which a store keeps it.
    pub fn bucket(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(self.bucket_ms()))
    }

    /// Buckets before this have only rows that no row can match that is not late.
    pub fn expired_before(self, stream_time_ms: i64) -> i64 {
        let kept_ms = self.size_ms().saturating_add(self.grace_ms);
        self.bucket(stream_time_ms.saturating_sub(kept_ms))
    }
}

/// One input.
#[derive(Clone, Debug)]
pub struct Side {
    /// The index of the column that is compared.
    pub key: usize,
    key_encoding: Encoding,
    /// The encoding of the other columns.
    row_encoding: Encoding,
    /// The index of its store in [`Context::stores`](crate::operator::Context::stores).
    pub store: usize,
    /// How much earlier a partner may be.
    pub behind_ms: i64,
    /// How much later a partner may be.
    pub ahead_ms: i64,
    /// Whether rows without a partner are emitted.
    pub keeps_unmatched: bool,
}

impl Side {
    /// The input with these columns. Fails on a type that cannot be stored.
    pub fn new(
        schema: &SchemaRef,
        key: usize,
        store: usize,
        [behind_ms, ahead_ms]: [i64; 2],
        keeps_unmatched: bool,
    ) -> Result<Self, FormatError> {
        let field = |at: usize| -> FieldRef { Arc::new(schema.field(at).clone().with_nullable(true)) };
        let others = (0..schema.fields().len()).filter(|at| *at != key).map(field).collect();
        Ok(Self {
            key,
            key_encoding: Encoding::new(vec![field(key)])?,
            row_encoding: Encoding::new(others)?,
            store,
            behind_ms,
            ahead_ms,
            keeps_unmatched,
        })
    }

    /// The column that is compared.
    pub fn key_column<'a>(&self, chunk: &'a Chunk) -> &'a ArrayRef {
        chunk.rows.column(self.key)
    }

    /// The key of each row as bytes that are equal if the keys are.
    pub fn keys(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        self.key_encoding.encode(&[self.key_column(chunk).clone()], chunk.len())
    }

    /// The other columns of each row as bytes.
    pub fn payloads(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        let mut columns = chunk.rows.columns().to_vec();
        columns.remove(self.key);
        self.row_encoding.encode(&columns, chunk.len())
    }

    /// All columns of rows, from their keys and the bytes of the other columns.
    pub fn columns(&self, keys: &BinaryArray, payloads: &BinaryArray) -> Result<Vec<ArrayRef>, ArrowError> {
        let key = self.key_encoding.decode(keys)?;
        let mut columns = self.row_encoding.decode(payloads)?;
        columns.splice(self.key..self.key, key);
        Ok(columns)
    }

    /// The times of the partners of a row, the first and the last.
    pub fn partners_ms(&self, time_ms: i64) -> [i64; 2] {
        [time_ms.saturating_sub(self.behind_ms), time_ms.saturating_add(self.ahead_ms)]
    }

    /// The last stream time at which a row is not late, and at which it still waits for a partner.
    pub fn close_ms(&self, time_ms: i64, grace_ms: i64) -> i64 {
        time_ms.saturating_add(self.ahead_ms).saturating_add(grace_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_as_long_as_the_time_in_which_rows_match() {
        let within = Within { before_ms: 100, after_ms: 50, grace_ms: 30 };
        assert_eq!([0, 149, 150, -1, -150, -151].map(|time| within.bucket(time)), [0, 0, 150, -150, -150, -300]);
        assert_eq!(within.expired_before(329), 0, "a row at 149 still matches");
        assert_eq!(within.expired_before(330), 150);
        assert_eq!(within.expired_before(i64::MIN), i64::MIN);
        let at_once = Within { before_ms: 0, after_ms: 0, grace_ms: 0 };
        assert_eq!([0, 99, 100].map(|time| at_once.bucket(time)), [0, 0, 100]);
    }
}
