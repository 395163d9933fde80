//! Sources and doorbells that fail according to a plan.

use std::time::Duration;

use headwater_formats::record::RawBatch;

use super::Call;
use super::gate::Gate;
use crate::transport::{Doorbell, Source, SourceEvent, TransportError};

/// A source whose batches are cut.
pub(super) struct FaultySource {
    inner: Gate<Box<dyn Source>>,
    /// The rest of the last batch.
    rest: Option<RawBatch>,
}

impl FaultySource {
    pub(super) fn new(inner: Gate<Box<dyn Source>>) -> Self {
        Self { inner, rest: None }
    }
}

impl Source for FaultySource {
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError> {
        let whole = match self.rest.take() {
            Some(rest) => rest,
            None => match self.inner.call_mut(Call::Poll, |source| source.poll(timeout))? {
                SourceEvent::Batch(batch) => batch,
                other => return Ok(other),
            },
        };
        let count = self.inner.cut(whole.len());
        self.rest = (count < whole.len()).then(|| slice(&whole, count, whole.len() - count));
        Ok(SourceEvent::Batch(slice(&whole, 0, count)))
    }
}

fn slice(raw: &RawBatch, start: usize, length: usize) -> RawBatch {
    RawBatch {
        origin: raw.origin.clone(),
        offsets: raw.offsets.slice(start, length),
        timestamps_ms: raw.timestamps_ms.slice(start, length),
        keys: raw.keys.as_ref().map(|c| c.slice(start, length)),
        values: raw.values.as_ref().map(|c| c.slice(start, length)),
        value_nulls: raw.value_nulls.as_ref().map(|c| c.slice(start, length)),
        headers: raw.headers.as_ref().map(|c| c.slice(start, length)),
        payload_bytes: raw.payload_bytes,
    }
}

/// A doorbell that may ring late or for nothing, which is all that can go wrong.
pub(super) struct FaultyDoorbell {
    inner: Gate<Box<dyn Doorbell>>,
    has_rung: bool,
}

impl FaultyDoorbell {
    pub(super) fn new(inner: Gate<Box<dyn Doorbell>>) -> Self {
        Self { inner, has_rung: false }
    }
}

impl Doorbell for FaultyDoorbell {
    fn wait(&mut self, timeout: Duration) -> bool {
        self.has_rung = self.has_rung || self.inner.call_infallible(Call::Wait, |bell| bell.wait(timeout), false, true);
        self.has_rung
    }
}
