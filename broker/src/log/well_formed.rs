//! Checks every record of a batch that a client produced.
//!
//! Separate because a batch that cannot be read stops all of its consumers for good, and by then nobody knows any more where it
//! came from. Kafka checks the same.

use super::batch::{BatchHeader, HEADER_BYTES};
use super::record::{Records, Unreadable, varint};

/// The codec number of LZ4, and where in a frame the flag is that each block can be read without the one before it. Java's
/// client reads no other frames.
const LZ4: i16 = 3;
const LZ4_FLAGS: usize = 4;
const LZ4_INDEPENDENT: u8 = 1 << 5;

/// Checks that the batch has as many records as it claims, with ascending offsets, and nothing else.
pub(crate) fn check_records(header: &BatchHeader, batch: &[u8]) -> Result<(), Unreadable> {
    let packed = batch.get(HEADER_BYTES..).ok_or(Unreadable::Damaged)?;
    match header.codec() {
        0 => check_plain(header, packed),
        LZ4 if packed.get(LZ4_FLAGS).is_none_or(|flags| flags & LZ4_INDEPENDENT == 0) => Err(Unreadable::Damaged),
        _ => check_packed(header, batch),
    }
}

fn check_plain(header: &BatchHeader, mut rest: &[u8]) -> Result<(), Unreadable> {
    let mut check_next = |at| {
        let bytes = usize::try_from(varint(&mut rest)?).ok()?;
        is_record(rest.split_off(..bytes)?, at).then_some(())
    };
    (0..i64::from(header.records)).try_for_each(&mut check_next).ok_or(Unreadable::Damaged)?;
    if rest.is_empty() { Ok(()) } else { Err(Unreadable::Damaged) }
}

fn check_packed(header: &BatchHeader, batch: &[u8]) -> Result<(), Unreadable> {
    let mut records = Records::of(header, batch)?;
    for at in 0..i64::from(header.records) {
        let record = records.next()?.ok_or(Unreadable::Damaged)?;
        if !is_record(record.bytes, at) {
            return Err(Unreadable::Damaged);
        }
    }
    if records.is_at_end() { Ok(()) } else { Err(Unreadable::Damaged) }
}

/// Whether these are the bytes of the record with this offset in its batch.
fn is_record(record: &[u8], at: i64) -> bool {
    read_record(record, at).is_some()
}

fn read_record(record: &[u8], at: i64) -> Option<()> {
    let mut rest = record.get(1..)?; // after the attributes, which are not used
    let (_, offset) = (varint(&mut rest)?, varint(&mut rest)?);
    skip_nullable(&mut rest)?;
    skip_nullable(&mut rest)?;
    for _ in 0..u32::try_from(varint(&mut rest)?).ok()? {
        let name = usize::try_from(varint(&mut rest)?).ok()?;
        std::str::from_utf8(rest.split_off(..name)?).ok()?;
        skip_nullable(&mut rest)?;
    }
    (rest.is_empty() && offset == at).then_some(())
}

/// Skips bytes with their length, which is -1 for null.
fn skip_nullable(rest: &mut &[u8]) -> Option<()> {
    match varint(rest)? {
        -1 => Some(()),
        bytes => rest.split_off(..usize::try_from(bytes).ok()?).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::testing;
    use super::super::codec;
    use super::*;

    /// A batch with one record of these bytes, and whether it is accepted.
    fn is_accepted(record: &[u8]) -> bool {
        let mut batch = testing::plain(1, 0)[..HEADER_BYTES].to_vec();
        batch.push((record.len() as u8) << 1);
        batch.extend(record);
        check_records(&header(&batch), &batch).is_ok()
    }

    fn header(batch: &[u8]) -> BatchHeader {
        BatchHeader { bytes: batch.len(), records: 1, ..BatchHeader::parse(&testing::plain(1, 0)).expect("a header") }
    }

    #[test]
    fn a_record_has_all_of_its_parts_and_nothing_else() {
        let whole = [0, 0, 0, 2, b'k', 2, b'v', 4, 2, b'h', 1, 0, 0];
        assert!(is_accepted(&whole), "a key, a value, a header with null and an unnamed one with nothing");
        assert!(is_accepted(&[0, 0, 0, 1, 1, 0]), "null, null and no headers");
        for length in 0..whole.len() {
            assert!(!is_accepted(&whole[..length]), "{length} bytes");
        }
        assert!(!is_accepted(&[&whole[..], &[0]].concat()), "a byte too many");
        assert!(!is_accepted(&[0, 0, 2, 1, 1, 0]), "the second offset of one record");
        assert!(!is_accepted(&[0, 0, 0, 3, 1, 0]), "a length of -2");
        assert!(!is_accepted(&[0, 0, 0, 1, 1, 1]), "-1 headers");
        assert!(!is_accepted(&[0, 0, 0, 1, 1, 2, 1, 0]), "a header without a name");
        assert!(!is_accepted(&[0, 0, 0, 1, 1, 2, 2, 0xff, 0]), "a name that is not UTF-8");
    }

    #[test]
    fn a_batch_has_as_many_records_as_it_claims() {
        for codec in 0..=4 {
            let batch = testing::plain(3, 1_000);
            let plain = BatchHeader::parse(&batch).expect("a header");
            let packing = BatchHeader { attributes: codec, ..plain };
            let packed = codec::pack(&packing, |to| to.write_all(&batch[HEADER_BYTES..])).expect("packs");
            let packed = [&batch[..HEADER_BYTES], &packed].concat();
            let check = |records| check_records(&BatchHeader { records, bytes: packed.len(), ..packing }, &packed);
            assert_eq!([2, 3, 4].map(|records| check(records).is_ok()), [false, true, false], "codec {codec}");
            let garbage = [&batch[..HEADER_BYTES], &[0xa5; 40]].concat();
            assert!(check_records(&packing, &garbage).is_err(), "codec {codec}");
        }
    }

    #[test]
    fn lz4_blocks_that_depend_on_each_other_are_refused() {
        let batch = testing::plain(3, 1_000);
        let header = BatchHeader { attributes: LZ4, ..BatchHeader::parse(&batch).expect("a header") };
        for (mode, is_ok) in
            [(lz4_flex::frame::BlockMode::Independent, true), (lz4_flex::frame::BlockMode::Linked, false)]
        {
            let info = lz4_flex::frame::FrameInfo::new().block_mode(mode);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, batch[..HEADER_BYTES].to_vec());
            std::io::Write::write_all(&mut encoder, &batch[HEADER_BYTES..]).expect("packs");
            // The header of the batch is not a part of the frame.
            let packed = encoder.finish().expect("packs");
            assert_eq!(check_records(&header, &packed).is_ok(), is_ok);
        }
    }
}
