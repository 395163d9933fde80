//! A reader of a log.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::batch::{BatchHeader, marker_commits};
use super::super::super::record::Records;
use super::super::super::*;

/// Keys with their values.
pub(super) type Values = BTreeMap<Vec<u8>, Vec<u8>>;
/// Records with their keys and values, by offset.
pub(super) type Seen = BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)>;

/// A consumer of committed records that keeps the last value of each key, as the Java client decides what is committed.
#[derive(Clone, Default)]
pub(super) struct Reader {
    pub(super) next_offset: i64,
    pub(super) values: Values,
    /// The records that it saw.
    pub(super) seen: Seen,
    pub(super) aborted: BTreeSet<i64>,
    pub(super) begun_ms: i64,
}

impl Reader {
    pub(super) fn read(&mut self, log: &Log, bytes_max: usize) {
        let fetched = log.read(self.next_offset, bytes_max, Isolation::ReadCommitted, true).expect("reads");
        let mut aborted = fetched.aborted.expect("is told which are aborted");
        aborted.sort_by_key(|aborted| aborted.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut records = fetched.records.read();
        while let Some(header) = BatchHeader::parse(&records) {
            let batch = records.split_to(header.bytes);
            assert!(header.checksum_fits(&batch) && header.last_offset() >= self.next_offset);
            while let Some(begun) = aborted.next_if(|aborted| aborted.first_offset <= header.last_offset()) {
                self.aborted.insert(begun.producer_id);
            }
            let id = header.producer.id;
            if header.is_control() {
                if marker_commits(&batch) == Some(false) {
                    self.aborted.remove(&id);
                }
            } else if !(header.is_transactional() && self.aborted.contains(&id)) {
                self.take(&header, &batch);
            }
            self.next_offset = header.last_offset() + 1;
        }
    }

    fn take(&mut self, header: &BatchHeader, batch: &[u8]) {
        let mut records = Records::of(header, batch).expect("a codec");
        while let Some(record) = records.next().expect("is whole") {
            let key = record.key.expect("a key").to_vec();
            // Headers come after the value and are as long in all records.
            let value = record.has_value.then(|| value_of(record.bytes));
            match &value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(&key),
            };
            self.seen.insert(record.offset, (key, value));
        }
    }

    pub(super) fn read_all(log: &Log) -> Reader {
        let mut reader = Reader { next_offset: log.ends().start, ..Reader::default() };
        while reader.next_offset < log.ends().stable {
            let before = reader.next_offset;
            reader.read(log, 300);
            assert!(reader.next_offset > before, "a reader is stuck at {before}");
        }
        reader
    }
}

/// The value of a record of [`testing::with_keys`].
fn value_of(record: &[u8]) -> Vec<u8> {
    let key_bytes = usize::from(record[3] / 2);
    let length = &record[4 + key_bytes..];
    let bytes = usize::from(length[0] & 0x7f) | usize::from(length[1]) << 7;
    length[2..2 + bytes / 2].to_vec()
}
