//! The header of a record batch (format 2): parsing it, patching the two fields that the broker owns, and writing the
//! marker that ends a transaction.
//!
//! Separate because no other file needs these byte positions.

use bytes::{BufMut, Bytes, BytesMut};

use super::producer::Producer;

/// The length of a batch header, in bytes.
pub(crate) const HEADER_BYTES: usize = 61;
/// The number of bytes that the length field does not count.
const LENGTH_PREFIX_BYTES: usize = 12;
/// Where the checksummed part begins.
const CHECKSUMMED_FROM: usize = 21;

const ATTRIBUTE_CODEC: i16 = 0x07;
const ATTRIBUTE_APPEND_TIME: i16 = 0x08;
const ATTRIBUTE_TRANSACTIONAL: i16 = 0x10;
const ATTRIBUTE_CONTROL: i16 = 0x20;

/// The fields of a batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// The length of the whole batch in bytes, including the header.
    pub(crate) bytes: usize,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
    pub(crate) producer: Producer,
    /// The sequence number of the first record, -1 if the producer is not idempotent.
    pub(crate) base_sequence: i32,
    pub(crate) records: i32,
}

impl BatchHeader {
    /// Parses a header; `None` if there are too few bytes or the length field is invalid.
    pub(crate) fn parse(bytes: &[u8]) -> Option<BatchHeader> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        let length = usize::try_from(i32_at(bytes, 8)).ok()?;
        let header = BatchHeader {
            base_offset: i64_at(bytes, 0),
            bytes: length + LENGTH_PREFIX_BYTES,
            magic: bytes[16] as i8,
            crc: i32_at(bytes, 17) as u32,
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp_ms: i64_at(bytes, 27),
            max_timestamp_ms: i64_at(bytes, 35),
            producer: Producer { id: i64_at(bytes, 43), epoch: i16_at(bytes, 51) },
            base_sequence: i32_at(bytes, 53),
            records: i32_at(bytes, 57),
        };
        (header.bytes >= HEADER_BYTES && header.last_offset_delta >= 0).then_some(header)
    }

    /// The offset of the last record.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The sequence number of the last record; sequence numbers wrap around to 0 after `i32::MAX`.
    pub(crate) fn last_sequence(&self) -> i32 {
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (sum % (i64::from(i32::MAX) + 1)) as i32
    }

    /// The number of the compression codec, 0 for none.
    pub(crate) fn codec(&self) -> i16 {
        self.attributes & ATTRIBUTE_CODEC
    }

    /// Whether the batch has the broker's timestamp, which applies to all of its records.
    pub(crate) fn has_append_time(&self) -> bool {
        self.attributes & ATTRIBUTE_APPEND_TIME != 0
    }

    /// The timestamp of a record, given how much later it is than the first one of the batch, in ms.
    pub(crate) fn time_ms(&self, delta_ms: i64) -> i64 {
        if self.has_append_time() { self.max_timestamp_ms } else { self.base_timestamp_ms.wrapping_add(delta_ms) }
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & ATTRIBUTE_TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// Whether the batch comes from an idempotent producer.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer.id >= 0
    }

    /// Whether the checksum matches the bytes of the whole batch.
    pub(crate) fn checksum_fits(&self, batch: &[u8]) -> bool {
        batch.len() == self.bytes && crc32c::crc32c(&batch[CHECKSUMMED_FROM..]) == self.crc
    }
}

/// Copies a batch and sets the base offset and leader epoch that it has in this log.
pub(crate) fn with_base_offset(batch: &[u8], base_offset: i64, leader_epoch: i32) -> BytesMut {
    let mut copy = BytesMut::from(batch);
    copy[0..8].copy_from_slice(&base_offset.to_be_bytes());
    copy[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    copy
}

/// Gives all records of a batch the broker's timestamp.
pub(crate) fn stamp_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = i16_at(batch, 21) | ATTRIBUTE_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    sign(batch);
}

/// A batch with other records than it had: its offsets, its producer and its sequence numbers stay. Without records it only tells
/// that its offsets were used.
pub(crate) fn with_records(batch: &[u8], packed: &[u8], records: i32, max_timestamp_ms: i64) -> Bytes {
    let mut thinned = BytesMut::from(&batch[..HEADER_BYTES]);
    thinned.extend_from_slice(packed);
    let length = (thinned.len() - LENGTH_PREFIX_BYTES) as i32;
    thinned[8..12].copy_from_slice(&length.to_be_bytes());
    thinned[35..43].copy_from_slice(&max_timestamp_ms.to_be_bytes());
    thinned[57..61].copy_from_slice(&records.to_be_bytes());
    sign(&mut thinned);
    thinned.freeze()
}

/// The control batch that ends a producer's transaction in this log.
pub(crate) fn marker(producer: Producer, commit: bool, base_offset: i64, leader_epoch: i32, now_ms: i64) -> Bytes {
    let mut batch = BytesMut::with_capacity(96);
    batch.put_i64(base_offset);
    batch.put_i32(0); // length, set below
    batch.put_i32(leader_epoch);
    batch.put_i8(2);
    batch.put_u32(0); // checksum, set below
    batch.put_i16(ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL);
    batch.put_i32(0);
    batch.put_i64(now_ms);
    batch.put_i64(now_ms);
    batch.put_i64(producer.id);
    batch.put_i16(producer.epoch);
    batch.put_i32(-1);
    batch.put_i32(1);
    // One record; its lengths are zigzag varints that fit into one byte.
    batch.put_slice(&[32, 0, 0, 0, 8]);
    batch.put_i16(0);
    batch.put_i16(i16::from(commit));
    batch.put_u8(12);
    batch.put_i16(0);
    batch.put_i32(0);
    batch.put_u8(0);
    let length = (batch.len() - LENGTH_PREFIX_BYTES) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    sign(&mut batch);
    batch.freeze()
}

/// Whether a control batch commits (`Some(true)`), aborts (`Some(false)`) or is something else (`None`).
pub(crate) fn marker_commits(batch: &[u8]) -> Option<bool> {
    let key = batch.get(HEADER_BYTES + 5..HEADER_BYTES + 9)?;
    match i16_at(key, 2) {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

pub(super) fn sign(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CHECKSUMMED_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Reads `N` bytes at a position that the caller has checked.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array_at(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array_at(bytes, at))
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(array_at(bytes, at))
}

/// Batches for the tests of this module.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A batch of `records` one-byte records at the given time.
    pub(crate) fn batch(producer: Producer, sequence: i32, records: i32, time_ms: i64, transactional: bool) -> Bytes {
        let mut batch = BytesMut::new();
        batch.put_i64(0);
        batch.put_i32(0);
        batch.put_i32(-1);
        batch.put_i8(2);
        batch.put_u32(0);
        batch.put_i16(if transactional { ATTRIBUTE_TRANSACTIONAL } else { 0 });
        batch.put_i32(records - 1);
        batch.put_i64(time_ms);
        batch.put_i64(time_ms + i64::from(records) - 1);
        batch.put_i64(producer.id);
        batch.put_i16(producer.epoch);
        batch.put_i32(sequence);
        batch.put_i32(records);
        for record in 0..records as u8 {
            // attributes, time delta, offset delta (both zigzag), no key, a value of one byte, no headers
            batch.put_slice(&[14, 0, record * 2, record * 2, 1, 2, b'v', 0]);
        }
        let length = (batch.len() - LENGTH_PREFIX_BYTES) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        sign(&mut batch);
        batch.freeze()
    }

    /// A batch of `records` records with a key, some without a value, and with headers, at the given time.
    pub(crate) fn keyed(records: i32, time_ms: i64) -> Bytes {
        let records =
            (0..records as u8).map(|at| (vec![b'k', at], (at % 3 != 2).then(|| vec![b'v'; usize::from(at) * 40])));
        with_keys(Producer::NONE, -1, &records.collect::<Vec<_>>(), time_ms, false)
    }

    /// A batch of records with these keys and values.
    pub(crate) fn with_keys(
        producer: Producer,
        sequence: i32,
        records: &[(Vec<u8>, Option<Vec<u8>>)],
        time_ms: i64,
        transactional: bool,
    ) -> Bytes {
        let empty = batch(producer, sequence, records.len() as i32, time_ms, transactional);
        let mut packed = Vec::new();
        for (at, (key, value)) in records.iter().enumerate() {
            let delta = [at as u8 * 2, at as u8 * 2];
            let mut record = [&[0][..], &delta, &[key.len() as u8 * 2], key].concat();
            match value {
                Some(value) => {
                    // Lengths of 64 and more take two bytes.
                    let zigzag = value.len() * 2;
                    record.extend([zigzag as u8 | 0x80, (zigzag >> 7) as u8]);
                    record.extend(value);
                }
                None => record.push(1),
            }
            record.extend([4, 2, b'h', 2, b'1', 2, b'h', 1]); // a header twice, once without a value
            packed.extend([(record.len() * 2) as u8 | 0x80, ((record.len() * 2) >> 7) as u8]);
            packed.extend(record);
        }
        with_records(&empty, &packed, records.len() as i32, time_ms + records.len() as i64 - 1)
    }

    /// A batch compressed with a codec.
    pub(crate) fn packed(plain: &[u8], codec: i16) -> Bytes {
        let header = BatchHeader::parse(plain).expect("a header");
        let attributes = header.attributes | codec;
        let packed = super::super::codec::pack(&BatchHeader { attributes, ..header }, |packer| {
            packer.write_all(&plain[HEADER_BYTES..])
        });
        let mut batch = plain.to_vec();
        batch[21..23].copy_from_slice(&attributes.to_be_bytes());
        with_records(&batch, &packed.expect("packs"), header.records, header.max_timestamp_ms)
    }

    /// A batch of a producer that is not idempotent.
    pub(crate) fn plain(records: i32, time_ms: i64) -> Bytes {
        batch(Producer::NONE, -1, records, time_ms, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: Producer = Producer { id: 7, epoch: 3 };

    #[test]
    fn a_marker_is_a_batch_that_says_how_the_transaction_ended() {
        for commit in [true, false] {
            let bytes = marker(PRODUCER, commit, 42, 0, 1_000);
            let header = BatchHeader::parse(&bytes).expect("a header");
            assert!(header.checksum_fits(&bytes) && header.is_control() && header.is_transactional());
            assert_eq!((header.base_offset, header.last_offset(), header.producer), (42, 42, PRODUCER));
            assert_eq!(marker_commits(&bytes), Some(commit));
        }
    }

    #[test]
    fn placing_a_batch_keeps_its_checksum() {
        let batch = testing::plain(3, 10);
        let bytes = with_base_offset(&batch, 99, 5);
        let header = BatchHeader::parse(&bytes).expect("a header");
        assert!(header.checksum_fits(&bytes));
        assert_eq!((header.base_offset, header.last_offset()), (99, 101));
    }

    #[test]
    fn append_time_is_signed_again() {
        let mut batch = testing::plain(2, 10).to_vec();
        stamp_append_time(&mut batch, 5_000);
        let header = BatchHeader::parse(&batch).expect("a header");
        assert!(header.checksum_fits(&batch) && header.has_append_time());
        assert_eq!(header.max_timestamp_ms, 5_000);
    }
}
