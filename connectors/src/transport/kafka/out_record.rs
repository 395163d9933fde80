//! Records as librdkafka takes them, and those that it would misunderstand.

use arrow::array::{Array, AsArray, ListArray};
use headwater_formats::record::OutBatch;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::transport::TransportError;

/// What librdkafka can write instead of 0, which it takes for "now".
const NEAREST_TO_0_MS: i64 = 1;

/// What librdkafka would misunderstand: a partition that is not there, and the time 0, which it takes for "now".
pub(super) fn check(batch: &OutBatch, partitions: i32, nearest_time: bool) -> Result<(), TransportError> {
    let topic = &batch.topic;
    let outside = |partition: &&i32| !(0..partitions).contains(*partition);
    if let Some(partition) = batch.partitions.as_ref().and_then(|given| given.iter().find(outside)) {
        return Err(TransportError::invalid(format!(
            "topic \"{topic}\" has {partitions} partitions and no partition {partition}"
        )));
    }
    let times = batch.timestamps_ms.as_deref().unwrap_or_default();
    if !nearest_time && times.contains(&0) {
        let fact = "a record with the timestamp 0 (1970-01-01T00:00:00.000Z) cannot be written to Kafka by librdkafka";
        return Err(TransportError::invalid(format!("{fact}: topic \"{topic}\"; the nearest that can is 1")));
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

/// The headers of a record, or `None` when it has none.
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
