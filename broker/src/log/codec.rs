//! The records inside a batch: decompressing and walking them.
//!
//! Apart because it is the only place that looks inside a batch. It is needed where an offset is
//! asked for by time and where a compacted topic must refuse records without a key.

use std::io::Read;

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};

/// Most bytes that one batch may unpack to; more is taken for damage.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// How the Java client's snappy frames begin: eight bytes of magic, two version numbers.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;

/// What is needed to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordInfo {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) has_key: bool,
}

/// The records of a whole batch; `None` when they cannot be unpacked or walked.
pub(crate) fn records(batch: &Bytes) -> Option<Vec<RecordInfo>> {
    let header = BatchHeader::parse(batch)?;
    let unpacked = unpack(header.codec(), &batch[HEADER_BYTES..])?;
    let mut rest = unpacked.as_ref();
    let mut infos = Vec::new();
    for _ in 0..header.records {
        infos.push(next_record(&header, &mut rest)?);
    }
    Some(infos)
}

fn next_record(header: &BatchHeader, rest: &mut &[u8]) -> Option<RecordInfo> {
    let bytes = usize::try_from(varint(rest)?).ok()?;
    if bytes > rest.len() {
        return None;
    }
    let (mut record, after) = rest.split_at(bytes);
    *rest = after;
    record = record.get(1..)?;
    let time_delta = varint(&mut record)?;
    let offset_delta = varint(&mut record)?;
    let timestamp_ms = if header.has_append_time() {
        header.max_timestamp_ms
    } else {
        header.base_timestamp_ms.wrapping_add(time_delta)
    };
    let has_key = varint(&mut record)? >= 0;
    Some(RecordInfo { offset: header.base_offset.wrapping_add(offset_delta), timestamp_ms, has_key })
}

/// A zigzag number of up to ten bytes.
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn unpack(codec: i16, packed: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    match codec {
        0 => Some(packed.into()),
        1 => read_all(flate2::read::MultiGzDecoder::new(packed)),
        2 => unpack_snappy(packed).map(Into::into),
        3 => read_all(lz4_flex::frame::FrameDecoder::new(packed)),
        4 => read_all(zstd::stream::read::Decoder::new(packed).ok()?),
        _ => None,
    }
}

fn read_all(reader: impl Read) -> Option<std::borrow::Cow<'static, [u8]>> {
    let mut bytes = Vec::new();
    reader.take(UNPACKED_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes.into())
}

/// Snappy comes as one raw block, or as the frames of the Java client.
fn unpack_snappy(packed: &[u8]) -> Option<Vec<u8>> {
    if !packed.starts_with(XERIAL_MAGIC) {
        return unpack_snappy_block(packed);
    }
    let mut rest = packed.get(XERIAL_HEADER_BYTES..)?;
    let mut bytes = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        bytes.extend(unpack_snappy_block(after.get(..length)?)?);
        rest = &after[length..];
    }
    Some(bytes)
}

fn unpack_snappy_block(block: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(block).ok()?;
    if length as u64 > UNPACKED_BYTES_MAX {
        return None;
    }
    snap::raw::Decoder::new().decompress_vec(block).ok()
}

#[cfg(test)]
mod tests {
    use super::super::batch::{placed, testing};
    use super::*;
    use std::io::Write;

    /// The batch of three records with its records packed by a codec.
    fn packed(codec: i16, pack: impl Fn(&[u8]) -> Vec<u8>) -> Bytes {
        let plain = placed(&testing::plain(3, 1_000), 40, 0);
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
            let times: Vec<_> = records(&batch).expect("records").iter().map(|r| (r.offset, r.timestamp_ms)).collect();
            assert_eq!(times, [(40, 1_000), (41, 1_001), (42, 1_002)]);
        }
    }

    #[test]
    fn damaged_records_are_no_records() {
        let batch = packed(0, |block| block[..block.len() - 1].to_vec());
        assert_eq!(records(&batch), None);
        for codec in 1..=5 {
            assert_eq!(records(&packed(codec, |_| vec![0xff; 9])), None, "codec {codec}");
        }
    }
}
