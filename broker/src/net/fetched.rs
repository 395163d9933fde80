//! Encoding fetch responses, whose records may stay in files.
//!
//! Separate because the codec only writes records that are in memory. Here it writes each part of a response without its
//! last field, and only what this field contains is written here.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
use kafka_protocol::messages::{FetchResponse, ResponseHeader};
use kafka_protocol::protocol::Encodable;

use super::answer::Answer;
use super::wire::{LENGTH_BYTES, Route, WireError, encoding_error};
use crate::api::{FetchedPartition, FetchedTopic};
use crate::log::Slice;

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;
/// Shorter records are copied, because each piece of a frame costs a system call.
const PIECE_BYTES_MIN: usize = 16 << 10;

/// Encodes a response as a whole frame.
pub(super) fn write_fetched(route: Route, topics: Vec<FetchedTopic>) -> Result<Answer, WireError> {
    let mut frame = Frame { version: route.version, fields: BytesMut::new(), records: Vec::new() };
    frame.fields.put_i32(0); // the length, which is known at the end
    let header = ResponseHeader::default().with_correlation_id(route.correlation_id);
    header.encode(&mut frame.fields, route.key.response_header_version(route.version)).map_err(encoding_error)?;
    frame.begin(&FetchResponse::default(), topics.len())?;
    for topic in topics {
        frame.write_topic(topic)?;
    }
    frame.end();
    frame.into_answer()
}

/// A frame that is being written.
struct Frame {
    version: i16,
    /// Everything but the records that are pieces.
    fields: BytesMut,
    /// The pieces, with the number of bytes of `fields` before each.
    records: Vec<(usize, Slice)>,
}

impl Frame {
    fn write_topic(&mut self, topic: FetchedTopic) -> Result<(), WireError> {
        let FetchedTopic { name, partitions } = topic;
        self.begin(&FetchableTopicResponse::default().with_topic(name), partitions.len())?;
        for partition in partitions {
            self.write_partition(partition)?;
        }
        self.end();
        Ok(())
    }

    fn write_partition(&mut self, partition: FetchedPartition) -> Result<(), WireError> {
        let FetchedPartition { data, records } = partition;
        self.begin(&data.with_records(Some(Bytes::new())), records.len())?;
        match records {
            Slice::Bytes(bytes) if bytes.len() < PIECE_BYTES_MIN => self.fields.put(bytes),
            records => self.records.push((self.fields.len(), records)),
        }
        self.end();
        Ok(())
    }

    /// Writes a part whose last field is empty, and begins that field with the length that it really has.
    fn begin(&mut self, part: &impl Encodable, length: usize) -> Result<(), WireError> {
        part.encode(&mut self.fields, self.version).map_err(encoding_error)?;
        // The length of the empty field, and the number of tagged fields where there are such.
        let replaced = if self.version >= FLEXIBLE { 2 } else { size_of::<i32>() };
        self.fields.truncate(self.fields.len() - replaced);
        let length = i32::try_from(length).map_err(encoding_error)?;
        match self.version >= FLEXIBLE {
            true => put_varint(&mut self.fields, length.unsigned_abs() + 1),
            false => self.fields.put_i32(length),
        }
        Ok(())
    }

    /// Ends a part: it has no tagged fields.
    fn end(&mut self) {
        if self.version >= FLEXIBLE {
            self.fields.put_u8(0);
        }
    }

    fn into_answer(mut self) -> Result<Answer, WireError> {
        let records: usize = self.records.iter().map(|(_, records)| records.len()).sum();
        let length = i32::try_from(self.fields.len() - LENGTH_BYTES + records).map_err(encoding_error)?;
        self.fields[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let (fields, mut from) = (self.fields.freeze(), 0);
        let mut pieces = Vec::with_capacity(2 * self.records.len() + 1);
        for (to, records) in self.records {
            pieces.extend([Slice::Bytes(fields.slice(from..to)), records]);
            from = to;
        }
        pieces.push(Slice::Bytes(fields.slice(from..)));
        Ok(Answer::new(pieces))
    }
}

/// Seven bits a byte, the least significant ones first.
fn put_varint(to: &mut BytesMut, mut number: u32) {
    while number >= 0x80 {
        to.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    to.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
    use kafka_protocol::messages::{ApiKey, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::super::wire::write_answer;
    use super::*;

    /// Goal: what is written here is what the codec writes. Method: a response with short, long and no records, with an error
    /// and aborted transactions, in every version.
    #[test]
    fn the_codec_writes_the_same() {
        let aborted = AbortedTransaction::default().with_producer_id(7.into()).with_first_offset(3);
        let plain = || PartitionData::default().with_partition_index(1).with_high_watermark(9);
        let partitions = [
            (plain(), Bytes::from(vec![1; 100])),
            (plain().with_aborted_transactions(Some(vec![aborted])), Bytes::from(vec![2; PIECE_BYTES_MIN])),
            (plain().with_aborted_transactions(None).with_last_stable_offset(4), Bytes::from(vec![3; 1 << 20])),
            (plain().with_error_code(3).with_high_watermark(-1), Bytes::new()),
        ];
        let names = ["a", "b", ""].map(|name| TopicName(StrBytes::from_static_str(name)));
        for version in 4..=12 {
            let route = Route { key: ApiKey::Fetch, version, correlation_id: 5 };
            let topics = names.iter().zip([&partitions[..2], &partitions[2..], &[]]);
            let expected = topics.clone().map(|(name, partitions)| {
                let data = partitions.iter().map(|(data, records)| data.clone().with_records(Some(records.clone())));
                FetchableTopicResponse::default().with_topic(name.clone()).with_partitions(data.collect())
            });
            let expected = FetchResponse::default().with_responses(expected.collect());
            let fetched = topics.map(|(name, partitions)| {
                let partition = |(data, records): &(PartitionData, Bytes)| FetchedPartition {
                    data: data.clone(),
                    records: Slice::Bytes(records.clone()),
                };
                FetchedTopic { name: name.clone(), partitions: partitions.iter().map(partition).collect() }
            });
            let expected = write_answer(route, &expected, version).expect("is encoded");
            let written = write_fetched(route, fetched.collect()).expect("is encoded");
            assert_eq!(written.read(), expected, "version {version}");
        }
    }
}
