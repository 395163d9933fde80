//! The yardstick of benchmarks: reading through librdkafka in batches and doing nothing but count.
//! It has the settings of a real source, so what a real one takes longer is its own doing.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection;
use super::consume::Inbox;
use super::errors;
use super::properties::{Properties, Role};
use crate::transport::{Isolation, ReadRange, TransportError};

/// Messages taken at once.
const MESSAGES_MAX: usize = 8_192;

/// Longest wait for the first message.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Records and bytes of keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Records read.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Reads bounded ranges to their ends in the calling thread. Fails when a range has no end or cannot be read.
pub(super) fn count(properties: &Properties, ranges: &[ReadRange]) -> Result<Count, TransportError> {
    let role = Role::Source { isolation: Isolation::ReadCommitted, bounded: true, sources: 1 };
    let (client, _) = connection::open(properties, &role)?;
    let mut inbox = Inbox::new(Arc::new(client), MESSAGES_MAX);
    let ends: Option<Vec<_>> = ranges.iter().map(|range| range.end).collect();
    let ends = ends.ok_or_else(|| errors::refused("every range must have an end"))?;
    for range in ranges {
        let started = inbox.start(&range.partition.topic, range.partition.partition, range.start);
        started.map_err(|code| errors::failed(&format!("{} could not be read", range.partition), code))?;
    }
    let (mut count, mut left) = (Count::default(), ends.clone());
    while left.iter().any(|end| *end > 0) {
        for message in inbox.take(WAIT_MAX) {
            let Some(index) = message.index() else { continue };
            let next = match message.error() {
                None if message.offset() < ends[index] => {
                    count.records += 1;
                    count.bytes +=
                        (message.key().map_or(0, <[u8]>::len) + message.value().map_or(0, <[u8]>::len)) as u64;
                    message.offset() + 1
                }
                None | Some(Code::PartitionEOF) => message.offset(),
                Some(code) => {
                    return Err(errors::failed(&format!("{} could not be read", ranges[index].partition), code));
                }
            };
            if next >= ends[index] {
                left[index] = 0;
            }
        }
    }
    Ok(count)
}
