//! Checks a batch that a client produced.
//!
//! Separate because a header that can be parsed may still make claims that cannot be true. The records are checked in
//! `well_formed`.

use kafka_protocol::ResponseError;

use super::batch::BatchHeader;
use super::record::{self, Unreadable};
use super::well_formed::check_records;

const CODEC_MAX: i16 = 4;

/// Checks that the bytes are exactly one whole, undamaged batch of data records.
pub(crate) fn check_produced(bytes: &[u8], bytes_max: usize) -> Result<BatchHeader, ResponseError> {
    if bytes.len() > 16 && bytes[16] != 2 {
        return Err(ResponseError::UnsupportedForMessageFormat);
    }
    if bytes.is_empty() {
        return Err(ResponseError::InvalidRecord);
    }
    let header = BatchHeader::parse(bytes).ok_or(ResponseError::CorruptMessage)?;
    if header.bytes > bytes.len() {
        return Err(ResponseError::CorruptMessage);
    }
    if header.bytes < bytes.len() {
        return Err(ResponseError::InvalidRecord);
    }
    if header.bytes > bytes_max {
        return Err(ResponseError::MessageTooLarge);
    }
    if !header.checksum_fits(bytes) {
        return Err(ResponseError::CorruptMessage);
    }
    check_fields(&header)?;
    check_records(&header, bytes).map_err(|unreadable| match unreadable {
        Unreadable::Damaged => ResponseError::InvalidRecord,
        Unreadable::TooLarge => ResponseError::MessageTooLarge,
    })?;
    Ok(header)
}

fn check_fields(header: &BatchHeader) -> Result<(), ResponseError> {
    if header.codec() > CODEC_MAX {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    let counted = header.records > 0 && header.records - 1 == header.last_offset_delta && record::can_hold(header);
    let numbered = !header.is_idempotent() || (header.base_sequence >= 0 && header.producer.epoch >= 0);
    let transactional = !header.is_transactional() || header.is_idempotent();
    if counted && numbered && transactional && !header.is_control() {
        Ok(())
    } else {
        Err(ResponseError::InvalidRecord)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{marker, sign, testing};
    use super::super::producer::Producer;
    use super::*;

    const PRODUCER: Producer = Producer { id: 7, epoch: 3 };

    #[test]
    fn damaged_and_foreign_batches_are_refused_by_kind() {
        let good = testing::plain(2, 10);
        assert!(check_produced(&good, 1_000).is_ok());
        let mut flipped = good.to_vec();
        flipped[70] ^= 1;
        assert_eq!(check_produced(&flipped, 1_000), Err(ResponseError::CorruptMessage));
        assert_eq!(check_produced(&good[..70], 1_000), Err(ResponseError::CorruptMessage));
        assert_eq!(check_produced(&good, 20), Err(ResponseError::MessageTooLarge));
        let mut many = good.to_vec();
        many[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
        many[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        sign(&mut many);
        assert_eq!(check_produced(&many, 1_000), Err(ResponseError::InvalidRecord), "there is no room for so many");
        let twice = [good.clone(), good.clone()].concat();
        assert_eq!(check_produced(&twice, 1_000), Err(ResponseError::InvalidRecord));
        assert_eq!(check_produced(&marker(PRODUCER, true, 0, 0, 0), 1_000), Err(ResponseError::InvalidRecord));
        let mut old = good.to_vec();
        old[16] = 1;
        assert_eq!(check_produced(&old, 1_000), Err(ResponseError::UnsupportedForMessageFormat));
        assert_eq!(check_produced(&[], 1_000), Err(ResponseError::InvalidRecord));
    }
}
