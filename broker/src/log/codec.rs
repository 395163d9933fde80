//! The records inside a batch: decompressing and scanning them.
//!
//! Separate because it is the only code that looks inside a batch. It is needed to find an offset by timestamp, and to
//! refuse records without a key in a compacted topic.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};

/// The maximum number of bytes decompressed from one batch. A batch is decompressed as a stream, so this limits the
/// time rather than the memory.
const UNPACKED_BYTES_MAX: u64 = 128 << 20;
/// The minimum size of a record, in bytes.
const RECORD_BYTES_MIN: u64 = 7;
/// The maximum ratio of a decompressed snappy block to its input.
const SNAPPY_GROWTH_MAX: u64 = 64;
/// How the snappy frames of the Java client begin: eight bytes of magic, followed by two version numbers.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;

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
    let packed = &batch[HEADER_BYTES..];
    match header.codec() {
        0 => find_in(&header, packed, wanted),
        1 => find_in(&header, BufReader::new(flate2::read::MultiGzDecoder::new(packed)), wanted),
        2 => find_in(&header, BufReader::new(Snappy::new(packed)), wanted),
        3 => find_in(&header, BufReader::new(lz4_flex::frame::FrameDecoder::new(packed)), wanted),
        4 => {
            let decoder = zstd::stream::read::Decoder::new(packed).map_err(|_| Unreadable::Damaged)?;
            find_in(&header, BufReader::new(decoder), wanted)
        }
        _ => Err(Unreadable::Damaged),
    }
}

/// Whether the batch is large enough for the number of records it claims, without decompressing it.
pub(crate) fn can_hold(header: &BatchHeader) -> bool {
    let bytes_max = if header.codec() == 0 { (header.bytes - HEADER_BYTES) as u64 } else { UNPACKED_BYTES_MAX };
    u64::try_from(header.records).is_ok_and(|records| records.saturating_mul(RECORD_BYTES_MIN) <= bytes_max)
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
    let timestamp_ms = if header.has_append_time() {
        header.max_timestamp_ms
    } else {
        header.base_timestamp_ms.wrapping_add(time_delta)
    };
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
fn varint(from: &mut impl BufRead) -> Option<i64> {
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

/// A reader of snappy data, which is either one raw block or the frames of the Java client. A block is decompressed
/// once the previous one has been read.
struct Snappy<'a> {
    packed: &'a [u8],
    framed: bool,
    block: io::Cursor<Vec<u8>>,
}

impl<'a> Snappy<'a> {
    fn new(packed: &'a [u8]) -> Snappy<'a> {
        let framed = packed.starts_with(XERIAL_MAGIC) && packed.len() >= XERIAL_HEADER_BYTES;
        let packed = if framed { &packed[XERIAL_HEADER_BYTES..] } else { packed };
        Snappy { packed, framed, block: io::Cursor::default() }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let (block, remaining) = match self.framed {
            true => {
                let (length, remaining) = self.packed.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
                let length = u32::from_be_bytes(*length) as usize;
                remaining.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?
            }
            false => (self.packed, &[][..]),
        };
        self.packed = remaining;
        self.block = io::Cursor::new(unpack_snappy_block(block).ok_or(io::ErrorKind::InvalidData)?);
        Ok(())
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.position() == self.block.get_ref().len() as u64 && !self.packed.is_empty() {
            self.next_block()?;
        }
        self.block.read(buffer)
    }
}

fn unpack_snappy_block(block: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(block).ok()? as u64;
    if length > UNPACKED_BYTES_MAX.min(SNAPPY_GROWTH_MAX * block.len() as u64) {
        return None; // never allocate more than the block can contain, whatever it claims
    }
    snap::raw::Decoder::new().decompress_vec(block).ok()
}

#[cfg(test)]
mod tests {
    use super::super::batch::{testing, with_base_offset};
    use super::*;
    use std::io::Write;

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
        let mut framed = XERIAL_MAGIC.to_vec();
        framed.extend([0, 0, 0, 1, 0, 0, 0, 1]);
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
