//! Bad records for the dead-letter topic of a query: unchanged, with headers that say what is wrong with them.
//!
//! What that topic would refuse must not stop the query: a timestamp too far from the present is moved to the limit,
//! and of a record that is too large only the parts that fit are kept. Headers say so, and where the original is.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use headwater_dataflow::Complaint;
use headwater_formats::record::{HEADER_FRAME_BYTES, OutBatch, RawBatch, RecordLimits, header_lists, headers_at};

/// Most bytes of a reason or an expression in a header.
const WORDS_BYTES_MAX: usize = 8 * 1024;

/// Most bytes of the headers that say what was left out and which timestamp was changed.
const NOTES_BYTES_MAX: usize = 256;

/// Most bytes of the header for a changed timestamp.
const TIME_NOTE_BYTES: usize = 64;

/// Bad records of one epoch.
pub(super) struct DeadLetters {
    topic: Arc<str>,
    query: String,
    limits: RecordLimits,
    letters: Vec<Letter>,
    /// Partition and offset of the last one, since a record with two complaints is written once.
    last: Option<(i32, i64)>,
}

/// One record for the dead-letter topic.
struct Letter {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    time_ms: i64,
    headers: Vec<Header>,
}

type Header = (String, Option<Vec<u8>>);

impl DeadLetters {
    /// An empty collection for the query with this id. `limits` are those of `topic`.
    pub(super) fn new(topic: &str, query: &str, limits: RecordLimits) -> Self {
        Self { topic: Arc::from(topic), query: query.to_owned(), limits, letters: Vec::new(), last: None }
    }

    /// Adds the record of `raw` that a complaint is about. If `raw` does not contain it, only the processing log says where
    /// it is.
    pub(super) fn add(&mut self, complaint: &Complaint, raw: &RawBatch) {
        let Ok(row) = raw.offsets.binary_search(&complaint.offset) else { return };
        let address = (complaint.origin.partition, complaint.offset);
        if self.last.replace(address) == Some(address) {
            return;
        }
        let payload =
            |column: &Option<BinaryArray>| column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row).to_vec());
        let mut letter = Letter {
            key: payload(&raw.keys),
            value: payload(&raw.values),
            time_ms: raw.timestamps_ms[row].max(0),
            headers: raw.headers.as_ref().map(|headers| headers_at(headers, row)).unwrap_or_default(),
        };
        let headers = complaint_headers(&self.query, complaint);
        if let Some(most) = self.limits.bytes_max {
            letter.fit(most, bytes_of(&headers));
        }
        letter.headers.extend(headers);
        self.letters.push(letter);
    }

    /// Takes the records so far. `now_ms` is the current time, to which the topic compares timestamps.
    pub(super) fn take(&mut self, now_ms: i64) -> Option<OutBatch> {
        if self.letters.is_empty() {
            return None;
        }
        let mut letters = std::mem::take(&mut self.letters);
        let RecordLimits { ahead_ms_max, behind_ms_max, .. } = self.limits;
        let earliest = behind_ms_max.map_or(i64::MIN, |ms| now_ms.saturating_sub(ms));
        let latest = ahead_ms_max.map_or(i64::MAX, |ms| now_ms.saturating_add(ms));
        letters.iter_mut().for_each(|letter| letter.bring_within(earliest, latest));
        let headers: Vec<_> = letters.iter_mut().map(|letter| std::mem::take(&mut letter.headers)).collect();
        Some(OutBatch {
            topic: self.topic.clone(),
            partitions: None,
            keys: letters.iter().map(|letter| letter.key.as_deref()).collect(),
            values: letters.iter().map(|letter| letter.value.as_deref()).collect(),
            timestamps_ms: Some(letters.iter().map(|letter| letter.time_ms).collect()),
            headers: Some(header_lists(headers.iter().map(Vec::as_slice))),
        })
    }
}

impl Letter {
    fn bytes(&self) -> usize {
        let length = |payload: &Option<Vec<u8>>| payload.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value) + bytes_of(&self.headers)
    }

    /// Drops value, headers and key, in this order, until the letter with `reserved` more bytes of headers fits into `limit`
    /// bytes, including the header that says what was dropped.
    fn fit(&mut self, limit: usize, reserved: usize) {
        if self.bytes() + reserved + TIME_NOTE_BYTES <= limit {
            return;
        }
        let most = limit.saturating_sub(reserved + NOTES_BYTES_MAX);
        let mut left_out = Vec::new();
        for part in ["value", "headers", "key"] {
            if self.bytes() <= most {
                break;
            }
            match part {
                "value" => self.value = None,
                "headers" => self.headers.clear(),
                _ => self.key = None,
            }
            left_out.push(part);
        }
        if !left_out.is_empty() {
            let why = format!("{}: the topic takes at most {limit} bytes (max.message.bytes)", left_out.join(", "));
            self.headers.push(("headwater.left_out".to_owned(), Some(why.into_bytes())));
        }
    }

    /// Moves the timestamp into a range, in ms. A header has the original one if it was outside.
    fn bring_within(&mut self, earliest_ms: i64, latest_ms: i64) {
        let nearest = self.time_ms.max(earliest_ms).min(latest_ms);
        if nearest != self.time_ms {
            let was = self.time_ms.to_string().into_bytes();
            self.headers.push(("headwater.timestamp".to_owned(), Some(was)));
            self.time_ms = nearest;
        }
    }
}

/// The headers that describe a complaint.
fn complaint_headers(query: &str, complaint: &Complaint) -> Vec<Header> {
    let headers = [
        ("headwater.query", query.to_owned()),
        ("headwater.kind", complaint.kind.word().to_owned()),
        ("headwater.topic", complaint.origin.topic.to_string()),
        ("headwater.partition", complaint.origin.partition.to_string()),
        ("headwater.offset", complaint.offset.to_string()),
        ("headwater.expression", cut(complaint.expr.as_deref().unwrap_or_default())),
        ("headwater.reason", cut(&complaint.text())),
    ];
    headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))).collect()
}

fn cut(words: &str) -> String {
    words[..words.floor_char_boundary(WORDS_BYTES_MAX)].to_owned()
}

fn bytes_of(headers: &[Header]) -> usize {
    let bytes = |(name, value): &Header| HEADER_FRAME_BYTES + name.len() + value.as_ref().map_or(0, Vec::len);
    headers.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use headwater_formats::record::TopicPartition;

    use super::*;
    use headwater_dataflow::ComplaintKind;

    /// The letter for a record with a key of 10 and a value of 1,000 bytes at 5,000 ms, when the current time is 1,000 ms.
    fn letter(limits: RecordLimits) -> (OutBatch, Vec<Header>) {
        let origin = TopicPartition::new("in", 3);
        let raw = RawBatch {
            origin: origin.clone(),
            offsets: vec![7].into(),
            timestamps_ms: vec![5_000].into(),
            keys: Some(vec![Some(&[b'k'; 10][..])].into()),
            values: Some(vec![Some(&[b'v'; 1_000][..])].into()),
            value_nulls: None,
            headers: None,
            payload_bytes: 1_010,
        };
        let complaint = Complaint {
            kind: ComplaintKind::Deserialization,
            origin,
            offset: 7,
            side: None,
            expr: None,
            reason: "bad".to_owned(),
        };
        let mut dead = DeadLetters::new("dead", "Q", limits);
        dead.add(&complaint, &raw);
        dead.add(&complaint, &raw);
        let batch = dead.take(1_000).expect("a letter");
        dead.add(&complaint, &raw);
        assert!(dead.take(1_000).is_none(), "a record is written once");
        assert_eq!(batch.len(), 1);
        let headers = headers_at(batch.headers.as_ref().expect("headers"), 0);
        (batch, headers)
    }

    fn header(headers: &[Header], name: &str) -> Option<String> {
        let (_, value) = headers.iter().find(|(found, _)| found == name)?;
        value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn a_letter_is_the_record_and_what_is_wrong_with_it() {
        let (batch, headers) = letter(RecordLimits::default());
        assert_eq!((batch.keys.value(0).len(), batch.values.value(0).len()), (10, 1_000));
        assert_eq!(batch.timestamps_ms.as_deref(), Some(&[5_000][..]));
        assert_eq!(header(&headers, "headwater.offset").as_deref(), Some("7"));
        assert_eq!(header(&headers, "headwater.left_out"), None);
    }

    #[test]
    fn a_letter_with_all_of_its_headers_fits_its_topic() {
        for bytes_max in 400..1_600 {
            let (batch, headers) =
                letter(RecordLimits { bytes_max: Some(bytes_max), ahead_ms_max: Some(100), ..RecordLimits::default() });
            let bytes = batch.keys.value_data().len() + batch.values.value_data().len() + bytes_of(&headers);
            let left_out = header(&headers, "headwater.left_out");
            assert!(bytes <= bytes_max || left_out.is_some_and(|why| why.contains("key")), "{bytes} of {bytes_max}");
        }
    }

    #[test]
    fn what_the_topic_would_refuse_is_left_out_and_reported() {
        let (batch, headers) =
            letter(RecordLimits { bytes_max: Some(800), ahead_ms_max: Some(100), ..RecordLimits::default() });
        assert!(batch.values.is_null(0) && batch.keys.is_valid(0));
        assert!(header(&headers, "headwater.left_out").is_some_and(|why| why.starts_with("value: ")), "{headers:?}");
        assert_eq!(batch.timestamps_ms.as_deref(), Some(&[1_100][..]));
        assert_eq!(header(&headers, "headwater.timestamp").as_deref(), Some("5000"));
    }
}
