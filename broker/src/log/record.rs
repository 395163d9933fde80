//! The records inside a batch: scanning them.
//!
//! Separate because it is the only code that looks inside a batch. It is needed to find an offset by timestamp, to refuse
//! records without a key in a compacted topic, and to compact.

use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::codec::{self, UNPACKED_BYTES_MAX};

/// The minimum size of a record, in bytes.
const RECORD_BYTES_MIN: u64 = 7;

/// The parts of a record that the broker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordInfo {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) has_key: bool,
}

/// Why the records of a batch could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged,
    /// They decompress to more bytes than the limit.
    TooLarge,
}

/// The first record of a batch that is `wanted`. Damage after that record goes unnoticed.
pub(crate) fn find(batch: &Bytes, wanted: impl Fn(&RecordInfo) -> bool) -> Result<Option<RecordInfo>, Unreadable> {
    let header = BatchHeader::parse(batch).ok_or(Unreadable::Damaged)?;
    let unpacked = codec::unpack(&header, batch).ok_or(Unreadable::Damaged)?;
    find_in(&header, unpacked, wanted)
}

/// Whether the batch is large enough for the number of records it claims, without decompressing it.
pub(crate) fn can_hold(header: &BatchHeader) -> bool {
    let bytes_max = if header.codec() == 0 { (header.bytes - HEADER_BYTES) as u64 } else { UNPACKED_BYTES_MAX };
    u64::try_from(header.records).is_ok_and(|records| records.saturating_mul(RECORD_BYTES_MIN) <= bytes_max)
}

/// The records of a batch, one after the other.
pub(crate) struct Records<'a> {
    header: BatchHeader,
    unpacked: io::Take<Box<dyn BufRead + 'a>>,
    left: i32,
    record: Vec<u8>,
}

/// A record with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'r> {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'r [u8]>,
    /// Whether it has a value; one without a value removes its key.
    pub(crate) has_value: bool,
    /// All of its bytes but for its length.
    pub(crate) bytes: &'r [u8],
}

impl<'a> Records<'a> {
    /// The records of a whole batch.
    pub(crate) fn of(header: &BatchHeader, batch: &'a [u8]) -> Result<Records<'a>, Unreadable> {
        let unpacked = codec::unpack(header, batch).ok_or(Unreadable::Damaged)?.take(UNPACKED_BYTES_MAX);
        Ok(Records { header: *header, unpacked, left: header.records, record: Vec::new() })
    }

    /// The next record; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Unreadable> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        let is_whole = self.load().is_some();
        match (is_whole, self.unpacked.limit()) {
            (false, 0) => Err(Unreadable::TooLarge),
            (false, _) => Err(Unreadable::Damaged),
            (true, _) => parse(&self.header, &self.record).ok_or(Unreadable::Damaged).map(Some),
        }
    }

    /// Whether nothing follows the records that were read.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.unpacked.fill_buf().is_ok_and(<[u8]>::is_empty) && self.unpacked.limit() > 0
    }

    /// Reads the bytes of the next record. No more is allocated than there is, whatever its length claims.
    fn load(&mut self) -> Option<()> {
        let bytes = u64::try_from(varint(&mut self.unpacked)?).ok()?;
        self.record.clear();
        let read = (&mut self.unpacked).take(bytes).read_to_end(&mut self.record).ok()?;
        (read as u64 == bytes).then_some(())
    }
}

fn parse<'r>(header: &BatchHeader, record: &'r [u8]) -> Option<Record<'r>> {
    let mut rest = record.get(1..)?; // after the attributes, which are not used
    let (time_delta, offset_delta) = (varint(&mut rest)?, varint(&mut rest)?);
    let key = match varint(&mut rest)? {
        ..0 => None,
        bytes => Some(rest.split_off(..usize::try_from(bytes).ok()?)?),
    };
    let has_value = varint(&mut rest)? >= 0;
    let (offset, timestamp_ms) = (header.base_offset.wrapping_add(offset_delta), header.time_ms(time_delta));
    Some(Record { offset, timestamp_ms, key, has_value, bytes: record })
}

/// Writes a record with its length.
pub(crate) fn write(record: &Record<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut zigzag = (record.bytes.len() as u64) << 1;
    while zigzag >= 0x80 {
        to.write_all(&[zigzag as u8 | 0x80])?;
        zigzag >>= 7;
    }
    to.write_all(&[zigzag as u8])?;
    to.write_all(record.bytes)
}

fn find_in(
    header: &BatchHeader,
    unpacked: impl BufRead,
    wanted: impl Fn(&RecordInfo) -> bool,
) -> Result<Option<RecordInfo>, Unreadable> {
    let mut unpacked = unpacked.take(UNPACKED_BYTES_MAX);
    for _ in 0..header.records {
        let Some(record) = next_record(header, &mut unpacked) else {
            return Err(if unpacked.limit() == 0 { Unreadable::TooLarge } else { Unreadable::Damaged });
        };
        if wanted(&record) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn next_record(header: &BatchHeader, unpacked: &mut impl BufRead) -> Option<RecordInfo> {
    let bytes = u64::try_from(varint(unpacked)?).ok()?;
    let mut record = unpacked.take(bytes);
    byte(&mut record)?; // the attributes, which are not used
    let time_delta = varint(&mut record)?;
    let offset_delta = varint(&mut record)?;
    let timestamp_ms = header.time_ms(time_delta);
    let has_key = varint(&mut record)? >= 0;
    let remaining = record.limit();
    let skipped = io::copy(&mut record, &mut io::sink()).ok()?;
    let offset = header.base_offset.wrapping_add(offset_delta);
    (skipped == remaining).then_some(RecordInfo { offset, timestamp_ms, has_key })
}

fn byte(from: &mut impl BufRead) -> Option<u8> {
    let byte = *from.fill_buf().ok()?.first()?;
    from.consume(1);
    Some(byte)
}

/// A zigzag varint of up to ten bytes.
pub(super) fn varint(from: &mut impl BufRead) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = byte(from)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::super::batch::{testing, with_base_offset};
    use super::super::codec::UNPACKED_BYTES_MAX;
    use super::*;

    /// A batch of three records, compressed by `pack`.
    fn packed(codec: i16, pack: impl Fn(&[u8]) -> Vec<u8>) -> Bytes {
        let plain = with_base_offset(&testing::plain(3, 1_000), 40, 0);
        let mut batch = plain[..HEADER_BYTES].to_vec();
        batch[22] |= codec as u8;
        batch.extend(pack(&plain[HEADER_BYTES..]));
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch.into()
    }

    fn xerial(block: &[u8]) -> Vec<u8> {
        let raw = snap::raw::Encoder::new().compress_vec(block).expect("packs");
        let mut framed = vec![0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
        framed.extend((raw.len() as u32).to_be_bytes());
        framed.extend(raw);
        framed
    }

    #[test]
    fn records_are_read_from_every_codec() {
        let gzip = |block: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(block).expect("packs");
            encoder.finish().expect("packs")
        };
        let lz4 = |block: &[u8]| {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(block).expect("packs");
            encoder.finish().expect("packs")
        };
        let batches = [
            packed(0, <[u8]>::to_vec),
            packed(1, gzip),
            packed(2, |block| snap::raw::Encoder::new().compress_vec(block).expect("packs")),
            packed(2, xerial),
            packed(3, lz4),
            packed(4, |block| zstd::encode_all(block, 1).expect("packs")),
        ];
        for batch in batches {
            for at in 0..3 {
                let found = find(&batch, |record| record.timestamp_ms >= 1_000 + at).expect("is whole");
                assert_eq!(found.map(|record| (record.offset, record.timestamp_ms)), Some((40 + at, 1_000 + at)));
            }
            assert_eq!(find(&batch, |record| record.has_key), Ok(None));
        }
    }

    #[test]
    fn damaged_records_are_no_records() {
        let batch = packed(0, |block| block[..block.len() - 1].to_vec());
        assert_eq!(find(&batch, |_| false), Err(Unreadable::Damaged));
        for codec in 1..=5 {
            assert_eq!(find(&packed(codec, |_| vec![0xff; 9]), |_| false), Err(Unreadable::Damaged), "codec {codec}");
        }
    }

    /// Goal: a small batch cannot make the broker use much memory or time. Method: batches of one record of zeros, far
    /// larger than the limit.
    #[test]
    fn a_batch_is_unpacked_up_to_a_limit() {
        let length = UNPACKED_BYTES_MAX as i64 * 2;
        let mut head = Vec::new();
        let mut zigzag = length as u64 * 2;
        while zigzag >= 0x80 {
            head.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        head.extend([zigzag as u8, 0, 0, 0, 1]);
        let zeros = || std::io::Cursor::new(head.clone()).chain(std::io::repeat(0).take(length as u64));
        let batch = packed(4, |_| zstd::encode_all(zeros(), 1).expect("packs"));
        assert!(batch.len() < 1 << 20);
        assert_eq!(find(&batch, |_| false), Err(Unreadable::TooLarge));
        // A snappy block begins with its length.
        let lying = packed(2, |_| vec![0xff, 0xff, 0xff, 0x3f, 0, 0]);
        assert_eq!(find(&lying, |_| false), Err(Unreadable::Damaged));
    }

    #[test]
    fn as_many_records_as_there_is_room_for_may_be_claimed() {
        let header = BatchHeader::parse(&testing::plain(3, 1)).expect("a header");
        assert!(can_hold(&header) && !can_hold(&BatchHeader { records: 4, ..header }));
        let packed = BatchHeader { attributes: 4, records: i32::MAX, ..header };
        assert!(!can_hold(&packed) && can_hold(&BatchHeader { records: 1_000_000, ..packed }));
    }
}
