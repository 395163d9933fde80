//! A batch with fewer records.
//!
//! Separate because it knows batches and nothing of logs. The records that stay are copied as they are, whatever is in them; the
//! batch keeps its offsets, its producer, its sequence numbers and its codec, so that nobody can tell what it had before.

use bytes::Bytes;

use super::super::batch::{self, BatchHeader};
use super::super::codec;
use super::super::record::{self, Record, Records, Unreadable};

/// The timestamp of a batch without records.
const NO_TIME_MS: i64 = -1;

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thinned {
    /// All of it.
    Whole,
    /// A batch with fewer records.
    Part(Bytes),
    /// No record.
    Nothing,
}

/// What is left of a batch without the records that `keep` does not want.
pub(crate) fn thinned(
    header: &BatchHeader,
    batch: &[u8],
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Thinned, Unreadable> {
    let (mut kept, mut max_timestamp_ms) = (Vec::with_capacity(header.records.clamp(0, 1 << 16) as usize), i64::MIN);
    let mut records = Records::of(header, batch)?;
    while let Some(record) = records.next()? {
        let keeps = keep(&record);
        kept.push(keeps);
        if keeps {
            max_timestamp_ms = max_timestamp_ms.max(record.timestamp_ms);
        }
    }
    let count = kept.iter().filter(|kept| **kept).count();
    if count == kept.len() {
        return Ok(Thinned::Whole);
    }
    if count == 0 {
        return Ok(Thinned::Nothing);
    }
    let packed = codec::pack(header, |packer| {
        let mut records = Records::of(header, batch).map_err(|_| std::io::ErrorKind::InvalidData)?;
        for kept in kept {
            let record = records.next().map_err(|_| std::io::ErrorKind::InvalidData)?;
            if let (true, Some(record)) = (kept, record) {
                record::write(&record, packer)?;
            }
        }
        Ok(())
    });
    let packed = packed.map_err(|_| Unreadable::Damaged)?;
    Ok(Thinned::Part(batch::with_records(batch, &packed, count as i32, max_timestamp_ms)))
}

/// A batch without any of its records.
pub(crate) fn emptied(header: &BatchHeader, batch: &[u8]) -> Bytes {
    let max_timestamp_ms = if header.has_append_time() { header.max_timestamp_ms } else { NO_TIME_MS };
    batch::with_records(batch, &[], 0, max_timestamp_ms)
}

#[cfg(test)]
mod tests {
    use super::super::super::batch::testing;
    use super::*;

    /// The offsets of the records of a batch.
    fn offsets(batch: &[u8]) -> Vec<i64> {
        let header = BatchHeader::parse(batch).expect("a header");
        assert!(header.checksum_fits(batch));
        let mut records = Records::of(&header, batch).expect("a codec");
        std::iter::from_fn(|| records.next().expect("is whole").map(|record| record.offset)).collect()
    }

    /// Goal: the records that stay are the same bytes, with every codec, whichever go. Method: all subsets of five records.
    #[test]
    fn records_go_and_the_others_are_copied() {
        for (codec, wanted) in (0..=4).flat_map(|codec| (0..32_u32).map(move |wanted| (codec, wanted))) {
            let batch = testing::packed(&testing::keyed(5, 1_000), codec);
            let header = BatchHeader::parse(&batch).expect("a header");
            let is_wanted = |offset: i64| wanted >> offset & 1 == 1;
            let thinned = thinned(&header, &batch, |record| is_wanted(record.offset)).expect("is whole");
            let left: Vec<i64> = (0..5).filter(|offset| is_wanted(*offset)).collect();
            match thinned {
                Thinned::Whole => assert_eq!(left.len(), 5),
                Thinned::Nothing => assert_eq!(left.len(), 0),
                Thinned::Part(part) => {
                    assert_eq!(offsets(&part), left, "codec {codec}");
                    let thin = BatchHeader::parse(&part).expect("a header");
                    let expected = BatchHeader {
                        bytes: thin.bytes,
                        crc: thin.crc,
                        records: left.len() as i32,
                        max_timestamp_ms: 1_000 + left.last().expect("one is left"),
                        ..header
                    };
                    assert_eq!(thin, expected, "all else is as it was");
                    let mut before = Records::of(&header, &batch).expect("a codec");
                    let mut after = Records::of(&thin, &part).expect("a codec");
                    while let Some(record) = before.next().expect("is whole") {
                        if is_wanted(record.offset) {
                            assert_eq!(after.next().expect("is whole"), Some(record));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_emptied_batch_has_its_offsets_only() {
        let batch = testing::packed(&testing::keyed(5, 1_000), 4);
        let header = BatchHeader::parse(&batch).expect("a header");
        let emptied = emptied(&header, &batch);
        let left = BatchHeader::parse(&emptied).expect("a header");
        assert_eq!((left.base_offset, left.last_offset(), left.records, left.max_timestamp_ms), (0, 4, 0, -1));
        assert_eq!(offsets(&emptied), [0; 0]);
    }

    #[test]
    fn a_damaged_batch_is_not_thinned() {
        let batch = testing::keyed(5, 1_000);
        let header = BatchHeader { records: 6, ..BatchHeader::parse(&batch).expect("a header") };
        assert_eq!(thinned(&header, &batch, |record| record.offset > 2), Err(Unreadable::Damaged));
    }
}
