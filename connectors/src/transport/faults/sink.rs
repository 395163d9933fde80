//! A sink whose calls fail according to a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_formats::record::{OutBatch, TopicPartition};

use super::Call;
use super::gate::Gate;
use crate::transport::{Membership, Position, Sink, TransportError};

/// A sink that follows a plan.
pub(super) struct FaultySink(pub(super) Gate<Box<dyn Sink>>);

impl Sink for FaultySink {
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
        self.0.call_mut(Call::Write, |sink| sink.write(batch))
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.0.call_mut(Call::Flush, |sink| sink.flush(timeout))
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.0.call_mut(Call::Begin, |sink| sink.begin())
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        self.0.call_mut(Call::Commit, |sink| sink.commit(membership, offsets, timeout))
    }

    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.0.call_mut(Call::Abort, |sink| sink.abort(timeout))
    }
}
