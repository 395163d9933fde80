//! Writing: how a sink writes, and the transactions around what it writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_formats::record::{OutBatch, TopicPartition};

use super::{Membership, Position, TransportError};

/// How a sink writes.
#[derive(Clone, Debug, Default)]
pub struct SinkOptions {
    /// With an id, every write is inside a transaction, and opening the sink fences the id's former owner.
    pub transactional_id: Option<String>,
    /// Replaces a timestamp that the transport cannot write with the nearest one that it can; otherwise it is an error.
    /// The only such timestamp is 0, 1970-01-01T00:00:00.000Z, with librdkafka.
    pub nearest_time: bool,
    /// Maximum size in bytes of the records sent as one batch; `None` for the transport's default. Needed where a
    /// topic accepts less ([`RecordLimits`](headwater_formats::record::RecordLimits)).
    pub batch_bytes_max: Option<usize>,
    /// A topic that exists and will be written to, if one is known: opening the sink requests its metadata to connect.
    pub topic: Option<Arc<str>>,
}

/// A writer of records.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::time::Duration;
///
/// use headwater_formats::record::{OutBatch, TopicPartition};
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_connectors::transport::{Isolation, Membership, NewTopic, SinkOptions, Transport};
///
/// let cluster = MemoryTransport::new();
/// let orders = NewTopic { name: "orders".into(), partitions: 1, replicas: None, settings: Default::default() };
/// cluster.admin().create_topic(&orders)?;
/// let stable_end = || cluster.admin().watermarks("orders", Isolation::ReadCommitted).map(|marks| marks[0].end);
///
/// let options = SinkOptions { transactional_id: Some("copy".into()), ..SinkOptions::default() };
/// let mut sink = cluster.open_sink(options)?;
/// # let (keys, values) = (vec![Some(&b"k"[..])].into(), vec![Some(&b"v"[..])].into());
/// # let record = OutBatch { topic: "orders".into(), partitions: None, keys, values, timestamps_ms: None, headers: None };
/// sink.begin()?;
/// sink.write(&record)?;
/// assert_eq!(stable_end()?, 0, "nobody sees it before the commit");
///
/// // The record and the offset it was made from are committed together.
/// let input = TopicPartition::new("input", 0);
/// let offsets = BTreeMap::from([(input.clone(), 7.into())]);
/// sink.commit(&Membership::outside("copiers"), &offsets, Duration::from_secs(20))?;
/// assert_eq!(stable_end()?, 2, "the record and the marker of its transaction");
/// assert_eq!(cluster.admin().committed_offsets("copiers", &[input.clone()])?[&input], Some(7.into()));
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
pub trait Sink: Send {
    /// Queues all records of the batch; each partition's records are sent in order. Blocks while the send buffer is
    /// full. A delivery that fails later is reported by `flush` or `commit`.
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError>;

    /// Waits until every record is acknowledged, at most `timeout`.
    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError>;

    /// Begins a transaction. Only with a transactional id, and once before each commit or abort.
    fn begin(&mut self) -> Result<(), TransportError>;

    /// Commits the records written since `begin` and `offsets` (the position of each partition, under the consumer
    /// group of `membership`) atomically. Fails with [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced)
    /// if the membership is no longer current: nothing is committed, and the transaction waits for [`Self::abort`].
    /// Without offsets the group is not checked.
    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError>;

    /// Aborts the transaction: the records written since `begin` are discarded. Fails with
    /// [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced) when this sink no longer owns the transaction,
    /// because of another owner or because it took too long: then only a new sink can write.
    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError>;
}
