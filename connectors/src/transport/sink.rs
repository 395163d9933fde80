//! Writing: how a sink writes, and the transactions around what it writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Membership, Position, TransportError};
use crate::record::{OutBatch, TopicPartition};

/// How a sink writes.
#[derive(Clone, Debug, Default)]
pub struct SinkOptions {
    /// With an id every write is inside a transaction and opening fences the id's former owner.
    pub transactional_id: Option<String>,
    /// A timestamp that the transport cannot write becomes the nearest that it can; else it is refused. The one
    /// that there is: librdkafka cannot write 0, 1970-01-01T00:00:00.000Z.
    pub nearest_time: bool,
    /// Most bytes of records that are sent as one batch; `None` for the transport's own choice. To be given where a
    /// topic takes less ([`RecordLimits`](super::RecordLimits)).
    pub batch_bytes_max: Option<usize>,
    /// A topic that exists and will be written to, if one is known: what opening asks the cluster is asked of it.
    pub topic: Option<Arc<str>>,
}

/// A writer of records.
pub trait Sink: Send {
    /// Takes all records of the batch; they are sent in order for each partition. Waits while the
    /// send buffer is full. A delivery that fails later is reported by `flush` or `commit`.
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError>;

    /// Waits until every record is acknowledged, at most `timeout`.
    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError>;

    /// Begins a transaction; only with a transactional id, once before each commit or abort.
    fn begin(&mut self) -> Result<(), TransportError>;

    /// Commits the records written since `begin` and `offsets` (the place of each partition, under the
    /// consumer group of `membership`), all or nothing. A membership that is no
    /// longer the group's is refused as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced): nothing is committed, and the
    /// transaction waits for [`Self::abort`]. Without offsets the group is not asked.
    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError>;

    /// Gives up the records written since `begin`. Fails as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced) when the transaction is
    /// no longer this sink's, because of another owner or of its own slowness: then only another sink writes again.
    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError>;
}
