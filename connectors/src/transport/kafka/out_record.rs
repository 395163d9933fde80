//! Converts records for librdkafka, and rejects those that it would misinterpret.

use arrow::array::{Array, AsArray, ListArray};
use headwater_formats::record::OutBatch;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::transport::TransportError;

/// The timestamp written instead of 0, which librdkafka interprets as "now".
const NEAREST_TO_0_MS: i64 = 1;

/// Rejects what librdkafka would misinterpret: a partition that does not exist, and the timestamp 0, which means "now".
pub(super) fn check(batch: &OutBatch, partitions: i32, nearest_time: bool) -> Result<(), TransportError> {
    let topic = &batch.topic;
    let outside = |partition: &&i32| !(0..partitions).contains(*partition);
    if let Some(partition) = batch.partitions.as_ref().and_then(|given| given.iter().find(outside)) {
        return Err(TransportError::invalid(format!(
            "topic \"{topic}\" has {partitions} partitions, so partition {partition} does not exist"
        )));
    }
    let times = batch.timestamps_ms.as_deref().unwrap_or_default();
    if !nearest_time && times.contains(&0) {
        let fact = "a record with the timestamp 0 (1970-01-01T00:00:00.000Z) cannot be written by librdkafka";
        return Err(TransportError::invalid(format!("{fact}: topic \"{topic}\"; the nearest possible timestamp is 1")));
    }
    Ok(())
}

pub(super) fn time_of(batch: &OutBatch, row: usize) -> Option<i64> {
    batch.timestamps_ms.as_ref().map(|times| if times[row] == 0 { NEAREST_TO_0_MS } else { times[row] })
}

pub(super) fn headers_in(batch: &OutBatch, row: usize) -> Option<OwnedHeaders> {
    batch.headers.as_ref().and_then(|headers| headers_of(headers, row))
}

pub(super) fn record(batch: &OutBatch, row: usize, headers: OwnedHeaders) -> BaseRecord<'_, [u8], [u8]> {
    BaseRecord {
        topic: &batch.topic,
        partition: batch.partitions.as_ref().map(|partitions| partitions[row]),
        payload: batch.values.is_valid(row).then(|| batch.values.value(row)),
        key: batch.keys.is_valid(row).then(|| batch.keys.value(row)),
        timestamp: time_of(batch, row),
        headers: Some(headers),
        delivery_opaque: (),
    }
}

/// The headers of a record, or `None` if it has none.
fn headers_of(headers: &ListArray, row: usize) -> Option<OwnedHeaders> {
    if headers.is_null(row) || headers.value_length(row) == 0 {
        return None;
    }
    let entries = headers.value(row);
    let entries = entries.as_struct();
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let insert = |list: OwnedHeaders, at: usize| {
        let key = if names.is_null(at) { "" } else { names.value(at) };
        list.insert(Header { key, value: values.is_valid(at).then(|| values.value(at)) })
    };
    Some((0..entries.len()).fold(OwnedHeaders::new_with_capacity(entries.len()), insert))
}
